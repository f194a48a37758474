/** Rows of a real PostgreSQL, by the three ways in which its driver hands them out. Skipped where there is none. */

import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Client } from 'pg';
import QueryStream from 'pg-query-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Interactions, RecvaeError, type RowCursor } from '../dist/index.js';
import { plantedColumns } from './planted.js';
import { findPostgres, type Postgres, startPostgres } from './postgres.js';

const Cursor = createRequire(import.meta.url)('pg-cursor') as new (sql: string) => RowCursor;
const bin = findPostgres();

const SELECT = 'SELECT customer, sku, stars, bought FROM likes ORDER BY number';
const OPTIONS = { user: 'customer', item: 'sku', value: 'stars', timestamp: 'bought' };

describe.skipIf(bin === undefined)('PostgreSQL', () => {
  const { users, items } = plantedColumns();
  let server: Postgres;
  let client: Client;

  beforeAll(async () => {
    server = await startPostgres(bin!);
    client = await server.connect();
    await client.query(`CREATE TABLE likes (
      number serial, customer text NOT NULL, sku bigint NOT NULL, stars numeric(3, 1), bought timestamptz NOT NULL)`);
    const skus = items.map((item) => `90071992547409${item.slice(1).replace('-', '')}`);
    const stars = items.map((_, row) => 1 + (row % 9) / 2);
    const days = items.map((_, row) => new Date(Date.UTC(2026, 0, 1 + (row % 28))));
    await client.query(
      `INSERT INTO likes (customer, sku, stars, bought)
       SELECT * FROM unnest($1::text[], $2::bigint[], $3::numeric[], $4::timestamptz[])`,
      [users, skus, stars, days],
    );
  });

  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });

  /** What the rows are without a database. */
  function expected(keep: (row: number) => boolean = () => true) {
    const rows = users.map((_, row) => row).filter(keep);
    return Interactions.fromColumns({
      users: rows.map((row) => users[row]!),
      items: rows.map((row) => `90071992547409${items[row]!.slice(1).replace('-', '')}`),
    });
  }

  function same(found: Interactions, other: Interactions): void {
    expect(found.userIds()).toEqual(other.userIds());
    expect(found.itemIds()).toEqual(other.itemIds());
    for (const user of other.userIds()) expect(found.history(user)).toEqual(other.history(user));
  }

  /** Whether the connection takes another query, as it does once the cursor is closed. */
  async function isFree(): Promise<void> {
    expect((await client.query('SELECT count(*)::int AS n FROM likes')).rows).toEqual([{ n: users.length }]);
  }

  test('a stream, a cursor and an array of rows are the same', async () => {
    const whole = expected();
    const stream = client.query(new QueryStream(SELECT, [], { batchSize: 100 }));
    same(await Interactions.fromRows(stream, OPTIONS), whole);
    await isFree();
    same(await Interactions.fromRows(client.query(new Cursor(SELECT) as never) as RowCursor, OPTIONS), whole);
    await isFree();
    same(await Interactions.fromRows((await client.query(SELECT)).rows, OPTIONS), whole);
    const { rows } = await client.query({ text: SELECT, rowMode: 'array' });
    same(await Interactions.fromRows(rows, { user: 0, item: 1 }), whole);
  });

  test('NUMERIC, which comes as text, and dates decide which rows count', async () => {
    const data = await Interactions.fromRows(client.query(new QueryStream(SELECT)), {
      ...OPTIONS,
      minValue: 3.5,
      since: new Date(Date.UTC(2026, 0, 3)),
      until: new Date(Date.UTC(2026, 0, 20)),
    });
    same(
      data,
      expected((row) => 1 + (row % 9) / 2 >= 3.5 && row % 28 >= 2 && row % 28 < 19),
    );
  });

  test('a refused row closes the stream and the cursor, and the connection is free again', async () => {
    const bad =
      'SELECT customer, sku, CASE WHEN number = 50 THEN NULL ELSE stars END AS stars FROM likes ORDER BY number';
    const stream = client.query(new QueryStream(bad, [], { batchSize: 10 }));
    const closed = once(stream, 'close');
    const refusal = {
      code: 'INVALID_ARGUMENT',
      message: 'value of row 49 is null; allowed: a number or the text of one',
    };
    const { user, item, value } = OPTIONS;
    await expect(Interactions.fromRows(stream, { user, item, value })).rejects.toMatchObject(refusal);
    await closed;
    await isFree();
    const cursor = client.query(new Cursor(bad) as never) as RowCursor;
    await expect(Interactions.fromRows(cursor, { user, item, value })).rejects.toMatchObject(refusal);
    await isFree();
  });

  test('what the database says comes through', async () => {
    const failing = 'SELECT customer, sku / (number - 60) AS sku FROM likes';
    const error = await Interactions.fromRows(client.query(new QueryStream(failing)), {
      user: 'customer',
      item: 'sku',
    }).catch((thrown) => thrown);
    expect(error).not.toBeInstanceOf(RecvaeError);
    expect(error).toMatchObject({ code: '22012', message: 'division by zero' });
    await isFree();
  });

  test('an abort closes the stream, also while the database does not answer', async () => {
    const other = await server.connect();
    const controller = new AbortController();
    const slow = other.query(new QueryStream('SELECT pg_sleep(3600), 1 AS user, 2 AS item'));
    const reading = Interactions.fromRows(slow, {}, { signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(slow.destroyed).toBe(true);
    // The session sleeps on until it is told to end.
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1', [
      'SELECT pg_sleep%',
    ]);
    other.end().catch(() => {}); // it has ended
  });
});
