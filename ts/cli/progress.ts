/** How far work is, on stderr. */
import { SingleBar } from 'cli-progress';
import type { Progress } from '../models/progress.js';
import { escaped, message, SIGNALS } from './output.js';

/** A bar with an estimate of the time left, where stderr is a terminal; nothing elsewhere. */
export class Bar {
  #bar: SingleBar | undefined;
  readonly #format: string;
  /** Gives the terminal its cursor and its line wrap back; where nobody else listens, the signal ends the process as ever. */
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
    if (!process.stderr.isTTY) return;
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
    if (process.stderr.isTTY || epochs === 0) return;
    const tenth = (number: number) => Math.floor((10 * number) / epochs);
    const last = this.#last.label === label && this.#last.epoch < epoch ? this.#last.epoch : 0;
    if (last > 0 && tenth(epoch) === tenth(last)) return;
    this.#last = { label, epoch };
    const text = validation === undefined ? '' : ` | validation ${validation.toFixed(4)}`;
    message(`${label} epoch ${epoch}/${epochs}${text}`);
  }
}

/**
 * Epochs as a bar, and where stderr is no terminal as a line for each tenth of them. Epochs may be left out. What a closed form
 * has done is a bar of its share, and where stderr is no terminal nothing.
 */
export class EpochBar {
  readonly #lines = new EpochLines();
  readonly #bar = new Bar('{label} [{bar}] epoch {value}/{total} {validation} | {eta_formatted} left');
  readonly #share = new Bar('{label} [{bar}] {percentage} % | {eta_formatted} left');

  /** An epoch ended, or a closed form is so far. */
  update(label: string, progress: Progress): void {
    const { epoch, epochs, validation, fraction } = progress;
    if (fraction !== undefined) {
      this.#share.update(Math.round(1000 * fraction), 1000, { label });
      if (fraction === 1) this.#share.stop();
      return;
    }
    const text = validation === undefined ? '' : `| validation ${validation.toFixed(4)}`;
    this.#bar.update(epoch, epochs, { label, validation: text });
    this.#lines.tell(label, progress);
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar.stop();
    this.#share.stop();
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
