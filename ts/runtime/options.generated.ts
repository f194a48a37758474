// Generated from the core by .ci/generate.mjs: do not edit.

/**
 * What to read out of a file.
 */
export interface ReadOptions {
  /**
   * The format, by the name of a program's (csv, tsv, ndjson, arrow), of the graph papers' lists (adjacency) or of a data set. Without it the file's name says it: `.csv`, `.tsv`, `.ndjson`, `.jsonl`, `.arrow`, `.arrows`, `.feather` or `.ipc`, with `.gz` or `.zst` behind it or not; and a data set is known by its name or its header where no other data have it. Whether the file is compressed is seen from its first bytes, never from its name.
   *
   * Allowed: 'csv' or 'tsv' or 'ndjson' or 'arrow' or 'adjacency' or 'movielens-100k' or 'movielens-1m' or 'movielens-20m' or 'netflix' or 'msd' or 'lastfm-360k' or 'lastfm-1k' or 'gowalla' or 'yelp' or 'amazon' or 'amazon-2023' or 'amazon-ratings-2014' or 'amazon-ratings-2018' or 'amazon-ratings-2023' or 'goodbooks' or 'book-crossing' or 'steam' or 'retailrocket' or 'otto'.
   */
  format?: 'csv' | 'tsv' | 'ndjson' | 'arrow' | 'adjacency' | 'movielens-100k' | 'movielens-1m' | 'movielens-20m' | 'netflix' | 'msd' | 'lastfm-360k' | 'lastfm-1k' | 'gowalla' | 'yelp' | 'amazon' | 'amazon-2023' | 'amazon-ratings-2014' | 'amazon-ratings-2018' | 'amazon-ratings-2023' | 'goodbooks' | 'book-crossing' | 'steam' | 'retailrocket' | 'otto' | undefined;
  /**
   * The text between two fields, such as `;` or `::`; `\\t` stands for a tab. Without it that of the format.
   *
   * Allowed: a string.
   */
  separator?: string | undefined;
  /**
   * Whether the first row names the columns. Without a header columns are called by their numbers, from 1 on; users are in column 1 and items in column 2 unless it is said otherwise.
   *
   * Allowed: true or false.
   * @default true
   */
  header?: boolean | undefined;
  /**
   * How text is written as bytes: `utf8`, or `latin1` for ISO 8859-1. Without it that of the format.
   *
   * Allowed: 'utf8' or 'latin1'.
   */
  encoding?: 'utf8' | 'latin1' | undefined;
  /**
   * What a quote means: `double`, it encloses a field; `none`, it is a character like any other. Without it that of the format, which is `double` for csv and `none` for tsv.
   *
   * Allowed: 'double' or 'none'.
   */
  quote?: 'double' | 'none' | undefined;
  /**
   * How a quote inside a quoted field is written: `quote`, twice as in RFC 4180, or `backslash`, behind one.
   *
   * Allowed: 'quote' or 'backslash'.
   * @default "quote"
   */
  escape?: 'quote' | 'backslash' | undefined;
  /**
   * Column (or JSON key) of the user ids, unless the format has another name for it.
   *
   * Allowed: a string.
   * @default "user"
   */
  user?: string | undefined;
  /**
   * Column (or JSON key) of the item ids, unless the format has another name for it. In NDJSON and Arrow it may hold a list.
   *
   * Allowed: a string.
   * @default "item"
   */
  item?: string | undefined;
  /**
   * Column (or JSON key) of a number, such as a rating, that every row must have. It changes nothing without minValue or weighted: every row counts alike.
   *
   * Allowed: a string.
   */
  value?: string | undefined;
  /**
   * Rows whose value is lower are left out as if they were not there. Only with value, or a format that has one: the formats of ratings have one of their own, unless it is said otherwise (0 for none).
   *
   * Allowed: a finite number.
   */
  minValue?: number | undefined;
  /**
   * Whether the value of a row, above 0, says how much it counts, as a number of plays does: iALS takes it for a confidence, and other models say that they do not. The values of a pair of user and item are added up. Only with value, or a format that has one.
   *
   * Allowed: true or false.
   * @default false
   */
  weighted?: boolean | undefined;
  /**
   * Column (or JSON key) of the time of each row: a number or a date such as 2015-01-31 or 2015-01-31T12:30:00Z. Splits by time need it, and since and until, which take that of the format if it has one.
   *
   * Allowed: a string.
   */
  time?: string | undefined;
  /**
   * What a number counts that is a time: seconds or milliseconds since 1970. Without it that of the format, else seconds.
   *
   * Allowed: 's' or 'ms'.
   */
  timeUnit?: 's' | 'ms' | undefined;
  /**
   * Rows before this time are left out: a date, or a number in the unit of the times. Only with time.
   *
   * Allowed: a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'.
   */
  since?: number | string | Date | undefined;
  /**
   * Rows at this time or later are left out: a date, or a number in the unit of the times. Only with time.
   *
   * Allowed: a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'.
   */
  until?: number | string | Date | undefined;
  /**
   * Column (or JSON key) that says for which part of a split each row is: train, validation (or valid, val, dev) or test. The split of kind column needs it. It takes the place of time.
   *
   * Allowed: a string.
   */
  part?: string | undefined;
  /**
   * So many rows at most that cannot be understood are left out and counted; one more is an error, as any is without it.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 0
   */
  skipBadRows?: number | undefined;
}

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
  minUser?: number | undefined;
  /**
   * Items with fewer distinct users are left out; one without any always is.
   *
   * Allowed: a whole number, 0 or more.
   * @default 1
   */
  minItem?: number | undefined;
}

