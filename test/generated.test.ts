/** Generated files say what the sources say now. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fit } from '../dist/index.js';
import { description } from '../dist/native.js';
import { planted } from './planted.js';

const path = (name: string) => new URL(`../${name}`, import.meta.url);

describe('ts/options.generated.ts', () => {
  test('is what .ci/generate.mjs writes', () => {
    const print = execFileSync(process.execPath, [path('.ci/generate.mjs').pathname, '--print'], { encoding: 'utf8' });
    expect(readFileSync(path('ts/options.generated.ts'), 'utf8')).toBe(print);
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

test('no registry address and no path of a machine is committed', () => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: path('.').pathname, encoding: 'utf8' }).split('\0');
  const texts = files.filter(
    (name) => /(^\.|\.(json|toml|lock|mjs|ts|js|rs|md)$)/.test(name) && !name.includes('fixtures'),
  );
  for (const name of texts) {
    const text = readFileSync(path(name), 'utf8');
    // Assembled here, so that this file does not hold what it looks for.
    for (const needle of [
      ['registry', 'npmjs'].join('.'),
      `"resol${'ved"'}`,
      ['', 'work', 'wt'].join('/'),
      ['', 'root', ''].join('/'),
    ]) {
      expect(text.includes(needle), `${name} holds ${needle}`).toBe(false);
    }
  }
});
