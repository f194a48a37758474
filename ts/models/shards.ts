/**
 * Recommendations of one shard of several, in a folder that all shards write to. Histories are cut into parts of so
 * many, in their order; part p is made by shard p mod n, as a file that appears when it is whole. So a shard that was
 * killed goes on with its next part, nothing is lost and nothing is there twice, and the parts in order are what one
 * run without shards gives.
 *
 * | in the folder | what it is |
 * | --- | --- |
 * | `part-00000000.parquet` … | the parts, with the ending of the folder's own name |
 * | `_job.json` | what is made from what; a shard of anything else is refused |
 * | `_done/part-00000000.json` | that a part is whole, its users, and a hash of its histories |
 * | `_done/shard-0-of-4.json` | that a shard is whole |
 * | `_manifest.json`, `_SUCCESS` | that all are: the parts in order; written by the shard that is done last |
 *
 * Names with `_` in front are not data to programs that read such folders: this one, DuckDB (by a pattern), Spark.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type Shard, shardText } from '../data/shard.js';
import { guard, RecvaeError } from '../runtime/errors.js';
import { writeAll } from '../runtime/files.js';
import type { Json } from '../runtime/json.js';
import { writeRecommendations } from './histories.js';
import type { UserRecommendation, UserRequest } from './serving.js';
import { openHistories } from './stream.js';

/** What a shard needs to know of the work. */
export interface ShardJob {
  /** Where the parts go; the ending of its name is theirs, as {@link writeRecommendations} knows them. */
  folder: string;
  shard: Shard;
  /** Users of a part. */
  usersPerPart: number;
  /** What is made from what, the same for all shards. */
  job: { [key: string]: Json };
}

/** What came of a shard. */
export interface ShardResult {
  /** Users of this shard, and how many of its parts were there before. */
  users: number;
  parts: number;
  partsBefore: number;
  /** How many shards are still missing; 0 if the whole is there. */
  missing: number;
}

/** What is known of a part that is whole. */
interface PartMark {
  users: number;
  /** SHA-256 of its histories. */
  histories: string;
}

/** What is known of a shard that is whole. */
interface ShardMark {
  parts: { file: string; users: number }[];
  /** Users of all shards, and SHA-256 of their histories: the same for all shards that have read the same. */
  allUsers: number;
  histories: string;
}

/** Makes the recommendations of one shard. `recommend` gives those of some of its histories, in their order. */
export async function recommendShard(
  { folder, shard, usersPerPart, job }: ShardJob,
  histories: Iterable<UserRequest> | AsyncIterable<UserRequest>,
  recommend: (histories: AsyncIterable<UserRequest>) => AsyncIterable<UserRecommendation>,
): Promise<ShardResult> {
  await beginJob(folder, { ...job, shards: shard.of, usersPerPart });
  const done = join(folder, '_done');
  const markOf = (shard: Shard) => join(done, `shard-${shard.index}-of-${shard.of}.json`);
  removeLeftovers(folder, shard);
  // Also of a shard that was whole: its histories may have changed since, or its files may be gone.
  const { whole, partsBefore } = await makeParts({ folder, shard, usersPerPart, job }, done, histories, recommend);
  const mark = markOf(shard);
  const before = existsSync(mark) ? readJson<ShardMark>(mark) : undefined;
  if (before !== undefined && before.histories !== whole.histories) {
    const text = `the histories are others than when shard ${shardText(shard)} was made; allowed: the same, or another folder`;
    throw new RecvaeError('INVALID_DATA', `${folder}: ${text}`);
  }
  if (before === undefined) await writeJson(mark, whole);
  const users = whole.parts.reduce((sum, { users }) => sum + users, 0);
  const missing = await finish(folder, shard, markOf);
  return { users, parts: whole.parts.length, partsBefore, missing };
}

/** Writes down what is made here, or fails if it is something else. */
async function beginJob(folder: string, job: { [key: string]: Json }): Promise<void> {
  const path = join(folder, '_job.json');
  guard(() => mkdirSync(join(folder, '_done'), { recursive: true }));
  if (!existsSync(path)) {
    const foreign = readdirSync(folder).find((name) => !/^[._]/.test(name));
    if (foreign !== undefined && !existsSync(path)) {
      const text = `${folder} has the file ${foreign} and no _job.json; allowed: a new or empty folder, or one with parts of this job`;
      throw new RecvaeError('INVALID_DATA', text);
    }
    // Shards that begin at once write the same; who wrote something else before is found below.
    await writeJson(path, job);
  }
  const there = readJson<{ [key: string]: Json }>(path);
  for (const key of new Set([...Object.keys(there), ...Object.keys(job)])) {
    const [before, now] = [there[key], job[key]].map((value) => JSON.stringify(value ?? null));
    if (before === now) continue;
    const text = `${folder} has parts of another job: ${key} is ${before} there, and ${now} here; allowed: the same, or another folder`;
    throw new RecvaeError('INVALID_DATA', text);
  }
}

/** The name of a part. */
function partName(folder: string, part: number): string {
  const [ending] = /(?:\.(?:ndjson|jsonl|csv)(?:\.gz)?|\.parquet)$/i.exec(folder.replace(/\/+$/, '')) ?? [''];
  return `part-${String(part).padStart(8, '0')}${ending}`;
}

