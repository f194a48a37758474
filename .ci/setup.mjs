// Makes a bare clone ready, with nothing but Node and Rust there: dependencies, the compiled binding, dist/.
// Each step is stamped with a hash of what it depends on, so that a repeat run has nothing to do.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cargoEnvironment } from './environment.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const STAMPS = join('node_modules', '.recvae-setup');
const BINDING = join('crates', 'recvae-node');

/** Runs a program with its output in ours; fails if it fails. */
function run(program, args, options = {}) {
  // On Windows npm and npx are scripts.
  execFileSync(program, args, { stdio: 'inherit', shell: process.platform === 'win32', ...options });
}

function* files(path) {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) yield* files(child);
    else yield child;
  }
}

function hash(paths) {
  const result = createHash('sha256').update(process.version);
  for (const path of paths) result.update(`\0${path}\0`).update(existsSync(path) ? readFileSync(path) : 'none');
  return result.digest('hex');
}

/** Does `work` unless it was done for the same inputs and its outputs are there. */
function step(name, inputs, outputs, work) {
  const stamp = join(STAMPS, name);
  const done = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (done === hash(inputs()) && outputs().every((path) => existsSync(path))) return;
  process.stderr.write(`setup: ${name}\n`);
  rmSync(stamp, { force: true });
  work();
  mkdirSync(STAMPS, { recursive: true });
  // Hashed again: the work may have written some of its inputs anew.
  writeFileSync(stamp, hash(inputs()));
}

const generated = [
  join(BINDING, 'index.cjs'),
  join(BINDING, 'index.d.cts'),
  join('ts', 'runtime', 'options.generated.ts'),
  join('ts', 'runtime', 'description.generated.ts'),
];
const rust = () => [
  ...[...files('crates')].filter(
    (path) => !path.endsWith('.node') && !path.includes(join('recvae-core', 'tests')) && !path.includes('recvae-fuzz'),
  ),
  ...['Cargo.toml', 'Cargo.lock', 'package-lock.json', join('.ci', 'generate.mjs'), generated[2]],
];
const addOns = () => readdirSync(BINDING).filter((name) => name.endsWith('.node'));

step(
  'dependencies',
  () => ['package-lock.json', '.npmrc'],
  () => [join('node_modules', '.bin', 'tsc')],
  // Not `npm ci`: it refuses a lockfile that was written where the registry lacks packages for other platforms.
  // Versions and checksums are the lockfile's all the same, and it is not rewritten.
  () => run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']),
);
step(
  'binding',
  rust,
  () => [...generated, ...(addOns().length > 0 ? [] : [join(BINDING, 'a compiled add-on')])],
  () => {
    const files = [
      '--manifest-path',
      join(BINDING, 'Cargo.toml'),
      '--package-json-path',
      'package.json',
      '--output-dir',
      BINDING,
    ];
    run(
      process.execPath,
      [
        join('node_modules', '@napi-rs', 'cli', 'dist', 'cli.js'),
        'build',
        '--platform',
        '--release',
        // The loader is ours.
        '--no-js',
        '--dts',
        'index.d.cts',
        ...files,
      ],
      {
        env: cargoEnvironment(),
      },
    );
    run(process.execPath, [join('.ci', 'generate.mjs')]);
  },
);
step(
  'library',
  () => [...files('ts'), 'tsconfig.json', 'package-lock.json', generated[1], join('.ci', 'bundle.mjs')],
  () => [join('dist', 'index.js'), join('dist', 'cli.js'), join('dist', 'report', 'licences.txt')],
  () => {
    rmSync('dist', { recursive: true, force: true });
    run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc')]);
    run(process.execPath, [join('.ci', 'bundle.mjs')]);
    // What Spark runs, as it is.
    cpSync(join('ts', 'spark'), join('dist', 'spark'), {
      recursive: true,
      filter: (path) => !path.includes('__pycache__'),
    });
    chmodSync(join('dist', 'cli.js'), 0o755);
  },
);
