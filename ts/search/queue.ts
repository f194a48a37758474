/**
 * Trials that other processes run, on this and on other machines: by a queue of BullMQ in Redis. The search stays in
 * one process, which offers each trial under an id that is a hash of what it trains; whoever serves the queue trains it
 * and gives its result back. A trial whose process is killed is given to another one when its lock has ended, and
 * counts once, by its id.
 *
 * The queue has a name of its own for each split and version of this package, so that nobody serves trials on other
 * data.
 */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Job, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Split } from '../data/split.js';
import { unlessAborted } from '../runtime/abort.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError, type RecvaeErrorCode } from '../runtime/errors.js';
import { description, version } from '../runtime/native.js';
import { absent } from '../runtime/optional.js';
import type { ComputeOptions } from '../runtime/options.generated.js';
import { canonical } from './journal.js';
import type { Trial, TrialResult } from './trials.js';

/**
 * Milliseconds after which a trial of a process that says nothing any more is given to another one, and between looks
 * for such.
 */
const LOCK = 10_000;
const LOOK = 5000;
/** How often a trial is tried whose process has ended by itself, such as for want of memory. */
const ATTEMPTS = 3;

/** What is offered. */
export interface Offered {
  trial: Trial;
  compute: ComputeOptions;
}

/** What comes back: errors cross as they are, so that the search fails as it would here. */
export type Answer = { result: TrialResult } | { error: { code: RecvaeErrorCode; message: string } };

type Offering = Queue<Offered, Answer>;

/** The name of the queue of a split. */
export function queueName(data: Split): string {
  const what = canonical({ data: data.fingerprint(), metric: description.validationMetric, version });
  return `recvae-${createHash('sha256').update(what).digest('hex').slice(0, 24)}`;
}

/** The address of a Redis without its password, for messages. */
export function placeOf(url: string): string {
  const { protocol, host } = parsed(url);
  return `${protocol}//${host}`;
}

function parsed(url: string): URL {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (address && ['redis:', 'rediss:'].includes(address.protocol)) return address;
  throw invalid('queue', url, 'the address of a Redis: redis://host:port');
}

function loadBullMQ() {
  return import(/* webpackIgnore: true */ 'bullmq').catch(absent('a queue', 'bullmq'));
}

/** Connects, and fails where nobody answers; later it waits for a Redis that is gone to come back. */
async function connect(url: string): Promise<Redis> {
  const place = placeOf(url);
  const { Redis } = await import(/* webpackIgnore: true */ 'ioredis').catch(absent('a queue', 'ioredis'));
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null, connectTimeout: 10_000 });
  let why = '';
  redis.on('error', (error: Error) => {
    why = error.message;
  });
  try {
    await redis.connect();
    return redis;
  } catch (cause) {
    redis.disconnect();
    throw new RecvaeError('IO', `cannot use ${place}: ${why || (cause as Error).message}`, { cause });
  }
}

/** The side of the search. */
export class TrialQueue {
  readonly #redis: Redis[];
  readonly #queue: Offering;
  readonly #events: QueueEvents;
  /** Jobs that nobody needs any more once the search ends. */
  readonly #own = new Map<string, Job<Offered, Answer>>();
  /** Says the ids of jobs that were removed. */
  readonly #gone = new EventEmitter().setMaxListeners(0);

  private constructor(redis: Redis[], queue: Offering, events: QueueEvents) {
    this.#redis = redis;
    this.#queue = queue;
    this.#events = events;
    events.on('removed', ({ jobId }) => this.#gone.emit(jobId));
  }

  /**
   * @throws {@link RecvaeError} `INVALID_ARGUMENT` for another address and without the packages bullmq and ioredis;
   * `IO` where there is no Redis.
   */
  static async open(url: string, data: Split): Promise<TrialQueue> {
    const { Queue, QueueEvents } = await loadBullMQ();
    const redis = [await connect(url), await connect(url)];
    const name = queueName(data);
    const queue: Offering = new Queue(name, { connection: redis[0]! });
    queue.setMaxListeners(0); // each trial that waits is one
    const events = new QueueEvents(name, { connection: redis[1]! });
    await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
    return new TrialQueue(redis, queue, events);
  }

  /** How many processes serve it. */
  workers(): Promise<number> {
    return this.#queue.getWorkersCount();
  }

  /** Offers a trial, and waits for what comes of it. */
  async run(trial: Trial, compute: ComputeOptions, key: string, signal: AbortSignal): Promise<TrialResult> {
    const id = createHash('sha256').update(key).digest('hex').slice(0, 32);
    const before = await this.#queue.getJob(id);
    if (await before?.isFailed()) await before?.remove();
    let answer: Answer | undefined;
    while (answer === undefined) {
      const job = await this.#queue.add('trial', { trial, compute }, { jobId: id, attempts: ATTEMPTS });
      this.#own.set(id, job);
      answer = await unlessAborted(signal, this.#answerOf(job, id));
    }
    if ('result' in answer) return answer.result;
    throw new RecvaeError(answer.error.code, answer.error.message);
  }

  /**
   * What comes of a job; `undefined` if another search that offered the same one took it back when it ended, of which
   * BullMQ 6.7 says nothing to those who wait (its issue 2341).
   */
  async #answerOf(job: Job<Offered, Answer>, id: string): Promise<Answer | undefined> {
    const end = new AbortController();
    const gone = once(this.#gone, id, { signal: end.signal }).then(() => undefined);
    try {
      // One that has ended is there until it is removed, which may be before anybody asks.
      return await Promise.race([job.waitUntilFinished(this.#events), gone]);
    } catch (thrown) {
      const cause = thrown as Error;
      if ((await this.#queue.getJob(id)) === undefined) return undefined;
      throw new RecvaeError('INTERNAL', `a trial was given up: ${cause.message}`, { cause });
    } finally {
      end.abort();
    }
  }

  /** Takes back what nobody has begun, forgets what has ended, and lets go of Redis. */
  async close(): Promise<void> {
    // One that is at work cannot be taken back: its result stays for the next search.
    await Promise.all([...this.#own.values()].map((job) => job.remove().catch(() => {})));
    await Promise.all([this.#queue.close(), this.#events.close()]);
    for (const redis of this.#redis) redis.disconnect();
  }
}

/** Serves the queue of that name until the signal: `run` gives an answer to one trial at a time. */
export async function serveTrials(
  url: string,
  name: string,
  run: (offered: Offered) => Promise<Answer>,
  signal: AbortSignal,
): Promise<void> {
  const { Worker } = await loadBullMQ();
  const redis = await connect(url);
  const worker = new Worker<Offered, Answer>(name, ({ data }) => run(data), {
    connection: redis,
    lockDuration: LOCK,
    stalledInterval: LOOK,
    // As often as machines go away.
    maxStalledCount: 1000,
  });
  worker.on('error', () => {}); // a Redis that is gone for a while
  try {
    await unlessAborted(signal, new Promise<never>(() => {}));
  } finally {
    await worker.close(true);
    redis.disconnect();
  }
}
