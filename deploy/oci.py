#!/usr/bin/env python3
"""Lays the image out in a folder (OCI image layout 1.0), the same bytes for the same binary, and prints its digest.

    deploy/oci.py BINARY FOLDER ARCHITECTURE

What the image says of itself is read from the last stage of deploy/Containerfile. OCI's format has no HEALTHCHECK: that line is left to
what runs the image. The layer is not compressed: its bytes shall not depend on a compressor.
"""

import hashlib
import io
import json
import pathlib
import shlex
import shutil
import sys
import tarfile

EPOCH = "1970-01-01T00:00:00Z"
OCI = "application/vnd.oci.image"


def main(binary, folder, architecture):
    containerfile = pathlib.Path(__file__).with_name("Containerfile").read_text()
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def store(content, kind):
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{name}", "size": len(content)}

    config, paths = image_config(instructions(containerfile))
    layer = store(tar(pathlib.Path(binary).read_bytes(), paths), "layer.v1.tar")
    described = {
        "architecture": architecture,
        "config": config,
        "created": EPOCH,
        "history": [{"created": EPOCH, "created_by": "deploy/image.sh"}],
        "os": "linux",
        "rootfs": {"diff_ids": [layer["digest"]], "type": "layers"},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": store(text(described), "config.v1+json"),
        "layers": [layer],
    }
    entry = store(text(manifest), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "portcullis"}
    (folder / "index.json").write_bytes(text({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_bytes(text({"imageLayoutVersion": "1.0.0"}))
    print(entry["digest"])


def instructions(containerfile):
    """The last stage's instructions, each with its rest, continuation lines joined."""
    stage = containerfile[containerfile.rindex("\nFROM scratch") + 1 :].replace("\\\n", " ")
    lines = (line.strip() for line in stage.splitlines())
    return [line.split(None, 1) for line in lines if line and not line.startswith("#")][1:]


def image_config(found):
    """The configuration, and where the binary goes. An instruction that nobody thought of here is an error."""
    config, paths = {"Env": [], "Labels": {}, "ExposedPorts": {}}, []
    for word, rest in found:
        match word:
            case "LABEL":
                config["Labels"].update(pair.split("=", 1) for pair in shlex.split(rest))
            case "ENV":
                config["Env"] += shlex.split(rest)
            case "USER":
                config["User"] = rest
            case "EXPOSE":
                config["ExposedPorts"].update({f"{port}/tcp": {} for port in rest.split()})
            case "STOPSIGNAL":
                config["StopSignal"] = rest
            case "ENTRYPOINT" | "CMD":
                config[word.capitalize()] = json.loads(rest)
            case "COPY":
                paths.append(rest.split()[-1].lstrip("/"))
            case "HEALTHCHECK":
                pass
            case _:
                raise SystemExit(f"deploy/oci.py: the Containerfile's {word} is not understood")
    (path,) = paths
    return config, path


def tar(content, path):
    """One file, owned by root, of no time."""
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), 0o755
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def text(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


main(*sys.argv[1:])
