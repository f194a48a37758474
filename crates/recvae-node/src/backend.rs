//! What this binary computes with on this machine.

use napi_derive::napi;
use recvae_core::{Cuda, Device, EngineKind, bf16_instructions, engines, is_bf16_faster, processor_level};
use serde_json::{Value, json};

/// `{level, bf16, engines, devices, cuda}` as JSON: see `BackendInfo` in `ts/runtime/backend.ts`. It asks the driver of
/// GPUs, if this build has CUDA.
#[napi(catch_unwind)]
pub fn backend() -> String {
    let cuda = Cuda::here();
    let gpus = cuda.devices.iter().map(|device| Device::Cuda(device.ordinal));
    json!({
        "level": processor_level(),
        "bf16": { "instructions": bf16_instructions(), "auto": is_bf16_faster() },
        "engines": engines().into_iter().map(EngineKind::word).collect::<Value>(),
        "devices": std::iter::once(Device::Cpu).chain(gpus).map(|device| device.to_string()).collect::<Value>(),
        "cuda": cuda.to_json(),
    })
    .to_string()
}

/// Why no GPU can be computed on, for the loader; nothing where one can. It opens them for a moment.
#[napi(catch_unwind)]
pub fn without_cuda() -> Option<String> {
    let cuda = Cuda::here();
    (!cuda.is_available()).then_some(cuda.reason)
}
