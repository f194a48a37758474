/** Reports as they are read again: those of earlier versions lack what came later. */
import type { AblatedModel, AblationReport } from '../decide/ablate/report.js';
import type { AdviceReport } from '../decide/advise/report.js';
import type { ComparedModel, ComparisonReport } from '../decide/compare/report.js';
import type { TuneReport } from '../decide/tune/report.js';
import { RecvaeError } from '../runtime/errors.js';

/** Some fields may be missing. */
type Lacking<T, K extends keyof T> = Omit<T, K> & Partial<Pick<T, K>>;

/** A model of a comparison. */
export type ReadModel = Lacking<ComparedModel, 'curve' | 'bestEpoch' | 'fitMemory' | 'modelMemory' | 'requestSeconds'>;

/** A comparison. */
export type ReadComparison = Lacking<
  Omit<ComparisonReport, 'models'> & { models: ReadModel[] },
  'models' | 'profile' | 'groups' | 'examples' | 'run' | 'leftOut' | 'warnings' | 'skipped' | 'effort'
> & { models: ReadModel[] };

/** A tuning. */
export type ReadTuning = Lacking<
  TuneReport,
  'profile' | 'requestSeconds' | 'examples' | 'run' | 'curve' | 'bestEpoch' | 'leftOut' | 'warnings' | 'floor'
>;

/** A model of an ablation. */
export type ReadAblated = Omit<AblatedModel, 'seeds'> & {
  seeds: Lacking<AblatedModel['seeds'][number], 'curve' | 'bestEpoch'>[];
};

/** An ablation. */
export type ReadAblation = Lacking<Omit<AblationReport, 'models'>, 'profile' | 'run' | 'leftOut' | 'floor'> & {
  models: ReadAblated[];
};

/** Advice. */
export type ReadAdvice = Lacking<AdviceReport, 'run' | 'leftOut' | 'refused' | 'smaller'>;

/** A report with the command that made it. */
export type Read =
  | { kind: 'compare'; report: ReadComparison }
  | { kind: 'tune'; report: ReadTuning }
  | { kind: 'ablate'; report: ReadAblation }
  | { kind: 'advise'; report: ReadAdvice };

/** What each command's report has and no other one: lists that are not empty. */
const MARKS = {
  compare: ['models', 'paired'],
  tune: ['trials'],
  ablate: ['models', 'comparisons'],
  advise: ['samples', 'cost'],
} satisfies Record<Read['kind'], string[]>;

/** What has to be text. */
const WORDS = ['metric', 'verdict'];

/**
 * Tells by what is in it which command a report is of.
 *
 * @throws {@link RecvaeError} `INVALID_DATA` if it is of none.
 */
export function readReport(value: unknown): Read {
  if (typeof value === 'object' && value !== null) {
    const report = value as Record<string, unknown>;
    const has = (names: string[]) => names.every((name) => Array.isArray(report[name]));
    const kind = (Object.keys(MARKS) as Read['kind'][]).find((kind) => has(MARKS[kind]));
    const lacks = WORDS.find((name) => typeof report[name] !== 'string');
    if (kind !== undefined && lacks === undefined) return { kind, report } as unknown as Read;
    if (kind !== undefined) throw unread(`it looks like a report of ${kind}, but ${lacks} is no text`);
  }
  throw unread('it is none of these');
}

/** What cannot be shown. */
export function unread(why: string): RecvaeError {
  return new RecvaeError(
    'INVALID_DATA',
    `cannot make a page: ${why}; allowed: the JSON of compare, tune, ablate or advise`,
  );
}
