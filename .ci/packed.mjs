// Packs what is published, installs it into an empty folder and uses it there, as its users do.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHosts, packHere } from './consumer/bundlers.mjs';
import { checkTypes, RESOLUTIONS } from './consumer/types.mjs';
import { here } from './release/platforms.mjs';

const folder = mkdtempSync(join(tmpdir(), 'recvae-packed-'));
const app = join(folder, 'app');
mkdirSync(app);
const run = (program, args, options = {}) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'], cwd: app, ...options });

let passed = 0;
async function check(name, body) {
  await body();
  passed += 1;
  console.log(`ok ${name}`);
}

const filesIn = (tarball) => run('tar', ['-tzf', tarball]).trim().split('\n').sort();

try {
  const tarballs = await packHere(join(folder, 'packages'));
  const [[, main], [platform, binary]] = tarballs;
  await check('recvae holds what is needed and nothing else', () => {
    const files = filesIn(main).map((name) => name.slice('package/'.length));
    const script = /^dist\/.+\.js$/;
    assert(files.filter((name) => script.test(name)).length > 90);
    assert.deepEqual(
      files.filter((name) => !script.test(name)),
      [
        ...['CHANGELOG.md', 'LICENSE-APACHE', 'LICENSE-MIT', 'README.md'],
        ...['crates/recvae-node/index.cjs', 'crates/recvae-node/loader.cjs', 'dist/index.d.cts', 'dist/index.d.ts'],
        ...['dist/report/licences.txt'],
        ...['gram', 'recommend', 'worker'].map((name) => `dist/spark/recvae_${name}.py`),
        'package.json',
      ],
    );
  });
  await check('a platform has its add-on without symbols, and the notices of what is linked', () => {
    const file = `recvae.${here()}.node`;
    const names = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'THIRD_PARTY_NOTICES.md', 'package.json', file];
    assert.deepEqual(
      filesIn(binary),
      names.map((name) => `package/${name}`),
    );
    const notices = run('tar', ['-xzOf', binary, 'package/THIRD_PARTY_NOTICES.md']);
    for (const crate of ['napi', 'rayon', 'faer']) assert.match(notices, new RegExp(`^- ${crate} \\d`, 'm'));
    for (const crate of ['proptest', 'criterion', 'napi-derive'])
      assert.doesNotMatch(notices, new RegExp(`^- ${crate} `, 'm'));
  });
  await check('the links of README lead somewhere from outside', () => {
    const readme = run('tar', ['-xzOf', main, 'package/README.md']);
    const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target);
    assert(links.length > 5);
    assert.deepEqual(
      links.filter((target) => !/^(https:|#)/.test(target)),
      [],
    );
  });
  writeFileSync(join(app, 'package.json'), '{"private":true,"type":"module"}');
  // Packages of other platforms may not be in the registry: those that are missing are passed over.
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', main, binary]);
  await check('only the package of this platform is there, and no script was run', () => {
    assert.deepEqual(readdirSync(join(app, 'node_modules', '@recvae')), [platform.slice('@recvae/'.length)]);
    for (const name of ['recvae', platform]) {
      const { scripts } = JSON.parse(readFileSync(join(app, 'node_modules', name, 'package.json'), 'utf8'));
      assert.equal(scripts, undefined);
    }
  });
  await check('the library works, imported and required', () => {
    const script = `
      import { createRequire } from 'node:module';
      import { Interactions, fit } from 'recvae';
      const users = ['u', 'u', 'v', 'v', 'w'], items = ['a', 'b', 'a', 'b', 'a'];
      const model = await fit('ease', Interactions.fromColumns({ users, items }), { lambda: 1 });
      await model.save('ease.safetensors');
      console.log(model.recommend(['a'], { k: 1 }).items[0].id, createRequire(import.meta.url)('recvae').fit === fit);`;
    writeFileSync(join(app, 'script.mjs'), script);
    assert.equal(run(process.execPath, ['script.mjs']), 'b true\n');
  });
  await check('the command line works', () => {
    const recommend = ['--no', 'recvae', 'recommend', 'ease.safetensors', '-k', '1'];
    const line = run('npx', recommend, { input: '{"user":"x","items":["b"]}\n' });
    const { user, items } = JSON.parse(line);
    assert.deepEqual({ user, items }, { user: 'x', items: ['a'] });
  });
  await check('the built-in data came along', () => {
    const script = `import { Interactions } from 'recvae'; console.log((await Interactions.dataset('debian')).nUsers);`;
    writeFileSync(join(app, 'data.mjs'), script);
    assert.equal(run(process.execPath, ['data.mjs']), '11663\n');
  });

  // One compiler here; npm run check:types has the others. The types of Node are those that this project has.
  const modules = join(process.cwd(), 'node_modules');
  const compiler = join(modules, 'typescript', 'bin', 'tsc');
  const resolutions = Object.fromEntries(['nodenext', 'node16, CommonJS'].map((name) => [name, RESOLUTIONS[name]]));
  const said = [];
  await checkTypes({ tarball: main, compiler, nodeTypes: modules, resolutions, tell: (...cell) => said.push(cell) });
  for (const [resolution, surroundings, text] of said) {
    await check(`types: ${resolution}, ${surroundings}`, () => assert.equal(text, ''));
  }

  // What is a dependency of this project or of the system anyway; npm run check:bundlers has the others.
  const only = ['rollup', 'Lambda'];
  await checkHosts({
    tarballs,
    only,
    tell: (name, _, said, error) => check(`${name} ${said}`, () => assert.ifError(error)),
  });
  console.log(`${passed} packed checks passed`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
