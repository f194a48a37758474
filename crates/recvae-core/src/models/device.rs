//! Where a model can be trained: which of them have engines, precisions and devices, and with which of their options.

use serde_json::Value;

use crate::base::compute::{Compute, ComputeOptions, Device, EngineKind, PrecisionChoice, TrainingPrecision};
#[cfg(feature = "candle")]
use crate::base::cuda::Cuda;
use crate::base::error::{Error, Result};
#[cfg(feature = "candle")]
use crate::base::memory::{Bytes, MemoryEstimate};
use crate::model::ModelKind;

impl ModelKind {
    /// Fails unless it can be trained like that, with its `options`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for options, for an engine or a precision of networks where the model is none, and for a
    /// device where the model, or what its options ask for, is the processor's.
    pub fn check_compute(self, options: &Value, compute: Compute) -> Result<()> {
        // A GPU brings its engine with it.
        if compute.engine != EngineKind::Fused && compute.device == Device::Cpu {
            self.check_word("engine", compute.engine.word(), Self::has_engines)?;
        }
        if compute.precision != TrainingPrecision::F32 {
            self.check_word("precision", compute.precision.word(), Self::has_precisions)?;
        }
        if compute.device == Device::Cpu {
            return Ok(());
        }
        let device = compute.device.to_string();
        self.check_word("device", &device, Self::has_devices)?;
        let Some(Stays { with, instead }) = self.stays(options)? else { return Ok(()) };
        let got = format!("'{device}' for {} with {with}", self.name());
        Err(Error::invalid_argument("device", got, format!("cpu or auto there, or {instead}")))
    }

    /// What `compute` asks for in a training of this model with its `options`, if this build and this machine have it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` as [`Compute::new`] and [`ModelKind::check_compute`]; `auto`, too, is a precision of
    /// networks.
    pub fn compute(self, options: &Value, compute: &ComputeOptions) -> Result<Compute> {
        if compute.precision != PrecisionChoice::F32 {
            self.check_word("precision", compute.precision.word(), Self::has_precisions)?;
        }
        let stays = compute.device == "auto" && (!self.has_devices() || self.stays(options)?.is_some());
        let compute = if stays {
            Compute::new(&ComputeOptions { device: Device::Cpu.to_string(), ..compute.clone() })?
        } else {
            Compute::new(compute)?
        };
        self.check_compute(options, compute)?;
        Ok(compute)
    }

