/**
 * Recommendations over HTTP, on Fastify, which has to be installed beside this package and is loaded here. What is
 * answered stands in `routes.ts`, and what is refused in `refusals.ts`; here are the limits, the key, the measuring and
 * the end.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { checkInstance, invalid, knownKeys } from '../runtime/check.js';
import { RecvaeError, toRecvaeError } from '../runtime/errors.js';
import { version } from '../runtime/native.js';
import { absent } from '../runtime/optional.js';
import { Connections } from './connections.js';
import { type Held, ModelHolder } from './holder.js';
import { Metrics } from './metrics.js';
import { answerBroken, answerError, answerErrors, errorOf } from './refusals.js';
import { ERROR, LIVE, openApiOf, READY, type RequestLimits, routesOf } from './routes.js';

/** What {@link createServer} takes beside the models. */
export interface ServerOptions extends Partial<RequestLimits> {
  /** Requests must have it, as `authorization: Bearer KEY` or `x-api-key: KEY`; all but `/health/`. By default none. */
  apiKey?: string | undefined;
  /** Bytes that a body may have; 1 MiB by default. */
  bodyLimit?: number | undefined;
  /**
   * Requests that may be at work at once; more are refused with 503 and `retry-after`. One whose sender has gone counts
   * until its work has stopped. 256 by default.
   */
  maxConcurrent?: number | undefined;
  /** Milliseconds that a request may take to arrive; 30,000 by default. */
  requestTimeout?: number | undefined;
}

/** A number that limits what one request, or all together, may take. */
type Limit = Exclude<keyof ServerOptions, 'apiKey'>;

/** The limits where nothing else is said. */
export const SERVER_LIMITS: Readonly<Record<Limit, number>> = {
  bodyLimit: 1 << 20,
  maxConcurrent: 256,
  requestTimeout: 30_000,
  maxK: 1000,
  maxIds: 10_000,
  maxHistories: 1000,
};

const KEYS = [...Object.keys(SERVER_LIMITS), 'apiKey'];

/** A server that does not listen yet. */
export interface RecommendServer {
  /** Answers requests at the address; port 0 takes a free one. Gives the URL. */
  listen(address?: { host?: string; port?: number }): Promise<string>;
  /** What `/metrics` gives. */
  metrics(): string;
  /** Tells the numbers that a load of the model failed. */
  reloadFailed(): void;
  /**
   * Takes no more requests, ends those at work, and closes. `/health/ready` says 503 meanwhile. Who has not sent a
   * request whole after `requestTimeout`, or not taken its answer, is not waited for. The holder stays open.
   */
  close(): Promise<void>;
}

/** Milliseconds between two looks, while the server closes, for connections without a request. */
const IDLE = 50;
/** Milliseconds between two looks for requests that do not arrive in time, at most. */
const LOOK = 1000;

/**
 * Makes a server for the model that a holder has: `POST /recommend`, `/recommend/batch`, `/similar`, `/explain`,
 * `GET /health/live`, `/health/ready`, `/metrics` and `/openapi.json`, which describes them. It needs the package
 * `fastify`.
 *
 * @example
 * ```ts
 * const holder = await ModelHolder.open('ease.safetensors');
 * holder.watch();
 * const server = await createServer(holder, { apiKey: process.env.API_KEY });
 * console.log(await server.listen({ port: 8080 }));
 * ```
 *
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for an option, and if Fastify is not installed.
 */
