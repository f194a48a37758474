#!/usr/bin/env bash
# apache-arrow (JavaScript) 21.2.0: tableToIPC(table, 'file') writes no schema message in front of the batches.
#
# Expected: by the specification of Arrow's columnar format a file is a mark, a whole stream, which begins with the schema, and a footer.
# Seen: the first message of the file is a record batch (header type 3); the schema stands in the footer alone. Readers that jump to
# the footer first do not notice; those that read from front to back have no schema.
# What it means for recvae: a file without a schema in front is held in memory until its footer has come.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error apache-arrow@21.2.0 >/dev/null
cat >look.mjs <<'JS'
import { Message, Table, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow';
const table = new Table({ user: vectorFromArray(['a'], new Utf8()) });
const firstOf = (bytes) => Message.decode(bytes.subarray(8, 8 + new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true))).headerType;
console.log('stream', firstOf(tableToIPC(table, 'stream').slice()));
console.log('file', firstOf(tableToIPC(table, 'file').slice(8)));
JS
node look.mjs | tee seen
diff - seen <<'OUT'
stream 1
file 3
OUT
