//! The engine of candle tensors: one code path for every device that candle has, gradients by candle itself.
//!
//! The network is that of [`Fused`], from the same parameters and with the same draws of dropout and noise, so that
//! results differ by rounding alone. What is sparse stays so: the input layer gathers the rows of a batch's items and
//! sums them by user, and no dense batch is made. Gradients of the two layers that touch items are dense, as candle
//! makes them, and Adam walks over them; that and the temporary tensors of every operation are the price: on a
//! processor [`Fused`] takes about a fifth of the time and a third of the memory (`benches/engines.mjs`).
//!
//! On a GPU ([`compute::Device::Cuda`]) the interactions lie there, and a step sends little more than the numbers of
//! its users: rows are gathered, dropout and noise are drawn, the sparse layers and Adam are computed by operations of
//! our own ([`ops`]), whose plain forms are tested on the processor against the ones here. Losses stay there, too,
//! until many are fetched at once: a step waits for nothing. Then a loss that is not finite is found only after later
//! steps, and the training ends all the same.
//!
//! candle 0.11.1 gives no gradient, and no error, for `LayerNorm` with a bias, `softmax_last_dim`, rounding and casts
//! to whole numbers; what is used here is built of operations that have one, and the tests compare every parameter's.
//!
//! Sources: those of [`Encoder`](super::encoder::Encoder), [`Prior`] and [`adam`](super::adam).

use std::marker::PhantomData;

use candle_core::{DType, Device, Tensor, Var, WithDType};
use ndarray::ArrayViewMut2;

use self::kernels::Kernels;
use self::ops::{ABSENT, Adam, Entries, InputSums, LogLikelihood, Normals, Rows};

use super::adam::{BETA_1, BETA_2, EPSILON};
use super::batch::{Batch, Draw, SparseInput};
use super::encoder::{Architecture, LAYER_NORM_EPSILON};
use super::engine::{Engine, ItemLayer, KeptEngine};
use super::fused::Fused;
use super::init::Init;
use super::latent::{CompositePrior, Prior};
use super::network::{Loss, Network, Parameter, Update};
use super::state::State;
use crate::base::cancel::Cancel;
use crate::base::compute::{self, Compute, EngineKind, TrainingPrecision};
use crate::base::error::{Error, Result};
use crate::base::matrix::{row_major_mut, view2_mut};
use crate::base::tensors::{Candle, IntoCore, open};
use crate::evaluate::scorer::{ListFinder, Scorer, checked};
use crate::math::csr::Csr;
use crate::math::real::Real;

mod kernels;
mod lists;
// Without CUDA their plain forms alone are used, by tests.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, unused_imports))]
mod ops;

/// Steps whose losses are fetched at once from a GPU.
const AT_ONCE: usize = 64;

/// A parameter with its moments, and room for copies of the three on the host.
struct Trained<T> {
    name: String,
    shape: Vec<usize>,
    value: Var,
    first: Tensor,
    second: Tensor,
    host: [Vec<T>; 3],
}

impl<T> Trained<T> {
    fn is_encoder(&self) -> bool {
        self.name.starts_with("encoder.")
    }

    /// Whether its squares are penalised: the weights that belong to items.
    fn is_item_weight(&self) -> bool {
        [ItemLayer::EncoderInput, ItemLayer::DecoderOutput].iter().any(|layer| layer.weight() == self.name)
    }
}

/// Parameters, moments and old posteriors on a device.
pub(crate) struct CandleEngine<T> {
    architecture: Architecture,
    place: compute::Device,
    device: Device,
    parameters: Vec<Trained<T>>,
    learning_rate: f64,
    lambda: f64,
    encoder_steps: u64,
    decoder_steps: u64,
    /// Shape `(n_users, 2 latent)`.
    old: Option<Tensor>,
    old_host: Vec<T>,
    /// Instead of candle's operations.
    own: Option<Own>,
    /// Losses of steps that nobody has fetched yet.
    pending: Vec<Parts>,
}

/// What operations of our own need.
struct Own {
    kernels: Kernels,
    /// The items of all interactions, and where each user's begin among them; none of a training whose batches bring
    /// theirs.
    interactions: Option<(Tensor, Vec<u32>)>,
}

/// A batch as operations of our own take it.
struct BatchRows {
    /// What dropout has left, and the whole histories, whose values are the numbers of their items.
    input: Rows,
    target: Rows,
    /// Standard normal numbers, if they were drawn here.
    noise: Option<Tensor>,
}

