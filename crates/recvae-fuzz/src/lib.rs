//! Hostile input for everything that decodes bytes which others wrote: files of rows, folders of splits, models,
//! weights of other programs, archives, Arrow.
//!
//! A [`Target`] takes any bytes, hands them to a decoder through the public functions of the core, and panics if what
//! comes back is not as promised: data that hold together, or an error of the right kind. Panics of the core,
//! allocations that go beyond [`LARGEST`] and inputs that take seconds are failures too; so is an Arrow stream that
//! takes memory out of proportion to what came and what came out of compressed buffers.
//!
//! Inputs are mutated from seeds in `seeds/` and `test/fixtures/`, by changes that know the format ([`mutate`]):
//! numbers in text and words in bytes become the ones at which arithmetic breaks, tokens come from the format's own
//! vocabulary, and model files and archives get their lengths and checksums repaired, so that what lies behind these is
//! reached.
//!
//! Two programs run the targets. `tests/short.rs` belongs to the ordinary tests: some thousand mutants each, in
//! seconds, with nothing to install. `npm run fuzz` (`run.mjs`) builds `src/bin/fuzz.rs` with libFuzzer and with the
//! coverage counters of the compiler in the core, both on stable Rust, and runs millions: there, mutants that reach new
//! code become seeds.

mod alloc;
pub mod arrow;
mod model;
mod mutate;
mod official;
mod targets;
mod zip;

pub use alloc::{Bounded, LARGEST};
pub use mutate::{Random, mutate};
pub use targets::{ALL, Target};

/// The longest input of most targets: decoders read in blocks, and what is longer finds nothing that this does not.
pub const LONGEST: usize = 8192;
/// The longest file of weights: names of tensors are long.
pub const LONGEST_WEIGHTS: usize = 24 << 10;
/// The longest Arrow stream: what it costs may grow faster than it does, which shows only when it is long.
pub const LONGEST_ARROW: usize = 256 << 10;
