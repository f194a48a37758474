/**
 * What a search of options tries: lists of values and ranges, and the points of a grid or of random draws from them.
 */
import { checkObject, invalid, knownKeys } from '../runtime/check.js';
import { guard, RecvaeError, toJson } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { native, optionsOf } from '../runtime/native.js';
import type { ModelName, ModelOptions } from '../runtime/options.generated.js';
import { canonical } from './journal.js';

/** All numbers between two, both included; whole ones where the option is a whole number. */
export interface Range {
  /** The lowest. */
  from: number;
  /** The highest, above `from`. */
  to: number;
  /** Whether ratios or differences count. By default `log` where both ends are above 0, else `linear`. */
  scale?: 'log' | 'linear';
}

const RANGE_KEYS = Object.keys({ from: true, to: true, scale: true } satisfies Record<keyof Range, true>);

/** For each option that is searched, the values to try or a {@link Range} to draw from. */
export type SearchSpace<K extends ModelName = ModelName> = {
  [O in keyof ModelOptions[K]]?: readonly Exclude<ModelOptions[K][O], undefined>[] | Range;
};

/** The same without the types of a model. */
export type Space = Record<string, readonly Json[] | Range>;

/** Values of the options that are searched. */
export type Point = Record<string, Json>;

/** Whether random numbers are drawn from it. */
export function isRange(values: readonly Json[] | Range): values is Range {
  return !Array.isArray(values);
}

/** From the numbers of a range to those whose differences count, and back. */
export function scaleOf({ from, scale = from > 0 ? 'log' : 'linear' }: Range) {
  const same = (number: number) => number;
  return scale === 'log' ? { there: Math.log, back: Math.exp } : { there: same, back: same };
}

/** What the core finds worth trying, of the options that are not given. */
export function defaultSpace(model: ModelName, fixed: object): Space {
  const options = optionsOf(model);
  // A weight that is the same for all users is beta alone: gamma does nothing then.
  const isIdle = (name: string) => name === 'gamma' && (fixed as { klWeight?: unknown }).klWeight === 'constant';
  const searched = options.filter(({ name, search }) => search !== null && !isGiven(fixed, name) && !isIdle(name));
  return Object.fromEntries(searched.map(({ name, search }) => [name, search as Json[] | Range]));
}

function isGiven(fixed: object, name: string): boolean {
  return (fixed as Record<string, unknown>)[name] !== undefined;
}

/** A space whose values the core has accepted, each by itself beside the fixed options. */
export function checkSpace(model: ModelName, over: unknown, fixed: object): Space {
  checkObject(over, 'over');
  const names = optionsOf(model).map(({ name }) => name);
  knownKeys(over, names, 'over');
  const space = over as Space;
  for (const [name, values] of Object.entries(space)) {
    if (isGiven(fixed, name)) {
      throw new RecvaeError('INVALID_ARGUMENT', `${name} is searched and given a value; allowed: one of the two`);
    }
    if (Array.isArray(values) ? values.length === 0 : typeof values !== 'object' || values === null) {
      throw invalid(`over.${name}`, values, 'a list of one value or more, or a range {from, to}');
    }
    if (isRange(values)) checkRange(name, values);
    for (const value of isRange(values) ? [values.from, values.to] : values)
      checkPoint(model, fixed, { [name]: value });
  }
  return space;
}

function checkRange(name: string, range: Range): void {
  knownKeys(range, RANGE_KEYS, `over.${name}`);
  const { scale } = range;
  if (scale !== undefined && scale !== 'log' && scale !== 'linear') {
    throw invalid(`over.${name}.scale`, scale, 'log, linear');
  }
  for (const [end, value] of Object.entries({ from: range.from, to: range.to })) {
    if (!Number.isFinite(value)) throw invalid(`over.${name}.${end}`, value, 'a finite number');
  }
  if (range.from >= range.to) throw invalid(`over.${name}.to`, range.to, `a number above from, ${range.from}`);
  if (scale === 'log' && range.from <= 0) {
    throw invalid(`over.${name}.from`, range.from, 'a number above 0, where the scale is log');
  }
}

/** Fails as a fit with these options would. */
function checkPoint(model: ModelName, fixed: object, point: Point): void {
  guard(() => native.checkFit(model, toJson({ ...fixed, ...point })));
}

/** Whether the core takes such options. */
export function isAllowed(model: ModelName, fixed: object, point: Point): boolean {
  try {
    checkPoint(model, fixed, point);
    return true;
  } catch {
    return false;
  }
}

/** How many points a space has; infinitely many with a range. */
export function sizeOf(space: Space): number {
  return Object.values(space).reduce((size, values) => size * (isRange(values) ? Infinity : values.length), 1);
}

/** The points of the lowest and of the highest values of all options. */
export function endsOf(space: Space): Point[] {
  const ends = (values: readonly Json[] | Range) => {
    if (isRange(values)) return [values.from, values.to];
    const numbers = values.filter((value) => typeof value === 'number');
    return numbers.length === values.length
      ? [Math.min(...numbers), Math.max(...numbers)]
      : [values[0]!, values.at(-1)!];
  };
  return [0, 1].map((at) =>
    Object.fromEntries(Object.entries(space).map(([name, values]) => [name, ends(values)[at]!])),
  );
}

