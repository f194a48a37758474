//! Scores into lists, and lists against held-out items.

pub(crate) mod candidates;
pub(crate) mod evaluation;
pub(crate) mod factors;
pub(crate) mod groups;
pub(crate) mod known;
pub(crate) mod leave_one_out;
pub(crate) mod lists;
pub(crate) mod metrics;
pub(crate) mod scorer;
pub(crate) mod shortlist;
pub(crate) mod top_k;
