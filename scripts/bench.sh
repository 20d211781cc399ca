#!/bin/sh
# Measures the release binary and what it is compared with, in one run: docs/measurements.md. Arguments go to
# Benchmarks/measure.py, behind `load`, `pipelines` or `start` to the script of that name (--help lists them); --write docs/measurements.md
# puts the tables into that page.
set -eu
cd "$(dirname "$0")/.."
# Debian's, which has protobuf; another one may not.
python=${PYTHON:-/usr/bin/python3}
command -v "$python" >/dev/null || { echo "bench: python3 is missing; on Debian: apt-get install python3" >&2; exit 1; }
script=measure
case "${1:-}" in
    load | pipelines | start)
        script=$1
        shift
        ;;
esac
exec env PYTHONDONTWRITEBYTECODE=1 "$python" "Benchmarks/$script.py" "$@"
