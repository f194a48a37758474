//! The network of H+Vamp: what it gives for a batch, the loss, and the gradients of all parameters.

use rayon::prelude::*;

use super::layers::{Gated, Linear, Pair, apart, beside};
use super::normal::{Normal, Prior, log_normals, slopes};
use crate::base::error::Result;
use crate::base::numbers::Numbers;
use crate::base::random::Philox;
use crate::math::real::Real;
use crate::math::vectorised::{add, sum_of};
use crate::nn::batch::{ByItem, SparseInput};
use crate::nn::noise::{Purpose, stream};
use crate::train::warm_start::Adopt;

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) n_items: usize,
    pub(super) hidden: usize,
    pub(super) latent: usize,
    pub(super) pseudo_users: usize,
}

impl Shape {
    pub(super) fn n_parameters(self) -> u64 {
        let [n, h, d, k] = [self.n_items, self.hidden, self.latent, self.pseudo_users].map(|n| n as u64);
        // Weights of the pairs from items, from latent vectors, from one hidden layer, from two, and the heads; biases;
        // the output.
        let pairs = 2 * (2 * n * h + 4 * d * h + 2 * h * h + 2 * 2 * h * h + 3 * h * d);
        let biases = 2 * (10 * h + 3 * d);
        pairs + biases + n * (h + 1) + k * n
    }
}

/// How the history follows from the output layer's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likelihood {
    Multinomial,
    Bernoulli,
}

/// The pairs of layers, by their places in [`Network::pairs`].
const Q2_ITEMS: usize = 0;
const Q2_HIDDEN: usize = 1;
const Q2_HEADS: usize = 2;
const Q1_ITEMS: usize = 3;
const Q1_LATENT: usize = 4;
const Q1_BOTH: usize = 5;
const Q1_HEADS: usize = 6;
const P1_FIRST: usize = 7;
const P1_SECOND: usize = 8;
const P1_HEADS: usize = 9;
const P_Z1: usize = 10;
const P_Z2: usize = 11;
const P_BOTH: usize = 12;

/// Their names, and those of the two layers of each.
const NAMES: [(&str, [&str; 2]); 13] = [
    ("q2.items", GATED),
    ("q2.hidden", GATED),
    ("q2.heads", HEADS),
    ("q1.items", GATED),
    ("q1.latent", GATED),
    ("q1.both", GATED),
    ("q1.heads", HEADS),
    ("p1.first", GATED),
    ("p1.second", GATED),
    ("p1.heads", HEADS),
    ("p.z1", GATED),
    ("p.z2", GATED),
    ("p.both", GATED),
];
const GATED: [&str; 2] = ["value", "gate"];
const HEADS: [&str; 2] = ["mean", "log_variance"];
/// Those of the last layer and of the pseudo-users.
const OUTPUT: &str = "p.output";
pub(super) const PSEUDO_USERS: &str = "pseudo_users";

/// All parameters, or a gradient or a moment of each.
pub(super) struct Network<T> {
    pub(super) shape: Shape,
    pairs: Vec<Pair<T>>,
    pub(super) output: Linear<T>,
    /// Shape `(pseudo_users, n_items)`, before they are clipped.
    pseudo_users: Numbers<T>,
}

/// A batch with its noise.
pub(super) struct Batch<'a, T> {
    pub(super) histories: &'a [&'a [u32]],
    /// What dropout leaves of them for z2, and for z1.
    pub(super) inputs: [&'a SparseInput<T>; 2],
    /// Standard normal numbers for z2 and z1, each of shape `(users, latent)`.
    pub(super) noise: [&'a [T]; 2],
}

/// The means over the users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Loss {
    pub(super) log_likelihood: f64,
    pub(super) kl: f64,
}

/// What q(z2 | x) is found by.
struct Q2<T> {
    first: Gated<T>,
    second: Gated<T>,
    normal: Normal<T>,
}