/**
 * How users are split.
 */
export interface SplitOptions {
  /**
   * What is held out: whole users (`strong`), the same in `folds` of which each is the test part once (`folds`), what came last by the clock (`time`), each user's last items (`last`), a share of each user's items (`share`), or what others have divided, in files of their own (`files`) or by a column (`column`). By the latter five, users are known from training, and are scored by their history. `time` and `last` need data with times.
   *
   * Allowed: 'strong' or 'folds' or 'time' or 'last' or 'share' or 'files' or 'column'.
   * @default "strong"
   */
  kind?: 'strong' | 'folds' | 'time' | 'last' | 'share' | 'files' | 'column' | undefined;
  /**
   * Users with fewer items are never held out; shortUsers says what becomes of them.
   *
   * Allowed: a whole number, 0 or more.
   * @default 5
   */
  minUserItems?: number | undefined;
  /**
   * What becomes of users with fewer items than minUserItems: they are trained on, or dropped as in the protocol of the Mult-VAE paper.
   *
   * Allowed: 'train' or 'drop'.
   * @default "train"
   */
  shortUsers?: 'train' | 'drop' | undefined;
  /**
   * Validation users: a share of the users with enough items if below 1 (rounded to the nearest count), else a whole number of them; 0 for none. By kind time, the share of all interactions that comes before the test part. By the other kinds, only 0 says something: none. By kinds files and column, where nothing is for validation, a share heldOut of each user's training items is.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.1
   */
  validation?: number | undefined;
  /**
   * Test users, written as validation users are. By kind time, the share of all interactions that are the newest.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.1
   */
  test?: number | undefined;
  /**
   * Share of a held-out user's items that is scored. By kind share, of every user's.
   *
   * Allowed: a finite number above 0 and below 1.
   * @default 0.2
   */
  heldOut?: number | undefined;
  /**
   * By kind folds, in how many parts the users are divided.
   *
   * Allowed: a whole number, 2 or more.
   * @default 5
   */
  folds?: number | undefined;
  /**
   * By kind folds, which part is for test, from 1 on; the one behind it is for validation.
   *
   * Allowed: a whole number, 1 or more.
   * @default 1
   */
  fold?: number | undefined;
  /**
   * By kind last, how many of a user's newest items are for test, and as many before them for validation.
   *
   * Allowed: a whole number, 1 or more.
   * @default 1
   */
  last?: number | undefined;
  /**
   * By kind time, when the test part begins, in place of a share: a date, or a number of seconds since 1970 (of batches, in their unit).
   *
   * Allowed: a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'.
   */
  testSince?: number | string | Date | undefined;
  /**
   * By kind time, when the validation part begins, written likewise.
   *
   * Allowed: a finite number or a date such as '2015-01-31' or '2015-01-31T12:30:00Z'.
   */
  validationSince?: number | string | Date | undefined;
  /**
   * What draws, by kinds strong and folds: `philox`, or `numpy` for NumPy's legacy generator, which gives the split of the Mult-VAE and RecVAE authors' scripts where a user's rows stand in the order of the item ids.
   *
   * Allowed: 'philox' or 'numpy'.
   * @default "philox"
   */
  generator?: 'philox' | 'numpy' | undefined;
  /**
   * Start of the random numbers; the same seed gives the same split.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 0
   */
  seed?: number | undefined;
}

/**
 * How large the sample for trial runs is.
 */
