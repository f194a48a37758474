/** Which binary is loaded, and what is said and done where there is none. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { constraints, fileOf, here, PLATFORMS } from '../.ci/release/platforms.mjs';
import { createProgram } from '../dist/cli/program.js';
import { recvae } from './command.js';
import { temporaryFolder, writePlanted } from './planted.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BINDING = join(ROOT, 'crates', 'recvae-node');
const BINARY = join(BINDING, fileOf(here()));
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/**
 * A copy of the package that lacks a binary; `packages` are those of platforms, by name, with the files that they have.
 */
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
    const commands = (await createProgram()).commands.map((command) => command.name());
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

/** The package of the add-on with CUDA, whose code is that of the plain one but for what is given. */
const CUDA = 'linux-x64-gnu-cuda13';
const fake = (code: string) => (own: string) => {
  writeFileSync(join(own, 'package.json'), JSON.stringify({ name: `@recvae/${CUDA}`, main: 'fake.js' }));
  writeFileSync(join(own, 'fake.js'), `const plain = require(${JSON.stringify(BINARY)});\n${code}`);
};
const plain = { [here()]: (own: string) => copyFileSync(BINARY, join(own, fileOf(here()))) };
const info = (folder: string, env: Record<string, string> = {}) => {
  const { status, stdout, stderr } = run(folder, ['info', '--json', '-'], env);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
};

describe.skipIf(here() !== 'linux-x64-gnu')('the add-on with CUDA', () => {
  test('is taken where it loads and a GPU opens', () => {
    const cuda = {
      available: true,
      reason: 'cuda:0 is a GPU with 70.0 of 80.0 GiB free',
      driver: '13.0',
      devices: [{ device: 'cuda:0', name: 'a GPU', freeMemory: 75161927680, memory: 85899345920 }],
    };
    const bf16 = { instructions: null, auto: false };
    const its = { level: 'avx2', bf16, engines: ['fused', 'candle'], devices: ['cpu', 'cuda:0'], cuda };
    const told = JSON.stringify(its);
    const code = `module.exports = { ...plain, withoutCuda: () => null, backend: () => ${JSON.stringify(told)} };`;
    const folder = copy({ ...plain, [CUDA]: fake(code) });
    const said = info(folder);
    expect(said).toMatchObject({
      ...{ version: 1, recvae: version, addOn: `@recvae/${CUDA}`, platform: CUDA },
      ...{ devices: ['cpu', 'cuda:0'], cuda },
    });
    expect(run(folder, ['info']).stdout.split('\n')).toEqual([
      `recvae ${version} runs @recvae/${CUDA}, built for ${CUDA}.`,
      expect.stringMatching(/^The processor computes with \d+ threads? and avx2 instructions\.$/),
      'Networks are trained in f32: the processor has no instructions for bf16.',
      'Engines: fused, candle. Devices: cpu, cuda:0.',
      'CUDA is there: cuda:0 is a GPU with 70.0 of 80.0 GiB free.',
      'The driver is for CUDA 13.0.',
      '',
    ]);
    // Whoever names a binary gets that one.
    expect(info(folder, { RECVAE_BINARY: BINARY })).toMatchObject({
      ...{ addOn: `RECVAE_BINARY (${BINARY})`, platform: here(), devices: ['cpu'] },
      cuda: { available: false, reason: 'this build has no CUDA' },
    });
  });

  test.each([
    ['is not there', undefined, `@recvae/${CUDA} is not installed`],
    [
      'finds no driver',
      `throw new Error('libcuda.so.1: cannot open shared object file: No such file or directory')`,
      `@recvae/${CUDA} finds no NVIDIA driver: there is no libcuda.so.1`,
    ],
    [
      'lacks a library of CUDA',
      `throw new Error('libcublas.so.13: cannot open shared object file: No such file or directory')`,
      `@recvae/${CUDA} needs CUDA 13, of which libcublas.so.13 is not found: LD_LIBRARY_PATH can say where it is`,
    ],
    [
      'meets another CUDA',
      `throw new Error("/usr/lib/libcublas.so.13: version 'libcublas.so.13' not found")`,
      `@recvae/${CUDA} cannot be loaded: /usr/lib/libcublas.so.13: version 'libcublas.so.13' not found`,
    ],
    [
      'meets an old driver',
      `module.exports = { ...plain, withoutCuda: () => 'the driver is for CUDA 12.4' };`,
      `@recvae/${CUDA} loads, but the driver is for CUDA 12.4`,
    ],
    [
      'is of another version',
      `module.exports = { ...plain, version: () => '99.0.0' };`,
      `@recvae/${CUDA} is of version 99.0.0, recvae of ${version}`,
    ],
  ])('leaves the place to the other one where it %s', (_, code, reason) => {
    const folder = copy({ ...plain, ...(code && { [CUDA]: fake(code) }) });
    expect(info(folder)).toMatchObject({
      ...{ addOn: `@recvae/${here()}`, platform: here(), devices: ['cpu'] },
      cuda: { available: false, reason, driver: null, devices: [] },
    });
    const lines = run(folder, ['info']).stdout.split('\n');
    expect(lines).toContain(`CUDA is not used: ${reason}.`);
    expect(lines).toContain('Engines: fused, candle. Devices: cpu.');
    // auto goes on without a GPU, and who asks for one is told the reason that the loader has.
    const [likes, out] = [writePlanted(folder), join(folder, 'm.st')];
    const train = (device: string) =>
      run(folder, [
        ...['train', 'mult-dae', likes, '--epochs', '1', '--set', 'latentDim=2'],
        '--device',
        device,
        '--out',
        out,
      ]);
    expect(train('auto')).toMatchObject({ status: 0 });
    const { status, stderr } = train('cuda');
    expect(status).toBe(2);
    expect(stderr).toContain("--device is 'cuda'; allowed: cpu or auto: this build has no CUDA");
  });
});

