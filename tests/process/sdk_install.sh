#!/usr/bin/env bash
# The SDK as others use it: installed into a folder, found by find_package from a project outside of the tree, which builds and runs.
#
#   tests/process/sdk_install.sh [BIN]
#
#   BIN   folder of the binaries (default build/release/bin); the build folder is the one above
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(cd "${1:-$root/build/release/bin}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hub-sdk.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() { echo "sdk_install: $*" >&2; exit 1; }
run() { "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; fail "$* ended with $?"; }; }

run cmake --install "$bin/.." --component sdk --prefix "$work/prefix"
! grep -rlF -- "$root" "$work/prefix/lib/cmake" || fail "the installed CMake files name the tree"
mkdir "$work/source"
cp "$root"/deploy/samples/cpp/* "$work/source"
run cmake -G Ninja -S "$work/source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix"
run cmake --build "$work/build" --target sample-portal sample-police
id=$("$work/build/sample-portal" --outbox "$work/outbox" add SUSPECTED_COMMUNICATION MOBILE 5551234567)
[[ $id =~ ^[0-9a-f-]{36}$ ]] || fail "the portal's sample prints no report id: $id"
echo "installed, found, built, and run: $id"
