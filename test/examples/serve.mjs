// A service: recommendations over HTTP with Fastify.
//
//   node test/examples/serve.mjs MODEL-FILE [PORT]
//   curl -H 'content-type: application/json' -d '{"items":["libgtk-3-0"],"k":5}' http://127.0.0.1:PORT/recommend
//
// One history is answered while the caller waits, since that takes less than handing it to another thread; many go
// there.
import fastify from 'fastify';
import { load, RecvaeError } from '../../dist/index.js';

const ids = { type: 'array', items: { type: ['string', 'integer'] }, maxItems: 10_000 };
const k = { type: 'integer', minimum: 1, maximum: 1000 };

export function createServer(model) {
  // Ids are text or whole numbers, which stand for their digits. Nothing else is made into one: Ajv would turn true
  // into 'true'.
  const server = fastify({ ajv: { customOptions: { coerceTypes: false, allowUnionTypes: true } } });
  server.setErrorHandler((error, _, reply) => {
    // INVALID_DATA: an id with half of a character, which JSON can hold.
    const codes = ['INVALID_ARGUMENT', 'INVALID_DATA'];
    const theirs = error.validation || (error instanceof RecvaeError && codes.includes(error.code));
    reply.code(theirs ? 400 : (error.statusCode ?? 500)).send({ error: error.message });
  });
  server.get('/health', async () => ({ model: model.kind, items: model.itemIds.length }));
  const one = { type: 'object', required: ['items'], properties: { items: ids, k } };
  server.post('/recommend', { schema: { body: one } }, async ({ body }) => model.recommend(body.items, { k: body.k }));
  const many = {
    type: 'object',
    required: ['histories'],
    properties: { histories: { type: 'array', items: ids, maxItems: 1000 }, k },
  };
  server.post('/recommend-many', { schema: { body: many } }, async ({ body }) =>
    model.recommendBatch(body.histories, { k: body.k }),
  );
  return server;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [, , file, port = '0'] = process.argv;
  const server = createServer(await load(file));
  const address = await server.listen({ host: '127.0.0.1', port: Number(port) });
  console.log(address);
  process.send?.({ address });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
}
