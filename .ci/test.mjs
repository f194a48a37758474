// Runs every suite and closes with one line, `N passed, N failed`. A suite that crashes counts as one failure.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cargoEnvironment } from './environment.mjs';

const folder = mkdtempSync(join(tmpdir(), 'recvae-test-'));
const vitestReport = join(folder, 'vitest.json');
const SEED = '1';

/** Runs a program, shows what it prints, and gives back its exit code and its stdout. */
function tee(program, args, env = process.env) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      process.stdout.write(chunk);
    });
    child.on('error', (error) => resolve({ code: 1, text: String(error) }));
    child.on('close', (code) => resolve({ code: code ?? 1, text }));
  });
}

const sum = (text, pattern) => [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);

const suites = {
  async rust() {
    // Here, properties are tested with the same inputs each time; `cargo test` and vitest alone draw new ones.
    const env = { ...cargoEnvironment(), CARGO_TERM_COLOR: 'never', PROPTEST_RNG_SEED: SEED };
    const { code, text } = await tee('cargo', ['test', '--release', '--workspace', '--no-fail-fast'], env);
    return {
      code,
      passed: sum(text, /^test result: .* (\d+) passed/gm),
      failed: sum(text, /^test result: .* (\d+) failed/gm),
    };
  },
  async typescript() {
    // What test/panics.test.ts needs; here, so that no test waits for a compiler.
    await tee(process.execPath, [join('.ci', 'panics.mjs')]);
    const args = ['run', '--dir', 'test', '--typecheck', '--typecheck.tsconfig', 'test/tsconfig.json'];
    const report = ['--reporter=default', '--reporter=json', `--outputFile=${vitestReport}`];
    const vitest = [join('node_modules', 'vitest', 'vitest.mjs'), ...args, ...report];
    const { code } = await tee(process.execPath, vitest, { ...process.env, RECVAE_PROPERTY_SEED: SEED });
    const { numPassedTests, numFailedTests, numTotalTests } = JSON.parse(readFileSync(vitestReport, 'utf8'));
    if (numTotalTests === 0) return { code: 1, passed: 0, failed: 0 };
    return { code, passed: numPassedTests, failed: numFailedTests };
  },
  async 'packed install'() {
    const { code, text } = await tee(process.execPath, [join('.ci', 'packed.mjs')]);
    return { code, passed: sum(text, /^(\d+) packed checks passed$/gm), failed: 0 };
  },
};

let [passed, failed] = [0, 0];
for (const [name, suite] of Object.entries(suites)) {
  console.log(`\n== ${name}, after ${Math.round(process.uptime())} s`);
  let result;
  try {
    result = await suite();
  } catch (error) {
    console.log(error.message);
    result = { code: 1, passed: 0, failed: 0 };
  }
  passed += result.passed;
  failed += result.code !== 0 ? Math.max(result.failed, 1) : result.failed;
  // A suite that ran nothing has not passed.
  if (result.code === 0 && result.passed === 0) failed += 1;
}
rmSync(folder, { recursive: true, force: true });
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
