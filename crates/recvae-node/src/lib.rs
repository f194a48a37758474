//! The bridge between `recvae-core` and Node: it converts values, moves long work off the event loop and keeps a panic
//! from taking the process down. It computes nothing and knows no default; both belong to the core.
//!
//! What is exported here is internal to the package: `ts/runtime/native.ts` is its only user. Modules are public for
//! the lints only: in a library for Node, what `#[napi]` marks is reached from outside.

pub mod arrow;
pub mod backend;
pub mod batches;
pub mod blend;
pub mod copied;
pub mod data;
pub mod describe;
pub mod ease_counts;
mod error;
pub mod evaluate;
pub mod exchange;
pub mod files;
pub mod groups;
pub mod histories;
pub mod lifetime;
pub mod memory;
pub mod model;
#[cfg(feature = "panic-test")]
pub mod panic_test;
pub mod panics;
pub mod pipe;
pub mod run;
pub mod serving;
pub mod synth;
mod work;

/// musl's and Windows' own allocators are slow when many threads allocate. glibc's is not, and gives back more:
/// training RecVAE takes 50 MiB less with it.
#[cfg(any(target_env = "musl", windows))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
