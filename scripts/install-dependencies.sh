#!/bin/sh
# Installs the Debian packages that are missing, and does nothing at all when none is.
#
# Usage: scripts/install-dependencies.sh [build|test]
#   build  what the binary is compiled and linked with (default)
#   test   that, and what the tests, the Python client and the comparisons with PostgreSQL need
set -eu

build="binutils ca-certificates git pkg-config libpq-dev libprotobuf-c-dev libsqlite3-dev libyaml-dev"
test="pgbouncer postgresql protobuf-c-compiler protobuf-compiler python3 python3-pip python3-protobuf python3-yaml"

case "${1:-build}" in
build) wanted=$build ;;
test) wanted="$build $test" ;;
*)
    echo "usage: $0 [build|test]" >&2
    exit 2
    ;;
esac

if ! command -v swift >/dev/null; then
    echo "install-dependencies: there is no swift in PATH; the toolchain (6.1 or later) is at https://swift.org/install" >&2
    exit 1
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install-dependencies: no apt here; going on. Debian's names for what is needed: $wanted" >&2
    exit 0
fi

missing=
for package in $wanted; do
    # A removed package whose configuration stayed is known to dpkg too: ask for the state.
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "install-dependencies: installing$missing"
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "install-dependencies: neither root nor sudo; as root: apt-get update && apt-get install -y$missing" >&2
    exit 1
fi

# shellcheck disable=SC2086 # lists of words on purpose
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
    # The tests start clusters of their own and want only the programs: where Debian's PostgreSQL comes new to the machine, it
    # is told not to make and start a cluster for all.
    case " $missing " in
    *" postgresql "*)
        if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
            $as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -q --no-install-recommends postgresql-common </dev/null
            $as_root sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' \
                /etc/postgresql-common/createcluster.conf
        fi
        ;;
    esac
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null
}
