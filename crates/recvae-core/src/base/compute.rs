//! What carries a training out: an engine on a device.

use std::fmt;
use std::str::FromStr;

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
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `cpu`, `auto`, `cuda` or `cuda:N`.
    fn from_str(name: &str) -> Result<Self> {
        let ordinal = name
            .strip_prefix("cuda")
            .map(|rest| rest.strip_prefix(':').unwrap_or(if rest.is_empty() { "0" } else { "-" }));
        match (name, ordinal.map(str::parse::<u32>)) {
            ("cpu" | "auto", _) => Ok(Self::Cpu),
            (_, Some(Ok(_))) => {
                Err(Error::invalid_argument("device", format!("'{name}'"), "cpu or auto: this build has no CUDA"))
            }
            _ => Err(Error::invalid_argument("device", format!("'{name}'"), "cpu, cuda, cuda:N or auto")),
        }
    }
}

options! {
    /// How a training of RecVAE, Mult-VAE or Mult-DAE is computed. It changes speed, memory and rounding, not what is computed.
    pub struct ComputeOptions for "compute" {
        /// Whose arithmetic it is: fused, the processor's own, or candle, candle tensors with candle's gradients. candle brings threads
        /// of its own, as many as CANDLE_NUM_THREADS says when it first computes, else all cores.
        engine: EngineKind = EngineKind::Fused, Any;
        /// Where: cpu, cuda, cuda:N for one of several, or auto for the best that is there.
        device: String = "cpu".into(), Any;
        /// What the large products read: f32, or bf16, which is faster where the processor has AMX or, of AMD's, AVX512-BF16, and refused
        /// where it has neither, or auto for bf16 where that is known to be faster. Sums, weights, Adam and the model's file are f32 in
        /// any case.
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
        let device = options.device.parse()?;
        if options.engine == EngineKind::Candle && cfg!(not(feature = "candle")) {
            return Err(Error::invalid_argument(
                "engine",
                "'candle'",
                "fused: this build is without the feature candle",
            ));
        }
        let precision = precision_of(options, has_bf16(), is_bf16_faster())?;
        Ok(Self { engine: options.engine, device, precision })
    }
}

/// The precision that the options ask for, on a processor that has bf16 or not, and is faster by it or not.
fn precision_of(options: &ComputeOptions, has_bf16: bool, is_faster: bool) -> Result<TrainingPrecision> {
    let is_fused = options.engine == EngineKind::Fused;
    let refused = |got: &str, allowed: &str| Err(Error::invalid_argument("precision", got, allowed));
    match options.precision {
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
        let of = |engine, precision, has, is_faster| {
            precision_of(&ComputeOptions { engine, precision, ..ComputeOptions::default() }, has, is_faster)
        };
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

    #[test]
    fn devices_are_named_or_refused_with_the_reason() {
        for name in ["cpu", "auto"] {
            assert_eq!(name.parse::<Device>().unwrap(), Device::Cpu);
        }
        for name in ["cuda", "cuda:0", "cuda:17"] {
            let error = name.parse::<Device>().unwrap_err().to_string();
            assert_eq!(error, format!("device is '{name}'; allowed: cpu or auto: this build has no CUDA"));
        }
        for name in ["", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda1", "cuda:0:1", "metal"] {
            let error = name.parse::<Device>().unwrap_err().to_string();
            assert_eq!(error, format!("device is '{name}'; allowed: cpu, cuda, cuda:N or auto"));
        }
    }
}
