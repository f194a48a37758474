//! Random points for a search of options.

use crate::random::Stream;

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
