//! Which tensor of another program is which parameter of ours.
//!
//! | program | first layer | others |
//! | --- | --- | --- |
//! | RecVAE's authors, PyTorch | `encoder.fc1` | `encoder.ln1`, `encoder.fc2` … `encoder.ln5`, `encoder.fc_mu`, `encoder.fc_logvar`, `decoder`; `prior.…` is for training alone |
//! | Mult-VAE's authors, TensorFlow | `weight_q_0to1`, `bias_q_1` | `weight_q_1to2`, `bias_q_2`, `weight_p_0to1`, `bias_p_1`, `weight_p_1to2`, `bias_p_2` |
//! | the same, Mult-DAE | `weight_0to1`, `bias_1` | `weight_1to2`, `bias_2` |
//! | the PyTorch port of both (vae-cf-pytorch) | `q_layers.0`; Mult-DAE: `layers.0` | `q_layers.1`, `p_layers.0`, `p_layers.1`; Mult-DAE: `layers.1` |
//! | plain PyTorch | `q0` | `q1`, `p0`, `p1` |
//!
//! PyTorch's weights have shape `(outputs, inputs)`, TensorFlow's `(inputs, outputs)`, and ours one row for each item
//! in the layers that touch items, `(outputs, inputs)` in the others.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::weights::Weights;
use super::{ExportFormat, Renamed, Shape, numbers_of, transposed};
use crate::base::error::{Error, Result};
use crate::model::{Model, ModelKind, NamedTensor, TensorSource};

/// The first layer's weights, by whose name a program is recognised: shape `(items, hidden)`.
const INPUT: &str = "encoder.input.weight";
/// The last layer's: shape `(items, width)`.
const OUTPUT: &str = "decoder.output.weight";
/// Mult-VAE's way from the latent vector to the hidden layer: shape `(hidden, latent)`.
const HIDDEN: &str = "decoder.p0.weight";

/// Names of the weights and biases of a program.
pub(super) struct Program {
    /// What it is called in messages.
    pub(super) name: &'static str,
    pub(super) kind: ModelKind,
    parameters: Vec<Parameter>,
    /// Whether a tensor is there for training alone.
    is_of_training: fn(&str) -> bool,
}

/// A parameter of ours under another name.
struct Parameter {
    ours: String,
    theirs: String,
    /// Whether rows there are columns here.
    is_transposed: bool,
}

impl Parameter {
    fn new(ours: impl Into<String>, theirs: impl Into<String>, is_transposed: bool) -> Self {
        Self { ours: ours.into(), theirs: theirs.into(), is_transposed }
    }
}

/// Weights and biases of layers of PyTorch, each of ours beside theirs. Only the first layer's are transposed.
fn torch(layers: &[(&str, &str)]) -> Vec<Parameter> {
    let parameters = layers.iter().flat_map(|(ours, theirs)| {
        ["weight", "bias"].map(|part| {
            let ours = format!("{ours}.{part}");
            let is_transposed = ours == INPUT;
            Parameter::new(ours, format!("{theirs}.{part}"), is_transposed)
        })
    });
    parameters.collect()
}

/// Layers of TensorFlow: ours, the name of the weights, that of the biases. All but the first layer's are transposed.
fn tensorflow(layers: &[(&str, &str, &str)]) -> Vec<Parameter> {
    let parameters = layers.iter().flat_map(|(ours, weight, bias)| {
        let name = format!("{ours}.weight");
        let is_transposed = name != INPUT;
        [Parameter::new(name, *weight, is_transposed), Parameter::new(format!("{ours}.bias"), *bias, false)]
    });
    parameters.collect()
}

/// RecVAE's, whose encoder has the same names in both programs but for the first layer.
fn recvae() -> Vec<Parameter> {
    let dense = ["ln1", "fc2", "ln2", "fc3", "ln3", "fc4", "ln4", "fc5", "ln5", "fc_mu", "fc_logvar"];
    let dense = dense.map(|layer| format!("encoder.{layer}"));
    let layers: Vec<_> = [("encoder.input", "encoder.fc1"), ("decoder.output", "decoder")]
        .into_iter()
        .chain(dense.iter().map(|layer| (&layer[..], &layer[..])))
        .collect();
    torch(&layers)
}

/// What TensorFlow's checkpoints have of Adam, beside the variables.
fn is_of_adam(name: &str) -> bool {
    name.contains("/Adam") || ["beta1_power", "beta2_power", "global_step"].contains(&name)
}

fn none(_: &str) -> bool {
    false
}

pub(super) const RECVAE: &str = "RecVAE by its authors (PyTorch)";
pub(super) const MULT_VAE: &str = "Mult-VAE by its authors (TensorFlow)";
pub(super) const MULT_DAE: &str = "Mult-DAE by its authors (TensorFlow)";
pub(super) const MULT_VAE_PORT: &str = "Mult-VAE in PyTorch (q_layers, p_layers)";
pub(super) const MULT_DAE_PORT: &str = "Mult-DAE in PyTorch (layers)";
const MULT_VAE_PLAIN: &str = "Mult-VAE in PyTorch (q0, q1, p0, p1)";

