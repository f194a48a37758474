//! The dense parameters of an encoder or decoder: one flat vector, with a name and a place in it for each tensor.

use std::ops::Range;

use super::init::Init;
use crate::math::real::Real;

/// Where each tensor stands in the flat vector.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    entries: Vec<(&'static str, Vec<usize>, Range<usize>)>,
}

/// How a tensor begins.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Weights,
    Biases { inputs: usize },
    Ones,
    Zeros,
}

impl Places {
    /// Adds a tensor behind those that there are, and draws its first values.
    pub(super) fn add<T: Real>(
        &mut self,
        values: &mut Vec<T>,
        name: &'static str,
        shape: &[usize],
        start: Start,
        init: &mut Init,
    ) {
        let n = shape.iter().product();
        let from = values.len();
        match start {
            Start::Weights => values.extend_from_slice(&init.weights::<T>(shape[1], shape[0])),
            Start::Biases { inputs } => values.extend(init.biases::<T>(inputs, n)),
            Start::Ones => values.resize(from + n, T::ONE),
            Start::Zeros => values.resize(from + n, T::ZERO),
        }
        self.entries.push((name, shape.to_vec(), from..from + n));
    }

    /// Name, shape and place of each tensor.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[usize], Range<usize>)> {
        self.entries.iter().map(|(name, shape, place)| (*name, &shape[..], place.clone()))
    }

    pub(super) fn place(&self, name: &str) -> Range<usize> {
        self.entries.iter().find(|entry| entry.0 == name).map_or(0..0, |entry| entry.2.clone())
    }
}
