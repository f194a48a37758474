// The licences of the crates that are linked into an add-on, as text: node .ci/release/notices.mjs [platform]
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { here, PLATFORMS } from './platforms.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cargo = (...args) => execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });

/** Licences that ask for no more than a notice. */
const ALLOWED = new Set([
  ...[
    'MIT',
    'MIT-0',
    'Apache-2.0',
    'Apache-2.0 WITH LLVM-exception',
    'BSD-2-Clause',
    'BSD-3-Clause',
    '0BSD',
    'ISC',
    'Zlib',
  ],
  ...['Unicode-3.0', 'BSL-1.0', 'CC0-1.0', 'Unlicense'],
]);

/** Whether one may choose only licences of the list: `A AND (B OR C)`, in the older form `A/B`. */
export function isAllowed(expression) {
  const parts = expression.replaceAll('/', ' OR ').split(/ AND (?![^(]*\))/);
  return parts.every((part) => {
    const choices = part.replace(/^\(|\)$/g, '').split(/\s+OR\s+/);
    return choices.some((choice) => choice.split(' AND ').every((name) => ALLOWED.has(name.trim())));
  });
}

/** The texts of a crate's licences, as its package has them. */
function textsOf(folder) {
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|copying|notice|unlicense)/i.test(name))
    .sort()
    .flatMap((name) => {
      try {
        return [readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim()];
      } catch {
        return []; // a folder of licences
      }
    });
}

/** The crates that are linked for a target: neither build scripts, nor macros, nor tests. */
function linked(target) {
  const edges = 'normal,no-proc-macro';
  const tree = cargo(
    'tree',
    '--locked',
    '-p',
    'recvae-node',
    '-e',
    edges,
    '--target',
    target,
    '--prefix',
    'none',
    '-f',
    '{p}',
  );
  const names = new Set([...tree.matchAll(/^(\S+) v(\S+)/gm)].map(([, name, version]) => `${name} ${version}`));
  const { packages } = JSON.parse(cargo('metadata', '--locked', '--format-version', '1', '--filter-platform', target));
  const found = packages.filter(({ name, version, source }) => source && names.has(`${name} ${version}`));
  return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** The notices of a platform. Fails for a crate that asks for more than a notice. */
export function notices(platform) {
  const crates = linked(PLATFORMS.find(({ name }) => name === platform).rust);
  const refused = crates.filter(({ license }) => !isAllowed(license ?? ''));
  if (refused.length > 0) {
    const names = refused.map(({ name, license }) => `${name} (${license})`).join(', ');
    throw new Error(`licences that are not allowed: ${names}; allowed: ${[...ALLOWED].join(', ')}`);
  }
  const byText = new Map();
  for (const crate of crates) {
    for (const text of textsOf(dirname(crate.manifest_path))) {
      const words = text.replace(/\s+/g, ' '); // lines are broken in many ways
      byText.set(words, { text, users: [...(byText.get(words)?.users ?? []), crate] });
    }
  }
  const line = ({ name, version, license, authors, repository }) =>
    `- ${name} ${version}: ${license}${authors.length > 0 ? `; ${authors.join(', ')}` : ''}${repository ? `; ${repository}` : ''}`;
  const texts = [...byText.values()].map(
    ({ text, users }) => `## ${users.map(({ name, version }) => `${name} ${version}`).join(', ')}\n\n${text}\n`,
  );
  return [
    '# Third-party notices',
    '',
    `The binary of this package (${platform}) contains the standard library of Rust (MIT or Apache-2.0) and these crates. The texts of`,
    'their licences, as far as their packages have them, follow.',
    '',
    ...crates.map(line),
    '',
    ...texts,
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(notices(process.argv[2] ?? here()));
