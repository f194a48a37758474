// The other side: Python programs in an environment of their own.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { flags, lastJson, npz, ROOT, run, say } from './programs.mjs';

const FOLDER = join(ROOT, 'benches', 'peers');
const PYTHON = join(FOLDER, '.venv', 'bin', 'python');
const SEED = 1;

/**
 * Makes the environment if it is not there, as `peers/README.md` says, and checks that the peers compute the right
 * numbers.
 */
export function preparePeers() {
  const steps = existsSync(PYTHON)
    ? []
    : [
        ['python3.11', '-m', 'venv', '.venv'],
        [PYTHON, '-m', 'pip', 'install', '--quiet', '--no-deps', '-r', 'requirements.txt'],
        [PYTHON, 'cpu_only.py'],
      ];
  for (const [program, ...args] of steps) {
    say(`peers: ${program === PYTHON ? 'python' : program} ${args.join(' ')}`);
    run(program, args, { cwd: FOLDER, stdio: ['ignore', 2, 2] });
  }
  try {
    say(`peers: ${run(PYTHON, ['check.py', join(ROOT, 'test', 'fixtures', 'reference')], { cwd: FOLDER }).trim()}`);
  } catch (error) {
    throw new Error(`the peers do not work; without benches/peers/.venv it is made anew\n${error.message}`);
  }
}

/** Versions of what the peers stand on; `null` where there are none. */
export function peerVersions() {
  if (!existsSync(PYTHON)) return { torch: null, numpy: null };
  const code = "from importlib.metadata import version as v; import json; print(json.dumps([v('torch'), v('numpy')]))";
  const [torch, numpy] = lastJson(run(PYTHON, ['-c', code]));
  return { torch, numpy };
}

/** Runs a peer in a process of its own and gives back what it measured. */
export function measurePeer([program, options], { like, scale, folder, ...cut }, threads) {
  const convert = (csv, file) => run(PYTHON, ['to_npz.py', csv, file], { cwd: FOLDER });
  const data = folder ? { data: join(ROOT, folder) } : like ? { csr: npz({ like, scale }, convert), ...cut } : cut;
  const args = [program, ...flags({ ...options, ...data, threads, seed: SEED, json: '-' })];
  return lastJson(run(PYTHON, args, { cwd: FOLDER }));
}