impl<T: Real> Network<T> {
    pub(super) fn zeros(shape: Shape) -> Self {
        let Shape { n_items: n, hidden: h, latent: d, pseudo_users } = shape;
        let inputs = |at: usize| match at {
            Q2_ITEMS | Q1_ITEMS => n,
            Q1_LATENT | P1_FIRST | P_Z1 | P_Z2 => d,
            Q1_BOTH | P_BOTH => 2 * h,
            _ => h,
        };
        let outputs = |at: usize| if matches!(at, Q2_HEADS | Q1_HEADS | P1_HEADS) { d } else { h };
        let pair = |at: usize| Pair::zeros(inputs(at), outputs(at), matches!(at, Q2_ITEMS | Q1_ITEMS));
        Self {
            shape,
            pairs: (0..NAMES.len()).map(pair).collect(),
            output: Linear::zeros(h, n, false),
            pseudo_users: Numbers::zeros(pseudo_users * n),
        }
    }

    /// Random parameters: weights of variance 2 / inputs, pseudo-users around .05.
    pub(super) fn random(shape: Shape, seed: u64) -> Self {
        let mut network = Self::zeros(shape);
        let linear = network.pairs.iter_mut().flat_map(|pair| [&mut pair.first, &mut pair.second]);
        linear.chain([&mut network.output]).zip(1..).for_each(|(layer, tensor)| layer.init(seed, tensor));
        let numbers = Philox::new(seed, stream(Purpose::Weights, 0));
        let numbers = (0u64..).flat_map(|pair| numbers.normals(pair));
        let pseudo_users = network.pseudo_users.iter_mut().zip(numbers);
        pseudo_users.for_each(|(out, number)| *out = T::from_f64(0.05 + 0.01 * number));
        network
    }

    /// Names and shapes of all parameters, in a fixed order.
    fn layout(&self) -> Vec<(String, Vec<usize>)> {
        let of_pair = |(&(name, parts), Pair { first, second }): (&(&str, [&str; 2]), &Pair<T>)| {
            [(format!("{name}.{}", parts[0]), first.shapes()), (format!("{name}.{}", parts[1]), second.shapes())]
        };
        let layers = NAMES.iter().zip(&self.pairs).flat_map(of_pair).chain([(OUTPUT.into(), self.output.shapes())]);
        let tensors = layers
            .flat_map(|(name, [weight, bias])| [(format!("{name}.weight"), weight), (format!("{name}.bias"), bias)]);
        let pseudo_users = (PSEUDO_USERS.into(), vec![self.shape.pseudo_users, self.shape.n_items]);
        tensors.chain([pseudo_users]).collect()
    }

    /// Every parameter with its name and shape, in that order.
    pub(super) fn tensors_mut(&mut self) -> Vec<(String, Vec<usize>, &mut [T])> {
        let layout = self.layout();
        let layers = self.pairs.iter_mut().flat_map(|pair| [&mut pair.first, &mut pair.second]);
        let numbers = layers
            .chain([&mut self.output])
            .flat_map(|layer| [&mut layer.weight[..], &mut layer.bias[..]])
            .chain([&mut self.pseudo_users[..]]);
        layout.into_iter().zip(numbers).map(|((name, shape), numbers)| (name, shape, numbers)).collect()
    }

