//! What carries a training out: an engine on a device.

use std::fmt;
use std::str::FromStr;

use crate::base::cuda::Cuda;
use crate::base::error::{Error, Result};
use crate::base::options::{choice, options};
use crate::base::processor::{has_bf16, is_bf16_faster};

choice! {
    /// Whose arithmetic a training of a network is.
    pub enum EngineKind {
        /// The processor's own: layers by hand, gradients straight into Adam. The fastest on a processor.
        Fused = "fused",
        /// candle tensors with candle's gradients: the same numbers but for rounding, on every device that candle has.
        Candle = "candle",
    }
}

/// The engines that this build has.
#[must_use]
pub fn engines() -> Vec<EngineKind> {
    let candle = cfg!(feature = "candle").then_some(EngineKind::Candle);
    [EngineKind::Fused].into_iter().chain(candle).collect()
}

choice! {
    /// The numbers that the large products of a training read.
    pub enum PrecisionChoice {
        /// f32: the default.
        F32 = "f32",
        /// bf16, with sums in f32, where the processor has instructions for it: faster.
        Bf16 = "bf16",
        /// bf16 where that is known to be faster, else f32.
        Auto = "auto",
    }
}

choice! {
    /// The precision of a training, once it is clear what the machine has.
    pub enum TrainingPrecision {
        /// All numbers are f32.
        F32 = "f32",
        /// The large products read bf16 and add in f32; all else is f32.
        Bf16 = "bf16",
    }
}

/// Where an engine computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by the driver's number.
    Cuda(u32),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `cpu`, `cuda`, `cuda:N` or `auto`, if it is there: the driver is asked for all but the first.
    fn from_str(name: &str) -> Result<Self> {
        device_of(name, Cuda::here)
    }
}

/// The device of that name, where `cuda` says what GPUs there are.
fn device_of(name: &str, cuda: impl FnOnce() -> Cuda) -> Result<Device> {
    let ordinal =
        name.strip_prefix("cuda").map(|rest| rest.strip_prefix(':').unwrap_or(if rest.is_empty() { "0" } else { "-" }));
    let refused = |allowed: String| Err(Error::invalid_argument("device", format!("'{name}'"), allowed));
    match (name, ordinal.map(str::parse::<u32>)) {
        ("cpu", _) => Ok(Device::Cpu),
        ("auto", _) => Ok(cuda().devices.first().map_or(Device::Cpu, |first| Device::Cuda(first.ordinal))),
        (_, Some(Ok(ordinal))) => {
            let Cuda { devices, reason, .. } = cuda();
            if devices.iter().any(|device| device.ordinal == ordinal) {
                return Ok(Device::Cuda(ordinal));
            }
            let others: String = devices.iter().map(|device| format!(", cuda:{}", device.ordinal)).collect();
            refused(format!("cpu{others} or auto: {reason}"))
        }
        _ => refused("cpu, cuda, cuda:N or auto".into()),
    }
}

options! {
    /// How a training of RecVAE, Mult-VAE, Mult-DAE or H+Vamp is computed, and where iALS, EASE^R, EDLAE, RDLAE and
    /// DEQL are. It changes speed, memory and rounding, not what is computed.
    pub struct ComputeOptions for "compute" {
        /// Whose arithmetic it is: fused, the processor's own, or candle, candle tensors with candle's gradients.
        /// candle brings threads of its own, as many as CANDLE_NUM_THREADS says when it first computes, else all cores.
        /// On a GPU it is candle in any case.
        engine: EngineKind = EngineKind::Fused, Any;
        /// Where: cpu, cuda, cuda:N for one of several, or auto for the first GPU that opens, else the processor.
        /// backendInfo() says which there are. EASE^R, EDLAE, RDLAE and DEQL have it, too, in f32 and with density 1:
        /// their inverse is computed there; and iALS, for its steps of conjugate gradients.
        device: String = "cpu".into(), Any;
        /// What the large products read: f32, or bf16, which is faster where the processor has AMX or, of AMD's,
        /// AVX512-BF16, and refused where it has neither, or auto for bf16 where that is known to be faster. Sums,
        /// weights, Adam and the model's file are f32 in any case. H+Vamp is computed in f32 alone, and refuses another
        /// choice.
        precision: PrecisionChoice = PrecisionChoice::F32, Any;
    }
}

/// An engine on a device that is there, in a precision that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The engine.
    pub engine: EngineKind,
    /// The device.
    pub device: Device,
    /// The precision.
    pub precision: TrainingPrecision,
}

impl Default for Compute {
    fn default() -> Self {
        Self { engine: EngineKind::Fused, device: Device::Cpu, precision: TrainingPrecision::F32 }
    }
}

impl Compute {
    /// What the options ask for, if this build and this machine have it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the reason if not.
    pub fn new(options: &ComputeOptions) -> Result<Self> {
        Self::where_there_is(options, Cuda::here)
    }

    /// [`Self::new`], where `cuda` says what GPUs there are.
    fn where_there_is(options: &ComputeOptions, cuda: impl FnOnce() -> Cuda) -> Result<Self> {
        // bf16 is the processor's.
        let stays = options.device == "auto" && options.precision == PrecisionChoice::Bf16;
        let device = device_of(if stays { "cpu" } else { &options.device }, cuda)?;
        let engine = if device == Device::Cpu { options.engine } else { EngineKind::Candle };
        if engine == EngineKind::Candle && cfg!(not(feature = "candle")) {
            return Err(Error::invalid_argument(
                "engine",
                "'candle'",
                "fused: this build is without the feature candle",
            ));
        }
        let precision = precision_of(engine, options.precision, has_bf16(), is_bf16_faster())?;
        Ok(Self { engine, device, precision })
    }
}

