/** With what an adaptive search begins, and what its points cost. */
import { guard, toJson } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { native } from '../runtime/native.js';
import { secondsOf } from './effort.js';
import { canonical } from './journal.js';
import type { Search, SearchRun } from './search.js';
import { clampTo, isRange, type Point, roundedIn } from './spaces.js';
import { completeOptions } from './trials.js';

/** The default options, if they lie in what is searched. */
export function usualPoint({ model, fixed, space }: Search): Point | undefined {
  const usual = completeOptions({ model, options: fixed });
  const point = Object.fromEntries(Object.keys(space).map((name) => [name, usual[name] ?? null]));
  const lies = ([name, values]: [string, Search['space'][string]]) => {
    const value = point[name];
    if (!isRange(values)) return values.some((other) => canonical(other) === canonical(value));
    return typeof value === 'number' && value >= values.from && value <= values.to;
  };
  return Object.entries(space).every(lies) ? point : undefined;
}

/** Where the core would have a search on these data begin, within the ranges; in as few digits as all points. */
export function startsOf({ model, fixed, space }: Search, { data }: SearchRun, usual: Point): Point[] {
  // What is searched in a list begins as usual, and the others are told for that.
  const kept = Object.fromEntries(Object.entries(usual).filter(([name]) => !isRange(space[name]!)));
  const given = toJson({ ...fixed, ...kept });
  const starts: Point[] = guard(() => JSON.parse(native.searchStarts(model, given, data.train.native)));
  const inside = ([name, values]: [string, Search['space'][string]], start: Point): Json =>
    isRange(values) ? clampTo(values, roundedIn(values, start[name] as number)) : usual[name]!;
  const points = starts.map((start) =>
    Object.fromEntries(Object.entries(space).map((option) => [option[0], inside(option, start)])),
  );
  // What they differ in may be given, or out of what is searched.
  return points.filter((point) => canonical(point) !== canonical(usual));
}

/** Seconds of a fit on all data at a point; only options that change them are looked at. */
export function costOf({ model, fixed, space }: Search, { data }: SearchRun): (point: Point) => number {
  const known = new Map<string, number>();
  const seconds = (point: Point) => secondsOf({ model, options: { ...fixed, ...point } }, data);
  const usual = seconds({});
  const matters = Object.entries(space).filter(([name, values]) => {
    const ends = isRange(values) ? [values.from, values.to] : values;
    return ends.some((value) => seconds({ [name]: value }) !== usual);
  });
  return (point) => {
    const costly = Object.fromEntries(
      matters.flatMap(([name]) => (point[name] === undefined ? [] : [[name, point[name]]])),
    );
    const key = canonical(costly);
    if (!known.has(key)) known.set(key, seconds(costly));
    return known.get(key)!;
  };
}
