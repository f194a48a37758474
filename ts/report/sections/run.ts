/** How a report can be made again: command, versions, seeds, machine. */
import type { RunFacts } from '../../decide/run.js';
import { shellWord } from '../../runtime/text.js';
import { bytesText, countText, secondsText } from '../format.js';
import { html, type Part } from '../html.js';
import type { Section } from '../shell.js';
import { facts } from '../words.js';

/** The section of a run; seeds are known also where the run is not. */
export function runSection(run: RunFacts | undefined, seeds: readonly (readonly [string, Part])[]): Section {
  const command = run?.command && html`<pre>${run.command.map(shellWord).join(' ')}</pre>`;
  const known = facts([
    ...seeds,
    ['recvae', run?.recvae],
    ['Node', run?.node],
    ['system', run?.platform],
    ['processor', run?.processor],
    ['cores, threads', run && `${countText(run.cores)}, ${countText(run.threads)}`],
    ['memory', run && bytesText(run.memory)],
    ['began', run?.started],
    ['took', run && secondsText(run.seconds)],
  ]);
  return { title: 'How this was made', body: html`${command}${known}` };
}
