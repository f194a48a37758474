/** What computes here: the compiled core that was loaded, the processor, the GPUs. */
import { addOn, cuda as loaderOnCuda, platform } from '../../crates/recvae-node/loader.cjs';
import { description, native, version } from './native.js';

/** A GPU that can be computed on. */
export interface CudaDevice {
  /** Its name as {@link ComputeOptions.device} takes it, such as `cuda:0`. */
  device: string;
  /** What its maker calls it. */
  name: string;
  /** Bytes of its memory that are free. */
  freeMemory: number;
  /** Bytes of its memory. */
  memory: number;
}

/** What {@link backendInfo} gives. */
export interface BackendInfo {
  /** The version of this package. */
  version: string;
  /** The platform that the compiled core was built for, such as `linux-x64-gnu`, as far as its name says so. */
  platform: string;
  /** The file or package of the compiled core. */
  addOn: string;
  /** Threads that compute unless a call says otherwise. */
  threads: number;
  /** The instructions of the processor that are used; `baseline` is what every processor of its kind has. */
  level: 'avx512' | 'avx2' | 'baseline';
  /** What the processor has for {@link ComputeOptions.precision} `bf16`. */
  bf16: {
    /** The instructions that are used; null where it has none, and `bf16` is refused. */
    instructions: 'amx' | 'avx512-bf16' | null;
    /** Whether `auto` takes bf16, which it does where it is known to be faster. */
    auto: boolean;
  };
  /** Values that {@link ComputeOptions.engine} can have. */
  engines: string[];
  /** Values that {@link ComputeOptions.device} can have, besides `auto` and `cuda`, which is `cuda:0`. */
  devices: string[];
  /** What there is of CUDA. */
  cuda: {
    /** Whether a GPU can be computed on. */
    available: boolean;
    /** Why not, or what there is. */
    reason: string;
    /** The version of CUDA that the driver is for; null where none was asked. */
    driver: string | null;
    /** The GPUs that opened. */
    devices: CudaDevice[];
  };
}

/**
 * Says which compiled core was loaded and what it computes with: engines, devices, and why there is no GPU if there is
 * none. It asks the driver anew each time.
 *
 * @example
 * ```ts
 * const { devices, cuda } = backendInfo();
 * console.log(devices.join(', '), cuda.reason);
 * ```
 */
export function backendInfo(): BackendInfo {
  const { level, bf16, engines, devices, cuda } = JSON.parse(native.backend());
  // What the loader saw of an add-on that it did not take says more than that the other one has no CUDA.
  const reason = cuda.available ? cuda.reason : (loaderOnCuda ?? cuda.reason);
  const { threads } = description;
  return { version, platform, addOn, threads, level, bf16, engines, devices, cuda: { ...cuda, reason } };
}
