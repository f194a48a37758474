// What compiles and links the core for CUDA on a machine without a GPU, a driver or a CUDA of its own: nvcc and
// NVIDIA's libraries from PyPI (requirements.txt), in target/cuda/toolkit, and a libcuda to link with.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cargoEnvironment } from '../environment.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const REQUIREMENTS = join(ROOT, '.ci', 'cuda', 'requirements.txt');
const FOLDER = join(ROOT, 'target', 'cuda', 'toolkit');

/** Where all of the wheels unpack to: what nvcc calls CUDA_HOME. */
export const HOME = join(FOLDER, 'nvidia', 'cu13');
export const LIBRARIES = join(HOME, 'lib');
/** Has a libcuda that no device opens with. Only to link with, and to start programs where there is no driver. */
export const STUBS = join(LIBRARIES, 'stubs');

/** The GPUs that there is machine code for; the least of them is whose PTX there is for all others. */
export const ARCHITECTURES = ['80', '90'];

const hashOf = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Installs the toolkit unless it is there, and gives the environment that cargo builds with. */
export function toolkit() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('CUDA is built on Linux x64 alone');
  const stamp = join(FOLDER, 'stamp');
  const wanted = hashOf(REQUIREMENTS) + hashOf(fileURLToPath(import.meta.url));
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    process.stderr.write('cuda: nvcc and libraries (about 900 MB)\n');
    rmSync(FOLDER, { recursive: true, force: true });
    mkdirSync(FOLDER, { recursive: true });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
    execFileSync('python3', [...pip, '--require-hashes', '--target', FOLDER, '-r', REQUIREMENTS], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    nameLibraries();
    makeStub();
    writeFileSync(stamp, wanted);
  }
  return environment();
}

/** A linker looks for `libX.so`, and wheels have `libX.so.13` alone; nvcc looks in lib64 too. */
function nameLibraries() {
  for (const name of readdirSync(LIBRARIES)) {
    const plain = /^(lib\w+\.so)\.\d+$/.exec(name)?.[1];
    if (plain && !existsSync(join(LIBRARIES, plain))) symlinkSync(name, join(LIBRARIES, plain));
  }
  symlinkSync('lib', join(HOME, 'lib64'));
}

/**
 * The driver's library comes with the driver. This one has all its names (those in cuda.h), and every function but
 * three says that there is no device. CUDA_STUB_DRIVER=12040 makes it a driver of CUDA 12.4 with one device of which
 * nothing can be opened, and CUDA_STUB_RESULT gives the result of all functions, so that tests can see what is said
 * then.
 */
function makeStub() {
  const header = readFileSync(join(HOME, 'include', 'cuda.h'), 'utf8');
  const own = ['cuInit', 'cuDriverGetVersion', 'cuDeviceGetCount'];
  const names = new Set(header.match(/\bcu[A-Z]\w+\b/g).filter((name) => !own.includes(name)));
  const source = [
    '#include <stdlib.h>',
    'static int number(const char *name, int other) { const char *text = getenv(name); return text ? atoi(text) : other; }',
    'static int result(void) { return number("CUDA_STUB_RESULT", 100); }',
    'int cuInit(unsigned flags) { return number("CUDA_STUB_DRIVER", 0) ? 0 : result(); }',
    'int cuDriverGetVersion(int *version) { *version = number("CUDA_STUB_DRIVER", 0); return 0; }',
    'int cuDeviceGetCount(int *count) { *count = number("CUDA_STUB_DRIVER", 0) > 0; return *count ? 0 : result(); }',
    ...[...names].map((name) => `int ${name}(void) { return result(); }`),
  ];
  mkdirSync(STUBS, { recursive: true });
  const file = join(STUBS, 'stub.c');
  writeFileSync(file, `${source.join('\n')}\n`);
  const library = join(STUBS, 'libcuda.so.1');
  execFileSync('cc', ['-w', '-fno-builtin', '-shared', '-fPIC', '-Wl,-soname,libcuda.so.1', '-o', library, file]);
  symlinkSync('libcuda.so.1', join(STUBS, 'libcuda.so'));
}

/** Of cargo, which builds beside what `npm run setup` builds, at most two nvcc at once. */
function environment() {
  const before = (folder, path) => [folder, ...(path ? [path] : [])].join(delimiter);
  return {
    ...cargoEnvironment(),
    CARGO_TARGET_DIR: join(ROOT, 'target', 'cuda', 'build'),
    CUDA_HOME: HOME,
    CUDA_COMPUTE_CAP: ARCHITECTURES[0],
    CUDAFORGE_THREADS: process.env.CUDAFORGE_THREADS ?? '2',
    PATH: before(join(HOME, 'bin'), process.env.PATH),
    LIBRARY_PATH: before(resolve(LIBRARIES), process.env.LIBRARY_PATH),
  };
}

/** What programs need that were linked with the stub, where there is no driver. */
export function withStub(env) {
  return { ...env, LD_LIBRARY_PATH: [STUBS, LIBRARIES, env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter) };
}
