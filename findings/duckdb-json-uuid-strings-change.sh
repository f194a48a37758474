#!/usr/bin/env bash
# DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1): strings in JSON that look like UUIDs or dates come back as other text.
#
# Expected: a JSON string stays the text that stands there.
# Seen: read_json takes UUID-like strings for UUIDs and hands them on in small letters, and 2026-11-29 for a DATE; cast to text, the
# first is another id than the one in the file. One string that is no UUID in the file, and all of them stay as they are.
# What it means for recvae: fromDuckDB declares the id columns of JSON as VARCHAR.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error @duckdb/node-api@1.5.6-r.1 >/dev/null
cat >uuid.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const uuid = 'B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
const line = (id) => `${JSON.stringify({ id })}\n`;
writeFileSync('uuid.ndjson', line(uuid));
writeFileSync('date.ndjson', line('2026-11-29'));
writeFileSync('mixed.ndjson', line(uuid) + line('guest'));
const connection = await (await DuckDBInstance.create()).connect();
for (const file of ['uuid', 'date', 'mixed']) {
  const result = await connection.runAndReadAll(`SELECT id::VARCHAR, typeof(id) FROM read_json('${file}.ndjson') LIMIT 1`);
  console.log(`${file}: ${result.getRows()[0].join(' ')}`);
}
JS
node uuid.mjs | tee seen
diff - seen <<'OUT'
uuid: b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 UUID
date: 2026-11-29 DATE
mixed: B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11 VARCHAR
OUT