export async function createServer<P>(holder: ModelHolder<P>, options: ServerOptions = {}): Promise<RecommendServer> {
  checkInstance(holder, 'holder', ModelHolder);
  const { apiKey, limits } = checkServer(options);
  const { fastify } = await import(/* webpackIgnore: true */ 'fastify').catch(absent('the server', 'fastify'));
  const server = fastify({
    bodyLimit: limits.bodyLimit,
    requestTimeout: limits.requestTimeout,
    // Node has limits of its own for heads, and looks twice a minute.
    http: {
      requestTimeout: limits.requestTimeout,
      headersTimeout: limits.requestTimeout,
      connectionsCheckingInterval: Math.min(limits.requestTimeout, LOOK),
    },
    // Fastify's answers would have another shape than ours.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => answerBroken(error, socket, limits),
    frameworkErrors: (error, request, reply) =>
      answerError(error, request as FastifyRequest, reply as FastifyReply, limits),
    // Ids are text or whole numbers. Nothing else is made into one, and a key that would be ignored is refused.
    ajv: { customOptions: { coerceTypes: false, allowUnionTypes: true, removeAdditional: false } },
  }) as unknown as FastifyInstance;
  server.removeContentTypeParser('text/plain');
  const metrics = new Metrics();
  let isClosing = false;
  server.addHook('onRequest', async ({ routeOptions }, reply) => {
    // Whether the process runs, it tells to its end.
    if (!isClosing || routeOptions.url === '/health/live') return;
    return reply.code(503).send(errorOf('CLOSING', 'the server is about to stop'));
  });
  refuseStrangers(server, apiKey, metrics);
  const connections = new Connections(server.server);
  const slots = new Slots(limits.maxConcurrent, metrics, connections);
  measure(server, metrics);
  server.addHook('onSend', async (_, reply) => void (isClosing && reply.header('connection', 'close')));
  answerErrors(server, limits);

  const routes = routesOf(limits);
  for (const { url, body, answer, handle } of routes) {
    const schema = { body, response: { 200: answer, '4xx': ERROR, '5xx': ERROR } };
    const onRequest = async ({ raw }: FastifyRequest, reply: FastifyReply) => {
      const refusal = slots.take(raw);
      if (refusal !== undefined) return reply.code(503).header('retry-after', '1').send(refusal);
    };
    server.post(url, { schema, onRequest }, async ({ raw, body }, reply) => {
      if (holder.isDisposed) return reply.code(503).send(GONE);
      const answer = (signal: AbortSignal) =>
        holder.use(async ({ model }) => count(await handle(model, body as never, signal), metrics));
      // Nobody is there to be answered.
      return (await slots.work(raw, answer)) ?? reply.hijack();
    });
  }
  const health = (schema: object) => ({ schema: { response: { 200: schema, 503: ERROR } } });
  server.get('/health/live', health(LIVE), async () => ({ status: 'live' }));
  server.get('/health/ready', health(READY), async (_, reply) => {
    if (holder.isDisposed) return reply.code(503).send(GONE);
    const { model, generation, loadedAt } = holder.current;
    const { kind, itemIds, fallback } = model;
    const told = { kind, items: itemIds.length, generation, loadedAt: loadedAt.toISOString(), fallback };
    return { status: 'ready', model: told };
  });
  const described = openApiOf(routes, version, apiKey !== undefined);
  server.get('/openapi.json', async () => described);
  const numbers = () => {
    if (holder.isDisposed) metrics.model.clear();
    else tellModel(holder.current, metrics);
    return metrics.render();
  };
  server.get('/metrics', async (_, reply) => reply.type(Metrics.type).send(numbers()));
  await server.ready();
  return {
    listen: async (address) => {
      const checkedAddress = addressOf(address);
      if (isClosing || server.server.listening) {
        const state = isClosing ? 'is closed' : 'listens already';
        throw new RecvaeError('INVALID_ARGUMENT', `the server ${state}; allowed: one that was just made`);
      }
      try {
        return await server.listen(checkedAddress);
      } catch (thrown) {
        throw toRecvaeError(thrown);
      }
    },
    metrics: numbers,
    reloadFailed: () => metrics.reloads.add(1, { result: 'failed' }),
    close: async () => {
      isClosing = true;
      const since = performance.now();
      const idle = setInterval(
        () => connections.destroyIdle(performance.now() - since >= limits.requestTimeout),
        Math.min(IDLE, limits.requestTimeout),
      );
      try {
        await server.close();
      } finally {
        clearInterval(idle);
      }
    },
  };
}

/** Finds what is not allowed before a model is loaded, and completes the limits. */
export function checkServer(options: ServerOptions): { apiKey: string | undefined; limits: Record<Limit, number> } {
  knownKeys(options, KEYS, 'options');
  const { apiKey, ...given } = options;
  if (apiKey !== undefined && (typeof apiKey !== 'string' || apiKey === '')) {
    throw new RecvaeError('INVALID_ARGUMENT', 'apiKey is empty or no text; allowed: text');
  }
  const limits = { ...SERVER_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!(Number.isSafeInteger(value) && value >= 1)) throw invalid(name, value, 'a whole number, 1 or more');
    limits[name as Limit] = value;
  }
  return { apiKey, limits };
}

function addressOf(address: { host?: string; port?: number } | undefined): { host: string; port: number } {
  knownKeys(address, ['host', 'port'], 'address');
  const { host = '127.0.0.1', port = 0 } = address ?? {};
  // Node takes an empty one for all addresses of the machine.
  if (typeof host !== 'string' || host === '') throw invalid('host', host, 'a name or an address, such as 127.0.0.1');
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw invalid('port', port, 'a whole number from 0 to 65535');
  }
  return { host, port };
}

