/**
 * `recvae tune … --queue redis://… --serve`: trains the trials that another process of the same command searches by.
 * The process that talks with Redis trains nothing, so that it keeps the locks of its trials whatever they do; a child
 * process of it has the data.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Split } from '../data/split.js';
import { toRecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import type { RunOptions } from '../runtime/running.js';
import { type Answer, type Offered, placeOf, queueName, serveTrials } from '../search/queue.js';
import { Samples } from '../search/samples.js';
import { runTrials } from '../search/trials.js';
import { message } from './output.js';

/** Set for the child. */
const CHILD = 'RECVAE_TRIALS_OF';

/** Whether this process is the child. */
export function trainsTrials(): boolean {
  return process.env[CHILD] !== undefined && process.send !== undefined;
}

/** What the child says first. */
interface Ready {
  queue: string;
}

/** The child: answers one trial after the other until the parent is gone. */
export async function trainTrials(
  data: Split,
  run: RunOptions & { memoryLimit?: number | undefined; signal: AbortSignal },
): Promise<void> {
  const samples = new Samples(data);
  process.once('disconnect', () => process.exit(0));
  process.on('message', async ({ trial, compute }: Offered) => process.send!(await answer(trial, compute)));
  process.send!({ queue: queueName(data) } satisfies Ready);
  await once(process, 'disconnect');

  async function answer(trial: Offered['trial'], compute: Offered['compute']): Promise<Answer> {
    try {
      const part = trial.items === undefined ? data : await samples.of(trial.items, run);
      const [result] = await runTrials<Json>([trial], { ...run, ...compute, data: part });
      return { result: result! };
    } catch (thrown) {
      const { code, message } = toRecvaeError(thrown);
      return { error: { code, message } };
    }
  }
}

/** The parent: takes trials from the queue and gives them to a child. */
export async function serve(url: string, signal: AbortSignal): Promise<void> {
  placeOf(url); // a bad address is found before the data are read
  let child = await start(signal);
  message(`serving trials at ${placeOf(url)}; Ctrl-C ends it`);
  let served = 0;
  try {
    const run = async (offered: Offered): Promise<Answer> => {
      // One that ended by itself is no reason to end.
      if (!child.process.connected) child = await start(signal);
      const answer = await ask(child.process, offered);
      served += 1;
      const what = 'result' in answer ? `validation ${answer.result.validation?.toFixed(4)}` : answer.error.message;
      message(`${offered.trial.model} ${JSON.stringify(offered.trial.options)}: ${what}`);
      return answer;
    };
    await serveTrials(url, child.queue, run, signal);
  } finally {
    child.process.kill('SIGKILL'); // it has nothing to lose
    message(`${served} trials served`);
  }
}

/** Starts a child on the same words, and waits until it has read the data. */
async function start(signal: AbortSignal): Promise<{ process: ChildProcess; queue: string }> {
  const [, program, ...words] = process.argv;
  const child = fork(program!, words, { env: { ...process.env, [CHILD]: String(process.pid) } });
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`the process that reads the data ended with ${code}`);
  });
  try {
    const [ready] = (await Promise.race([once(child, 'message', { signal }), ended])) as [Ready];
    ended.catch(() => {});
    return { process: child, queue: ready.queue };
  } catch (thrown) {
    child.kill('SIGKILL');
    signal.throwIfAborted();
    throw thrown;
  }
}

/** What the child says to a trial; an error if it ends instead, so that the trial is tried again. */
function ask(child: ChildProcess, offered: Offered): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onMessage = (answer: Answer) => settle(() => resolve(answer));
    const onExit = (code: number | null, signal: string | null) =>
      settle(() => reject(new Error(`the process of the trial ended with ${code ?? signal}`)));
    const settle = (how: () => void) => {
      child.off('message', onMessage);
      child.off('exit', onExit);
      how();
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(offered);
  });
}
