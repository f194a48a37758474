/** Which binary is loaded, and what is said and done where there is none. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { constraints, fileOf, here, PLATFORMS } from '../.ci/release/platforms.mjs';
import { createProgram } from '../dist/cli/program.js';
import { recvae } from './command.js';
import { temporaryFolder } from './planted.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BINDING = join(ROOT, 'crates', 'recvae-node');
const BINARY = join(BINDING, fileOf(here()));
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** A copy of the package that lacks a binary; `packages` are those of platforms, by name, with the files that they have. */
function copy(packages: Record<string, (folder: string) => void> = {}): string {
  const folder = temporaryFolder();
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  mkdirSync(join(folder, 'crates', 'recvae-node'), { recursive: true });
  for (const name of ['index.cjs', 'loader.cjs']) {
    copyFileSync(join(BINDING, name), join(folder, 'crates', 'recvae-node', name));
  }
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  mkdirSync(join(folder, 'node_modules', '@recvae'), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((name) => !/^(\.|@)/.test(name))) {
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  for (const [name, fill] of Object.entries(packages)) {
    const own = join(folder, 'node_modules', '@recvae', name);
    mkdirSync(own);
    writeFileSync(join(own, 'package.json'), JSON.stringify({ name: `@recvae/${name}`, main: fileOf(name) }));
    fill(own);
  }
  return folder;
}

const run = (folder: string, args: string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [join(folder, 'dist', 'cli.js'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

/** The one line that there is, and what it must hold. */
const LINE = new RegExp(
  `^recvae: recvae ${version} has no binary for ${process.platform}-${process.arch} \\([^)]*Node ${process.versions.node}\\): ` +
    `[^\\n]+; supported: linux-x64-gnu \\(glibc 2\\.17 or later\\), linux-x64-musl \\(musl\\), [^\\n]*win32-x64-msvc; ` +
    `[^\\n]*optional dependencies[^\\n]*; to build one, with Rust: [^\\n]+RECVAE_BINARY=[^\\n]+\\n$`,
);

describe('without a binary for the platform', () => {
  test.each(['--version', '-V'])('%s is there, and one line says what is missing', (flag) => {
    const { status, stdout, stderr } = run(copy(), [flag]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${version}\n` });
    expect(stderr).toMatch(LINE);
    expect(stderr).toContain(`@recvae/${here()} is not installed`);
  });

  test('all help is there, word by word', async () => {
    const folder = copy();
    const threads = (text: string) => text.replace(/\(default: \d+\)/g, '(default: number)');
    const commands = createProgram().commands.map((command) => command.name());
    expect(commands.length).toBeGreaterThan(10);
    for (const args of [['--help'], ...commands.map((name) => [name, '--help'])]) {
      const { status, stdout, stderr } = run(folder, args);
      expect({ status, args }).toEqual({ status: 0, args });
      expect(stderr).toMatch(LINE);
      expect(threads(stdout)).toBe(threads((await recvae(folder, args)).stdout));
    }
  });

  test('commands fail with the line alone', () => {
    const folder = copy();
    for (const args of [['train', 'ease', 'likes.csv', '--out', 'o'], ['models']]) {
      const { status, stdout, stderr } = run(folder, args);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(LINE);
    }
  });

  test('the library throws it when it is imported', () => {
    const index = JSON.stringify(join(copy(), 'dist', 'index.js'));
    const script = `import(${index}).catch(({ code, message }) => console.log(JSON.stringify({ code, message })))`;
    const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    const { code, message } = JSON.parse(stdout);
    expect(code).toBe('ERR_RECVAE_NO_BINARY');
    expect(`recvae: ${message}\n`).toMatch(LINE);
  });
});

describe('what is loaded', () => {
  const models = ['models', '--json', '-'];

  test('the package of the platform', () => {
    const folder = copy({ [here()]: (own) => copyFileSync(BINARY, join(own, fileOf(here()))) });
    const { status, stderr } = run(folder, models);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('a package whose binary cannot be loaded is the cause', () => {
    const folder = copy({ [here()]: (own) => writeFileSync(join(own, fileOf(here())), 'no program') });
    const { status, stderr } = run(folder, models);
    expect(status).toBe(1);
    expect(stderr).toMatch(LINE);
    expect(stderr).toMatch(new RegExp(`@recvae/${here()} cannot be loaded: [^;\\n]+`));
  });

  test.skipIf(process.platform !== 'linux')('the loader of the system is quoted', () => {
    // As where glibc is older: the binary asks for a version of it that is not there.
    const bytes = Buffer.from(readFileSync(BINARY));
    const at = bytes.indexOf('libc.so.6\0');
    expect(at).toBeGreaterThan(0);
    bytes.write('libc.so.0', at);
    const folder = copy({ [here()]: (own) => writeFileSync(join(own, fileOf(here())), bytes) });
    expect(run(folder, models).stderr).toMatch(
      /cannot be loaded: libc\.so\.0: cannot open shared object file[^;\n]*; supported/,
    );
  });

  test('RECVAE_BINARY goes before all others, and nothing takes its place', () => {
    const folder = copy({ [here()]: (own) => writeFileSync(join(own, fileOf(here())), 'no program') });
    expect(run(folder, models, { RECVAE_BINARY: BINARY })).toMatchObject({ status: 0, stderr: '' });
    const nowhere = join(folder, 'nowhere.node');
    const whole = copy({ [here()]: (own) => copyFileSync(BINARY, join(own, fileOf(here()))) });
    const { status, stderr } = run(whole, models, { RECVAE_BINARY: nowhere });
    expect(status).toBe(1);
    expect(stderr).toMatch(LINE);
    expect(stderr).toContain(`RECVAE_BINARY (${nowhere}) cannot be loaded: `);
  });

  test('one of another version is refused', () => {
    const folder = copy({ [here()]: (own) => copyFileSync(BINARY, join(own, fileOf(here()))) });
    const manifest = { ...JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')), version: '99.0.0' };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    const { status, stderr } = run(folder, models);
    expect(status).toBe(1);
    expect(stderr).toContain(`@recvae/${here()} is of version ${version}, recvae of 99.0.0`);
  });

  test('builds of other platforms are named', () => {
    const folder = copy();
    writeFileSync(join(folder, 'crates/recvae-node', fileOf('aix-ppc64')), 'no program');
    expect(run(folder, models).stderr).toMatch(/; built here: aix-ppc64; /);
  });
});

describe('the platforms', () => {
  const loader = readFileSync(join(BINDING, 'loader.cjs'), 'utf8');

  test('are the same in the loader, in the packages and in the workflow', () => {
    const names = PLATFORMS.map(({ name }) => name);
    expect(Object.keys(createRequire(import.meta.url)('../crates/recvae-node/loader.cjs').PLATFORMS)).toEqual(names);
    expect(
      [...loader.matchAll(/case '(.+)':\n\s+return require\('@recvae\/(.+)'\);/g)].map(([, a, b]) => [a, b]),
    ).toEqual(names.map((name) => [name, name]));
    const workflow = readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8');
    const matrix = [...workflow.matchAll(/- \{ platform: (\S+), runner: (\S+) \}/g)].map(([, a, b]) => [a, b]);
    expect(matrix).toEqual(PLATFORMS.map(({ name, runner }) => [name, runner]));
  });

  test('say by what npm installs them', () => {
    expect(constraints('linux-arm64-musl')).toEqual({ os: ['linux'], cpu: ['arm64'], libc: ['musl'] });
    expect(constraints('win32-x64-msvc')).toEqual({ os: ['win32'], cpu: ['x64'] });
  });
});
