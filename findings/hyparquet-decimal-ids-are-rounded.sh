#!/usr/bin/env bash
# hyparquet 1.33.0: whole numbers of type DECIMAL come back rounded to 53 bits, those of type BIGINT exactly.
#
# Expected: columns of DECIMAL(18, 0) and BIGINT hold the same whole numbers in the same eight bytes, and hyparquet reads the latter as bigint,
# so that the former are exact, too, as text or bigint; its manual says nothing of decimals.
# Seen: 9007199254740993 and 9007199254740992 are one number by DECIMAL(18, 0) and DECIMAL(38, 0), and two by BIGINT. DuckDB 1.5.6, which
# wrote the file, reads them all apart.
# What it means for recvae: databases whose only whole number is NUMBER(38, 0) export ids so, and two items become one before a program sees them.
# fromDuckDB keeps the digits of such files; of rows from hyparquet a number from 2^53 on is an error here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error hyparquet@1.33.0 @duckdb/node-api@1.5.6-r.1 >/dev/null
cat >ids.mjs <<'JS'
import { DuckDBInstance } from '@duckdb/node-api';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';

const connection = await (await DuckDBInstance.create()).connect();
for (const type of ['BIGINT', 'DECIMAL(18, 0)', 'DECIMAL(38, 0)']) {
  await connection.run(`COPY (SELECT unnest([9007199254740992, 9007199254740993])::${type} AS item) TO 'ids.parquet'`);
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile('ids.parquet') });
  const ids = rows.map(({ item }) => `${typeof item} ${item}`).join(', ');
  const texts = await connection.runAndReadAll("SELECT item::VARCHAR FROM 'ids.parquet'");
  console.log(`${type}: ${ids}; DuckDB ${texts.getRows().join(', ')}`);
}
JS
node ids.mjs | tee seen
diff - seen <<'OUT'
BIGINT: bigint 9007199254740992, bigint 9007199254740993; DuckDB 9007199254740992, 9007199254740993
DECIMAL(18, 0): number 9007199254740992, number 9007199254740992; DuckDB 9007199254740992, 9007199254740993
DECIMAL(38, 0): number 9007199254740992, number 9007199254740992; DuckDB 9007199254740992, 9007199254740993
OUT
