/**
 * A panic of the native part is an error with the place and the calls in its message, and the process lives on. The
 * add-on under test is the shipped one with functions that panic on purpose; .ci/panics.mjs builds it.
 */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { native } from '../dist/runtime/native.js';
import { temporaryFolder } from './planted.js';

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
let addOn: string;
beforeAll(() => {
  addOn = execFileSync(process.execPath, [path('.ci/panics.mjs')], { encoding: 'utf8' }).trim();
}, 900_000);

interface Line {
  name: string;
  [key: string]: unknown;
}

describe('a process that panics', () => {
  let lines: Map<string, Line>;
  let stderr: string;

  test('lives, prints nothing and serves on', async () => {
    const env = { ...process.env, RECVAE_BINARY: addOn };
    const args = [path('test/panics/process.mjs'), temporaryFolder()];
    const result = await promisify(execFile)(process.execPath, args, { env });
    stderr = result.stderr;
    const parsed = result.stdout
      .trim()
      .split('\n')
      .map((line): Line => JSON.parse(line));
    lines = new Map(parsed.map((line) => [line.name, line]));
    expect(stderr).toBe('');
    expect(lines.get('after')).toEqual({ name: 'after', served: true, fitted: true, left: [] });
  });

  // What the message begins with, where the panic began, and a call that led there (which ones are left is the
  // compiler's choice).
  const place = (file: string) => String.raw`, at \S*${file}\.rs:\d+:\d+\n`;
  test.each([
    ['here', `on the calling thread${place('panic_test')}`, 'panic_here'],
    ['hereWithoutText', `panic from Rust code: .*${place('panic_test')}`, 'panic_here_without_text'],
    ['now', `on the calling thread, in a pool${place('panic_test')}`, 'rayon_core'],
    ['core', `column 7 of 1${place('csr')}`, 'from_pairs'],
    ['work', `on the thread of the work${place('panic_test')}`, 'rayon_core'],
    ['tasks', `in tasks of the pool${place('panic_test')}`, 'rayon::iter'],
    ['bomb', `a panic without a message${place('panic_test')}`, 'rayon_core'],
    ['finish', `where the result is finished${place('panic_test')}`, 'napi_resolve_deferred'],
    ['conversion', `where the result is converted${place('panic_test')}`, 'Unmakeable'],
    ['progress', `where progress is reported${place('panic_test')}`, 'recvae_core::data::synth'],
  ])('%s', (name, message, call) => {
    const line = lines.get(name)!;
    expect(line).toMatchObject({ ok: false, known: true, code: 'INTERNAL' });
    expect(line.message).toMatch(new RegExp(`^internal error: ${message}`));
    const calls = (line.message as string).split('\n').slice(1);
    expect(calls.length).toBeGreaterThan(1);
    for (const line of calls) expect(line).toMatch(/^ {2}in \S/);
    expect(calls.join('\n')).toContain(call);
    expect(calls.join('\n')).not.toMatch(/_ZN|begin_unwind|panics::note/);
  });

  test('each of several at once gets its own message', () => {
    const messages = lines.get('at once')!.messages as string[];
    expect(messages.map((message) => message.split(',')[0])).toEqual(
      ['a', 'b', 'c', 'd'].map((letter) => `internal error: panic ${letter}`),
    );
    for (const message of messages) expect(message).toContain('panic_in_work');
  });
});

// As it is published: without names of calls, which then are left out; the place is there all the same.
test('without symbols the message says where', async ({ skip }) => {
  const stripped = join(temporaryFolder(), 'recvae.node');
  copyFileSync(addOn, stripped);
  if (spawnSync('strip', ['--strip-unneeded', stripped]).status !== 0) skip('there is no strip');
  const env = { ...process.env, RECVAE_BINARY: stripped };
  const args = [path('test/panics/process.mjs'), temporaryFolder()];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const messages = stdout.split('\n').flatMap((line) => (line ? (JSON.parse(line).message ?? []) : []));
  expect(messages.length).toBeGreaterThan(5);
  for (const message of messages) {
    expect(message).toMatch(/^internal error: .*, at \S+\.rs:\d+:\d+/);
    expect(message).not.toContain('unknown>');
  }
});

// What the README says cannot be caught.
test.each(['overflowStack', 'exhaustMemory'])('%s ends the process', async (name) => {
  const script = `require(process.env.RECVAE_BINARY).${name}().then(console.log, console.log)`;
  const env = { ...process.env, RECVAE_BINARY: addOn };
  const failure = await promisify(execFile)(process.execPath, ['-e', script], { env }).catch((error) => error);
  expect(failure.stdout).toBe('');
  expect(['SIGSEGV', 'SIGABRT', 'SIGBUS']).toContain(failure.signal);
});

test('the shipped add-on has nothing that panics on purpose', () => {
  const folder = path('crates/recvae-node');
  const shipped = readdirSync(folder).filter((name) => name.endsWith('.node'));
  expect(shipped).not.toEqual([]);
  for (const name of shipped) expect(readFileSync(join(folder, name)).includes('panicHere')).toBe(false);
  expect(readFileSync(addOn).includes('panicHere')).toBe(true); // it would have been found
  expect(Object.keys(native).filter((name) => /^panic(?!Calls$)/.test(name))).toEqual([]);
});

test('every function of the binding turns a panic into an error', () => {
  const folder = path('crates/recvae-node/src');
  let functions = 0;
  for (const name of readdirSync(folder)) {
    const source = readFileSync(join(folder, name), 'utf8');
    for (const [, attribute, kind] of source.matchAll(
      /#\[napi(\([^\n]*\))?\]\n(?: *(?:#\[|\/\/)[^\n]*\n)* *(?:pub )?(fn|struct|impl|enum)/g,
    )) {
      if (kind !== 'fn' || attribute === '(module_exports)') continue;
      functions += 1;
      expect(attribute, `${name}: ${attribute}`).toContain('catch_unwind');
    }
  }
  expect(functions).toBeGreaterThan(40);
});
