/** On what a decision was made, so that it can be made again. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import { description, version } from '../runtime/native.js';

/** How and where a report came about. */
export interface RunFacts {
  /** Version of this package. */
  recvae: string;
  /** Version of Node. */
  node: string;
  /** Operating system and processor architecture, in the words of Node: `linux x64`. */
  platform: string;
  /** Name of the processor; empty where the system does not tell it. */
  processor: string;
  /** Processors that the process may use. */
  cores: number;
  /** Threads that the work computed with. */
  threads: number;
  /** Bytes of main memory. */
  memory: number;
  /** When the work began: ISO 8601, in UTC. */
  started: string;
  /** Wall-clock seconds of all of it, without reading and splitting the input. */
  seconds: number;
  /** The words of the command line, with that of the program; only of commands. */
  command?: string[];
}

/** Begins to take the time; what comes back gives the facts at the end. */
export function startRun(threads: number = description.threads): () => RunFacts {
  const [started, from] = [new Date().toISOString(), performance.now()];
  return () => ({
    recvae: version,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? '',
    cores: availableParallelism(),
    threads,
    memory: totalmem(),
    started,
    seconds: (performance.now() - from) / 1000,
  });
}
