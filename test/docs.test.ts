/** The documentation holds: its links lead somewhere, its code compiles, its commands are those of the program. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { createProgram } from '../dist/cli/program.js';
import { temporaryFolder } from './planted.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
);
const textOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** What stands between fences of a language, with the line that it begins at. */
function blocks(path: string, language: string): { at: string; code: string; given: string }[] {
  const text = textOf(path);
  const fence = new RegExp(`(?:^<!-- given: ([^\n]*) -->\\n)?^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return [...text.matchAll(fence)].map(({ 1: given, 2: code, index }) => ({
    at: `${path}:${text.slice(0, index).split('\n').length}`,
    code: code!,
    given: given ?? '',
  }));
}

/** The anchor that GitHub and typedoc give a heading. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

test('README has at most 200 lines', () => {
  expect(textOf('README.md').split('\n').length).toBeLessThanOrEqual(200);
});

test('the site has every page, in an order of its own, and colours every language', () => {
  const { projectDocuments, highlightLanguages } = JSON.parse(textOf('package.json')).typedocOptions;
  expect([...projectDocuments, 'README.md'].sort()).toEqual([...pages].sort());
  const languages = pages.flatMap((path) => [...textOf(path).matchAll(/^```([a-z]+)$/gm)].map(([, name]) => name!));
  const named = new Set(languages.map((name) => (name === 'dockerfile' ? 'docker' : name)));
  named.delete('text');
  expect(highlightLanguages.toSorted()).toEqual([...named].sort());
});

test.each(pages)('%s: every link leads to a file and a heading that are there', (path) => {
  const prose = textOf(path).replaceAll(/```.*?```/gs, '');
  const broken = [...prose.matchAll(/\]\(([^)]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^https?:/.test(target))
    .filter((target) => {
      const [file, heading] = target.split('#');
      const to = file ? join(dirname(path), file) : path;
      if (!existsSync(join(ROOT, to))) return true;
      const headings = [...textOf(to).matchAll(/^#+ (.*)$/gm)].map(([, words]) => anchor(words!));
      return heading !== undefined && !headings.includes(heading);
    });
  expect(broken).toEqual([]);
});

test('every page is named in README', () => {
  const readme = textOf('README.md');
  expect(pages.filter((path) => path !== 'README.md' && !readme.includes(`](${path})`))).toEqual([]);
});

test('every block of TypeScript compiles under strict options, as a module of its own', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'recvae'), 'dir');
  symlinkSync(join(ROOT, 'node_modules', '@types'), join(folder, 'node_modules', '@types'), 'dir');
  const found = pages.flatMap((path) => blocks(path, 'ts'));
  expect(found.length).toBeGreaterThan(5);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const names = found.map(({ code, given }, at) => {
    const file = join(folder, `block${at}.ts`);
    writeFileSync(file, `${given}\n${code}\nexport {};\n`);
    return file;
  });
  const options: ts.CompilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(folder, 'node_modules', '@types')],
  };
  const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram(names, options));
  const said = diagnostics.map(({ file, start, messageText }) => {
    const block = found[names.indexOf(file?.fileName ?? '')];
    const { line } = file && start !== undefined ? file.getLineAndCharacterOfPosition(start) : { line: 0 };
    return `${block?.at ?? file?.fileName}, line ${line} of the block: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
  expect(said).toEqual([]);
});

test('every command in the pages is one of the program, with flags that it has', async () => {
  const commands = new Map((await createProgram()).commands.map((command) => [command.name(), command]));
  const shown = pages
    .flatMap((path) => [...blocks(path, 'sh'), ...blocks(path, 'text')])
    .flatMap(({ at, code }) => code.split('\n').map((line) => ({ at, line: line.replace(/\s#.*$/, '') })));
  const calls = shown.flatMap(({ at, line }) => {
    const words = /npx recvae (.*)$/.exec(line)?.[1]?.match(/'[^']*'|"[^"]*"|\S+/g);
    return words ? [{ at, words }] : [];
  });
  expect(calls.length).toBeGreaterThan(10);
  const wrong = calls.flatMap(({ at, words: [name, ...rest] }) => {
    const command = commands.get(name!);
    if (!command) return [`${at}: recvae ${name}`];
    const flags = command.options.flatMap(({ long, short }) => [long, short]);
    const end = rest.findIndex((word) => ['|', '>', '&&'].includes(word));
    return (end < 0 ? rest : rest.slice(0, end))
      .filter((word) => word.startsWith('-') && word !== '-' && !flags.includes(word.split('=')[0]))
      .map((word) => `${at}: recvae ${name} ${word}`);
  });
  expect(wrong).toEqual([]);
});