export interface SampleOptions {
  /**
   * Training users of the largest sample at most.
   *
   * Allowed: a whole number, 2 or more.
   * @default 2000
   */
  users?: number | undefined;
  /**
   * The most popular items that it has at most; by default it has all of them, as models differ most in the tail.
   *
   * Allowed: a whole number, 2 or more.
   */
  items?: number | undefined;
  /**
   * Start of the random numbers; the same seed gives the same sample.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 0
   */
  seed?: number | undefined;
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
  k?: number | undefined;
  /**
   * Whether the items of the history are left out.
   *
   * Allowed: true or false.
   * @default true
   */
  filterSeen?: boolean | undefined;
  /**
   * What a user gets of whom the model knows nothing: `popularity`, the items that most training users have, for a history without a known item, and in place of items whose score is exactly 0; or `none`, what the model gives. By default `popularity`; `none` where the model's file does not say how many users have an item, as those of earlier versions.
   *
   * Allowed: 'popularity' or 'none'.
   */
  fallback?: 'popularity' | 'none' | undefined;
}

/**
 * How many similar items or users.
 */
export interface SimilarOptions {
  /**
   * How many; fewer come where there are fewer.
   *
   * Allowed: a whole number, 1 or more.
   * @default 10
   */
  k?: number | undefined;
}

/**
 * How much to explain.
 */
export interface ExplainOptions {
  /**
   * How many items of the history are named; fewer come where it has fewer that the model knows.
   *
   * Allowed: a whole number, 1 or more.
   * @default 10
   */
  k?: number | undefined;
}

/**
 * What to make up, for measuring speed and memory; accuracy on it means nothing.
 */
export interface SynthOptions {
  /**
   * The set whose numbers of users, items and interactions are taken.
   *
   * Allowed: 'ml-20m' or 'netflix' or 'msd' or 'million'.
   * @default "ml-20m"
   */
  like?: 'ml-20m' | 'netflix' | 'msd' | 'million' | undefined;
  /**
   * Factor for users and interactions; the items stay.
   *
   * Allowed: a finite number from 0.01 to 1.
   * @default 1
   */
  scale?: number | undefined;
  /**
   * Start of the random numbers; the same seed gives the same data.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 0
   */
  seed?: number | undefined;
}

/**
 * How a model file is opened.
 */
export interface LoadOptions {
  /**
   * Whether the file is mapped: parameters come in as they are needed, and processes share them. What cannot be mapped is read. Not by default on Windows, where a mapped file cannot be replaced. A mapped file may be replaced by renaming, as save does, but must not be written into or cut off; where others might do that, do not map.
   *
   * Allowed: true or false.
   * @default true
   */
  mmap?: boolean | undefined;
  /**
   * Whether the checksum of all bytes is compared, which reads the whole file. By default not of mapped files above 256 MiB. Header, metadata, ids, types and shapes are always checked, with a checksum of their own.
   *
   * Allowed: true or false.
   */
  verify?: boolean | undefined;
  /**
   * Where the lists of many users are found: cpu, cuda, cuda:N for one of several GPUs, or auto for the first one that opens if it has the memory, else the processor. The items and the bits of the lists are the same everywhere. A GPU is for iALS, the networks, and EASE^R, EDLAE, RDLAE and DEQL with all their weights in f32; lists of up to 410 items and at most a third of all, about, of calls with 64 users or more.
   *
   * Allowed: a string.
   * @default "cpu"
   */
  device?: string | undefined;
}

/**
 * How a model is made smaller.
 */
export interface CompactOptions {
  /**
   * Keep this many weights per item, the largest in magnitude of those by which it speaks for or against others. By default all. The fewer, the smaller and faster the model and the more accuracy is lost.
   *
   * Allowed: a whole number, 1 or more.
   */
  topPerItem?: number | undefined;
  /**
   * Floating point type of the weights. By default they keep theirs; an f64 matrix that is pruned becomes f32.
   *
   * Allowed: 'f16' or 'f32'.
   */
  precision?: 'f16' | 'f32' | undefined;
}

/**
 * How a model is written for other programs.
 */
export interface ExportOptions {
  /**
   * What the file is: `safetensors`, a state dict of PyTorch; `npz`, arrays of NumPy; `onnx`, a graph. By default what the end of the file's name says.
   *
   * Allowed: 'safetensors' or 'npz' or 'onnx'.
   */
  format?: 'safetensors' | 'npz' | 'onnx' | undefined;
}

/**
 * How a checkpoint is kept.
 */
