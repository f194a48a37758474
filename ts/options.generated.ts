// Generated from the core by .ci/generate.mjs: do not edit.

/**
 * How many interactions a user and an item must have to stay.
 */
export interface Thresholds {
  /**
   * Users with fewer distinct items are left out; one without any always is.
   *
   * Allowed: a whole number, 0 or more.
   * @default 1
   */
  minUser?: number;
  /**
   * Items with fewer distinct users are left out; one without any always is.
   *
   * Allowed: a whole number, 0 or more.
   * @default 1
   */
  minItem?: number;
}

/**
 * How users are split.
 */
export interface SplitOptions {
  /**
   * Users with fewer items are left out.
   *
   * Allowed: a whole number, 0 or more.
   * @default 5
   */
  minUserItems?: number;
  /**
   * Validation users: a share of all users if below 1 (rounded to the nearest count), else a whole number of them; 0 for none.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.1
   */
  validation?: number;
  /**
   * Test users, written as validation users are.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.1
   */
  test?: number;
  /**
   * Share of a held-out user's items that is scored, above 0 and below 1.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.2
   */
  heldOut?: number;
  /**
   * Start of the random numbers; the same seed gives the same split.
   *
   * Allowed: a whole number.
   * @default 0
   */
  seed?: number;
}

/**
 * What to recommend.
 */
export interface RecommendOptions {
  /**
   * How many items; fewer come where the catalogue has fewer left.
   *
   * Allowed: a whole number, 1 or more.
   * @default 10
   */
  k?: number;
  /**
   * Whether the items of the history are left out.
   *
   * Allowed: true or false.
   * @default true
   */
  filterSeen?: boolean;
}

/**
 * Options of `popularity`. Every user gets the items that most users have.
 */
export type PopularityOptions = Record<string, never>;

/**
 * Options of `ease`. EASE^R: a linear item-item model in closed form.
 */
export interface EaseOptions {
  /**
   * Weight of the squared norm of B: the more, the fewer interactions per item there are to trust. In units of users.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  lambda?: number;
  /**
   * Floating point type of the factorisation and of the stored matrix.
   *
   * Allowed: 'f32' or 'f64'.
   * @default "f32"
   */
  precision?: 'f32' | 'f64';
}

/**
 * The options of each model, by its name.
 */
export interface ModelOptions {
  /** Every user gets the items that most users have. */
  popularity: PopularityOptions;
  /** EASE^R: a linear item-item model in closed form. */
  ease: EaseOptions;
}

/** Name of a model. */
export type ModelName = keyof ModelOptions;

/** Name of a metric with the length of the list that it looks at. */
export type MetricName = `ndcg@${number}` | `recall@${number}` | `recall-all@${number}` | `hit-rate@${number}` | `coverage@${number}`;
