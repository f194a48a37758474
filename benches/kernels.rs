//! Kernels, one by one.
fn main() {}
