#!/usr/bin/env python3
"""Lists what the image's binary is made of: its crates with versions, licences and checksums, as CycloneDX 1.5 in JSON.

    deploy/sbom.py [TARGET] >FILE     TARGET: x86_64-unknown-linux-gnu unless it is given

The truth is cargo's: `cargo tree` with the features and the target of deploy/build.sh, and Cargo.lock. What is linked in is "required",
what only build scripts use is "excluded". The same sources give the same bytes: no serial number, no time, no folder.
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent.parent
TREE = ["cargo", "tree", "--locked", "--no-default-features", "--prefix", "depth", "--format", "\t{p}\t{l}"]


def main(target="x86_64-unknown-linux-gnu"):
    linked, _, uses = tree("normal", target)
    everything, licences, more_uses = tree("normal,build", target)
    for package, others in more_uses.items():
        uses.setdefault(package, set()).update(others)
    lock = tomllib.loads((HERE / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock}
    root, *rest = everything
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", **described(root, licences)}},
        "components": [
            {
                "type": "library",
                "scope": "required" if package in linked else "excluded",
                "hashes": [{"alg": "SHA-256", "content": checksums[package]}],
                **described(package, licences),
            }
            for package in sorted(rest)
        ],
        "dependencies": [
            {"ref": purl(package), "dependsOn": sorted(map(purl, uses.get(package, ())))} for package in sorted(everything)
        ],
    }
    print(json.dumps(bom, indent=1))


def tree(edges, target):
    """The packages, the root first; their licences; who uses whom. A package's own line is followed by what it uses, once."""
    command = [*TREE, "--edges", edges, "--target", target]
    lines = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    licences, uses, above = {}, {}, []
    for line in lines:
        depth, about, licence = line.removesuffix(" (*)").split("\t")
        name, version = about.split()[:2]
        package = (name, version.removeprefix("v"))
        # A slash is the old way to write a choice.
        licences[package] = re.sub(" */ *", " OR ", licence)
        del above[int(depth) :]
        if above:
            uses.setdefault(above[-1], set()).add(package)
        above.append(package)
    return list(licences), licences, uses


def described(package, licences):
    name, version = package
    licence = {"licenses": [{"expression": licences[package]}]}
    return {"bom-ref": purl(package), "name": name, "version": version, "purl": purl(package), **licence}


def purl(package):
    name, version = package
    return f"pkg:cargo/{name}@{urllib.parse.quote(version)}"


main(*sys.argv[1:])
