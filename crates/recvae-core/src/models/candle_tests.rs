//! The whole network against a second implementation: plain candle tensors and candle's automatic gradients, in f64, at
//! sizes that cross every seam between tiles, groups and blocks.

use candle_core::{DType, Device, Tensor, Var};

use crate::base::random::Stream;
use crate::math::csr::Csr;
use crate::nn::batch::{Batch, SparseInput};
use crate::nn::encoder::Architecture;
use crate::nn::init::{Init, Scheme};
use crate::nn::latent::{CompositePrior, Prior, Sample};
use crate::nn::network::{Memory, Network, Parameter, Update};
use crate::nn::noise::Purpose;

type Candle<T> = candle_core::Result<T>;

const USERS: usize = 300;
const ITEMS: usize = 2300;
const HIDDEN: usize = 150;
const LATENT: usize = 12;

fn tensor(values: Vec<f64>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A network's parameters as candle variables.
struct Variables(Vec<(String, Var)>);

impl Variables {
    fn of(network: &Network<f64>) -> Self {
        let var = |Parameter { name, shape, values }| (name, Var::from_tensor(&tensor(values, &shape)).unwrap());
        Self(network.export().into_iter().map(var).collect())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0.iter().find(|(other, _)| other == name).unwrap_or_else(|| panic!("{name}")).1.as_tensor()
    }

    fn linear(&self, x: &Tensor, layer: &str) -> Candle<Tensor> {
        let (weight, bias) = (self.get(&format!("{layer}.weight")), self.get(&format!("{layer}.bias")));
        x.matmul(&weight.t()?)?.broadcast_add(bias)
    }

    fn swish_layer_norm(&self, a: &Tensor, layer: usize) -> Candle<Tensor> {
        let s = (a * (a.neg()?.exp()? + 1.0)?.recip()?)?;
        let s = s.broadcast_sub(&s.mean_keepdim(1)?)?;
        let normal = s.broadcast_div(&(s.sqr()?.mean_keepdim(1)? + 0.1)?.sqrt()?)?;
        let get = |part| self.get(&format!("encoder.ln{layer}.{part}"));
        normal.broadcast_mul(get("weight"))?.broadcast_add(get("bias"))
    }

    /// Mean and log variance of dense input rows.
    fn encode(&self, x: &Tensor, dense: bool) -> Candle<(Tensor, Tensor)> {
        let hidden = x.matmul(self.get("encoder.input.weight"))?.broadcast_add(self.get("encoder.input.bias"))?;
        if !dense {
            let both = self.linear(&hidden.tanh()?, "encoder.q1")?;
            return Ok((both.narrow(1, 0, LATENT)?, both.narrow(1, LATENT, LATENT)?));
        }
        let mut outputs = vec![self.swish_layer_norm(&hidden, 1)?];
        for layer in 2..=5 {
            let mut a = self.linear(&outputs[layer - 2], &format!("encoder.fc{layer}"))?;
            for earlier in &outputs {
                a = (a + earlier)?;
            }
            outputs.push(self.swish_layer_norm(&a, layer)?);
        }
        Ok((self.linear(&outputs[4], "encoder.fc_mu")?, self.linear(&outputs[4], "encoder.fc_logvar")?))
    }
}

fn log_normal(z: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Candle<Tensor> {
    ((z - mean)?.sqr()? / log_variance.exp()?)?.add(log_variance)?.affine(-0.5, -0.5 * std::f64::consts::TAU.ln())
}

#[test]
fn loss_and_gradients_agree_with_candle_s() {
    let mut random = Stream::new(11, 0);
    let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.normal()).collect() };
    let (noise, old) = (numbers(USERS * LATENT), numbers(USERS * 2 * LATENT));
    let mut random = Stream::new(12, 0);
    let rows: Vec<Vec<u32>> =
        (0..USERS).map(|_| (0..ITEMS as u32).filter(|_| random.below(40) == 0).collect()).collect();
    let x = Csr::from_rows(&rows, ITEMS).unwrap();
    let histories: Vec<&[u32]> = x.rows().collect();
    let kl_weights: Vec<f64> = histories.iter().map(|history| 0.01 * history.len() as f64).collect();
    let dense_rows = |value: &dyn Fn(usize) -> f64| {
        let mut dense = vec![0.0; USERS * ITEMS];
        for (user, history) in histories.iter().enumerate() {
            history.iter().for_each(|&item| dense[user * ITEMS + item as usize] = value(history.len()));
        }
        tensor(dense, &[USERS, ITEMS])
    };
    let (targets, normalised) = (dense_rows(&|_| 1.0), dense_rows(&|n| 1.0 / (n as f64).sqrt()));

    for (dense_encoder, hidden_decoder) in [(true, false), (false, true)] {
        let architecture = Architecture {
            n_items: ITEMS,
            hidden_dim: HIDDEN,
            latent_dim: LATENT,
            dense_encoder,
            hidden_decoder,
            posterior: true,
        };
        let network = Network::<f64>::new(architecture, &mut Init::new(5, Purpose::Weights, Scheme::Torch));
        let prior = match dense_encoder {
            false => Prior::Standard,
            true => Prior::Composite(CompositePrior { mixture_weights: [0.15, 0.75, 0.1], wide_log_variance: 10.0 }),
        };
        let sample = Sample { noise: noise.clone(), kl_weights: kl_weights.clone(), prior, old: old.clone() };
        let input = SparseInput::clean(x.rows());
        let mut batch = Batch { histories: histories.clone(), input, sample, ..Batch::default() };
        batch.by_item.refill(&batch.input, ITEMS);
        let mut memory = Memory::default();
        let backward = network.backward(&batch, Update::Both, &mut memory);
        let ours = network.gradients(&batch, Update::Both, &memory);

        let variables = Variables::of(&network);
        let loss = || -> Candle<Tensor> {
            let (mean, log_variance) = variables.encode(&normalised, dense_encoder)?;
            let noise = tensor(noise.clone(), &[USERS, LATENT]);
            let z = (&mean + ((&log_variance * 0.5)?.exp()? * noise)?)?;
            let hidden = if hidden_decoder { variables.linear(&z, "decoder.p0")?.tanh()? } else { z.clone() };
            let logits = variables.linear(&hidden, "decoder.output")?;
            let log_sum = logits.log_sum_exp(1)?.unsqueeze(1)?;
            let likelihood = (logits.broadcast_sub(&log_sum)? * &targets)?.sum(1)?;
            let kl = if dense_encoder {
                let old = tensor(old.clone(), &[USERS, 2 * LATENT]);
                let zero = Tensor::zeros_like(&mean)?;
                let parts = [
                    (log_normal(&z, &zero, &zero)?, 0.15),
                    (log_normal(&z, &old.narrow(1, 0, LATENT)?, &old.narrow(1, LATENT, LATENT)?)?, 0.75),
                    (log_normal(&z, &zero, &(&zero + 10.0)?)?, 0.1),
                ];
                let parts: Candle<Vec<Tensor>> = parts.into_iter().map(|(p, w): (Tensor, f64)| p + w.ln()).collect();
                let prior = Tensor::stack(&parts?, 2)?.log_sum_exp(2)?;
                (log_normal(&z, &mean, &log_variance)? - prior)?.sum(1)?
            } else {
                let terms = ((mean.sqr()? + log_variance.exp()?)? - &log_variance)?;
                ((terms - 1.0)? * 0.5)?.sum(1)?
            };
            let kl = (kl * tensor(kl_weights.clone(), &[USERS]))?;
            (kl - likelihood)?.mean_all()
        };
        let loss = loss().unwrap();
        let theirs = loss.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
        // Both are f64 sums of up to 2,300 terms in different orders.
        assert!((backward.kl - backward.log_likelihood - theirs).abs() < 1e-11 * theirs.abs());
        let gradients = loss.backward().unwrap();
        assert_eq!(ours.len(), variables.0.len());
        for (name, var) in &variables.0 {
            let theirs: Vec<f64> = gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let scale = theirs.iter().fold(0f64, |max, value| max.max(value.abs()));
            let worst = ours[name].iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max);
            assert!(scale > 0.0 && worst < 1e-10 * scale, "{name}: off by {worst} of {scale}");
        }
    }
}
