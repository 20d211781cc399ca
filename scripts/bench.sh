#!/bin/sh
# Measures the release binary and what it is compared with, in one run: docs/measurements.md. Arguments go to
# Benchmarks/measure.py, behind `load` to Benchmarks/load.py (--help lists them); --write docs/measurements.md puts the tables
# into that page.
set -eu
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "bench: python3 is missing; on Debian: apt-get install python3" >&2; exit 1; }
script=measure
if [ "${1:-}" = load ]; then
    script=load
    shift
fi
exec env PYTHONDONTWRITEBYTECODE=1 python3 "Benchmarks/$script.py" "$@"
