//! The models: options, fit, scores and estimates of each in a file of its own, and the registry that knows them all.

mod als;
pub(crate) mod blend;
#[cfg(all(test, feature = "candle"))]
mod candle_tests;
mod changes;
mod deql;
pub(crate) mod device;
#[cfg(all(test, feature = "candle"))]
mod device_tests;
pub(crate) mod ease;
mod edlae;
#[cfg(test)]
mod golden_tests;
mod h_vamp;
mod ho_ease;
pub(crate) mod mult_dae;
pub(crate) mod mult_vae;
mod popularity;
#[cfg(test)]
mod precision_tests;
mod rdlae;
pub(crate) mod rec_vae;
mod registry;
mod sizing;
mod vae;

pub use als::{Als, AlsConfidence, AlsOptions, AlsSolver};
pub use blend::{BlendOptions, Scale};
pub use changes::{CHANGES, Change};
pub use deql::DeqlOptions;
pub use ease::{Ease, EaseOptions, Precision};
pub use edlae::EdlaeOptions;
pub use h_vamp::{HVampLikelihood, HVampOptions};
pub use ho_ease::HoEaseOptions;
pub use mult_dae::MultDaeOptions;
pub use mult_vae::MultVaeOptions;
pub use popularity::{Popularity, PopularityOptions};
pub use rdlae::RdlaeOptions;
pub use rec_vae::{EncoderKind, KlWeightKind, PriorKind, RecVaeOptions, TrainingKind};
pub use sizing::{Limits, OptionChange, Sizing};