export interface CheckpointOptions {
  /**
   * Epochs after which the checkpoint is written again; it is also written when training is cancelled and when it ends.
   *
   * Allowed: a whole number, 1 or more.
   * @default 1
   */
  everyEpochs?: number | undefined;
  /**
   * Whether training goes on from the checkpoint that is there; it must be one of the same model, options and data. Where none is, training begins at its beginning. Without it, a file that is there is refused.
   *
   * Allowed: true or false.
   * @default false
   */
  resume?: boolean | undefined;
}

/**
 * How a training is computed: of the networks by which engine and precision, and of them, iALS, EASE^R, EDLAE, RDLAE and DEQL on which device.
 */
export interface ComputeOptions {
  /**
   * Whose arithmetic it is: fused, the processor's own, or candle, candle tensors with candle's gradients. candle brings threads of its own, as many as CANDLE_NUM_THREADS says when it first computes, else all cores. On a GPU it is candle in any case.
   *
   * Allowed: 'fused' or 'candle'.
   * @default "fused"
   */
  engine?: 'fused' | 'candle' | undefined;
  /**
   * Where: cpu, cuda, cuda:N for one of several, or auto for the first GPU that opens, else the processor. backendInfo() says which there are. EASE^R, EDLAE, RDLAE and DEQL have it, too, in f32 and with density 1: their inverse is computed there; and iALS, for its steps of conjugate gradients.
   *
   * Allowed: a string.
   * @default "cpu"
   */
  device?: string | undefined;
  /**
   * What the large products read: f32, or bf16, which is faster where the processor has AMX or, of AMD's, AVX512-BF16, and refused where it has neither, or auto for bf16 where that is known to be faster. Sums, weights, Adam and the model's file are f32 in any case. H+Vamp is computed in f32 alone, and refuses another choice.
   *
   * Allowed: 'f32' or 'bf16' or 'auto'.
   * @default "f32"
   */
  precision?: 'f32' | 'bf16' | 'auto' | undefined;
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
   * Weight of the squared norm of B, in users: co-occurrences of fewer users than this hardly count. Larger for denser data; search it on validation.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  lambda?: number | undefined;
  /**
   * Floating point type of the factorisation and of the stored matrix.
   *
   * Allowed: 'f32' or 'f64'.
   * @default "f32"
   */
  precision?: 'f32' | 'f64' | undefined;
  /**
   * Share of the item pairs that may have a weight: the pairs that most often come together. 1 is EASE^R itself, in 4 n_items^2 bytes. Less, for catalogues where that is too much, takes 16 density n_items^2 bytes and a time that grows with items x (density x items)^3: .01 and below. The weights are f32.
   *
   * Allowed: a finite number above 0 and up to 1.
   * @default 1
   */
  density?: number | undefined;
}

/**
 * Options of `edlae`. EDLAE: EASE^R of histories from which items are dropped at random, in closed form.
 */
export interface EdlaeOptions {
  /**
   * Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on validation.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  lambda?: number | undefined;
  /**
   * Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for others. 0 for EASE^R.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.33
   */
  dropoutRate?: number | undefined;
  /**
   * Floating point type of the factorisation and of the stored matrix.
   *
   * Allowed: 'f32' or 'f64'.
   * @default "f32"
   */
  precision?: 'f32' | 'f64' | undefined;
  /**
   * Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells what it saves. The weights are f32 below 1.
   *
   * Allowed: a finite number above 0 and up to 1.
   * @default 1
   */
  density?: number | undefined;
}

/**
 * Options of `rdlae`. RDLAE: EDLAE whose weights are found with a diagonal that may be up to some number.
 */
export interface RdlaeOptions {
  /**
   * Weight of the squared norm of B beside what dropout does, in users. Larger for denser data; search it on validation.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  lambda?: number | undefined;
  /**
   * Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for others.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.33
   */
  dropoutRate?: number | undefined;
  /**
   * How much of an item may be told by itself while the weights are found: 0 for EDLAE, 1 for no limit. The larger, the shorter are the weights of the items of which others tell less.
   *
   * Allowed: a finite number from 0 to 1.
   * @default 0.4
   */
  xi?: number | undefined;
  /**
   * Floating point type of the factorisation and of the stored matrix.
   *
   * Allowed: 'f32' or 'f64'.
   * @default "f32"
   */
  precision?: 'f32' | 'f64' | undefined;
  /**
   * Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells what it saves. The weights are f32 below 1.
   *
   * Allowed: a finite number above 0 and up to 1.
   * @default 1
   */
  density?: number | undefined;
}

