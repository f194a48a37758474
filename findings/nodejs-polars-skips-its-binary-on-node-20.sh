#!/usr/bin/env bash
# nodejs-polars 0.26.1: the package says Node >= 20, its platform packages say Node >= 22.
#
# Expected: where the root package installs, its binary does.
# Seen: the two ranges differ, and npm leaves out an optional dependency whose range does not hold, without a word: on Node 20 the install
# succeeds and the import fails. Here the ranges are read, and where Node is older than 22 the installed folder is looked at, too.
# What it means for recvae: all its packages have one range, and polars is no dependency.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for name in nodejs-polars nodejs-polars-linux-x64-gnu; do
  echo "$name: node $(npm view "$name@0.26.1" engines.node)"
done | tee seen
diff - seen <<'OUT'
nodejs-polars: node >= 20
nodejs-polars-linux-x64-gnu: node >= 22
OUT
if [ "$(node -p 'parseInt(process.versions.node)')" -lt 22 ]; then
  npm init --yes >/dev/null
  npm install --no-audit --no-fund --loglevel=error nodejs-polars@0.26.1 >/dev/null
  if [ ! -d node_modules/nodejs-polars ] || ls node_modules | grep -q '^nodejs-polars-'; then exit 1; fi
  echo 'installed, and no binary with it'
  if node -e "require('nodejs-polars')" 2>/dev/null; then exit 1; fi
fi
