#!/usr/bin/env bash
# hyparquet-writer 0.17.0: a column of arrays without a type is written as text of JSON, not as a list, and hyparquet hides it.
#
# Expected: arrays of strings become Parquet's LIST of strings, as DuckDB and pyarrow write them; the manual says that types are detected from the
# data, and says nothing of arrays.
# Seen: the column is of BYTE_ARRAY with the mark JSON. hyparquet 1.33.0 parses it on reading, so that the way there and back looks right;
# DuckDB 1.5.6 has a column of type JSON, whose value is one text, and refuses unnest(). With a schema of three levels a list is written.
# What it means for recvae: histories (a user and the list of their items) that Node wrote with this package have one text where the items should
# be; fromDuckDB refuses the type, and docs/data.md has the cast that reads the lists.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error hyparquet@1.33.0 hyparquet-writer@0.17.0 @duckdb/node-api@1.5.6-r.1 >/dev/null
cat >lists.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';

const columnData = [{ name: 'items', data: [['a', 'b'], ['c']] }];
const list = [
  { name: 'root', num_children: 1 },
  { name: 'items', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
];
const connection = await (await DuckDBInstance.create()).connect();
const first = async (query) => (await connection.runAndReadAll(query)).getRowsJson()[0].map((value) => JSON.stringify(value)).join(' ');
for (const [name, schema] of [['detected'], ['schema', list]]) {
  const file = parquetWriteBuffer({ columnData, ...(schema && { schema }) });
  writeFileSync(`${name}.parquet`, new Uint8Array(file));
  console.log(`${name}, hyparquet: ${JSON.stringify((await parquetReadObjects({ file }))[0].items)}`);
  console.log(`${name}, DuckDB: ${await first(`SELECT typeof(items), items FROM '${name}.parquet'`)}`);
  const unnest = await first(`SELECT unnest(items) FROM '${name}.parquet'`).catch((error) => error.message.split(':')[0]);
  console.log(`${name}, DuckDB's unnest: ${unnest}`);
}
console.log(`read as a list: ${await first("SELECT items::VARCHAR[] FROM 'detected.parquet'")}`);
JS
node lists.mjs | tee seen
diff - seen <<'OUT'
detected, hyparquet: ["a","b"]
detected, DuckDB: "JSON" "[\"a\",\"b\"]"
detected, DuckDB's unnest: Binder Error
schema, hyparquet: ["a","b"]
schema, DuckDB: "VARCHAR[]" ["a","b"]
schema, DuckDB's unnest: "a"
read as a list: ["a","b"]
OUT
