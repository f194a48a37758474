/**
 * The only import of the compiled binding, and what the core says about itself. Nothing of it is public.
 */
import './binary.js'; // before the loader: its words are better
import { describe } from '../../crates/recvae-node/index.js';

export * as native from '../../crates/recvae-node/index.js';

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

/** Names, defaults, ranges and texts, which have their home in the core. */
export interface Description {
  models: { name: string; doc: string; timeLaw: string; options: OptionDescription[] }[];
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
  compute: OptionDescription[];
  checkpoint: OptionDescription[];
  /** Below how many interactions nothing reliable is known of a user or an item. */
  few: number;
  /** Bytes that an id may have. */
  longestId: number;
  /** Bytes that a row or a line of a file may have. */
  longestRow: number;
  /** All metrics, without the length of the list. */
  metricNames: string[];
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

export const description: Description = JSON.parse(describe());

/** Whether any of a model's options is worth searching. */
export function isSearchable({ options }: Pick<Description['models'][number], 'options'>): boolean {
  return options.some(({ search }) => search !== null);
}

/** What is worth trying of an option, as `--over` takes it. */
export function searchText({ search }: OptionDescription): string {
  if (search === null) return '';
  return Array.isArray(search) ? search.join(',') : `${search.from}..${search.to}`;
}

/** The options that a model takes. */
export function optionsOf(model: string): OptionDescription[] {
  return description.models.find(({ name }) => name === model)!.options;
}