/// What an encoder is given.
enum Input<'a, T> {
    Lists(&'a SparseInput<T>),
    Rows(&'a Rows),
}

/// The loss of a batch, on the device.
struct Parts {
    log_likelihood: Tensor,
    kl: Option<Tensor>,
}

impl Parts {
    fn fetch(&self) -> Candle<Loss> {
        Ok(Loss { log_likelihood: number(&self.log_likelihood)?, kl: self.kl.as_ref().map_or(Ok(0.0), number)? })
    }
}

/// Which parameters a loss is differentiated by.
struct View<'a, T> {
    engine: &'a CandleEngine<T>,
    update: Option<Update>,
}

impl<T: Real + WithDType> CandleEngine<T> {
    /// What the engine of the processor begins with, on a device.
    pub(crate) fn new(fused: Fused<T>, place: compute::Device) -> Result<Self> {
        let device = open(place)?;
        let Fused { network, optimiser, old, .. } = fused;
        let (learning_rate, lambda) = optimiser.settings();
        drop(optimiser);
        let tensor = |values: Vec<T>, shape: &[usize]| Tensor::from_vec(values, shape, &device);
        let trained = |parameter: Parameter<T>| -> Candle<Trained<T>> {
            let (name, shape) = (parameter.name.clone(), parameter.values.shape().to_vec());
            let value = Var::from_tensor(&tensor(parameter.into_values(), &shape)?)?;
            let zeros = || Tensor::zeros(&shape[..], T::DTYPE, &device);
            let (first, second) = (zeros()?, zeros()?);
            Ok(Trained { name, shape, value, first, second, host: Default::default() })
        };
        let parameters = network.export().into_iter().map(trained).collect::<Candle<_>>().core()?;
        let architecture = network.architecture;
        drop(network);
        let old = old.map(|mut old| {
            let rows = old.rows_mut();
            let shape = rows.dim();
            Tensor::from_slice(row_major_mut(rows), shape, &device)
        });
        Ok(Self {
            place,
            architecture,
            parameters,
            learning_rate,
            lambda,
            encoder_steps: 0,
            decoder_steps: 0,
            old: old.transpose().core()?,
            old_host: vec![],
            own: None,
            pending: vec![],
            device,
        })
    }

    /// The same with the interactions on the device and with operations of our own, which a GPU has in f32.
    pub(crate) fn with_own_operations(mut self, train: &Csr) -> Result<Self> {
        let kernels = Kernels::on(&self.device).core()?;
        let starts: Option<Vec<u32>> = train.indptr().iter().map(|&start| u32::try_from(start).ok()).collect();
        let Some(starts) = starts else {
            let got = format!("'{}' for {} interactions", self.place, train.nnz());
            return Err(Error::invalid_argument("device", got, "cpu for more than 4,294,967,295 of them"));
        };
        // There is no tensor without numbers on a GPU.
        let items = if train.nnz() == 0 { vec![ABSENT] } else { train.indices().to_vec() };
        let items = self.indices(items).core()?;
        self.own = Some(Own { kernels, interactions: Some((items, starts)) });
        Ok(self)
    }

