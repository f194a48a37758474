/**
 * The sources of `ts/` are rooms with one direction: a file uses files of its own room and of rooms before it, and no
 * file uses itself by way of others.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from './planted.js';

/** The rooms in their order. `index.ts` uses all but the last, which does not use it. */
const ROOMS = ['runtime', 'data', 'models', 'serve', 'search', 'decide', 'report', 'index', 'cli'];

/** What each file uses, types included: names such as `data/ids`. */
type Arrows = Map<string, string[]>;

function arrowsOf(folder: string): Arrows {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const names = paths.map((path) => path.slice(0, -'.ts'.length).split(sep).join('/')).sort();
  return new Map(
    names.map((name) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(folder, `${name}.ts`), 'utf8'), true, true);
      const used = importedFiles
        .filter(({ fileName }) => fileName.startsWith('.'))
        .map(({ fileName }) =>
          normalize(join(dirname(name), fileName))
            .split(sep)
            .join('/')
            .replace(/\.js$/, ''),
        )
        .filter((path) => !path.startsWith('../')); // the binding
      return [name, [...new Set(used)].sort()];
    }),
  );
}

const roomOf = (name: string) => name.split('/')[0]!;

/** What leads to a later room or to `index.ts`, and files that lie in no room; each with both ends. */
function wrongIn(arrows: Arrows): string[] {
  return [...arrows].flatMap(([from, used]) => {
    const place = ROOMS.indexOf(roomOf(from));
    if (place < 0) return [`${from} is in no room`];
    const isWrong = (to: string) => !(ROOMS.indexOf(roomOf(to)) <= place) || to === 'index';
    return used.filter(isWrong).map((to) => `${from} uses ${to}`);
  });
}

/** The files that use themselves by way of others, each with the way. */
function circlesIn(arrows: Arrows): string[] {
  const way = (from: string, goal: string, seen: Set<string>): string | undefined => {
    for (const next of arrows.get(from) ?? []) {
      if (next === goal) return `${from} uses ${goal}`;
      if (seen.has(next)) continue;
      seen.add(next);
      const rest = way(next, goal, seen);
      if (rest !== undefined) return `${from} uses ${next}, ${rest}`;
    }
    return undefined;
  };
  return [...arrows.keys()].flatMap((file) => way(file, file, new Set()) ?? []);
}

describe('rooms', () => {
  test('have one direction, and files no circle', () => {
    const arrows = arrowsOf(fileURLToPath(new URL('../ts', import.meta.url)));
    expect(arrows.size).toBeGreaterThan(90);
    expect([...arrows.values()].flat().length).toBeGreaterThan(600);
    expect(new Set([...arrows.keys()].map(roomOf))).toEqual(new Set(ROOMS));
    expect(wrongIn(arrows)).toEqual([]);
    expect(circlesIn(arrows)).toEqual([]);
  });

  test('are told of with both ends where they are wrong', () => {
    const folder = temporaryFolder();
    const files = {
      'runtime/a.ts': "import type { B } from '../data/b.js'; // import '../cli/x.js'",
      'runtime/d.ts': "import { e } from './e.js';\nconst text = \"import '../cli/x.js'\";\nimport 'node:fs';",
      'runtime/e.ts': "export * from './f/inner.js';\n/** import { x } from '../cli/x.js' */",
      'runtime/f/inner.ts': "export type D = import('../d.js').D;",
      'data/b.ts': "export { a } from '../runtime/a.js';",
      'data/c.ts': "const late = () => import('../cli/x.js');\nimport '../index.js';",
      'index.ts': "export { b } from './data/b.js';",
      'cli.ts': "import './cli/x.js';",
      'cli/x.ts': "import '../index.js';\nimport '../../crates/binding.js';",
      'stray.ts': '',
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const arrows = arrowsOf(folder);
    expect(wrongIn(arrows)).toEqual([
      'cli/x uses index',
      'data/c uses cli/x',
      'data/c uses index',
      'runtime/a uses data/b',
      'stray is in no room',
    ]);
    expect(circlesIn(arrows)).toEqual([
      'data/b uses runtime/a, runtime/a uses data/b',
      'runtime/a uses data/b, data/b uses runtime/a',
      'runtime/d uses runtime/e, runtime/e uses runtime/f/inner, runtime/f/inner uses runtime/d',
      'runtime/e uses runtime/f/inner, runtime/f/inner uses runtime/d, runtime/d uses runtime/e',
      'runtime/f/inner uses runtime/d, runtime/d uses runtime/e, runtime/e uses runtime/f/inner',
    ]);
  });
});
