/** Results as columns, similar items and users, explanations: the work behind the methods of `Model`. */
import { types } from 'node:util';
import { type Id, idOf, idsOf } from '../data/ids.js';
import type { History } from '../data/interactions.js';
import { checkObject, invalid, knownKeys, listOf } from '../runtime/check.js';
import { guard, toJson } from '../runtime/errors.js';
import type { native } from '../runtime/native.js';
import type { ExplainOptions } from '../runtime/options.generated.js';
import { type RunOptions, running } from '../runtime/running.js';
import { FILTER_KEYS, type FilterOptions, filterOf, forCore, type ServeOptions } from './filter.js';

/** What a model recommends for one history. */
export interface Recommendation {
  /** The best items first. Scores of different models have no common scale. */
  items: { id: string; score: number }[];
  /** Ids of the history that the model does not know; they were ignored. */
  unknown: string[];
  /**
   * Whether items are there for their popularity, because the model knows nothing of the user: all of them, with the
   * number of their training users as score, for a history without a known item; otherwise those whose score is exactly
   * 0.
   */
  fallbackUsed: boolean;
}

/** A history with lists of its own, which hold beside those of the call: an item has to pass both. */
export interface HistoryRequest {
  /** Ids of the items. */
  items: Iterable<Id>;
  /** The only items that may come for this history. Ids that the model does not know are ignored. By default all. */
  allow?: Iterable<Id> | undefined;
  /** Items that must not come for this history, also those in `allow`. By default none. */
  deny?: Iterable<Id> | undefined;
}

/** The same with its user, for a stream. */
export interface UserRequest extends History, Pick<HistoryRequest, 'allow' | 'deny'> {}

/** What a model recommends for one history of a stream. */
export interface UserRecommendation extends Recommendation {
  /** Id of the user, as it came with the history; a whole number as its digits. */
  user: string;
}

/** Histories as columns of item indices, which are positions in {@link Model.itemIds}. */
export interface HistoryColumns {
  /** Indices of the items, one history after the other. Those of a history may come in any order and more than once. */
  items: Uint32Array;
  /** Where each history begins in `items`, and at the end the number of items; length: histories + 1. */
  offsets: Uint32Array;
}

/**
 * What a model recommends for many histories, as columns: history h has the items from `offsets[h]` to below
 * `offsets[h + 1]`, the best first.
 */
export interface RecommendationColumns {
  /** Indices of the items, which are positions in `itemIds`. */
  items: Uint32Array;
  /** Their scores. Scores of different models have no common scale. */
  scores: Float32Array;
  /** Where each history's items begin; length: histories + 1. */
  offsets: Uint32Array;
  /** Positions, in its history, of each id that the model does not know; they were ignored. */
  unknown: Uint32Array;
  /** Where each history's part of `unknown` begins; length: histories + 1. */
  unknownOffsets: Uint32Array;
  /**
   * 1 for each history with items that are there for their popularity, see {@link Recommendation.fallbackUsed}; else 0.
   */
  fallbackUsed: Uint8Array;
  /** The ids of the model's items: {@link Model.itemIds} itself. */
  itemIds: readonly string[];
}

/** An item like another one. */
export interface SimilarItem {
  /** Id of the item. */
  id: string;
  /** How similar it is; what that means depends on the model. */
  score: number;
}

/** Users like another one. */
export interface SimilarUsers {
  /** The most similar first; the score is a cosine, from -1 to 1. */
  users: { user: string; score: number }[];
  /** Ids of the history that the model does not know; they were ignored. Those of the `users` are ignored too. */
  unknown: string[];
}

/** Why an item has its score. */
export interface Explanation {
  /** Id of the item. */
  item: string;
  /**
   * Its score for the history, as {@link Model.recommend} gives it; of a history without a known item the model's own,
   * where that gives the number of training users.
   */
  score: number;
  /**
   * Items of the history, the largest contribution to the score first; a negative one speaks against the item. What a
   * contribution is stands at {@link Model.explain}.
   */
  reasons: { id: string; contribution: number }[];
  /** Ids of the history that the model does not know; they were ignored. */
  unknown: string[];
}

/** What of a model these functions use. */
interface Served {
  native: native.NativeModel;
  itemIds: readonly string[];
}

/** The histories of a batch, as the texts of their ids. */
function historiesOf(histories: Iterable<Iterable<Id>>): string[][] {
  return listOf(histories, 'histories', 'a list of histories').map((history, at) => idsOf(history, `histories[${at}]`));
}

/** Histories as the core takes them: the texts of their ids, and the lists of their own, none if no history has any. */
export interface Requests {
  ids: string[][];
  own: native.NativeIdLists[];
}

/** A history with the texts of its ids. */
export interface RequestTexts {
  items: string[];
  allow?: string[] | undefined;
  deny?: string[] | undefined;
}

/** Histories whose ids were looked at. */
export function requestsOfTexts(histories: readonly RequestTexts[]): Requests {
  const hasOwn = histories.some(({ allow, deny }) => allow !== undefined || deny?.length);
  return {
    ids: histories.map(({ items }) => items),
    own: hasOwn ? histories.map(({ allow, deny = [] }) => ({ allow, deny })) : [],
  };
}