    fn find(&self, name: &str) -> Result<&Trained<T>> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name);
        found.ok_or_else(|| Error::Internal(format!("no parameter '{name}'")))
    }

    fn tensor(&self, values: &[T], shape: &[usize]) -> Candle<Tensor> {
        Tensor::from_slice(values, shape, &self.device)
    }

    /// Indices of users, items or places.
    fn indices<N: WithDType>(&self, values: Vec<N>) -> Candle<Tensor> {
        let n = values.len();
        Tensor::from_vec(values, n, &self.device)
    }

    /// Nothing is differentiated.
    fn view(&self, update: Option<Update>) -> View<'_, T> {
        View { engine: self, update }
    }

    /// Of clean histories, what the encoder gives: shape `(histories.len(), encoded)`.
    fn encode(&self, histories: &[&[u32]]) -> Candle<Tensor> {
        let input = SparseInput::clean(histories.iter().copied());
        match &self.own {
            None => self.view(None).encode(&Input::Lists(&input)),
            Some(_) => self.view(None).encode(&Input::Rows(&self.rows(&input)?)),
        }
    }

    /// Sparse rows of the host on the device.
    fn rows(&self, input: &SparseInput<T>) -> Candle<Rows> {
        let values = self.tensor(&input.values, &[input.n_rows()])?;
        self.rows_of(input.indices.clone(), input.ends.iter().copied(), values)
    }

    /// The same of entries, where each row's end, and the rows' values.
    fn rows_of(&self, mut entries: Vec<u32>, ends: impl Iterator<Item = usize>, values: Tensor) -> Candle<Rows> {
        // There is no tensor without numbers on a GPU.
        if entries.is_empty() {
            entries.push(ABSENT);
        }
        let n_rows = values.elem_count();
        Ok(Rows { entries: self.indices(entries)?, offsets: self.offsets(ends)?, values, n_rows })
    }

    /// 0 and where each row ends.
    fn offsets(&self, ends: impl Iterator<Item = usize>) -> Candle<Tensor> {
        let all: Option<Vec<u32>> = std::iter::once(0).chain(ends).map(|end| u32::try_from(end).ok()).collect();
        match all {
            Some(all) => self.indices(all),
            None => candle_core::bail!("a batch of more than 4,294,967,295 interactions; take a smaller batchSize"),
        }
    }

    /// A batch on the device: drawn there, or as the host has drawn it.
    fn batch_rows(&self, own: &Own, batch: &Batch<'_, T>) -> Candle<BatchRows> {
        let Batch { users, histories, input, draw, .. } = batch;
        let ends = || {
            histories.iter().scan(0, |end, history| {
                *end += history.len();
                Some(*end)
            })
        };
        let counts: Vec<T> = histories.iter().map(|history| Real::from_f64(history.len() as f64)).collect();
        let counts = self.tensor(&counts, &[users.len()])?;
        let (Some(draw), Some((items, starts))) = (draw, &own.interactions) else {
            let target = self.rows_of(histories.concat(), ends(), counts)?;
            return Ok(BatchRows { input: self.rows(input)?, target, noise: None });
        };
        let &Draw { seed, pass, rate } = draw;
        let of = self.indices(users.iter().map(|&user| user as u32).collect())?;
        let starts = self.indices(users.iter().map(|&user| starts[user]).collect())?;
        let offsets = self.offsets(ends())?;
        let n_entries = ends().last().unwrap_or(0).max(1);
        let entries = |rate| {
            let (kernels, users, starts, offsets) = (own.kernels.clone(), of.clone(), starts.clone(), offsets.clone());
            items.apply_op1_no_bwd(&Entries { kernels, users, starts, offsets, n_entries, seed, pass, rate })
        };
        let whole = entries(0.0)?;
        let kept = if rate > 0.0 { entries(rate)? } else { whole.clone() };
        let scales: Vec<T> = histories.iter().map(|history| SparseInput::value(history.len(), rate)).collect();
        let scales = self.tensor(&scales, &[users.len()])?;
        let Architecture { posterior, latent_dim, .. } = self.architecture;
        let noise = || {
            let kernels = own.kernels.clone();
            of.apply_op1_no_bwd(&Normals::<T> { kernels, latent_dim, seed, pass, of: PhantomData })
        };
        let rows = |entries, values| Rows { entries, offsets: offsets.clone(), values, n_rows: users.len() };
        Ok(BatchRows {
            input: rows(kept, scales),
            target: rows(whole, counts),
            noise: posterior.then(noise).transpose()?,
        })
    }

    /// One step of Adam in place.
    fn adam_in_place(&self, own: &Own, parameter: &Trained<T>, gradient: &Tensor, step: u64) -> Candle<()> {
        let power = |beta: f64| 1.0 - beta.powf(step as f64);
        let pull = if parameter.is_item_weight() { 2.0 * self.lambda } else { 0.0 };
        let (gradient, value) = (gradient.contiguous()?, parameter.value.as_tensor());
        let adam = |update| Adam::<T> { kernels: own.kernels.clone(), update, of: PhantomData };
        let share = 1.0 - BETA_1;
        parameter.first.inplace_op3(&gradient, value, &adam(ops::Update::First { pull, share }))?;
        let second = ops::Update::Second { pull, keep: BETA_2, share: 1.0 - BETA_2 };
        parameter.second.inplace_op3(&gradient, value, &adam(second))?;
        let (rate, scale) = (self.learning_rate / power(BETA_1), power(BETA_2).sqrt());
        let last = ops::Update::Value { rate, scale, epsilon: EPSILON };
        value.inplace_op3(&parameter.first, &parameter.second, &adam(last))
    }

    /// One step of Adam on a parameter.
    fn adam(&self, parameter: &Trained<T>, gradient: &Tensor, step: u64) -> Candle<[Tensor; 3]> {
        let value = parameter.value.as_detached_tensor();
        let pull = if parameter.is_item_weight() { 2.0 * self.lambda } else { 0.0 };
        let gradient = if pull > 0.0 { (gradient + (&value * pull)?)? } else { gradient.clone() };
        adam([&value, &parameter.first, &parameter.second], &gradient, self.learning_rate, step)
    }

    /// A step of all parameters that the update reaches. Those of the input layer are not in the loss of a batch
    /// without items: their gradient is 0 then, and momentum moves them all the same.
    fn step_by(&mut self, loss: &Tensor, update: Update, has_items: bool) -> Candle<()> {
        let gradients = loss.backward()?;
        self.encoder_steps += u64::from(update.encoder());
        self.decoder_steps += u64::from(update.decoder());
        for at in 0..self.parameters.len() {
            let parameter = &self.parameters[at];
            let (reached, step) = match parameter.is_encoder() {
                true => (update.encoder(), self.encoder_steps),
                false => (update.decoder(), self.decoder_steps),
            };
            if !reached {
                continue;
            }
            let gradient = match gradients.get(&parameter.value) {
                Some(gradient) => gradient.detach(),
                None if !has_items && parameter.name == ItemLayer::EncoderInput.weight() => {
                    parameter.first.zeros_like()?
                }
                None => candle_core::bail!("no gradient of '{}'", parameter.name),
            };
            if let Some(own) = &self.own {
                self.adam_in_place(own, parameter, &gradient, step)?;
                continue;
            }
            let [value, first, second] = self.adam(parameter, &gradient, step)?;
            let parameter = &mut self.parameters[at];
            parameter.value.set(&value.detach())?;
            (parameter.first, parameter.second) = (first.detach(), second.detach());
        }
        Ok(())
    }

    /// Overwrites the old posteriors of some users.
    fn put(&self, users: &[usize], posterior: &Tensor) -> Candle<()> {
        let Some(old) = &self.old else { return Ok(()) };
        let places = self.indices(users.iter().map(|&user| user as u32).collect())?;
        let places = places.unsqueeze(1)?.broadcast_as(posterior.shape())?.contiguous()?;
        old.scatter_set(&places, posterior, 0)
    }
}

