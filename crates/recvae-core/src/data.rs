//! Interactions, and all the ways in which they come in.

pub(crate) mod archive;
pub(crate) mod arrow;
pub(crate) mod batches;
pub(crate) mod datasets;
pub(crate) mod ids;
pub(crate) mod interactions;
pub(crate) mod left_out;
pub(crate) mod popular;
pub(crate) mod profile;
pub(crate) mod read;
pub(crate) mod shard;
pub(crate) mod synth;