impl Program {
    fn all() -> [Self; 6] {
        let vae = |[q0, q1, p0, p1]: [&str; 4]| {
            torch(&[("encoder.input", q0), ("encoder.q1", q1), ("decoder.p0", p0), ("decoder.output", p1)])
        };
        [
            Self {
                name: RECVAE,
                kind: ModelKind::RecVae,
                parameters: recvae(),
                is_of_training: |name| name.starts_with("prior."),
            },
            Self {
                name: MULT_VAE,
                kind: ModelKind::MultVae,
                parameters: tensorflow(&[
                    ("encoder.input", "weight_q_0to1", "bias_q_1"),
                    ("encoder.q1", "weight_q_1to2", "bias_q_2"),
                    ("decoder.p0", "weight_p_0to1", "bias_p_1"),
                    ("decoder.output", "weight_p_1to2", "bias_p_2"),
                ]),
                is_of_training: is_of_adam,
            },
            Self {
                name: MULT_DAE,
                kind: ModelKind::MultDae,
                parameters: tensorflow(&[
                    ("encoder.input", "weight_0to1", "bias_1"),
                    ("decoder.output", "weight_1to2", "bias_2"),
                ]),
                is_of_training: is_of_adam,
            },
            Self {
                name: MULT_VAE_PORT,
                kind: ModelKind::MultVae,
                parameters: vae(["q_layers.0", "q_layers.1", "p_layers.0", "p_layers.1"]),
                is_of_training: none,
            },
            Self {
                name: MULT_DAE_PORT,
                kind: ModelKind::MultDae,
                parameters: torch(&[("encoder.input", "layers.0"), ("decoder.output", "layers.1")]),
                is_of_training: none,
            },
            Self {
                name: MULT_VAE_PLAIN,
                kind: ModelKind::MultVae,
                parameters: vae(["q0", "q1", "p0", "p1"]),
                is_of_training: none,
            },
        ]
    }

    fn parameter(&self, ours: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.ours == ours)
    }

    /// The name there of the first layer's weights.
    fn first(&self) -> &str {
        self.parameter(INPUT).map_or("", |parameter| &parameter.theirs)
    }

    /// The program whose names weights have: all of them, and no other.
    pub(super) fn of(weights: &Weights<'_>) -> Result<Self> {
        let Some(program) = Self::all().into_iter().find(|program| weights.has(program.first())) else {
            let known = Self::all().map(|program| format!("'{}' of {}", program.first(), program.name));
            let found = weights.names_in_words();
            return Err(weights.bad(format!("it has {found}; allowed: weights with {}", known.join(", "))));
        };
        let names = || program.parameters.iter().map(|parameter| &parameter.theirs[..]);
        if let Some(missing) = names().find(|name| !weights.has(name)) {
            let message = format!("tensor '{missing}' is missing; allowed: all tensors of {}", program.name);
            return Err(weights.bad(message));
        }
        let is_known = |name: &str| names().any(|known| known == name) || (program.is_of_training)(name);
        if let Some(unknown) = weights.names().find(|name| !is_known(name)) {
            let all: Vec<_> = names().collect();
            let message = format!("tensor '{unknown}' is none of {}; allowed: {}", program.name, all.join(", "));
            return Err(weights.bad(message));
        }
        Ok(program)
    }

    /// The weights under our names.
    pub(super) fn translate<'w>(&'w self, weights: &'w Weights<'w>) -> Result<Translated<'w>> {
        let mut shapes = BTreeMap::new();
        for Parameter { ours, theirs, is_transposed } in &self.parameters {
            let shape = weights.shape(theirs);
            let dimensions = if ours.ends_with(".bias") || ours.contains(".ln") { 1 } else { 2 };
            if shape.len() != dimensions || shape.contains(&0) {
                let message = format!("tensor '{theirs}' has shape {}; allowed: {dimensions} sizes", Shape(shape));
                return Err(weights.bad(format!("{message} of at least 1")));
            }
            let mut shape = shape.to_vec();
            if *is_transposed {
                shape.reverse();
            }
            shapes.insert(&ours[..], shape);
        }
        Ok(Translated { program: self, weights, shapes })
    }

    /// The one for whose names a model is written.
    pub(super) fn to_export(kind: ModelKind, format: ExportFormat) -> Result<Self> {
        let name = match (kind, format) {
            (ModelKind::RecVae, _) => RECVAE,
            (ModelKind::MultVae, ExportFormat::Npz) => MULT_VAE,
            (ModelKind::MultVae, _) => MULT_VAE_PORT,
            (_, ExportFormat::Npz) => MULT_DAE,
            _ => MULT_DAE_PORT,
        };
        let program = Self::all().into_iter().find(|program| program.name == name);
        program.ok_or_else(|| Error::Internal(format!("no program {name}")))
    }

    /// Our tensors under its names, and what its training has beside them.
    pub(super) fn renamed(&self, model: &dyn Model, tensors: &[NamedTensor<'_>]) -> Result<Renamed> {
        let mut all = Renamed::new();
        for tensor in tensors {
            let Some(Parameter { theirs, is_transposed, .. }) = self.parameter(&tensor.name) else {
                // A shallow encoder alone has other parameters.
                let allowed = format!("'dense', the one encoder of {}; or the format onnx", self.name);
                return Err(Error::invalid_argument("encoder", model.options()["encoder"].to_string(), allowed));
            };
            let (mut shape, numbers) = (tensor.data.shape().to_vec(), numbers_of(tensor)?);
            let numbers = if *is_transposed { transposed(numbers, shape[1]) } else { numbers.to_vec() };
            if *is_transposed {
                shape.reverse();
            }
            all.insert(theirs.clone(), (shape, numbers));
        }
        if self.kind == ModelKind::RecVae {
            add_prior(model, &mut all);
        }
        Ok(all)
    }
}

