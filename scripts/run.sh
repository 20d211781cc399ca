#!/bin/sh
# Installs what is missing, builds, and serves an embedded SQLite file until Ctrl-C. Arguments go to `prism serve`.
#
# PRISM_DATA names the directory of the file (default: $XDG_DATA_HOME/prism, that is ~/.local/share/prism).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

scripts/install-dependencies.sh build
swift build -c release --static-swift-stdlib --product prism

data=${PRISM_DATA:-${XDG_DATA_HOME:-${HOME:-/var/tmp}/.local/share}/prism}
mkdir -p "$data"

cat <<TEXT

Serving $data/prism.db. In another shell:

    export PATH="$root/.build/release:\$PATH"

    prism kv put greeting hello
    prism kv get greeting
    prism sql 'select 1'
    prism status

Ctrl-C ends it. \`prism serve --help\` lists what can be set.

TEXT
exec "$root/.build/release/prism" serve --sqlite "$data/prism.db" "$@"