/** The real one, where `npm run build:cuda` has built it: it loads with a libcuda that is none. */
const BUILT = join(BINDING, fileOf(CUDA));
const TOOLKIT = join(ROOT, 'target', 'cuda', 'toolkit', 'nvidia', 'cu13', 'lib');

describe.skipIf(!existsSync(BUILT))('the add-on with CUDA that is built here', () => {
  const folder = () => {
    const folder = copy(plain);
    symlinkSync(BUILT, join(folder, 'crates', 'recvae-node', fileOf(CUDA)));
    return folder;
  };

  test.skipIf(existsSync('/dev/nvidiactl'))('says that there is no driver', () => {
    expect(info(folder()).cuda.reason).toMatch(/finds no NVIDIA driver: there is no libcuda\.so\.1$/);
  });

  test.each([
    ['no device', {}, 'loads, but the driver finds no GPU'],
    ['a stand-in', { CUDA_STUB_RESULT: '34' }, 'loads, but libcuda is a stand-in to link with, and no driver'],
    [
      'another driver in the kernel',
      { CUDA_STUB_RESULT: '803' },
      'loads, but libcuda and the driver in the kernel are of different versions',
    ],
    [
      'an old driver',
      { CUDA_STUB_DRIVER: '12040' },
      'loads, but the driver is for CUDA 12.4, and this build is of CUDA 13.0, which needs driver 580 or later',
    ],
    [
      'a GPU that does not open',
      { CUDA_STUB_DRIVER: '13000', CUDA_STUB_RESULT: '46' },
      'loads, but cuda:0 does not open: another program has it for itself',
    ],
  ])('says what it finds: %s', (_, stub, reason) => {
    const env = { LD_LIBRARY_PATH: `${join(TOOLKIT, 'stubs')}:${TOOLKIT}`, ...stub };
    expect(info(folder(), env)).toMatchObject({
      addOn: `@recvae/${here()}`,
      cuda: { available: false, reason: `recvae.${CUDA}.node ${reason}` },
    });
  });

  test('refuses a GPU that is not there, and trains on the processor', () => {
    const env = { RECVAE_BINARY: BUILT, LD_LIBRARY_PATH: `${join(TOOLKIT, 'stubs')}:${TOOLKIT}` };
    expect(info(folder(), env)).toMatchObject({ platform: CUDA, devices: ['cpu'] });
    const place = folder();
    const [likes, out] = [writePlanted(place), join(place, 'm.st')];
    const train = (device: string) =>
      run(
        place,
        [...['train', 'mult-dae', likes, '--epochs', '1', '--set', 'latentDim=2'], '--device', device, '--out', out],
        env,
      );
    expect(train('auto')).toMatchObject({ status: 0 });
    expect(train('cuda:1').stderr).toContain("--device is 'cuda:1'; allowed: cpu or auto: the driver finds no GPU");
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