    /// The same to be read.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>, &[T])> {
        let layers = self.pairs.iter().flat_map(|pair| [&pair.first, &pair.second]);
        let numbers = layers
            .chain([&self.output])
            .flat_map(|layer| [&layer.weight[..], &layer.bias[..]])
            .chain([&self.pseudo_users[..]]);
        self.layout().into_iter().zip(numbers).map(|((name, shape), numbers)| (name, shape, numbers)).collect()
    }

    fn gated(&self, at: usize, x: &[T]) -> Gated<T> {
        Gated::of(self.pairs[at].forward(x))
    }

    fn q2(&self, first: [Vec<T>; 2]) -> Q2<T> {
        let first = Gated::of(first);
        let second = self.gated(Q2_HIDDEN, &first.out);
        let normal = Normal::of(self.pairs[Q2_HEADS].forward(&second.out));
        Q2 { first, second, normal }
    }

    /// The pseudo-users as the encoder sees them: within 0 and 1.
    fn clipped(&self) -> Vec<T> {
        self.pseudo_users.iter().map(|&number| within_one(number)).collect()
    }

    /// The rows that the output layer multiplies with its weights, by the means of z2 and z1: shape
    /// `(histories.len(), hidden)`.
    pub(super) fn hidden(&self, histories: &[&[u32]]) -> Vec<T> {
        let input = SparseInput::clean(histories.iter().copied());
        let z2 = self.means(&input);
        let of_items = Gated::of(self.pairs[Q1_ITEMS].forward_sparse(&input));
        let of_z2 = self.gated(Q1_LATENT, &z2);
        let both = self.gated(Q1_BOTH, &beside(&of_items.out, &of_z2.out, self.shape.hidden));
        let z1 = self.pairs[Q1_HEADS].first.forward(&both.out);
        self.decode(&z1, &z2).2.out
    }

    /// The means of z2, without the variances, which nobody asks for when lists are made.
    fn means(&self, input: &SparseInput<T>) -> Vec<T> {
        let first = Gated::of(self.pairs[Q2_ITEMS].forward_sparse(input));
        self.pairs[Q2_HEADS].first.forward(&self.gated(Q2_HIDDEN, &first.out).out)
    }

    /// The means of z2 of histories, shape `(histories.len(), latent)`.
    pub(super) fn embed(&self, histories: &[&[u32]]) -> Vec<T> {
        self.means(&SparseInput::clean(histories.iter().copied()))
    }

    fn decode(&self, z1: &[T], z2: &[T]) -> (Gated<T>, Gated<T>, Gated<T>) {
        let (of_z1, of_z2) = (self.gated(P_Z1, z1), self.gated(P_Z2, z2));
        let both = self.gated(P_BOTH, &beside(&of_z1.out, &of_z2.out, self.shape.hidden));
        (of_z1, of_z2, both)
    }

    /// The loss of a batch, `-log likelihood + beta KL` in the mean over its users, whose gradients are added to
    /// `sums`.
    pub(super) fn loss(&self, batch: &Batch<'_, T>, beta: f64, likelihood: Likelihood, sums: &mut Self) -> Loss {
        let Shape { n_items, hidden, latent, .. } = self.shape;
        let [input_2, input_1] = batch.inputs;
        let n = batch.histories.len();
        let share = T::from_f64(1.0 / n as f64);
        let weight = T::from_f64(beta / n as f64);
        // Forward.
        let q2 = self.q2(self.pairs[Q2_ITEMS].forward_sparse(input_2));
        let z2 = q2.normal.sample(batch.noise[0]);
        let q1_items = Gated::of(self.pairs[Q1_ITEMS].forward_sparse(input_1));
        let q1_latent = self.gated(Q1_LATENT, &z2);
        let q1_inputs = beside(&q1_items.out, &q1_latent.out, hidden);
        let q1_both = self.gated(Q1_BOTH, &q1_inputs);
        let q1 = Normal::of(self.pairs[Q1_HEADS].forward(&q1_both.out));
        let z1 = q1.sample(batch.noise[1]);
        let p1_first = self.gated(P1_FIRST, &z2);
        let p1_second = self.gated(P1_SECOND, &p1_first.out);
        let p1 = Normal::of(self.pairs[P1_HEADS].forward(&p1_second.out));
        let (p_z1, p_z2, p_both) = self.decode(&z1, &z2);
        let p_inputs = beside(&p_z1.out, &p_z2.out, hidden);
        let mut logits = self.output.forward(&p_both.out);
        let clipped = self.clipped();
        let pseudo = self.q2(self.pairs[Q2_ITEMS].forward(&clipped));
        // What the history has for its likelihood; the logits become their gradients.
        let likelihoods: Vec<f64> = logits
            .par_chunks_mut(n_items)
            .zip(batch.histories)
            .map(|(logits, history)| log_likelihood(logits, history, likelihood, share))
            .collect();
        let prior = Prior::new(&pseudo.normal, latent);
        let found: Vec<(f64, Vec<T>)> = z2.par_chunks(latent).map(|z| prior.of(z)).collect();
        let log_q2 = log_normals(&q2.normal, &z2, latent);
        let log_q1 = log_normals(&q1, &z1, latent);
        let log_p1 = log_normals(&p1, &z1, latent);
        let kl: f64 = (0..n).map(|row| log_q2[row] + log_q1[row] - log_p1[row] - found[row].0).sum::<f64>() / n as f64;
        let loss = Loss { log_likelihood: likelihoods.iter().sum::<f64>() / n as f64, kl };
        // Backward: the decoder.
        let zeros = |width: usize| vec![T::ZERO; n * width];
        let mut of_both = zeros(hidden);
        self.output.backward(&p_both.out, &logits, &mut sums.output, Some(&mut of_both));
        drop(logits);
        let mut of_inputs = zeros(2 * hidden);
        self.pairs[P_BOTH].backward(
            &p_inputs,
            &p_both.backward(&of_both),
            &mut sums.pairs[P_BOTH],
            Some(&mut of_inputs),
        );
        let [of_h1, of_h2] = apart(&of_inputs, hidden);
        let (mut of_z1, mut of_z2) = (zeros(latent), zeros(latent));
        self.pairs[P_Z1].backward(&z1, &p_z1.backward(&of_h1), &mut sums.pairs[P_Z1], Some(&mut of_z1));
        self.pairs[P_Z2].backward(&z2, &p_z2.backward(&of_h2), &mut sums.pairs[P_Z2], Some(&mut of_z2));
        // -beta log p(z1 | z2).
        let [of_mean, of_log_variance, of_sample] = slopes(&p1, &z1, weight);
        add(&mut of_z1, &of_sample);
        let heads = [of_mean, of_log_variance];
        let mut of_hidden = zeros(hidden);
        self.pairs[P1_HEADS].backward(&p1_second.out, &heads, &mut sums.pairs[P1_HEADS], Some(&mut of_hidden));
        let mut of_first = zeros(hidden);
        let gates = p1_second.backward(&of_hidden);
        self.pairs[P1_SECOND].backward(&p1_first.out, &gates, &mut sums.pairs[P1_SECOND], Some(&mut of_first));
        self.pairs[P1_FIRST].backward(&z2, &p1_first.backward(&of_first), &mut sums.pairs[P1_FIRST], Some(&mut of_z2));
        // beta log q(z1 | x, z2): of a sample only the logarithm of the variance counts, -1 / 2.
        let entropy = -T::from_f64(0.5) * weight;
        let heads = q1.backward(batch.noise[1], &of_z1, entropy);
        let mut of_both = zeros(hidden);
        self.pairs[Q1_HEADS].backward(&q1_both.out, &heads, &mut sums.pairs[Q1_HEADS], Some(&mut of_both));
        let mut of_inputs = zeros(2 * hidden);
        self.pairs[Q1_BOTH].backward(
            &q1_inputs,
            &q1_both.backward(&of_both),
            &mut sums.pairs[Q1_BOTH],
            Some(&mut of_inputs),
        );
        let [of_items, of_latent] = apart(&of_inputs, hidden);
        let mut by_item = ByItem::default();
        by_item.refill(input_1, n_items);
        Pair::backward_sparse(&input_1.values, &by_item, &q1_items.backward(&of_items), &mut sums.pairs[Q1_ITEMS]);
        self.pairs[Q1_LATENT].backward(
            &z2,
            &q1_latent.backward(&of_latent),
            &mut sums.pairs[Q1_LATENT],
            Some(&mut of_z2),
        );
        // -beta log p(z2), of the sample and of the pseudo-users.
        let responsibilities: Vec<&[T]> = found.iter().map(|(_, shares)| &shares[..]).collect();
        of_z2.par_chunks_mut(latent).zip(z2.par_chunks(latent)).zip(&responsibilities).for_each(
            |((out, z), shares)| {
                prior.add_slope(z, shares, weight, out);
            },
        );
        let heads = prior.slopes(&z2, &responsibilities, weight);
        // beta log q(z2 | x).
        let of_batch = q2.normal.backward(batch.noise[0], &of_z2, entropy);
        by_item.refill(input_2, n_items);
        let first = self.backward_q2(&q2, &of_batch, sums);
        Pair::backward_sparse(&input_2.values, &by_item, &first, &mut sums.pairs[Q2_ITEMS]);
        let first = self.backward_q2(&pseudo, &heads, sums);
        let mut of_pseudo = vec![T::ZERO; clipped.len()];
        self.pairs[Q2_ITEMS].backward(&clipped, &first, &mut sums.pairs[Q2_ITEMS], Some(&mut of_pseudo));
        for ((sum, gradient), &number) in sums.pseudo_users.iter_mut().zip(of_pseudo).zip(&self.pseudo_users[..]) {
            if number >= T::ZERO && number <= T::ONE {
                *sum += gradient;
            }
        }
        loss
    }

    /// From the gradients of the heads of q(z2 | .) to those of its first layer.
    fn backward_q2(&self, q2: &Q2<T>, heads: &[Vec<T>; 2], sums: &mut Self) -> [Vec<T>; 2] {
        let mut of_second = vec![T::ZERO; q2.second.out.len()];
        self.pairs[Q2_HEADS].backward(&q2.second.out, heads, &mut sums.pairs[Q2_HEADS], Some(&mut of_second));
        let mut of_first = vec![T::ZERO; q2.first.out.len()];
        let gates = q2.second.backward(&of_second);
        self.pairs[Q2_HIDDEN].backward(&q2.first.out, &gates, &mut sums.pairs[Q2_HIDDEN], Some(&mut of_first));
        q2.first.backward(&of_first)
    }
}

