// npm run check:cuda: compiles, links and lints the core with CUDA, and runs what of it can run without a GPU: the
// tests of the neural networks and of the closed forms in that build, which take candle's device of the processor, the
// kernels as the host's compiler makes them, the add-on with a libcuda that opens no device. Not part of .ci/run: it
// takes a gigabyte of wheels and many minutes.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ADD_ON, build, buildTests, TESTS } from './build.mjs';
import { ROOT, toolkit, withStub } from './toolkit.mjs';

const started = Date.now();
const minutes = () => `${((Date.now() - started) / 60_000).toFixed(1)} min`;

function run(what, program, args, env) {
  console.log(`\n== ${what} (${minutes()})`);
  const { status } = spawnSync(program, args, { cwd: ROOT, env, stdio: 'inherit' });
  if (status !== 0) {
    console.log(`failed: ${what}`);
    process.exit(1);
  }
}

/** The libraries that a binary asks for by name. */
function needed(path) {
  const text = execFileSync('readelf', ['-d', path], { encoding: 'utf8' });
  return [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
}

function check(holds, what) {
  if (!holds) throw new Error(what);
  console.log(`   ${what}`);
}

const env = toolkit();
const kernels = join(ROOT, 'target', 'cuda', 'kernels.so');
const source = join(ROOT, 'crates', 'recvae-core', 'src', 'nn', 'candle', 'kernels.cu');
const host = ['-O2', '-shared', '-fPIC', '-ffp-contract=off', '-DRECVAE_HOST', '-x', 'c++', '-o', kernels, source];
run('the kernels by the compiler of the host', 'c++', host, env);
run('the kernels against their formulas', 'python3', [join(ROOT, '.ci', 'cuda', 'kernels.py'), kernels], env);
run(
  'clippy',
  'cargo',
  [
    'clippy',
    '--release',
    '-p',
    'recvae-node',
    '-p',
    'recvae-core',
    '--lib',
    '--features',
    'recvae-node/cuda',
    '--',
    '-D',
    'warnings',
  ],
  env,
);

console.log(`\n== the add-on (${minutes()})`);
build();
const cuda = needed(ADD_ON);
const theirs = (names) => names.filter((name) => /^lib(cu|nv)/.test(name));
console.log(`   ${(statSync(ADD_ON).size / 1e6).toFixed(0)} MB, needs ${theirs(cuda).join(', ')}`);
check(
  cuda.includes('libcuda.so.1') && cuda.includes('libcublas.so.13'),
  'it needs the driver and CUDA 13, which are not in it',
);
const bytes = readFileSync(ADD_ON);
for (const name of ['sm_80', 'sm_90']) check(bytes.includes(name), `there is machine code for ${name}`);
const plain = join(ROOT, 'crates', 'recvae-node', 'recvae.linux-x64-gnu.node');
check(theirs(needed(plain)).length === 0, 'the add-on without CUDA needs no library of it');

console.log(`\n== the test program of the core (${minutes()})`);
buildTests();
run(
  'tests of the core',
  TESTS,
  ['cuda', 'candle', 'golden', 'compute', 'vae', 'gpu', 'panels', 'device', 'lae', 'ease', 'deql'],
  withStub(process.env),
);
run(
  'tests of the loader',
  join(ROOT, 'node_modules', '.bin', 'vitest'),
  ['run', join('test', 'loader.test.ts'), join('test', 'backend.test.ts')],
  process.env,
);
console.log(`\ncheck:cuda passed in ${minutes()}`);
