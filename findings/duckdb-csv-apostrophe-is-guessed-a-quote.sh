#!/usr/bin/env bash
# DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1): one field that begins with an apostrophe and a later one that ends with one make the
# sniffer take apostrophes for quotes, and all rows between the two become one field.
#
# Expected: 1,000 rows; RFC 4180 knows the double quote alone, and there is none in the file.
# Seen: 701 rows, one of which has a field of more than 2,000 characters; no error, and no reject. With quote = '"' there are 1,000.
# What it means for recvae: fromDuckDB says the whole dialect instead of letting it be guessed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error @duckdb/node-api@1.5.6-r.1 >/dev/null
cat >bands.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const band = (row) => ({ 300: "'n sync", 599: "guns n'" })[row] ?? `band ${row % 50}`;
const rows = Array.from({ length: 1000 }, (_, row) => `user ${row % 97},${band(row)}`);
writeFileSync('bands.csv', `user,band\n${rows.join('\n')}\n`);
const connection = await (await DuckDBInstance.create()).connect();
for (const options of ['', `, quote = '"'`]) {
  const result = await connection.runAndReadAll(`SELECT count(*), max(length(band)) > 2000 FROM read_csv('bands.csv'${options})`);
  console.log(`read_csv('bands.csv'${options}): ${result.getRows()[0].join(' rows, a field above 2000 characters: ')}`);
}
JS
node bands.mjs | tee seen
diff - seen <<'OUT'
read_csv('bands.csv'): 701 rows, a field above 2000 characters: true
read_csv('bands.csv', quote = '"'): 1000 rows, a field above 2000 characters: false
OUT
