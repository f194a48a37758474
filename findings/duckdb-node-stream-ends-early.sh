#!/usr/bin/env bash
# @duckdb/node-api 1.5.6-r.1: a streamed result whose query fails in the middle ends as if it were whole.
#
# Expected: streamAndReadAll() rejects, as runAndReadAll() does, when row 250,000 of 300,000 is no number.
# Seen: it gives fewer than 250,000 rows, `done` is true, and nothing is thrown; a loop over fetchChunk() ends early as well.
# The same query through run() throws "Conversion Error".
# What it means for recvae: fromDuckDB reads within a transaction, which such a failure breaks, and asks it afterwards.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error @duckdb/node-api@1.5.6-r.1 >/dev/null
cat >stream.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const ids = Array.from({ length: 300_000 }, (_, row) => (row === 250_000 ? 'x' : row));
writeFileSync('ids.csv', `id\n${ids.join('\n')}\n`);
const query = "SELECT CAST(id AS INTEGER) AS id FROM read_csv('ids.csv', header = true, columns = {'id': 'VARCHAR'})";
const connection = await (await DuckDBInstance.create()).connect();

const whole = await connection.runAndReadAll(query).then(() => 'no error', (error) => error.message.split(':')[0]);
console.log(`runAndReadAll: ${whole}`);
const streamed = await connection.streamAndReadAll(query);
const short = streamed.currentRowCount > 0 && streamed.currentRowCount < 250_000;
console.log(`streamAndReadAll: done ${streamed.done}, fewer than 250000 rows: ${short}`);
JS
node stream.mjs | tee seen
diff - seen <<'OUT'
runAndReadAll: Conversion Error
streamAndReadAll: done true, fewer than 250000 rows: true
OUT
