//! What a search of options tries: ranges and lists, and random numbers.

use serde_json::{Value, json};

use crate::base::random::Stream;

/// What is worth trying of an option. A range reaches where real data lie; the best value of some data may lie beyond
/// it.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// These values.
    Values(Vec<Value>),
    /// Numbers from `from` to `to`, both above 0, whose ratio is what counts.
    Log {
        /// The lowest.
        from: f64,
        /// The highest.
        to: f64,
    },
    /// Numbers from `from` to `to`, whose difference is what counts.
    Linear {
        /// The lowest.
        from: f64,
        /// The highest.
        to: f64,
    },
}

impl Search {
    /// A list, or an object of `from`, `to` and `scale`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Values(values) => json!(values),
            Self::Log { from, to } => json!({ "from": from, "to": to, "scale": "log" }),
            Self::Linear { from, to } => json!({ "from": from, "to": to, "scale": "linear" }),
        }
    }

    /// The values, or both ends of the range.
    #[must_use]
    pub fn ends(&self) -> Vec<Value> {
        match self {
            Self::Values(values) => values.clone(),
            Self::Log { from, to } | Self::Linear { from, to } => vec![json!(from), json!(to)],
        }
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Search {
    fn from(values: [T; N]) -> Self {
        Self::Values(values.into_iter().map(Into::into).collect())
    }
}

/// Apart from the streams of splits and of training, whose seeds may be the same.
const SEARCH_STREAM: u64 = u64::from_be_bytes(*b"searches");

/// The first `count` uniform numbers in [0, 1) of a search with that seed. More of them begin with the same ones.
#[must_use]
pub fn search_uniforms(seed: u64, count: usize) -> Vec<f64> {
    let mut stream = Stream::new(seed, SEARCH_STREAM);
    (0..count).map(|_| stream.uniform()).collect()
}

#[cfg(test)]
mod tests {
    use super::search_uniforms;

    #[test]
    fn seeds_differ_and_longer_lists_begin_with_the_shorter_ones() {
        let numbers = search_uniforms(7, 1000);
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert_eq!(numbers[..10], search_uniforms(7, 10));
        assert_ne!(numbers[..10], search_uniforms(8, 10));
        // Four standard errors of the mean of 1,000 uniform numbers.
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 4.0 * (1.0f64 / 12.0 / 1000.0).sqrt(), "{mean}");
    }
}
