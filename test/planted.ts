/** Small data whose right answer is known: users of group g like most of the items of block g and few others. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Interactions } from '../dist/index.js';

export const GROUPS = 4;
export const BLOCK = 10;

/** Numbers from 0 to 1, the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

/** Users u0, u1, … with items i<group>-<number>. */
export function plantedColumns(nUsers = 200): { users: string[]; items: string[] } {
  const random = randomNumbers(12345);
  const [users, items]: [string[], string[]] = [[], []];
  for (let user = 0; user < nUsers; user += 1) {
    for (let group = 0; group < GROUPS; group += 1) {
      for (let item = 0; item < BLOCK; item += 1) {
        if (random() < (group === user % GROUPS ? 0.8 : 0.03)) {
          users.push(`u${user}`);
          items.push(`i${group}-${item}`);
        }
      }
    }
  }
  return { users, items };
}

export function planted(nUsers?: number): Interactions {
  return Interactions.fromColumns(plantedColumns(nUsers));
}

/** Half of a block: what a member of the group would like next is the other half. */
export const NEWCOMER = ['i2-0', 'i2-1', 'i2-2', 'i2-3', 'i2-4'];

/** An empty folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'recvae-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * An empty folder that temporary files of this process are made in until the test ends: what is left of them is the
 * test's own.
 */
export function temporaryFiles(): string {
  const folder = temporaryFolder();
  const { TMPDIR } = process.env;
  process.env.TMPDIR = folder;
  onTestFinished(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  });
  return folder;
}

/** The planted data as a CSV file. */
export function writePlanted(folder: string): string {
  const { users, items } = plantedColumns();
  const path = join(folder, 'likes.csv');
  writeFileSync(path, `user,item\n${users.map((user, row) => `${user},${items[row]}\n`).join('')}`);
  return path;
}
