// Puts what the report draws with into the one file that asks for it, dist/report/library.js, so that nobody who
// installs this package needs the packages behind it; their licences go beside it.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { rolldown } from 'rolldown';

const FOLDER = join('dist', 'report');
const FILE = join(FOLDER, 'library.js');

const bundle = await rolldown({
  input: FILE,
  platform: 'node',
  // linkedom would take a package that draws pixels if there were one. Nothing here does.
  resolve: { alias: { canvas: join(process.cwd(), 'node_modules', 'linkedom', 'commonjs', 'canvas-shim.cjs') } },
  treeshake: true,
});
const { output } = await bundle.generate({
  format: 'esm',
  minify: true,
  comments: { legal: true, jsdoc: false, annotation: false },
});
await bundle.close();
const [{ code, moduleIds }, ...others] = output;
if (others.length > 0) throw new Error(`expected one file, got ${output.length}`);

/** The folder of the package that a module belongs to. */
function packageOf(id) {
  const parts = relative(process.cwd(), id).split(sep);
  const at = parts.lastIndexOf('node_modules');
  if (at < 0) return undefined;
  const length = parts[at + 1].startsWith('@') ? 3 : 2;
  return parts.slice(0, at + length).join(sep);
}

const folders = [...new Set(moduleIds.map(packageOf))].filter((folder) => folder !== undefined).sort();
const licences = folders.map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const text =
    file === undefined
      ? `Licence: ${license}; the package holds no text of it.`
      : readFileSync(join(folder, file), 'utf8').trim();
  return `${name} ${version}\n\n${text}\n`;
});
writeFileSync(FILE, code);
writeFileSync(join(FOLDER, 'licences.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));
// It names types of packages that are not there any more.
for (const name of ['library.d.ts']) if (existsSync(join(FOLDER, name))) rmSync(join(FOLDER, name));
