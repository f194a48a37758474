/** Generated files say what the sources say now. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { fit } from '../dist/index.js';
import { description } from '../dist/runtime/native.js';
import { planted } from './planted.js';

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

describe('generated files', () => {
  test.each(['ts/runtime/options.generated.ts', 'ts/runtime/description.generated.ts', 'crates/recvae-node/index.cjs'])(
    '%s is what .ci/generate.mjs writes',
    (name) => {
      const print = execFileSync(process.execPath, [path('.ci/generate.mjs'), '--print', name], { encoding: 'utf8' });
      expect(readFileSync(path(name), 'utf8')).toBe(print);
    },
  );

  test('the binding exports what its types say', () => {
    const types = readFileSync(path('crates/recvae-node/index.d.cts'), 'utf8');
    const declared = [...types.matchAll(/^export declare (?:function|class|const) (\w+)/gm)].map(([, name]) => name!);
    const exported = [
      ...readFileSync(path('crates/recvae-node/index.cjs'), 'utf8').matchAll(/^module\.exports\.(\w+) = /gm),
    ].map(([, name]) => name!);
    expect(exported.length).toBeGreaterThan(20);
    expect(exported.sort()).toEqual(declared.filter((name) => !name.startsWith('__')).sort());
  });

  test.each(description.models.map(({ name }) => name))('%s: the defaults are those a model has', async (name) => {
    const { options } = description.models.find((model) => model.name === name)!;
    const small = { hiddenDim: 4, latentDim: 2, epochs: 1 };
    const given = Object.fromEntries(
      Object.entries(small).filter(([key]) => options.some((option) => option.name === key)),
    );
    const model = await fit(name as 'ease', planted(), given);
    const defaults = Object.fromEntries(options.map((option) => [option.name, option.default]));
    expect(model.options).toEqual({ ...defaults, ...given });
  });
});

/** Names of the committed files; undefined where git cannot tell, as in an unpacked archive. */
function committed(): string[] | undefined {
  try {
    const names = execFileSync('git', ['ls-files', '-z'], { cwd: path('.'), encoding: 'utf8', stdio: 'pipe' });
    return names.split('\0');
  } catch {
    return undefined;
  }
}

test('no registry address and no path of a machine is committed', ({ skip }) => {
  const files = committed() ?? skip('git cannot tell what is committed here');
  const texts = files.filter(
    (name) => /(^\.|\.(json|toml|lock|mjs|ts|js|rs|md)$)/.test(name) && !name.includes('fixtures'),
  );
  for (const name of texts) {
    const text = readFileSync(path(name), 'utf8');
    // Assembled here, so that this file does not hold what it looks for.
    for (const needle of [
      ['registry', 'npmjs'].join('.'),
      `"resol${'ved"'}`,
      ...['work', 'home', 'root'].map((folder) => `/${folder}/`),
    ]) {
      expect(text.includes(needle), `${name} holds ${needle}`).toBe(false);
    }
  }
});
