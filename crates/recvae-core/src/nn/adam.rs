//! Adam in place, with the gradient of a penalty on squares where one is asked for.
//!
//! Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1, arXiv 1412.6980;
//! rounding and order of operations as PyTorch's `Adam`.

use rayon::prelude::*;

use super::state::State;
use crate::base::numbers::Numbers;
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

pub(super) const BETA_1: f64 = 0.9;
pub(super) const BETA_2: f64 = 0.999;
pub(super) const EPSILON: f64 = 1e-8;
/// A first moment below that counts as 0. Without a gradient it would shrink to four units of the smallest number and
/// stay there, and processors take ten times as long for numbers that small. A step by it, at most `1e-29 / EPSILON`
/// times the learning rate, is lost in the rounding of any f32 above 1e-13 for learning rates up to 1.
const NOTHING: f64 = 1e-30;

/// The numbers that one step shares over all parameters.
#[derive(Clone, Copy)]
pub(crate) struct AdamStep<T> {
    step_size: T,
    root_bias_correction: T,
    /// What gradients are multiplied by before anything else.
    factor: T,
    /// What of each parameter is added to its gradient.
    pull: T,
}

impl<T: Real> AdamStep<T> {
    /// Step number `step`, the first one is 1.
    pub(crate) fn new(learning_rate: f64, step: u64) -> Self {
        let power = |beta: f64| 1.0 - beta.powf(step as f64);
        Self {
            step_size: T::from_f64(learning_rate / power(BETA_1)),
            root_bias_correction: T::from_f64(power(BETA_2).sqrt()),
            factor: T::ONE,
            pull: T::ZERO,
        }
    }

    /// The same for gradients that are to be multiplied by a number first.
    pub(crate) fn with_factor(self, factor: T) -> Self {
        Self { factor, ..self }
    }

    /// The same for parameters whose sum of squares, times `lambda`, is part of the loss.
    pub(crate) fn with_squares(self, lambda: f64) -> Self {
        Self { pull: T::from_f64(2.0 * lambda), ..self }
    }

    /// The same without that.
    pub(crate) fn without_squares(self) -> Self {
        Self { pull: T::ZERO, ..self }
    }
}

vectorised! {
    /// Updates parameters and both moments by the gradient; all four have one length.
    pub(crate) fn update(step: AdamStep<T>, parameters: &mut [T], gradient: &[T], first: &mut [T], second: &mut [T]) {
        let (one_minus_1, beta_2, one_minus_2) = (T::from_f64(1.0 - BETA_1), T::from_f64(BETA_2), T::from_f64(1.0 - BETA_2));
        let (epsilon, nothing) = (T::from_f64(EPSILON), T::from_f64(NOTHING));
        for (((p, &g), m), v) in parameters.iter_mut().zip(gradient).zip(first).zip(second) {
            let g = g * step.factor + step.pull * *p;
            let moment = *m + (g - *m) * one_minus_1;
            *m = if moment < nothing && moment > -nothing { T::ZERO } else { moment };
            *v = *v * beta_2 + g * g * one_minus_2;
            *p -= step.step_size * *m / (v.sqrt() / step.root_bias_correction + epsilon);
        }
    }
}

/// First and second moment of a group of parameters.
pub(crate) struct Moments<T> {
    pub(crate) first: Numbers<T>,
    pub(crate) second: Numbers<T>,
}

impl<T: Real> Moments<T> {
    pub(crate) fn zeros(n: usize) -> Self {
        Self { first: Numbers::zeros(n), second: Numbers::zeros(n) }
    }

    pub(crate) fn step(&mut self, step: AdamStep<T>, parameters: &mut [T], gradient: &[T]) {
        const PIECE: usize = 1 << 14;
        parameters
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(self.first.par_chunks_mut(PIECE))
            .zip(self.second.par_chunks_mut(PIECE))
            .for_each(|(((parameters, gradient), first), second)| {
                update(step, parameters, gradient, first, second);
            });
    }
}

impl Moments<f32> {
    pub(crate) fn state<'a>(&'a mut self, name: &str, state: &mut State<'a>) {
        state.add(format!("{name}.first"), &mut self.first[..]);
        state.add(format!("{name}.second"), &mut self.second[..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many steps as a rare item waits for in a large set: 0.9 to that power is below the smallest subnormal number.
    #[test]
    fn moments_without_a_gradient_come_to_zero_and_weights_are_what_they_were() {
        let mut plain = [[0.3f32, -2e-3, 7e-8], [1e-3, -1e-5, 4e-2], [1e-6, 1e-9, 1e-3]];
        let [mut weights, mut first, mut second] = plain;
        for number in 1..=1200 {
            let step = AdamStep::new(5e-4, number);
            update(step, &mut weights, &[0.0; 3], &mut first, &mut second);
            let [p, m, v] = &mut plain;
            for at in 0..3 {
                m[at] += (0.0 - m[at]) * (1.0 - BETA_1) as f32;
                v[at] *= BETA_2 as f32;
                p[at] -= step.step_size * m[at] / (v[at].sqrt() / step.root_bias_correction + EPSILON as f32);
            }
            assert_eq!(weights.map(f32::to_bits), plain[0].map(f32::to_bits), "step {number}");
        }
        assert_eq!(first, [0.0; 3]);
        assert!(plain[1].iter().all(|moment| moment.is_subnormal()), "{:?}", plain[1]);
        let mut moment = [f32::NAN];
        update(AdamStep::new(1e-3, 1), &mut [1.0], &[0.0], &mut moment, &mut [0.0]);
        assert!(moment[0].is_nan());
    }
}
