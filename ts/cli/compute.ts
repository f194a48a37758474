/**
 * `--engine`, `--device` and `--precision`: what computes the models of a command; `--device` alone: what finds lists.
 */
import type { Command } from 'commander';
import { computeOf } from '../models/compute.js';
import { description } from '../runtime/native.js';
import type { ComputeOptions, LoadOptions } from '../runtime/options.generated.js';
import { addFlag } from './input-flags.js';

/** What the flags are parsed into. */
interface ComputeFlags extends ComputeOptions {
  threads?: number;
}

/** Adds the flags; `otherwise` has the defaults that are not the core's. */
export function addComputeFlags(command: Command, otherwise: ComputeOptions = {}): Command {
  const options = description.compute.map((option) => {
    const value = otherwise[option.name as keyof ComputeOptions];
    return value === undefined ? option : { ...option, default: value };
  });
  addFlag(command, options, 'engine', 'fused|candle');
  addFlag(command, options, 'device', 'cpu|cuda|cuda:N|auto');
  addFlag(command, options, 'precision', 'f32|bf16|auto');
  return command;
}

/** Adds `--device` of lists. */
export function addListsDeviceFlag(command: Command): Command {
  addFlag(command, description.load, 'device', 'cpu|cuda|cuda:N|auto');
  return command;
}

/** What `--device` says of how a model is loaded whose lists are asked for. */
export function loadOptionsOf({ device }: Pick<LoadOptions, 'device'>): LoadOptions {
  return device === undefined ? {} : { device };
}

/** What the flags say; candle is told of the threads. */
export function computeOfFlags(flags: ComputeFlags): ComputeOptions {
  const { engine, threads } = flags;
  // candle asks once, when it first computes.
  if (engine === 'candle' && threads !== undefined) process.env.CANDLE_NUM_THREADS ??= String(threads);
  return computeOf(flags);
}
