//! Initial weights, each tensor from a stream of its own.

use super::noise::{Purpose, stream};
use crate::base::numbers::Numbers;
use crate::base::random::Philox;
use crate::math::real::Real;

/// Draws the tensors of a network one after the other.
pub(crate) struct Init {
    seed: u64,
    purpose: Purpose,
    tensor: u64,
    scheme: Scheme,
}

/// How weights and biases of a linear layer are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// PyTorch's `Linear`: weights and biases uniform within 1 / sqrt(inputs), as in the official RecVAE.
    Torch,
    /// Xavier normal weights (the official Mult-VAE has uniform ones of the same variance), biases from a normal of
    /// deviation 0.001 cut off at two deviations, as there.
    Xavier,
    /// All zeros, to be overwritten.
    Zeros,
}

impl Init {
    pub(crate) fn new(seed: u64, purpose: Purpose, scheme: Scheme) -> Self {
        Self { seed, purpose, tensor: 0, scheme }
    }

    /// For a network whose parameters will be read from elsewhere.
    pub(crate) fn zeros() -> Self {
        Self::new(0, Purpose::Weights, Scheme::Zeros)
    }

    fn next(&mut self) -> Philox {
        self.tensor += 1;
        Philox::new(self.seed, stream(self.purpose, self.tensor))
    }

    fn uniform<T: Real>(&mut self, out: &mut [T], bound: f64) {
        let random = self.next();
        let numbers = (0u64..).flat_map(|pair| random.uniforms(pair));
        out.iter_mut().zip(numbers).for_each(|(out, number)| *out = T::from_f64((2.0 * number - 1.0) * bound));
    }

    fn normal<T: Real>(&mut self, out: &mut [T], deviation: f64, cut_off: f64) {
        let random = self.next();
        let numbers = (0u64..).flat_map(|pair| random.normals(pair)).filter(|number| number.abs() <= cut_off);
        out.iter_mut().zip(numbers).for_each(|(out, number)| *out = T::from_f64(number * deviation));
    }

    /// Weights of a linear layer, in the order in which the caller keeps them.
    pub(crate) fn weights<T: Real>(&mut self, inputs: usize, outputs: usize) -> Numbers<T> {
        let mut weights = Numbers::zeros(inputs * outputs);
        match self.scheme {
            Scheme::Zeros => {}
            Scheme::Torch => self.uniform(&mut weights, (inputs as f64).sqrt().recip()),
            Scheme::Xavier => self.normal(&mut weights, (2.0 / (inputs + outputs) as f64).sqrt(), f64::INFINITY),
        }
        weights
    }

    /// Biases of a linear layer.
    pub(crate) fn biases<T: Real>(&mut self, inputs: usize, outputs: usize) -> Vec<T> {
        let mut biases = vec![T::ZERO; outputs];
        match self.scheme {
            Scheme::Zeros => {}
            Scheme::Torch => self.uniform(&mut biases, (inputs as f64).sqrt().recip()),
            Scheme::Xavier => self.normal(&mut biases, 0.001, 2.0),
        }
        biases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_deviations() {
        let mut torch = Init::new(1, Purpose::Weights, Scheme::Torch);
        let weights = torch.weights::<f64>(100, 50);
        assert_eq!(weights.len(), 5000);
        assert!(weights.iter().all(|w| w.abs() <= 0.1) && weights.iter().any(|w| w.abs() > 0.099));
        assert_ne!(weights[..], torch.weights::<f64>(100, 50)[..]);
        let mut xavier = Init::new(1, Purpose::Weights, Scheme::Xavier);
        let weights = xavier.weights::<f64>(150, 50);
        let deviation = (weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64).sqrt();
        // The standard error of a deviation over 7,500 draws is .8 %.
        assert!((deviation - 0.1).abs() < 0.003, "{deviation}");
        let biases: Vec<f64> = xavier.biases(150, 1001);
        assert!(biases.len() == 1001 && biases.iter().all(|b| b.abs() <= 0.002));
    }
}