impl<T: Real + WithDType> View<'_, T> {
    /// A parameter, as a variable if the step updates it.
    fn get(&self, name: &str) -> Candle<Tensor> {
        let parameter = self.engine.find(name).map_err(candle_core::Error::wrap)?;
        let updated = self.update.is_some_and(|update| match parameter.is_encoder() {
            true => update.encoder(),
            false => update.decoder(),
        });
        Ok(if updated { parameter.value.as_tensor().clone() } else { parameter.value.as_detached_tensor() })
    }

    fn linear(&self, x: &Tensor, layer: &str) -> Candle<Tensor> {
        let (weight, bias) = (self.get(&format!("{layer}.weight"))?, self.get(&format!("{layer}.bias"))?);
        x.matmul(&weight.t()?)?.broadcast_add(&bias)
    }

    fn swish_layer_norm(&self, a: &Tensor, layer: usize) -> Candle<Tensor> {
        let s = (a * (a.neg()?.exp()? + 1.0)?.recip()?)?;
        let s = s.broadcast_sub(&s.mean_keepdim(1)?)?;
        let normal = s.broadcast_div(&(s.sqr()?.mean_keepdim(1)? + LAYER_NORM_EPSILON)?.sqrt()?)?;
        let get = |part| self.get(&format!("encoder.ln{layer}.{part}"));
        normal.broadcast_mul(&get("weight")?)?.broadcast_add(&get("bias")?)
    }

    /// The input layer: the rows of each user's items, summed and scaled, shape `(users, hidden)`.
    fn hidden(&self, input: &Input<'_, T>) -> Candle<Tensor> {
        let weight = self.get(ItemLayer::EncoderInput.weight())?;
        let sums = match (input, &self.engine.own) {
            (Input::Rows(rows), Some(own)) => {
                let (kernels, rows) = (own.kernels.clone(), (*rows).clone());
                weight.apply_op1(InputSums::<T> { kernels, rows, of: PhantomData })?
            }
            (Input::Lists(lists), _) => self.sums(lists, &weight)?,
            (Input::Rows(_), None) => candle_core::bail!("rows on a device without operations for them"),
        };
        sums.broadcast_add(&self.get("encoder.input.bias")?)
    }

    /// The same without the bias, by candle's operations.
    fn sums(&self, input: &SparseInput<T>, weight: &Tensor) -> Candle<Tensor> {
        let (engine, n) = (self.engine, input.n_rows());
        let zeros = Tensor::zeros((n, engine.architecture.hidden_dim), T::DTYPE, &engine.device)?;
        let sums = if input.indices.is_empty() {
            zeros
        } else {
            let items = engine.indices(input.indices.clone())?;
            let users = (0..n).flat_map(|user| std::iter::repeat_n(user as u32, input.row(user).len())).collect();
            zeros.index_add(&engine.indices(users)?, &weight.index_select(&items, 0)?, 0)?
        };
        sums.broadcast_mul(&engine.tensor(&input.values, &[n, 1])?)
    }

    /// Mean and log variance side by side, or the latent vectors.
    fn encode(&self, input: &Input<'_, T>) -> Candle<Tensor> {
        let hidden = self.hidden(input)?;
        let Architecture { dense_encoder, posterior, .. } = self.engine.architecture;
        if !dense_encoder {
            let hidden = hidden.tanh()?;
            return if posterior { self.linear(&hidden, "encoder.q1") } else { Ok(hidden) };
        }
        let mut outputs = vec![self.swish_layer_norm(&hidden, 1)?];
        for layer in 2..=5 {
            let mut a = self.linear(&outputs[layer - 2], &format!("encoder.fc{layer}"))?;
            for earlier in &outputs {
                a = (a + earlier)?;
            }
            outputs.push(self.swish_layer_norm(&a, layer)?);
        }
        Tensor::cat(&[self.linear(&outputs[4], "encoder.fc_mu")?, self.linear(&outputs[4], "encoder.fc_logvar")?], 1)
    }

    /// Logits of latent vectors, shape `(users, n_items)`.
    fn logits(&self, z: &Tensor) -> Candle<Tensor> {
        if self.engine.architecture.hidden_decoder {
            return self.linear(&self.linear(z, "decoder.p0")?.tanh()?, "decoder.output");
        }
        self.linear(z, "decoder.output")
    }

    /// Multinomial log-likelihood of each user's history, shape `(users,)`.
    fn log_likelihood(&self, z: &Tensor, histories: &[&[u32]], rows: Option<&BatchRows>) -> Candle<Tensor> {
        let (engine, n_items) = (self.engine, self.engine.architecture.n_items);
        let logits = self.logits(z)?;
        if let (Some(rows), Some(own)) = (rows, &engine.own) {
            let (kernels, rows) = (own.kernels.clone(), rows.target.clone());
            let log_sums = logits.detach().log_sum_exp(1)?.contiguous()?;
            return logits.apply_op1(LogLikelihood::<T> { kernels, rows, log_sums, of: PhantomData });
        }
        let counts: Vec<T> = histories.iter().map(|history| Real::from_f64(history.len() as f64)).collect();
        let rest = (logits.log_sum_exp(1)? * engine.tensor(&counts, &[histories.len()])?)?.neg()?;
        let places = |user: usize| histories[user].iter().map(move |&item| (user * n_items + item as usize) as i64);
        let places: Vec<i64> = (0..histories.len()).flat_map(places).collect();
        if places.is_empty() {
            return Ok(rest);
        }
        let users = (0..histories.len()).flat_map(|user| std::iter::repeat_n(user as u32, histories[user].len()));
        let own = logits.flatten_all()?.index_select(&engine.indices(places)?, 0)?;
        rest.index_add(&engine.indices(users.collect::<Vec<u32>>())?, &own, 0)
    }

    /// The unweighted KL term of each user, shape `(users,)`; see [`Prior`].
    fn kl(&self, batch: &Batch<'_, T>, [mean, log_variance, z]: [&Tensor; 3]) -> Candle<Option<Tensor>> {
        match batch.sample.prior {
            Prior::Free => Ok(None),
            Prior::Standard => {
                let terms = ((mean.sqr()? + log_variance.exp()?)? - log_variance)?;
                ((terms - 1.0)? * 0.5)?.sum(1).map(Some)
            }
            Prior::Composite(CompositePrior { mixture_weights: [standard, old, wide], wide_log_variance }) => {
                let Some(rows) = &self.engine.old else {
                    candle_core::bail!("a composite prior without old posteriors")
                };
                let users = self.engine.indices(batch.users.iter().map(|&user| user as u32).collect())?;
                let there = rows.index_select(&users, 0)?;
                let latent = self.engine.architecture.latent_dim;
                let zero = Tensor::zeros_like(mean)?;
                // A part of weight 0 is not there: its logarithm has no gradient that is a number.
                let parts = [
                    (standard, zero.clone(), zero.clone()),
                    (old, there.narrow(1, 0, latent)?, there.narrow(1, latent, latent)?),
                    (wide, zero.clone(), (&zero + wide_log_variance)?),
                ];
                let parts = parts.into_iter().filter(|(weight, ..)| *weight > 0.0);
                let parts =
                    parts.map(|(weight, mean, log_variance)| log_normal(z, &mean, &log_variance)? + weight.ln());
                let prior = Tensor::stack(&parts.collect::<Candle<Vec<_>>>()?, 2)?.log_sum_exp(2)?;
                (log_normal(z, mean, log_variance)? - prior)?.sum(1).map(Some)
            }
        }
    }

    /// The loss of a batch as a tensor and in parts, and the posteriors.
    fn loss(&self, batch: &Batch<'_, T>) -> Candle<(Tensor, Parts, Tensor)> {
        let (engine, n) = (self.engine, batch.histories.len());
        let Architecture { latent_dim: latent, posterior, .. } = engine.architecture;
        let rows = engine.own.as_ref().map(|own| engine.batch_rows(own, batch)).transpose()?;
        let encoded = self.encode(&match &rows {
            Some(rows) => Input::Rows(&rows.input),
            None => Input::Lists(&batch.input),
        })?;
        let (z, kl) = if posterior {
            let (mean, log_variance) = (encoded.narrow(1, 0, latent)?, encoded.narrow(1, latent, latent)?);
            let noise = match rows.as_ref().and_then(|rows| rows.noise.clone()) {
                Some(drawn) => drawn,
                None => engine.tensor(&batch.sample.noise, &[n, latent])?,
            };
            let z = (&mean + ((&log_variance * 0.5)?.exp()? * noise)?)?;
            let kl = self.kl(batch, [&mean, &log_variance, &z])?;
            (z, kl)
        } else {
            (encoded.clone(), None)
        };
        let weights = engine.tensor(&batch.sample.kl_weights, &[n])?;
        let kl = kl.map(|kl| (kl * weights)?.mean_all()).transpose()?;
        let log_likelihood = self.log_likelihood(&z, &batch.histories, rows.as_ref())?.mean_all()?;

        let parts = Parts { log_likelihood: log_likelihood.detach(), kl: kl.as_ref().map(candle_core::Tensor::detach) };
        let loss = match kl {
            Some(kl) => (kl - log_likelihood)?,
            None => log_likelihood.neg()?,
        };
        Ok((loss, parts, encoded))
    }
}

