#!/usr/bin/env bash
# Proves that the image can be built again: twice from the sources of HEAD, in two folders, with two target directories and two
# cargo homes, and compares the binaries and the images. Some minutes for each.
#
#   deploy/reproduce.sh [FOLDER]     where to build; a new temporary folder, removed afterwards, unless it is given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WORK=${1:-}
CARGO_FOLDER=${CARGO_HOME:-$HOME/.cargo}

main() {
    if [[ -z $WORK ]]; then
        WORK=$(mktemp -d)
        trap 'rm -rf "$WORK"' EXIT
    fi
    build first "$WORK/first/portcullis" "$WORK/first/portcullis/target" "$CARGO_FOLDER"
    build second "$WORK/the-second-one/sources" "$WORK/elsewhere" "$WORK/cargo"
    sha256sum "$WORK"/{first,second}/image/portcullis
    diff --recursive --brief "$WORK"/{first,second}/image
    echo "reproducible: $(<"$WORK/first/image/digest")"
}

# build NAME SOURCES TARGET_DIRECTORY CARGO_HOME
build() {
    echo "building in $2" >&2
    mkdir -p "$2" "$4"
    git archive HEAD | tar -x -C "$2"
    CARGO_TARGET_DIR=$3 CARGO_HOME=$4 "$2/deploy/image.sh" "$WORK/$1/image"
}

main
