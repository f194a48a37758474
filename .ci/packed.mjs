// Packs the package, installs it into an empty folder and uses it there, as its users do.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'recvae-packed-'));
const app = join(folder, 'app');
mkdirSync(app);
const run = (program, args, options = {}) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'], cwd: app, ...options });

let passed = 0;
function check(name, body) {
  body();
  passed += 1;
  console.log(`ok ${name}`);
}

try {
  run('npm', ['pack', '--loglevel=error', '--pack-destination', folder], { cwd: process.cwd() });
  const tarball = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
  check('it holds what is needed and nothing else', () => {
    const files = run('tar', ['-tzf', tarball]).trim().split('\n');
    for (const name of ['dist/index.js', 'dist/index.d.ts', 'dist/cli.js', 'LICENSE-MIT', 'LICENSE-APACHE']) {
      assert(files.includes(`package/${name}`), name);
    }
    assert(files.some((name) => name.endsWith('.node')));
    assert.deepEqual(
      files.filter((name) => /\/(src|test|ts|target)\//.test(name)),
      [],
    );
  });
  writeFileSync(join(app, 'package.json'), '{"private":true,"type":"module"}');
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', tarball]);
  check('the library works', () => {
    const script = `
      import { Interactions, fit } from 'recvae';
      const users = ['u', 'u', 'v', 'v', 'w'], items = ['a', 'b', 'a', 'b', 'a'];
      const model = await fit('ease', Interactions.fromColumns({ users, items }), { lambda: 1 });
      await model.save('ease.safetensors');
      console.log(model.recommend(['a'], { k: 1 }).items[0].id);`;
    writeFileSync(join(app, 'script.mjs'), script);
    assert.equal(run(process.execPath, ['script.mjs']), 'b\n');
  });
  check('the command line works', () => {
    const recommend = ['--no', 'recvae', 'recommend', 'ease.safetensors', '-k', '1'];
    const line = run('npx', recommend, { input: '{"user":"x","items":["b"]}\n' });
    const { user, items } = JSON.parse(line);
    assert.deepEqual({ user, items }, { user: 'x', items: ['a'] });
  });
  check('the built-in data came along', () => {
    const script = `import { Interactions } from 'recvae'; console.log((await Interactions.dataset('debian')).nUsers);`;
    writeFileSync(join(app, 'data.mjs'), script);
    assert.equal(run(process.execPath, ['data.mjs']), '11663\n');
  });
  console.log(`${passed} packed checks passed`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
