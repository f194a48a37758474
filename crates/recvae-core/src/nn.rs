//! What the neural models are made of.
//!
//! The two layers that touch items ([`input_layer`], [`output_layer`]) work on sparse rows and hold nearly all
//! parameters; their gradients go straight into Adam and are never stored. What lies between them ([`encoder`],
//! [`latent`], [`decoder`]) is small and dense. The network is a chain, so each part has its own backward and
//! [`network`] calls them in turn; the tests compare all of it with recorded values, with finite differences and with
//! candle's automatic gradients.
//!
//! A training runs on an [`engine`]: [`fused`] is all of the above, [`candle`](engine) the same network of candle
//! tensors. On a processor candle is slower by far: its backward adds every gradient to a tensor of zeros, and
//! element-wise operations on more than 65,536 numbers run in a spinning thread pool of candle's own (its size is
//! CANDLE_NUM_THREADS or RAYON_NUM_THREADS when the process begins, else all cores), whatever number of threads the
//! caller allows.
//!
//! In mixed precision the large products of [`fused`] read numbers in bf16 ([`copies`], [`bf16`](crate::math::bf16));
//! all else, the weights among it, is in f32.
//!
//! Everything here splits its work into pieces whose size does not depend on the number of threads, and adds pieces up
//! in a fixed order: any number of threads gives the same bits.

pub(crate) mod adam;
pub(crate) mod batch;
#[cfg(feature = "candle")]
pub(crate) mod candle;
mod copies;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod engine;
pub(crate) mod fused;
pub(crate) mod init;
pub(crate) mod input_layer;
pub(crate) mod latent;
mod layers;
pub(crate) mod network;
pub(crate) mod noise;
pub(crate) mod old_posterior;
pub(crate) mod output_layer;
mod parameters;

pub(crate) mod scratch;
pub(crate) mod state;
