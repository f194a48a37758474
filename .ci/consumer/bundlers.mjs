// Builds and runs a small program with every bundler, test runner and host, as docs/bundlers.md says to: from the
// packed packages, each in an empty folder. Prints a table; fails if a row does.
//
//   npm run check:bundlers [-- --only <text of a row>]
import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);

/** Trains and answers; prints what EASE^R must recommend. */
const LIBRARY = `
import { fit, Interactions } from 'recvae';
const users = ['u', 'u', 'v', 'v', 'w'], items = ['a', 'b', 'a', 'b', 'a'];
export async function answer() {
  const model = await fit('ease', Interactions.fromColumns({ users, items }), { lambda: 1 });
  return model.recommend(['a'], { k: 1 }).items[0].id;
}
`;
const MAIN = `import { answer } from './library.mjs';\nanswer().then(console.log);\n`;
const ANSWER = 'b';

/** What a test runner runs: values, errors and typed arrays of the realm that it makes for tests. */
const TEST = (load) => `
${load}
test('recommends', async () => {
  const data = Interactions.fromColumns({ users: BigInt64Array.of(1n, 1n, 2n, 2n, 3n), items: ['a', 'b', 'a', 'b', 'a'] });
  const { signal } = new AbortController();
  const model = await fit('ease', data, { lambda: 1 }, { signal });
  expect(model.recommend(['a'], { k: 1 }).items[0].id).toBe('b');
  const columns = await model.recommendColumns({ items: Uint32Array.of(0), offsets: Uint32Array.of(0, 1) }, { k: 1 });
  expect(columns.itemIds[columns.items[0]]).toBe('b');
  expect(await Interactions.fromArrow(data.toArrow())).toMatchObject({ nUsers: 3 });
  expect(() => model.recommend(['a'], { k: -1 })).toThrow(RecvaeError);
  await expect(load('nowhere.safetensors')).rejects.toMatchObject({ name: 'RecvaeError', code: 'IO' });
});
`;
const NAMES = '{ fit, Interactions, load, RecvaeError }';
const ESM_TEST = TEST(`import ${NAMES} from 'recvae';`);
const CJS_TEST = TEST(`const ${NAMES} = require('recvae');`);

const bin = (app, name, ...path) => join(app, 'node_modules', name, ...path);
const node = (app, args, env = {}) =>
  execute(process.execPath, args, { cwd: app, maxBuffer: 1 << 26, env: { ...process.env, ...env } }).then(
    ({ stdout }) => stdout.trim(),
    (error) => {
      throw new Error(`${error.stderr}\n${error.stdout}`.trim() || error.message);
    },
  );

/** Runs what was built in a folder of its own, without node_modules beside it. */
async function runAlone(app, built, entry) {
  const folder = mkdtempSync(join(dirname(app), 'alone-'));
  cpSync(join(app, built), folder, { recursive: true });
  return node(folder, [entry]);
}

function expectAnswer(found) {
  if (found.split('\n').at(-1) !== ANSWER) throw new Error(`it prints ${found}`);
}

