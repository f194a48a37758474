/** A model that is evaluated on users that it was trained on: it is told, and so it is where nobody knows. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { EaseCounts, type Evaluation, evaluate, fit, Interactions, load, type Model, split } from '../dist/index.js';
import { recvae } from './command.js';
import { planted, plantedColumns, temporaryFolder, writePlanted } from './planted.js';

const SMALL = { hiddenDim: 8, latentDim: 4, epochs: 1, batchSize: 64 };

const found = ({ sameTrainingUsers, trainedUsers, warnings }: Evaluation) => [
  sameTrainingUsers,
  trainedUsers,
  warnings.length,
];

async function saved(model: Model, options?: { trainingRecord?: boolean }): Promise<Model> {
  const path = join(temporaryFolder(), 'model.st');
  await model.save(path, options);
  return load(path);
}

describe('the library', () => {
  test('tells that users were trained on, before and after a file', async () => {
    const data = planted(200);
    const parts = await split(data, { seed: 1 });
    const n = parts.test.nScored;
    const honest = await fit('ease', parts);
    const leaky = await fit('ease', data);
    const second = await split(data, { seed: 2 });
    const other = await fit('popularity', second);
    const trained = new Set(second.train.userIds());
    for (const keep of [async (model: Model) => model, saved]) {
      expect(found(await evaluate(await keep(honest), parts.test))).toEqual([true, 0, 0]);
      expect(found(await evaluate(await keep(leaky), parts.test))).toEqual([false, n, 1]);
      expect(found(await evaluate(await keep(leaky), parts.validation))).toEqual([false, n, 1]);
      const some = await evaluate(await keep(other), parts.test);
      expect(some.sameTrainingUsers).toBe(false);
      expect(some.trainedUsers).toBeGreaterThan(0);
      expect(some.trainedUsers).toBe(parts.test.userIds().filter((user) => trained.has(user)).length);
    }
    const { warnings } = await evaluate(leaky, parts.test);
    expect(warnings[0]).toMatch(new RegExp(`^the model was trained on ${n} of the ${n} users that it is evaluated on`));
  });

  test('tells the same users under other ids', async () => {
    const { users, items } = plantedColumns(200);
    const parts = await split(Interactions.fromColumns({ users, items }), { seed: 1 });
    const renamed = Interactions.fromColumns({ users: users.map((user) => `customer ${user}`), items });
    const evaluation = await evaluate(await saved(await fit('ease', renamed)), parts.test);
    expect(found(evaluation)).toEqual([false, 0, 1]);
    expect(evaluation.trainedHistories).toBe(parts.test.nScored);
    expect(evaluation.warnings[0]).toContain(
      'have exactly the items of a user that it was trained on, under another id',
    );
  });

  test('tells that it does not know: saved without the record, or a file of before', async () => {
    const parts = await split(planted(200), { seed: 1 });
    const model = await fit('popularity', parts);
    const stripped = await saved(model, { trainingRecord: false });
    const evaluation = await evaluate(stripped, parts.test);
    expect(evaluation).toMatchObject({ sameTrainingUsers: null, trainedUsers: null, trainedHistories: null });
    expect(evaluation.warnings).toEqual([expect.stringMatching(/^nobody knows whom the model was trained on/)]);
    const old = await load(fileURLToPath(new URL('./fixtures/models/first-popularity.safetensors', import.meta.url)));
    const items = [...old.itemIds.filter((id) => id !== ''), 'c', 'd', 'e', 'f', 'g'];
    const histories = Array.from({ length: 40 }, (_, user) => ({ user: `u${user}`, items }));
    const theirs = await split(await Interactions.fromHistories(histories), { heldOut: 0.5 });
    expect(found(await evaluate(old, theirs.test))).toEqual([null, null, 1]);
    await expect(model.save('x', { trainingRecord: 1 as never })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'trainingRecord is 1; allowed: true or false',
    });
  });

  test('the record takes 16 bytes a user, and none where it is not wanted', async () => {
    const folder = temporaryFolder();
    const size = async (users: number, trainingRecord: boolean) => {
      const model = await fit('ease', Interactions.fromColumns(plantedColumns(users)));
      await model.save(join(folder, 'm.st'), { trainingRecord });
      return readFileSync(join(folder, 'm.st')).length;
    };
    const [few, many] = [await size(200, true), await size(400, true)];
    expect(Math.abs(many - few - 16 * 200)).toBeLessThan(64); // lengths in the header
    expect(await size(400, false)).toBeLessThan(many - 16 * 400);
  });

  test('warm starts, smaller models and counts know their users too', async () => {
    const data = planted(200);
    const parts = await split(data, { seed: 1 });
    const n = parts.test.nScored;
    const all = await fit('recvae', data, SMALL);
    const warm = await fit('recvae', parts, SMALL, { from: await saved(all) });
    expect(found(await evaluate(warm, parts.test))).toEqual([false, n, 1]);
    const blind = await fit('recvae', parts, SMALL, { from: await saved(all, { trainingRecord: false }) });
    expect(found(await evaluate(await saved(blind), parts.test))).toEqual([null, null, 1]);
    const compact = await (await fit('ease', data)).compact({ topPerItem: 5 });
    expect(found(await evaluate(await saved(compact), parts.test))).toEqual([false, n, 1]);

    const folder = temporaryFolder();
    const rest = { users: [] as string[], items: [] as string[] };
    for (const user of [...parts.validation.userIds(), ...parts.test.userIds()]) {
      for (const item of data.history(user)!) {
        rest.users.push(user);
        rest.items.push(item);
      }
    }
    const held = Interactions.fromColumns(rest);
    await (await EaseCounts.count(parts)).save(join(folder, 'counts'));
    const counts = await EaseCounts.load(join(folder, 'counts'));
    expect(found(await evaluate(await counts.fit(), parts.test))).toEqual([true, 0, 0]);
    const more = await counts.update({ add: held });
    expect(found(await evaluate(await more.fit(), parts.test))).toEqual([false, n, 1]);
    const less = await more.update({ remove: held });
    expect(found(await evaluate(await less.fit(), parts.test))).toEqual([true, 0, 0]);
  });
});

describe('the command line', () => {
  const evaluated = async (folder: string, ...args: string[]) => {
    const { code, stdout, stderr } = await recvae(folder, ['evaluate', ...args, '--json', '-']);
    expect(code).toBe(0);
    const { sameTrainingUsers, trainedUsers } = JSON.parse(stdout);
    return [sameTrainingUsers, trainedUsers, stderr.match(/^warning: .*$/gm)?.length ?? 0];
  };

  test('a model of the library, trained on all: evaluate tells', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const model = await fit('ease', await Interactions.fromFile(join(folder, 'likes.csv')));
    await model.save(join(folder, 'm.st'));
    expect(await evaluated(folder, 'm.st', 'likes.csv')).toEqual([false, 20, 1]);
    await model.save(join(folder, 'stripped.st'), { trainingRecord: false });
    expect(await evaluated(folder, 'stripped.st', 'likes.csv')).toEqual([null, null, 1]);
    await recvae(folder, ['compact', 'm.st', 'small.st', '--top-per-item', '9']);
    expect(await evaluated(folder, 'small.st', 'likes.csv')).toEqual([false, 20, 1]);
    const compact = ['compact', 'm.st', 'small.st', '--top-per-item', '9', '--held-out', 'likes.csv', '--json', '-'];
    const { stdout, stderr } = await recvae(folder, compact);
    expect(JSON.parse(stdout)).toMatchObject({ sameTrainingUsers: false, trainedUsers: 20 });
    expect(stderr).toMatch(/^warning: the model was trained on 20 of the 20 users/m);
  });

  test('without the record the info still tells the same split from another', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    await recvae(folder, ['train', 'popularity', 'likes.csv', '--no-training-record', '--out', 'm.st']);
    expect(await evaluated(folder, 'm.st', 'likes.csv')).toEqual([true, null, 0]);
    const { stderr } = await recvae(folder, ['evaluate', 'm.st', 'likes.csv', '--seed', '9']);
    expect(stderr).toMatch(
      /^warning: this is not the split of the training: .* may have been among the training users/m,
    );
  });

  test('counts of earlier users: the model has them, too', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const { users, items } = plantedColumns(400);
    const rows = users.flatMap((user, row) => (Number(user.slice(1)) < 200 ? [] : [`${user},${items[row]}\n`]));
    writeFileSync(join(folder, 'new.csv'), `user,item\n${rows.join('')}`);
    const counts = ['--save-counts', 'counts', '--out', 'm.st'];
    await recvae(folder, ['train', 'ease', 'likes.csv', '--validation', '0', '--test', '0', ...counts]);
    await recvae(folder, ['train', 'ease', 'new.csv', '--counts', 'counts', ...counts]);
    expect(await evaluated(folder, 'm.st', 'new.csv')).toEqual([false, 0, 0]);
    expect(await evaluated(folder, 'm.st', 'likes.csv')).toEqual([false, 20, 1]);
  });
});