    /// What a run of many models says of engine, device and precision for this one with its `options`, of what is given
    /// in `compute`: nothing of what it cannot choose, and no device where an option keeps it on the processor.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for options, and if `compute` is no object.
    pub fn compute_among(self, options: &Value, compute: &Value) -> Result<Value> {
        let Value::Object(given) = compute else {
            return Err(Error::invalid_argument("engine, device and precision", compute, "an object"));
        };
        let has_device = self.has_devices() && self.stays(options)?.is_none();
        let is_its = |name: &str| match name {
            "engine" => self.has_engines(),
            "device" => has_device,
            "precision" => self.has_precisions(),
            _ => false,
        };
        Ok(given.iter().filter(|(name, _)| is_its(name)).map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Which of its options keeps a model that has devices on the processor, if one does.
    fn stays(self, options: &Value) -> Result<Option<Stays>> {
        if self.has_engines() || !self.has_devices() {
            return Ok(None);
        }
        let options = self.complete_options(options)?;
        if self == Self::Als {
            let stays = Stays { with: "solver 'cholesky'".into(), instead: "solver 'conjugate'" };
            return Ok((options["solver"] == "cholesky").then_some(stays));
        }
        let density = options["density"].as_f64().unwrap_or(1.0);
        Ok(if density < 1.0 {
            Some(Stays { with: format!("density {density:?}"), instead: "density 1" })
        } else if options["precision"] == "f64" {
            Some(Stays { with: "precision 'f64'".into(), instead: "precision 'f32'" })
        } else {
            None
        })
    }
}

/// An option that keeps a model on the processor, and what does not.
struct Stays {
    with: String,
    instead: &'static str,
}

/// Bytes that the driver and its libraries take of a GPU for a program, about.
#[cfg(feature = "candle")]
pub(crate) const CUDA_ITSELF: f64 = (3 << 28) as f64;

/// Refuses `what` if it would take more of a GPU's memory than is free. On the processor there is nothing to refuse.
///
/// # Errors
/// `MEMORY` with the figures and the way out.
#[cfg(feature = "candle")]
pub(crate) fn check_device(what: &str, device: Device, estimate: &MemoryEstimate) -> Result<()> {
    let Device::Cuda(ordinal) = device else { return Ok(()) };
    let cuda = Cuda::here();
    let gpu = cuda.devices.iter().find(|gpu| gpu.ordinal == ordinal);
    gpu.map_or(Ok(()), |gpu| check_free(what, device, estimate, gpu.free_memory))
}

/// [`check_device`] where so many bytes are free.
///
/// # Errors
/// As there.
#[cfg(feature = "candle")]
pub(super) fn check_free(what: &str, device: Device, estimate: &MemoryEstimate, free: u64) -> Result<()> {
    if estimate.fit() <= free {
        return Ok(());
    }
    let (part, bytes) = estimate.largest();
    let way_out = if estimate.options.is_empty() { String::new() } else { format!(", or {}", estimate.options) };
    Err(Error::Memory(format!(
        "{what} on {device} needs {} of its memory, most of it ({}) for {part}; {} is free there; the way out: device cpu{way_out}",
        Bytes(estimate.fit()),
        Bytes(bytes),
        Bytes(free),
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gpu_is_for_networks_for_dense_matrices_in_f32_and_for_steps_of_ials() {
        let gpu = Compute { engine: EngineKind::Candle, device: Device::Cuda(1), ..Compute::default() };
        let check = |kind: ModelKind, options| kind.check_compute(&options, gpu).map_err(|error| error.to_string());
        for kind in [ModelKind::Ease, ModelKind::Edlae, ModelKind::Rdlae, ModelKind::Deql] {
            let name = kind.name();
            assert_eq!(check(kind, json!({ "lambda": 7, "density": 1 })), Ok(()));
            let refused = format!(
                "device is 'cuda:1' for {name} with precision 'f64'; allowed: cpu or auto there, or precision 'f32'"
            );
            assert_eq!(check(kind, json!({ "precision": "f64" })), Err(refused));
            let refused =
                format!("device is 'cuda:1' for {name} with density 0.5; allowed: cpu or auto there, or density 1");
            assert_eq!(check(kind, json!({ "density": 0.5, "precision": "f64" })), Err(refused));
            assert!(check(kind, json!({ "density": 2 })).unwrap_err().starts_with("density is 2"));
        }
        for kind in [ModelKind::RecVae, ModelKind::HVamp] {
            assert_eq!(check(kind, json!({})), Ok(()));
        }
        assert_eq!(check(ModelKind::Als, json!({ "factors": 8 })), Ok(()));
        let refused =
            "device is 'cuda:1' for als with solver 'cholesky'; allowed: cpu or auto there, or solver 'conjugate'";
        assert_eq!(check(ModelKind::Als, json!({ "solver": "cholesky" })), Err(refused.to_owned()));
        for kind in [ModelKind::Popularity, ModelKind::HoEase, ModelKind::Blend] {
            let able = "ease, edlae, rdlae, deql, als, mult-dae, mult-vae, recvae, hvamp";
            let refused = format!("device is 'cuda:1' for {}; allowed: for {able}", kind.name());
            assert_eq!(check(kind, json!({})), Err(refused));
        }
    }

    #[test]
    fn a_run_of_many_models_tells_each_what_it_can_choose() {
        let all = json!({ "engine": "candle", "device": "cuda", "precision": "auto" });
        let among = |kind: ModelKind, options: Value| kind.compute_among(&options, &all).unwrap();
        assert_eq!(among(ModelKind::RecVae, json!({})), all);
        assert_eq!(among(ModelKind::HVamp, json!({})), json!({ "engine": "candle", "device": "cuda" }));
        for kind in [ModelKind::Ease, ModelKind::Edlae, ModelKind::Rdlae, ModelKind::Deql] {
            assert_eq!(among(kind, json!({ "lambda": 3 })), json!({ "device": "cuda" }));
            assert_eq!(among(kind, json!({ "density": 0.5 })), json!({}));
            assert_eq!(among(kind, json!({ "precision": "f64" })), json!({}));
        }
        assert_eq!(among(ModelKind::Als, json!({})), json!({ "device": "cuda" }));
        assert_eq!(among(ModelKind::HoEase, json!({})), json!({}));
        assert_eq!(ModelKind::RecVae.compute_among(&json!({}), &json!({})).unwrap(), json!({}));
        assert!(ModelKind::Ease.compute_among(&json!({ "density": 2 }), &all).is_err());
        assert!(ModelKind::Ease.compute_among(&json!({}), &json!(7)).is_err());
    }

    #[test]
    fn auto_takes_the_processor_where_an_option_keeps_a_model_there() {
        let auto = ComputeOptions { device: "auto".into(), ..ComputeOptions::default() };
        for options in [json!({ "density": 0.5 }), json!({ "precision": "f64" })] {
            assert_eq!(ModelKind::Ease.compute(&options, &auto).unwrap(), Compute::default());
        }
        assert_eq!(ModelKind::Als.compute(&json!({ "solver": "cholesky" }), &auto).unwrap(), Compute::default());
        assert_eq!(ModelKind::HoEase.compute(&json!({}), &auto).unwrap(), Compute::default());
        // A device that is not there is told before what the options say.
        let none = ComputeOptions { device: "cuda:99".into(), ..ComputeOptions::default() };
        let error = ModelKind::Ease.compute(&json!({ "density": 0.5 }), &none).unwrap_err().to_string();
        assert!(error.starts_with("device is 'cuda:99'; allowed: cpu"), "{error}");
    }
}
