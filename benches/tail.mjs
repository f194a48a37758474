// What the elimination of items that meet few others brings EASE^R's inverse, and what it takes by users where they are
// few: seconds with it and without, in turns.
//
// node benches/tail.mjs [INPUT ...] files of interactions with the columns user and item, debian, or ml-20m, netflix,
// msd: a tenth of its users, made up, or ml-20m:0.03 for another share. By default video-games, where it lies beside
// this repository, and debian.
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
console.log('| data | users | items | core | dense, s | by items, s | by users, s | times faster than dense |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
for (const input of inputs) {
  const [like, scale = 0.1] = input.split(':');
  const data = existsSync(join(ROOT, input)) ? { csv: input } : { like, scale };
  const {
    seconds,
    dense,
    byUsers,
    core,
    data: shape,
  } = lastJson(run(program, ['tail', ...flags({ ...data, threads: THREADS })]));
  const list = (values) => values.map(figure).join(', ');
  const best = (values) => Math.min(...values);
  const now = byUsers.length > 0 ? byUsers : seconds;
  const times = figure(best(dense) / best(now));
  const cells = [input, shape.users, shape.items, core, list(dense), list(seconds), list(byUsers), times];
  console.log(`| ${cells.join(' | ')} |`);
}
