// Started by a test, which kills it: saves one model after the other at the same path, and says when the first one is
// there.
import { fit, Interactions } from '../../dist/index.js';

const [path] = process.argv.slice(2);
const users = Array.from({ length: 30_000 }, (_, row) => `u${row % 200}`);
const items = users.map((_, row) => `i${(row * 7919) % 1500}`);
const data = Interactions.fromColumns({ users, items });
const models = [await fit('ease', data, { lambda: 1 }), await fit('ease', data, { lambda: 100 })];
for (let number = 0; ; number += 1) {
  await models[number % 2].save(path);
  if (number === 0) console.log('saved');
}
