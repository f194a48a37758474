/** Pages of reports: what is in them, and that nothing of the data becomes markup. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseHTML } from 'linkedom';
import { describe, expect, test } from 'vitest';
import { withoutPassword } from '../dist/cli/report.js';
import { compare, RecvaeError, reportPage } from '../dist/index.js';
import { axisOf, spread } from '../dist/report/charts/canvas.js';
import { importances } from '../dist/report/sections/importance.js';
import { recvae } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';
import { comparison, REPORTS, tuning } from './reports.js';

const KINDS = Object.keys(REPORTS) as (keyof typeof REPORTS)[];

/** The page without its style and script, in which some words mean something else. */
const content = (page: string) => page.replaceAll(/<(style|script)>.*?<\/\1>/gs, '');
const parsed = (page: string) => parseHTML(page).document;

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

describe.each(KINDS)('the page of %s', (kind) => {
  test('has the answer first, its figures with words and numbers, and nothing that is no number', async () => {
    const report = deepFreeze(REPORTS[kind]());
    const page = await reportPage(report);
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(/NaN|undefined|Infinity|\[object/.exec(content(page))).toBeNull();
    const document = parsed(page);
    const order = [...document.querySelectorAll('h1, p.first, h2')].map(({ localName }) => localName);
    expect(order.slice(0, 3)).toEqual(['h1', 'p', 'h2']);
    const figures = [...document.querySelectorAll('figure')];
    expect(figures.length).toBeGreaterThan(4);
    for (const figure of figures) {
      expect(figure.querySelector('h3')!.textContent).not.toBe('');
      expect(figure.querySelectorAll('svg').length).toBeGreaterThan(0);
      expect(figure.querySelectorAll('details tbody tr').length).toBeGreaterThan(0);
    }
    for (const svg of document.querySelectorAll('svg')) {
      expect(svg.getAttribute('role')).toBe('img');
      expect(svg.getAttribute('aria-label')!.length).toBeGreaterThan(10);
    }
    // What the contents name is there.
    const links = [...document.querySelectorAll('nav a')].map((link) => link.getAttribute('href')!.slice(1));
    expect(links.length).toBeGreaterThan(4);
    for (const id of links) expect(document.getElementById(id)!.querySelector('h2')).not.toBeNull();
  });

  test('loads nothing', async () => {
    const document = parsed(await reportPage(REPORTS[kind]()));
    expect(document.querySelectorAll('link, img, iframe, object, embed, script[src], image, use').length).toBe(0);
    const policy = document.querySelector('meta[http-equiv]')!.getAttribute('content');
    expect(policy).toContain("default-src 'none'");
    expect((await reportPage(REPORTS[kind]())).replaceAll('http://www.w3.org/', '')).not.toMatch(
      /https?:|url\(|@import/,
    );
  });

  test('is the same from the same report, also by way of JSON', async () => {
    const page = await reportPage(REPORTS[kind]());
    expect(await reportPage(JSON.parse(JSON.stringify(REPORTS[kind]())))).toBe(page);
  });

  test('of an earlier version leaves out what is missing', async () => {
    const late = [
      'run',
      'profile',
      'groups',
      'examples',
      'requestSeconds',
      'curve',
      'bestEpoch',
      'fitMemory',
      'modelMemory',
    ];
    // The cost of a model and the profile were in advice from the beginning.
    const kept = kind === 'advise' ? ['profile', 'curve', 'bestEpoch', 'fitMemory', 'modelMemory'] : [];
    const strip = (key: string, value: unknown) => (late.includes(key) && !kept.includes(key) ? undefined : value);
    const old = JSON.parse(JSON.stringify(REPORTS[kind](), strip));
    const page = await reportPage(old);
    expect(/NaN|undefined|Infinity/.exec(content(page))).toBeNull();
    const titles = [...parsed(page).querySelectorAll('h2')].map(({ textContent }) => textContent);
    expect(titles).toContain('How this was made'); // the seed is known
    expect(titles).not.toContain('A few users side by side');
    expect(page).not.toContain('A processor');
  });

  test('holds where numbers are missing', async () => {
    // What is not finite is null in JSON. No page may pass that on; a report without any number may be refused.
    const names = ['standardError', 'validation', 'pValue', 'seconds', 'detectable', 'bestEpoch'];
    const some = (key: string, value: unknown) => (names.includes(key) && typeof value === 'number' ? null : value);
    const partly = content(await reportPage(JSON.parse(JSON.stringify(REPORTS[kind](), some))));
    expect(/NaN|undefined|null/.exec(partly)?.index).toBeUndefined();
    const none = (_: string, value: unknown) => (typeof value === 'number' ? null : value);
    const page = await reportPage(JSON.parse(JSON.stringify(REPORTS[kind](), none))).catch((error: RecvaeError) => {
      expect(error.code).toBe('INVALID_DATA');
      return '';
    });
    expect(/NaN|undefined|Infinity/.exec(content(page))).toBeNull();
  });
});

describe('text from the data', () => {
  /** Fields whose keys are names of models, metrics and options. */
  const MAPS = ['metrics', 'means', 'options', 'edges', 'plateaus', 'space', 'best', 'test', 'atTheEdge'];
  const HOSTILE = `</script></style></svg><script>alert(1)</script><img src=x onerror="alert(1)">"'&amp;<b>\u001b[31m\u202e\u2028\0`;

  /** The report with that in every text, the same in all places. */
  function everywhere(value: unknown, inMap = false): unknown {
    if (typeof value === 'string') return value + HOSTILE;
    if (Array.isArray(value)) return value.map((one) => everywhere(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, its]) => [inMap ? key + HOSTILE : key, everywhere(its, MAPS.includes(key))]),
    );
  }

  test.each(KINDS)('does not become markup in the page of %s', async (kind) => {
    const [plain, hostile] = [await reportPage(REPORTS[kind]()), await reportPage(everywhere(REPORTS[kind]()))];
    const document = parsed(hostile);
    const elements = (page: string) =>
      new Set([...parsed(page).querySelectorAll('*')].map(({ localName }) => localName));
    expect([...elements(hostile)].sort()).toEqual([...elements(plain)].sort());
    expect(document.querySelectorAll('script').length).toBe(1);
    const attributes = [...document.querySelectorAll('*')].flatMap((element) => [...element.attributes]);
    expect(attributes.filter(({ name }) => name.startsWith('on') || name === 'src')).toEqual([]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028]/.exec(hostile)).toBeNull();
    // It is shown as it is, and characters that would be obeyed are spelt.
    expect(document.body.textContent).toContain('<img src=x onerror="alert(1)">');
    expect(document.body.textContent).toContain('\\u001b[31m\\u202e\\u2028\\u0000');
    // As many marks as before: no text has ended a drawing.
    const marks = (page: string) => parsed(page).querySelectorAll('svg path, svg circle, svg rect, svg line').length;
    expect(Math.abs(marks(hostile) - marks(plain))).toBeLessThan(40); // options of a hostile name have other ticks
  });
});