impl Adopt for Network<f32> {
    fn adopt<'v>(
        &mut self,
        items_there: usize,
        index_there: &[Option<u32>],
        read: impl Fn(&str, &[usize]) -> Result<&'v [f32]>,
    ) -> Result<()> {
        for (name, mut shape, values) in self.tensors_mut() {
            if name == PSEUDO_USERS {
                let from = read(&name, &[shape[0], items_there])?;
                for (row, there) in values.chunks_exact_mut(shape[1]).zip(from.chunks_exact(items_there)) {
                    let known = row.iter_mut().zip(index_there);
                    known.for_each(|(number, at)| at.iter().for_each(|&at| *number = there[at as usize]));
                }
            } else if name.starts_with(OUTPUT) || (name.contains(".items.") && name.ends_with(".weight")) {
                shape[0] = items_there;
                let width = shape[1..].iter().product();
                let from = read(&name, &shape)?;
                for (row, there) in values.chunks_exact_mut(width).zip(index_there) {
                    there.iter().for_each(|&there| row.copy_from_slice(&from[there as usize * width..][..width]));
                }
            } else {
                values.copy_from_slice(read(&name, &shape)?);
            }
        }
        Ok(())
    }
}

fn within_one<T: Real>(number: T) -> T {
    if number > T::ONE { T::ONE } else { number.max(T::ZERO) }
}

