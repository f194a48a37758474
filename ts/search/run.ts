/**
 * Runs an {@link AdaptiveSearch} with trials. Where {@link allowance} is enough for trials on all data, these are
 * tried. Where it is not, most trials are cheaper ones:
 *
 * - Closed forms are searched on the most popular items, at two sizes; what the best options become from one to the
 *   other tells what they will be on all items, which one fit there confirms, or two where the sizes differ by more
 *   than chance.
 * - A model that is trained in epochs and has one option to search is tried with all of them, as often as the allowance
 *   has fits. With fewer epochs a small weight of the KL term looks better than it is: of RecVAE on MovieLens-1M a
 *   gamma of .001 has .380 after 6 of 50 epochs and .405 at its best, and a gamma of .005 .344 and .429.
 * - Where more options are searched, trials begin with a third of the epochs, or as many as leave time for a whole
 *   first round, and the best one goes on beside the defaults.
 */
import { checkFits, estimateMemory } from '../models/estimate.js';
import { shareDone } from '../models/progress.js';
import { guard, RecvaeError } from '../runtime/errors.js';
import type { Json } from '../runtime/json.js';
import { native } from '../runtime/native.js';
import { AdaptiveSearch, exploring, noiseOf, ROUND, type Settings } from './adaptive.js';
import { allowance, costliest, MOST_TRIALS, secondsOf } from './effort.js';
import { Checkpoints, leastEpochs, ranked } from './halving.js';
import type { Holder } from './holder.js';
import { canonical } from './journal.js';
import { Samples } from './samples.js';
import type { Search, SearchRun } from './search.js';
import { isAllowed, type Point, sizeOf, wholeOf } from './spaces.js';
import { costOf, startsOf, usualPoint } from './starts.js';
import { completeOptions, runTrials, type Trial, type TrialResult } from './trials.js';

/** What an adaptive search found. */
export interface Adapted {
  /** What was tried, in that order; the same point may have been tried on more than one scale. */
  points: Point[];
  results: TrialResult[];
  /** Which of them is the best on all data. */
  best: number;
  /** Options whose best value is at an end of what was searched. */
  edges: Record<string, 'lowest' | 'highest'>;
  /** Options of which a wide range around the best value makes no difference beyond chance. */
  plateaus: Record<string, { from: number; to: number }>;
  /** Whether at least the first round could be tried. */
  searched: boolean;
  /** Whether the search ended for want of time. */
  cut: boolean;
  /** Estimated seconds of all trials. */
  spent: number;
}

/** How many times as much as a trial on the largest sample a fit on all items costs, at least. */
const CHEAPER = 25;
/** Items of a sample at least, and how much smaller the first one is. */
const LEAST_ITEMS = 200;
const SMALLER = 2;
/** Share of the validation users who have to have something to find on a sample. */
const LEAST_SCORED = 0.2;
/** Trials on the smaller and on the larger sample at most, for so many options. */
const onSmaller = (options: number) => exploring(options) + 6;
const onLarger = (options: number) => 3 + 2 * options;
/** Trials of the first round where there is time for few; each later one is a round. */
const FEW = 3;
/** What part of the epochs trials begin with at most, how many begin, and how many go on. */
const SHARE = 3;
const BEGINNING = 15;
const GO_ON = 2;
/** Points more where the best one of those lies at an end. */
const MORE = 3;
/** Sums of the same seconds in another order. */
const ROUNDING = 1e-9;

/** On what a trial is run. */
interface Scale {
  epochs?: number;
  items?: number;
}

const WHOLE: Scale = {};

/** Searches. The model of the best trial is in the holder, unless the trial was found in a journal. */
export async function adapt(search: Search, run: SearchRun, holder: Holder): Promise<Adapted> {
  return new Adapting(search, run, holder).search();
}

