#!/usr/bin/env node
// What cargo calls in place of the compiler for the crates of this workspace (RUSTC_WORKSPACE_WRAPPER): the core and its
// targets get libFuzzer's counters of coverage, with the compiler's own stable flags, those of `cargo fuzz`. Dependencies stay
// as they were compiled for everything else; their generic code is compiled, and counted, with the core.
import { spawnSync } from 'node:child_process';

const [rustc, ...args] = process.argv.slice(2);
const counted = ['recvae_core', 'recvae_fuzz'].includes(args[args.indexOf('--crate-name') + 1]);
const coverage = ['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'];
const flags = counted
  ? ['-Cpasses=sancov-module', ...coverage.map((name) => `-Cllvm-args=-sanitizer-coverage-${name}`)]
  : [];
// cargo's counter of jobs is an open file that Node does not hand on.
const { CARGO_MAKEFLAGS: _, MAKEFLAGS: __, MFLAGS: ___, ...env } = process.env;
const { status, error } = spawnSync(rustc, [...args, ...flags], { stdio: 'inherit', env });
if (error) throw error;
process.exitCode = status ?? 1;
