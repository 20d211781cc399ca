#!/bin/sh
# Regenerates the committed C of proto/prism/v1/prism.proto, or with --check fails when it is not what the schema gives.
#
# protobuf-c hands a `string` out as a char * that ends at the first NUL, and prints no length. The schema's strings are
# therefore generated as bytes, which look the same on the wire; whoever reads one checks its UTF-8.
set -eu
cd "$(dirname "$0")/.."

check=false
case "${1:-}" in
"") ;;
--check) check=true ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac

command -v protoc-c >/dev/null || {
    echo "regenerate-proto: protoc-c is missing; on Debian: apt-get install protobuf-c-compiler" >&2
    exit 1
}

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$temporary/prism/v1"
sed -E 's/^([[:space:]]+(repeated )?)string /\1bytes /' proto/prism/v1/prism.proto >"$temporary/prism/v1/prism.proto"
(cd "$temporary" && protoc-c --c_out=. prism/v1/prism.proto)

failed=false
deliver() { # generated file, committed file
    if $check; then
        diff -u "$2" "$1" || failed=true
    elif ! cmp -s "$1" "$2"; then
        cp "$1" "$2"
        echo "regenerate-proto: wrote $2"
    fi
}
deliver "$temporary/prism/v1/prism.pb-c.h" Sources/CPrismWire/include/prism/v1/prism.pb-c.h
deliver "$temporary/prism/v1/prism.pb-c.c" Sources/CPrismWire/prism.pb-c.c

if $failed; then
    echo "regenerate-proto: the committed C is not what proto/prism/v1/prism.proto gives; run make proto" >&2
    exit 1
fi
