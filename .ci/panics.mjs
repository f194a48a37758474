// Builds the add-on of test/panics.test.ts: what is shipped, and functions that panic (cargo feature `panic-test`). It
// goes to target/panic-test, and prints its path. Nothing is done if it is newer than what it is made from.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cargoEnvironment } from './environment.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const BINDING = join('crates', 'recvae-node');
const FOLDER = join('target', 'panic-test');
const addOn = join(FOLDER, 'recvae.node');
const stamp = join(FOLDER, 'stamp');

// The shipped add-on stands for all sources but these.
const shipped = readdirSync(BINDING).filter((name) => name.endsWith('.node'));
if (shipped.length === 0) throw new Error('the binding is not built: node .ci/setup.mjs builds it');
const hash = createHash('sha256');
for (const name of [...shipped, 'Cargo.toml', join('src', 'panic_test.rs')])
  hash.update(readFileSync(join(BINDING, name)));
const inputs = hash.digest('hex');

if (!existsSync(addOn) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== inputs) {
  rmSync(stamp, { force: true });
  mkdirSync(FOLDER, { recursive: true });
  const args = [
    'build',
    '--release',
    '-p',
    'recvae-node',
    '--features',
    'panic-test',
    '--message-format',
    'json-render-diagnostics',
  ];
  const options = {
    env: cargoEnvironment(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  };
  const { status, stdout } = spawnSync('cargo', args, options);
  if (status !== 0) throw new Error('cargo could not build it');
  const messages = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const isOurs = ({ reason, target }) => reason === 'compiler-artifact' && target.name === 'recvae_node';
  const [library] = messages.find(isOurs).filenames;
  copyFileSync(library, addOn);
  writeFileSync(stamp, inputs);
}
console.log(join(process.cwd(), addOn));
