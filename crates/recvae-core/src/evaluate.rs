//! Scores into lists, and lists against held-out items.

pub(crate) mod candidates;
#[cfg(feature = "candle")]
pub(crate) mod device_lists;
#[cfg(feature = "candle")]
pub(crate) mod device_top_k;
pub(crate) mod evaluation;
pub(crate) mod factors;
pub(crate) mod groups;
pub(crate) mod known;
pub(crate) mod leave_one_out;
pub(crate) mod lists;
#[cfg(test)]
mod made_up;
pub(crate) mod metrics;
pub(crate) mod popular;
pub(crate) mod scorer;
pub(crate) mod shortlist;
mod stripes;
pub(crate) mod top_k;
