// A process that panics wherever it can, told by its parent which add-on to load (RECVAE_BINARY). One line of
// JSON per panic; the last one says that everything still works.
//
//   node test/panics/process.mjs FOLDER
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fit, Interactions, RecvaeError } from '../../dist/index.js';
import { guard, guardAsync } from '../../dist/runtime/errors.js';

const folder = process.argv[2];
const native = createRequire(import.meta.url)(process.env.RECVAE_BINARY);
const show = (line) => console.log(JSON.stringify(line));

const sync = (call) => async () => guard(call);
const async = (call) => () => guardAsync(call);
const cases = {
  here: sync(() => native.panicHere('on the calling thread')),
  hereWithoutText: sync(() => native.panicHereWithoutText()),
  now: sync(() => native.panicNow('on the calling thread, in a pool')),
  core: sync(() => native.panicInCore(7)),
  work: async(() => native.panicInWork('on the thread of the work')),
  tasks: async(() => native.panicInTasks('in tasks of the pool', 4)),
  bomb: async(() => native.panicWithBomb()),
  finish: async(() => native.panicInFinish('where the result is finished')),
  conversion: async(() => native.panicInConversion('where the result is converted')),
  progress: async(() => native.panicInProgress('where progress is reported', join(folder, 'made-up.csv'))),
};

const data = await Interactions.dataset('debian');
const model = await fit('popularity', data);
const before = JSON.stringify(model.recommend([], { k: 5 }));
for (const [name, call] of Object.entries(cases)) {
  try {
    await call();
    show({ name, ok: true });
  } catch (error) {
    const { code, message } = error;
    show({ name, ok: false, known: error instanceof RecvaeError, code, message });
  }
}
// Several at once: each gets its own.
const texts = ['a', 'b', 'c', 'd'].map((letter) => `panic ${letter}`);
const failures = await Promise.allSettled(texts.map((text) => guardAsync(() => native.panicInWork(text))));
show({ name: 'at once', messages: failures.map(({ reason }) => reason.message) });

const again = await fit('popularity', data);
show({
  name: 'after',
  served: JSON.stringify(model.recommend([], { k: 5 })) === before,
  fitted: JSON.stringify(again.recommend([], { k: 5 })) === before,
  left: readdirSync(folder),
});
