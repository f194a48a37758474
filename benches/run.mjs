// `npm run bench`: every row of the comparison, ours and the peer in turns. README.md beside this file says how.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parse, UsageError, usage } from './arguments.mjs';
import { chart } from './chart.mjs';
import { GROUPS, PRODUCTS } from './groups.mjs';
import { measurePeer, peerVersions, preparePeers } from './peers.mjs';
import { build, flags, lastJson, measureOurs, ROOT, run, say } from './programs.mjs';
import { makeRow, sides, table } from './report.mjs';
import { IDS, ROWS, rate } from './rows.mjs';
import { scaling, scalingTables } from './scaling.mjs';
import { figure } from './statistics.mjs';

/** Whole or not at all. */
function write(file, text) {
  writeFileSync(`${file}.part`, text);
  renameSync(`${file}.part`, file);
  say(`wrote ${file}`);
}

/** Before anything of ours runs: building is work too. */
function warnIfBusy() {
  const [load] = loadavg();
  if (load > 0.5) say(`the machine is not idle (load ${load.toFixed(2)}): times will be too long, the peers' more so`);
}

function describeMachine(program, { threads, quick }) {
  const { sgemm } = lastJson(run(program, ['sgemm', ...flags({ threads })]));
  const peers = peerVersions();
  const products = peers.torch ? measurePeer(PRODUCTS, {}, threads) : undefined;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    rustc: run('rustc', ['--version']).split(' ')[1],
    ...peers,
    sgemm: Math.round(rate(sgemm, products) / 1e8) / 10,
    threads,
    date: new Date().toISOString().slice(0, 10),
    ...(quick && { quick }),
  };
}

/** What `--quick` makes of options: as little as still runs. */
const LEAST = { steps: 2, epochs: 1, seconds: 1, calls: 200, repeats: 1, turns: 1 };

function least([program, options]) {
  return [program, Object.fromEntries(Object.entries(options).map(([name, value]) => [name, LEAST[name] ?? value]))];
}

/** Runs the sides of a group in turns. */
function measureGroup(name, wanted, program, { threads, quick, rounds }) {
  const group = quick
    ? {
        ...GROUPS[name],
        ours: least(GROUPS[name].ours),
        peer: least(GROUPS[name].peer ?? [null, {}]),
        ...(GROUPS[name].f32 && { f32: least(GROUPS[name].f32) }),
        rounds: 1,
      }
    : GROUPS[name];
  const data = quick ? { ...group.data, ...group.quick } : group.data;
  const folder = data.folder && join(ROOT, data.folder);
  if (folder && !existsSync(folder)) {
    say(`${name}: skipped, there is no ${data.folder}`);
    return { rounds: [], scale: undefined };
  }
  const need = sides(name, wanted);
  const n = rounds ?? group.rounds;
  const results = [];
  for (let round = 1; round <= n; round++) {
    const start = performance.now();
    const result = { ours: measureOurs(program, group.ours, data, threads) };
    const middle = performance.now();
    if (group.f32) result.f32 = measureOurs(program, group.f32, data, threads);
    if (need.peer) result.peer = measurePeer(group.peer, (!quick && group.peerData) || data, threads);
    // The limit is the best product to be had, whoever's it is.
    if (need.products) result.products = measurePeer(quick ? least(PRODUCTS) : PRODUCTS, {}, threads);
    results.push(result);
    const took = [middle - start, performance.now() - middle].map((ms) => `${figure(ms / 1000)} s`);
    say(
      `${name} ${round}/${n}: ours ${took[0]}${need.peer ? `, peer ${took[1]}` : group.f32 ? `, in f32 ${took[1]}` : ''}`,
    );
  }
  return { rounds: results, scale: data.scale };
}

function measure(options) {
  return options.scaling ? measureScaling(options) : measureRows(options);
}

function measureScaling(options) {
  warnIfBusy();
  const program = build();
  return { machine: describeMachine(program, options), ...scaling(program, options) };
}

function measureRows(options) {
  const groups = [...new Set(ROWS.filter(({ id }) => options.only.includes(id)).map(({ group }) => group))];
  warnIfBusy();
  const program = build();
  const needs = groups.map((group) => sides(group, options.only));
  if (needs.some(({ peer, products }) => peer || products)) preparePeers();
  const machine = describeMachine(program, options);
  const measured = Object.fromEntries(groups.map((name) => [name, measureGroup(name, options.only, program, options)]));
  const rows = ROWS.filter(({ id }) => options.only.includes(id)).map((row) =>
    makeRow(row, measured[row.group].rounds, measured[row.group].scale),
  );
  return { machine, rows };
}

function main() {
  const options = parse(process.argv.slice(2), IDS);
  // npm runs this in the root; names are the caller's.
  const named = (file) => file && resolve(process.env.INIT_CWD ?? '.', file);
  if (options.help) {
    console.log(usage(IDS));
    return;
  }
  const result = options.from ? JSON.parse(readFileSync(named(options.from), 'utf8')) : measure(options);
  if (result.scaling && options.svg) throw new UsageError('--svg draws rows, not --scaling');
  console.log(result.scaling ? scalingTables(result) : table(result));
  if (options.json) write(named(options.json), `${JSON.stringify(result, null, 1)}\n`);
  if (options.svg) write(named(options.svg), chart(result));
}

try {
  main();
} catch (error) {
  say(error instanceof UsageError ? `${error.message} (--help shows all)` : error.stack);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