/// A parameter and its two moments after step number `step` of Adam; rounding and order of operations as in
/// [`super::adam`], but that the smallest moments stay what they are.
pub(crate) fn adam(
    [value, first, second]: [&Tensor; 3],
    gradient: &Tensor,
    learning_rate: f64,
    step: u64,
) -> Candle<[Tensor; 3]> {
    let power = |beta: f64| 1.0 - beta.powf(step as f64);
    let first = (first + ((gradient - first)? * (1.0 - BETA_1))?)?;
    let second = ((second * BETA_2)? + (gradient.sqr()? * (1.0 - BETA_2))?)?;
    let root = ((second.sqrt()? / power(BETA_2).sqrt())? + EPSILON)?;
    let value = (value - ((&first * (learning_rate / power(BETA_1)))? / root)?)?;
    Ok([value, first, second])
}

/// The log density of a normal of one coordinate.
fn log_normal(z: &Tensor, mean: &Tensor, log_variance: &Tensor) -> Candle<Tensor> {
    ((z - mean)?.sqr()? / log_variance.exp()?)?.add(log_variance)?.affine(-0.5, -0.5 * std::f64::consts::TAU.ln())
}

fn number(tensor: &Tensor) -> Candle<f64> {
    tensor.to_dtype(DType::F64)?.to_scalar()
}