/**
 * Options of `deql`. DEQL: EDLAE that is also asked, with less weight, for the items that dropout has kept.
 */
export interface DeqlOptions {
  /**
   * Weight of the squared norm of B beside what dropout does, in users, as of EDLAE. Larger for denser data; search it on validation.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  lambda?: number | undefined;
  /**
   * Share of each history that is dropped, in the mean over all ways to do so: the larger, the less an item speaks for others.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.33
   */
  dropoutRate?: number | undefined;
  /**
   * Weight of the entries that dropout kept, where that of those dropped is 1; the paper's b. 0 for EDLAE, 1 for RDLAE without a limit. The larger, the shorter are the weights of the items of which others tell less.
   *
   * Allowed: a finite number, 0 or more.
   * @default 1
   */
  keptWeight?: number | undefined;
  /**
   * Floating point type of the factorisation and of the stored matrix.
   *
   * Allowed: 'f32' or 'f64'.
   * @default "f32"
   */
  precision?: 'f32' | 'f64' | undefined;
  /**
   * Share of the item pairs that may have a weight, the pairs that most often come together: as of EASE^R, whose text tells what it saves. The weights are f32 below 1.
   *
   * Allowed: a finite number above 0 and up to 1.
   * @default 1
   */
  density?: number | undefined;
}

/**
 * Options of `hoease`. Higher-order EASE^R: EASE^R in which pairs of items speak, too, in closed form.
 */
export interface HoeaseOptions {
  /**
   * Weight of the squared norm of B, in users, as of EASE^R. Larger for denser data; search it on validation.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  lambda?: number | undefined;
  /**
   * Weight of the squared norm of C, in users: pairs of fewer users than this hardly count.
   *
   * Allowed: a finite number above 0.
   * @default 5000
   */
  pairLambda?: number | undefined;
  /**
   * How many pairs of items, those that most users have, of equals those of the items that come first; 0 for EASE^R. A fit takes 4 (items + pairs)^2 bytes beside the weights, and a time that grows with the cube of both together.
   *
   * Allowed: a whole number, 0 or more.
   * @default 1000
   */
  pairs?: number | undefined;
  /**
   * Floating point type of the factorisation; the weights are f32.
   *
   * Allowed: 'f32' or 'f64'.
   * @default "f32"
   */
  precision?: 'f32' | 'f64' | undefined;
}

/**
 * Options of `als`. iALS: matrix factorisation by alternating least squares.
 */
export interface AlsOptions {
  /**
   * Length of the vectors. More is better on large data, and slower.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 64
   */
  factors?: number | undefined;
  /**
   * Weight of a pair without interaction, where an interaction has 1 (alpha0). Smaller for sparser data.
   *
   * Allowed: a finite number above 0.
   * @default 0.2
   */
  alpha0?: number | undefined;
  /**
   * Weight of the squared norms. Search it on validation together with alpha0.
   *
   * Allowed: a finite number above 0.
   * @default 0.006
   */
  lambda?: number | undefined;
  /**
   * How the weight of a row's norm grows with its interactions: 1 in proportion, 0 not at all.
   *
   * Allowed: a finite number from 0 to 2.
   * @default 1
   */
  nu?: number | undefined;
  /**
   * What the confidence in an interaction grows with, where interactions have weights: `linear`, the weight, or `log`, ln(1 + weight / epsilon). It counts in units of its mean, whatever the unit of the weights.
   *
   * Allowed: 'linear' or 'log'.
   * @default "linear"
   */
  confidence?: 'linear' | 'log' | undefined;
  /**
   * A weight that is small, for the confidence `log`: above it, twice the weight adds about the same again and again.
   *
   * Allowed: a finite number above 0.
   * @default 1
   */
  epsilon?: number | undefined;
  /**
   * Deviation of the scores at the beginning, in units of 1 / sqrt(factors) per number of an item's vector.
   *
   * Allowed: a finite number above 0.
   * @default 0.1
   */
  initScale?: number | undefined;
  /**
   * How a row is solved in training.
   *
   * Allowed: 'conjugate' or 'cholesky'.
   * @default "conjugate"
   */
  solver?: 'conjugate' | 'cholesky' | undefined;
  /**
   * Steps of conjugate gradients a row and epoch.
   *
   * Allowed: a whole number from 1 to 1000.
   * @default 3
   */
  steps?: number | undefined;
  /**
   * Epochs at most.
   *
   * Allowed: a whole number from 1 to 1000000.
   * @default 16
   */
  epochs?: number | undefined;
  /**
   * Epochs without a better validation NDCG@100 after which training stops.
   *
   * Allowed: a whole number, 1 or more.
   * @default 5
   */
  patience?: number | undefined;
  /**
   * Seed of the items' first vectors.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 1
   */
  seed?: number | undefined;
}

