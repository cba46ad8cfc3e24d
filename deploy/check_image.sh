#!/usr/bin/env bash
# Runs the server as its image does: the program and the C libraries that the image has, below a root that it
# cannot write to, as nobody. It answers, predicts, and stops when it is told to.
# usage: check_image.sh PROGRAM       (as root, who alone may change the root)
set -euo pipefail

program="$(realpath "$1")"
# What gcr.io/distroless/cc-debian12 has for a program to be linked to.
provided='^(linux-vdso|ld-linux-[a-z0-9-]+|libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+)\.so'

work="$(mktemp -d)"
server=
trap '[ -z "$server" ] || kill -9 "$server" 2> "$work/quiet" || true; rm -rf "$work"' EXIT

linked="$(ldd "$program" | awk '{print ($1 ~ /^\//) ? $1 : ($3 ~ /^\//) ? $3 : $1}')"
for library in $linked; do
    if ! [[ "$(basename "$library")" =~ $provided ]]; then
        echo "error: $program is linked to $library, which the image has not" >&2
        exit 1
    fi
    [ ! -e "$library" ] || install -D "$library" "$work/root$library"
done
install -D "$program" "$work/root/usr/local/bin/trialbook"
install -d -m 1777 "$work/root/tmp"
install -d -o 65534 -g 65534 "$work/root/store"
chmod 755 "$work" "$work/root"

inside=(env -i HOME=/tmp TRIALBOOK_STORE=/store "$(command -v chroot)" --userspec=65534:65534 "$work/root" /usr/local/bin/trialbook)

if "${inside[@]}" --store /elsewhere data sample > "$work/refused" 2>&1; then
    echo "error: the root can be written to" >&2
    exit 1
fi
"${inside[@]}" data sample > "$work/said"
"${inside[@]}" train tfidf --data sample --deploy > "$work/said"
key="$("${inside[@]}" keys add probe --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])')"
port="$(python3 -c 'import socket; probe = socket.socket(); probe.bind(("127.0.0.1", 0)); print(probe.getsockname()[1])')"
"${inside[@]}" serve --host 0.0.0.0 --port "$port" > "$work/served" 2>&1 &
server=$!
for _ in $(seq 300); do
    ! "${inside[@]}" health --port "$port" > "$work/health" 2>&1 || break
    sleep 0.1
done
python3 - "$port" "$key" <<'PYTHON'
import json
import sys
import urllib.request

port, key = sys.argv[1:]
headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
question = json.dumps({"text": "a wonderful film, moving and funny"}).encode()
answer = json.load(urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/predict", question, headers)))
assert answer["label"] == "positive", answer
PYTHON
kill -TERM "$server"
wait "$server" || { echo "error: the server ended with $?, expected 0" >&2; cat "$work/served" >&2; exit 1; }
server=
cat "$work/health"
