#!/usr/bin/env bash
# Changes the code that decides who comes in, one place at a time, and tells what no test notices (docs/mutants.md).
#
#   tests/mutants.sh src/token/times.rs src/token/audience.rs   these files
#   tests/mutants.sh                                            all that decides and bounds: a night and more
#
# The unit tests come first, for they are quick; what they miss is tried against tests/it. What is left must have a row in
# docs/mutants.md. Needs cargo-mutants (cargo install --locked cargo-mutants@27.1.0). The reports lie in target/mutants.out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What decides who comes in, and what bounds him.
ALL=('src/token/**' 'src/keys/**' 'src/request/**' 'src/headers/**' 'src/head/**' 'src/connection/http1/**' src/chunked.rs src/deadline.rs)

export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0

main() {
    local files=() file
    for file in "$@"; do
        [[ -f $file ]] || fail "there is no file $file"
        files+=(--file "$file")
    done
    if [[ $# == 0 ]]; then
        for file in "${ALL[@]}"; do files+=(--file "$file"); done
    fi
    rm -rf target/mutants.out
    try "${files[@]}" -- --lib
    try --iterate "${files[@]}" -- --test it
    unlisted <target/mutants.out/missed.txt
}

try() {
    local status=0
    cargo mutants --output target "$@" || status=$?
    # 2: some were missed; 3: some tests hung, which is a way to fail.
    [[ $status =~ ^[023]$ ]] || fail "cargo mutants ended with $status"
}

# Lines are FILE:LINE:COLUMN: MUTANT; lines and columns change too often to be listed.
unlisted() {
    local file mutant row found=0
    while IFS=: read -r file _ _ mutant; do
        mutant=${mutant# }
        row="| \`$file\` | \`${mutant//|/\\|}\` |"
        grep -qF -- "$row" docs/mutants.md && continue
        echo "survives, and has no row in docs/mutants.md: $file: $mutant"
        found=1
    done
    return "$found"
}

fail() {
    echo "mutants.sh: $1" >&2
    exit 2
}

main "$@"
