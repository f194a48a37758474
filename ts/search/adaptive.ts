/**
 * The search for the best point of a space: it is asked for points and told their values, and trains nothing itself.
 *
 * It begins with points that it is given and a low-discrepancy sequence over the whole space, then takes rounds of
 * points of which a {@link Surrogate} expects most improvement for their cost: near the best ones, and where little is
 * known. A best point at an end of its range, or close to it, extends the range, as far as the option allows. Where all
 * values of a stretch differ by less than chance nothing is gained by narrowing into it: it is a plateau, and is
 * reported as one. Rounds have a fixed size, so that what is tried does not depend on how many are tried at once.
 *
 * Sources: {@link Surrogate}; batches by "kriging believer": Ginsbourger, Le Riche, Carraro (2010); improvement per
 * cost: Snoek, Larochelle, Adams, NeurIPS 2012, section 3.2; the sequence: Roberts, "The Unreasonable Effectiveness of
 * Quasirandom Sequences" (2018), R_d, with a random shift (Cranley, Patterson 1976).
 */
import type { Json } from '../runtime/json.js';
import { canonical } from './journal.js';
import { clampTo, endOf, isRange, type Point, type Range, roundedIn, type Space, scaleOf } from './spaces.js';
import { expectedImprovement, Surrogate } from './surrogate.js';

/** What is known about a point. */
interface Measured {
  point: Point;
  /** Larger is better; `null` if it failed. */
  value: number | null;
}

/** How a space is searched. */
export interface Settings {
  space: Space;
  /** Tried before all others. */
  first?: readonly Point[];
  /** Uniform numbers in [0, 1), one for each option: where the sequence begins. */
  shift: readonly number[];
  /** Points at most. */
  most: number;
  /** Points of the first round. By default {@link exploring}. */
  begin?: number;
  /** Points of a later round. By default {@link ROUND}. */
  round?: number;
  /** Options that are whole numbers. */
  whole?: ReadonlySet<string>;
  /** Whether an option may have a value beyond its range. By default none may. */
  allows?: (name: string, value: number) => boolean;
  /** What a point costs, in any unit. By default all cost the same. */
  cost?: (point: Point) => number;
  /** Whether the search ends when little is to be gained, or goes on to `most` points. By default it does end. */
  ends?: boolean;
  /**
   * What another search has found where values are likely to be alike but for a smooth difference, such as on less
   * data.
   */
  before?: AdaptiveSearch;
}

/** Points of a round after the first one. */
export const ROUND = 3;

/** Points of the first round for so many options. */
export function exploring(options: number): number {
  return 4 + 2 * options;
}

/** Share of the noise below which an improvement is not worth a round, and so for what is to be expected. */
const IMPROVED = 0.5;
const WORTH = 0.25;
/** How far a range is extended, in units of what it was, and how often at either end. */
const EXTENSION = 0.25;
const MOST_EXTENSIONS = 4;
/** Share of a range in which the best of it tells whether its end is better than its inside. */
const INSIDE = 0.2;
/** Share of a range from which on a stretch without differences is a plateau. */
const WIDE = 0.5;
/** How far the points of a star are from its centre, in units of a range. */
const STEP = 0.12;
/**
 * After how many rounds the next values of lists are tried with the best point, and again whenever it has got to
 * others.
 */
const EARLY = 1;
/** Where in the range of one option points lie that are usual in all others. */
const ASIDE = [1 / 3, 2 / 3];
/** Candidates over the whole space, and around each of the best points with what radii. */
const CANDIDATES = 512;
const NEAR = 64;
const RADII = [0.15, 0.05];
const BEST_POINTS = 2;
/** Points that a surrogate is made of at most: its time grows with their cube, and nothing else runs meanwhile. */
const MOST_TELLING = 150;
/** How far apart points are that are about the same, and so close that measuring another one tells nothing. */
const NEARBY = 0.05;
const SAME = 0.005;

/**
 * Share of a standard error below which a difference between options is chance, and what stands for it where none is
 * known.
 */
const NOISE = 0.25;
const UNKNOWN_NOISE = 1e-3;

/** By how much values may differ by chance whose standard error is that. */
export function noiseOf(standardError: number | undefined): number {
  return standardError ? NOISE * standardError : UNKNOWN_NOISE;
}

