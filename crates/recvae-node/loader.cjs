/**
 * Finds the compiled core: the file that RECVAE_BINARY names, else what this clone has built, else the package of the platform.
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
    const missing = thrown?.code === 'MODULE_NOT_FOUND' && `${thrown.message}`.includes(`@recvae/${platform}`);
    throw missing ? refusal(`@recvae/${platform} is not installed`, thrown) : cannotLoad(`@recvae/${platform}`, thrown);
  }
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

/** Gives the add-on, or throws why there is none. */
function find() {
  const own = process.env.RECVAE_BINARY;
  if (own) {
    const name = `RECVAE_BINARY (${own})`;
    return ofThisVersion(fromFile(resolve(own), name), name);
  }
  const refusals = [];
  for (const platform of candidates()) {
    const built = folder !== undefined && existsSync(fileOf(platform));
    const name = built ? `recvae.${platform}.node` : `@recvae/${platform}`;
    if (!built && !(platform in PLATFORMS)) continue;
    try {
      return ofThisVersion(built ? fromFile(fileOf(platform), name) : fromPackage(platform), name);
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

let binding;
let problem;
try {
  binding = find();
} catch (thrown) {
  problem = problemOf(thrown);
  // Whatever is taken from it can be called or constructed, and throws.
  const absent = () => {
    throw problem;
  };
  binding = new Proxy({}, { get: () => new Proxy(function missing() {}, { apply: absent, construct: absent }) });
}

module.exports = { binding, problem, version, PLATFORMS };