/**
 * Options of `mult-dae`. Mult-DAE: a denoising autoencoder with a multinomial likelihood; Mult-VAE without the sampling.
 */
export interface MultDaeOptions {
  /**
   * Weight of the squared norms of the weights in the loss of a batch, a sum over its users.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.01
   */
  lambda?: number | undefined;
  /**
   * Width of the hidden layer, which is a user's latent vector.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 200
   */
  latentDim?: number | undefined;
  /**
   * Share of a history that is dropped from the input in training.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.5
   */
  dropoutRate?: number | undefined;
  /**
   * Adam's step size.
   *
   * Allowed: a finite number above 0.
   * @default 0.001
   */
  learningRate?: number | undefined;
  /**
   * Users per step.
   *
   * Allowed: a whole number from 1 to 1048576.
   * @default 500
   */
  batchSize?: number | undefined;
  /**
   * Epochs at most.
   *
   * Allowed: a whole number from 1 to 1000000.
   * @default 200
   */
  epochs?: number | undefined;
  /**
   * Epochs without a better validation NDCG@100 after which training stops.
   *
   * Allowed: a whole number, 1 or more.
   * @default 20
   */
  patience?: number | undefined;
  /**
   * Seed of weights, order of users and dropout.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 1
   */
  seed?: number | undefined;
}

/**
 * Options of `mult-vae`. Mult-VAE: a variational autoencoder with a multinomial likelihood.
 */
export interface MultVaeOptions {
  /**
   * Weight of the KL term once it has grown.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.2
   */
  beta?: number | undefined;
  /**
   * Share of the epochs over which the KL weight grows from 0 to beta.
   *
   * Allowed: a finite number from 0 to 1.
   * @default 0.5
   */
  annealing?: number | undefined;
  /**
   * Width of the hidden layers.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 600
   */
  hiddenDim?: number | undefined;
  /**
   * Length of a user's latent vector.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 200
   */
  latentDim?: number | undefined;
  /**
   * Share of a history that is dropped from the encoder's input in training.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.5
   */
  dropoutRate?: number | undefined;
  /**
   * Adam's step size.
   *
   * Allowed: a finite number above 0.
   * @default 0.001
   */
  learningRate?: number | undefined;
  /**
   * Users per step.
   *
   * Allowed: a whole number from 1 to 1048576.
   * @default 500
   */
  batchSize?: number | undefined;
  /**
   * Epochs at most.
   *
   * Allowed: a whole number from 1 to 1000000.
   * @default 100
   */
  epochs?: number | undefined;
  /**
   * Epochs without a better validation NDCG@100 after which training stops; counted once beta has grown.
   *
   * Allowed: a whole number, 1 or more.
   * @default 50
   */
  patience?: number | undefined;
  /**
   * Seed of weights, order of users, dropout and samples.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 1
   */
  seed?: number | undefined;
}

/**
 * Options of `recvae`. RecVAE: Mult-VAE with a composite prior, a KL weight per user, alternating training and a dense encoder.
 */
