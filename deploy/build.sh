#!/usr/bin/env bash
# Builds the static binary that the image holds, the same bytes wherever it is built: the only place that says how.
#
#   deploy/build.sh [TARGET]     prints the path of the binary. TARGET: x86_64-unknown-linux-gnu unless it is given
#
# The bytes depend on the sources, Cargo.lock, the Rust toolchain, the C compiler and the C library; not on the folders, the time or
# the flags that the caller's environment holds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TARGET=${1:-x86_64-unknown-linux-gnu}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
CARGO_FOLDER=${CARGO_HOME:-$HOME/.cargo}

main() {
    unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS
    # What is there must be known before its folders can be renamed.
    cargo fetch --locked --target "$TARGET" >&2
    local rust=(-C target-feature=+crt-static) c=() from
    while read -r from; do
        rust+=("--remap-path-prefix=$from")
        c+=("-ffile-prefix-map=$from")
    done < <(renamed)
    # The separator is the one that no path holds.
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${rust[*]}")
    export CARGO_ENCODED_RUSTFLAGS CFLAGS="${c[*]}" SOURCE_DATE_EPOCH=0
    # --target keeps the static linking away from build scripts and procedural macros. Without default features the demo stays out.
    cargo build --locked --profile image --no-default-features --target "$TARGET" >&2
    echo "$CARGO_TARGET_DIR/$TARGET/image/portcullis"
}

# FOLDER=NAME for every folder whose path a compiler could write down; of several that fit, the last counts.
renamed() {
    echo "$CARGO_FOLDER=/cargo"
    echo "$PWD=/src"
    echo "$CARGO_TARGET_DIR=/target"
    echo "$(rustc --print sysroot)=/rust"
    local registry
    for registry in "$CARGO_FOLDER"/registry/src/*/; do
        echo "${registry%/}=/crates"
    done
}

main
