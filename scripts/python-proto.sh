#!/bin/sh
# Generates the Python messages of proto/prism/v1/prism.proto into clients/python/prism/v1/. They are not committed:
# generated Python is bound to the protobuf version that wrote it, so every machine makes its own.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
command -v protoc >/dev/null || {
    echo "python-proto: protoc is missing; on Debian: apt-get install protobuf-compiler python3-protobuf" >&2
    exit 1
}
# protoc writes prism/v1/prism_pb2.py in place; a temporary directory keeps importers from seeing half a file.
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
protoc --proto_path="$root/proto" --python_out="$temporary" prism/v1/prism.proto
mkdir -p "$root/clients/python/prism/v1"
mv "$temporary/prism/v1/prism_pb2.py" "$root/clients/python/prism/v1/prism_pb2.py.new"
mv "$root/clients/python/prism/v1/prism_pb2.py.new" "$root/clients/python/prism/v1/prism_pb2.py"
echo "python-proto: wrote clients/python/prism/v1/prism_pb2.py"
