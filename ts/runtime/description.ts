/** What the core says about itself: the shape of `description.generated.ts`, and of what the binary gives. */

import type { ReadOptions, SplitOptions, Thresholds } from './options.generated.js';

/** A row of the core's table of options. */
export interface OptionDescription {
  name: string;
  /** Its TypeScript type. */
  typescript: string;
  default: unknown;
  /** The accepted values, in words. */
  allowed: string;
  doc: string;
  /** What is worth trying on validation: values, or a range. `null`: the option is not searched by default. */
  search: unknown[] | { from: number; to: number; scale: 'log' | 'linear' } | null;
}

/** What the core says of a model. */
export interface ModelDescription {
  name: string;
  doc: string;
  timeLaw: string;
  /** Whether it looks at the weights of interactions; the others count each alike. */
  usesWeights: boolean;
  /** Whether engine and device of its training can be chosen. */
  hasEngines: boolean;
  /** Whether its precision can be, too. */
  hasPrecisions: boolean;
  /** Whether its device can: theirs, those of EASE^R and its kin, and iALS's. */
  hasDevices: boolean;
  options: OptionDescription[];
}

/** A published data set. Texts that are empty say that there is no such thing. */
export interface PublishedSet {
  /** Its name as an input. */
  name: string;
  title: string;
  /** What its publishers say of it. */
  page: string;
  /** On what terms it may be used, in short. */
  terms: string;
  /** Of which paper's tables it is a row. */
  paper: string;
  /** Its files; of several the second is for test. A member is the name in the archive that is downloaded. */
  files: { url: string; checksum: string; member: string; name: string }[];
  /** Options and thresholds that differ from the defaults. */
  read: ReadOptions & Thresholds;
  /** The same of the split. */
  split: SplitOptions;
}

/** Names, defaults, ranges and texts, which have their home in the core. */
export interface Description {
  models: ModelDescription[];
  /** The model that is made of trained ones. */
  blend: ModelDescription;
  /** RecVAE's changes to Mult-VAE, each with the option that makes and unmakes it. */
  changes: { name: string; option: string; with: string; without: string }[];
  /** Names of the built-in data sets. */
  datasets: string[];
  /** Formats of files of rows. Texts that are empty say that there is no such thing. */
  formats: {
    name: string;
    /** Whether it is that of a data set, and not of programs. */
    isPublished: boolean;
    title: string;
    /** Names under which such data are published, with `*` for digits. */
    files: string[];
    /** What a line looks like. */
    line: string;
    user: string;
    item: string;
    value: string;
    /** From which value on a row is a like, unless it is said otherwise. */
    minValue: number | null;
    time: string;
  }[];
  /** Data sets that others publish, with how the papers read and split them. */
  published: PublishedSet[];
  /** Names of the files of a split in the official layout. */
  officialFiles: string[];
  read: OptionDescription[];
  thresholds: OptionDescription[];
  split: OptionDescription[];
  sample: OptionDescription[];
  recommend: OptionDescription[];
  similar: OptionDescription[];
  explain: OptionDescription[];
  synth: OptionDescription[];
  load: OptionDescription[];
  compact: OptionDescription[];
  export: OptionDescription[];
  compute: OptionDescription[];
  checkpoint: OptionDescription[];
  /** Below how many interactions nothing reliable is known of a user or an item. */
  few: number;
  /** Bytes that an id may have. */
  longestId: number;
  /** Bytes that a row or a line of a file may have. */
  longestRow: number;
  /** All metrics that look at a list, without its length. */
  metricNames: string[];
  /** All metrics that look at whole rankings. */
  rankingMetricNames: string[];
  /** Default metrics. */
  metrics: string[];
  /** What models are chosen by. */
  validationMetric: string;
  /** Draws of the paired bootstrap. */
  resamples: number;
  /** Below which corrected p-value a difference counts as established. */
  significance: number;
  /** With which chance a detectable difference is established. */
  power: number;
  /** Default number of threads. */
  threads: number;
}
