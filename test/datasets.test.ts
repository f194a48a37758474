/** Published data sets: downloads from a server on this machine, their archives, and what is read of them. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { download } from '../dist/data/download.js';
import { filesHere, getPublished } from '../dist/data/published.js';
import { description, native } from '../dist/runtime/native.js';
import { running } from '../dist/runtime/running.js';
import { recvae } from './command.js';
import { plantedColumns, temporaryFolder } from './planted.js';

/** A server on loopback; what comes back is its address. */
async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<string> {
  let number = 0;
  const server = createServer((request, response) => {
    number += 1;
    answer(request, response, number);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const md5 = (bytes: Buffer) => `md5:${createHash('md5').update(bytes).digest('hex')}`;

/** The polynomial of ZIP, for Node without `crc32`. */
function checksum(bytes: Buffer): number {
  if (crc32) return crc32(bytes);
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A ZIP archive of files, compressed or stored as they are. */
function zip(files: Record<string, Buffer>, method: 0 | 8 = 8): Buffer {
  const [local, central]: [Buffer[], Buffer[]] = [[], []];
  let at = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const packed = method === 8 ? deflateRawSync(bytes) : bytes;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(checksum(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const header = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), packed]);
    const offset = Buffer.alloc(14);
    offset.writeUInt32LE(at, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, offset, Buffer.from(name)]));
    local.push(header);
    at += header.length;
  }
  const list = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(central.length, 8);
  end.writeUInt16LE(central.length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...local, list, end]);
}

/** Bytes that nothing makes shorter. */
const BODY = createHash('shake256', { outputLength: 200_000 }).update('body').digest();

/** Answers a whole file or a part of it, as servers do. */
function send(request: IncomingMessage, response: ServerResponse, body: Buffer, etag = '"one"'): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? -1);
  const isSame = request.headers['if-range'] === etag;
  if (start >= body.length && isSame) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
  } else if (start >= 0 && isSame) {
    const range = `bytes ${start}-${body.length - 1}/${body.length}`;
    response.writeHead(206, { etag, 'content-length': body.length - start, 'content-range': range });
    response.end(body.subarray(start));
  } else {
    response.writeHead(200, { etag, 'content-length': body.length });
    response.end(body);
  }
}

/** Begins to answer, and breaks off. */
function breakOff(
  response: ServerResponse,
  body: Buffer,
  bytes: number,
  headers: Record<string, string | number>,
): void {
  response.writeHead(200, { 'content-length': body.length, ...headers });
  response.write(body.subarray(0, bytes), () => response.destroy());
}

