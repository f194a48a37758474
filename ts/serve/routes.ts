/**
 * What the server answers: routes with the JSON Schemas that requests are checked by, answers are written by and
 * OpenAPI tells. Ids are text or whole numbers, which stand for their digits, as everywhere in the package.
 */
import { type Id, idOf, idsOf } from '../data/ids.js';
import type { Model } from '../models/model.js';
import type { Explanation, Recommendation, SimilarItem } from '../models/serving.js';
import { description } from '../runtime/native.js';

/** A JSON Schema. */
type Schema = Record<string, unknown>;

/** How much one request may ask for. */
export interface RequestLimits {
  /** Items of a list, 1 or more. */
  maxK: number;
  /** Ids of a history or of a list. */
  maxIds: number;
  /** Histories of a batch. */
  maxHistories: number;
}

/** A route that asks the model. */
interface Route {
  url: string;
  summary: string;
  description: string;
  body: Schema;
  answer: Schema;
  /** An example for OpenAPI; the ids are made up. */
  example: Schema;
  /**
   * Asks the model. Ids are looked at before, where the model's own messages would call them otherwise than the body
   * does.
   */
  handle: (model: Model, body: never, signal: AbortSignal) => unknown;
}

interface Lists {
  allow?: Id[];
  deny?: Id[];
}

interface Asked extends Lists {
  items: Id[];
}

interface Options {
  k?: number;
  includeSeen?: boolean;
  fallback?: 'popularity' | 'none';
}

const object = (properties: Record<string, Schema>, required: string[]): Schema => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});
const list = (items: Schema, rest: Schema = {}): Schema => ({ type: 'array', items, ...rest });
const text = (description: string): Schema => ({ type: 'string', description });
const number = (description: string): Schema => ({ type: 'number', description });

const scored = (what: string): Schema =>
  list(object({ id: text('Id of the item.'), score: number(what) }, ['id', 'score']));
const unknown = list({ type: 'string' }, { description: 'Ids that the model does not know; they were ignored.' });

const recommendation: Schema = object(
  {
    items: scored('The higher, the better; scores of different models have no common scale.'),
    unknown,
    fallbackUsed: {
      type: 'boolean',
      description: 'Whether items are there for their popularity, because the model knows nothing of the history.',
    },
  },
  ['items', 'unknown', 'fallbackUsed'],
);

/** The text that the core has of an option. */
function docOf(options: { name: string; doc: string; default: unknown }[], name: string): Schema {
  const { doc, default: value } = options.find((option) => option.name === name)!;
  return value === null ? { description: doc } : { description: doc, default: value };
}

/** What an error looks like. */
export const ERROR: Schema = object(
  {
    error: object({ code: text('What kind of failure.'), message: text('What was wrong, and what is allowed.') }, [
      'code',
      'message',
    ]),
  },
  ['error'],
);

