#!/bin/sh
# Formats the Swift sources with .swift-format, or with --check fails on what is not formatted.
set -eu
cd "$(dirname "$0")/.."
case "${1:-}" in
"") swift format format --in-place --recursive --parallel Package.swift Sources Tests ;;
--check) swift format lint --strict --recursive --parallel Package.swift Sources Tests ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