describe('a comparison that was repeated', () => {
  const titlesOf = (page: string) => [...parsed(page).querySelectorAll('h2')].map(({ textContent }) => textContent);

  test('has its variance by source, its differences and every comparison', async () => {
    const report = comparison(3);
    const document = parsed(await reportPage(report));
    const section = [...document.querySelectorAll('section')].find(
      (one) => one.querySelector('h2')?.textContent === 'How much of it is chance',
    )!;
    const [models, differences, runs] = [...section.querySelectorAll('table')].map((table) =>
      [...table.querySelectorAll('tbody tr')].map((row) => [...row.children].map(({ textContent }) => textContent)),
    );
    const winner = report.winner;
    expect(models!.find(([model]) => model === winner)).toEqual([
      winner,
      '0.2200',
      '0.0060',
      '0.0010',
      '0.0020',
      '0.0064',
      '5 of 5',
    ]);
    expect(differences!.map(([model]) => model)).not.toContain(winner);
    expect(differences![0]!.at(-1)).toBe('0 of 5');
    expect(runs!.length).toBe(5);
    expect(runs![4]!.slice(0, 4)).toEqual(['5', '2', '1', winner]);
    expect(section.querySelectorAll('svg').length).toBe(2); // wide and for phones
  });

  test('of one split has no variance between splits, and without models no section', async () => {
    const report = comparison(2);
    const repeat = report.repeat!;
    for (const { metrics } of repeat.models) Object.assign(metrics['ndcg@100']!, { split: null, between: null });
    const page = await reportPage(report);
    expect(titlesOf(page)).toContain('How much of it is chance');
    expect(/NaN|undefined|Infinity|null/.exec(content(page))).toBeNull();
    const none = { ...report, repeat: { ...repeat, models: [], differences: [] } };
    expect(titlesOf(await reportPage(none))).not.toContain('How much of it is chance');
    const { repeat: _, ...once } = report;
    expect(titlesOf(await reportPage(once))).not.toContain('How much of it is chance');
  });
});

