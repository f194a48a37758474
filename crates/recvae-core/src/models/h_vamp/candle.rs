//! H+Vamp of candle tensors, with candle's gradients: on every device that candle has, by candle's own operations
//! alone.
//!
//! The network is that of [`Network`], from the same parameters and with the same draws of dropout and noise, so that
//! results differ by rounding alone. Two things are computed in another way:
//!
//! - Histories are dense matrices of users x items here. The pseudo-users are such a matrix in any case, and by default
//!   five times as many as the users of a batch; and candle would sum rows of sparse histories by one thread, or by one
//!   of a GPU for each column.
//! - Distances from `z2` to all pseudo-users, `sum (z - m)^2 p`, come from three products of matrices,
//!   `z^2 p - 2 z (m p) + m^2 p`, and not from a tensor of users x pseudo-users x latent numbers. What cancels there is
//!   too much for f32 where variances are small: it is f64.
//!
//! Where a logarithm of a variance or a pseudo-user is clipped its gradient is 0, and at the very bounds it is not.
//! candle 0.11.1 has no sigmoid in its core, and one that is made of `exp` has a gradient of 0 times infinity below
//! -88; this one is made of `tanh`.

use candle_core::{DType, Device, Tensor, Var, WithDType};

use super::network::{Batch, Likelihood, Loss, Network, PSEUDO_USERS, Shape};
use super::normal::LOG_VARIANCES;
use super::training::{Engine, Host, Step};
use crate::base::compute::{self, Compute, EngineKind, TrainingPrecision};
#[cfg(test)]
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::tensors::{Candle, IntoCore, open};
use crate::math::real::Real;
use crate::nn::adam::Moments;
use crate::nn::candle::{adam, to_host};

/// A parameter with its moments.
struct Trained {
    name: String,
    value: Var,
    first: Tensor,
    second: Tensor,
}

/// All of them on a device.
pub(super) struct CandleEngine {
    place: compute::Device,
    device: Device,
    shape: Shape,
    /// In the order of the network's tensors.
    parameters: Vec<Trained>,
}

/// A normal distribution of each row.
struct Normal {
    mean: Tensor,
    /// Clipped.
    log_variance: Tensor,
}

/// The parts of the loss, means over the users in f64.
struct Parts {
    log_likelihood: Tensor,
    kl: Tensor,
}

impl CandleEngine {
    /// What a host has, on a device.
    pub(super) fn new<T: Real + WithDType>(host: &Host<T>, place: compute::Device) -> Result<Self> {
        let device = open(place)?;
        let mut engine = Self { place, device, shape: host.network.shape, parameters: vec![] };
        engine.take(host).core()?;
        Ok(engine)
    }

    fn take<T: Real + WithDType>(&mut self, Host { network, moments }: &Host<T>) -> Candle<()> {
        self.parameters.clear();
        for ((name, shape, values), moments) in network.tensors().into_iter().zip(moments) {
            let tensor = |values: &[T]| Tensor::from_slice(values, &shape[..], &self.device);
            let value = Var::from_tensor(&tensor(values)?)?;
            let (first, second) = (tensor(&moments.first)?, tensor(&moments.second)?);
            self.parameters.push(Trained { name, value, first, second });
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Candle<&Tensor> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name);
        found
            .map(|parameter| parameter.value.as_tensor())
            .ok_or_else(|| candle_core::Error::Msg(format!("no parameter '{name}'")))
    }