/// The log-likelihood of a history, for whose logits come the gradients of its negative, times `share`.
fn log_likelihood<T: Real>(logits: &mut [T], history: &[u32], likelihood: Likelihood, share: T) -> f64 {
    let own: f64 = history.iter().map(|&item| logits[item as usize].to_f64()).sum();
    let value = match likelihood {
        Likelihood::Multinomial => {
            let maximum = logits.iter().fold(T::from_f64(f64::NEG_INFINITY), |maximum, &logit| maximum.max(logit));
            logits.iter_mut().for_each(|logit| *logit = (*logit - maximum).exp());
            let sum = sum_of(logits, |number| number);
            let n = history.len() as f64;
            let factor = T::from_f64(n) / sum;
            logits.iter_mut().for_each(|number| *number *= factor);
            own - n * (maximum.to_f64() + sum.to_f64().ln())
        }
        Likelihood::Bernoulli => {
            // log(1 + e^l) = max(l, 0) + log(1 + e^-|l|)
            let all: f64 =
                logits.iter().map(|logit| logit.to_f64()).map(|l| l.max(0.0) + (-l.abs()).exp().ln_1p()).sum();
            logits.iter_mut().for_each(|logit| *logit = T::ONE / (T::ONE + (-*logit).exp()));
            own - all
        }
    };
    history.iter().for_each(|&item| logits[item as usize] -= T::ONE);
    logits.iter_mut().for_each(|number| *number *= share);
    value
}
