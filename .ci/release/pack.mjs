// Makes the packages that are published: recvae, and one for each platform with its add-on.
//
//   node .ci/release/pack.mjs --binaries <folder> [--out target/packages] [--strip] [--stand-ins]
//
// The folder holds recvae.<platform>.node for every platform; one that is not there is an error, or with --stand-ins a
// file that cannot be loaded, for rehearsals. Only here does recvae get the packages of platforms as optional
// dependencies: a clone installs from a registry that may not have them yet. --strip takes the symbols out of the
// add-ons, for those that were built with them.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { declarations } from './declarations.mjs';
import { notices } from './notices.mjs';
import { constraints, fileOf, PLATFORMS, REPOSITORY } from './platforms.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const manifest = JSON.parse(readFileSync(at('package.json'), 'utf8'));
const { name, version, license, repository, homepage, bugs, engines } = manifest;

/** Where a file of this version can be read. */
const address = (path, as = 'blob') => `${REPOSITORY}/${as}/v${version}/${path}`;

/** Links to files of the repository as absolute ones: the package has few of them. */
function absoluteLinks(markdown) {
  return markdown.replace(/(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)/g, (_, image, text, path) => {
    if (!existsSync(at(path.split('#')[0]))) throw new Error(`README.md points to ${path}, which is not there`);
    return `${image}[${text}](${address(path, image ? 'raw' : 'blob')})`;
  });
}

/** Paths of the repository in hover texts, as links. */
function absolutePaths(types) {
  return types.replace(/`((?:crates|test|benches|docs)\/[\w./-]+)`/g, (code, path) =>
    existsSync(at(path)) ? `[${path}](${address(path)})` : code,
  );
}

function write(folder, files) {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
const texts = ['LICENSE-MIT', 'LICENSE-APACHE'];

/** What users install. */
async function packMain(folder, platforms) {
  const { keywords, description, type, bin, dependencies, peerDependencies, peerDependenciesMeta } = manifest;
  const optionalDependencies = Object.fromEntries(platforms.map((platform) => [`@recvae/${platform}`, version]));
  const types = absolutePaths(await declarations(at('dist', 'index.d.ts')));
  // With the licences of what is bundled in it, and what Spark runs.
  const shipped = (path) => path.endsWith('.js') || path.endsWith('.py') || path.endsWith('licences.txt');
  for (const path of readdirSync(at('dist'), { recursive: true }).filter(shipped)) {
    cpSync(at('dist', path), join(folder, 'dist', path));
  }
  for (const path of ['index.cjs', 'loader.cjs']) {
    cpSync(at('crates', 'recvae-node', path), join(folder, 'crates', 'recvae-node', path));
  }
  for (const path of texts) cpSync(at(path), join(folder, path));
  cpSync(at('docs', 'CHANGELOG.md'), join(folder, 'CHANGELOG.md'));
  write(folder, {
    'dist/index.d.ts': types,
    // The same for files that are CommonJS, which require() it as it is.
    'dist/index.d.cts': types,
    'README.md': absoluteLinks(readFileSync(at('README.md'), 'utf8')),
    'package.json': json({
      ...{ name, version, description, keywords, license, repository, homepage, bugs, type, engines, bin },
      types: './dist/index.d.ts',
      exports: {
        '.': {
          import: { types: './dist/index.d.ts', default: './dist/index.js' },
          require: { types: './dist/index.d.cts', default: './dist/index.js' },
          default: './dist/index.js',
        },
        './package.json': './package.json',
      },
      ...{ dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta },
    }),
  });
}

/** The add-on of one platform, with the notices of what is linked into it. */
function packPlatform(folder, platform, binary, strip) {
  const main = fileOf(platform);
  write(folder, {
    'package.json': json({
      ...{ name: `@recvae/${platform}`, version, description: `The compiled core of recvae for ${platform}` },
      ...{ license, repository, homepage, bugs, engines, main, ...constraints(platform) },
    }),
    'README.md': `# @recvae/${platform}\n\nThe compiled core of [recvae](${homepage}) for ${platform}. \`npm install recvae\` installs it.\n`,
    'THIRD_PARTY_NOTICES.md': notices(platform),
  });
  for (const path of texts) cpSync(at(path), join(folder, path));
  if (binary === undefined) writeFileSync(join(folder, main), 'a stand-in, which cannot be loaded\n');
  else cpSync(binary, join(folder, main));
  if (binary !== undefined && strip) execFileSync('strip', ['--strip-unneeded', join(folder, main)]);
}

/**
 * Makes folders and tarballs, and gives the tarballs, those of the platforms first. `only`: these platforms and no
 * others.
 */
export async function pack({ binaries, out, strip = false, standIns = false, only }) {
  const cargoVersion = /^version = "(.*)"$/m.exec(readFileSync(at('Cargo.toml'), 'utf8'))[1];
  if (cargoVersion !== version) throw new Error(`Cargo.toml has version ${cargoVersion}, package.json ${version}`);
  const platforms = PLATFORMS.map((platform) => platform.name).filter((platform) => only?.includes(platform) ?? true);
  const found = platforms.map((platform) => resolve(binaries, fileOf(platform)));
  const missing = found.filter((path) => !existsSync(path));
  if (missing.length > 0 && !standIns) {
    throw new Error(`no add-on for ${missing.map((path) => relative(root, path)).join(', ')}`);
  }
  rmSync(out, { recursive: true, force: true });
  const folders = platforms.map((platform) => join(out, platform));
  for (const [number, platform] of platforms.entries()) {
    packPlatform(folders[number], platform, existsSync(found[number]) ? found[number] : undefined, strip);
  }
  folders.push(join(out, name));
  await packMain(
    join(out, name),
    PLATFORMS.map((platform) => platform.name),
  );
  return folders.map((folder) => {
    const options = { cwd: out, encoding: 'utf8', shell: process.platform === 'win32' };
    const args = ['pack', resolve(folder), '--json', '--loglevel=error', '--ignore-scripts'];
    const [{ filename, size, unpackedSize }] = JSON.parse(execFileSync('npm', args, options));
    return { path: resolve(out, filename.replace('@', '').replace('/', '-')), size, unpackedSize };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      binaries: { type: 'string', default: join('crates', 'recvae-node') },
      out: { type: 'string', default: join('target', 'packages') },
      strip: { type: 'boolean' },
      'stand-ins': { type: 'boolean' },
    },
  });
  for (const { path, size, unpackedSize } of await pack({ ...values, standIns: values['stand-ins'] })) {
    console.log(
      `${relative('.', path)}: ${(size / 1e6).toFixed(2)} MB, unpacked ${(unpackedSize / 1e6).toFixed(2)} MB`,
    );
  }
}
