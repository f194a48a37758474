/** Models that are swapped while they serve: nobody fails, nobody sees two of them, and nothing is left. */
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { fit, type Model, ModelHolder, RecvaeError } from '../dist/index.js';
import { NEWCOMER, planted, temporaryFolder } from './planted.js';

/** Two models in files, and the place of the one that serves. */
async function files() {
  const folder = temporaryFolder();
  const [first, second, path] = ['first', 'second', 'served'].map((name) => join(folder, `${name}.safetensors`)) as [
    string,
    string,
    string,
  ];
  await (await fit('ease', planted(), { lambda: 10 })).save(first);
  await (await fit('ease', planted(), { lambda: 500 })).save(second);
  copyFileSync(first, path);
  /** Puts one in the place, by renaming or by writing into the file. */
  const put = (from: string, how: 'rename' | 'write' = 'rename') => {
    if (how === 'write') return copyFileSync(from, path);
    copyFileSync(from, `${path}.new`);
    renameSync(`${path}.new`, path);
  };
  return { first, second, path, put };
}

const lambda = (model: Model) => (model.options as { lambda: number }).lambda;
const isDisposed = (model: Model) => {
  try {
    model.recommend([]);
    return false;
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^model is disposed/) });
    return true;
  }
};

describe('ModelHolder', () => {
  test('swaps, and disposes of the old model when its last lease has ended', async () => {
    const { path, second, put } = await files();
    const swapped: number[] = [];
    const holder = await ModelHolder.open(path, { onSwap: ({ generation }) => swapped.push(generation) });
    const lease = holder.acquire();
    const other = holder.acquire();
    const used = holder.use(async ({ model }) => {
      await setTimeout(20);
      return model.recommend(NEWCOMER, { k: 3 });
    });
    const before = lease.model.recommend(NEWCOMER, { k: 3 });
    put(second);
    expect(lambda((await holder.reload()).model)).toBe(500);
    expect([lambda(holder.current.model), holder.current.generation, swapped]).toEqual([500, 2, [1, 2]]);
    // Who began with the old one ends with it.
    expect(lease.model.recommend(NEWCOMER, { k: 3 })).toEqual(before);
    expect(await used).toEqual(before);
    lease.release();
    lease.release();
    expect(isDisposed(lease.model)).toBe(false);
    other.release();
    expect(isDisposed(lease.model)).toBe(true);
    const last = holder.current.model;
    holder.dispose();
    holder.dispose();
    expect(isDisposed(last)).toBe(true);
    const gone = { code: 'INVALID_ARGUMENT', message: 'the holder is disposed' };
    expect(() => holder.acquire()).toThrow(expect.objectContaining(gone));
    expect(() => holder.watch()).toThrow(expect.objectContaining(gone));
    await expect(holder.reload()).rejects.toMatchObject(gone);
  });

  test('keeps the old model where the new one cannot be loaded, verified or prepared', async () => {
    const { path, first, second, put } = await files();
    const seen: (number | undefined)[] = [];
    let refuse = false;
    await using_(
      await ModelHolder.open(path, {
        verify: (model, before) => {
          seen.push(before && lambda(before));
          if (refuse && lambda(model) === 500) throw new RangeError('not this one');
        },
        prepare: (model) => {
          if (refuse && lambda(model) === 10) throw new RangeError('no filter');
          return model.filter({ deny: ['i2-5'] });
        },
      }),
      async (holder) => {
        writeFileSync(path, 'no model');
        await expect(holder.reload()).rejects.toMatchObject({ code: 'INVALID_MODEL_FILE' });
        refuse = true;
        put(second);
        await expect(holder.reload()).rejects.toThrow(new RangeError('not this one'));
        put(first);
        await expect(holder.reload()).rejects.toThrow(new RangeError('no filter'));
        expect([lambda(holder.current.model), holder.current.generation]).toEqual([10, 1]);
        refuse = false;
        put(second);
        const { model, prepared } = await holder.reload();
        // The filter is one of the model that it goes with.
        const { items } = model.recommend(NEWCOMER, { k: 50, filter: prepared });
        expect(items.map(({ id }) => id)).not.toContain('i2-5');
        expect(seen).toEqual([undefined, 10, 10, 10]);
      },
    );
    await expect(ModelHolder.open('/none')).rejects.toMatchObject({ code: 'IO' });
    await expect(ModelHolder.open(path, { verfy: () => {} } as object)).rejects.toThrow(
      "'verfy'; allowed: load, verify",
    );
    await expect(ModelHolder.open(path, { verify: 1 } as object)).rejects.toThrow('verify is 1; allowed: a function');
  });

  test('loads that are asked for at once are one more load, of the last file', async () => {
    const { path, first, second, put } = await files();
    await using_(await ModelHolder.open(path), async (holder) => {
      put(second);
      const running = holder.reload();
      put(first);
      const rest = [1, 2, 3].map(() => holder.reload());
      expect((await running).generation).toBe(2);
      expect((await Promise.all(rest)).map(({ generation }) => generation)).toEqual([3, 3, 3]);
      expect(lambda(holder.current.model)).toBe(10);
    });
  });

  test('sees another file, by whatever way it came, and what is wrong with it', async () => {
    const { path, first, second, put } = await files();
    let next: ((value: unknown) => void) | undefined;
    const something = () =>
      new Promise((resolve) => {
        next = resolve;
      });
    const holder = await ModelHolder.open(path, {
      onSwap: ({ model }) => next?.(lambda(model)),
      onError: (error) => next?.(error),
    });
    await using_(holder, async () => {
      const stop = holder.watch(5);
      for (const [file, how, expected] of [
        [second, 'rename', 500],
        [first, 'write', 10],
        [second, 'write', 500],
      ] as const) {
        const seen = something();
        put(file, how);
        // A file that is written into may be seen half: that is told, and the whole one is seen afterwards.
        let found = await seen;
        while (found instanceof RecvaeError) found = await something();
        expect(found).toBe(expected);
      }
      const seen = something();
      writeFileSync(path, 'no model');
      expect(await seen).toMatchObject({ code: 'INVALID_MODEL_FILE' });
      expect(lambda(holder.current.model)).toBe(500);
      stop();
    });
    for (const wrong of [0, 2 ** 31, Number.NaN]) {
      expect(() => holder.watch(wrong)).toThrow(`milliseconds is ${wrong}; allowed: a number from 1 to 2147483647`);
    }
  });
});

/** Until all Nodes have `using`. */
async function using_<P>(holder: ModelHolder<P>, work: (holder: ModelHolder<P>) => Promise<void>): Promise<void> {
  try {
    await work(holder);
  } finally {
    holder.dispose();
  }
}
