/** Training that is interrupted goes on to the same bytes: aborted, by Ctrl-C, and killed. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Checkpoint, type FitRun, fit, type Model, RecvaeError, type Split, split } from '../dist/index.js';
import { CLI } from './command.js';
import { planted, temporaryFolder, writePlanted } from './planted.js';
import { killAndResume } from './soak/killing.mjs';

const OPTIONS = { hiddenDim: 32, latentDim: 8, batchSize: 10, epochs: 30, patience: 30 };
/** So many that an abort comes before the last one. */
const ENDLESS = { epochs: 1e6, patience: 1e6 };
const FLAGS = Object.entries(OPTIONS).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

let data: Split;

async function train(model: 'recvae' | 'mult-vae' | 'hvamp', run: FitRun, options: object = {}): Promise<Model> {
  data ??= await split(planted(), { seed: 1 });
  return fit(model, data, { ...OPTIONS, ...options }, run);
}

async function bytesOf(model: Model, folder: string): Promise<Buffer> {
  const path = join(folder, 'model.safetensors');
  await model.save(path);
  return readFileSync(path);
}

/** Trains until it tells of an epoch, and stops it then; a checkpoint is written at the stop alone. */
async function abortOnce(path: string, then = () => {}): Promise<unknown> {
  const controller = new AbortController();
  const onProgress = () => {
    if (controller.signal.aborted) return;
    then();
    controller.abort(new Error('enough'));
  };
  const checkpoint = { path, resume: true, everyEpochs: ENDLESS.epochs };
  return train('recvae', { checkpoint, signal: controller.signal, onProgress }, ENDLESS).then(
    () => 'done',
    (error) => error,
  );
}

async function failure(code: string, promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (error) => error,
  );
  expect(error).toBeInstanceOf(RecvaeError);
  expect(error.code).toBe(code);
  return error.message;
}

