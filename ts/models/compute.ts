/** What computes the models of a run: the engine, the device and the precision of each. */
import { backendInfo } from '../runtime/backend.js';
import { guard, toJson } from '../runtime/errors.js';
import { native, optionsOf } from '../runtime/native.js';
import type { ComputeOptions, ModelName } from '../runtime/options.generated.js';
import type { Progress } from './progress.js';

/** The keys of {@link ComputeOptions}, to be spread into those of options that have them. */
export const COMPUTE = { engine: true, device: true, precision: true } as const satisfies Record<
  keyof ComputeOptions,
  true
>;

/** Whether a model is trained by steps over batches of users, which takes its time. */
export function isNetwork(model: ModelName): boolean {
  return optionsOf(model).some(({ name }) => name === 'batchSize');
}

/** Those of the options that are given. */
export function computeOf({ engine, device, precision }: ComputeOptions): ComputeOptions {
  return {
    ...(engine !== undefined && { engine }),
    ...(device !== undefined && { device }),
    ...(precision !== undefined && { precision }),
  };
}

/**
 * What a run of many models says for one of them: nothing of what it, or the options that it is given, cannot choose.
 */
export function computeFor(model: ModelName, run: ComputeOptions, options: object | undefined): ComputeOptions {
  const given = computeOf(run);
  if (Object.keys(given).length === 0) return given;
  return JSON.parse(guard(() => native.computeAmong(model, toJson(options), toJson(given))));
}

/** Whether a model with these options is trained on a GPU, which has memory for one training at a time. */
export function isOnGpu(model: ModelName, run: ComputeOptions, options: object | undefined): boolean {
  const { device = 'cpu' } = computeFor(model, run, options);
  return device !== 'cpu' && (device !== 'auto' || backendInfo().cuda.available);
}

/** What computed a network, and iALS on a GPU: its engine, its device, and what the large products read. */
export type Computed = Required<Pick<Progress, 'engine' | 'device' | 'precision'>>;

/** What computed a network, or iALS on a GPU, from its epochs; nothing for other models. */
export function computedBy(epochs: readonly Progress[]): { computed?: Computed } {
  const { engine, device, precision } = epochs.at(-1) ?? {};
  return engine && device && precision ? { computed: { engine, device, precision } } : {};
}