    /// Rows of items with one value each, as a matrix.
    fn dense<'a, T: Real + WithDType>(&self, rows: impl Iterator<Item = (&'a [u32], T)>) -> Candle<Tensor> {
        let n_items = self.shape.n_items;
        let mut values: Vec<T> = vec![];
        for (row, (items, value)) in rows.enumerate() {
            values.resize((row + 1) * n_items, Real::ZERO);
            items.iter().for_each(|&item| values[row * n_items + item as usize] = value);
        }
        let n = values.len() / n_items;
        Tensor::from_vec(values, (n, n_items), &self.device)
    }

    fn linear(&self, x: &Tensor, layer: &str) -> Candle<Tensor> {
        let (weight, bias) = (self.get(&format!("{layer}.weight"))?, self.get(&format!("{layer}.bias"))?);
        // Weights have shape (outputs, inputs), but (items, outputs) where the inputs are the items.
        let product = if layer.contains(".items.") { x.matmul(weight)? } else { x.matmul(&weight.t()?)? };
        product.broadcast_add(bias)
    }

    fn gated(&self, x: &Tensor, pair: &str) -> Candle<Tensor> {
        let value = self.linear(x, &format!("{pair}.value"))?;
        let gate = (self.linear(x, &format!("{pair}.gate"))? * 0.5)?.tanh()?;
        value * gate.affine(0.5, 0.5)?
    }

    fn beside(&self, a: &Tensor, b: &Tensor, pair: &str) -> Candle<Tensor> {
        self.gated(&Tensor::cat(&[a, b], 1)?, pair)
    }

    fn normal(&self, x: &Tensor, pair: &str) -> Candle<Normal> {
        let log_variance = clipped(&self.linear(x, &format!("{pair}.log_variance"))?, LOG_VARIANCES)?;
        Ok(Normal { mean: self.linear(x, &format!("{pair}.mean"))?, log_variance })
    }

    fn q2(&self, x: &Tensor) -> Candle<Normal> {
        self.normal(&self.gated(&self.gated(x, "q2.items")?, "q2.hidden")?, "q2.heads")
    }

    /// The loss of a batch in parts.
    fn parts<T: Real + WithDType>(&self, batch: &Batch<'_, T>, likelihood: Likelihood) -> Candle<Parts> {
        let n = batch.histories.len();
        let noise = |at: usize| Tensor::from_slice(batch.noise[at], (n, self.shape.latent), &self.device);
        let input = |at: usize| {
            let input = batch.inputs[at];
            self.dense((0..n).map(|row| (input.row(row), input.values[row])))
        };
        let (noise_2, noise_1) = (noise(0)?, noise(1)?);
        let q2 = self.q2(&input(0)?)?;
        let z2 = q2.sample(&noise_2)?;
        let of_items = self.gated(&input(1)?, "q1.items")?;
        let q1_both = self.beside(&of_items, &self.gated(&z2, "q1.latent")?, "q1.both")?;
        let q1 = self.normal(&q1_both, "q1.heads")?;
        let z1 = q1.sample(&noise_1)?;
        let p1 = self.normal(&self.gated(&self.gated(&z2, "p1.first")?, "p1.second")?, "p1.heads")?;
        let p_both = self.beside(&self.gated(&z1, "p.z1")?, &self.gated(&z2, "p.z2")?, "p.both")?;
        let log_likelihood = self.log_likelihood::<T>(&self.linear(&p_both, "p.output")?, batch, likelihood)?;
        let pseudo = self.q2(&clipped(self.get(PSEUDO_USERS)?, [0.0, 1.0])?)?;
        let kl = ((q2.log_of_sample(&noise_2)? + q1.log_of_sample(&noise_1)?)? - p1.log_of(&z1)?)?;
        let kl = (kl.to_dtype(DType::F64)? - pseudo.log_mixture_of(&z2)?)?;
        Ok(Parts { log_likelihood: log_likelihood.to_dtype(DType::F64)?.mean_all()?, kl: kl.mean_all()? })
    }

    /// The log-likelihood of each history, shape `(users,)`.
    fn log_likelihood<T: Real + WithDType>(
        &self,
        logits: &Tensor,
        batch: &Batch<'_, T>,
        likelihood: Likelihood,
    ) -> Candle<Tensor> {
        let target = self.dense(batch.histories.iter().map(|history| (*history, <T as Real>::ONE)))?;
        let own = (logits * &target)?.sum(1)?;
        match likelihood {
            Likelihood::Multinomial => own - (logits.log_sum_exp(1)? * target.sum(1)?)?,
            Likelihood::Bernoulli => {
                // log(1 + e^l) = max(l, 0) + log(1 + e^-|l|)
                let rest = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
                own - (logits.relu()? + rest)?.sum(1)?
            }
        }
    }

    /// The loss whose gradients a step takes.
    fn loss(&self, Parts { log_likelihood, kl }: &Parts, beta: f64) -> Candle<Tensor> {
        (kl * beta)? - log_likelihood
    }

    fn update(&mut self, loss: &Tensor, step: Step) -> Candle<()> {
        let mut gradients = loss.backward()?;
        for Trained { name, value, first, second } in &mut self.parameters {
            let Some(gradient) = gradients.remove(value) else { candle_core::bail!("no gradient of '{name}'") };
            let gradient = gradient.detach();
            let squares = gradient.sqr()?.sum_keepdim(gradient.rank() - 1)?;
            let norm = squares.to_dtype(DType::F64)?.sum_all()?.sqrt()?;
            // A gradient of 0 stays 0.
            let norm = (&norm + norm.eq(0.0)?.to_dtype(DType::F64)?)?.to_dtype(gradient.dtype())?;
            let gradient = gradient.broadcast_div(&norm)?;
            let before = [&value.as_detached_tensor(), first, second];
            let [after, one, two] = adam(before, &gradient, step.learning_rate, step.number)?;
            value.set(&after.detach())?;
            (*first, *second) = (one.detach(), two.detach());
        }
        Ok(())
    }
}