describe('in TypeScript', () => {
  test.each(['recvae', 'hvamp'] as const)(
    'an aborted %s goes on to the same bytes and the same epochs',
    async (kind) => {
      const folder = temporaryFolder();
      const path = join(folder, 'training.checkpoint');
      const options = { epochs: 1000, patience: 12, ...(kind === 'hvamp' && { pseudoUsers: 10, warmUp: 5 }) };
      const whole = await train(kind, {}, options);
      let aborted = 0;
      for (;;) {
        const controller = new AbortController();
        const checkpoint: Checkpoint = { path, everyEpochs: 3, resume: true };
        const onProgress = () => controller.abort(new Error('enough')); // at the first that is told
        const run = {
          checkpoint,
          threads: 1 + (aborted % 2),
          ...(aborted < 3 && { signal: controller.signal, onProgress }),
        };
        try {
          const resumed = await train(kind, run, options);
          expect(await bytesOf(resumed, folder)).toEqual(await bytesOf(whole, folder));
          const withoutSeconds = ({ epochs }: Model) => epochs.map(({ seconds: _, ...rest }) => rest);
          expect(withoutSeconds(resumed)).toEqual(withoutSeconds(whole));
          break;
        } catch (error) {
          expect((error as Error).message).toBe('enough');
          expect(existsSync(path)).toBe(true);
          aborted += 1;
        }
      }
      expect(aborted).toBeGreaterThan(0);
      // It stays until the model is safe, and gives the same again.
      const again = await train(kind, { checkpoint: { path, resume: true } }, options);
      expect(await bytesOf(again, folder)).toEqual(await bytesOf(whole, folder));
    },
  );

  test('nothing is gone on from unasked, and nothing that is of another training', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'training.checkpoint');
    await train('mult-vae', { checkpoint: { path } });
    const before = readFileSync(path);
    const refused = (run: Checkpoint, options = {}, model: 'recvae' | 'mult-vae' = 'mult-vae') =>
      failure('INVALID_ARGUMENT', train(model, { checkpoint: run }, options));
    expect(await refused({ path })).toContain('which is there already; allowed: a path where nothing is, or resume');
    const resume = true;
    expect(await refused({ path, resume }, { beta: 0.3 })).toContain('(option beta: 0.2 there, 0.3 now)');
    expect(await refused({ path, resume }, { epochs: 40 })).toContain('(option epochs: 30 there, 40 now)');
    expect(await refused({ path, resume }, {}, 'recvae')).toContain('model: mult-vae there, recvae now');
    const other = await split(planted(), { seed: 2 });
    const run = { checkpoint: { path, resume } };
    expect(await failure('INVALID_ARGUMENT', fit('mult-vae', other, OPTIONS, run))).toContain('training data: ');
    expect(readFileSync(path)).toEqual(before);
    writeFileSync(path, before.subarray(0, before.length - 1));
    expect(await failure('INVALID_MODEL_FILE', train('mult-vae', run))).toContain('truncated or altered');
  });

  test('a warm start goes on with the same model to begin with, and with no other', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'training.checkpoint');
    const [from, other] = [await train('recvae', {}, { epochs: 1 }), await train('recvae', {}, { epochs: 2 })];
    const options = { epochs: 1000, patience: 12 };
    const whole = await train('recvae', { from }, options);
    const controller = new AbortController();
    const stop = {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    };
    const checkpoint: Checkpoint = { path, resume: true };
    await expect(train('recvae', { from, checkpoint, ...stop }, options)).rejects.toThrow('enough');
    const model = 'a model of 40 items, hash [0-9a-f]{32}';
    const without = failure('INVALID_ARGUMENT', train('recvae', { checkpoint }, options));
    expect(await without).toMatch(new RegExp(`\\(from: ${model} there, none now\\)`));
    const withAnother = failure('INVALID_ARGUMENT', train('recvae', { from: other, checkpoint }, options));
    expect(await withAnother).toMatch(new RegExp(`\\(from: ${model} there, ${model} now\\)`));
    const resumed = await train('recvae', { from, checkpoint }, options);
    expect(await bytesOf(resumed, folder)).toEqual(await bytesOf(whole, folder));
  });

  test('what is not allowed is an error before training', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'training.checkpoint');
    const refused = (checkpoint: unknown) =>
      failure('INVALID_ARGUMENT', train('recvae', { checkpoint: checkpoint as Checkpoint }));
    expect(await refused({ path, every: 2 })).toContain("option is 'every'; allowed: everyEpochs, resume");
    expect(await refused({ path, everyEpochs: 0 })).toContain('everyEpochs is 0; allowed: a whole number, 1 or more');
    expect(await refused({ path, resume: 'yes' })).toContain('resume is "yes"; allowed: true or false');
    expect(await refused({ path: '' })).toContain("path of the checkpoint is ''");
    expect(await refused({})).toContain('checkpoint.path is undefined');
    expect(await refused(path)).toContain('checkpoint is ');
    const ease = fit('ease', await split(planted()), {}, { checkpoint: { path } });
    expect(await failure('INVALID_ARGUMENT', ease)).toContain(
      'for ease, which is trained too fast to need one; allowed: for mult-dae, mult-vae, recvae, hvamp',
    );
    await failure('IO', train('recvae', { checkpoint: { path: join(folder, 'none', 'training.checkpoint') } }));
    expect(readdirSync(folder)).toEqual([]);
  });

  test('who aborts is told when the checkpoint could not be written', async () => {
    const folder = join(temporaryFolder(), 'gone');
    mkdirSync(folder);
    const path = join(folder, 'training.checkpoint');
    const error = await abortOnce(path, () => renameSync(folder, `${folder}-away`));
    expect(error).toMatchObject({ code: 'IO', message: expect.stringContaining(`cannot write ${path}`) });
    const other = join(temporaryFolder(), 'training.checkpoint');
    expect(await abortOnce(other)).toMatchObject({ message: 'enough' });
    expect(existsSync(other)).toBe(true);
  });
});

interface Outcome {
  code: number | null;
  stderr: string;
}

