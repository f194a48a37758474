// Builds the add-on that has CUDA beside the one that has not: crates/recvae-node/recvae.linux-x64-gnu-cuda13.node.
// Links without a GPU.
import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, toolkit } from './toolkit.mjs';

export const ADD_ON = join(ROOT, 'crates', 'recvae-node', 'recvae.linux-x64-gnu-cuda13.node');

/**
 * Where the add-on looks for NVIDIA's libraries besides where the system does: beside it, in this clone, where CUDA is
 * by default.
 */
const PLACES = ['$ORIGIN/lib', '$ORIGIN/../../target/cuda/toolkit/nvidia/cu13/lib', '/usr/local/cuda/lib64'];

/** The test program of the core in this build, for `npm run check:gpu`. */
export const TESTS = join(ROOT, 'target', 'cuda', 'tests');

/** Runs cargo, and gives the file that it made of a target. */
function made(args, name, wanted, behind = []) {
  const { status, stdout } = spawnSync('cargo', [...args, '--message-format', 'json-render-diagnostics', ...behind], {
    cwd: ROOT,
    env: toolkit(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`cargo could not build ${name}`);
  const messages = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return wanted(
    messages.find(
      (message) => message.reason === 'compiler-artifact' && message.target.name === name && wanted(message),
    ),
  );
}

/** Builds the add-on; fails if cargo does. */
export function build() {
  const args = ['rustc', '--release', '-p', 'recvae-node', '--features', 'cuda', '--crate-type', 'cdylib'];
  const behind = ['--', '-C', `link-arg=-Wl,-rpath,${PLACES.join(':')}`];
  copyFileSync(
    made(args, 'recvae_node', ({ filenames }) => filenames.find((path) => path.endsWith('.so')), behind),
    ADD_ON,
  );
}

/** Builds the test program. */
export function buildTests() {
  // Beside the add-on's package, whose macros want other features of what candle's kernels are built by: else nvcc
  // makes them once more.
  const packages = ['-p', 'recvae-core', '-p', 'recvae-node'];
  const args = ['test', '--release', ...packages, '--lib', '--features', 'recvae-node/cuda', '--no-run'];
  copyFileSync(
    made(args, 'recvae_core', ({ executable }) => executable),
    TESTS,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  build();
  console.log(ADD_ON);
}
