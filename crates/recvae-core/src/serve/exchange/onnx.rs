//! A trained autoencoder as a graph of ONNX: `history` of shape `(batch, items)`, a 1 for each item that a user has, to
//! `logits` of the same shape, which are the scores. The batch has any size.
//!
//! What stands before and behind the weights is in the graph: the history is brought to length 1 (an empty one stays
//! 0), and the latent vector is the mean of the posterior, for which the half of Mult-VAE's layer that gives the
//! variance is left out. What a user has already is not taken out of the scores.
//!
//! Operators of set 17, which has LayerNormalization. Metadata of the file: `recvae.model` (kind, options) and
//! `recvae.items` (the ids of the items, a list of JSON in the order of the columns).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message;
use serde_json::{Value, json};

use super::numbers_of;
use crate::base::atomic_file::write_whole;
use crate::base::error::{Error, Result};
use crate::base::memory::check_memory;
use crate::model::{Model, NamedTensor};
use crate::nn::encoder::LAYER_NORM_EPSILON;
use crate::serve::recommender::Recommender;

pub(super) mod proto;

use proto::{
    Attribute, Dimension, Entry, FLOAT, Graph, Node, OperatorSet, Tensor, TensorShape, TensorType, Type, ValueInfo,
};

const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 17;
/// What protocol buffers can hold: lengths are 32-bit numbers with a sign.
const MOST_BYTES: u64 = i32::MAX as u64;
/// A history of this length or less is taken for an empty one.
const SHORTEST: f32 = 1e-12;

/// Layers of RecVAE's encoder before the last one.
const LAYERS: usize = 5;

/// Writes the graph of a model with its ids, whole or not at all.
pub(super) fn write(path: &Path, recommender: &Recommender) -> Result<()> {
    let model = recommender.model();
    let bytes = model.bytes() as u64;
    // Items and the graph itself come to less than their ids and some kilobytes.
    if bytes.saturating_add(recommender.items().bytes() as u64) >= MOST_BYTES {
        let message =
            format!("the model has {bytes} bytes of weights; allowed in an ONNX file: less than {MOST_BYTES}");
        return Err(Error::invalid_data(message));
    }
    // The tensors, their copies in the messages, and those in the file.
    check_memory("the ONNX file", bytes.saturating_mul(3))?;
    let bytes = graph_of(recommender)?.encode_to_vec();
    write_whole(path, |temporary| fs::write(temporary, &bytes).map_err(|e| Error::io("write", path, e)))
}

fn graph_of(recommender: &Recommender) -> Result<proto::Model> {
    let model = recommender.model();
    let items: Vec<&str> = recommender.items().iter().collect();
    let about = json!({ "kind": model.kind().name(), "options": model.options() });
    let entry = |key: &str, value: Value| Entry { key: key.into(), value: value.to_string() };
    Ok(proto::Model {
        ir_version: IR_VERSION,
        producer_name: "recvae".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(Builder::new(model)?.graph(model.n_items())?),
        opset_import: vec![OperatorSet { version: OPERATORS }],
        metadata: vec![entry("recvae.model", about), entry("recvae.items", json!(items))],
    })
}

/// A graph on its way: what a node gives is called by the node's name.
struct Builder<'m> {
    name: &'static str,
    tensors: BTreeMap<String, NamedTensor<'m>>,
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
}

impl<'m> Builder<'m> {
    fn new(model: &'m dyn Model) -> Result<Self> {
        let tensors = model.tensors()?.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        Ok(Self { name: model.kind().name(), tensors, nodes: vec![], constants: vec![] })
    }