/** The command line; `onStart` gets what stops it. */
function recvae(
  folder: string,
  args: string[],
  onStart = (_: (signal: NodeJS.Signals) => void) => {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stderr }));
    onStart((signal) => child.kill(signal));
  });
}

describe('on the command line', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s writes the checkpoint and says how to go on', async (signal, exitCode) => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const many = [...FLAGS, '--set', 'epochs=1000'];
    const args = ['train', 'recvae', 'likes.csv', ...many, '--checkpoint', 'the checkpoint'];
    const path = join(folder, 'the checkpoint');
    const interrupted = async () => {
      let timer: NodeJS.Timeout | undefined;
      const outcome = await recvae(folder, [...args, '--out', 'm.st'], (kill) => {
        timer = setInterval(() => {
          if (!existsSync(path)) return;
          clearInterval(timer);
          kill(signal);
        }, 1);
      });
      clearInterval(timer);
      return outcome;
    };
    // It may be done before it is seen that it is at work: it is started again then.
    let outcome = await interrupted();
    for (let attempt = 1; outcome.code === 0 && attempt < 10; attempt += 1) {
      rmSync(join(folder, 'm.st'));
      outcome = await interrupted();
    }
    const { code, stderr } = outcome;
    expect({ code, stderr }).toMatchObject({ code: exitCode });
    expect(statSync(path).size).toBeGreaterThan(0);
    const command = /this goes on with it:\n {2}node \S+cli.js (.*)$/m.exec(stderr)![1]!;
    expect(command).toBe(`train --resume ${args.slice(1, -1).join(' ')} 'the checkpoint' --out m.st`);
    const words = command.split(/ (?=(?:[^']*'[^']*')*[^']*$)/).map((word) => word.replaceAll("'", ''));
    expect(await recvae(folder, words)).toMatchObject({ code: 0 });
    expect(existsSync(path)).toBe(false);
    await recvae(folder, ['train', 'recvae', 'likes.csv', ...many, '--out', 'whole.st']);
    expect(readFileSync(join(folder, 'm.st'))).toEqual(readFileSync(join(folder, 'whole.st')));
    expect(readdirSync(folder).sort()).toEqual(['likes.csv', 'm.st', 'whole.st']);
  });

  test('wrong use is found before the data are read', async () => {
    const folder = temporaryFolder();
    const train = (model: string, ...flags: string[]) =>
      recvae(folder, ['train', model, 'no-such-file.csv', '--out', 'm.st', ...flags]);
    writeFileSync(join(folder, 'there'), '');
    const cases: [string, string[], string][] = [
      ['recvae', ['--resume'], '--resume has no meaning without --checkpoint'],
      ['recvae', ['--every', '2'], '--every has no meaning without --checkpoint'],
      ['recvae', ['--checkpoint', './m.st'], "--checkpoint is './m.st', as is --out"],
      ['recvae', ['--checkpoint', 'c', '--every', '0'], '--every is 0; allowed: a whole number, 1 or more'],
      ['recvae', ['--checkpoint', 'there'], "checkpoint is 'there', which is there already"],
      ['ease', ['--checkpoint', 'c'], "checkpoint is 'c' for ease, which is trained too fast to need one"],
    ];
    for (const [model, flags, text] of cases) {
      const { code, stderr } = await train(model, ...flags);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(text) });
    }
  });

  test('kill -9 at any moment loses nothing', async () => {
    const folder = temporaryFolder();
    writePlanted(folder);
    const many = ['--set', 'epochs=1000', '--set', 'patience=1000'];
    const args = ['recvae', 'likes.csv', ...FLAGS, ...many];
    const result = await killAndResume({ folder, args, kills: 10, seed: 1 });
    expect(result).toMatchObject({ kills: 10, same: true, left: 0 });
    expect(result.epoch + result.write).toBeGreaterThan(5);
    expect(readdirSync(folder)).toEqual(['likes.csv']);
  });
});
