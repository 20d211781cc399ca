#!/bin/sh
# Runs the end-to-end tests against the built binary (PRISM_BINARY, else .build/debug/prism, else .build/release/prism).
# With arguments only those modules: Tests/EndToEnd/run.sh test_conformance test_sql
set -eu
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
exec "${PYTHON:-/usr/bin/python3}" run.py "$@"
