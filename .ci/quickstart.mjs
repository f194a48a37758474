// The main job on the built-in data: compare the models, save the winner, recommend for a package that is not in the
// data.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Interactions, load } from '../dist/index.js';

/** Enough to see where each model stands, within a few minutes on 2 cores. */
const EPOCHS = '10';
const MINUTES = '3';
const FOLDER = 'quickstart';

console.log(
  `A quick look: models train at most ${EPOCHS} epochs, and what does not fit into ${MINUTES} minutes is left out. ` +
    'Leave out --epochs and --budget-minutes for a fair comparison.\n',
);
const flags = ['--seed', '1', '--epochs', EPOCHS, '--budget-minutes', MINUTES, '--save', FOLDER];
console.log(`$ npx recvae compare debian ${flags.join(' ')}\n`);
const compare = ['dist/cli.js', 'compare', 'debian', ...flags];
const { status } = spawnSync(process.execPath, compare, { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const { readFileSync } = await import('node:fs');
const { winner } = JSON.parse(readFileSync(join(FOLDER, 'comparison.json'), 'utf8'));
const model = await load(join(FOLDER, `${winner}.safetensors`));
const known = new Set((await Interactions.dataset('debian')).userIds());

/** Packages that nobody has written yet. */
const packages = {
  'a-new-web-service-in-python': ['python3-flask', 'python3-requests', 'python3-sqlalchemy'],
  'a-new-desktop-program': ['libgtk-3-0', 'libglib2.0-0', 'libcairo2'],
};
for (const [name, dependencies] of Object.entries(packages)) {
  if (known.has(name)) throw new Error(`${name} is in the data`);
  const { items, unknown } = model.recommend(dependencies, { k: 8 });
  console.log(`${name} needs ${dependencies.join(', ')}. What else? (${winner})`);
  for (const { id, score } of items) console.log(`  ${id.padEnd(32)} ${score.toFixed(3)}`);
  if (unknown.length > 0) console.log(`  (not known: ${unknown.join(', ')})`);
}
const history = join(FOLDER, 'history.ndjson');
const lines = Object.entries(packages).map(([user, items]) => JSON.stringify({ user, items }));
writeFileSync(history, `${lines.join('\n')}\n`);
console.log(
  `\nThe same on the command line: npx recvae recommend ${join(FOLDER, `${winner}.safetensors`)} --history ${history}`,
);