describe('little to show', () => {
  test('a comparison of one model has no differences', async () => {
    const page = await reportPage(comparison(1));
    const titles = [...parsed(page).querySelectorAll('h2')].map(({ textContent }) => textContent);
    expect(titles).toContain('The models');
    expect(titles).not.toContain('Differences to the winner');
    expect(titles).not.toContain('Accuracy and cost');
    expect(/NaN|undefined|Infinity/.exec(content(page))).toBeNull();
  });

  test('equal numbers, zeros and a single trial are drawn', async () => {
    const report = comparison(2);
    for (const model of report.models) {
      model.seconds = 0;
      model.metrics['ndcg@100'] = { mean: 0, standardError: 0 };
      model.search = model.search.slice(0, 1);
      model.curve = [0.1, 0.1];
      model.bestEpoch = 1;
    }
    for (const pair of report.paired) Object.assign(pair, { difference: 0, interval: [0, 0], detectable: 0 });
    report.profile = { ...report.profile, perUser: { ...report.profile.perUser, min: 0, p10: 0, p25: 0 } };
    const page = await reportPage(report);
    expect(/NaN|undefined|Infinity/.exec(content(page))).toBeNull();
    expect(parsed(page).querySelectorAll('svg').length).toBeGreaterThan(8);
  });

  test('importances are told from twelve comparable trials on', async () => {
    const few = { ...tuning(), trials: tuning().trials.slice(0, 11) };
    expect(await reportPage(few)).not.toContain('which option matters');
    expect(await reportPage(tuning())).toContain('which option matters');
  });
});

test.each([
  ['nothing', null],
  ['text', 'compare'],
  ['a list', []],
  ['an empty object', {}],
  ['the JSON of another command', { users: 3, items: 4 }],
  ['a comparison without a metric', { ...comparison(), metric: undefined }],
  ['a comparison of nothing', { ...comparison(), models: [null] }],
  ['a tuning without trials', { ...tuning(), trials: [null] }],
])('%s is no report', async (_, value) => {
  const error = await reportPage(value).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(RecvaeError);
  expect(error).toMatchObject({ code: 'INVALID_DATA' });
  expect((error as RecvaeError).message).toMatch(/^cannot make a page: .*; allowed: the JSON of compare, tune, ablate/);
});

describe('the parts', () => {
  test('importances are epsilon squared: by hand, of an option that says all, and of one that says nothing', () => {
    // Three groups of four with means 1, 2, 3 and a variance of 2/3 in each: of 14 squares 6 lie within.
    const values = [0, 1, 1, 2, 1, 2, 2, 3, 2, 3, 3, 4];
    const trials = values.map((validation, at) => ({ options: { a: Math.floor(at / 4), b: 1 }, validation }));
    const [first, second] = importances(trials, ['b', 'a']);
    expect(first!.label).toBe('a');
    expect(first!.share).toBeCloseTo(1 - (6 / 14) * (11 / 9), 12);
    expect(second).toEqual({ label: 'b', share: 0 });
    const whole = values.map((_, at) => ({ options: { a: at % 2 === 0 ? 'x' : 'y', b: at }, validation: at % 2 }));
    expect(importances(whole, ['a', 'b'])[0]).toEqual({ label: 'a', share: 1 });
    expect(importances(trials.slice(1), ['a', 'b'])).toEqual([]);
    expect(importances(trials, ['a'])).toEqual([]);
  });

  test('labels keep their distance, their order and their range', () => {
    const ranges = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(ranges, (wanted) => {
        const placed = spread(wanted, 10, [0, 100]);
        const order = [...wanted.keys()].sort((a, b) => wanted[a]! - wanted[b]!);
        const sorted = order.map((at) => placed[at]!);
        for (const [at, place] of sorted.entries()) {
          expect(place).toBeGreaterThanOrEqual(-1e-9);
          expect(place).toBeLessThanOrEqual(100 + 1e-9);
          if (at > 0) expect(place - sorted[at - 1]!).toBeGreaterThanOrEqual(10 - 1e-9);
        }
      }),
    );
  });

  test('axes hold their numbers, with some round ticks and not too many', () => {
    const numbers = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });
    const units = fc.constantFrom('number' as const, 'bytes' as const, 'seconds' as const);
    fc.assert(
      fc.property(numbers, fc.boolean(), fc.integer({ min: 3, max: 8 }), units, (numbers, log, most, unit) => {
        const { domain, ticks } = axisOf(numbers, { log, most, unit });
        expect(domain[0]).toBeLessThan(domain[1]);
        for (const number of numbers) {
          expect(number).toBeGreaterThanOrEqual(domain[0]);
          expect(number).toBeLessThanOrEqual(domain[1]);
        }
        expect(ticks.length).toBeGreaterThan(0);
        expect(ticks.length).toBeLessThanOrEqual(most + 1);
      }),
    );
    expect(axisOf([0.05, 7200], { log: true, most: 9, unit: 'seconds' }).ticks).toEqual([0.1, 1, 10, 60, 600, 3600]);
    expect(
      axisOf([1024, 2 ** 22], { log: true, most: 3, unit: 'bytes' }).ticks.every((tick) => Math.log2(tick) % 1 === 0),
    ).toBe(true);
  });
});