class Adapting {
  readonly #search: Search;
  readonly #run: SearchRun;
  readonly #holder: Holder;
  readonly #usual: Point | undefined;
  readonly #options: number;
  readonly #samples: Samples;
  readonly #ownSamples: boolean;
  readonly #allowed: number;
  readonly #costs: (point: Point) => number;
  /** Trials that have to be tried at least, and that are planned at most with their estimated seconds. */
  #least: number;
  #planned: number;
  #expected: number;
  #cut = false;
  /** Estimated seconds of all trials, and of those that were run here: by the clock these took `#waited`. */
  #spent = 0;
  #timed = 0;
  #waited = 0;
  #ended = 0;
  /** The engine that was asked last. */
  #asked: AdaptiveSearch | undefined;
  #checkpoints: Checkpoints | undefined;
  readonly #points: Point[] = [];
  readonly #results: TrialResult[] = [];

  constructor(search: Search, run: SearchRun, holder: Holder) {
    this.#search = search;
    this.#run = run;
    this.#holder = holder;
    this.#usual = usualPoint(search);
    this.#options = Object.keys(search.space).length;
    this.#samples = run.samples ?? new Samples(run.data);
    this.#ownSamples = run.samples === undefined;
    this.#costs = costOf(search, run);
    const fit = this.#seconds(this.#usual ?? {}, WHOLE);
    const highest = costliest(search.space, this.#costs);
    const allowed = run.allowed ?? allowance(fit, highest);
    this.#allowed = search.trials === undefined ? allowed : Infinity;
    this.#least = exploring(this.#options);
    this.#planned = search.trials ?? MOST_TRIALS;
    this.#expected = Math.min(this.#allowed, this.#planned * highest);
  }

  async search(): Promise<Adapted> {
    try {
      const engine = await this.#chosen().catch((thrown) => this.#keptOf(thrown));
      const whole = [...this.#results.keys()].filter((at) => this.#isWhole(at));
      // Where the time was over, there is none to train a better one again that a journal had.
      const held = this.#run.late?.aborted ? this.#holder.at : undefined;
      const best = held ?? ranked(this.#results).find((at) => whole.includes(at)) ?? 0;
      const tried = this.#results.filter(({ validation }) => validation !== null).length;
      return {
        points: this.#points,
        results: this.#results,
        best,
        edges: engine?.edges ?? {},
        plateaus: engine?.plateaus ?? {},
        searched: tried >= Math.min(this.#least, this.#search.trials ?? MOST_TRIALS, sizeOf(this.#search.space)),
        cut: this.#cut,
        spent: this.#spent,
      };
    } finally {
      if (this.#ownSamples) this.#samples[Symbol.dispose]();
    }
  }

  /** Where the time is over and something was tried on all data, that is what the search found; else it fails. */
  #keptOf(thrown: unknown): AdaptiveSearch | undefined {
    if (!this.#run.late?.aborted || thrown instanceof RecvaeError || !this.#holder.holds) throw thrown;
    this.#cut = true;
    return this.#asked;
  }

  /** The search on the scale that the allowance is enough for; gives the engine that says most about the options. */
  async #chosen(): Promise<AdaptiveSearch | undefined> {
    const { model, fixed, trials } = this.#search;
    const fit = this.#seconds(this.#usual ?? {}, WHOLE);
    const wanted = Math.min(sizeOf(this.#search.space), trials ?? exploring(this.#options) + 2 * this.#options + 2);
    const affordable = (this.#run.allowed ?? allowance(fit)) >= wanted * fit;
    if (affordable) return this.#onAll({ most: trials ?? MOST_TRIALS });
    const { epochs } = completeOptions({ model, options: fixed });
    // So few trials are all on all data: those on less would leave none to confirm them.
    const most = trials ?? Infinity;
    if (typeof epochs === 'number') {
      const begins = this.#beginning(epochs);
      const isFew = this.#options === 1 || most < FEW + GO_ON || begins < leastEpochs(epochs) || begins >= epochs;
      return isFew ? this.#onFew() : this.#byEpochs(begins);
    }
    const items = most < FEW ? undefined : this.#sampleSizes();
    return items && (await this.#canTell(items[0]))
      ? this.#byItems(...items)
      : this.#onAll({ most: trials ?? MOST_TRIALS });
  }

  async #onAll(settings: Pick<Settings, 'most'> & Partial<Settings>): Promise<AdaptiveSearch> {
    const engine = this.#engine({ cost: this.#costs, ...settings });
    await this.#advance(engine, WHOLE, 0);
    if (this.#results.length === 0) await this.#measure([this.#usualOrFirst()], WHOLE);
    return engine;
  }

  async #byItems(small: number, large: number): Promise<AdaptiveSearch> {
    const { trials } = this.#search;
    const all = this.#run.data.train.nItems;
    const fit = this.#seconds(this.#usual ?? {}, WHOLE);
    const onLarge = trials === undefined ? onLarger(this.#options) : Math.max(Math.floor(trials / 4), 1);
    const onSmall = trials === undefined ? onSmaller(this.#options) : Math.max(trials - onLarge - 1, 1);
    this.#planned = onSmall + onLarge + 1;
    const seconds = (items: number) => this.#seconds(this.#usual ?? {}, { items });
    this.#expected = onSmall * seconds(small) + onLarge * seconds(large) + fit;
    const first = this.#engine({ most: onSmall });
    await this.#advance(first, { items: small }, fit);
    const peak = first.peak?.point;
    const second = this.#engine({ most: onLarge, first: first.star, before: first });
    if (peak) await this.#advance(second, { items: large }, fit);
    const carried = second.beyond(first, 1 + Math.log(all / large) / Math.log(large / small));
    const found = second.peak?.point ?? peak ?? this.#usualOrFirst();
    const point = carried ?? found;
    await this.#measure([point], WHOLE);
    // What would be lost if options did not go on changing as they did.
    const [here, there] = [second.predict(found), second.predict(point)];
    const doubtful = here !== undefined && there !== undefined && here - there > this.#noise();
    if (doubtful && trials === undefined && this.#affordable([found], WHOLE, 0).length > 0) {
      await this.#measure([found], WHOLE);
    }
    return second.best ? second : first;
  }

  /**
   * On all data, with as many fits as there is time for: few in the first round, and then one by one, each after all
   * others have been seen.
   */
  #onFew(): Promise<AdaptiveSearch> {
    const fit = this.#seconds(this.#usual ?? {}, WHOLE);
    const most = this.#search.trials ?? Math.max(Math.floor((this.#allowed / fit) * (1 + ROUNDING)), 1);
    this.#least = FEW;
    this.#planned = Math.min(most, MOST_TRIALS);
    this.#expected = this.#planned * fit;
    // Where there may be more machines than one, some wait for none of the others.
    const round = this.#run.remote || this.#search.trials !== undefined ? ROUND : 1;
    return this.#onAll({ most: this.#planned, begin: FEW, round });
  }

  /**
   * The most epochs, up to a third, that leave time for the first round and what goes on; the fewest that say anything
   * if none do.
   */
  #beginning(epochs: number): number {
    const round = this.#engine({ most: BEGINNING, ends: false }).ask();
    const goingOn = GO_ON * this.#seconds(this.#usual ?? {}, WHOLE);
    const seconds = (some: number) =>
      round.reduce((sum, point) => sum + this.#seconds(point, { epochs: some }), goingOn);
    let [enough, begins] = [leastEpochs(epochs), Math.round(epochs / SHARE)];
    while (enough < begins) {
      const some = Math.ceil((enough + begins) / 2);
      if (seconds(some) > this.#allowed) begins = some - 1;
      else enough = some;
    }
    return begins;
  }

  async #byEpochs(epochs: number): Promise<AdaptiveSearch> {
    const { model } = this.#search;
    this.#checkpoints = Checkpoints.open(model, this.#run.journalPath);
    try {
      const engine = await this.#climb(epochs);
      this.#checkpoints.remove();
      return engine;
    } catch (error) {
      if (this.#run.journalPath === undefined) this.#checkpoints.remove(); // nobody could go on from them
      throw error;
    }
  }

  /** Trials with so many epochs; the best of them, and the defaults, go on to all. */
  async #climb(epochs: number): Promise<AdaptiveSearch> {
    const { trials } = this.#search;
    const most = trials === undefined ? BEGINNING : trials - GO_ON;
    this.#least = Math.min(this.#least, most);
    const reserved = GO_ON * this.#seconds(this.#usual ?? {}, WHOLE);
    this.#planned = most + GO_ON;
    this.#expected = most * this.#seconds(this.#usual ?? {}, { epochs }) + reserved;
    const engine = this.#engine({ most, ends: false });
    await this.#advance(engine, { epochs }, reserved);
    if (engine.isOpen && trials === undefined) {
      engine.more(MORE);
      await this.#advance(engine, { epochs }, reserved);
    }
    const best = engine.best?.point ?? this.#usualOrFirst();
    const usual = this.#usual && canonical(this.#usual) !== canonical(best) ? [this.#usual] : [];
    const going = this.#affordable([best, ...usual], WHOLE, 0);
    await this.#measure(going.length > 0 ? going : [best], WHOLE);
    return engine;
  }

  /** Runs an engine's rounds on a scale until it ends or the allowance does, less what is reserved. */
  async #advance(engine: AdaptiveSearch, scale: Scale, reserved: number): Promise<void> {
    this.#asked = engine;
    for (;;) {
      const asked = engine.ask();
      const points = this.#affordable(asked, scale, reserved);
      if (points.length === 0) return;
      const results = await this.#measure(points, scale);
      engine.tell(
        results.map(({ validation }) => validation),
        this.#noise(),
      );
      if (points.length < asked.length) return;
    }
  }

  async #measure(points: Point[], scale: Scale): Promise<TrialResult[]> {
    const start = this.#points.length;
    const trials = points.map((point) => this.#trial(point, scale));
    const data = scale.items === undefined ? this.#run.data : await this.#samples.of(scale.items, this.#run);
    const keeps = scale.items === undefined && scale.epochs === undefined;
    const begun = performance.now();
    const costs = trials.map((trial, at) => this.#secondsOf(trial, points[at]!, scale));
    const spent = costs.map(() => 0);
    const ended: TrialResult[] = [];
    this.#points.push(...points);
    const beside = keeps ? this.#roomFor(trials) : (this.#run.beside ?? 0) + this.#held();
    const results = await runTrials<Json>(trials, {
      ...this.#run,
      data,
      beside,
      ...(this.#checkpoints && { checkpoint: this.#checkpoints.of }),
      take: (model, at, { validation }) =>
        keeps && validation !== null ? this.#holder.take(model, start + at, validation) : model.dispose(),
      onProgress: (progress) => {
        if (progress.result) {
          this.#ended += 1;
          ended[progress.at] = progress.result;
          if (!progress.found) this.#timed += costs[progress.at]!;
          spent[progress.at] = costs[progress.at]!;
        } else if (progress.epoch) spent[progress.at] = costs[progress.at]! * shareDone(progress.epoch);
        const done = (this.#spent + spent.reduce((sum, seconds) => sum + seconds, 0)) / this.#expected;
        const planned = Math.max(this.#planned, this.#points.length);
        const { at } = progress;
        const counts = { done: Math.min(done, 1), ended: this.#ended, trials: planned };
        return this.#run.onProgress?.({ ...progress, at: start + at, point: points[at]!, ...counts });
      },
    }).catch((thrown) => {
      // The first ones that have ended are as good as they would be.
      const open = points.findIndex((_, at) => ended[at] === undefined);
      const whole = ended.slice(0, open < 0 ? points.length : open);
      this.#points.length = start + whole.length;
      this.#results.push(...whole);
      throw thrown;
    });
    this.#results.push(...results);
    this.#spent += costs.reduce((sum, seconds) => sum + seconds, 0);
    this.#waited += (performance.now() - begun) / 1000;
    return results;
  }

  /** Bytes that are held while these are trained: the best model so far goes where they would not fit beside it. */
  #roomFor(trials: Trial[]): number {
    const { beside = 0, data } = this.#run;
    const held = this.#held();
    if (held > 0) {
      try {
        for (const { model, options } of trials) checkFits(model, options, data, this.#run, beside + held);
      } catch (error) {
        if (!(error instanceof RecvaeError && error.code === 'MEMORY')) throw error;
        this.#holder.dispose();
        return beside;
      }
    }
    return beside + held;
  }

  /** Bytes of the best model so far. */
  #held(): number {
    if (!this.#holder.holds) return 0;
    const { model, fixed } = this.#search;
    const { train } = this.#run.data;
    const sizes = this.#points
      .filter((_, at) => this.#results[at] && this.#isWhole(at))
      .map((point) => estimateMemory(model, { data: train, options: { ...fixed, ...point } }).model);
    return Math.max(0, ...sizes);
  }

  #trial(point: Point, { epochs, items }: Scale): Trial {
    const { model, fixed } = this.#search;
    const options = { ...fixed, ...point, ...(epochs !== undefined && { epochs }) };
    if (items === undefined) return { model, options };
    const { density } = completeOptions({ model, options });
    // As many neighbours of an item as on all items.
    const denser = typeof density === 'number' && density < 1;
    const share = denser ? Math.min((density * this.#run.data.train.nItems) / items, 1) : 1;
    return { model, options: denser ? { ...options, density: share } : options, items };
  }

  /** As many of the points as the allowance, and the time that is left, are enough for. */
  #affordable(points: Point[], scale: Scale, reserved: number): Point[] {
    const { deadline } = this.#run;
    const left = this.#allowed - this.#spent - reserved;
    // By how much the clock goes faster than the estimates; what a journal had took no time here.
    const pace = this.#timed > 0 ? this.#waited / this.#timed : 1;
    const time = deadline === undefined ? Infinity : (deadline - performance.now()) / 1000 / pace - reserved;
    const taken: Point[] = [];
    let sum = 0;
    for (const point of points) {
      sum += this.#secondsOf(this.#trial(point, scale), point, scale);
      if (sum > time) this.#cut = true;
      if (sum > Math.min(left, time) * (1 + ROUNDING)) break;
      taken.push(point);
    }
    return taken;
  }

  #seconds(point: Point, scale: Scale): number {
    return this.#secondsOf(this.#trial(point, scale), point, scale);
  }

  #secondsOf(trial: Trial, point: Point, { items }: Scale): number {
    if (items === undefined && trial.options.epochs === this.#search.fixed.epochs) return this.#costs(point);
    return secondsOf(trial, this.#run.data, items);
  }

  /**
   * Two sizes of samples, of which the larger one is cheap enough; `undefined` for data that are too small for that.
   */
  #sampleSizes(): [number, number] | undefined {
    const all = this.#run.data.train.nItems;
    // What fits on all items save by leaving most of them out of their inverse says nothing of how few are enough.
    const fit = secondsOf(this.#trial(this.#usual ?? {}, { items: all }), this.#run.data, all);
    for (let parts = 2; all / parts / SMALLER >= LEAST_ITEMS; parts += 1) {
      const items = Math.round(all / parts);
      const trial = this.#trial(this.#usual ?? {}, { items });
      if (CHEAPER * secondsOf(trial, this.#run.data, items) <= fit) return [Math.round(items / SMALLER), items];
    }
    return undefined;
  }

  /** Whether enough of the validation users have anything to find on a sample of so many items. */
  async #canTell(items: number): Promise<boolean> {
    const { validation } = await this.#samples.of(items, this.#run);
    return validation.nScored >= LEAST_SCORED * this.#run.data.validation.nScored;
  }

  #isWhole(at: number): boolean {
    const { options, items } = this.#results[at]!;
    const whole = completeOptions({
      model: this.#search.model,
      options: { ...this.#search.fixed, ...this.#points[at]! },
    });
    return items === undefined && canonical(options) === canonical(whole);
  }

  #noise(): number {
    const errors = this.#results.flatMap(({ standardError }) => standardError ?? []);
    return noiseOf(errors.at(-1));
  }

  #usualOrFirst(): Point {
    return this.#usual ?? this.#engine({ most: 1 }).ask()[0]!;
  }

  #engine(settings: Pick<Settings, 'most'> & Partial<Settings>): AdaptiveSearch {
    const { model, fixed, space, seed, extends: may, trials } = this.#search;
    return new AdaptiveSearch({
      space,
      first: this.#usual ? [this.#usual, ...startsOf(this.#search, this.#run, this.#usual)] : [],
      shift: [...guard(() => native.searchUniforms(seed, this.#options))],
      whole: wholeOf(model, fixed, space),
      ends: trials === undefined,
      allows: (name, value) => may && isAllowed(model, fixed, { [name]: value }),
      ...settings,
    });
  }
}
