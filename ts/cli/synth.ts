import type { Command } from 'commander';
import { type SynthProgress, writeSynth } from '../data/synth.js';
import { description } from '../runtime/native.js';
import type { SynthOptions } from '../runtime/options.generated.js';
import { jsonFlag, threadsFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { parseNumber, toFlag } from './flags.js';
import { interruptible } from './interrupt.js';
import { checkWritable, message, writeJson } from './output.js';
import { Bar, TimeLeft } from './progress.js';

interface Flags extends SynthOptions {
  out: string;
  threads?: number;
  json?: string;
}

/** `recvae synth`: made-up data of the size of the papers' sets. */
export function addSynth(program: Command): void {
  const command = program
    .command('synth')
    .description(
      'make up data as large as a set of the papers, to measure speed and memory; accuracy on them means nothing',
    )
    .requiredOption('--out <file>', 'where the data go: a name in .csv or .csv.gz');
  for (const { name, doc, allowed, default: value, typescript } of description.synth) {
    const text = `${doc} Allowed: ${allowed} (default: ${JSON.stringify(value)})`;
    if (typescript === 'number') command.option(`${toFlag(name)} <number>`, text, parseNumber);
    else command.option(`${toFlag(name)} <name>`, text);
  }
  command
    .addOption(threadsFlag())
    .addOption(jsonFlag())
    .action(async ({ out, threads, json, ...options }: Flags) => {
      refuseSame({ outputs: { '--out': out, '--json': json } });
      checkWritable(json, '--json');
      const bar = new Bar('{value}/{total} users [{bar}] {left} left');
      const started = performance.now();
      try {
        const left = new TimeLeft();
        const onProgress = ({ users, nUsers }: SynthProgress) =>
          bar.update(users, nUsers, { left: left.tell(users / nUsers) });
        const { nUsers, nItems, nInteractions } = await interruptible((signal) =>
          writeSynth(out, options, { threads, signal, onProgress }),
        );
        bar.stop();
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        message(`${nUsers} users x ${nItems} items, ${nInteractions} interactions in ${seconds} s: ${out}`);
        if (json !== undefined) {
          await writeJson(json, { users: nUsers, items: nItems, interactions: nInteractions, file: out });
        }
        message('They are made up, for measuring speed and memory: accuracy on them means nothing.');
      } finally {
        bar.stop();
      }
    });
}
