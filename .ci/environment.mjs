// What the scripts of this folder have in common.
import { execFileSync } from 'node:child_process';

/**
 * cargo's environment: one target folder for napi (which names the target) and for tests, so that nothing compiles
 * twice.
 */
export function cargoEnvironment() {
  let version;
  try {
    version = execFileSync('rustc', ['-vV'], { encoding: 'utf8' });
  } catch {
    throw new Error('Rust is needed to compile the core: install it from https://rustup.rs and try again');
  }
  return { ...process.env, CARGO_BUILD_TARGET: /^host: (.*)$/m.exec(version)[1] };
}
