#!/usr/bin/env bash
# Makes the Python code of the hub's API from proto/, as `protoc` and gRPC's plugin of Debian make it.
#
#   deploy/samples/python/generate.sh [DIR]     default: build/python of this tree, where the samples look for it
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
out=${1:-$root/build/python}
plugin=$(command -v grpc_python_plugin) || { echo "generate.sh: want the package protobuf-compiler-grpc" >&2; exit 1; }
mkdir -p "$out"
protoc -I "$root/proto" --python_out="$out" --grpc_out="$out" --plugin=protoc-gen-grpc="$plugin" "$root"/proto/fraudhub/v1/*.proto
