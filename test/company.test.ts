import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fit, type History } from '../dist/index.js';
import { planted } from './planted.js';

const KINDS = [
  ['popularity', {}],
  ['ease', {}],
  ['edlae', {}],
  ['hoease', { pairs: 100 }],
  ['als', { factors: 8, epochs: 2 }],
  ['mult-dae', { latentDim: 8, epochs: 2 }],
  ['mult-vae', { hiddenDim: 16, latentDim: 8, epochs: 2 }],
  ['recvae', { hiddenDim: 16, latentDim: 8, epochs: 2 }],
  ['hvamp', { hiddenDim: 16, latentDim: 8, pseudoUsers: 10, epochs: 2 }],
] as const;

test.each(KINDS)(
  '%s: a user has the same scores alone, in a batch and in a stream at any pace',
  async (kind, options) => {
    const model = await fit(kind, planted(), options);
    const ids = model.itemIds;
    const histories = Array.from({ length: 30 }, (_, user) =>
      Array.from({ length: user % 7 }, (_, at) => ids[(7 * user + 3 * at) % ids.length]!),
    );
    const alone = histories.map((history) => model.recommend(history, { k: 5 }));
    expect(await model.recommendBatch(histories, { k: 5 })).toEqual(alone);
    expect(await model.recommendBatch(histories.slice(3, 5), { k: 5 })).toEqual(alone.slice(3, 5));

    const users: History[] = histories.map((items, user) => ({ user: `n${user}`, items }));
    async function* arriving(every: number) {
      for (const [at, user] of users.entries()) {
        // Long enough for those before to be scored without this one.
        if (every > 0 && at % every === 0) for (let turn = 0; turn < 20; turn += 1) await setImmediate();
        yield user;
      }
    }
    for (const every of [0, 1, 4]) {
      const lists = [];
      for await (const { items } of model.recommendStream(arriving(every), { k: 5 })) lists.push(items);
      expect(lists, `all, or ${every} at a time`).toEqual(alone.map(({ items }) => items));
    }
  },
);
