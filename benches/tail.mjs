// What the elimination of items that meet few others brings EASE^R's inverse: seconds with it and without, in turns.
//
// node benches/tail.mjs [INPUT ...]     files of interactions with the columns user and item, debian, or ml-20m, netflix, msd: a tenth of
// its shape, made up. By default video-games, where it lies beside this repository, and debian.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build, flags, lastJson, ROOT, run } from './programs.mjs';
import { figure } from './statistics.mjs';

const THREADS = 2;
const VIDEO_GAMES = '../shared/data/video-games.csv.gz';

const given = process.argv.slice(2);
const inputs =
  given.length > 0 ? given : [VIDEO_GAMES, 'debian'].filter((it) => it === 'debian' || existsSync(join(ROOT, it)));
const program = build();
console.log('| data | items | core | dense, s | now, s | times faster |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const input of inputs) {
  const data = existsSync(join(ROOT, input)) ? { csv: input } : { like: input, scale: 0.1 };
  const {
    seconds,
    dense,
    core,
    data: shape,
  } = lastJson(run(program, ['tail', ...flags({ ...data, threads: THREADS })]));
  const list = (values) => values.map(figure).join(', ');
  const best = (values) => Math.min(...values);
  const cells = [input, shape.items, core, list(dense), list(seconds), figure(best(dense) / best(seconds))];
  console.log(`| ${cells.join(' | ')} |`);
}
