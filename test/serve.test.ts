/** The server: what it answers, what it refuses, and that nobody notices when the model is swapped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Ajv2020 as Ajv } from 'ajv/dist/2020.js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createServer, fit, ModelHolder, RecvaeError, type ServerOptions } from '../dist/index.js';
import { CLI, recvae } from './command.js';
import { NEWCOMER, planted, temporaryFolder } from './planted.js';

/** The codes that the pages list. */
const CODES = new Set(
  ['errors', 'serving'].flatMap((page) => {
    const text = readFileSync(new URL(`../docs/${page}.md`, import.meta.url), 'utf8');
    return [...text.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code]) => code!);
  }),
);

async function modelFile(lambda = 10): Promise<string> {
  const path = join(temporaryFolder(), 'served.safetensors');
  await (await fit('ease', planted(), { lambda })).save(path);
  return path;
}

async function started(options: ServerOptions = {}) {
  const holder = await ModelHolder.open(await modelFile());
  const server = await createServer(holder, options);
  const url = await server.listen();
  onTestFinished(async () => {
    await server.close();
    holder.dispose();
  });
  const ask = async (path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}${path}`, {
      ...(body !== undefined && { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    // biome-ignore lint/suspicious/noExplicitAny: whatever the server says
    return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as any };
  };
  return { url, holder, server, ask, model: holder.current.model };
}

describe('the server', () => {
  test('answers as the model does', async () => {
    const { ask, model } = await started();
    const lists = { allow: ['i2-5', 'i2-6', 'i0-0', 'new'], deny: ['i2-6'] };
    for (const [path, asked, expected] of [
      ['/recommend', { items: NEWCOMER, k: 3 }, model.recommend(NEWCOMER, { k: 3 })],
      ['/recommend', { items: NEWCOMER, ...lists }, model.recommend(NEWCOMER, lists)],
      [
        '/recommend',
        { items: [...NEWCOMER, 5, 'x'], includeSeen: true },
        model.recommend([...NEWCOMER, 5, 'x'], { filterSeen: false }),
      ],
      ['/recommend', { items: [], k: 2 }, model.recommend([], { k: 2 })],
      ['/recommend', { items: ['x'], k: 2, fallback: 'none' }, model.recommend(['x'], { k: 2, fallback: 'none' })],
      [
        '/recommend/batch',
        { histories: [{ items: NEWCOMER, deny: ['i2-5'] }, { items: [] }], k: 2, deny: ['i2-6'] },
        { results: await model.recommendBatch([{ items: NEWCOMER, deny: ['i2-5'] }, []], { k: 2, deny: ['i2-6'] }) },
      ],
      [
        '/similar',
        { item: 'i2-0', k: 3, deny: ['i2-1'] },
        { items: model.similarItems('i2-0', 3, { deny: ['i2-1'] }) },
      ],
      ['/explain', { items: NEWCOMER, item: 'i2-5', k: 2 }, await model.explain(NEWCOMER, 'i2-5', { k: 2 })],
    ] as const) {
      const { status, body } = await ask(path, asked);
      expect([status, body], JSON.stringify(asked)).toEqual([200, expected]);
    }
    expect((await ask('/recommend', { items: [] })).body.fallbackUsed).toBe(true);
  });

  test('refuses what is wrong, and says what is allowed', async () => {
    const { ask } = await started({ bodyLimit: 2000, maxK: 20, maxIds: 30, maxHistories: 2 });
    const cases: [string, unknown, number, RegExp][] = [
      ['/recommend', {}, 400, /must have required property 'items'/],
      ['/recommend', { items: 'abc' }, 400, /items must be array/],
      ['/recommend', { items: [], k: 0 }, 400, /k must be >= 1/],
      ['/recommend', { items: [], k: 21 }, 400, /k must be <= 20/],
      ['/recommend', { items: [], k: '3' }, 400, /k must be integer/],
      ['/recommend', { items: [], fallback: 'x' }, 400, /^body\/fallback is .*; allowed: 'popularity', 'none'$/],
      ['/recommend', { items: [], filter: 1 }, 400, /^a key of body is 'filter'; \/openapi.json/],
      ['/recommend', { items: Array(31).fill('a') }, 400, /must NOT have more than 30 items/],
      ['/recommend', { items: [1.5] }, 400, /items\/0 must be string,integer/],
      ['/recommend', { items: ['\ud800'] }, 400, /^items\[0\] is "\\ud800", with half of a character/],
      ['/similar', { item: '\ud800' }, 400, /^item is "\\ud800", with half of a character/],
      ['/explain', { items: ['a', '\ud800'], item: 'i2-5' }, 400, /^items\[1\] is "\\ud800", with half/],
      ['/recommend/batch', { histories: [{ items: [] }, { items: [] }, { items: [] }] }, 400, /more than 2 items/],
      ['/similar', { item: 'none' }, 400, /'none'/],
      ['/explain', { items: NEWCOMER, item: 'none' }, 400, /'none'/],
      ['/recommend', 'no JSON', 400, /^the body is not JSON, .*; allowed: a JSON object$/],
      ['/recommend', '{ "items": [], "__proto__": {} }', 400, /'__proto__'/],
      ['/recommend', '', 400, /^the body is empty; allowed: a JSON object$/],
      ['/recommend', [], 400, /^body must be object$/],
      ['/recommend', { items: ['x'.repeat(2000)] }, 413, /^the body has 2014 bytes; allowed: 2000 at most$/],
      ['/%zz', { items: [] }, 400, /^the path is '\/%zz', which is not percent-encoded/],
      ['/nothing', { items: [] }, 404, /there is no POST \/nothing/],
    ];
    for (const [path, body, status, message] of cases) {
      const found = await ask(path, body);
      expect([found.status, Object.keys(found.body)], JSON.stringify(body)).toEqual([status, ['error']]);
      expect(found.body.error.message).toMatch(message);
      expect(CODES).toContain(found.body.error.code);
      if (status !== 404) expect(found.body.error.code).toMatch(/^INVALID_(?:ARGUMENT|DATA)$/);
    }
    const plain = await ask('/recommend', '{}', { 'content-type': 'text/plain' });
    expect(plain).toMatchObject({
      status: 415,
      body: {
        error: { code: 'INVALID_ARGUMENT', message: "content-type is 'text/plain'; allowed: application/json" },
      },
    });
  });

  test('refuses in the same shape what is no request, and what does not say how large it is', async () => {
    const { url } = await started({ bodyLimit: 20 });
    const { hostname, port } = new URL(url);
    const chunked =
      'POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
    const cases: [string, number, RegExp][] = [
      ['no request\r\n\r\n', 400, /^this is no request: .*; allowed: HTTP\/1.1$/],
      [
        `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
        431,
        /^the headers are too large; allowed: \d+ bytes$/,
      ],
      [`${chunked}28\r\n${' '.repeat(40)}\r\n0\r\n\r\n`, 413, /^the body has more than 20 bytes; allowed: 20 at most$/],
    ];
    for (const [request, status, message] of cases) {
      const socket = connect(Number(port), hostname);
      let answer = '';
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.write(request);
      await once(socket, 'close');
      const [head, body] = answer.split('\r\n\r\n');
      expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      const { error } = JSON.parse(body!);
      expect(error.code).toBe('INVALID_ARGUMENT');
      expect(error.message).toMatch(message);
    }
  });

  test('takes no number that JSON rounds for an id, and does not show another one than was sent', async () => {
    const { ask } = await started();
    const large = '9007199254740993'; // 2^53 + 1, which is read as 2^53
    const above = 'is a number from 2^53 on, where numbers cannot be told exactly';
    const allowed = 'allowed: a string or a whole number below 2^53 (larger ones as strings)';
    for (const [path, body, key] of [
      ['/recommend', `{ "items": ["a", ${large}] }`, 'items/1'],
      ['/recommend', `{ "items": [], "deny": [${large}] }`, 'deny/0'],
      ['/recommend/batch', `{ "histories": [{ "items": [] }, { "items": [${large}] }] }`, 'histories/1/items/0'],
      ['/similar', `{ "item": ${large} }`, 'item'],
      ['/explain', `{ "items": [${large}], "item": "i2-5" }`, 'items/0'],
      ['/explain', `{ "items": [], "item": ${large}0000 }`, 'item'],
    ] as const) {
      const error = { code: 'INVALID_ARGUMENT', message: `body/${key} ${above}; ${allowed}` };
      expect(await ask(path, body), body).toMatchObject({ status: 400, body: { error } });
    }
    const below = await ask('/recommend', `{ "items": [-${large}] }`);
    expect(below.body.error.message).toContain('body/items/0 is a number of -2^53 or less, where');
    const largest = await ask('/recommend', `{ "items": [${2 ** 53 - 1}, ${1 - 2 ** 53}, "${large}"] }`);
    expect(largest.body.unknown).toEqual(['9007199254740991', '-9007199254740991', large]);
  });

  test('gives as many as it may where a request says no k', async () => {
    for (const [maxK, expected] of [
      [1, 1],
      [5, 5],
      [10, 10],
      [12, 10],
    ] as const) {
      const { ask } = await started({ maxK });
      const { body: recommended } = await ask('/recommend', { items: NEWCOMER });
      expect(recommended.items).toHaveLength(expected);
      const { body: batch } = await ask('/recommend/batch', { histories: [{ items: NEWCOMER }] });
      expect(batch.results[0].items).toHaveLength(expected);
      expect((await ask('/similar', { item: 'i2-0' })).body.items).toHaveLength(expected);
      const { reasons } = (await ask('/explain', { items: NEWCOMER, item: 'i2-5' })).body;
      expect(reasons).toHaveLength(Math.min(expected, NEWCOMER.length));
      const { paths } = (await ask('/openapi.json')).body;
      for (const path of ['/recommend', '/recommend/batch', '/similar', '/explain']) {
        const { schema, example } = paths[path].post.requestBody.content['application/json'];
        expect(schema.properties.k).toMatchObject({ minimum: 1, maximum: maxK, default: expected });
        expect(example.k).toBeLessThanOrEqual(maxK);
      }
    }
  });

  test('has a key, if it is given one', async () => {
    const { ask } = await started({ apiKey: 'open sesame' });
    const asked = { items: NEWCOMER };
    for (const headers of [
      {},
      { 'x-api-key': 'open' },
      { authorization: 'Bearer open sesam' },
      { authorization: 'x' },
    ]) {
      for (const path of ['/recommend', '/nothing']) {
        const { status, body, headers: answered } = await ask(path, asked, headers as Record<string, string>);
        expect([status, body.error.code]).toEqual([401, 'UNAUTHORIZED']);
        expect(answered.get('www-authenticate')).toBe('Bearer');
      }
      expect((await ask('/metrics', undefined, headers as Record<string, string>)).status).toBe(401);
      expect((await ask('/openapi.json', undefined, headers as Record<string, string>)).status).toBe(401);
    }
    expect((await ask('/health/live')).status).toBe(200);
    expect((await ask('/health/ready')).status).toBe(200);
    expect((await ask('/recommend', asked, { 'x-api-key': 'open sesame' })).status).toBe(200);
    expect((await ask('/recommend', asked, { authorization: 'bearer open sesame' })).status).toBe(200);
    expect((await ask('/metrics', undefined, { authorization: 'Bearer open sesame' })).body).toContain(
      'recvae_http_requests_refused_total{reason="key"} 16',
    );
  });

  test('refuses more requests at once than it may have, and takes them again afterwards', async () => {
    const { url, ask } = await started({ maxConcurrent: 2 });
    // Heads without their bodies: they are at work until they go away.
    const { hostname, port } = new URL(url);
    const head = `POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n`;
    const waiting = [1, 2].map(() => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write(head);
      return socket;
    });
    const inFlight = async () => /^recvae_http_requests_in_flight (\d+)$/m.exec((await ask('/metrics')).body)?.[1];
    while ((await inFlight()) !== '2') await setTimeout(5);
    const refused = await ask('/recommend', { items: [] });
    expect([refused.status, refused.body.error.code, refused.headers.get('retry-after')]).toEqual([
      503,
      'TOO_MUCH_WORK',
      '1',
    ]);
    expect((await ask('/health/ready')).status).toBe(200);
    for (const socket of waiting) socket.destroy();
    while ((await inFlight()) !== '0') await setTimeout(5);
    // Whole requests, whose senders go away while they are at work.
    for (let round = 0; round < 3; round += 1) {
      for (let number = 0; number < 2; number += 1) {
        const socket = connect(Number(port), hostname);
        socket.on('error', () => {});
        const body = JSON.stringify({ histories: Array.from({ length: 500 }, () => NEWCOMER) });
        const sized = head.replace('/recommend', '/recommend/batch').replace('100', String(body.length));
        await new Promise<void>((sent) => socket.write(sized + body, () => sent()));
        socket.destroy();
      }
      while ((await inFlight()) !== '0') await setTimeout(5);
    }
    expect((await ask('/recommend', { items: [] })).status).toBe(200);
  });

  test('gives places back whose senders pipelined and went away, once their work has stopped', async () => {
    const { url, holder, server, ask } = await started({ maxConcurrent: 8 });
    const { hostname, port } = new URL(url);
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const use = holder.use.bind(holder);
    holder.use = async (work) => {
      await gate;
      return use(work);
    };
    const body = JSON.stringify({ histories: [{ items: NEWCOMER }] });
    const head = 'POST /recommend/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`.repeat(5));
    const inFlight = async (number: number) => {
      const told = () => Number(/^recvae_http_requests_in_flight (\d+)$/m.exec(server.metrics())![1]);
      for (let waited = 0; told() !== number && waited < 2000; waited += 5) await setTimeout(5);
      return told();
    };
    expect(await inFlight(5)).toBe(5);
    socket.destroy();
    await setTimeout(50);
    expect(await inFlight(5)).toBe(5);
    open();
    expect(await inFlight(0)).toBe(0);
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('/recommend', { items: NEWCOMER })));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  test('closes beside connections that are silent, slow or do not take their answer', async () => {
    const { url, server } = await started({ requestTimeout: 300 });
    const { hostname, port } = new URL(url);
    const head = 'POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n';
    const sockets = await Promise.all(
      ['', 'POST /recomm', `${head}\r\n{"items"`].map(async (sent) => {
        const socket = connect(Number(port), hostname);
        socket.on('error', () => {});
        await once(socket, 'connect');
        if (sent !== '') await new Promise<void>((done) => socket.write(sent, () => done()));
        return socket;
      }),
    );
    const gone = sockets.map((socket) => new Promise((closed) => socket.resume().on('close', closed)));
    await Promise.all([server.close(), ...gone]);
  });

  test('takes requests that arrive in time, and no others', async () => {
    const { url } = await started({ requestTimeout: 400 });
    const { hostname, port } = new URL(url);
    const head = 'POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 12\r\n';
    for (const sent of ['POST /recomm', `${head}\r\n{"items"`]) {
      const socket = connect(Number(port), hostname);
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.write(sent);
      await once(socket, 'close');
      expect(answer).toMatch(/^HTTP\/1.1 408 .*"the request had not arrived in time; allowed: 400 milliseconds/s);
    }
  });

  test('measures in the text of Prometheus', async () => {
    const { ask } = await started();
    for (const items of [NEWCOMER, [], ['x', 'y']]) await ask('/recommend', { items });
    await ask('/recommend', {});
    await ask('/some/path/of/somebody', {});
    const { body, headers } = await ask('/metrics');
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const lines = (body as string).split('\n');
    expect(lines.pop()).toBe('');
    for (const line of lines) {
      expect(line).toMatch(
        /^# (?:HELP|TYPE) [a-z_]+ \S|^[a-z_]+(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? [-+.\de]+$/,
      );
    }
    const name = 'recvae_http_request_duration_seconds';
    const of = (status: string) => `method="POST",route="/recommend",status="${status}"`;
    expect(lines).toContain(`${name}_count{${of('200')}} 3`);
    expect(lines).toContain(`${name}_count{${of('400')}} 1`);
    expect(lines).toContain(`${name}_bucket{${of('200')},le="+Inf"} 3`);
    expect(lines).toContain(`${name}_count{method="POST",route="none",status="404"} 1`);
    expect(lines).toContain('recvae_fallbacks_total 2');
    expect(lines).toContain('recvae_unknown_ids_total 2');
    expect(lines).toContain('recvae_model_info{kind="ease",generation="1"} 1');
    expect(lines).toContain('recvae_model_items 40');
    // Classes hold those below them.
    const classes = lines
      .filter((line) => line.startsWith(`${name}_bucket{${of('200')}`))
      .map((line) => Number(line.split(' ')[1]));
    expect(classes.length).toBeGreaterThan(10);
    expect(classes).toEqual([...classes].sort((a, b) => a - b));
  });

  test('tells in OpenAPI what it answers, and answers that', async () => {
    const { ask } = await started({ apiKey: 'k' });
    const key = { 'x-api-key': 'k' };
    const { body: api } = await ask('/openapi.json', undefined, key);
    expect(api.openapi).toBe('3.1.0');
    const posts = Object.entries(api.paths).filter(([, methods]) => 'post' in (methods as object));
    expect(posts.map(([path]) => path)).toEqual(['/recommend', '/recommend/batch', '/similar', '/explain']);
    const ajv = new Ajv({ strict: false }); // the document is no schema itself;
    ajv.addSchema({ ...api, $id: 'api' }, 'api');
    const check = (schema: object, value: unknown) => {
      const text = JSON.stringify(schema).replaceAll('"#/', '"api#/');
      const validate = ajv.compile(JSON.parse(text));
      expect(validate(value), `${JSON.stringify(validate.errors)} ${JSON.stringify(value)}`).toBe(true);
    };
    // biome-ignore lint/suspicious/noExplicitAny: a document
    for (const [path, { post }] of posts as [string, { post: any }][]) {
      const { schema, example } = post.requestBody.content['application/json'];
      check(schema, example);
      // The example's ids, as those of this model.
      const names: Record<string, string> = { 318: 'i2-0', 858: 'i2-1', 1196: 'i2-2' };
      const body = JSON.stringify(example).replace(/"(318|858|1196)"/g, (_, id) => `"${names[id]}"`);
      const found = await ask(path, body, key);
      expect(found.status, path).toBe(200);
      const { responses } = post;
      check(responses[200]!.content['application/json'].schema, found.body);
      check(responses[400]!.content['application/json'].schema, (await ask(path, {}, key)).body);
      check(responses[401]!.content['application/json'].schema, (await ask(path, {})).body);
    }
    for (const path of ['/health/live', '/health/ready']) {
      check(api.paths[path].get.responses[200].content['application/json'].schema, (await ask(path)).body);
    }
  });

  test('says while it closes that it does, in the shape of all errors', async () => {
    const { url, server } = await started();
    const { hostname, port } = new URL(url);
    const head = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n`;
    const cases: [string, number][] = [
      ['/metrics', 503],
      ['/nothing', 503],
      ['/health/ready', 503],
      ['/health/live', 200],
    ];
    // Requests whose heads begin before it closes, and end while it does. What is answered first says that they have
    // begun.
    const begun = await Promise.all(
      cases.map(async ([path]) => {
        const socket = connect(Number(port), hostname);
        socket.write(`${head('/health/live')}\r\n${head(path)}`);
        await once(socket, 'data');
        return socket;
      }),
    );
    const closed = server.close();
    for (const [at, [path, status]] of cases.entries()) {
      const socket = begun[at]!;
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.write('\r\n');
      await once(socket, 'close');
      expect(answer, path).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      const body = JSON.parse(answer.split('\r\n\r\n')[1]!);
      const error = { code: 'CLOSING', message: 'the server is about to stop' };
      expect(body, path).toEqual(status === 200 ? { status: 'live' } : { error });
    }
    await closed;
  });

  test('ends what is at work when it closes', async () => {
    const { ask, server, holder } = await started();
    const asked = Array.from({ length: 20 }, () => ask('/explain', { items: NEWCOMER, item: 'i2-5' }));
    await Promise.race(asked);
    await server.close();
    const answers = await Promise.allSettled(asked);
    // Those that had not arrived are refused; those that had are answered.
    for (const answer of answers) {
      if (answer.status === 'fulfilled') expect([200, 503]).toContain(answer.value.status);
    }
    expect(holder.current.model.kind).toBe('ease');
  });

  test('is not available when its holder is disposed of; the process lives', async () => {
    const { ask, server, holder } = await started();
    holder.dispose();
    const gone = { status: 503, body: { error: { code: 'CLOSING', message: expect.stringContaining('disposed') } } };
    expect(await ask('/recommend', { items: NEWCOMER })).toMatchObject(gone);
    expect(await ask('/similar', { item: 'i2-5' })).toMatchObject(gone);
    expect(await ask('/health/ready')).toMatchObject(gone);
    expect(await ask('/health/live')).toMatchObject({ status: 200 });
    expect(server.metrics()).not.toContain('kind="ease"');
    expect(server.metrics()).toContain('recvae_');
  });

  test('checks its options', async () => {
    const holder = await ModelHolder.open(await modelFile());
    onTestFinished(() => holder.dispose());
    await expect(createServer(holder, { bodyLimt: 1 } as object)).rejects.toThrow("'bodyLimt'; allowed: bodyLimit");
    await expect(createServer(holder, { maxK: 0 })).rejects.toThrow('maxK is 0; allowed: a whole number, 1 or more');
    await expect(createServer(holder, { apiKey: '' })).rejects.toThrow('apiKey is empty or no text; allowed: text');
    await expect(createServer({} as never)).rejects.toThrow('holder is an object; allowed: an instance of ModelHolder');
  });

  test('checks its address, and listens once', async () => {
    const holder = await ModelHolder.open(await modelFile());
    const server = await createServer(holder);
    onTestFinished(async () => {
      await server.close();
      holder.dispose();
    });
    const refused = async (address: unknown, message: string) => {
      const error = await server.listen(address as object).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(RecvaeError);
      expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', message]);
    };
    for (const [port, shown] of [
      ['x', "'x'"],
      ['80', "'80'"],
      [-1, '-1'],
      [65_536, '65536'],
      [1.5, '1.5'],
      [Number.NaN, 'NaN'],
      [80n, '80n'],
      [null, 'null'],
    ] as const) {
      await refused({ port }, `port is ${shown}; allowed: a whole number from 0 to 65535`);
    }
    for (const [host, shown] of [
      [5, '5'],
      ['', "''"],
      [null, 'null'],
      [['::1'], 'an array'],
    ] as const) {
      await refused({ host }, `host is ${shown}; allowed: a name or an address, such as 127.0.0.1`);
    }
    await refused({ prot: 80 }, "a key of address is 'prot'; allowed: host, port");
    await refused(8080, 'address is 8080; allowed: an object');
    await expect(server.listen({ host: '256.0.0.1' })).rejects.toMatchObject({ code: 'IO' });
    expect(await server.listen({ port: 0, host: '127.0.0.1' })).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await refused(undefined, 'the server listens already; allowed: one that was just made');
    await server.close();
    await refused(undefined, 'the server is closed; allowed: one that was just made');
  });
});

/** The command in the background, until it tells its address. */
async function serve(args: string[], env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, [CLI, 'serve', ...args, '--port', '0'], {
    env: { ...process.env, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'exit');
  await new Promise<void>((resolve, reject) => {
    ended.then(([code]) => reject(new Error(`it ended with ${code}: ${stderr}`)), reject);
    child.stdout!.on('data', (chunk) => {
      stdout += chunk;
      if (stdout.includes('\n')) resolve();
    });
  });
  const said = async (text: RegExp) => {
    while (!text.test(stderr)) await setTimeout(5);
  };
  return { child, url: stdout.trim(), ended, said, stderr: () => stderr };
}

describe('recvae serve', () => {
  test('loads the model anew on SIGHUP and for another file, without a failed request', async () => {
    const path = await modelFile(10);
    const other = await modelFile(500);
    const { child, url, ended, said, stderr } = await serve([path, '--watch', '0.01']);
    const body = JSON.stringify({ items: NEWCOMER, k: 3 });
    const post = async () => {
      const response = await fetch(`${url}/recommend`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(response.status).toBe(200);
      return response.text();
    };
    const models = await Promise.all([path, other].map((file) => ModelHolder.open(file)));
    const right = models.map(({ current }) => JSON.stringify(current.model.recommend(NEWCOMER, { k: 3 })));
    for (const holder of models) holder.dispose();
    expect(right[0]).not.toBe(right[1]);
    let isOver = false;
    const answers = new Set<string>();
    const asking = Array.from({ length: 4 }, async () => {
      while (!isOver) answers.add(await post());
    });
    expect(await post()).toBe(right[0]);
    // Another file in its place.
    copyFileSync(other, `${path}.new`);
    renameSync(`${path}.new`, path);
    while ((await post()) !== right[1]) await setTimeout(1);
    const loads = () => stderr().split(' serves: ').length - 1;
    const before = loads();
    child.kill('SIGHUP');
    while (loads() === before) await setTimeout(5);
    // A file that is none is told, and the old model serves on.
    writeFileSync(path, 'no model');
    await said(
      /the model was not loaded anew, and the old one serves on: .*served.safetensors: not a safetensors file/,
    );
    expect(await post()).toBe(right[1]);
    isOver = true;
    await Promise.all(asking);
    expect([...answers].sort()).toEqual([...right].sort());
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  test('takes its key from a file or the environment, and ends on Ctrl-C', async () => {
    const path = await modelFile();
    const file = join(temporaryFolder(), 'key');
    writeFileSync(file, 'secret\n');
    for (const [args, env] of [
      [[path, '--api-key-file', file, '--no-watch'], {}],
      [[path], { RECVAE_API_KEY: 'secret' }],
    ] as const) {
      const { child, url, ended } = await serve([...args], env);
      expect((await fetch(`${url}/openapi.json`)).status).toBe(401);
      expect((await fetch(`${url}/openapi.json`, { headers: { authorization: 'Bearer secret' } })).status).toBe(200);
      child.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
    }
  });

  test('says what is wrong', async () => {
    const folder = temporaryFolder();
    const path = await modelFile();
    writeFileSync(join(folder, 'empty'), ' \n');
    const cases: [string[], number, string][] = [
      [['none.safetensors'], 1, 'none.safetensors'],
      [[path, '--port', '70000'], 2, '--port is 70000; allowed: a whole number from 0 to 65535'],
      [[path, '--watch', '0'], 2, '--watch is 0; allowed: a number of seconds from 0.01 to 2147483.647'],
      [[path, '--watch', '3000000'], 2, '--watch is 3000000; allowed: a number of seconds from 0.01 to 2147483.647'],
      [[path, '--api-key-file', 'none'], 1, 'cannot open none: no such file or directory (ENOENT)'],
      [[path, '--max-k', '0'], 2, '--max-k is 0; allowed: a whole number, 1 or more'],
      [[path, '--api-key-file', 'empty'], 2, "--api-key-file is 'empty', which is empty; allowed: a file with a key"],
      [[path, '--host', '256.0.0.1'], 1, '256.0.0.1'],
    ];
    for (const [args, code, text] of cases) {
      const found = await recvae(folder, ['serve', ...args]);
      expect([found.code, found.stdout], found.stderr).toEqual([code, '']);
      expect(found.stderr).toContain(text);
      expect(found.stderr).toContain('recvae: ');
      expect(found.stderr).not.toContain(' serves: ');
    }
  });
});
