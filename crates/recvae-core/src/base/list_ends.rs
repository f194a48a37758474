//! Many lists one after the other in one array, and where each ends: the form in which lists leave for Node, whose typed arrays
//! of whole numbers have 32 bits.

use crate::base::error::{Error, Result};

/// Where each list ends, from their lengths.
///
/// # Errors
/// `INVALID_ARGUMENT` if there are 2^32 entries or more in all.
pub fn ends(lengths: impl IntoIterator<Item = usize>) -> Result<Vec<u32>> {
    let mut end = 0usize;
    let next = |length: usize| {
        end = end.saturating_add(length);
        u32::try_from(end).map_err(|_| {
            let allowed = format!("at most {} in one call: fewer histories or a smaller k", u32::MAX);
            Error::invalid_argument("number of recommendations", format!("{end} or more"), allowed)
        })
    };
    lengths.into_iter().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_32_bits_cannot_count_is_an_error() {
        assert_eq!(ends([3, 0, 4]).unwrap(), [3, 3, 7]);
        assert_eq!(ends([u32::MAX as usize]).unwrap(), [u32::MAX]);
        let two = 1 << 31;
        for lengths in [vec![two, two], vec![two, two - 1, 1], vec![1, usize::MAX]] {
            let error = ends(lengths).unwrap_err();
            assert!(error.to_string().contains("allowed: at most 4294967295 in one call"), "{error}");
        }
    }
}