/// What RecVAE's composite prior has, so that its program takes the file as it is: the old encoder is the encoder, as
/// that program's `update_prior` makes it.
fn add_prior(model: &dyn Model, all: &mut Renamed) {
    let latent = all.get("encoder.fc_mu.bias").map_or(0, |(shape, _)| shape[0]);
    let wide = model.options()["wideLogVariance"].as_f64().unwrap_or_default() as f32;
    for (name, value) in [("mu_prior", 0.0), ("logvar_prior", 0.0), ("logvar_uniform_prior", wide)] {
        all.insert(format!("prior.{name}"), (vec![1, latent], vec![value; latent]));
    }
    let encoder = all.iter().filter_map(|(name, tensor)| {
        name.strip_prefix("encoder.").map(|layer| (format!("prior.encoder_old.{layer}"), tensor.clone()))
    });
    let encoder: Vec<_> = encoder.collect();
    all.extend(encoder);
}

/// Weights of another program under our names, of which a model is made.
pub(super) struct Translated<'w> {
    program: &'w Program,
    weights: &'w Weights<'w>,
    /// By our names, in our order of dimensions.
    shapes: BTreeMap<&'w str, Vec<usize>>,
}

impl Translated<'_> {
    fn size(&self, ours: &str, dimension: usize) -> usize {
        self.shapes.get(ours).and_then(|shape| shape.get(dimension)).copied().unwrap_or_default()
    }

    pub(super) fn n_items(&self) -> usize {
        self.size(INPUT, 0)
    }

    /// All options: those given, and those that the weights have, from which the given ones may not differ.
    pub(super) fn options(&self, given: &Value) -> Result<Value> {
        let hidden = self.size(INPUT, 1);
        let latent = match self.program.kind {
            ModelKind::MultVae => self.size(HIDDEN, 1),
            ModelKind::MultDae => hidden,
            _ => self.size(OUTPUT, 1),
        };
        let mut own = Map::from_iter([("latentDim".to_owned(), json!(latent))]);
        if self.program.kind != ModelKind::MultDae {
            own.insert("hiddenDim".to_owned(), json!(hidden));
        }
        if self.program.kind == ModelKind::RecVae {
            own.insert("encoder".to_owned(), json!("dense"));
        }
        let mut options = given.clone();
        let Some(object) = options.as_object_mut() else {
            return Err(Error::invalid_argument("options", given, "an object"));
        };
        for (name, value) in own {
            if let Some(other) = object.get(&name).filter(|other| **other != value) {
                return Err(Error::invalid_argument(name, other, format!("{value}, as the weights have")));
            }
            object.insert(name, value);
        }
        self.program.kind.complete_options(&options)
    }
}

impl TensorSource for Translated<'_> {
    fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(Parameter { theirs, is_transposed, .. }) = self.program.parameter(name) else {
            return Err(Error::Internal(format!("{} has no '{name}'", self.program.name)));
        };
        let found = self.shapes.get(name).map_or(&[][..], |shape| &shape[..]);
        if found != shape {
            let mut allowed = shape.to_vec();
            if *is_transposed {
                allowed.reverse();
            }
            let found = Shape(self.weights.shape(theirs));
            let of = "as the other tensors have it";
            return Err(self
                .weights
                .bad(format!("tensor '{theirs}' has shape {found}; allowed: {}, {of}", Shape(&allowed))));
        }
        let numbers = self.weights.read(theirs)?;
        Ok(if *is_transposed { transposed(&numbers, shape[0]) } else { numbers })
    }

    fn f64(&self, name: &str, _shape: &[usize]) -> Result<Vec<f64>> {
        Err(Error::Internal(format!("'{name}' was asked for in double precision")))
    }

    fn n_bytes(&self) -> Option<u64> {
        let numbers = self.shapes.values().map(|shape| shape.iter().map(|&size| size as u64).product::<u64>());
        Some(numbers.sum::<u64>().saturating_mul(4))
    }
}
