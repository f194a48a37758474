// Builds the add-on of a platform for publishing: node .ci/release/build.mjs [platform] [--out target/add-ons]
//
// On Linux with glibc against version 2.17, whatever this machine has, by a toolchain that comes from npm or by zig;
// without symbols.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fileOf, GLIBC, here, PLATFORMS } from './platforms.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: join('target', 'add-ons') } },
});
const [name = here()] = positionals;
const platform = PLATFORMS.find((platform) => platform.name === name);
if (!platform) throw new Error(`${name} is no platform; there are: ${PLATFORMS.map(({ name }) => name).join(', ')}`);

// zig is told the version of glibc behind the target.
const isZig = platform.build.includes('--cross-compile');
const target = isZig && name.endsWith('-gnu') ? `${platform.rust}.${GLIBC}` : platform.rust;
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
  target,
  ...platform.build,
  ...files,
  ...folders,
];
const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'symbols' };
execFileSync(process.execPath, [cli, ...args], { stdio: 'inherit', env });
const file = join(values.out, fileOf(name));
const needs = name.endsWith('-gnu') ? newestGlibc(file) : undefined;
if (needs && byNumber(needs, GLIBC) > 0) throw new Error(`${file} needs glibc ${needs}; allowed: ${GLIBC} or earlier`);
console.log(needs ? `${file}: glibc ${needs} or later` : file);

/** The newest version of glibc that a library asks for; the names of such versions are nowhere but in what it needs. */
function newestGlibc(path) {
  const names = readFileSync(path, 'latin1').matchAll(/\0GLIBC_(\d[\d.]*)(?=\0)/g);
  const newest = Array.from(names, ([, version]) => version)
    .sort(byNumber)
    .at(-1);
  if (newest === undefined) throw new Error(`${path} asks for no version of glibc`);
  return newest;
}

function byNumber(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}