pub(crate) fn to_host<T: WithDType>(tensor: &Tensor) -> Candle<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
}

impl<T: Real + WithDType> Engine<T> for CandleEngine<T> {
    fn compute(&self) -> Compute {
        Compute { engine: EngineKind::Candle, device: self.place, precision: TrainingPrecision::F32 }
    }

    fn architecture(&self) -> Architecture {
        self.architecture
    }

    fn draws(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.interactions.is_some())
    }

    fn step(&mut self, batch: &mut Batch<'_, T>, update: Update, renew: bool) -> Result<Option<Loss>> {
        let (loss, parts, posterior) = self.view(Some(update)).loss(batch).core()?;
        let waits = self.own.is_none();
        let known = if waits { Some(parts.fetch().core()?) } else { None };
        if known.is_none_or(|known| known.is_finite()) {
            // An operation of our own has a gradient without items, too.
            let has_items = !waits || !batch.input.indices.is_empty();
            self.step_by(&loss, update, has_items).core()?;
            if renew {
                self.put(&batch.users, &posterior.detach()).core()?;
            }
        }
        if !waits {
            self.pending.push(parts);
        }
        Ok(known)
    }

    fn losses(&mut self, all: bool) -> Result<Vec<Loss>> {
        if self.pending.is_empty() || (!all && self.pending.len() < AT_ONCE) {
            return Ok(vec![]);
        }
        let pending = std::mem::take(&mut self.pending);
        let fetch = || {
            let one_by_one: Vec<Tensor> = pending
                .iter()
                .map(|Parts { log_likelihood, kl }| {
                    let kl = kl.clone().map_or_else(|| log_likelihood.zeros_like(), Ok)?;
                    Tensor::stack(&[log_likelihood.clone(), kl], 0)
                })
                .collect::<Candle<_>>()?;
            Tensor::stack(&one_by_one, 0)?.to_dtype(DType::F64)?.to_vec2::<f64>()
        };
        let losses = fetch().core()?;
        Ok(losses.into_iter().map(|pair| Loss { log_likelihood: pair[0], kl: pair[1] }).collect())
    }

    fn renew(&mut self, train: &Csr, batch_size: usize, cancel: &Cancel) -> Result<()> {
        if self.old.is_none() {
            return Ok(());
        }
        let users: Vec<usize> = (0..train.n_rows()).collect();
        for users in users.chunks(batch_size) {
            cancel.check()?;
            let histories: Vec<&[u32]> = users.iter().map(|&user| train.row(user)).collect();
            self.encode(&histories).and_then(|posterior| self.put(users, &posterior)).core()?;
        }
        Ok(())
    }

    fn replace_items(
        &mut self,
        layer: ItemLayer,
        replace: &mut dyn FnMut(ArrayViewMut2<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let parameter = self.find(layer.weight())?;
        let mut weight = to_host::<T>(parameter.value.as_tensor()).core()?;
        replace(view2_mut(&mut weight, (parameter.shape[0], parameter.shape[1])))?;
        self.tensor(&weight, &parameter.shape).and_then(|weight| parameter.value.set(&weight)).core()
    }

    fn is_finite(&self) -> Result<bool> {
        for parameter in &self.parameters {
            // 0 times what is no finite number is none either.
            let zeros = parameter.value.as_detached_tensor() * 0.0;
            if zeros.and_then(|zeros| number(&zeros.sum_all()?)).core()?.is_nan() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn export(&self) -> Result<Vec<Parameter<T>>> {
        let copy = |parameter: &Trained<T>| {
            let values = to_host(parameter.value.as_tensor()).core()?;
            Ok(Parameter::new(&parameter.name, &parameter.shape, values))
        };
        self.parameters.iter().map(copy).collect()
    }

    fn into_network(self, parameters: Option<Vec<Parameter<T>>>) -> Result<Network<T>> {
        let parameters = parameters.map_or_else(|| self.export(), Ok)?;
        let mut network = Network::new(self.architecture, &mut Init::zeros());
        drop(self);
        network.take(parameters)?;
        Ok(network)
    }
}

impl KeptEngine for CandleEngine<f32> {
    fn scorer(&self) -> &dyn Scorer {
        self
    }

    fn state<'a>(&'a mut self, state: &mut State<'a>) {
        state.add("adam.encoder.steps", &mut self.encoder_steps);
        state.add("adam.decoder.steps", &mut self.decoder_steps);
        for Trained { name, shape, host, .. } in &mut self.parameters {
            let n = shape.iter().product();
            for (values, what) in host.iter_mut().zip(["", ".first", ".second"]) {
                values.resize(n, 0.0);
                let name = if what.is_empty() { name.clone() } else { format!("adam.{name}{what}") };
                state.add(name, &mut values[..]);
            }
        }
        if let Some(old) = &self.old {
            self.old_host.resize(old.elem_count(), 0.0);
            state.add("old_posterior", &mut self.old_host[..]);
        }
    }

    fn to_host(&mut self) -> Result<()> {
        for Trained { value, first, second, host, .. } in &mut self.parameters {
            *host = [to_host(value.as_tensor()).core()?, to_host(first).core()?, to_host(second).core()?];
        }
        if let Some(old) = &self.old {
            self.old_host = to_host(old).core()?;
        }
        Ok(())
    }

    fn drop_host(&mut self) {
        self.parameters.iter_mut().for_each(|parameter| parameter.host = Default::default());
        self.old_host = vec![];
    }

    fn take_host(&mut self) -> Result<()> {
        for Trained { shape, value, first, second, host, .. } in &mut self.parameters {
            let tensor = |values: &mut Vec<f32>| Tensor::from_vec(std::mem::take(values), &shape[..], &self.device);
            let [own, one, two] = host;
            tensor(own).and_then(|own| value.set(&own)).core()?;
            (*first, *second) = (tensor(one).core()?, tensor(two).core()?);
        }
        if let Some(old) = &mut self.old {
            *old = Tensor::from_vec(std::mem::take(&mut self.old_host), old.shape().clone(), &self.device).core()?;
        }
        Ok(())
    }
}

impl CandleEngine<f32> {
    /// The scores of histories, shape `(histories.len(), n_items)`.
    fn scores_of(&self, histories: &[&[u32]]) -> Candle<Tensor> {
        let Architecture { posterior, latent_dim, .. } = self.architecture;
        let encoded = self.encode(histories)?;
        let means = if posterior { encoded.narrow(1, 0, latent_dim)? } else { encoded };
        self.view(None).logits(&means)
    }
}

impl Scorer for CandleEngine<f32> {
    fn n_items(&self) -> usize {
        self.architecture.n_items
    }

    fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        let scores = checked(histories, self.architecture.n_items, scores)?;
        scores.copy_from_slice(&self.scores_of(histories).and_then(|scores| to_host(&scores)).core()?);
        Ok(())
    }

    fn list_finder(&self) -> Option<&dyn ListFinder> {
        // The processor has all scores at hand anyway.
        self.own.as_ref().map(|_| self as &dyn ListFinder)
    }
}