impl Normal {
    fn sample(&self, noise: &Tensor) -> Candle<Tensor> {
        &self.mean + ((&self.log_variance * 0.5)?.exp()? * noise)?
    }

    /// The log density of each row of samples, shape `(rows,)`, without the constant, which cancels between posteriors
    /// and priors. Of a sample's distance the noise is all that stays.
    fn log_of_sample(&self, noise: &Tensor) -> Candle<Tensor> {
        (&self.log_variance + noise.sqr()?)?.sum(1)? * -0.5
    }

    /// The same of other numbers.
    fn log_of(&self, z: &Tensor) -> Candle<Tensor> {
        let distance = ((z - &self.mean)?.sqr()? * self.log_variance.neg()?.exp()?)?;
        (&self.log_variance + distance)?.sum(1)? * -0.5
    }

    /// The log density of each row of `z` by the mixture of all rows' normals in f64, likewise.
    fn log_mixture_of(&self, z: &Tensor) -> Candle<Tensor> {
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64);
        let (z, mean, log_variance) = (wide(z)?, wide(&self.mean)?, wide(&self.log_variance)?);
        let precision = log_variance.neg()?.exp()?;
        let pull = (&mean * &precision)?;
        let distances = (z.sqr()?.matmul(&precision.t()?)? - (z.matmul(&pull.t()?)? * 2.0)?)?;
        let of_parts = ((mean * pull)? + log_variance)?.sum_keepdim(1)?.t()?;
        let n = of_parts.elem_count() as f64;
        (distances.broadcast_add(&of_parts)? * -0.5)?.log_sum_exp(1)? - n.ln()
    }
}

/// Within bounds, with the gradient of what lies there and at them, and none of what does not.
fn clipped(x: &Tensor, [least, most]: [f64; 2]) -> Candle<Tensor> {
    let outside = (x.lt(least)? + x.gt(most)?)?;
    outside.where_cond(&x.detach().clamp(least, most)?, x)
}

impl<T: Real + WithDType> Engine<T> for CandleEngine {
    fn compute(&self) -> Compute {
        Compute { engine: EngineKind::Candle, device: self.place, precision: TrainingPrecision::F32 }
    }

    fn step(&mut self, step: Step, batch: &Batch<'_, T>, _host: &mut Host<T>) -> Result<Loss> {
        let parts = self.parts(batch, step.likelihood).core()?;
        let loss = self.loss(&parts, step.beta).and_then(|loss| self.update(&loss, step));
        loss.core()?;
        parts.fetch().core()
    }

    fn network_to_host(&self, network: &mut Network<T>) -> Result<()> {
        for ((.., values), parameter) in network.tensors_mut().into_iter().zip(&self.parameters) {
            values.copy_from_slice(&to_host(parameter.value.as_tensor()).core()?);
        }
        Ok(())
    }

    fn moments_to_host(&self, moments: &mut [Moments<T>]) -> Result<()> {
        for (Moments { first, second }, parameter) in moments.iter_mut().zip(&self.parameters) {
            first.copy_from_slice(&to_host(&parameter.first).core()?);
            second.copy_from_slice(&to_host(&parameter.second).core()?);
        }
        Ok(())
    }

    fn take_host(&mut self, host: &Host<T>) -> Result<()> {
        self.take(host).core()
    }
}

impl Parts {
    fn fetch(&self) -> Candle<Loss> {
        let parts = Tensor::stack(&[&self.log_likelihood, &self.kl], 0)?.detach().to_vec1()?;
        Ok(Loss { log_likelihood: parts[0], kl: parts[1] })
    }
}

#[cfg(test)]
impl CandleEngine {
    /// The loss of a batch and the gradient of every parameter, with its name, in the order of the network's tensors.
    #[allow(clippy::type_complexity)]
    pub(super) fn gradients<T: Real + WithDType>(
        &self,
        batch: &Batch<'_, T>,
        likelihood: Likelihood,
        beta: f64,
    ) -> Result<(Loss, Vec<(String, Vec<T>)>)> {
        let parts = self.parts(batch, likelihood).core()?;
        let gradients = self.loss(&parts, beta).and_then(|loss| loss.backward()).core()?;
        let gradient = |Trained { name, value, .. }: &Trained| match gradients.get(value) {
            Some(gradient) => Ok((name.clone(), to_host(gradient).core()?)),
            None => Err(Error::Internal(format!("no gradient of '{name}'"))),
        };
        Ok((parts.fetch().core()?, self.parameters.iter().map(gradient).collect::<Result<_>>()?))
    }
}