/** An option that is searched, with numbers for its values: 0 to 1 over the range, or over the list's positions. */
class Dimension {
  low = 0;
  high = 1;
  readonly name: string;
  readonly values: readonly Json[] | Range;
  readonly #whole: boolean;
  readonly #extensions = { low: 0, high: 0 };

  constructor(name: string, values: readonly Json[] | Range, whole: boolean) {
    this.name = name;
    const numbers = Array.isArray(values) && values.every((value) => typeof value === 'number');
    this.values = numbers ? (values as number[]).toSorted((a, b) => a - b) : values;
    this.#whole = whole;
  }

  get isRange(): boolean {
    return isRange(this.values);
  }

  /** Of a value of the option. */
  coordinate(value: Json): number {
    if (!isRange(this.values)) {
      const at = this.values.findIndex((other) => canonical(other) === canonical(value));
      return this.values.length < 2 ? 0 : Math.max(at, 0) / (this.values.length - 1);
    }
    const { from, to } = this.values;
    const { there } = scaleOf(this.values);
    return (there(value as number) - there(from)) / (there(to) - there(from));
  }

  /** The value at a coordinate, in three digits, or as many more as a narrow range takes. */
  value(coordinate: number): Json {
    if (!isRange(this.values)) {
      return this.values[Math.round(Math.min(Math.max(coordinate, 0), 1) * (this.values.length - 1))]!;
    }
    const { from, to } = this.values;
    const { there, back } = scaleOf(this.values);
    const value = back(there(from) + coordinate * (there(to) - there(from)));
    const rounded = this.#whole ? Math.round(value) : roundedIn(this.values, value);
    // Rounding leads out of no end that stands where it was given.
    const [isBelow, isAbove] = [Math.min(coordinate, this.low) < 0, Math.max(coordinate, this.high) > 1];
    return clampTo({ from: isBelow ? -Infinity : from, to: isAbove ? Infinity : to }, rounded);
  }

  /**
   * The coordinate of a uniform number in [0, 1); each value of a list up to its number in `ends`, by default in equal
   * shares.
   */
  draw(uniform: number, ends?: readonly number[]): number {
    if (isRange(this.values)) return this.low + uniform * (this.high - this.low);
    const at = ends ? ends.findIndex((end) => uniform < end) : Math.floor(uniform * this.values.length);
    return this.coordinate(this.values.at(at)!);
  }

  /** Keeps to the range. */
  clamp(coordinate: number): number {
    return Math.min(Math.max(coordinate, this.low), this.high);
  }

  /** Lengthens the range at an end, by less where the option does not allow that; whether it could be. */
  extend(end: 'low' | 'high', allows: (name: string, value: number) => boolean): boolean {
    if (!this.isRange || this.#extensions[end] >= MOST_EXTENSIONS) return false;
    for (let step = EXTENSION; step >= EXTENSION / 8; step /= 2) {
      const coordinate = end === 'low' ? this.low - step : this.high + step;
      const value = this.value(coordinate) as number;
      if (!Number.isFinite(value) || !allows(this.name, value)) continue;
      this[end] = coordinate;
      this.#extensions[end] += 1;
      return true;
    }
    return false;
  }

  /** The range as it has become, or the list. */
  get reached(): readonly Json[] | Range {
    if (!isRange(this.values)) return this.values;
    return { ...this.values, from: this.value(this.low) as number, to: this.value(this.high) as number };
  }
}

/** One search. */
export class AdaptiveSearch {
  readonly #dimensions: Dimension[];
  readonly #settings: Settings;
  readonly #measured: Measured[] = [];
  readonly #known = new Set<string>();
  #asked: Point[] = [];
  #noise = 0;
  #drawn = 0;
  #before = -Infinity;
  #done = false;
  #improvements = 0;
  /** The values of lists that the best point had when others were last tried with it. */
  #lists = '';
  #fitted: { count: number; surrogate: Surrogate } | undefined;
  #most: number;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#most = settings.most;
    this.#dimensions = Object.entries(settings.space).map(
      ([name, values]) => new Dimension(name, values, settings.whole?.has(name) ?? false),
    );
    const { before } = settings;
    if (before === undefined) return;
    for (const [at, { low, high }] of before.#dimensions.entries()) Object.assign(this.#dimensions[at]!, { low, high });
  }