describe('what compare tells for a page', () => {
  test('groups, examples, curves, requests and the run', async () => {
    const input = planted(300);
    const { report, evaluations } = await compare(input, {
      models: ['recvae'],
      seed: 2,
      epochs: 4,
      search: false,
      options: { recvae: { hiddenDim: 16, latentDim: 4, gamma: 0.005 } },
      split: { test: 0.3 },
    });
    const { winner, groups, examples, models, run, metric, testUsers } = report;
    // The groups of users are all users, and each user won, tied or lost.
    const mean = evaluations.get(winner)!.metrics[metric]!.mean;
    const all = groups.activity.reduce((sum, { users }) => sum + users, 0);
    expect(all).toBe(testUsers);
    const weighted = groups.activity.reduce((sum, { means, users }) => sum + means[winner]!.mean * users, 0);
    expect(weighted / all).toBeCloseTo(mean, 12);
    const [its, others] = [winner, 'popularity' as const].map(
      (name) => evaluations.get(name)!.metrics[metric]!.perUser,
    );
    const better = its!.filter((value, user) => value > others![user]!).length;
    const won = groups.activity.map(({ outcomes }) => outcomes.find(({ model }) => model === 'popularity')!.wins);
    expect(won.reduce((sum, wins) => sum + wins, 0)).toBe(better);
    for (const { outcomes, users } of [...groups.activity, ...groups.popularity]) {
      expect(outcomes.map(({ model }) => model).sort()).toEqual(
        ['als', 'ease', 'popularity', 'recvae'].filter((name) => name !== winner),
      );
      for (const { wins, ties, losses } of outcomes) expect(wins + ties + losses).toBe(users);
    }
    expect(groups.popularity.map(({ name }) => name)).toEqual(['head', 'middle', 'tail']);

    for (const { user, input: shown, inputItems, target, targetItems, lists } of examples) {
      expect([...input.history(user)!].sort()).toEqual([...shown, ...target].sort()); // fewer than 20 of each here
      expect([shown.length, target.length]).toEqual([inputItems, targetItems]);
      expect(lists.map(({ model }) => model)).toEqual(models.map(({ model }) => model));
      for (const { items } of lists) {
        expect(items.length).toBe(10);
        for (const { id, hit } of items) {
          expect(shown).not.toContain(id);
          expect(hit).toBe(target.includes(id));
        }
      }
    }
    expect(examples.length).toBe(groups.activity.length);

    const [ease, trained] = [models[1]!, models[3]!];
    expect(ease).toMatchObject({ curve: [], bestEpoch: null });
    expect(trained.curve.length).toBe(4);
    expect(trained.validation).toBe(trained.curve[trained.bestEpoch! - 1]);
    for (const { requestSeconds, fitMemory, modelMemory } of models) {
      expect(requestSeconds.median).toBeGreaterThan(0);
      expect(requestSeconds.p90).toBeGreaterThanOrEqual(requestSeconds.median);
      expect(requestSeconds.requests).toBeGreaterThan(0);
      expect(fitMemory).toBeGreaterThanOrEqual(modelMemory);
    }
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(run).toMatchObject({ recvae: version, node: process.versions.node });
    expect(run.seconds).toBeGreaterThan(0);
    expect(new Date(run.started).toISOString()).toBe(run.started);
    expect(run).not.toHaveProperty('command');
  });

  test('examples: false names nobody', async () => {
    const { report } = await compare(planted(), { models: [], search: false, examples: false });
    expect(report.examples).toEqual([]);
    expect(JSON.stringify(report)).not.toMatch(/"u\d+"|"i\d-\d"/);
    await expect(compare(planted(), { examples: 1 as never })).rejects.toThrow(/examples is 1; allowed: true or false/);
  });
});