describe('a download', () => {
  test('tells how far it is, follows redirections and leaves nothing but the file', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/a') response.writeHead(302, { location: '/b' }).end('elsewhere');
      else if (request.url === '/b') response.writeHead(307, { location: 'c?x=1' }).end();
      else send(request, response, BODY);
    });
    const path = join(temporaryFolder(), 'new', 'file');
    const told: [number, number | undefined][] = [];
    const onProgress = (bytes: number, total: number | undefined) => told.push([bytes, total]);
    await download({ url: `${url}/a`, path, checksum: md5(BODY), onProgress });
    expect(readFileSync(path).equals(BODY)).toBe(true);
    expect(told.at(-1)).toEqual([BODY.length, BODY.length]);
    expect(readdirSync(join(path, '..'))).toEqual(['file']);
  });

  test.skipIf(!existsSync('/dev/full'))('onto a full disk is an error, also in its last piece', async () => {
    const url = await serve((request, response) => send(request, response, Buffer.from('little')));
    const path = join(temporaryFolder(), 'file');
    symlinkSync('/dev/full', `${path}.part`);
    await expect(download({ url, path, checksum: '' })).rejects.toThrow(/^cannot write .*ENOSPC/);
    expect(existsSync(path)).toBe(false);
  });

  test('goes on where it broke off, at once and in a later call', async () => {
    const ranges: (string | undefined)[] = [];
    let arrived = 0;
    const url = await serve(async (request, response, number) => {
      ranges.push(request.headers.range);
      // The first call is given up after four transfers; the second one needs one.
      if (number <= 4) {
        const start = Number(/(\d+)/.exec(request.headers.range ?? '0')![1]);
        const status = start > 0 ? 206 : 200;
        response.writeHead(status, {
          etag: '"one"',
          'content-length': BODY.length - start,
          ...(start > 0 && { 'content-range': `bytes ${start}-${BODY.length - 1}/${BODY.length}` }),
        });
        response.write(BODY.subarray(start, start + 10_000));
        while (arrived < start + 10_000) await setTimeout(1);
        response.destroy();
      } else send(request, response, BODY);
    });
    const path = join(temporaryFolder(), 'file');
    const onProgress = (bytes: number) => {
      arrived = bytes;
    };
    const what = { url, path, checksum: md5(BODY), patience: 1, onProgress };
    await expect(download(what)).rejects.toThrow(
      /^cannot download http:\/\/127.*: the transfer .*; 40000 bytes are kept, and the same command goes on from there$/,
    );
    expect(existsSync(path)).toBe(false);
    const retried: string[] = [];
    await download({ ...what, onRetry: (why) => retried.push(why) });
    expect([ranges, retried]).toEqual([
      [undefined, 'bytes=10000-', 'bytes=20000-', 'bytes=30000-', 'bytes=40000-'],
      [],
    ]);
    expect(readFileSync(path).equals(BODY)).toBe(true);
  });

  test('begins anew where the file is another one by now, or nobody knows', async () => {
    const versions: Record<string, string>[] = [{ etag: '"old"' }, { etag: 'W/"weak"' }, {}];
    for (const headers of versions) {
      const url = await serve((request, response, number) => {
        if (number === 1) breakOff(response, Buffer.alloc(BODY.length), 5000, headers);
        else send(request, response, BODY);
      });
      const path = join(temporaryFolder(), 'file');
      await download({ url, path, checksum: md5(BODY), patience: 1 });
      expect(readFileSync(path).equals(BODY)).toBe(true);
    }
  });

  test('of another checksum is no file', async () => {
    const url = await serve((request, response) => send(request, response, BODY));
    const folder = temporaryFolder();
    const path = join(folder, 'file');
    const wanted = '0'.repeat(32);
    await expect(download({ url, path, checksum: `md5:${wanted}` })).rejects.toMatchObject({
      code: 'INVALID_DATA',
      message: `${url} has the ${md5(BODY).replace(':', ' ')}; allowed: ${wanted}, that of the data set. What came is removed`,
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('says what the server says, tries again what may pass, and stops where it is stopped', async () => {
    let asked = 0;
    const url = await serve((request, response) => {
      asked += 1;
      if (request.url === '/none') response.writeHead(404, 'Not Found').end('no');
      else if (request.url === '/busy') response.writeHead(503, 'Busy').end();
      else if (request.url === '/loop') response.writeHead(301, { location: '/loop' }).end();
      else if (request.url === '/other') response.writeHead(301, { location: 'file:///etc/passwd' }).end();
      else response.writeHead(200, { 'content-length': BODY.length }).write(BODY.subarray(0, 100));
    });
    const path = join(temporaryFolder(), 'file');
    const of = (name: string) => download({ url: `${url}/${name}`, path, checksum: '', patience: 1 });
    await expect(of('none')).rejects.toMatchObject({
      code: 'IO',
      message: `cannot download ${url}/none: the server says 404 Not Found`,
    });
    expect(asked).toBe(1);
    await expect(of('busy')).rejects.toThrow(`cannot download ${url}/busy: the server says 503 Busy`);
    expect(asked).toBe(5);
    await expect(of('loop')).rejects.toThrow('it leads from one place to another more than 10 times');
    await expect(of('other')).rejects.toThrow('it leads to file:///etc/passwd; allowed: https, and http from http');
    const controller = new AbortController();
    const stopped = download({
      url: `${url}/slow`,
      path,
      checksum: '',
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(existsSync(path)).toBe(false);
    await expect(download({ url: 'http://127.0.0.1:1/x', path, checksum: '', patience: 1 })).rejects.toThrow(
      /^cannot download http:\/\/127\.0\.0\.1:1\/x: the transfer broke off/,
    );
  });
});

describe('an archive', () => {
  const read = async (bytes: Buffer, member: string) => {
    const path = join(temporaryFolder(), 'a.zip');
    writeFileSync(path, bytes);
    const to = join(temporaryFolder(), 'member');
    writeFileSync(to, 'what was there before');
    await running({}, (run) => native.unzip(path, member, to, run));
    return readFileSync(to);
  };

  test('gives its files, compressed, stored and empty', async () => {
    const files = { 'd/a.txt': BODY, 'd/b.txt': Buffer.from('b'), 'd/c.txt': Buffer.alloc(0) };
    for (const method of [0, 8] as const) {
      for (const [name, bytes] of Object.entries(files))
        expect((await read(zip(files, method), name)).equals(bytes)).toBe(true);
    }
    expect((await read(Buffer.concat([zip(files), Buffer.from('a comment')]), 'd/b.txt')).toString()).toBe('b');
  });

  test('that is damaged, cut off or has no such file is an error', async () => {
    const whole = zip({ 'a.txt': BODY });
    const changed = Buffer.from(whole);
    changed[5000]! ^= 0xff;
    const crc = Buffer.from(whole);
    crc[crc.length - 22 - 5 - 46 + 16]! ^= 0xff;
    for (const [bytes, member, text] of [
      [whole, 'b.txt', 'there is no file b.txt among a.txt; allowed: a ZIP archive, whole'],
      [whole.subarray(0, 1000), 'a.txt', '; allowed: a ZIP archive, whole'],
      [Buffer.from('PK'), 'a.txt', '; allowed: a ZIP archive, whole'],
      [changed, 'a.txt', 'a.txt is damaged'],
      [crc, 'a.txt', 'a.txt is damaged'],
      [whole.subarray(200), 'a.txt', '; allowed: a ZIP archive, whole'],
    ] as const) {
      await expect(read(bytes, member)).rejects.toMatchObject({
        code: 'INVALID_DATA',
        message: expect.stringContaining(text),
      });
    }
  });
});

/** The planted data as the ratings of MovieLens 20M, with ids that are numbers. */
function ratings(): string {
  const { users, items } = plantedColumns(260);
  const known = new Map<string, number>();
  const number = (item: string) => known.get(item) ?? known.set(item, 100 + known.size).get(item)!;
  const rows = users.map(
    (user, row) => [Number(user.slice(1)) + 1, number(items[row]!), row % 11 === 0 ? 3.5 : 4.5] as const,
  );
  const lines = [...rows].sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((row) => `${row.join(',')},0\n`);
  return `userId,movieId,rating,timestamp\n${lines.join('')}`;
}

describe('a published data set', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('is downloaded, unpacked and kept', async () => {
    const folder = temporaryFolder();
    vi.stubEnv('RECVAE_DATA', folder);
    const archive = zip({ 'set/README': Buffer.from('terms'), 'set/ratings.csv': Buffer.from(ratings()) });
    let asked = 0;
    const url = await serve((request, response) => {
      asked += 1;
      send(request, response, archive);
    });
    const file = { url: `${url}/set.zip`, checksum: md5(archive), member: 'set/ratings.csv', name: 'ratings.csv' };
    const set = { ...description.published[3]!, files: [file] };
    expect(filesHere(set)).toBeUndefined();
    const [gotten] = await getPublished(set);
    expect(gotten).toEqual({
      path: join(folder, set.name, 'ratings.csv'),
      sha256: createHash('sha256').update(archive).digest('hex'),
    });
    expect(readFileSync(gotten!.path, 'utf8')).toBe(ratings());
    expect(readdirSync(join(folder, set.name))).toEqual(['ratings.csv']);
    expect(await getPublished(set)).toEqual([{ path: gotten!.path, sha256: '' }]);
    expect([filesHere(set), asked]).toEqual([[gotten!.path], 1]);
    // An archive without the file is not kept, and neither is half a file.
    const other = { ...set, name: 'other', files: [{ ...file, member: 'none.csv' }] };
    await expect(getPublished(other)).rejects.toThrow('there is no file none.csv among set/README, set/ratings.csv');
    expect(readdirSync(join(folder, 'other'))).toEqual([]);
  });

  test('is read and split as in the papers, and never downloaded unasked', async () => {
    const folder = temporaryFolder();
    vi.stubEnv('RECVAE_DATA', join(folder, 'data'));
    const missing = await recvae(folder, ['compare', 'ml-20m']);
    expect([missing.code, missing.stderr]).toEqual([
      1,
      'recvae: the data set ml-20m is not on this machine; the way out: recvae datasets get ml-20m, which downloads it on terms that it shows\n',
    ]);
    const asked = await recvae(folder, ['datasets', 'get', 'netflix']);
    expect([asked.code, asked.stderr]).toEqual([
      2,
      expect.stringMatching(/not offered for download; whoever has a copy puts mv_\*\.txt into /),
    ]);
    mkdirSync(join(folder, 'data', 'ml-20m'), { recursive: true });
    writeFileSync(join(folder, 'data', 'ml-20m', 'ratings.csv'), ratings());
    const args = ['--validation', '30', '--test', '30', '--json', '-'];
    const found = await recvae(folder, ['split', 'ml-20m', '--out', 'a', ...args]);
    expect(found.code, found.stderr).toBe(0);
    expect(found.stderr).toContain('ml-20m is MovieLens 20M; terms: research only');
    const { users, leftOut } = JSON.parse(found.stdout);
    expect(users).toMatchObject({ validation: 30, test: 30 });
    expect(leftOut[0]).toMatchObject({ reason: 'minValue' });
    // The same of the same file by its preset, and with all of it in flags.
    const path = join('data', 'ml-20m', 'ratings.csv');
    const flags = ['--format', 'movielens-20m', '--generator', 'numpy', '--seed', '98765', '--short-users', 'drop'];
    for (const [out, more] of [
      ['b', ['--preset', 'ml-20m']],
      ['c', flags],
    ] as const) {
      expect((await recvae(folder, ['split', path, ...more, '--out', out, ...args])).code).toBe(0);
      for (const name of ['test_te.csv', 'unique_uid.txt', 'train.csv']) {
        expect(readFileSync(join(folder, out, name), 'utf8')).toBe(readFileSync(join(folder, 'a', name), 'utf8'));
      }
    }
    const few = await recvae(folder, ['compare', 'ml-20m']);
    expect([few.code, few.stderr]).toEqual([
      1,
      expect.stringContaining('10000 for validation and 10000 for test leave none to train on'),
    ]);
    const listed = JSON.parse((await recvae(folder, ['datasets', '--json', '-'])).stdout);
    expect(
      listed.published.filter(({ here }: { here: boolean }) => here).map(({ name }: { name: string }) => name),
    ).toEqual(['ml-20m']);
  });

  test('of the command line shows its terms, and refuses another checksum', async () => {
    const folder = temporaryFolder();
    vi.stubEnv('RECVAE_DATA', join(folder, 'data'));
    const url = await serve((request, response) => send(request, response, BODY));
    const { code, stdout, stderr } = await recvae(folder, [
      'datasets',
      'get',
      'ml-100k',
      '--from',
      `${url}/ml-100k.zip`,
    ]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(
      'MovieLens 100K: https://grouplens.org/datasets/movielens/100k/\nterms: research only; no commercial use',
    );
    expect(stderr).toContain('ml-100k.zip has the md5 ');
    expect(existsSync(join(folder, 'data', 'ml-100k', 'u.data'))).toBe(false);
    // Of this one nobody publishes a checksum.
    const lists = await serve((request, response) => {
      const isTrain = request.url?.includes('train');
      send(request, response, zip({ 'train_triplets.txt': Buffer.from(isTrain ? 'u\ts\t1\nv\ts\t2\n' : '') }));
    });
    const msd = await recvae(folder, ['datasets', 'get', 'msd', '--from', `${lists}/train.zip`, '--json', '-']);
    expect(msd.code, msd.stderr).toBe(0);
    expect(msd.stderr).toContain('warning: its publisher gives no checksum');
    expect(JSON.parse(msd.stdout).files).toHaveLength(1);
    for (const [args, text] of [
      [['datasets', 'put'], "<action> is 'put'; allowed: get"],
      [['datasets', 'get'], '<name> is missing; allowed: ml-100k, '],
      [['datasets', 'get', 'ml-2m'], "<name> is 'ml-2m'; allowed: ml-100k, "],
      [
        ['datasets', 'get', 'gowalla', '--from', url],
        `from is '${url}'; allowed: none: the data set has several files`,
      ],
      [
        ['datasets', 'get', 'ml-100k', '--from', 'x.zip'],
        "--from is 'x.zip'; allowed: an address with http: or https:",
      ],
      [['datasets', '--from', url], '--from has no meaning without get'],
      [['compare', 'none.csv', '--preset', 'x'], "--preset is 'x'; allowed: ml-100k, "],
    ] as const) {
      const wrong = await recvae(folder, [...args]);
      expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(text)]);
    }
  });
});