  /** The points to measure next; none when the search has ended. */
  ask(): Point[] {
    const room = this.#most - this.#measured.length;
    if (this.#done || room <= 0) return [];
    const first = this.#measured.length === 0 || this.#isFlat();
    const asked = first
      ? this.#explore(Math.min(this.#exploring(), room))
      : this.#improve(Math.min(this.#settings.round ?? ROUND, room));
    if (asked.length === 0) this.#done = true;
    this.#asked = asked;
    return asked;
  }

  /**
   * What came of the points that were asked for, in their order; there may be fewer if the others were not measured.
   *
   * @param noise - Differences below it are chance; above 0.
   */
  tell(values: readonly (number | null)[], noise: number): void {
    this.#before = this.best?.value ?? -Infinity;
    this.#noise = noise;
    for (const [at, value] of values.entries()) this.#measured.push({ point: this.#asked[at]!, value });
    this.#asked = [];
  }

  /** Allows so many points more. */
  more(points: number): void {
    this.#most += points;
    this.#done = false;
  }

  /** All that was measured, in that order. */
  get measured(): readonly Measured[] {
    return this.#measured;
  }

  /** The best point so far, of equals the first. */
  get best(): (Measured & { value: number }) | undefined {
    let best: Measured | undefined;
    for (const one of this.#measured) if (one.value !== null && (best?.value ?? -Infinity) < one.value) best = one;
    return best as (Measured & { value: number }) | undefined;
  }

  /** The point that is expected to be the best, measured or not, and a number for each option. */
  get peak(): { point: Point; coordinates: number[] } | undefined {
    const best = this.best;
    if (!best) return undefined;
    const surrogate = this.#surrogate();
    let coordinates = this.#coordinates(best.point);
    let mean = surrogate.predict(coordinates).mean;
    for (let radius = 0.25; radius > 0.005; radius /= 1.5) {
      for (const uniforms of this.#sequence(NEAR)) {
        const near = this.#around(coordinates, uniforms, radius);
        const there = surrogate.predict(near).mean;
        if (there > mean) [coordinates, mean] = [near, there];
      }
    }
    return { point: this.#point(coordinates), coordinates };
  }

  /** The peak, and points a step from it to either side of each option: what shows whether it is one elsewhere, too. */
  get star(): Point[] {
    const centre = this.peak?.coordinates;
    if (!centre) return [];
    const steps = this.#dimensions.flatMap((dimension, at) =>
      [-STEP, STEP].map((step) => centre.with(at, dimension.clamp(centre[at]! + step))),
    );
    return [centre, ...steps].map((coordinates) => this.#point(coordinates));
  }

  /** What is expected at a point; `undefined` before anything was measured. */
  predict(point: Point): number | undefined {
    return this.best && this.#surrogate().predict(this.#coordinates(point)).mean;
  }

  /** The point `share` of the way from another search's peak to this one's, counted from there. */
  beyond(other: AdaptiveSearch, share: number): Point | undefined {
    const [from, to] = [other.peak?.coordinates, this.peak?.coordinates];
    if (!from || !to) return undefined;
    return this.#point(to.map((here, at) => this.#dimensions[at]!.clamp(from[at]! + share * (here - from[at]!))));
  }

  /** Options whose best value is the lowest or highest that was searched, where values differ by more than chance. */
  get edges(): Record<string, 'lowest' | 'highest'> {
    const best = this.best;
    if (!best) return {};
    const found = this.#dimensions.flatMap((dimension) => {
      const end = endOf(dimension.reached, best.point[dimension.name]!);
      const flat =
        dimension.isRange && end !== undefined && !this.#risesTo(dimension, end === 'lowest' ? 'low' : 'high');
      return end && !flat ? [[dimension.name, end] as const] : [];
    });
    return Object.fromEntries(found);
  }

  /**
   * Ranges of which a half or more around the best value makes no difference beyond chance, between values that were
   * tried and are as good: where that lies.
   */
  get plateaus(): Record<string, { from: number; to: number }> {
    const best = this.best;
    if (!best) return {};
    const surrogate = this.#surrogate();
    const here = this.#coordinates(best.point);
    const asGood = this.#measured
      .filter(({ value }) => (value ?? -Infinity) >= best.value! - this.#noise)
      .map(({ point }) => this.#coordinates(point));
    const found = this.#dimensions.flatMap((dimension, at) => {
      if (!dimension.isRange) return [];
      const bar = surrogate.predict(here).mean - this.#noise;
      const reach = (direction: number) => {
        const step = ((dimension.high - dimension.low) / 40) * direction;
        let coordinate = here[at]!;
        while (dimension.clamp(coordinate + step) === coordinate + step) {
          if (surrogate.predict(here.with(at, coordinate + step)).mean < bar) break;
          coordinate += step;
        }
        return coordinate;
      };
      const tried = asGood.map((coordinates) => coordinates[at]!);
      const [low, high] = [Math.max(reach(-1), Math.min(...tried)), Math.min(reach(1), Math.max(...tried))];
      if (high - low < WIDE * (dimension.high - dimension.low)) return [];
      return [[dimension.name, { from: dimension.value(low) as number, to: dimension.value(high) as number }] as const];
    });
    return Object.fromEntries(found);
  }

  /** Whether the best point lies at an end beyond which more could be tried. */
  get isOpen(): boolean {
    const best = this.best;
    return best !== undefined && Object.keys(this.edges).some((name) => isRange(this.#settings.space[name]!));
  }

  #exploring(): number {
    return this.#settings.begin ?? exploring(this.#dimensions.length);
  }

  /** Whether the first rounds say nothing: then others are tried before anything is concluded from them. */
  #isFlat(): boolean {
    const count = this.#measured.length;
    if (this.#settings.before || count >= 2 * this.#exploring()) return false;
    const values = this.#measured.flatMap(({ value }) => value ?? []);
    return values.length === 0 || Math.max(...values) - Math.min(...values) < this.#noise;
  }

  /**
   * Points that were given; a single one with another number for one option, too, as what is usual is mostly wrong in
   * one thing; and then those of the sequence, with the cheap values of lists more often than the costly ones.
   */
  #explore(count: number): Point[] {
    const given = this.#measured.length === 0 ? (this.#settings.first ?? []) : [];
    const points: Point[] = [];
    for (const point of given.slice(0, count)) this.#add(points, point);
    if (this.#settings.before) return points; // it has explored
    const isOneOfMany = given.length === 1 && this.#dimensions.length > 1;
    for (const share of isOneOfMany ? ASIDE : []) {
      for (const dimension of this.#dimensions) {
        if (!dimension.isRange || points.length >= count) continue;
        this.#add(points, { ...given[0]!, [dimension.name]: dimension.value(dimension.draw(share)) });
      }
    }
    const ends = this.#dimensions.map((dimension) => this.#shares(dimension));
    for (let patience = 100 * count; points.length < count && patience > 0; patience -= 1) {
      const [uniforms] = this.#sequence(1);
      this.#add(points, this.#point(this.#dimensions.map((one, at) => one.draw(uniforms![at]!, ends[at]))));
    }
    return points;
  }

  /**
   * Up to which uniform number each value of a list is drawn, so that all have the same cost together; nothing for a
   * range.
   */
  #shares({ name, values }: Dimension): number[] | undefined {
    const { cost } = this.#settings;
    if (isRange(values) || !cost) return undefined;
    const shares = values.map((value) => 1 / cost({ [name]: value }));
    const sum = shares.reduce((a, b) => a + b, 0);
    return shares.map((_, at) => shares.slice(0, at + 1).reduce((a, b) => a + b, 0) / sum);
  }

  /** The points of a round, or none if the search has come to its end. */
  #improve(count: number): Point[] {
    const best = this.best;
    if (!best) return this.#explore(count);
    const extended = this.#extend();
    const improved = best.value - this.#before > IMPROVED * this.#noise;
    // What differs in nothing but an untried value of a list is tried early: no surrogate knows what that brings.
    const lists = this.#listsOf(best.point);
    if (this.#improvements >= EARLY && lists !== this.#lists) {
      this.#lists = lists;
      this.#improvements += 1;
      const beside = this.#beside(best.point, count);
      if (beside.length > 0) return beside;
    }
    this.#improvements += 1;
    const points: Point[] = [];
    const believed: { coordinates: number[]; mean: number }[] = [];
    for (let at = 0; at < count; at += 1) {
      const surrogate = this.#surrogate(believed);
      const candidate = this.#mostPromising(surrogate, best.value, points);
      if (!candidate) break;
      const { point, coordinates, most } = candidate;
      const ends = this.#settings.ends ?? true;
      if (at === 0 && ends && !extended && !improved && most < WORTH * this.#noise)
        return this.#beside(best.point, count);
      this.#add(points, point);
      believed.push({ coordinates, mean: surrogate.predict(coordinates).mean });
    }
    return points;
  }

  /** The point of which most improvement is expected for its cost; none that is a measured or a `taken` one again. */
  #mostPromising(surrogate: Surrogate, best: number, taken: readonly Point[]) {
    const there = [...this.#measured.map(({ point }) => point), ...taken];
    const cost = this.#settings.cost ?? (() => 1);
    let found: { point: Point; coordinates: number[]; rate: number } | undefined;
    let most = 0;
    for (const point of this.#candidates()) {
      const known = this.#known.has(canonical(point));
      if (known || (!this.#isAtEnd(point) && there.some((other) => this.#isNear(point, other, SAME)))) continue;
      const coordinates = this.#coordinates(point);
      const improvement = expectedImprovement(surrogate.predict(coordinates), best);
      const rate = improvement / cost(point);
      most = Math.max(most, improvement);
      if (!found || rate > found.rate) found = { point, coordinates, rate };
    }
    return found && { ...found, most };
  }

  /** The values that a point has of lists. */
  #listsOf(point: Point): string {
    return canonical(this.#dimensions.flatMap(({ name, values }) => (isRange(values) ? [] : [point[name]!])));
  }

  /**
   * The next values of lists that were not tried with the best point, with the values of ranges that are expected to be
   * the best ones there: what a search that could end has to try before.
   */
  #beside(best: Point, count: number): Point[] {
    const points: Point[] = [];
    for (const { name, values } of this.#dimensions) {
      if (isRange(values)) continue;
      const at = values.findIndex((value) => canonical(value) === canonical(best[name]));
      for (const next of [at + 1, at - 1]) {
        const value = values[next];
        const tried = this.#measured.some(
          ({ point }) => canonical(point[name]) === canonical(value) && this.#isNear(point, best, NEARBY, name),
        );
        if (value === undefined || tried || points.length >= count) continue;
        this.#add(points, { ...best, [name]: value });
      }
    }
    return points;
  }

  /** Whether an option has the lowest or highest value of its range: what lies next to it does not tell of an edge. */
  #isAtEnd(point: Point): boolean {
    return this.#dimensions.some((dimension) => {
      const here = dimension.coordinate(point[dimension.name]!);
      return dimension.isRange && (here <= dimension.low || here >= dimension.high);
    });
  }

  /** Whether no option, but perhaps for one, differs by more than a share of its range. */
  #isNear(a: Point, b: Point, most: number, except?: string): boolean {
    return this.#dimensions.every(
      (dimension) =>
        dimension.name === except ||
        Math.abs(dimension.coordinate(a[dimension.name]!) - dimension.coordinate(b[dimension.name]!)) <= most,
    );
  }

  #candidates(): Point[] {
    const anywhere = this.#sequence(CANDIDATES).map((uniforms) =>
      this.#dimensions.map((dimension, at) => dimension.draw(uniforms[at]!)),
    );
    const best = this.#measured
      .filter(({ value }) => value !== null)
      .toSorted((a, b) => b.value! - a.value!)
      .slice(0, BEST_POINTS);
    const near = best.flatMap(({ point }) =>
      RADII.flatMap((radius) =>
        this.#sequence(NEAR).map((uniforms) => this.#around(this.#coordinates(point), uniforms, radius)),
      ),
    );
    return [...anywhere, ...near].map((coordinates) => this.#point(coordinates));
  }

  /** A point near another one; of a list any value may be. */
  #around(centre: readonly number[], uniforms: readonly number[], radius: number): number[] {
    return this.#dimensions.map((dimension, at) =>
      dimension.isRange
        ? dimension.clamp(centre[at]! + (2 * uniforms[at]! - 1) * radius)
        : dimension.draw(uniforms[at]!),
    );
  }

  /** Extends the ranges at whose ends the best point lies; whether there is one. */
  #extend(): boolean {
    const ends = Object.entries(this.edges);
    const extended = ends.filter(([name, end]) => {
      const dimension = this.#dimensions.find((one) => one.name === name)!;
      return dimension.extend(end === 'lowest' ? 'low' : 'high', this.#settings.allows ?? (() => false));
    });
    return extended.length > 0;
  }

  /** Whether values are expected to grow towards an end, from some way inside to the best point there. */
  #risesTo(dimension: Dimension, end: 'low' | 'high'): boolean {
    const at = this.#dimensions.indexOf(dimension);
    const here = this.#coordinates(this.best!.point);
    const inwards = (end === 'low' ? 1 : -1) * INSIDE * (dimension.high - dimension.low);
    const surrogate = this.#surrogate();
    return this.best!.value - surrogate.predict(here.with(at, here[at]! + inwards)).mean > this.#noise;
  }

  /** The surrogate of what was measured, and of what is believed besides. */
  #surrogate(believed: readonly { coordinates: number[]; mean: number }[] = []): Surrogate {
    const count = this.#measured.length;
    if (believed.length === 0 && this.#fitted?.count === count) return this.#fitted.surrogate;
    const surrogate = this.#fit(believed);
    if (believed.length === 0) this.#fitted = { count, surrogate };
    return surrogate;
  }

  #fit(believed: readonly { coordinates: number[]; mean: number }[]): Surrogate {
    const worst = this.#measured.reduce((worst, { value }) => Math.min(worst, value ?? worst), Infinity);
    const measured = this.#telling.map(({ point, value }) => ({
      coordinates: this.#coordinates(point),
      mean: value ?? worst,
    }));
    const points = [...measured, ...believed].map(({ coordinates }) => coordinates);
    const values = [...measured, ...believed].map(({ mean }) => mean);
    const { before } = this.#settings;
    const earlier = before?.best && before.#surrogate();
    const prior = earlier && ((point: readonly number[]) => earlier.predict(point).mean);
    const ranges = [...this.#dimensions.keys()].filter((at) => this.#dimensions[at]!.isRange);
    const together = ranges.flatMap((a, at) => ranges.slice(at + 1).map((b) => [a, b] as const));
    return new Surrogate(points, values, Math.max(this.#noise, 1e-9), prior, together);
  }

  /** Of very many measured points those that a surrogate is made of: the best ones, and of the others the last. */
  get #telling(): readonly Measured[] {
    if (this.#measured.length <= MOST_TELLING) return this.#measured;
    const sorted = this.#measured.toSorted((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
    const best = new Set(sorted.slice(0, MOST_TELLING / 2));
    return [...best, ...this.#measured.filter((one) => !best.has(one)).slice(-MOST_TELLING / 2)];
  }

  #add(points: Point[], point: Point): void {
    const key = canonical(point);
    if (this.#known.has(key)) return;
    this.#known.add(key);
    points.push(point);
  }

  #coordinates(point: Point): number[] {
    return this.#dimensions.map((dimension) => dimension.coordinate(point[dimension.name]!));
  }

  #point(coordinates: readonly number[]): Point {
    return Object.fromEntries(
      this.#dimensions.map((dimension, at) => [dimension.name, dimension.value(coordinates[at]!)]),
    );
  }

  /** The next points of the sequence. */
  #sequence(count: number): number[][] {
    const steps = stepsOf(this.#dimensions.length);
    return Array.from({ length: count }, () => {
      this.#drawn += 1;
      return steps.map((step, at) => (this.#settings.shift[at]! + this.#drawn * step) % 1);
    });
  }
}

/** What the coordinates of R_d grow by: powers of the inverse of the root above 1 of x^(d + 1) = x + 1. */
function stepsOf(dimensions: number): number[] {
  let root = 2;
  for (let at = 0; at < 40; at += 1) root = (1 + root) ** (1 / (dimensions + 1));
  return Array.from({ length: dimensions }, (_, at) => root ** -(at + 1));
}
