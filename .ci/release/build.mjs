// Builds the add-on of a platform for publishing: node .ci/release/build.mjs [platform] [--out target/add-ons]
//
// On Linux with glibc against version 2.17, whatever this machine has, by a toolchain that comes from npm; without symbols.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fileOf, here, PLATFORMS } from './platforms.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: join('target', 'add-ons') } },
});
const [name = here()] = positionals;
const platform = PLATFORMS.find((platform) => platform.name === name);
if (!platform) throw new Error(`${name} is no platform; there are: ${PLATFORMS.map(({ name }) => name).join(', ')}`);

mkdirSync(values.out, { recursive: true });
const cli = join('node_modules', '@napi-rs', 'cli', 'dist', 'cli.js');
const files = ['--manifest-path', join('crates', 'recvae-node', 'Cargo.toml'), '--package-json-path', 'package.json'];
// A folder of its own: other flags would have everything compiled anew for the next test.
const folders = ['--output-dir', values.out, '--target-dir', join('target', 'release-build')];
const args = [
  'build',
  '--platform',
  '--release',
  '--no-js',
  '--target',
  platform.rust,
  ...platform.build,
  ...files,
  ...folders,
];
const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'symbols' };
execFileSync(process.execPath, [cli, ...args], { stdio: 'inherit', env });
console.log(join(values.out, fileOf(name)));