/** Makes the parts of a shard that are not there. */
async function makeParts(
  { folder, shard, usersPerPart }: ShardJob,
  done: string,
  histories: Iterable<UserRequest> | AsyncIterable<UserRequest>,
  recommend: (histories: AsyncIterable<UserRequest>) => AsyncIterable<UserRecommendation>,
): Promise<{ whole: ShardMark; partsBefore: number }> {
  const source = new Cut(openHistories(histories), usersPerPart);
  const all = createHash('sha256');
  const whole: ShardMark = { parts: [], allUsers: 0, histories: '' };
  let partsBefore = 0;
  try {
    for (let part = 0; await source.begin(); part += 1) {
      if (part % shard.of !== shard.index) {
        for await (const _ of source.part(all)) whole.allUsers += 1;
        continue;
      }
      const file = partName(folder, part);
      const [path, mark] = [join(folder, file), join(done, `part-${String(part).padStart(8, '0')}.json`)];
      const before = existsSync(mark) && existsSync(path) ? readJson<PartMark>(mark) : undefined;
      const hash = createHash('sha256');
      if (before === undefined) {
        await writeRecommendations(path, recommend(source.part(all, hash)));
      } else {
        for await (const _ of source.part(all, hash));
      }
      const own: PartMark = { users: source.taken, histories: hash.digest('hex') };
      if (before !== undefined && (before.users !== own.users || before.histories !== own.histories)) {
        const text = `${path} was made from other histories than there are now; allowed: the same, or another folder`;
        throw new RecvaeError('INVALID_DATA', text);
      }
      if (before === undefined) await writeJson(mark, own);
      else partsBefore += 1;
      whole.parts.push({ file, users: own.users });
      whole.allUsers += own.users;
    }
  } finally {
    await source.close();
  }
  whole.histories = all.digest('hex');
  return { whole, partsBefore };
}

/** Histories in parts of so many. */
class Cut {
  /** Histories of the last part that were taken. */
  taken = 0;
  readonly #source: Iterator<UserRequest> | AsyncIterator<UserRequest>;
  readonly #size: number;
  #first: IteratorResult<UserRequest> | undefined;
  #ended = false;

  constructor(source: Iterator<UserRequest> | AsyncIterator<UserRequest>, size: number) {
    this.#source = source;
    this.#size = size;
  }

  /** Whether there is one more part. */
  async begin(): Promise<boolean> {
    if (this.#ended) return false;
    this.#first = await this.#source.next();
    this.#ended = this.#first.done === true;
    return !this.#ended;
  }

  /** The histories of that part, which go into the hashes. */
  async *part(...hashes: Hash[]): AsyncGenerator<UserRequest> {
    this.taken = 0;
    for (let next = this.#first!; !next.done; next = await this.#source.next()) {
      const { user, items, allow, deny } = next.value;
      const text = `${JSON.stringify([user, items, allow, deny])}\n`;
      for (const hash of hashes) hash.update(text);
      this.taken += 1;
      yield next.value;
      if (this.taken === this.#size) return;
    }
    this.#ended = true;
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.#source.return?.();
  }
}

/** Writes the manifest if all shards are done and their parts are there, and says how many are not. */
async function finish(folder: string, { of }: Shard, markOf: (shard: Shard) => string): Promise<number> {
  const shards = Array.from({ length: of }, (_, index) => ({ index, of }));
  const isThere = ({ parts }: ShardMark) => parts.every(({ file }) => existsSync(join(folder, file)));
  const marks = shards
    .filter((shard) => existsSync(markOf(shard)))
    .map((shard) => readJson<ShardMark>(markOf(shard)))
    .filter(isThere);
  if (marks.length < of) {
    // It said that all are done; by now parts are gone.
    rmSync(join(folder, '_SUCCESS'), { force: true });
    return of - marks.length;
  }
  const other = marks.findIndex(({ histories }) => histories !== marks[0]!.histories);
  if (other >= 0) {
    const [first, second] = [shardText(shards[0]!), shardText(shards[other]!)];
    const text = `shard ${second} has read other histories than shard ${first}; allowed: the same, in the same order`;
    throw new RecvaeError('INVALID_DATA', `${folder}: ${text}`);
  }
  const parts = marks.flatMap(({ parts }) => parts).sort((a, b) => (a.file < b.file ? -1 : 1));
  await writeJson(join(folder, '_manifest.json'), { users: marks[0]!.allUsers, parts });
  await writeAll([{ path: join(folder, '_SUCCESS'), write: () => {} }]);
  return 0;
}

/**
 * Removes what a killed process has left of this shard's parts; the core's names of files on their way begin like this.
 */
function removeLeftovers(folder: string, { index, of }: Shard): void {
  for (const name of readdirSync(folder)) {
    const [, part] = /^\.recvae-part-(\d{8})\..*-[A-Za-z0-9]{6}$/.exec(name) ?? [];
    if (part !== undefined && Number(part) % of === index) rmSync(join(folder, name), { force: true });
  }
}

async function writeJson(path: string, value: object): Promise<void> {
  await writeAll([{ path, write: (path) => writeFileSync(path, `${JSON.stringify(value)}\n`) }]);
}

function readJson<T>(path: string): T {
  const text = guard(() => readFileSync(path, 'utf8'));
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new RecvaeError('INVALID_DATA', `${path} is no JSON; allowed: what a shard wrote`, { cause: thrown });
  }
}

/** What a model file is, by its name and a hash of its header, which has the checksum of everything in it. */
export function modelIdentity(path: string): Json {
  return guard(() => {
    const file = openSync(path, 'r');
    try {
      const length = Buffer.alloc(8);
      readSync(file, length, 0, 8, 0);
      const header = Buffer.alloc(Number(length.readBigUInt64LE()));
      readSync(file, header, 0, header.length, 8);
      return { file: basename(path), sha256: createHash('sha256').update(length).update(header).digest('hex') };
    } finally {
      closeSync(file);
    }
  });
}