/** Every combination; the last option changes fastest. */
export function gridOf(model: ModelName, space: Space, fixed: object): Point[] {
  let points: Point[] = [{}];
  for (const [name, values] of Object.entries(space)) {
    if (isRange(values)) {
      const range = `${values.from}..${values.to}`;
      throw invalid(`over.${name}`, range, 'a list of values in a grid; ranges are for adaptive, random and halving');
    }
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  }
  for (const point of points) checkPoint(model, fixed, point);
  return distinct(points);
}

function distinct(points: Point[]): Point[] {
  return [...new Map(points.map((point) => [canonical(point), point])).values()];
}

/** Times that a draw may fail to give another point, for each one that is asked for. */
const PATIENCE = 100;

/**
 * Random points, no two of them equal; more of the same seed begin with the same ones. Values of a list are equally
 * likely. Numbers of a range are uniform on its scale; they have four significant digits, to be typed again. A space of
 * no more points than are asked for gives them all, those that are drawn first.
 */
export function drawsOf(model: ModelName, space: Space, fixed: object, most: number, seed: number): Point[] {
  const size = sizeOf(space);
  const count = Math.min(most, size);
  const draws = Object.entries(space).map(([name, values]) => {
    const whole = isRange(values) && onlyWhole(model, fixed, name, values);
    return {
      name,
      value: (uniform: number) => (isRange(values) ? within(values, whole, uniform) : pick(values, uniform)),
    };
  });
  const uniforms = guard(() => native.searchUniforms(seed, draws.length * count * PATIENCE));
  const points = new Map<string, Point>();
  for (let at = 0; at < uniforms.length && points.size < count; at += draws.length) {
    const point = Object.fromEntries(draws.map(({ name, value }, index) => [name, value(uniforms[at + index]!)]));
    points.set(canonical(point), points.get(canonical(point)) ?? point);
  }
  if (size <= most) return distinct([...points.values(), ...gridOf(model, space, fixed)]);
  for (const point of points.values()) checkPoint(model, fixed, point);
  return [...points.values()];
}

function pick(values: readonly Json[], uniform: number): Json {
  return values[Math.floor(uniform * values.length)]!;
}

/** A number of a range; `uniform` lies in [0, 1). */
function within(range: Range, whole: boolean, uniform: number): number {
  const { from, to } = range;
  const end = whole ? to + 1 : to;
  const { there, back } = scaleOf(range);
  const number = back(there(from) + uniform * (there(end) - there(from)));
  return clampTo(range, whole ? Math.floor(number) : roundedIn(range, number, 4));
}

/** The number of a range that is closest to a value. */
export function clampTo({ from, to }: Pick<Range, 'from' | 'to'>, value: number): number {
  return Math.min(Math.max(value, from), to);
}

/**
 * A value in so many digits, or as many more as tell some dozens of values of a narrow range apart; it may lie beyond
 * the range's ends.
 */
export function roundedIn({ from, to }: Pick<Range, 'from' | 'to'>, value: number, digits = 3): number {
  const share = (to - from) / Math.max(Math.abs(from), Math.abs(to));
  const more = share > 0 ? Math.max(Math.floor(-Math.log10(share)), 0) : 0;
  return Number(value.toPrecision(Math.min(digits + more, 17)));
}

/** Whether the core takes whole numbers alone: what lies between two of them tells. */
function onlyWhole(model: ModelName, fixed: object, name: string, { from, to }: Range): boolean {
  if (!Number.isInteger(from) || !Number.isInteger(to)) return false;
  try {
    checkPoint(model, fixed, { [name]: from + 0.5 });
    return false;
  } catch (error) {
    if (error instanceof RecvaeError && error.code === 'INVALID_ARGUMENT') return true;
    throw error;
  }
}

/** The options that are searched over a range of which the core takes whole numbers alone. */
export function wholeOf(model: ModelName, fixed: object, space: Space): Set<string> {
  const found = Object.entries(space).filter(
    ([name, values]) => isRange(values) && onlyWhole(model, fixed, name, values),
  );
  return new Set(found.map(([name]) => name));
}

/** Share of a range, on its scale, that counts as its end. */
const END = 0.05;

/** Whether a value lies at an end of what is searched, and at which; a list has ends if it has two numbers or more. */
export function endOf(values: readonly Json[] | Range, value: Json): 'lowest' | 'highest' | undefined {
  if (typeof value !== 'number') return undefined;
  if (isRange(values)) {
    const { there } = scaleOf(values);
    const share = (there(value) - there(values.from)) / (there(values.to) - there(values.from));
    return share < END ? 'lowest' : share > 1 - END ? 'highest' : undefined;
  }
  const numbers = values.filter((value) => typeof value === 'number');
  if (numbers.length < 2) return undefined;
  return value <= Math.min(...numbers) ? 'lowest' : value >= Math.max(...numbers) ? 'highest' : undefined;
}
