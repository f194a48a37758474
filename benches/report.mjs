// From measurements to rows, and from rows to a table.
import { needsPeer, ROWS } from './rows.mjs';
import { figure, median, spread } from './statistics.mjs';

/**
 * One row of the result out of the rounds of its group.
 *
 * @param {{ours: object, peer?: object, f32?: object, products?: object}[]} rounds - What each side printed, round by
 * round.
 * @returns `value` is the median over the rounds of what `must` and `aim` speak of, in `unit`; `spread` its least and
 * most. `median` is our own measure and `peer.median` the other side's (or the limit), in `peer.unit`. Without a round
 * all of them are null.
 */
export function makeRow(row, rounds, scale) {
  const { id, unit, must, aim, measure } = row;
  if (rounds.length === 0) return { id, value: null, unit, must, aim, median: null, spread: null, peer: null };
  const ours = rounds.map((round) => measure.ours(round.ours, scale));
  const theirs = rounds.map((round) => {
    if (row.peer === undefined) return undefined;
    return row.limit
      ? measure.theirs(round.ours, round.products)
      : measure.theirs(row.f32 ? round.f32 : round.peer, round.ours, scale);
  });
  const values = ours.map((number, at) => row.value(number, theirs[at]));
  const peer = row.peer === undefined ? null : { name: row.peer, median: median(theirs), unit: measure.unit };
  // What the peer needs besides, which does not count against it.
  for (const [part, of] of Object.entries(measure.besides ?? {})) {
    peer.besides = { ...peer.besides, [part]: median(rounds.map((round) => of(round.peer))) };
  }
  return { id, value: median(values), unit, must, aim, median: median(ours), spread: spread(values), peer };
}

/** `aim`, `must` or `missed`; `null` if nothing was measured. */
export function verdict({ id, value, must, aim }) {
  if (value === null) return null;
  const more = ROWS.find((row) => row.id === id).better === 'more';
  const meets = (target) => (more ? value >= target : value <= target);
  return meets(aim) ? 'aim' : meets(must) ? 'must' : 'missed';
}

const VERDICTS = { aim: 'aim met', must: 'must met', missed: '**missed**' };

/** The rows as Markdown. */
export function table({ machine, rows }) {
  const lines = rows.map((result) => {
    const { id, value, unit, must, aim, median, spread, peer } = result;
    const { title } = ROWS.find((row) => row.id === id);
    if (value === null) return [`${title} (${id})`, 'not measured', `${must}`, `${aim}`, '', '', '', ''];
    const [least, most] = spread.map(figure);
    return [
      `${title} (${id})`,
      `${figure(value)} ${unit}`,
      `${must}`,
      `${aim}`,
      VERDICTS[verdict(result)],
      `${least} to ${most}`,
      `${figure(median)} ${peer?.unit ?? unit}`,
      peer ? `${figure(peer.median)} (${nameOf(peer)})` : '',
    ];
  });
  const head = ['what', 'measured', 'must', 'aim', '', 'spread', 'ours', 'peer or limit'];
  return `${describe(machine)}\n\n${markdown(head, lines)}`;
}

function nameOf({ name, besides = {} }) {
  const list = Object.entries(besides).map(([part, number]) => `${part} ${figure(number)}`);
  return list.length > 0 ? `${name}; besides ${list.join(', ')}` : name;
}

/** Lines of a Markdown table. */
export function markdown(head, lines) {
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The machine in a sentence. */
export function describe({ cpu, cores, memory, threads, node, rustc, torch, numpy, sgemm, date, quick }) {
  const warning = quick ? 'Quick run on small data: these numbers measure nothing. ' : '';
  const peers = torch ? `, PyTorch ${torch}, NumPy ${numpy}` : '';
  const versions = `Node ${node}, Rust ${rustc}${peers}`;
  return (
    `${warning}${cpu}, ${cores} cores, ${memory} GiB; ${threads} threads on either side; sgemm of 4,096 rows at ` +
    `${figure(sgemm)} GFLOP/s; ${versions}; ${date}.`
  );
}

/** The sides that the wanted rows of a group need. */
export function sides(group, wanted) {
  const rows = ROWS.filter((row) => row.group === group && wanted.includes(row.id));
  return { ours: rows.length > 0, peer: rows.some(needsPeer), products: rows.some(({ limit }) => limit) };
}
