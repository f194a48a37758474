// Publishes what pack.mjs made: the platforms first, so that whoever gets recvae gets its binary too.
//
//   node .ci/release/publish.mjs [--folder target/packages] [--publish]
//
// Without --publish npm only says what it would do. A version that is there already is passed over, so that a run that
// was interrupted can be repeated. On the release workflow npm proves who built it by the workflow's identity; no token
// is kept.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Publishes tarballs in this order. `npm` runs npm with these arguments and gives what it prints. */
export function publish(tarballs, { really, npm }) {
  const args = [
    '--access',
    'public',
    ...(process.env.GITHUB_ACTIONS ? ['--provenance'] : []),
    ...(really ? [] : ['--dry-run']),
  ];
  const done = [];
  for (const path of tarballs) {
    const { name, version } = manifestOf(path);
    if (isThere(npm, `${name}@${version}`)) continue;
    npm(['publish', path, '--loglevel=error', ...args]);
    done.push(`${name}@${version}`);
  }
  return done;
}

function manifestOf(tarball) {
  return JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }));
}

function isThere(npm, spec) {
  try {
    return npm(['view', spec, 'version', '--loglevel=error']).trim() !== '';
  } catch (error) {
    // Anything but "not found" is a failure: nothing is published on a guess.
    if (`${error.stdout}${error.stderr}`.includes('E404')) return false;
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { folder: { type: 'string', default: join('target', 'packages') }, publish: { type: 'boolean' } },
  });
  const names = readdirSync(values.folder).filter((name) => name.endsWith('.tgz'));
  const isMain = (name) => name.startsWith('recvae-') && /^recvae-\d/.test(name);
  const tarballs = [...names.filter((name) => !isMain(name)).sort(), ...names.filter(isMain)].map((name) =>
    resolve(values.folder, name),
  );
  const npm = (args) => execFileSync('npm', args, { encoding: 'utf8', shell: process.platform === 'win32' });
  const really = values.publish === true;
  const done = publish(tarballs, { really, npm });
  console.log(
    `${really ? 'published' : 'would publish'}: ${done.join(', ') || 'nothing'} (of ${tarballs.map((path) => basename(path)).join(', ')})`,
  );
}
