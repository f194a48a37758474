/** What reaches a terminal: never what it would obey. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { shellWord } from '../dist/cli/output.js';
import { fit, Interactions } from '../dist/index.js';
import { recvae } from './command.js';
import { temporaryFolder } from './planted.js';

describe('what a terminal would obey', () => {
  // Sets the title, C1's control sequence introducer, DEL, an override of the direction, a separator of lines, a bell.
  const NASTY = '\u001b]0;title\u0007\u009b2J\u007f\u202eevil\u2028x';
  const SHOWN = '\\u001b]0;title\\u0007\\u009b2J\\u007f\\u202eevil\\u2028x';
  const raw = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

  test('is shown in messages: of headers, of files, of paths, of arguments', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'likes.csv'), `user,it${NASTY}\nu1,a\n`);
    writeFileSync(join(folder, 'bad.csv'), `user,item,rating\nu1,a,${NASTY}\n`);
    writeFileSync(join(folder, 'model.st'), `{"${NASTY}`);
    mkdirSync(join(folder, NASTY));
    const runs: [args: string[], code: number][] = [
      [['train', 'ease', 'likes.csv', '--out', 'o'], 1],
      [['train', 'ease', 'bad.csv', '--value', 'rating', '--min-value', '1', '--out', 'o'], 1],
      [['train', 'ease', `${NASTY}/no.csv`, '--out', 'o'], 1],
      [['train', 'ease', 'likes.csv', '--item', NASTY, '--out', 'o'], 1],
      [['train', NASTY, 'likes.csv', '--out', 'o'], 2],
      [['inspect', `${NASTY}/no`], 1],
      [['models', NASTY], 2],
      [[NASTY], 2],
      [[`--${NASTY}`], 2],
    ];
    for (const [args, code] of runs) {
      const outcome = await recvae(folder, args);
      expect([args, outcome.code]).toEqual([args, code]);
      expect(outcome.stderr).not.toMatch(raw);
      if (!args.includes('models')) expect(outcome.stderr).toContain('\\u001b]0;title\\u0007\\u009b2J');
      expect(outcome.stdout).toBe('');
    }
  });

  test('is shown in tables and sentences, and stays itself in JSON', async () => {
    const folder = temporaryFolder();
    const lines = `${NASTY}\nrecvae: all is well`;
    const items = [NASTY, lines, 'a', 'b'];
    const users = Array.from({ length: 40 }, (_, n) => `u${n % 10}`);
    const data = Interactions.fromColumns({ users, items: users.map((_, n) => items[Math.floor(n / 10)]!) });
    const nasty = await fit('ease', data, { lambda: 1 });
    await nasty.save(join(folder, 'm.st'), { info: { [NASTY]: NASTY } });
    const runs = [
      ['similar', 'm.st', 'a'],
      ['explain', 'm.st', '--history', `a,b,${NASTY}`, '--item', lines],
      ['explain', 'm.st', '--history', `a,b,x${NASTY}`, '--item', NASTY],
      ['inspect', 'm.st'],
      ['similar', 'm.st', `no ${lines}`],
    ];
    for (const args of runs) {
      const { stdout, stderr } = await recvae(folder, args);
      const text = stdout + stderr;
      expect(text, args[0]).not.toMatch(raw);
      expect(text).toContain(SHOWN);
      expect(text).not.toMatch(/^recvae: all is well/m);
    }
    const { stdout } = await recvae(folder, ['similar', 'm.st', 'a', '--json', '-']);
    const ids = (text: string) =>
      JSON.parse(text)
        .items.map(({ id }: { id: string }) => id)
        .sort();
    expect(ids(stdout)).toEqual([NASTY, lines, 'b'].sort());
    await recvae(folder, ['similar', 'm.st', 'a', '--json', 's.json']);
    expect(ids(readFileSync(join(folder, 's.json'), 'utf8'))).toEqual(ids(stdout));
    const input = `${JSON.stringify({ user: NASTY, items: ['a'] })}\n`;
    const recommended = await recvae(folder, ['recommend', 'm.st'], { input });
    expect(recommended.stdout).not.toMatch(raw);
    expect(JSON.parse(recommended.stdout)).toMatchObject({ user: NASTY, items: expect.arrayContaining([lines]) });
  });

  test('does not get out of the words of a command to type', () => {
    for (const word of ['plain', 'two words', "it's", `${NASTY}'"\\ $HOME`, 'a\nb', '\t']) {
      expect(shellWord(word)).not.toMatch(raw);
      const { stdout, status } = spawnSync('bash', ['-c', `printf %s ${shellWord(word)}`], {
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
      });
      if (status === 0) expect(stdout).toBe(word);
    }
  });
});
