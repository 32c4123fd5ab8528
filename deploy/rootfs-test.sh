#!/usr/bin/env bash
# Runs the gateway in the root filesystem of its image and measures it. Needs root, openssl, curl and python3; no network.
#
#   deploy/rootfs-test.sh [BINARY]   a static binary; without it the one of deploy/Containerfile is built (some minutes)
#
# With buildah, podman and runc it builds the image from the last stage of deploy/Containerfile and runs a container.
# Without them, or with ROOTFS=chroot, it runs the same files in a read-only bind mount.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WORK=$PWD/target/rootfs-test
ID=65532
MAX_SIZE_MIB=20
MAX_RSS_MIB=15
# Nothing is under way: a stop does not wait for listen.shutdown_grace.
MAX_STOP_MS=1000
PASSED=0

main() {
    ((EUID == 0)) || fail "must run as root: it makes containers or mounts, and becomes uid $ID"
    local binary
    binary=$(realpath "${1:-$(build)}")
    clear_work
    trap clean_up EXIT
    read -r HTTPS ADMIN ISSUER < <(free_ports)
    lay_out "$binary"
    choose_way
    echo "root filesystem: $WAY"

    is_static "$binary"
    is_small "$binary"
    configuration_is_good
    starts
    is_healthy
    is_confined
    challenges
    is_light
    stops
    echo "rootfs: $PASSED passed, 0 failed"
}

build() {
    echo "building (some minutes the first time)" >&2
    deploy/build.sh
}

# ── What is checked ──────────────────────────────────────────────────────────────────────────────

is_static() {
    ! readelf --program-headers "$1" | grep -q INTERP || fail "the binary asks for a dynamic loader"
    passed "static binary"
}

is_small() {
    local mib
    mib=$(awk -v bytes="$(stat -c %s "$1")" 'BEGIN { printf "%.1f", bytes / 1024 / 1024 }')
    at_most "$mib" $MAX_SIZE_MIB || fail "$mib MiB, more than $MAX_SIZE_MIB"
    passed "size: $mib MiB"
}

configuration_is_good() {
    "${WAY}_once" check >"$WORK/check" 2>&1 || fail "refused: $(<"$WORK/check")"
    grep -q "resource  https://localhost:$HTTPS/mcp" "$WORK/check" || fail "check names no resource: $(<"$WORK/check")"
    passed "portcullis check"
}

starts() {
    ! curl --silent "http://127.0.0.1:$ADMIN/healthz" >/dev/null || fail "something else answers on port $ADMIN"
    "${WAY}_start"
    wait_for "health" curl --silent --fail "http://127.0.0.1:$ADMIN/healthz"
    PID=$("${WAY}_pid")
    # Ready means: the issuer's name was looked up and its keys were fetched, out of the empty root.
    wait_for "readiness" curl --silent --fail "http://127.0.0.1:$ADMIN/readyz"
    passed "starts, resolves names, fetches keys"
}

is_healthy() {
    "${WAY}_healthcheck" || fail "portcullis healthcheck says no"
    passed "portcullis healthcheck"
}

