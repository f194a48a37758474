/** What was measured of each held-out user, as a table in a file. */
import { loadDuckDB } from '../data/duckdb.js';
import { HeldOut } from '../data/split.js';
import { type Cell, type Column, writeCsv, writeParquet } from '../data/tables.js';
import { checkInstance, checkObject, checkString, invalid } from '../runtime/check.js';
import { toRecvaeError } from '../runtime/errors.js';
import { type Output, writeAll } from '../runtime/files.js';
import { type Evaluation, isOfOthers } from './evaluate.js';

/**
 * Writes a table with a row for each model and held-out user who counts, with the columns `model`, `user` and one for
 * each metric that has a value per user. The name says the form: `.csv`, `.csv.gz`, or `.parquet` by way of DuckDB. The
 * file appears when it is whole.
 *
 * @param evaluations By the names of models; all of them of the same users, with the same metrics.
 * @throws {@link RecvaeError} `INVALID_ARGUMENT` for another name, without DuckDB, or for evaluations of other users;
 * `IO`.
 */
export async function writePerUser(
  path: string,
  heldOut: HeldOut,
  evaluations: Readonly<Record<string, Evaluation>>,
): Promise<void> {
  checkInstance(heldOut, 'heldOut', HeldOut);
  checkObject(evaluations, 'evaluations');
  try {
    await writeAll([perUserOutput(path, heldOut, new Map(Object.entries(evaluations)))]);
  } catch (error) {
    throw toRecvaeError(error);
  }
}

/** The forms in which the table is written. */
const NAMES = 'a name in .csv, .csv.gz or .parquet';

const isParquet = (path: string) => /\.parquet$/i.test(path);

/** Fails for a name that says no form. */
function checkName(path: string, what: string): void {
  checkString(path, what);
  if (!isParquet(path) && !/\.csv(?:\.gz)?$/i.test(path)) throw invalid(what, path, NAMES);
}

/** Fails for what could not be written in the end: such a name, or Parquet without DuckDB. */
export async function checkPerUser(path: string, what: string): Promise<void> {
  checkName(path, what);
  if (isParquet(path)) await loadDuckDB('Parquet');
}

/** The file to be, for those who write it with others. */
export function perUserOutput(path: string, heldOut: HeldOut, evaluations: ReadonlyMap<string, Evaluation>): Output {
  checkName(path, 'path');
  const [first] = evaluations.values();
  if (first === undefined) throw invalid('evaluations', {}, 'one evaluation or more');
  for (const [model, evaluation] of evaluations) {
    const { users, metrics } = (evaluation ?? {}) as Partial<Evaluation>;
    if (users instanceof Uint32Array && typeof metrics === 'object' && metrics !== null) continue;
    throw invalid(`evaluations.${model}`, evaluation, 'an evaluation, as evaluate gives it');
  }
  const { users, metrics } = first;
  const ids = heldOut.userIds();
  const names = Object.keys(metrics).filter((name) => metrics[name]!.perUser.length > 0);
  for (const [model, evaluation] of evaluations) {
    const isOfThese =
      evaluation.users.length === users.length && users.every((row, at) => row === evaluation.users[at]);
    if (!isOfThese || users.some((row) => row >= ids.length) || isOfOthers(evaluation, heldOut, ids)) {
      throw invalid('evaluations', model, 'evaluations of the same held-out users, those of heldOut');
    }
    const missing = names.find((name) => evaluation.metrics[name]?.perUser.length !== users.length);
    if (missing !== undefined)
      throw invalid('evaluations', model, `evaluations with the same metrics, such as ${missing}`);
  }
  const columns: Column[] = [
    { name: 'model', type: 'VARCHAR' },
    { name: 'user', type: 'VARCHAR' },
    ...names.map((name) => ({ name, type: 'DOUBLE' }) as const),
  ];
  function* rows(): Generator<Cell[][]> {
    for (const [model, { metrics }] of evaluations) {
      const values = names.map((name) => metrics[name]!.perUser);
      for (const [at, row] of users.entries()) yield [[model, ids[row]!, ...values.map((list) => list[at]!)]];
    }
  }
  const write = isParquet(path)
    ? (temporary: string) => writeParquet(temporary, columns, rows())
    : (temporary: string) => writeCsv(temporary, columns, rows(), /\.gz$/i.test(path));
  return { path, write };
}
