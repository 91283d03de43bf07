#!/usr/bin/env bash
# Lints the API definition (proto/) with buf's STANDARD rules; a formatter's opinion is not asked.
#
#   tests/buf_lint.sh [FOLDER]      default: proto
#
# buf comes from npm, pinned, once, into build/tools; later runs need no network.
set -euo pipefail

version=1.75.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
proto=${1:-$root/proto}
tool=$root/build/tools/buf-$version
buf=$tool/node_modules/.bin/buf

if [[ ! -x $buf ]]; then
  command -v npm >/dev/null || { echo "buf_lint.sh: npm is missing: run deploy/packages.sh --tests" >&2; exit 1; }
  mkdir -p "$root/build/tools"
  part=$(mktemp -d "$tool.XXXXXX")
  trap 'rm -rf "$part"' EXIT
  if ! npm install --prefix "$part" --no-save --no-audit --no-fund --loglevel=error --fetch-retries=2 \
    --fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=5000 \
    "@bufbuild/buf@$version" >"$part/npm.log" 2>&1; then
    tail -n 20 "$part/npm.log" >&2
    echo "buf_lint.sh: npm could not fetch @bufbuild/buf@$version (is its registry reachable?)" >&2
    exit 1
  fi
  # A rename, so that the folder is complete or absent; somebody faster is as good.
  mv -T "$part" "$tool" 2>/dev/null || [[ -x $buf ]]
  trap - EXIT
  rm -rf "$part"
fi
cd "$proto"
exec "$buf" lint