export interface RecvaeOptions {
  /**
   * KL weight per interaction of a user (gamma). The option that matters most: tune it. In the paper 0.0035 to 0.01, for users of 123 to 59 interactions; the fewer they have, the larger it has to be.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.005
   */
  gamma?: number | undefined;
  /**
   * KL weight of every user where klWeight is 'constant'.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.2
   */
  beta?: number | undefined;
  /**
   * What the KL term is weighted by.
   *
   * Allowed: 'user' or 'constant'.
   * @default "user"
   */
  klWeight?: 'user' | 'constant' | undefined;
  /**
   * What the posterior is pulled to.
   *
   * Allowed: 'composite' or 'standard'.
   * @default "composite"
   */
  prior?: 'composite' | 'standard' | undefined;
  /**
   * Alternating or joint training.
   *
   * Allowed: 'alternating' or 'joint'.
   * @default "alternating"
   */
  training?: 'alternating' | 'joint' | undefined;
  /**
   * RecVAE's dense encoder or Mult-VAE's.
   *
   * Allowed: 'dense' or 'shallow'.
   * @default "dense"
   */
  encoder?: 'dense' | 'shallow' | undefined;
  /**
   * Width of the encoder's layers.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 600
   */
  hiddenDim?: number | undefined;
  /**
   * Length of a user's latent vector.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 200
   */
  latentDim?: number | undefined;
  /**
   * Share of a history that is dropped from the encoder's input in training.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.5
   */
  dropoutRate?: number | undefined;
  /**
   * Weights of the composite prior's parts: N(0, 1), old posterior, wide normal. Their sum is 1.
   *
   * Allowed: three finite numbers from 0 to 1.
   * @default [0.15,0.75,0.1]
   */
  mixtureWeights?: [number, number, number] | undefined;
  /**
   * Logarithm of the variance of the composite prior's wide part.
   *
   * Allowed: a finite number from -20 to 20.
   * @default 10
   */
  wideLogVariance?: number | undefined;
  /**
   * Adam's step size, for encoder and decoder alike.
   *
   * Allowed: a finite number above 0.
   * @default 0.0005
   */
  learningRate?: number | undefined;
  /**
   * Users per step.
   *
   * Allowed: a whole number from 1 to 1048576.
   * @default 500
   */
  batchSize?: number | undefined;
  /**
   * Encoder passes over all users per epoch of alternating training.
   *
   * Allowed: a whole number from 1 to 1000.
   * @default 3
   */
  encoderPasses?: number | undefined;
  /**
   * Decoder passes over all users per epoch of alternating training.
   *
   * Allowed: a whole number from 1 to 1000.
   * @default 1
   */
  decoderPasses?: number | undefined;
  /**
   * Epochs at most.
   *
   * Allowed: a whole number from 1 to 1000000.
   * @default 50
   */
  epochs?: number | undefined;
  /**
   * Epochs without a better validation NDCG@100 after which training stops.
   *
   * Allowed: a whole number, 1 or more.
   * @default 10
   */
  patience?: number | undefined;
  /**
   * Whether item embeddings, the weights of encoder and decoder that belong to items, are now and then replaced by ImplicitSLIM.
   *
   * Allowed: true or false.
   * @default false
   */
  implicitSlim?: boolean | undefined;
  /**
   * Epochs from one replacement to the next: it comes before the passes of epochs slimEvery, 2 slimEvery and so on.
   *
   * Allowed: a whole number from 1 to 1000000.
   * @default 10
   */
  slimEvery?: number | undefined;
  /**
   * Weight of the linear model's squared norm in ImplicitSLIM, as lambda of EASE^R.
   *
   * Allowed: a finite number above 0.
   * @default 500
   */
  slimLambda?: number | undefined;
  /**
   * How close the replaced embeddings stay to those before: less pulls them to 0.
   *
   * Allowed: a finite number above 0.
   * @default 1
   */
  slimAlpha?: number | undefined;
  /**
   * Share of the training users below which an item's own embedding does not count in the replacement. The authors' 1000 users on MovieLens-20M are .0086.
   *
   * Allowed: a finite number from 0 to 1.
   * @default 0.01
   */
  slimThreshold?: number | undefined;
  /**
   * Seed of weights, order of users, dropout and samples.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 1
   */
  seed?: number | undefined;
}

/**
 * Options of `hvamp`. H+Vamp (Gated): a variational autoencoder with two latent vectors, gated layers and a learnt prior.
 */
export interface HvampOptions {
  /**
   * Weight of the KL term once it has grown.
   *
   * Allowed: a finite number, 0 or more.
   * @default 0.3
   */
  beta?: number | undefined;
  /**
   * Epochs over which that weight grows, by the same each.
   *
   * Allowed: a whole number, 0 or more.
   * @default 100
   */
  warmUp?: number | undefined;
  /**
   * How a history follows from the logits.
   *
   * Allowed: 'multinomial' or 'bernoulli'.
   * @default "multinomial"
   */
  likelihood?: 'multinomial' | 'bernoulli' | undefined;
  /**
   * Vectors whose posteriors are the prior.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 1000
   */
  pseudoUsers?: number | undefined;
  /**
   * Width of the gated layers.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 600
   */
  hiddenDim?: number | undefined;
  /**
   * Length of either latent vector of a user.
   *
   * Allowed: a whole number from 1 to 65536.
   * @default 200
   */
  latentDim?: number | undefined;
  /**
   * Share of a history that is dropped from the encoder's input in training.
   *
   * Allowed: a finite number from 0 to below 1.
   * @default 0.5
   */
  dropoutRate?: number | undefined;
  /**
   * Adam's step size, on gradients that are divided by their norm.
   *
   * Allowed: a finite number above 0.
   * @default 0.0005
   */
  learningRate?: number | undefined;
  /**
   * Users per step.
   *
   * Allowed: a whole number from 1 to 1048576.
   * @default 200
   */
  batchSize?: number | undefined;
  /**
   * Epochs at most.
   *
   * Allowed: a whole number from 1 to 1000000.
   * @default 300
   */
  epochs?: number | undefined;
  /**
   * Epochs without a better validation NDCG@100 after which training stops; counted once beta has grown.
   *
   * Allowed: a whole number, 1 or more.
   * @default 50
   */
  patience?: number | undefined;
  /**
   * Seed of weights, order of users, dropout and samples.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 1
   */
  seed?: number | undefined;
}

