#!/usr/bin/env bash
# A first measurement of this machine: an embedded file in a temporary directory, served and loaded by the release binary.
# CLIENTS (64), IN_FLIGHT (1) and RUN_SECONDS (5 a workload) can be set. Numbers to compare come from one run on one machine.
set -euo pipefail
cd "$(dirname "$0")/.."

prism=$PWD/.build/release/prism
if ! "$prism" bench --help >/dev/null 2>&1; then
    echo "make bench: this version of prism has no bench command yet" >&2
    exit 2
fi

directory=$(mktemp -d)
export PRISM_SOCKET=$directory/prism.sock PRISM_ADMIN_SOCKET=$directory/admin.sock
"$prism" serve --sqlite "$directory/prism.db" >"$directory/log" 2>&1 &
server=$!
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$directory"
}
trap stop EXIT
"$prism" wait || { cat "$directory/log" >&2; exit 1; }

for workload in kv-put kv-get kv-mixed sql; do
    printf '\n==> %s\n' "$workload"
    "$prism" bench --workload "$workload" --clients "${CLIENTS:-64}" --in-flight "${IN_FLIGHT:-1}" \
        --seconds "${RUN_SECONDS:-5}"
done
