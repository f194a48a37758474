//! Matrices and numbers: sparse rows, products, factorisations, statistics.

pub(crate) mod apart;
pub(crate) mod bf16;
pub(crate) mod cosine;
pub(crate) mod costs;
pub(crate) mod csr;
mod eights;
pub(crate) mod linalg;
pub(crate) mod matmul;
pub(crate) mod part;
pub(crate) mod products;
pub(crate) mod reach;
pub(crate) mod real;
pub(crate) mod residual;
pub(crate) mod row_sums;
#[cfg(target_arch = "x86_64")]
mod sgemm;
pub(crate) mod statistics;
pub(crate) mod vectorised;