/** The routes. */
export function routesOf({ maxK, maxIds, maxHistories }: RequestLimits): Route[] {
  const id: Schema = {
    type: ['string', 'integer'],
    // From 2^53 on, JSON.parse() makes one number of several: an id would be taken for another one.
    exclusiveMinimum: -(2 ** 53),
    exclusiveMaximum: 2 ** 53,
    description: 'Text, or a whole number below 2^53, which stands for its digits.',
  };
  const ids = (description: string): Schema => list(id, { maxItems: maxIds, description });
  const k = (options: Parameters<typeof docOf>[0]): Schema => {
    const doc = docOf(options, 'k');
    // The core's default may be more than this server gives.
    const fewer = typeof doc.default === 'number' && { default: Math.min(doc.default, maxK) };
    return { type: 'integer', minimum: 1, maximum: maxK, ...doc, ...fewer };
  };
  const exampleK = (k: number) => Math.min(k, maxK);
  const items = ids('Ids of the history, in any order.');
  const lists = {
    allow: ids('The only items that may come.'),
    deny: ids('Items that must not come, also those in allow.'),
  };
  const options = {
    k: k(description.recommend),
    includeSeen: { type: 'boolean', default: false, description: 'Whether items of the history may come back.' },
    fallback: { type: 'string', enum: ['popularity', 'none'], ...docOf(description.recommend, 'fallback') },
  };
  const serveOptions = ({ k, includeSeen, fallback }: Options) => ({
    ...(k !== undefined && { k }),
    ...(includeSeen && { filterSeen: false }),
    ...(fallback !== undefined && { fallback }),
  });
  return [
    {
      url: '/recommend',
      summary: 'Recommends for one history',
      description: 'The best items for a history, of a known or a new user. An empty one is allowed.',
      body: object({ items, ...lists, ...options }, ['items']),
      answer: recommendation,
      example: { items: ['318', '858'], k: exampleK(3), deny: ['1196'] },
      handle: (model, { items, allow, deny, ...rest }: Asked & Options): Recommendation =>
        model.recommend(idsOf(items, 'items'), {
          ...serveOptions(rest),
          ...(allow && { allow }),
          ...(deny && { deny }),
        }),
    },
    {
      url: '/recommend/batch',
      summary: 'Recommends for many histories',
      description: 'One result per history, in their order; each may have lists of its own beside those of all.',
      body: object(
        {
          histories: list(object({ items, ...lists }, ['items']), { maxItems: maxHistories }),
          ...lists,
          ...options,
        },
        ['histories'],
      ),
      answer: object({ results: list(recommendation) }, ['results']),
      example: { histories: [{ items: ['318'] }, { items: ['858'], deny: ['1196'] }], k: exampleK(3) },
      handle: async (model, { histories, allow, deny, ...rest }: { histories: Asked[] } & Lists & Options, signal) => ({
        results: await model.recommendBatch(
          histories,
          { ...serveOptions(rest), ...(allow && { allow }), ...(deny && { deny }) },
          { signal },
        ),
      }),
    },
    {
      url: '/similar',
      summary: 'Names the items most similar to one',
      description:
        'The best first, without the item itself. What a score means depends on the model; popularity refuses.',
      body: object({ item: id, k: k(description.similar), ...lists }, ['item']),
      answer: object({ items: scored('How similar it is.') }, ['items']),
      example: { item: '318', k: exampleK(3) },
      handle: (model, { item, k, ...lists }: { item: Id; k?: number } & Lists): { items: SimilarItem[] } => ({
        items: model.similarItems(idOf(item, 'item'), k, lists),
      }),
    },
    {
      url: '/explain',
      summary: 'Says which items of a history speak for an item',
      description: 'The largest contribution to the score first; a negative one speaks against the item.',
      body: object({ items, item: id, k: k(description.explain) }, ['items', 'item']),
      answer: object(
        {
          item: text('Id of the item.'),
          score: number('Its score for the history.'),
          reasons: list(
            object({ id: text('Id of an item of the history.'), contribution: number('Its part in the score.') }, [
              'id',
              'contribution',
            ]),
          ),
          unknown,
        },
        ['item', 'score', 'reasons', 'unknown'],
      ),
      example: { items: ['318', '858'], item: '1196', k: exampleK(2) },
      handle: (model, { items, item, k }: { items: Id[]; item: Id; k?: number }, signal): Promise<Explanation> =>
        model.explain(idsOf(items, 'items'), item, { ...(k !== undefined && { k }) }, { signal }),
    },
  ];
}

/** The description of the whole in OpenAPI 3.1. */
export function openApiOf(routes: Route[], version: string, hasKey: boolean): Schema {
  const answer = (description: string, schema: Schema, type = 'application/json') => ({
    description,
    content: { [type]: { schema } },
  });
  const error = (description: string) => answer(description, { $ref: '#/components/schemas/Error' });
  const secured = hasKey ? { security: [{ bearer: [] }, { apiKey: [] }] } : {};
  const refusals = {
    400: error('The request is not what it should be.'),
    ...(hasKey && { 401: error('The API key is missing or wrong.') }),
    413: error('The body is too large.'),
    415: error('The body is not JSON.'),
    503: error('There is no model, too much work at once, or the server is about to stop.'),
  };
  const posts = routes.map(({ url, summary, description, body, answer: schema, example }) => [
    url,
    {
      post: {
        summary,
        description,
        ...secured,
        requestBody: { required: true, content: { 'application/json': { schema: body, example } } },
        responses: { 200: answer('Done.', schema), ...refusals },
      },
    },
  ]);
  return {
    openapi: '3.1.0',
    info: { title: 'recvae', version, description: 'Recommendations from a model file.' },
    paths: {
      ...Object.fromEntries(posts),
      '/health/live': { get: { summary: 'Whether the process runs', responses: { 200: answer('It does.', LIVE) } } },
      '/health/ready': {
        get: {
          summary: 'Whether a model serves',
          responses: {
            200: answer('It does.', READY),
            503: error('The server is about to stop, or its model is disposed of.'),
          },
        },
      },
      '/metrics': {
        get: {
          summary: 'Numbers for Prometheus',
          ...secured,
          responses: { 200: answer('In its text format.', { type: 'string' }, 'text/plain') },
        },
      },
    },
    components: {
      schemas: { Error: ERROR },
      ...(hasKey && {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      }),
    },
  };
}

/** What `/health/live` answers. */
export const LIVE: Schema = object({ status: { type: 'string', enum: ['live'] } }, ['status']);

/** What `/health/ready` answers. */
export const READY: Schema = object(
  {
    status: { type: 'string', enum: ['ready'] },
    model: object(
      {
        kind: text('Which model it is.'),
        items: { type: 'integer', description: 'Items that it knows.' },
        generation: { type: 'integer', description: 'Which load it is, from 1.' },
        loadedAt: text('When it was loaded, in ISO 8601.'),
        fallback: { type: 'string', enum: ['popularity', 'none'] },
      },
      ['kind', 'items', 'generation', 'loadedAt', 'fallback'],
    ),
  },
  ['status', 'model'],
);
