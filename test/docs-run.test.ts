/** Code blocks of docs/serving.md and docs/pipelines.md that say so run, in a folder with the files that they name. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { fit, Interactions } from '../dist/index.js';
import { plantedColumns, temporaryFolder } from './planted.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The blocks of a page, each with the line that it begins in. */
function blocksOf(page: string): { line: number; code: string }[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  return [...text.matchAll(/^<!-- run -->\n```ts\n(.*?)^```$/gms)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    code: match[1]!,
  }));
}

/** A folder of somebody who has installed the package, with a model of the planted data under the names of films. */
async function installed(): Promise<string> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'recvae'));
  const films = ['318', '858', '1196'];
  const { users, items } = plantedColumns();
  const named = items.map((item) => films[[...new Set(items)].indexOf(item)] ?? item);
  writeFileSync(
    join(folder, 'likes.csv'),
    `user,item\n${users.map((user, row) => `${user},${named[row]}\n`).join('')}`,
  );
  const model = await fit('ease', Interactions.fromColumns({ users, items: named }), { lambda: 10 });
  await model.save(join(folder, 'ease.safetensors'));
  return folder;
}

describe.each(['serving.md', 'pipelines.md'])('docs/%s', (page) => {
  test.each(blocksOf(page))('the code of line $line runs', async ({ code }) => {
    const folder = await installed();
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(join(folder, 'block.mjs'), outputText);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['block.mjs'], { cwd: folder });
    expect(stderr).toBe('');
    const [, said] = /console\.log\(.*\); \/\/ (.*)$/m.exec(code) ?? [];
    if (said !== undefined) expect(stdout.trim()).toBe(said);
  });

  test('has blocks', () => expect(blocksOf(page).length).toBeGreaterThan(1));
});
