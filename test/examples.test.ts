/** The examples run, and the service refuses what it should. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { fit } from '../dist/index.js';
import { NEWCOMER, planted, temporaryFolder } from './planted.js';

const example = (name: string) => fileURLToPath(new URL(`./examples/${name}`, import.meta.url));

test('the ETL job keeps its promises', async () => {
  const folder = temporaryFolder();
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [example('etl.mjs'), join(folder, 'etl')]);
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toMatchObject({ example: 'etl', users: 11_663, rows: 116_630, ok: true });
  const events = [0, 1, 2].map((part) => `events-${part}.parquet`);
  expect(readdirSync(join(folder, 'etl')).sort()).toEqual([...events, 'recommendations.parquet']);
});

test('the service answers as the model does, and says what is wrong with a request', async () => {
  const { createServer } = await import(example('serve.mjs'));
  const model = await fit('ease', planted(), { lambda: 10 });
  const server = createServer(model);
  try {
    const post = async (url: string, payload: unknown) => {
      const { statusCode, body } = await server.inject({ method: 'POST', url, payload });
      return [statusCode, JSON.parse(body)];
    };
    expect(await post('/recommend', { items: NEWCOMER, k: 3 })).toEqual([200, model.recommend(NEWCOMER, { k: 3 })]);
    const histories = [NEWCOMER, [], ['nothing']];
    expect(await post('/recommend-many', { histories })).toEqual([200, await model.recommendBatch(histories)]);
    // A whole number is an id as everywhere; what no id can be is refused, and not made into one.
    expect(await post('/recommend', { items: [5], k: 3 })).toEqual([200, model.recommend(['5'], { k: 3 })]);
    const bad = [[1.5], [true], [null], [2 ** 53], ['\ud800']].map((items) => ({ items }));
    for (const payload of [{}, { items: 'abc' }, { items: [], k: 0 }, { items: [], k: '3' }, ...bad]) {
      const [status, { error }] = await post('/recommend', payload);
      expect([status, typeof error]).toEqual([400, 'string']);
    }
  } finally {
    await server.close();
  }
});
