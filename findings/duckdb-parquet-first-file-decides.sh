#!/usr/bin/env bash
# DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1): over several Parquet files the first one's types decide, and text ids are cast to them.
#
# Expected: ids that are whole numbers in one file and text in another are an error, or text in both.
# Seen: with the file of numbers first, the text '007' becomes the number 7 without a word, so that users 7 and 007 are one; with
# the file of text first they stay two. The order of the names in a folder decides. With union_by_name they stay two either way.
# What it means for recvae: fromDuckDB asks for the types of all files, and does not take the first one's for granted.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error @duckdb/node-api@1.5.6-r.1 >/dev/null
cat >types.mjs <<'JS'
import { DuckDBInstance } from '@duckdb/node-api';

const connection = await (await DuckDBInstance.create()).connect();
await connection.run(`COPY (SELECT 7::BIGINT AS "user") TO 'numbers.parquet'`);
await connection.run(`COPY (SELECT '007' AS "user") TO 'text.parquet'`);
for (const files of [`['numbers.parquet', 'text.parquet']`, `['text.parquet', 'numbers.parquet']`]) {
  for (const options of ['', ', union_by_name = true']) {
    const result = await connection.runAndReadAll(`SELECT DISTINCT "user" FROM read_parquet(${files}${options}) ORDER BY ALL`);
    console.log(`${files}${options}: ${result.getRows().map(([user]) => user).join(' and ')}`);
  }
}
JS
node types.mjs | tee seen
diff - seen <<'OUT'
['numbers.parquet', 'text.parquet']: 7
['numbers.parquet', 'text.parquet'], union_by_name = true: 007 and 7
['text.parquet', 'numbers.parquet']: 007 and 7
['text.parquet', 'numbers.parquet'], union_by_name = true: 007 and 7
OUT