describe('on the command line', () => {
  const SMALL = ['--models', 'popularity', '--no-search', '--seed', '1'];

  test('--report writes what report makes of the JSON later, byte by byte', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const args = [
      'compare',
      'likes.csv',
      ...SMALL,
      '--save',
      'best',
      '--json',
      'one.json',
      '--report',
      'best/one.html',
    ];
    const { code, stderr } = await recvae(folder, args);
    expect([code, stderr]).toEqual([0, expect.stringContaining('saved: best')]);
    for (const json of ['one.json', 'best/comparison.json']) {
      const made = await recvae(folder, ['report', json, '--out', 'two.html']);
      expect(made).toMatchObject({ code: 0, stdout: '', stderr: 'saved: two.html\n' });
      expect(readFileSync(join(folder, 'two.html'))).toEqual(readFileSync(join(folder, 'best/one.html')));
    }
    const page = parsed(readFileSync(join(folder, 'best/one.html'), 'utf8'));
    expect(page.querySelector('pre')!.textContent).toBe(`recvae ${args.join(' ')}`);
  });

  test.each([
    ['tune', ['tune', 'ease', 'likes.csv', '--over', 'lambda=1,10,100', '--seed', '1', '--no-examples'], 'recvae tune'],
    [
      'ablate',
      ['ablate', 'likes.csv', '--seeds', '1', '--epochs', '2', '--set', 'hiddenDim=8', '--set', 'latentDim=2'],
      'recvae ablate',
    ],
    ['advise', ['advise', 'likes.csv', '--models', 'edlae', '--seed', '1'], 'recvae advise'],
  ])('%s --report', async (_, args, title) => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const { code, stderr } = await recvae(folder, [...args, '--json', 'it.json', '--report', 'it.html']);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('error')]);
    const page = readFileSync(join(folder, 'it.html'), 'utf8');
    expect(parsed(page).querySelector('.kind')!.textContent).toBe(title);
    expect(/NaN|undefined|Infinity/.exec(content(page))).toBeNull();
    await recvae(folder, ['report', 'it.json', '--out', 'again.html']);
    expect(readFileSync(join(folder, 'again.html'), 'utf8')).toBe(page);
  });

  test.each([
    ['compare', ['compare', 'likes.csv', ...SMALL]],
    ['tune', ['tune', 'ease', 'likes.csv']],
    ['ablate', ['ablate', 'likes.csv']],
    ['advise', ['advise', 'likes.csv']],
  ])('%s refuses a page that cannot be, before any work', async (_, args) => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const before = readFileSync(join(folder, 'likes.csv'));
    const outcomes = [
      ['likes.csv', 2, /--report is 'likes.csv', as is <input>; allowed: another file/],
      ['-', 2, /--report is '-'; allowed: a path/],
      ['', 2, /--report is ''; allowed: a path/],
      ['likes.csv/page.html', 1, /cannot write likes.csv\/page.html/],
    ] as const;
    for (const [path, code, words] of outcomes) {
      const outcome = await recvae(folder, [...args, '--report', path]);
      expect([path, outcome.code, outcome.stdout]).toEqual([path, code, '']);
      expect(outcome.stderr).toMatch(words);
    }
    const same = await recvae(folder, [...args, '--json', 'a', '--report', './a']);
    expect([same.code, same.stderr]).toEqual([2, expect.stringContaining("--report is './a', as is --json")]);
    expect(readFileSync(join(folder, 'likes.csv'))).toEqual(before);
  });

  test('report refuses what is no report, and the file that it reads', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const cases: [string[], number, RegExp][] = [
      [['likes.csv', '--out', 'a.html'], 1, /cannot read likes.csv: .*is not valid JSON; allowed: JSON/s],
      [['nobody.json', '--out', 'a.html'], 1, /cannot open nobody.json: no such file or directory/],
      [['likes.csv', '--out', 'likes.csv'], 2, /--out is 'likes.csv', as is <json-file>/],
      [['likes.csv'], 2, /--out is missing; --help/],
    ];
    for (const [args, code, words] of cases) {
      const outcome = await recvae(folder, ['report', ...args]);
      expect([args, outcome.code]).toEqual([args, code]);
      expect(outcome.stderr).toMatch(words);
    }
  });
});

test('the command line in a report tells no password of an address', () => {
  for (const [word, told] of [
    ['redis://user:secret@host:6379', 'redis://user:***@host:6379'],
    ['--queue=rediss://:p@ss@host/1', '--queue=rediss://:***@host/1'],
    ['redis://host:6379', 'redis://host:6379'],
    ['s3://bucket/a:b@c', 's3://bucket/a:b@c'],
    ['likes.csv', 'likes.csv'],
  ]) {
    expect(withoutPassword(word!)).toBe(told);
  }
});
