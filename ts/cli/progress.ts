/** How far work is, on stderr. */
import { SingleBar } from 'cli-progress';
import type { Progress, StepProgress } from '../models/progress.js';
import { escaped, hasBar, message, SIGNALS } from './output.js';

/** A bar with an estimate of the time left, where stderr is a terminal; nothing elsewhere. */
export class Bar {
  #bar: SingleBar | undefined;
  readonly #format: string;
  /**
   * Gives the terminal its cursor and its line wrap back; where nobody else listens, the signal ends the process as
   * ever.
   */
  readonly #onSignal = (signal: NodeJS.Signals) => {
    this.stop();
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };

  /** @param format - cli-progress's; words of its own are given to `update`. */
  constructor(format: string) {
    this.#format = format;
  }

  /** `value` of `total` is done. */
  update(value: number, total: number, words: Record<string, string> = {}): void {
    if (!hasBar()) return;
    if (!this.#bar) {
      this.#bar = new SingleBar({
        format: this.#format,
        stream: process.stderr,
        hideCursor: true,
        clearOnComplete: true,
        gracefulExit: false, // it would swallow the signal
      });
      for (const signal of SIGNALS) process.prependOnceListener(signal, this.#onSignal);
      this.#bar.start(total, 0, words);
    }
    this.#bar.update(value, Object.fromEntries(Object.entries(words).map(([name, word]) => [name, escaped(word)])));
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}

/** Where stderr is no terminal, a line for each tenth of the epochs; nothing elsewhere. */
export class EpochLines {
  /** The epoch of the last line, and of which model. */
  #last = { label: '', epoch: 0 };

  /** An epoch ended. */
  tell(label: string, { epoch, epochs, validation }: Progress): void {
    if (hasBar() || epochs === 0) return;
    const tenth = (number: number) => Math.floor((10 * number) / epochs);
    const last = this.#last.label === label && this.#last.epoch < epoch ? this.#last.epoch : 0;
    if (last > 0 && tenth(epoch) === tenth(last)) return;
    this.#last = { label, epoch };
    const text = validation === undefined ? '' : ` | validation ${validation.toFixed(4)}`;
    const fields = { event: 'epoch', model: label, epoch, epochs, ...(validation !== undefined && { validation }) };
    message(`${label} epoch ${epoch}/${epochs}${text}`, fields);
  }
}

/** Seconds in few words. */
export function shortly(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** How long work takes that goes on as it went so far. */
export class TimeLeft {
  #first: { share: number; at: number } | undefined;

  /** The words for what is left once `share` of all is done; a dash while nothing of it was measured. */
  tell(share: number, now = performance.now()): string {
    this.#first ??= { share, at: now };
    const { share: before, at } = this.#first;
    if (share >= 1) return '0 s';
    if (share <= before || now <= at) return '–';
    return shortly(((now - at) / 1000 / (share - before)) * (1 - share));
  }
}

/**
 * Epochs as a bar, which is there when the work begins and knows what of the first epoch is done, and where stderr is
 * no terminal as a line for each tenth of them. The time left is that of the steps that were measured. Epochs may be
 * left out. What a closed form has done is a bar of its share, and where stderr is no terminal nothing.
 */
export class EpochBar {
  readonly #lines = new EpochLines();
  readonly #bar = new Bar('{label} [{bar}] {done} {validation}| {left} left');
  #left = new TimeLeft();
  #label = '';
  #validation = '';

  /** Work begins of which nothing is done. */
  begin(label: string): void {
    this.#show(label, 0, '0 %');
  }

  /** So far is the epoch at work. */
  step(label: string, { epoch, epochs, fraction }: StepProgress): void {
    this.#show(label, (epoch - 1 + fraction) / epochs, `epoch ${epoch}/${epochs}`);
  }

  /** An epoch ended, or a closed form is so far. */
  update(label: string, progress: Progress): void {
    const { epoch, epochs, validation, fraction } = progress;
    this.#validation = validation === undefined ? '' : `| validation ${validation.toFixed(4)} `;
    if (fraction !== undefined) this.#show(label, fraction, `${Math.round(100 * fraction)} %`);
    else this.#show(label, epoch / epochs, `epoch ${epoch}/${epochs}`);
    this.#lines.tell(label, progress);
    if (fraction === 1) this.stop();
  }

  #show(label: string, share: number, done: string): void {
    if (label !== this.#label) [this.#left, this.#label, this.#validation] = [new TimeLeft(), label, ''];
    const words = { label, done, validation: this.#validation, left: this.#left.tell(share) };
    this.#bar.update(Math.round(1000 * share), 1000, words);
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar.stop();
  }
}

/** What becomes of a job, as lines that stay and a bar below them. */
export abstract class Reporter<P, B extends { stop: () => void } = Bar> {
  protected readonly bar: B;

  constructor(bar: B) {
    this.bar = bar;
  }

  /** Something happened. */
  abstract report(progress: P): void;

  /** Tells it in a line that stays. */
  protected tell(text: string): void {
    this.bar.stop();
    message(text);
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.bar.stop();
  }
}
