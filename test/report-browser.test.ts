/**
 * Pages of reports in a browser: Debian's Chromium, or the one that RECVAE_CHROMIUM names. Skipped where there is none.
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportPage } from '../dist/index.js';
import { temporaryFolder } from './planted.js';
import { canRun } from './postgres.js';
import { REPORTS } from './reports.js';

const KINDS = Object.keys(REPORTS) as (keyof typeof REPORTS)[];
const PLACES = [
  process.env.RECVAE_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const executablePath = PLACES.find((path) => path !== undefined && canRun(path));

/** Pixels between the margins of a sheet of A4 paper. */
const PAPER = 688;

describe.skipIf(executablePath === undefined)('in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    // The pages are our own, and root has no sandbox.
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'], timeout: 0 });
  });
  afterAll(() => browser?.close());

  /** Opens the page of a report, and fails for whatever the browser says of it or it asks for. */
  async function open(kind: keyof typeof REPORTS, options: BrowserContextOptions, use: (page: Page) => Promise<void>) {
    const file = join(temporaryFolder(), 'page.html');
    writeFileSync(file, await reportPage(REPORTS[kind]()));
    const context = await browser.newContext(options);
    context.setDefaultTimeout(0); // the test has its limit
    try {
      const page = await context.newPage();
      const said: string[] = [];
      page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => said.push(error.message));
      page.on('request', (request) => said.push(`asks for ${request.url()}`));
      await page.goto(pathToFileURL(file).href);
      await use(page);
      expect(said).toEqual([`asks for ${pathToFileURL(file).href}`]);
    } finally {
      await context.close();
    }
  }

  /** What is wider than its place, but for what has its own way to scroll. */
  const tooWide = (page: Page, width: number) =>
    page.evaluate((width) => {
      const all = [...document.querySelectorAll('body *')].filter((element) => {
        const scrolled = element.closest('.scroll');
        const { right, left, width: own } = element.getBoundingClientRect();
        const hidden = own === 0 || getComputedStyle(element).position === 'absolute';
        return !hidden && (scrolled === null || scrolled === element) && (right > width + 0.5 || left < -0.5);
      });
      return all.map(
        (element) => `${element.tagName} ${element.getAttribute('class')} ${element.textContent?.slice(0, 40)}`,
      );
    }, width);

  test.each(KINDS)('%s: every plot has marks inside its frame, and one of two widths is shown', async (kind) => {
    await open(kind, { viewport: { width: 1280, height: 900 } }, async (page) => {
      const plots = await page.evaluate(() =>
        [...document.querySelectorAll<SVGSVGElement>('svg.plot')].map((svg) => {
          const frame = svg.getBoundingClientRect();
          const marks = [...svg.querySelectorAll('circle, rect, path, line')].filter((mark) => {
            const { left, right, top, bottom, width, height } = mark.getBoundingClientRect();
            const inside =
              left >= frame.left - 2 && right <= frame.right + 2 && top >= frame.top - 2 && bottom <= frame.bottom + 2;
            return inside && Math.max(width, height) > 0;
          });
          return { shown: frame.width > 0, marks: marks.length, texts: svg.querySelectorAll('text').length };
        }),
      );
      const shown = plots.filter(({ shown }) => shown);
      expect(shown.length).toBeGreaterThan(5);
      expect(plots.length).toBeGreaterThan(shown.length); // the narrow ones are not
      for (const { marks, texts } of shown) {
        expect(marks).toBeGreaterThan(2);
        expect(texts).toBeGreaterThan(1);
      }
    });
  });

  test.each(KINDS)('%s: nothing overflows a phone of 360 pixels, and text is large enough', async (kind) => {
    await open(kind, { viewport: { width: 360, height: 740 }, isMobile: true }, async (page) => {
      await page.evaluate(() => {
        for (const details of document.querySelectorAll('details')) details.open = true;
      });
      expect(await tooWide(page, 360)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      const sizes = await page.evaluate(() =>
        [...document.querySelectorAll<SVGSVGElement>('svg.plot')]
          .filter((svg) => svg.getBoundingClientRect().width > 0)
          .map((svg) => (12 * svg.getBoundingClientRect().width) / svg.viewBox.baseVal.width),
      );
      expect(Math.min(...sizes)).toBeGreaterThan(11);
    });
  });

  test('a column is sorted one way and the other, with what is missing last', async () => {
    await open('compare', { viewport: { width: 1280, height: 900 } }, async (page) => {
      const table = page.locator('table.sortable').first();
      const press = async (name: string) => {
        await table.getByRole('button', { name, exact: true }).click();
        const at = await table.evaluate((its: HTMLTableElement, name) => {
          return [...its.tHead!.rows[0]!.cells].findIndex((cell) => cell.textContent === name);
        }, name);
        return table.evaluate((its: HTMLTableElement, at) => {
          const order = its.tHead!.rows[0]!.cells[at]!.ariaSort;
          return { order, rows: [...its.tBodies[0]!.rows].map((row) => row.cells[0]!.textContent) };
        }, at);
      };
      const models = ['popularity', 'ease', 'edlae', 'als', 'mult-vae', 'recvae'];
      expect(await press('ndcg@100')).toEqual({ order: 'descending', rows: models.toReversed() });
      expect(await press('ndcg@100')).toEqual({ order: 'ascending', rows: models });
      // 20 ms, 180 ms, 1.6 s, 15 s, 131 s, 20 min: by the number and not by its text.
      expect(await press('time')).toEqual({ order: 'descending', rows: models.toReversed() });
      expect((await press('model')).rows).toEqual(models.toSorted());
      await expect.poll(() => table.locator('th[aria-sort]').count()).toBe(1);
    });
    await open('tune', { viewport: { width: 1280, height: 900 } }, async (page) => {
      const table = page.locator('table.sortable').first();
      for (const _ of ['descending', 'ascending']) {
        await table.getByRole('button', { name: 'validation ndcg@100', exact: true }).click();
        const last = await table.evaluate((its: HTMLTableElement) => [...its.tBodies[0]!.rows].at(-1)!.textContent);
        expect(last).toContain('the matrix is singular');
      }
    });
  });

  test('dark, light and paper have their own colours, with enough contrast', async () => {
    const colours = (page: Page) =>
      page.evaluate(() => {
        const channels = (colour: string) => {
          const canvas = document.createElement('div');
          canvas.style.color = colour;
          document.body.append(canvas);
          const found = getComputedStyle(canvas).color.match(/\d+/g)!.slice(0, 3).map(Number);
          canvas.remove();
          return found;
        };
        const light = (colour: string) => {
          const [red, green, blue] = channels(colour).map((value) => {
            const share = value / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
        };
        const contrast = (one: string, other: string) => {
          const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
          return (high! + 0.05) / (low! + 0.05);
        };
        const of = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        const marks = [...Array(8).keys()].map((at) => contrast(of(`--c${at}`), of('--paper')));
        return {
          paper: getComputedStyle(document.body).backgroundColor,
          text: [
            contrast(of('--ink'), of('--paper')),
            contrast(of('--soft'), of('--paper')),
            contrast(of('--accent'), of('--paper')),
          ],
          bars: [
            contrast(of('--on-win'), of('--win')),
            contrast(of('--on-loss'), of('--loss')),
            contrast(of('--ink'), of('--tie')),
          ],
          marks: Math.min(...marks),
        };
      });
    const papers: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await open('compare', { colorScheme }, async (page) => {
        const { paper, text, bars, marks } = await colours(page);
        papers.push(paper);
        // WCAG 2.2: 4.5 for text (AA), 3 for what is drawn.
        for (const ratio of [...text, ...bars]) expect(ratio).toBeGreaterThan(4.5);
        expect(marks).toBeGreaterThan(3);
        await page.emulateMedia({ media: 'print' });
        expect((await colours(page)).paper).toBe('rgb(255, 255, 255)');
      });
    }
    expect(papers[0]).toBe('rgb(255, 255, 255)');
    expect(papers[1]).not.toBe(papers[0]);
  });

  test.each(KINDS)('%s: on paper nothing is cut', async (kind) => {
    await open(kind, { viewport: { width: PAPER, height: 900 } }, async (page) => {
      await page.emulateMedia({ media: 'print' });
      expect(await tooWide(page, PAPER)).toEqual([]);
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll('.scroll')]
          .filter((box) => box.scrollWidth > box.clientWidth + 1)
          .map((box) => box.getAttribute('aria-label')),
      );
      expect(cut).toEqual([]);
      // The wide drawings are those that are printed.
      expect(await page.evaluate(() => document.querySelector('.narrow')!.getBoundingClientRect().width)).toBe(0);
      expect((await page.pdf({ format: 'A4', preferCSSPageSize: true })).length).toBeGreaterThan(10_000);
    });
  });
});

test('a browser was there, or else its tests are skipped', ({ skip }) => {
  if (executablePath === undefined)
    skip('there is no Chromium: install the package chromium, or name one in RECVAE_CHROMIUM');
  expect(executablePath).toMatch(/./);
});
