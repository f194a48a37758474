/** Allow and deny lists, for one call or prepared once. */
import { type Id, idsOf } from '../data/ids.js';
import { checkInstance, knownKeys } from '../runtime/check.js';
import { guard, toJson } from '../runtime/errors.js';
import { description, type native, type OptionDescription } from '../runtime/native.js';
import type { RecommendOptions } from '../runtime/options.generated.js';

/** Which items may come, by their original ids. All that is given applies: an item has to pass each part. */
export interface FilterOptions {
  /**
   * The only items that may come; an empty list lets none come. Ids that the model does not know are ignored, ids may
   * come more than once. Without it every item may come.
   */
  allow?: Iterable<Id> | undefined;
  /** Items that must not come, also those in `allow`. Ids that the model does not know are ignored. Without it none. */
  deny?: Iterable<Id> | undefined;
  /** What {@link Model.filter} of the same model has prepared; one of another model is refused. Without it none. */
  filter?: Filter | undefined;
}

/** What to recommend, and out of which items. */
export interface ServeOptions extends RecommendOptions, FilterOptions {}

/** Which items of one model may come: {@link Model.filter} makes it, any number of calls may use it. */
export class Filter {
  /** How many items of the model pass, from 0 to all. */
  readonly size: number;
  /**
   * Ids that the model does not know, those of `allow` first: items that came after the training, or misspelt ones.
   * They changed nothing.
   */
  readonly unknown: readonly string[];
  /** @internal */
  readonly native: native.NativeFilter;

  private constructor(handle: native.NativeFilter, unknown: readonly string[]) {
    this.native = handle;
    this.size = handle.size;
    this.unknown = unknown;
  }

  /** @internal */
  static make(model: native.NativeModel, options: FilterOptions): Filter {
    knownKeys(options, FILTER_KEYS, 'options');
    const allow = options.allow === undefined ? undefined : idsOf(options.allow, 'allow');
    const deny = options.deny === undefined ? [] : idsOf(options.deny, 'deny');
    if (options.filter !== undefined) checkInstance(options.filter, 'filter', Filter);
    const handle = guard(() => model.filter(allow, deny, options.filter?.native));
    const unknown = [
      ...Array.from(
        guard(() => handle.unknownAllow()),
        (at) => allow![at]!,
      ),
      ...Array.from(
        guard(() => handle.unknownDeny()),
        (at) => deny[at]!,
      ),
    ];
    return new Filter(handle, unknown);
  }
}

/** The keys of {@link FilterOptions}. */
export const FILTER_KEYS = Object.keys({ allow: true, deny: true, filter: true } satisfies Record<
  keyof FilterOptions,
  true
>);

/** The filter that such options ask for, if they do. */
export function filterOf(model: native.NativeModel, options: FilterOptions | undefined): Filter | undefined {
  const { allow, deny, filter } = options ?? {};
  if (allow !== undefined || deny !== undefined) return Filter.make(model, { allow, deny, filter });
  if (filter !== undefined) checkInstance(filter, 'filter', Filter);
  return filter;
}

/** The same options with all lists in one prepared filter. */
export function prepared(model: native.NativeModel, options: ServeOptions | undefined): ServeOptions {
  check(options, description.recommend);
  const { allow, deny, filter, ...others } = options ?? {};
  return { ...others, filter: filterOf(model, { allow, deny, filter }) };
}

/** What the binding takes for such options: the core's as JSON, and the filter. */
export function forCore(
  model: native.NativeModel,
  options: ServeOptions | undefined,
): [options: string, filter: native.NativeFilter | undefined] {
  const { filter, ...others } = prepared(model, options);
  return [toJson(others), filter?.native];
}

/** Fails for a key that is neither the core's nor one of a filter. */
function check(options: object | undefined, core: OptionDescription[]): void {
  knownKeys(options, [...core.map(({ name }) => name), ...FILTER_KEYS], 'options');
}
