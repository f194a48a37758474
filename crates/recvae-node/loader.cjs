/**
 * Finds the compiled core: the file that RECVAE_BINARY names; else the one with CUDA, if there is one, it loads and a GPU opens; else
 * what this clone has built, else the package of the platform.
 *
 * CommonJS, with one literal `require` per platform inside a `try`: bundlers and tracers follow those of the packages that are
 * installed, and pass over the others. Nothing is thrown here: whoever needs the core throws `problem`, and help can do without.
 */
'use strict';
const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join, resolve } = require('node:path');
const { version } = require('../../package.json');

/** The platforms that packages are published for, with what they need of the system. */
const PLATFORMS = {
  'linux-x64-gnu': 'glibc 2.17 or later',
  'linux-x64-musl': 'musl',
  'linux-arm64-gnu': 'glibc 2.17 or later',
  'linux-arm64-musl': 'musl',
  'darwin-x64': '',
  'darwin-arm64': '',
  'win32-x64-msvc': '',
};

/** The only platform that has an add-on with CUDA, too, and what that one is called by. */
const CUDA_ON = 'linux-x64-gnu';
const CUDA = 'linux-x64-gnu-cuda13';

/** The add-on with CUDA as a package. */
function fromCudaPackage() {
  try {
    return require('@recvae/linux-x64-gnu-cuda13');
  } catch (thrown) {
    throw isMissing(CUDA, thrown) ? notInstalled(CUDA, thrown) : cannotLoad(`@recvae/${CUDA}`, thrown);
  }
}

/** The add-on of a package that is installed. */
function fromPackage(platform) {
  try {
    switch (platform) {
      case 'linux-x64-gnu':
        return require('@recvae/linux-x64-gnu');
      case 'linux-x64-musl':
        return require('@recvae/linux-x64-musl');
      case 'linux-arm64-gnu':
        return require('@recvae/linux-arm64-gnu');
      case 'linux-arm64-musl':
        return require('@recvae/linux-arm64-musl');
      case 'darwin-x64':
        return require('@recvae/darwin-x64');
      case 'darwin-arm64':
        return require('@recvae/darwin-arm64');
      case 'win32-x64-msvc':
        return require('@recvae/win32-x64-msvc');
    }
  } catch (thrown) {
    throw isMissing(platform, thrown) ? notInstalled(platform, thrown) : cannotLoad(`@recvae/${platform}`, thrown);
  }
}

function isMissing(platform, thrown) {
  // Not a package of which it is the beginning of the name.
  return thrown?.code === 'MODULE_NOT_FOUND' && `${thrown.message}`.includes(`'@recvae/${platform}'`);
}

function notInstalled(platform, cause) {
  return refusal(`@recvae/${platform} is not installed`, cause);
}

/** The add-on in a file. Bundlers must not look for it: it is there, or it is not, when the program runs. */
function fromFile(path, name) {
  try {
    return createRequire(path)(path);
  } catch (thrown) {
    throw cannotLoad(name, thrown);
  }
}

function refusal(message, cause) {
  return new Error(message, { cause });
}

function cannotLoad(name, thrown) {
  return refusal(`${name} cannot be loaded: ${`${thrown?.message ?? thrown}`.split('\n')[0]}`, thrown);
}

/** Fails for the add-on of another version: names and meanings change between them. */
function ofThisVersion(addOn, name) {
  const found = typeof addOn?.version === 'function' ? addOn.version() : 'another program';
  if (found !== version) throw refusal(`${name} is of version ${found}, recvae of ${version}`);
  return addOn;
}

/** Whether the C library of this Linux is musl; `ldd` belongs to it, and is a script that names it. */
function saysMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'latin1').includes('musl');
  } catch {
    return false;
  }
}

/** The names of platforms that may run here, the likelier first. */
function candidates() {
  const { platform, arch } = process;
  if (platform === 'linux') {
    const libraries = saysMusl() ? ['musl', 'gnu'] : ['gnu', 'musl'];
    return libraries.map((library) => `${platform}-${arch}-${library}`);
  }
  return [platform === 'win32' ? `${platform}-${arch}-msvc` : `${platform}-${arch}`];
}

/** Builds of this clone: files beside this one. A bundle as an ES module has no `__dirname`. */
const folder = typeof __dirname === 'string' ? __dirname : undefined;
const fileOf = (platform) => join(folder, `recvae.${platform}.node`);