/** An application of Next with one route, built as `standalone` and started from a copy. */
const next = (flag) => ({
  packages: { next: '16.4.6', react: '19.2.0', 'react-dom': '19.2.0' },
  files: {
    'next.config.mjs': "export default { output: 'standalone', serverExternalPackages: ['recvae'] };\n",
    'app/layout.js': 'export default ({ children }) => <html><body>{children}</body></html>;\n',
    'app/page.js': 'export default () => <p>recvae</p>;\n',
    'app/answer/route.js':
      "import { answer } from '../../library.mjs';\nexport const dynamic = 'force-dynamic';\nexport const GET = async () => new Response(await answer());\n",
  },
  async run(app) {
    const env = { NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' };
    await node(app, [bin(app, 'next', 'dist', 'bin', 'next'), 'build', flag], env);
    const alone = mkdtempSync(join(dirname(app), 'alone-'));
    cpSync(join(app, '.next', 'standalone'), alone, { recursive: true });
    const PORT = String(20000 + (process.pid % 20000));
    const server = spawn(process.execPath, ['server.js'], {
      cwd: alone,
      env: { ...process.env, PORT, HOSTNAME: '127.0.0.1' },
      stdio: 'ignore',
    });
    try {
      for (let tries = 0; tries < 300; tries += 1) {
        const answers = await fetch(`http://127.0.0.1:${PORT}/answer`).then(
          (response) => response.text(),
          () => undefined,
        );
        if (answers !== undefined) return expectAnswer(answers);
        await setTimeout(100);
      }
      throw new Error('the server does not answer');
    } finally {
      server.kill();
    }
  },
});

const jest = (env, app) => node(app, [bin(app, 'jest', 'bin', 'jest.js'), '--no-cache'], env);

/** Each row: what it takes, and how it is built and run. `write` is what docs/bundlers.md says of it. */
export const HOSTS = {
  'esbuild, external': {
    packages: { esbuild: '0.28.2' },
    write: '`--packages=external`',
    async run(app) {
      const flags = ['--bundle', '--platform=node', '--format=esm', '--packages=external', '--outfile=out/main.mjs'];
      execFileSync(bin(app, 'esbuild', 'bin', 'esbuild'), ['main.mjs', ...flags], { cwd: app, stdio: 'pipe' });
      expectAnswer(await node(app, ['out/main.mjs']));
    },
  },
  'esbuild, in one file': {
    packages: { esbuild: '0.28.2' },
    write: '`--format=cjs --loader:.node=copy`',
    async run(app) {
      const flags = [
        '--bundle',
        '--platform=node',
        '--format=cjs',
        '--loader:.node=copy',
        '--outdir=out',
        '--out-extension:.js=.cjs',
      ];
      execFileSync(bin(app, 'esbuild', 'bin', 'esbuild'), ['main.mjs', ...flags], { cwd: app, stdio: 'pipe' });
      expectAnswer(await runAlone(app, 'out', 'main.cjs'));
    },
  },
  'esbuild, in one file, ES module': {
    packages: { esbuild: '0.28.2' },
    write: 'the same with `--format=esm` and a `--banner:js` that makes a `require`',
    async run(app) {
      const flags = [
        ...['--bundle', '--platform=node', '--format=esm', '--loader:.node=copy'],
        ...['--outdir=out', '--out-extension:.js=.mjs'],
        "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      ];
      execFileSync(bin(app, 'esbuild', 'bin', 'esbuild'), ['main.mjs', ...flags], { cwd: app, stdio: 'pipe' });
      expectAnswer(await runAlone(app, 'out', 'main.mjs'));
    },
  },
  rollup: {
    packages: { rollup: '4.68.8' },
    write: "`external: ['recvae']`",
    async run(app) {
      const config = "export default { input: 'main.mjs', external: ['recvae'], output: { file: 'out/main.mjs' } };\n";
      writeFileSync(join(app, 'rollup.config.mjs'), config);
      await node(app, [bin(app, 'rollup', 'dist', 'bin', 'rollup'), '-c']);
      expectAnswer(await node(app, ['out/main.mjs']));
    },
  },
  'webpack, external': {
    packages: { webpack: '5.113.0', 'webpack-cli': '6.0.1' },
    write: "`target: 'node', externals: { recvae: 'node-commonjs recvae' }`",
    async run(app) {
      const config =
        "module.exports = { mode: 'production', target: 'node', entry: './main.mjs', output: { filename: 'main.cjs' }, externals: { recvae: 'node-commonjs recvae' } };\n";
      writeFileSync(join(app, 'webpack.config.cjs'), config);
      await node(app, [bin(app, 'webpack', 'bin', 'webpack.js'), '-c', 'webpack.config.cjs']);
      expectAnswer(await node(app, ['dist/main.cjs']));
    },
  },
  'webpack, in one folder': {
    packages: { webpack: '5.113.0', 'webpack-cli': '6.0.1', 'node-loader': '2.1.0' },
    write: "`target: 'node'`, `node-loader` for `.node`",
    async run(app) {
      const config = `module.exports = { mode: 'production', target: 'node', entry: './main.mjs', output: { filename: 'main.cjs' },
        module: { rules: [{ test: /\\.node$/, loader: 'node-loader' }] } };\n`;
      writeFileSync(join(app, 'webpack.config.cjs'), config);
      await node(app, [bin(app, 'webpack', 'bin', 'webpack.js'), '-c', 'webpack.config.cjs']);
      expectAnswer(await runAlone(app, 'dist', 'main.cjs'));
    },
  },
  'Vite SSR': {
    packages: { vite: '8.4.0' },
    write: 'nothing',
    async run(app) {
      await node(app, [bin(app, 'vite', 'bin', 'vite.js'), 'build', '--ssr', 'main.mjs']);
      const [file] = readdirSync(join(app, 'dist')).filter((name) => /^main\.m?js$/.test(name));
      expectAnswer(await node(app, [join('dist', file)]));
    },
  },
  'Next, webpack, standalone': { ...next('--webpack'), write: "`serverExternalPackages: ['recvae']`" },
  'Next, Turbopack, standalone': { ...next('--turbopack'), write: "`serverExternalPackages: ['recvae']`" },
  '@vercel/nft': {
    packages: { '@vercel/nft': '1.11.5' },
    write: 'nothing',
    async run(app) {
      const script = `import { nodeFileTrace } from '@vercel/nft';
        const { fileList } = await nodeFileTrace(['main.mjs']); console.log(JSON.stringify([...fileList]));`;
      writeFileSync(join(app, 'trace.mjs'), script);
      const files = JSON.parse(await node(app, ['trace.mjs']));
      const alone = mkdtempSync(join(dirname(app), 'alone-'));
      for (const path of files) cpSync(join(app, path), join(alone, path));
      expectAnswer(await node(alone, ['main.mjs']));
    },
  },
  'jest, ES modules': {
    packages: { jest: '30.5.2' },
    write: '`NODE_OPTIONS=--experimental-vm-modules`, `transform: {}`',
    files: { 'app.test.mjs': ESM_TEST, 'jest.config.json': '{ "transform": {}, "testMatch": ["**/*.test.mjs"] }' },
    run: (app) => jest({ NODE_OPTIONS: '--experimental-vm-modules' }, app),
  },
  'jest, CommonJS': {
    packages: { jest: '30.5.2', '@babel/core': '7.28.5', '@babel/preset-env': '7.28.5' },
    write: "`transform` by babel-jest with `preset-env`, `transformIgnorePatterns: ['/node_modules/(?!recvae/)']`",
    files: {
      'app.test.cjs': CJS_TEST,
      'babel.config.cjs': "module.exports = { presets: [['@babel/preset-env', { targets: { node: 'current' } }]] };\n",
      'jest.config.json': `{ "testMatch": ["**/*.test.cjs"], "transform": { "\\\\.m?js$": "babel-jest" }, "transformIgnorePatterns": ["/node_modules/(?!recvae/)"] }`,
    },
    run: (app) => jest({}, app),
  },
  'ts-jest': {
    packages: {
      jest: '30.5.2',
      'ts-jest': '29.4.15',
      typescript: '5.9.3',
      '@types/node': '20.19.43',
      '@types/jest': '30.0.0',
    },
    write: '`ts-jest/presets/default-esm`, `NODE_OPTIONS=--experimental-vm-modules`',
    files: {
      'app.test.ts': ESM_TEST.replaceAll('.items[0].id', '.items[0]!.id').replace(
        'columns.items[0]]',
        'columns.items[0]!]',
      ),
      'tsconfig.json':
        '{ "compilerOptions": { "module": "nodenext", "strict": true, "isolatedModules": true, "noUncheckedIndexedAccess": true, "target": "es2022", "types": ["node", "jest"] } }',
      'jest.config.json': '{ "preset": "ts-jest/presets/default-esm", "testMatch": ["**/*.test.ts"] }',
    },
    run: (app) => jest({ NODE_OPTIONS: '--experimental-vm-modules' }, app),
  },
  'vitest, vmThreads': {
    packages: { vitest: '4.1.12' },
    write: 'nothing',
    files: { 'app.test.mjs': `import { expect, test } from 'vitest';\n${ESM_TEST}` },
    run: (app) => node(app, [bin(app, 'vitest', 'vitest.mjs'), 'run', '--pool', 'vmThreads']),
  },
  tsx: {
    packages: { tsx: '4.23.15' },
    write: 'nothing',
    files: {
      'main.ts': `import { answer } from './library.mjs';\nconst found: string = await answer();\nconsole.log(found);\n`,
    },
    run: async (app) => expectAnswer(await node(app, [bin(app, 'tsx', 'dist', 'cli.mjs'), 'main.ts'])),
  },
  'AWS Lambda': {
    packages: {},
    write: 'nothing; see the size',
    async run(app) {
      const size = (folder) =>
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
      const bytes = size(join(app, 'node_modules'));
      const zipped = execFileSync('tar', ['-cz', 'node_modules'], { cwd: app, maxBuffer: 1 << 30 }).length;
      if (bytes > 250 * 2 ** 20 || zipped > 50 * 2 ** 20) throw new Error(`${bytes} bytes, ${zipped} packed`);
      return `${(bytes / 2 ** 20).toFixed(1)} MiB of 250, packed ${(zipped / 2 ** 20).toFixed(1)} of 50`;
    },
  },
};

/** Installs the packed packages and what a row takes into an empty folder. */
function install(app, tarballs, { packages = {}, files = {} }) {
  mkdirSync(app, { recursive: true });
  const dependencies = { ...Object.fromEntries(tarballs), ...packages };
  const all = {
    'package.json': JSON.stringify({ private: true, type: 'module', dependencies }),
    'library.mjs': LIBRARY,
    'main.mjs': MAIN,
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(app, path)), { recursive: true });
    writeFileSync(join(app, path), text);
  }
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', '--no-package-lock'];
  execFileSync('npm', args, { cwd: app, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Tries the rows whose name has one of these texts, and tells of each. `tarballs`: pairs of a package and its file. */
export async function checkHosts({ tarballs, only, tell }) {
  const folder = mkdtempSync(join(tmpdir(), 'recvae-hosts-'));
  try {
    for (const [name, host] of Object.entries(HOSTS)) {
      if (only && !only.some((text) => name.includes(text))) continue;
      const app = join(folder, name.replace(/\W+/g, '-'));
      try {
        install(app, tarballs, host);
        tell(name, host, (await host.run(app)) ?? '', undefined);
      } catch (error) {
        tell(name, host, '', error);
      }
      rmSync(app, { recursive: true, force: true, maxRetries: 5 });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The tarballs of this machine, by the names of their packages. */
export async function packHere(out) {
  const [{ pack }, { here }] = await Promise.all([import('../release/pack.mjs'), import('../release/platforms.mjs')]);
  const binaries = join(root, 'crates', 'recvae-node');
  const strip = process.platform === 'linux' && existsSync('/usr/bin/strip');
  const [platform, main] = await pack({ binaries, out, only: [here()], strip });
  return [
    ['recvae', main.path],
    [`@recvae/${here()}`, platform.path],
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root);
  const { only } = parseArgs({ options: { only: { type: 'string', multiple: true } } }).values;
  const tarballs = await packHere(join('target', 'consumer-packages'));
  console.log('| host | version | what to write | result |\n| --- | --- | --- | --- |');
  await checkHosts({
    tarballs,
    only,
    tell(name, { packages, write }, said, error) {
      const version = Object.values(packages)[0] ?? '';
      const works = typeof said === 'string' && /refused|MiB|tried/.test(said) ? said : 'works';
      console.log(`| ${name} | ${version} | ${write} | ${error ? 'fails' : works} |`);
      if (error) {
        console.error(error.message.split('\n').slice(0, 40).join('\n'));
        process.exitCode = 1;
      }
    },
  });
}
