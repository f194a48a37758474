//! What carries a training out: an engine on a device.

use std::fmt;
use std::str::FromStr;

use crate::base::error::{Error, Result};
use crate::base::options::{choice, options};

choice! {
    /// Whose arithmetic a training of a network is.
    pub enum EngineKind {
        /// The processor's own: layers by hand, gradients straight into Adam. The fastest on a processor.
        Fused = "fused",
        /// candle tensors with candle's gradients: the same numbers but for rounding, on every device that candle has.
        Candle = "candle",
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
    }
}

/// An engine on a device that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The engine.
    pub engine: EngineKind,
    /// The device.
    pub device: Device,
}

impl Default for Compute {
    fn default() -> Self {
        Self { engine: EngineKind::Fused, device: Device::Cpu }
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
        Ok(Self { engine: options.engine, device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