    fn graph(mut self, n_items: usize) -> Result<Graph> {
        let encoded = self.encoder()?;
        let latent = if self.tensors.contains_key("decoder.p0.weight") {
            let hidden = self.linear("decoder.p0", &encoded, true, None)?;
            self.node("Tanh", "decoder.hidden", &[&hidden], vec![])
        } else {
            encoded
        };
        let [weight, bias] = ["weight", "bias"].map(|part| format!("decoder.output.{part}"));
        self.constant(&weight, None)?;
        self.constant(&bias, None)?;
        self.node("Gemm", "logits", &[&latent, &weight, &bias], vec![Attribute::int("transB", 1)]);
        let value = |name: &str| ValueInfo { name: name.into(), r#type: Some(users_by(n_items)) };
        Ok(Graph {
            node: self.nodes,
            name: self.name.into(),
            initializer: self.constants,
            input: vec![value("history")],
            output: vec![value("logits")],
        })
    }

    /// From the history to the latent vector.
    fn encoder(&mut self) -> Result<String> {
        let shortest = self.scalar("shortest", SHORTEST);
        let length = self.node("ReduceL2", "length", &["history"], vec![Attribute::ints("axes", &[1])]);
        let length = self.node("Max", "length_above_zero", &[&length, &shortest], vec![]);
        let input = self.node("Div", "input", &["history", &length], vec![]);
        let first = self.linear("encoder.input", &input, false, None)?;
        if self.tensors.contains_key("encoder.fc_mu.weight") {
            let last = self.dense(first)?;
            return self.linear("encoder.fc_mu", &last, true, None);
        }
        let hidden = self.node("Tanh", "encoder.hidden", &[&first], vec![]);
        match self.tensors.get("encoder.q1.bias").map(|bias| bias.data.shape()[0] / 2) {
            None => Ok(hidden),
            Some(latent) => self.linear("encoder.q1", &hidden, true, Some(latent)),
        }
    }

    /// RecVAE's five layers, from what the first one gave.
    fn dense(&mut self, first: String) -> Result<String> {
        let mut before = first;
        let mut sum = String::new();
        for layer in 1..=LAYERS {
            if layer > 1 {
                let linear = self.linear(&format!("encoder.fc{layer}"), &before, true, None)?;
                before = self.node("Add", &format!("encoder.fc{layer}.and_before"), &[&linear, &sum], vec![]);
            }
            let gate = self.node("Sigmoid", &format!("encoder.gate{layer}"), &[&before], vec![]);
            let swish = self.node("Mul", &format!("encoder.swish{layer}"), &[&before, &gate], vec![]);
            let norm = format!("encoder.ln{layer}");
            let [weight, bias] = ["weight", "bias"].map(|part| format!("{norm}.{part}"));
            self.constant(&weight, None)?;
            self.constant(&bias, None)?;
            let epsilon = Attribute::float("epsilon", LAYER_NORM_EPSILON as f32);
            before = self.node("LayerNormalization", &norm, &[&swish, &weight, &bias], vec![epsilon]);
            if layer == 1 {
                sum.clone_from(&before);
            } else if layer < LAYERS {
                sum = self.node("Add", &format!("encoder.sum{layer}"), &[&sum, &before], vec![]);
            }
        }
        Ok(before)
    }

    /// A layer of weights of shape `(outputs, inputs)`, or the other way round, and biases; of the outputs only the
    /// first ones if that is said.
    fn linear(
        &mut self,
        layer: &str,
        input: &str,
        has_rows_of_outputs: bool,
        outputs: Option<usize>,
    ) -> Result<String> {
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{layer}.{part}"));
        self.constant(&weight, outputs)?;
        self.constant(&bias, outputs)?;
        let attributes = if has_rows_of_outputs { vec![Attribute::int("transB", 1)] } else { vec![] };
        Ok(self.node("Gemm", layer, &[input, &weight, &bias], attributes))
    }

    fn node(&mut self, operator: &str, name: &str, inputs: &[&str], attribute: Vec<Attribute>) -> String {
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute,
        });
        name.to_owned()
    }

    /// A tensor of the model, or its first rows.
    fn constant(&mut self, name: &str, rows: Option<usize>) -> Result<()> {
        let tensor = self.tensors.get(name).ok_or_else(|| Error::Internal(format!("no tensor '{name}'")))?;
        let (mut shape, numbers) = (tensor.data.shape().to_vec(), numbers_of(tensor)?);
        let mut n = numbers.len();
        if let Some(rows) = rows {
            n = n / shape[0] * rows;
            shape[0] = rows;
        }
        self.constants.push(tensor_of(name, &shape, &numbers[..n]));
        Ok(())
    }

    fn scalar(&mut self, name: &str, number: f32) -> String {
        self.constants.push(tensor_of(name, &[], &[number]));
        name.to_owned()
    }
}

fn tensor_of(name: &str, shape: &[usize], numbers: &[f32]) -> Tensor {
    Tensor {
        dims: shape.iter().map(|&size| size as i64).collect(),
        data_type: FLOAT,
        name: name.into(),
        raw_data: bytemuck::cast_slice(numbers).to_vec(),
    }
}

/// The type of a matrix with a row for each user of a batch.
fn users_by(n_items: usize) -> Type {
    let batch = Dimension { value: None, param: Some("batch".into()) };
    let items = Dimension { value: Some(n_items as i64), param: None };
    let shape = TensorShape { dim: vec![batch, items] };
    Type { tensor_type: Some(TensorType { elem_type: FLOAT, shape: Some(shape) }) }
}
