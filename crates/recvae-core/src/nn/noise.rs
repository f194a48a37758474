//! Where training takes its randomness from.
//!
//! Every number is a function of seed, purpose, pass and user, so it is the same whatever the batch, the thread or the
//! order of asking. The golden tests put recorded numbers in its place.

use crate::base::random::{Philox, Stream};
use crate::math::real::Real;
use crate::math::vectorised::vectorised;

/// The random choices of a training run. `pass` counts the passes over the users since training began.
pub(crate) trait Noise<T>: Sync {
    /// The order in which a pass visits the users.
    fn order(&self, pass: u64, n_users: usize) -> Vec<usize>;

    /// Puts the items of a history that survive dropout at `rate` behind what `kept` holds.
    fn keep(&self, pass: u64, user: usize, history: &[u32], rate: f64, kept: &mut Vec<u32>);

    /// Standard normal numbers for the sample of a user's latent vector.
    fn normal(&self, pass: u64, user: usize, out: &mut [T]);

    /// The seed, if all of it is [`Seeded`]: who knows it can draw the same numbers itself.
    fn seed(&self) -> Option<u64> {
        None
    }
}

/// What a stream of random numbers is for: the upper byte of its number.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Weights = 1,
    OldWeights = 2,
    Order = 3,
    Dropout = 4,
    Latent = 5,
}

/// The stream for a purpose and a pass or tensor.
pub(crate) fn stream(purpose: Purpose, index: u64) -> u64 {
    (purpose as u64) << 56 | index
}

/// What a random number of 32 bits must reach for an item to survive dropout at `rate`.
pub(crate) fn bar(rate: f64) -> u32 {
    (rate * 2f64.powi(32)) as u32
}

/// Noise from a seed.
pub(crate) struct Seeded(pub(crate) u64);

impl<T: Real> Noise<T> for Seeded {
    fn order(&self, pass: u64, n_users: usize) -> Vec<usize> {
        let mut users: Vec<usize> = (0..n_users).collect();
        Stream::new(self.0, stream(Purpose::Order, pass)).shuffle(&mut users);
        users
    }

    fn keep(&self, pass: u64, user: usize, history: &[u32], rate: f64, kept: &mut Vec<u32>) {
        let random = Philox::new(self.0, stream(Purpose::Dropout, pass));
        let bar = bar(rate);
        for (block, items) in (0u64..).zip(history.chunks(4)) {
            let numbers = random.block((user as u64) << 32 | block);
            kept.extend(items.iter().zip(numbers).filter(|(_, number)| *number >= bar).map(|(&item, _)| item));
        }
    }

    fn normal(&self, pass: u64, user: usize, out: &mut [T]) {
        normals(Philox::new(self.0, stream(Purpose::Latent, pass)), (user as u64) << 32, out);
    }

    fn seed(&self) -> Option<u64> {
        Some(self.0)
    }
}

vectorised! {
    /// Fills `out` by the pairs of normal numbers from a position on.
    fn normals(random: Philox, first: u64, out: &mut [T]) {
        const PAIRS: usize = 8;
        let (whole, rest) = out.as_chunks_mut::<{ 2 * PAIRS }>();
        let rest_first = first + (whole.len() * PAIRS) as u64;
        for (first, out) in (first..).step_by(PAIRS).zip(whole) {
            let mut numbers = [[0.0; 2]; PAIRS];
            for (at, pair) in numbers.iter_mut().enumerate() {
                *pair = random.normals(first + at as u64);
            }
            out.iter_mut().zip(numbers.as_flattened()).for_each(|(out, &number)| *out = T::from_f64(number));
        }
        for (pair, out) in (rest_first..).zip(rest.chunks_mut(2)) {
            let numbers = random.normals(pair);
            out.iter_mut().zip(numbers).for_each(|(out, number)| *out = T::from_f64(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_are_those_of_their_positions() {
        for n in [0, 1, 2, 15, 16, 17, 31, 32, 50] {
            let mut found = vec![f64::NAN; n];
            Seeded(3).normal(5, 7, &mut found);
            let random = Philox::new(3, stream(Purpose::Latent, 5));
            let expected: Vec<f64> = (0..).flat_map(|pair| random.normals(7 << 32 | pair)).take(n).collect();
            assert_eq!(found, expected);
        }
    }
}
