// Compiles a project that uses the packed package, as strictly as TypeScript can: every version x resolution x with and
// without the types of the DOM and of Node. Prints a table; fails if a cell does.
//
//   npm run check:types [-- --only <version of TypeScript>]
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = fileURLToPath(new URL('app.ts', import.meta.url));

/** The compilers, and the types of Node that each can read. */
const VERSIONS = {
  5.4: { typescript: '5.4.5', node: '20.19.43' },
  5.9: { typescript: '5.9.3', node: '24.10.1' },
  '6.0': { typescript: '6.0.3', node: '24.10.1' },
  '7.0': { typescript: '7.0.2', node: '24.10.1' },
};

/** How modules are found; a file that is CommonJS is one that may `require` the package. */
const RESOLUTIONS = {
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  'node16, CommonJS': { module: 'node16', moduleResolution: 'node16', commonjs: true },
  'nodenext, CommonJS': { module: 'nodenext', moduleResolution: 'nodenext', commonjs: true },
};

const STRICT = {
  ...{
    noEmit: true,
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
  },
  ...{
    noImplicitOverride: true,
    noPropertyAccessFromIndexSignature: true,
    noFallthroughCasesInSwitch: true,
    target: 'es2022',
  },
};

/** What else a project has types of. */
const SURROUNDINGS = {
  neither: { lib: ['es2022', 'esnext.disposable'], types: [] },
  DOM: { lib: ['es2022', 'esnext.disposable', 'dom', 'dom.iterable'], types: [] },
  Node: { lib: ['es2022', 'esnext.disposable'], types: ['node'] },
  both: { lib: ['es2022', 'esnext.disposable', 'dom', 'dom.iterable'], types: ['node'] },
};

const execute = promisify(execFile);

/** A folder with the package in it, and with the types of Node if a folder has them. */
function project(folder, name, tarball, nodeTypes) {
  const app = join(folder, name);
  const modules = join(app, 'node_modules');
  mkdirSync(join(modules, 'recvae'), { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', join(modules, 'recvae'), '--strip-components=1']);
  if (nodeTypes !== undefined) {
    for (const types of ['@types/node', 'undici-types'])
      cpSync(join(nodeTypes, types), join(modules, types), { recursive: true });
  }
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
  cpSync(source, join(app, 'app.ts'));
  cpSync(source, join(app, 'app.cts'));
  // The first example of the README is what people copy.
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = /```ts\n(import[\s\S]*?)```/.exec(readme)?.[1];
  if (example === undefined) throw new Error('README.md has no example that begins with an import');
  const console = 'declare const console: { log(...values: unknown[]): void; error(...values: unknown[]): void };\n';
  writeFileSync(join(app, 'readme.ts'), `${example}\nexport {};\n`);
  writeFileSync(join(app, 'console.d.ts'), console);
  return app;
}

/** What a compiler says of a project: nothing where all is well. */
async function compile(compiler, app, { commonjs, ...resolution }, { lib, types }) {
  const files = commonjs ? ['app.cts'] : ['app.ts', 'readme.ts'];
  // Where neither has it, a program still prints.
  if (!lib.includes('dom') && !types.includes('node')) files.push('console.d.ts');
  const config = join(app, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ compilerOptions: { ...STRICT, ...resolution, lib, types }, files }));
  try {
    await execute(process.execPath, [compiler, '-p', config], { cwd: app });
    return '';
  } catch (error) {
    return error.stdout || error.message;
  }
}

/** Compiles with one compiler, and calls `tell` for each cell. */
export async function checkTypes({ tarball, compiler, nodeTypes, resolutions = RESOLUTIONS, tell }) {
  const folder = mkdtempSync(join(tmpdir(), 'recvae-types-'));
  try {
    const bare = project(folder, 'bare', tarball);
    const withNode = project(folder, 'with-node', tarball, nodeTypes);
    for (const [resolution, options] of Object.entries(resolutions)) {
      for (const [name, surroundings] of Object.entries(SURROUNDINGS)) {
        const app = surroundings.types.length > 0 ? withNode : bare;
        tell(resolution, name, await compile(compiler, app, options, surroundings));
      }
    }
    // A wrong name is told with the right ones, in any order.
    const names = [
      'popularity',
      'ease',
      'edlae',
      'rdlae',
      'deql',
      'hoease',
      'als',
      'mult-dae',
      'mult-vae',
      'recvae',
      'hvamp',
    ];
    const wrong =
      "import { fit, type Interactions } from 'recvae';\nexport const bad = (data: Interactions) => fit('eese', data);\n";
    writeFileSync(join(bare, 'app.ts'), wrong);
    const said = await compile(
      compiler,
      bare,
      { module: 'nodenext', moduleResolution: 'nodenext' },
      SURROUNDINGS.neither,
    );
    tell(
      'a wrong name',
      'lists the names',
      names.every((name) => said.includes(`"${name}"`)) ? '' : said || 'it compiles',
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export { RESOLUTIONS };

/** Installs the compilers once. */
function install(tools) {
  const dependencies = Object.fromEntries(
    Object.entries(VERSIONS).map(([name, { typescript }]) => [`typescript-${name}`, `npm:typescript@${typescript}`]),
  );
  const folders = { '.': dependencies };
  for (const { node } of Object.values(VERSIONS)) folders[`node-${node}`] = { '@types/node': node };
  for (const [name, dependencies] of Object.entries(folders)) {
    const folder = join(tools, name);
    const wanted = JSON.stringify({ private: true, dependencies });
    mkdirSync(folder, { recursive: true });
    const manifest = join(folder, 'package.json');
    if (existsSync(join(folder, 'node_modules')) && readFileSync(manifest, 'utf8') === wanted) continue;
    writeFileSync(manifest, wanted);
    const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts', '--no-package-lock'];
    execFileSync('npm', args, { cwd: folder, stdio: 'inherit' });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root);
  const { pack } = await import('../release/pack.mjs');
  const tools = join(root, 'target', 'consumer-tools');
  install(tools);
  const tarballs = await pack({ binaries: '.', out: join('target', 'consumer-types'), only: [] });
  const tarball = tarballs.at(-1).path;
  const names = Object.keys(SURROUNDINGS);
  console.log(
    `| TypeScript | resolution | ${names.join(' | ')} |\n| --- | --- | ${names.map(() => '---').join(' | ')} |`,
  );
  const failures = [];
  const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
  for (const [version, { typescript, node }] of Object.entries(VERSIONS)) {
    if (only !== undefined && !typescript.startsWith(only)) continue;
    const compiler = join(tools, 'node_modules', `typescript-${version}`, 'bin', 'tsc');
    const cells = new Map();
    const tell = (resolution, name, said) => {
      if (said !== '') failures.push(`TypeScript ${typescript}, ${resolution}, ${name}:\n${said}`);
      cells.set(resolution, [...(cells.get(resolution) ?? []), said === '' ? 'compiles' : 'fails']);
    };
    await checkTypes({ tarball, compiler, nodeTypes: join(tools, `node-${node}`, 'node_modules'), tell });
    const wrong = cells.get('a wrong name');
    cells.delete('a wrong name');
    for (const [resolution, results] of cells)
      console.log(`| ${typescript} | ${resolution} | ${results.join(' | ')} |`);
    console.log(
      `| ${typescript} | a wrong name is told with the right ones | ${wrong[0] === 'compiles' ? 'yes' : 'no'} | | | |`,
    );
  }
  for (const failure of failures) console.error(`\n${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
