#!/usr/bin/env bash
# Makes the image without a container engine: an OCI image layout that depends on its contents alone, and prints its digest.
#
#   deploy/image.sh FOLDER [BINARY]     builds the binary (deploy/build.sh, some minutes) unless one is given
#
# FOLDER gets `oci/`, the binary, what it is made of (`portcullis.cdx.json`, deploy/sbom.py) and `digest`. To publish it:
#
#   skopeo copy oci:FOLDER/oci docker://registry.example.com/portcullis:0.1.0
set -euo pipefail
FOLDER=$(realpath --canonicalize-missing "$1")
TARGET=${TARGET:-x86_64-unknown-linux-gnu}
[[ -z ${2:-} ]] || BINARY=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case $TARGET in
    x86_64-*) architecture=amd64 ;;
    aarch64-*) architecture=arm64 ;;
    *) echo "image.sh: which architecture is $TARGET?" >&2 && exit 1 ;;
esac
mkdir -p "$FOLDER"
install -m 0755 "${BINARY:-$(deploy/build.sh "$TARGET")}" "$FOLDER/portcullis"
deploy/sbom.py "$TARGET" >"$FOLDER/portcullis.cdx.json"
python3 deploy/oci.py "$FOLDER/portcullis" "$FOLDER/oci" "$architecture" | tee "$FOLDER/digest"
