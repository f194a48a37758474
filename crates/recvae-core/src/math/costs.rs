//! What the parts of a fit cost, in seconds of one core, by which the time of a fit is told before it begins.
//!
//! The constants were measured in 2026 on a virtual server of two cores of an Intel Xeon with AVX-512, as seconds of
//! the processor, while other programs kept it busy: by `node benches/costs.mjs`, which prints for each of them a fit
//! that it decides, and by what it would have to be multiplied. On such a machine estimates should lie within a factor
//! of 2; elsewhere their ratios hold better than the seconds.
//!
//! Threads share the work evenly, where there are as many cores.

use crate::math::real::Real;

/// Two items of one user, counted into a row of the Gram matrix.
pub(crate) const PAIR: f64 = 1.0e-9;
/// The same pair, counted into a row with all items, of which the closest ones are then found; twice in a fit.
pub(crate) const CLOSE_PAIR: f64 = 2.0e-9;
/// A floating point operation of large products of f32.
const OPERATION: f64 = 1.15e-11;
/// The same on a GPU, by what the makers of large ones say of them, and never measured: it only decides which share of
/// a fit is told as done.
#[cfg_attr(not(feature = "candle"), allow(dead_code))]
pub(crate) const GPU_OPERATION: f64 = 2.5e-14;
/// An entry of a dense matrix, from the zeroed page to the finished weight.
pub(crate) const ENTRY: f64 = 4.0e-9;
/// A unit of `work_of_item` in `models/ease/restricted.rs`.
pub(crate) const SUPPORT: f64 = 3.0e-10;

/// A neighbour in a step of a row of iALS, whose vector lies anywhere in memory.
pub(crate) const NEIGHBOUR: f64 = 6.0e-9;
/// A number of that vector.
pub(crate) const NUMBER: f64 = 1.8e-10;
/// A unit of the cube of the factors of iALS, whose axes are found.
pub(crate) const AXES: f64 = 3.5e-10;
/// How many times as long as in large products an operation takes in products and factors of a few hundred numbers.
pub(crate) const SMALL: f64 = 4.5;
/// A multiplication of a network's forward pass, with all that comes of it: the ways back and the losses.
pub(crate) const MULTIPLICATION: f64 = 1.1e-10;
/// The same where alternating training leaves one side of the network as it is.
pub(crate) const ALTERNATING: f64 = 0.6;
/// A parameter in a step of Adam.
pub(crate) const PARAMETER: f64 = 2.0e-9;
/// An item that stands for a list, beside the products of its score.
const LISTED: f64 = 2.0e-9;
/// An interaction that popularity counts.
pub(crate) const COUNT: f64 = 2.0e-9;
/// What any fit takes, on any number of cores.
pub(crate) const BEGINNING: f64 = 0.02;

/// Seconds of so many operations of large products of numbers of type `T`, of which there are half as many of twice the
/// size in a register.
pub(crate) fn operations<T: Real>(operations: f64) -> f64 {
    operations * OPERATION * size_of::<T>() as f64 / 4.0
}

/// Seconds of the lists of so many users, whose scores of an item are products of vectors of so many numbers.
pub(crate) fn lists(users: f64, items: f64, width: f64) -> f64 {
    users * items * (operations::<f32>(2.0 * width) + LISTED)
}
