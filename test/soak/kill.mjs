// RecVAE and Mult-VAE are trained by the command line, killed with `kill -9` at seeded random moments, some of them
// while a checkpoint is written, and stopped by Ctrl-C in between; each time the next run goes on. Ends with one line
// of JSON, and with exit code 1 if a model differs by a byte from that of an uninterrupted run or anything is left
// behind.
//
//   node test/soak/kill.mjs [KILLS] [SEED]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSynth } from '../../dist/index.js';
import { killAndResume } from './killing.mjs';

/** Kills of each model. */
const KILLS = Number(process.argv[2] ?? 12);
const SEED = Number(process.argv[3] ?? 1);
/**
 * Writings of the checkpoint that there must be epochs for: between two kills are at most three, and Ctrl-C takes its
 * turn.
 */
const WRITINGS = 3 * KILLS + 6;

const folder = mkdtempSync(join(tmpdir(), 'recvae-kill-'));
const started = performance.now();
try {
  await writeSynth(join(folder, 'likes.csv'), { like: 'ml-20m', scale: 0.01, seed: SEED });
  const models = {};
  for (const [model, every] of [
    ['recvae', 1],
    ['mult-vae', 2],
  ]) {
    const settings = ['hiddenDim=64', 'latentDim=16', 'batchSize=50', `epochs=${every * WRITINGS}`, 'patience=1000'];
    const args = [model, 'likes.csv', '--seed', '3', ...settings.flatMap((setting) => ['--set', setting])];
    const log = (text) => console.error(`${model} ${text}`);
    models[model] = await killAndResume({ folder, args, kills: KILLS, seed: SEED, every, log });
  }
  const all = Object.values(models);
  const sum = (name) => all.reduce((total, counts) => total + counts[name], 0);
  const ok =
    all.every(({ same, left, kills }) => same && left === 0 && kills >= KILLS) &&
    sum('kills') >= 10 &&
    sum('leftovers') > 0;
  const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
  console.log(
    JSON.stringify({ soak: 'kill', kills: sum('kills'), halfWritten: sum('leftovers'), seconds, models, ok }),
  );
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  console.error(error);
  console.log(JSON.stringify({ soak: 'kill', ok: false, error: String(error.message ?? error) }));
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