/** The answer where the holder was disposed of, which only a new server changes. */
const GONE = errorOf('CLOSING', 'the model is disposed of; the server has to be made anew');

/** Refuses requests without the key, if there is one. */
function refuseStrangers(server: FastifyInstance, apiKey: string | undefined, metrics: Metrics): void {
  if (apiKey === undefined) return;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const right = digest(apiKey);
  server.addHook('onRequest', async ({ headers, routeOptions }: FastifyRequest, reply: FastifyReply) => {
    if (routeOptions.url?.startsWith('/health/')) return;
    const [, bearer] = /^Bearer +(.+)$/i.exec(headers.authorization ?? '') ?? [];
    const given = bearer ?? headers['x-api-key'];
    // Of digests, so that the time tells neither the length nor the beginning.
    if (typeof given === 'string' && timingSafeEqual(digest(given), right)) return;
    metrics.refused.add(1, { reason: 'key' });
    return reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send(errorOf('UNAUTHORIZED', 'the API key is missing or wrong'));
  });
}

/** A request at work. */
interface Slot {
  /** Whether its sender was answered or has gone. */
  isEnded: boolean;
  isAtWork: boolean;
  stop: AbortController;
}

/**
 * Places for requests at work: from before their bodies are read until their connection is done with them, and what
 * they asked for has stopped.
 */
class Slots {
  readonly #slots = new WeakMap<IncomingMessage, Slot>();
  readonly #most: number;
  readonly #metrics: Metrics;
  readonly #connections: Connections;
  #taken = 0;

  constructor(most: number, metrics: Metrics, connections: Connections) {
    this.#most = most;
    this.#metrics = metrics;
    this.#connections = connections;
    metrics.inFlight.set(0);
  }

  /** Takes a place, or gives the answer that refuses. */
  take(request: IncomingMessage): ReturnType<typeof errorOf> | undefined {
    if (this.#taken >= this.#most) {
      this.#metrics.refused.add(1, { reason: 'concurrency' });
      return errorOf('TOO_MUCH_WORK', `${this.#most} requests are at work; allowed: no more at once`);
    }
    this.#add(1);
    const slot: Slot = { isEnded: false, isAtWork: false, stop: new AbortController() };
    this.#slots.set(request, slot);
    this.#connections.whenEnded(request, () => {
      slot.isEnded = true;
      if (slot.isAtWork) slot.stop.abort();
      else this.#add(-1);
    });
    return undefined;
  }

  /** What `answer` gives, unless the sender goes before: that stops it. */
  async work<T>(request: IncomingMessage, answer: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const slot = this.#slots.get(request)!;
    if (slot.isEnded) return undefined;
    slot.isAtWork = true;
    try {
      return await answer(slot.stop.signal);
    } catch (thrown) {
      if (slot.isEnded) return undefined;
      throw thrown;
    } finally {
      slot.isAtWork = false;
      if (slot.isEnded) this.#add(-1);
    }
  }

  #add(number: number): void {
    this.#taken += number;
    this.#metrics.inFlight.set(this.#taken);
  }
}

function measure(server: FastifyInstance, metrics: Metrics): void {
  server.addHook('onResponse', async ({ method, routeOptions }, { elapsedTime, statusCode }) => {
    // Paths that there are not would be as many series as somebody likes to ask for.
    const route = routeOptions.url ?? 'none';
    metrics.durations.observe(elapsedTime / 1000, { method, route, status: String(statusCode) });
  });
}

/** Counts what an answer says of unknown ids and of popularity. */
function count<T>(answer: T, metrics: Metrics): T {
  const { results } = answer as { results?: unknown[] };
  for (const result of results ?? [answer]) {
    const { unknown, fallbackUsed } = result as { unknown?: unknown[]; fallbackUsed?: boolean };
    if (unknown?.length) metrics.unknown.add(unknown.length);
    if (fallbackUsed) metrics.fallbacks.add();
  }
  return answer;
}

function tellModel({ model, generation, loadedAt }: Held<unknown>, metrics: Metrics): void {
  metrics.model.clear();
  metrics.model.set(1, { kind: model.kind, generation: String(generation) });
  metrics.items.set(model.itemIds.length);
  metrics.loadedAt.set(loadedAt.getTime() / 1000);
  metrics.reloads.set(generation, { result: 'done' });
}
