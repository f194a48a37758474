/** The built binary, as a user meets it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/**
 * Flags of `compare` by which iALS is not searched, where its search is not what a test is about: it takes most of the
 * seconds.
 */
export const ALS = ['factors=8', 'alpha0=0.1', 'lambda=0.01'].flatMap((option) => ['--set', `als.${option}`]);

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  /** What is written to stdin. */
  input?: string | Buffer;
  /** Called with all of stderr whenever there is more of it. */
  watch?: (child: ChildProcess, stderr: string) => void;
  /** Variables beside those of the tests. */
  environment?: object;
}

/** Runs it in a folder to its end. */
export function recvae(
  folder: string,
  args: string[],
  { input = '', watch, environment }: CommandOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { cwd: folder, env: { ...process.env, ...environment } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      watch?.(child, stderr);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.on('error', () => {}); // it may end before it has read everything
    child.stdin.end(input);
  });
}

/**
 * Runs it in a folder and sends it a signal once its stderr says something. A fast one may be done before the signal
 * comes: then its results are removed, and it is tried again.
 */
export async function whileItRuns(
  args: string[],
  said: RegExp,
  signal: NodeJS.Signals,
  folder: string,
  results: string[],
): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    let sent = false;
    const watch = (child: ChildProcess, stderr: string) => {
      if (sent || !said.test(stderr)) return;
      sent = true;
      child.kill(signal);
    };
    const outcome = await recvae(folder, args, { watch });
    if (!sent || outcome.code !== 0 || attempt === 10) return outcome;
    for (const name of results) rmSync(join(folder, name), { force: true });
  }
}