#[cfg(test)]
impl<T: Real + WithDType> CandleEngine<T> {
    /// The entries of a batch after dropout, those of a row behind those of the one before, and the noise, as they were
    /// drawn.
    #[allow(clippy::unwrap_used)] // clippy knows tests by cfg(test) alone
    pub(crate) fn drawn(&self, batch: &Batch<'_, T>) -> (Vec<u32>, Vec<T>) {
        let rows = self.batch_rows(self.own.as_ref().unwrap(), batch).unwrap();
        let entries: Vec<u32> = rows.input.entries.to_vec1().unwrap();
        let kept = entries.into_iter().filter(|&entry| entry != ABSENT).collect();
        (kept, rows.noise.map_or(vec![], |noise| to_host(&noise).unwrap()))
    }

    /// The loss of a batch and the gradient of every parameter that the update reaches, by its name.
    pub(crate) fn gradients(
        &self,
        batch: &Batch<'_, T>,
        update: Update,
    ) -> Result<(Loss, std::collections::BTreeMap<String, Vec<T>>)> {
        let (loss, parts, _) = self.view(Some(update)).loss(batch).core()?;
        let parts = parts.fetch().core()?;
        let gradients = loss.backward().core()?;
        let reached = self.parameters.iter().filter(|parameter| match parameter.is_encoder() {
            true => update.encoder(),
            false => update.decoder(),
        });
        let gradient = |parameter: &Trained<T>| match gradients.get(&parameter.value) {
            Some(gradient) => Ok((parameter.name.clone(), to_host(gradient).core()?)),
            None => Err(Error::Internal(format!("no gradient of '{}'", parameter.name))),
        };
        Ok((parts, reached.map(gradient).collect::<Result<_>>()?))
    }
}
