//! How much memory a fit takes, and refusing one that cannot fit before anything is taken: what the system kills for
//! want of memory gets no error.
//!
//! An estimate has parts with names, counted from the shapes of what is allocated, so it is exact but for what
//! allocators and threads keep for themselves.

use std::fmt;

use crate::base::error::{Error, Result};
use crate::base::free_memory::free_memory;

/// Bytes that a fit takes.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryEstimate {
    /// Of the finished model, without the ids of its items.
    pub model: u64,
    /// What there is at the peak of the fit, beyond the data: what it is and its bytes.
    pub parts: Vec<(&'static str, u64)>,
    /// Options of the model that would make it less, in words; empty if there are none.
    pub(crate) options: &'static str,
    /// Options of the model by which a fit takes that many bytes, the best first.
    pub(crate) smaller: Vec<(String, u64)>,
    /// What the fit takes by candle's engine, where that was counted.
    pub(crate) candle: Option<u64>,
}

/// What any fit takes: buffers of matrix products, stacks of threads, the program's own pages.
const SMALL: f64 = 4.0 * 1024.0 * 1024.0;

impl MemoryEstimate {
    /// `parts` in bytes.
    pub(crate) fn new(model: f64, parts: &[(&'static str, f64)], options: &'static str) -> Self {
        let small = [("all else", SMALL)];
        // Numbers beyond all memory saturate.
        let parts = parts.iter().chain(&small).map(|&(name, bytes)| (name, bytes as u64)).collect();
        Self { model: model as u64, parts, options, smaller: vec![], candle: None }
    }

    /// The same with options by which a fit takes less, in words, and the bytes, the best first.
    pub(crate) fn with_smaller(self, smaller: Vec<(String, u64)>) -> Self {
        Self { smaller, ..self }
    }

    /// The same of a model whose fit by candle's engine takes what these parts sum up to, in bytes.
    pub(crate) fn with_candle(self, parts: &[(&'static str, f64)]) -> Self {
        let candle = Self::new(self.model as f64, parts, "").fit();
        Self { candle: Some(candle), ..self }
    }

    /// Bytes at the peak of the fit, beyond the data.
    #[must_use]
    pub fn fit(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.1))
    }

    /// The same of a training by candle's engine on the processor; of models without engines, as they are.
    #[must_use]
    pub fn fit_by_candle(&self) -> u64 {
        self.candle.unwrap_or_else(|| self.fit())
    }

    /// The same with a moment at which `moment` bytes are held, if that is more than all the parts.
    pub(crate) fn with_moment(mut self, name: &'static str, moment: u64) -> Self {
        let more = moment.saturating_sub(self.fit());
        if more > 0 {
            self.parts.push((name, more));
        }
        // It comes by either engine.
        self.candle = self.candle.map(|candle| candle.max(moment));
        self
    }

    pub(crate) fn largest(&self) -> (&'static str, u64) {
        self.parts.iter().copied().max_by_key(|part| part.1).unwrap_or_default()
    }
}

/// Refuses `what` if its estimate and `beside`, bytes that are held meanwhile, are more than `limit` or what is free.
/// `ways_out`, besides more memory, of the limit that holds.
///
/// # Errors
/// `MEMORY` with the figures and the ways out.
pub(crate) fn check_limit(
    what: &str,
    estimate: &MemoryEstimate,
    limit: Option<u64>,
    beside: u64,
    ways_out: impl FnOnce(u64) -> Vec<String>,
) -> Result<()> {
    let (limit, source) = limit_or_free(limit);
    if estimate.fit().saturating_add(beside) <= limit {
        return check_memory(what, estimate.fit());
    }
    let (part, bytes) = estimate.largest();
    let beside = if beside > 0 { format!(", beside {} that is held already", Bytes(beside)) } else { String::new() };
    let ways_out: Vec<String> = ways_out(limit).into_iter().chain(["more memory".to_owned()]).collect();
    Err(Error::Memory(format!(
        "{what} needs {} of memory{beside}, most of it ({}) for {part}; {} is {source}; the way out: {}",
        Bytes(estimate.fit()),
        Bytes(bytes),
        Bytes(limit),
        ways_out.join(", or ")
    )))
}

/// The limit that holds, and what it is in words: what is free if none is given.
pub(crate) fn limit_or_free(limit: Option<u64>) -> (u64, String) {
    match limit {
        Some(limit) => (limit, "allowed by memoryLimit".to_owned()),
        None => match free_memory() {
            Some((free, source)) => (free, format!("free ({source})")),
            None => (u64::MAX, String::new()),
        },
    }
}

/// Asks the system for that many bytes and gives them back untouched.
///
/// # Errors
/// `MEMORY` if the system says no. It may say yes and regret it later: this catches what is far too large, and limits
/// of the address space.
pub(crate) fn check_memory(what: &str, bytes: u64) -> Result<()> {
    let granted = usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if granted {
        return Ok(());
    }
    let bytes = Bytes(bytes);
    Err(Error::Memory(format!(
        "{what} needs {bytes}, more than this system grants; the way out: fewer items (minItem) or a smaller model"
    )))
}

/// A number of bytes for people.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            1 => write!(f, "1 byte"),
            0..0x400 => write!(f, "{bytes} bytes"),
            0x400..0x10_0000 => write!(f, "{:.1} KiB", bytes / 2f64.powi(10)),
            0x10_0000..0x4000_0000 => write!(f, "{:.1} MiB", bytes / 2f64.powi(20)),
            0x4000_0000.. => write!(f, "{:.1} GiB", bytes / 2f64.powi(30)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_absurd_is_refused_and_the_usual_is_not() {
        check_memory("a megabyte", 1 << 20).unwrap();
        let error = check_memory("EASE^R on 9000000 items", u64::MAX).unwrap_err();
        assert_eq!(error.code(), "MEMORY");
        assert!(error.to_string().starts_with("EASE^R on 9000000 items needs 17179869184.0 GiB"), "{error}");
    }

    #[test]
    fn a_number_of_bytes_is_never_rounded_to_none() {
        let shown = [0, 1, 1000, 1023, 1024, 60_000, 1 << 20, 3 << 29].map(|bytes| Bytes(bytes).to_string());
        let expected = ["0 bytes", "1 byte", "1000 bytes", "1023 bytes", "1.0 KiB", "58.6 KiB", "1.0 MiB", "1.5 GiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_moment_counts_as_far_as_it_is_above_the_rest() {
        let estimate = || MemoryEstimate::new(0.0, &[("squares", 1024.0)], "");
        assert_eq!(estimate().with_moment("a copy", 1024), estimate());
        let more = estimate().with_moment("a copy", 1 << 30);
        assert_eq!((more.fit(), more.largest().0), (1 << 30, "a copy"));
    }
}