/// The precision that the options ask for, on a processor that has bf16 or not, and is faster by it or not.
fn precision_of(
    engine: EngineKind,
    choice: PrecisionChoice,
    has_bf16: bool,
    is_faster: bool,
) -> Result<TrainingPrecision> {
    let is_fused = engine == EngineKind::Fused;
    let refused = |got: &str, allowed: &str| Err(Error::invalid_argument("precision", got, allowed));
    match choice {
        PrecisionChoice::Bf16 if !is_fused => {
            refused("'bf16' by the engine candle", "f32 or auto there, or the engine fused")
        }
        PrecisionChoice::Bf16 if !has_bf16 => {
            refused("'bf16'", "f32 or auto: this processor has neither AMX nor AVX512-BF16")
        }
        PrecisionChoice::Bf16 => Ok(TrainingPrecision::Bf16),
        PrecisionChoice::Auto if is_fused && is_faster => Ok(TrainingPrecision::Bf16),
        PrecisionChoice::Auto | PrecisionChoice::F32 => Ok(TrainingPrecision::F32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_for_processors_and_engines_that_have_it() {
        use {EngineKind::*, PrecisionChoice::*};
        let of = precision_of;
        for (has, is_faster) in [(false, false), (true, false), (true, true)] {
            assert_eq!(of(Fused, F32, has, is_faster).unwrap(), TrainingPrecision::F32);
            assert_eq!(of(Candle, Auto, has, is_faster).unwrap(), TrainingPrecision::F32);
            let auto = if is_faster { TrainingPrecision::Bf16 } else { TrainingPrecision::F32 };
            assert_eq!(of(Fused, Auto, has, is_faster).unwrap(), auto);
            let by_candle = "precision is 'bf16' by the engine candle; allowed: f32 or auto there, or the engine fused";
            assert_eq!(of(Candle, Bf16, has, is_faster).unwrap_err().to_string(), by_candle);
        }
        assert_eq!(of(Fused, Bf16, true, false).unwrap(), TrainingPrecision::Bf16);
        let refused = of(Fused, Bf16, false, false).unwrap_err().to_string();
        assert_eq!(
            refused,
            "precision is 'bf16'; allowed: f32 or auto: this processor has neither AMX nor AVX512-BF16"
        );
    }

    fn with_gpus(ordinals: &[u32]) -> Cuda {
        use crate::base::cuda::CudaDevice;
        let device = |&ordinal| CudaDevice { ordinal, name: "a GPU".into(), free_memory: 1, memory: 1 };
        Cuda { driver: None, devices: ordinals.iter().map(device).collect(), reason: "because".into() }
    }

    #[test]
    fn devices_are_named_or_refused_with_the_reason() {
        let of = |name: &str, gpus: &[u32]| device_of(name, || with_gpus(gpus));
        for (name, gpus, device) in [
            ("cpu", &[0][..], Device::Cpu),
            ("auto", &[], Device::Cpu),
            ("auto", &[1, 2], Device::Cuda(1)),
            ("cuda", &[0], Device::Cuda(0)),
            ("cuda:2", &[1, 2], Device::Cuda(2)),
        ] {
            let found = of(name, gpus).unwrap();
            assert_eq!(found, device, "{name}");
            assert_eq!(device_of(&found.to_string(), || with_gpus(gpus)).unwrap(), device);
        }
        for (name, gpus, allowed) in [
            ("cuda", &[][..], "cpu or auto"),
            ("cuda:17", &[], "cpu or auto"),
            ("cuda", &[1, 2], "cpu, cuda:1, cuda:2 or auto"),
        ] {
            let error = of(name, gpus).unwrap_err().to_string();
            assert_eq!(error, format!("device is '{name}'; allowed: {allowed}: because"));
        }
        for name in ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda1", "cuda:0:1", "metal"] {
            let error = of(name, &[0]).unwrap_err().to_string();
            assert_eq!(error, format!("device is '{name}'; allowed: cpu, cuda, cuda:N or auto"));
        }
        if cfg!(not(feature = "cuda")) {
            let error = "cuda:0".parse::<Device>().unwrap_err().to_string();
            assert_eq!(error, "device is 'cuda:0'; allowed: cpu or auto: this build has no CUDA");
        }
    }

    #[cfg(feature = "candle")]
    #[test]
    fn a_gpu_computes_by_candle_in_f32() {
        use PrecisionChoice::*;
        let of = |device: &str, precision, gpus: &[u32]| {
            let options = ComputeOptions { device: device.into(), precision, ..ComputeOptions::default() };
            Compute::where_there_is(&options, || with_gpus(gpus))
        };
        for (device, precision) in [("cuda", F32), ("auto", F32), ("auto", Auto), ("cuda:0", Auto)] {
            let gpu = Compute { engine: EngineKind::Candle, device: Device::Cuda(0), ..Compute::default() };
            assert_eq!(of(device, precision, &[0]).unwrap(), gpu);
        }
        assert_eq!(of("auto", F32, &[]).unwrap(), Compute::default());
        let refused = of("cuda", Bf16, &[0]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "precision is 'bf16' by the engine candle; allowed: f32 or auto there, or the engine fused"
        );
        if has_bf16() {
            let processor = Compute { precision: TrainingPrecision::Bf16, ..Compute::default() };
            assert_eq!(of("auto", Bf16, &[0]).unwrap(), processor);
        }
    }
}