/** Gives the add-on with its name, its platform and, where it has no CUDA, why; or throws why there is none. */
function find() {
  const own = process.env.RECVAE_BINARY;
  if (own) {
    const name = `RECVAE_BINARY (${own})`;
    return { ...named(fromFile(resolve(own), name), name), cuda: undefined };
  }
  let cuda;
  if (candidates()[0] === CUDA_ON) {
    try {
      return findCuda();
    } catch (thrown) {
      cuda = thrown.message;
    }
  } else {
    cuda = `there is no build with CUDA for ${candidates()[0]}`;
  }
  return { ...findPlain(), cuda };
}

function named(addOn, name, platform) {
  return { binding: ofThisVersion(addOn, name), addOn: name, platform: platform ?? /recvae\.(.+)\.node/.exec(name)?.[1] ?? 'another place' };
}

/** The one with CUDA, if a GPU opens. */
function findCuda() {
  const built = folder !== undefined && existsSync(fileOf(CUDA));
  const name = built ? `recvae.${CUDA}.node` : `@recvae/${CUDA}`;
  let found;
  try {
    found = named(built ? fromFile(fileOf(CUDA), name) : fromCudaPackage(), name, CUDA);
  } catch (thrown) {
    // The driver's library comes with the driver, all others with CUDA.
    if (/libcuda\.so\S*: cannot open/.test(thrown.message)) throw refusal(`${name} finds no NVIDIA driver: there is no libcuda.so.1`, thrown);
    const [, library] = /(lib(?:cu|nv)\w+\.so\S*): cannot open/.exec(thrown.message) ?? [];
    if (library) throw refusal(`${name} needs CUDA 13, of which ${library} is not found: LD_LIBRARY_PATH can say where it is`, thrown);
    throw thrown;
  }
  const without = found.binding.withoutCuda();
  if (without) throw refusal(`${name} loads, but ${without}`);
  return { ...found, cuda: undefined };
}

/** The one without CUDA. */
function findPlain() {
  const refusals = [];
  for (const platform of candidates()) {
    const built = folder !== undefined && existsSync(fileOf(platform));
    const name = built ? `recvae.${platform}.node` : `@recvae/${platform}`;
    if (!built && !(platform in PLATFORMS)) continue;
    try {
      return named(built ? fromFile(fileOf(platform), name) : fromPackage(platform), name, platform);
    } catch (thrown) {
      refusals.push(thrown);
    }
  }
  // What is there and does not work says more than what is not there.
  refusals.sort((a, b) => Number(a.message.endsWith('not installed')) - Number(b.message.endsWith('not installed')));
  throw refusals[0] ?? refusal('this platform is not supported');
}

/** The platform, with the version of its C library where that decides, and the program that runs. */
function here() {
  const { platform, arch, versions } = process;
  const program = versions.bun ? `Bun ${versions.bun}` : versions.deno ? `Deno ${versions.deno}` : `Node ${versions.node}`;
  if (platform !== 'linux') return `${platform}-${arch} (${program})`;
  let glibc;
  try {
    process.report.excludeNetwork = true; // names of hosts take seconds to look up
    glibc = process.report.getReport().header.glibcVersionRuntime;
  } catch {} // a runtime without reports
  const library = glibc ? `glibc ${glibc}` : saysMusl() ? 'musl' : 'unknown C library';
  return `${platform}-${arch} (${library}, ${program})`;
}

/** Names of the builds that lie beside this file. */
function builds() {
  if (folder === undefined || !existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => /^recvae\.(.+)\.node$/.exec(name)?.[1] ?? [])
    .sort();
}

function problemOf(cause) {
  const supported = Object.entries(PLATFORMS).map(([name, needs]) => (needs ? `${name} (${needs})` : name));
  const built = builds();
  const parts = [
    `recvae ${version} has no binary for ${here()}: ${cause.message}`,
    `supported: ${supported.join(', ')}`,
    ...(built.length > 0 ? [`built here: ${built.join(', ')}`] : []),
    'packages of platforms are optional dependencies, so install with them (no --omit=optional)',
    'to build one, with Rust: npm run setup in a clone of github.com/recvae/recvae, and RECVAE_BINARY=<path of the .node file>',
  ];
  return Object.assign(new Error(parts.join('; '), { cause }), { code: 'ERR_RECVAE_NO_BINARY' });
}

let found = {};
let problem;
try {
  found = find();
} catch (thrown) {
  problem = problemOf(thrown);
  // Whatever is taken from it can be called or constructed, and throws.
  const absent = () => {
    throw problem;
  };
  found.binding = new Proxy({}, { get: () => new Proxy(function missing() {}, { apply: absent, construct: absent }) });
}
const { binding, addOn, platform, cuda } = found;

module.exports = { binding, problem, addOn, platform, cuda, version, PLATFORMS };
