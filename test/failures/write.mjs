// Started by a test where writing fails: `write.mjs WHAT PATH` writes something large through the library, and prints
// the error as JSON.
import { fit, Interactions, split, writeRecommendations, writeSynth } from '../../dist/index.js';

const [what, path] = process.argv.slice(2);
const users = Array.from({ length: 20_000 }, (_, row) => `user ${row % 500}`);
const data = Interactions.fromColumns({
  users,
  items: users.map((_, row) => `i${(row * 7919 + Math.floor(row / 500)) % 300}`),
});

async function* recommendations() {
  for (let user = 0; user < 20_000; user += 1) yield { user: `u${user}`, items: [{ id: 'i', score: 1 }], unknown: [] };
}

const writers = {
  model: async () => (await fit('ease', data)).save(path),
  split: async () => (await split(data)).write(path),
  lines: () => writeRecommendations(path, recommendations()),
  parquet: () => writeRecommendations(path, recommendations()),
  synth: () => writeSynth(path, { scale: 0.01 }),
};
try {
  await writers[what]();
  console.log(JSON.stringify({ code: 'none' }));
} catch ({ name, code, message }) {
  console.log(JSON.stringify({ name, code, message }));
}