/**
 * Options of `blend`. Blend: several trained models together, with weights that are learnt on the validation users.
 */
export interface BlendOptions {
  /**
   * Weights of the parts, in their order, which sum to 1. By default they are learnt, and parts that are not worth it are dropped. With them nothing is learnt: the scale is z-score unless given, and there is no gate.
   *
   * Allowed: a list of finite numbers from 0 to 1.
   */
  weights?: number[] | undefined;
  /**
   * How the parts' scores are made comparable. By default z-scores, unless ranks are better on the validation users by more than chance.
   *
   * Allowed: 'z-score' or 'rank'.
   */
  scale?: 'z-score' | 'rank' | undefined;
  /**
   * Whether weights that depend on the history are tried; they are kept only if they beat constant weights, by more than chance, on validation users that they were not fitted to.
   *
   * Allowed: true or false.
   * @default true
   */
  gate?: boolean | undefined;
  /**
   * Start of the random numbers: the order of the validation users and, of four parts or more, where the search begins.
   *
   * Allowed: a whole number from 0 to 2^53.
   * @default 0
   */
  seed?: number | undefined;
}

/**
 * The options of each model, by its name.
 */
export interface ModelOptions {
  /** Every user gets the items that most users have. */
  popularity: PopularityOptions;
  /** EASE^R: a linear item-item model in closed form. */
  ease: EaseOptions;
  /** EDLAE: EASE^R of histories from which items are dropped at random, in closed form. */
  edlae: EdlaeOptions;
  /** RDLAE: EDLAE whose weights are found with a diagonal that may be up to some number. */
  rdlae: RdlaeOptions;
  /** DEQL: EDLAE that is also asked, with less weight, for the items that dropout has kept. */
  deql: DeqlOptions;
  /** Higher-order EASE^R: EASE^R in which pairs of items speak, too, in closed form. */
  hoease: HoeaseOptions;
  /** iALS: matrix factorisation by alternating least squares. */
  als: AlsOptions;
  /** Mult-DAE: a denoising autoencoder with a multinomial likelihood; Mult-VAE without the sampling. */
  'mult-dae': MultDaeOptions;
  /** Mult-VAE: a variational autoencoder with a multinomial likelihood. */
  'mult-vae': MultVaeOptions;
  /** RecVAE: Mult-VAE with a composite prior, a KL weight per user, alternating training and a dense encoder. */
  recvae: RecvaeOptions;
  /** H+Vamp (Gated): a variational autoencoder with two latent vectors, gated layers and a learnt prior. */
  hvamp: HvampOptions;
  /** Blend: several trained models together, with weights that are learnt on the validation users. */
  blend: BlendOptions;
}

/**
 * Name of a model.
 */
// Taken out of an object, it has no name of its own: messages of a compiler then list the models.
export type ModelName = { name: 'popularity' | 'ease' | 'edlae' | 'rdlae' | 'deql' | 'hoease' | 'als' | 'mult-dae' | 'mult-vae' | 'recvae' | 'hvamp' | 'blend' }['name'];

/** Name of a built-in data set. */
export type DatasetName = 'debian';

/** Name of a metric with the length of the list that it looks at, or of one that looks at whole rankings. */
export type MetricName = `ndcg@${number}` | `recall@${number}` | `recall-all@${number}` | `hit-rate@${number}` | `precision@${number}` | `map@${number}` | `mrr@${number}` | `novelty@${number}` | `diversity@${number}` | `miscalibration@${number}` | `tail@${number}` | `coverage@${number}` | `gini@${number}` | 'auc';

/** The metrics that are measured where none are asked for. */
export type DefaultMetricName = 'ndcg@100' | 'recall@20' | 'recall@50' | 'recall-all@20' | 'hit-rate@20' | 'coverage@100';
