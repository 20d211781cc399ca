#!/bin/sh
# Random and mutated frames: half of the time into the decoder and the core in process, half through a running server's socket
# beside a healthy client. Release code, so that it is what runs in a pod; traps stay traps there.
#
#   FUZZ_SECONDS  in all (default 60)
#   SEED          one run of this seed on both ways, to reproduce it. Without it each day begins at a seed of its own
set -eu
cd "$(dirname "$0")/.."

scripts/install-dependencies.sh test
swift build -c release --product prism-fuzz
swift build -c release --static-swift-stdlib --product prism
scripts/python-proto.sh >/dev/null

half=$((${FUZZ_SECONDS:-60} / 2))
[ "$half" -gt 0 ] || half=1
if [ -n "${SEED:-}" ]; then
    seed=$SEED runs=1
else
    seed=$(($(date +%s) / 86400 * 10000000)) runs=0
fi

failed=0
.build/release/prism-fuzz --seconds "$half" --seed "$seed" --runs "$runs" || failed=1
PRISM_BINARY=$PWD/.build/release/prism PYTHONDONTWRITEBYTECODE=1 \
    "${PYTHON:-/usr/bin/python3}" Tests/EndToEnd/fuzz.py --seconds "$half" --seed "$seed" --runs "$runs" || failed=1
exit $failed
