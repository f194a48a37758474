//! Refusing what cannot fit before it is taken, since an allocation that fails ends the process.

use crate::error::{Error, Result};

/// Asks the system for that many bytes and gives them back untouched.
///
/// # Errors
/// `INVALID_DATA` if the system says no. It may say yes and regret it later: this catches what is far too large.
pub(crate) fn check_memory(what: &str, bytes: u64) -> Result<()> {
    let granted = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if granted {
        return Ok(());
    }
    let gib = bytes as f64 / 2f64.powi(30);
    Err(Error::invalid_data(format!(
        "{what} needs {gib:.1} GiB, more than this system grants; the way out: fewer items (minItem) or a smaller model"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_absurd_is_refused_and_the_usual_is_not() {
        check_memory("a megabyte", 1 << 20).unwrap();
        let error = check_memory("EASE^R on 9000000 items", u64::MAX).unwrap_err();
        assert_eq!(error.code(), "INVALID_DATA");
        assert!(error.to_string().starts_with("EASE^R on 9000000 items needs 17179869184.0 GiB"), "{error}");
    }
}
