/**
 * Numbers for Prometheus in its text format 0.0.4: counters, gauges and histograms with labels, as far as the server
 * needs them.
 */

type Labels = Record<string, string>;

/** Upper ends of the classes of durations in seconds: from a request of one user to one that takes too long. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** What is measured under one name. */
abstract class Series {
  readonly name: string;
  readonly #kind: string;
  readonly #help: string;

  constructor(name: string, kind: string, help: string) {
    this.name = name;
    this.#kind = kind;
    this.#help = help;
  }

  /** The lines of its values. */
  protected abstract lines(): string[];

  render(): string {
    return [`# HELP ${this.name} ${this.#help}`, `# TYPE ${this.name} ${this.#kind}`, ...this.lines(), ''].join('\n');
  }
}

/** A number for each combination of labels: a counter, which only grows, or a gauge. */
class Numbers extends Series {
  readonly #values = new Map<string, number>();

  add(number = 1, labels: Labels = {}): void {
    const key = textOf(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + number);
  }

  set(number: number, labels: Labels = {}): void {
    this.#values.set(textOf(labels), number);
  }

  /** Forgets all combinations of labels. */
  clear(): void {
    this.#values.clear();
  }

  protected lines(): string[] {
    return [...this.#values].map(([labels, value]) => `${this.name}${labels} ${value}`);
  }
}

/** How long something took, by classes. */
class Durations extends Series {
  readonly #values = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>();

  constructor(name: string, help: string) {
    super(name, 'histogram', help);
  }

  observe(seconds: number, labels: Labels = {}): void {
    const key = textOf(labels);
    const found = this.#values.get(key) ?? { labels, counts: SECONDS.map(() => 0), sum: 0, count: 0 };
    this.#values.set(key, found);
    const at = SECONDS.findIndex((end) => seconds <= end);
    if (at >= 0) found.counts[at]! += 1;
    found.sum += seconds;
    found.count += 1;
  }

  protected lines(): string[] {
    return [...this.#values.values()].flatMap(({ labels, counts, sum, count }) => {
      let below = 0;
      const classes = counts.map((n, at) => {
        below += n;
        return `${this.name}_bucket${textOf({ ...labels, le: String(SECONDS[at]) })} ${below}`;
      });
      return [
        ...classes,
        `${this.name}_bucket${textOf({ ...labels, le: '+Inf' })} ${count}`,
        `${this.name}_sum${textOf(labels)} ${sum}`,
        `${this.name}_count${textOf(labels)} ${count}`,
      ];
    });
  }
}

/** Labels as the format writes them. */
function textOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replace(/[\\\n"]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** All that the server measures. */
export class Metrics {
  readonly durations = new Durations(
    'recvae_http_request_duration_seconds',
    'From the head of a request to its answer, by route, method and status.',
  );
  readonly inFlight = new Numbers('recvae_http_requests_in_flight', 'gauge', 'Requests at work.');
  readonly refused = new Numbers('recvae_http_requests_refused_total', 'counter', 'Requests refused, by reason.');
  readonly fallbacks = new Numbers('recvae_fallbacks_total', 'counter', 'Lists in which popularity had a part.');
  readonly unknown = new Numbers(
    'recvae_unknown_ids_total',
    'counter',
    'Ids in histories that the model did not know.',
  );
  readonly reloads = new Numbers('recvae_model_reloads_total', 'counter', 'Loads of the model file, by result.');
  readonly model = new Numbers('recvae_model_info', 'gauge', 'The model that serves; the value is 1.');
  readonly items = new Numbers('recvae_model_items', 'gauge', 'Items of the model that serves.');
  readonly loadedAt = new Numbers('recvae_model_loaded_timestamp_seconds', 'gauge', 'When the model was loaded.');
  readonly #resident = new Numbers('process_resident_memory_bytes', 'gauge', 'Resident memory of the process.');
  readonly #cpu = new Numbers('process_cpu_seconds_total', 'counter', 'Processor time of the process.');
  readonly #start = new Numbers('process_start_time_seconds', 'gauge', 'When the process started.');

  /** The text, and its content type. */
  static readonly type = 'text/plain; version=0.0.4; charset=utf-8';

  render(): string {
    const { user, system } = process.cpuUsage();
    this.#resident.set(process.memoryUsage.rss());
    this.#cpu.set((user + system) / 1e6);
    this.#start.set(Date.now() / 1000 - process.uptime());
    const series = [this.durations, this.inFlight, this.refused, this.fallbacks, this.unknown, this.reloads];
    const rest = [this.model, this.items, this.loadedAt, this.#resident, this.#cpu, this.#start];
    return [...series, ...rest].map((each) => each.render()).join('');
  }
}