is_confined() {
    local capabilities
    [[ $(awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$PID/status") == "$ID $ID $ID $ID" ]] || fail "not uid $ID"
    capabilities=$(awk '/^Cap(Inh|Prm|Eff|Amb):/ { print $2 }' "/proc/$PID/status" | sort -u)
    [[ $capabilities == 0000000000000000 ]] || fail "has capabilities"
    grep -q '^NoNewPrivs:[[:space:]]*1' "/proc/$PID/status" || fail "may gain privileges"
    # Even root cannot write where it runs.
    ! touch "/proc/$PID/root/x" 2>/dev/null || fail "its root is writable"
    passed "uid $ID, no capabilities, read-only root"
}

challenges() {
    local url=https://localhost:$HTTPS status
    local expected="bearer scope=\"mcp:tools\", resource_metadata=\"$url/.well-known/oauth-protected-resource/mcp\""
    status=$(curl --silent --cacert "$WORK/mounted/tls/tls.crt" --output "$WORK/body" --dump-header "$WORK/head" \
        --write-out '%{http_code}' --json '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' "$url/mcp")
    [[ $status == 401 ]] || fail "expected 401, got $status"
    tr -d '\r' <"$WORK/head" | tr '[:upper:]' '[:lower:]' | grep -qxF "www-authenticate: $expected" ||
        fail "another challenge: $(<"$WORK/head")"
    grep -q '"error":"unauthorized"' "$WORK/body" || fail "another body: $(<"$WORK/body")"
    curl --silent --fail --cacert "$WORK/mounted/tls/tls.crt" "$url/.well-known/oauth-protected-resource/mcp" |
        grep -q "\"resource\":\"$url/mcp\"" || fail "no metadata"
    passed "TLS, 401 with its challenge, metadata"
}

is_light() {
    local mib
    mib=$(awk '/^VmRSS:/ { printf "%.1f", $2 / 1024 }' "/proc/$PID/status")
    at_most "$mib" $MAX_RSS_MIB || fail "$mib MiB resident, more than $MAX_RSS_MIB"
    passed "resident: $mib MiB"
}

stops() {
    local begun=${EPOCHREALTIME/[.,]/} status=0 milliseconds
    kill -TERM "$PID"
    while [[ -e /proc/$PID && $(</proc/"$PID"/stat) != *") Z "* ]]; do
        milliseconds=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
        ((milliseconds < 10 * MAX_STOP_MS)) || fail "still runs ${milliseconds} ms after SIGTERM"
        sleep 0.005
    done 2>/dev/null
    milliseconds=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
    wait "$GATEWAY" || status=$?
    ((status == 0)) || fail "exit code $status after SIGTERM"
    ((milliseconds <= MAX_STOP_MS)) || fail "stopped after $milliseconds ms, more than $MAX_STOP_MS"
    passed "SIGTERM: exit 0 after $milliseconds ms"
}

# ── The files ────────────────────────────────────────────────────────────────────────────────────

# $WORK/root is the image; $WORK/mounted is what a deployment mounts at /etc/portcullis.
lay_out() {
    local mounted=$WORK/mounted
    mkdir -p "$WORK/root/etc/portcullis" "$mounted/tls" "$WORK/issuer"
    install -m 0755 "$1" "$WORK/root/portcullis"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -keyout "$mounted/tls/tls.key" -out "$mounted/tls/tls.crt" 2>/dev/null
    cat >"$mounted/gateway.toml" <<EOF
[listen]
address = "127.0.0.1:$HTTPS"
tls = { certificate = "/etc/portcullis/tls/tls.crt", key = "/etc/portcullis/tls/tls.key" }
[admin]
address = "127.0.0.1:$ADMIN"
[[issuers]]
name = "local"
issuer = "http://localhost:$ISSUER"
jwks_uri = "http://localhost:$ISSUER/jwks.json"
insecure_http = true
[[routes]]
name = "notes"
resource = "https://localhost:$HTTPS/mcp"
upstream = "http://127.0.0.1:9/mcp"
issuers = ["local"]
scopes = ["mcp:tools"]
tenant = "any"
EOF
    chown -R $ID:$ID "$mounted"
    cat >"$WORK/issuer/jwks.json" <<'EOF'
{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
EOF
    python3 -m http.server --bind 127.0.0.1 --directory "$WORK/issuer" "$ISSUER" >/dev/null 2>&1 &
    ISSUER_PID=$!
}

free_ports() {
    python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in sockets))'
}

choose_way() {
    WAY=chroot
    [[ ${ROOTFS:-} == chroot ]] && return
    local tool
    for tool in buildah podman runc; do
        command -v $tool >/dev/null || return 0
    done
    if build_image >"$WORK/image.log" 2>&1 && container_once --version >>"$WORK/image.log" 2>&1; then
        WAY=container
    else
        echo "no container can run here, see target/rootfs-test/image.log"
    fi
}

# ── As a container ───────────────────────────────────────────────────────────────────────────────

STORAGE=(--root "$WORK/storage" --runroot "$WORK/run" --storage-driver vfs)
CONTAINER=portcullis-rootfs-test

# The binary stands in for the build stage. Docker's image format, because the other has no HEALTHCHECK.
build_image() {
    mkdir -p "$WORK/context/out"
    ln "$WORK/root/portcullis" "$WORK/context/out/portcullis"
    sed -n '/^FROM scratch/,$p' deploy/Containerfile | sed 's/^COPY --from=build /COPY /' >"$WORK/context/Containerfile"
    buildah "${STORAGE[@]}" bud --format docker --isolation chroot -t portcullis "$WORK/context"
}

podman() {
    command podman "${STORAGE[@]}" --runtime runc --cgroup-manager cgroupfs --events-backend file "$@"
}

# The limits: podman's defaults are more than some machines allow. Health is asked for by hand: there may be no systemd.
container_run() {
    podman run --rm --pull never --network host --read-only --read-only-tmpfs=false --cap-drop all \
        --security-opt no-new-privileges --ulimit nofile=20000:20000 --ulimit nproc=4096:4096 \
        --health-interval disable -v "$WORK/mounted:/etc/portcullis:ro" "$@"
}

container_once() {
    container_run portcullis "$@"
}

container_start() {
    container_run --name $CONTAINER portcullis >"$WORK/log" 2>&1 &
    GATEWAY=$!
}

container_pid() {
    podman inspect --format '{{.State.Pid}}' $CONTAINER
}

# The image's own HEALTHCHECK.
container_healthcheck() {
    podman healthcheck run $CONTAINER
}

# ── In a bind mount ──────────────────────────────────────────────────────────────────────────────

# In a mount namespace of its own; name look-ups get the two files that every container gets.
chroot_once() {
    # shellcheck disable=SC2016  # the inner shell expands
    unshare --mount --propagation private bash -euc '
        root=$1 mounted=$2 id=$3
        shift 3
        mount --bind "$root" "$root"
        mount --bind "$mounted" "$root/etc/portcullis"
        touch "$root/etc/hosts" "$root/etc/resolv.conf"
        for file in /etc/hosts /etc/resolv.conf; do mount --bind "$file" "$root$file"; done
        mount -o remount,bind,ro "$root/etc/portcullis"
        mount -o remount,bind,ro "$root"
        exec env -i PATH="$PATH" PORTCULLIS_CONFIG=/etc/portcullis/gateway.toml \
            setpriv --no-new-privs chroot --userspec="$id:$id" --groups= "$root" /portcullis "$@"
    ' bash "$WORK/root" "$WORK/mounted" $ID "$@"
}

chroot_start() {
    chroot_once run >"$WORK/log" 2>&1 &
    GATEWAY=$!
}

# Every program on the way was replaced by the next.
chroot_pid() {
    local pid=$GATEWAY
    while [[ $(readlink "/proc/$pid/exe") != */portcullis ]]; do
        pid=$(pgrep --parent "$pid")
    done
    echo "$pid"
}

chroot_healthcheck() {
    chroot_once healthcheck
}

# ── Helpers ──────────────────────────────────────────────────────────────────────────────────────

wait_for() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        ((++tries < 200)) || fail "no $what within 10 s; the gateway's log: $(tail -n 5 "$WORK/log")"
        sleep 0.05
    done
}

at_most() {
    awk -v value="$1" -v most="$2" 'BEGIN { exit !(value <= most) }'
}

passed() {
    PASSED=$((PASSED + 1))
    echo "ok    $1"
}

fail() {
    echo "FAIL  $1" >&2
    echo "rootfs: $PASSED passed, 1 failed" >&2
    exit 1
}

clear_work() {
    # Images hold files that only podman may remove in some set-ups.
    [[ ! -d $WORK/storage ]] || podman system reset --force >/dev/null 2>&1 || true
    rm -rf "$WORK"
    mkdir -p "$WORK"
}

clean_up() {
    local pid
    for pid in ${PID:-} ${ISSUER_PID:-}; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    [[ ! -d $WORK/storage ]] || podman rm --force --ignore $CONTAINER >/dev/null 2>&1 || true
}

main "$@"