/** Keys of a history with lists of its own. */
export const REQUEST_KEYS = Object.keys({ items: true, allow: true, deny: true } satisfies Record<
  keyof HistoryRequest,
  true
>);

/** The histories of a batch, some of which may have lists of their own. */
export function requestsOf(histories: Iterable<Iterable<Id> | HistoryRequest>): Requests {
  const isRequest = (history: unknown): history is HistoryRequest =>
    typeof history === 'object' && history !== null && !(Symbol.iterator in history);
  const texts = (ids: Iterable<Id> | undefined, what: string) => (ids === undefined ? undefined : idsOf(ids, what));
  const listed = listOf(histories, 'histories', 'a list of histories').map((history, at): RequestTexts => {
    const what = `histories[${at}]`;
    if (!isRequest(history)) return { items: idsOf(history, what) };
    knownKeys(history, REQUEST_KEYS, what);
    return {
      items: idsOf(history.items, `${what}.items`),
      allow: texts(history.allow, `${what}.allow`),
      deny: texts(history.deny, `${what}.deny`),
    };
  });
  return requestsOfTexts(listed);
}

/** Behind {@link Model.recommendColumns}. */
export async function recommendColumns(
  model: Served,
  histories: Iterable<Iterable<Id>> | HistoryColumns,
  options: ServeOptions | undefined,
  { threads, signal }: RunOptions,
): Promise<RecommendationColumns> {
  const columns = columnsOf(histories);
  const ids = columns ? [] : historiesOf(histories as Iterable<Iterable<Id>>);
  const [core, filter] = forCore(model.native, options);
  const work = (run: native.NativeRun) => model.native.recommendColumns(ids, columns, core, filter, [], threads, run);
  const lists = await running({ signal }, work);
  return { ...lists, itemIds: model.itemIds };
}

const HISTORY_KEYS = Object.keys({ items: true, offsets: true } satisfies Record<keyof HistoryColumns, true>);

/** The columns, if these are such. */
function columnsOf(histories: Iterable<Iterable<Id>> | HistoryColumns): HistoryColumns | undefined {
  if (typeof histories !== 'object' || histories === null || Symbol.iterator in histories) return undefined;
  knownKeys(histories, HISTORY_KEYS, 'histories');
  for (const name of HISTORY_KEYS) {
    const column = histories[name as keyof HistoryColumns];
    if (!types.isUint32Array(column)) throw invalid(`histories.${name}`, column, 'an instance of Uint32Array');
  }
  return { items: histories.items, offsets: histories.offsets };
}

/** Behind {@link Model.similarItems}. */
export function similarItems(
  model: Served,
  id: Id,
  k: number | undefined,
  options: FilterOptions | undefined,
): SimilarItem[] {
  const own = idOf(id, 'id');
  knownKeys(options, FILTER_KEYS, 'options');
  const filter = filterOf(model.native, options);
  const { items, scores } = guard(() => model.native.similarItems(own, toJson({ k }), filter?.native));
  return Array.from(items, (item, at) => ({ id: model.itemIds[item]!, score: scores[at]! }));
}

/** Behind {@link Model.embed}. */
export async function embed(
  model: Served,
  histories: Iterable<Iterable<Id>>,
  { threads, signal }: RunOptions,
): Promise<Float32Array> {
  const ids = historiesOf(histories);
  return running({ signal }, (run) => model.native.embed(ids, threads, run));
}

/** Behind {@link Model.similarUsers}. */
export async function similarUsers(
  model: Served,
  history: Iterable<Id>,
  users: Iterable<History>,
  k: number | undefined,
  { threads, signal }: RunOptions,
): Promise<SimilarUsers> {
  const own = idsOf(history, 'history');
  const names: string[] = [];
  const histories = listOf(users, 'users', 'a list of {user, items}').map((each, at) => {
    checkObject(each, `users[${at}]`);
    names.push(idOf(each.user, `users[${at}].user`));
    return idsOf(each.items, `users[${at}].items`);
  });
  const work = (run: native.NativeRun) => model.native.similarUsers(own, histories, toJson({ k }), threads, run);
  const { items, scores, unknown } = await running({ signal }, work);
  return {
    users: Array.from(items, (position, at) => ({ user: names[position]!, score: scores[at]! })),
    unknown: Array.from(unknown, (at) => own[at]!),
  };
}

/** Behind {@link Model.explain}. */
export async function explain(
  model: Served,
  history: Iterable<Id>,
  item: Id,
  options: ExplainOptions | undefined,
  { threads, signal }: RunOptions,
): Promise<Explanation> {
  const own = idsOf(history, 'history');
  const id = idOf(item, 'item');
  const work = (run: native.NativeRun) => model.native.explain(own, id, toJson(options), threads, run);
  const { score, items, contributions, unknown } = await running({ signal }, work);
  return {
    item: id,
    score,
    reasons: Array.from(items, (index, at) => ({ id: model.itemIds[index]!, contribution: contributions[at]! })),
    unknown: Array.from(unknown, (at) => own[at]!),
  };
}
