//! The names of the models, and what can be said of one without its options.

use std::str::FromStr;

use crate::base::error::{Error, Result};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// The models of this crate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ModelKind { $($(#[doc = $doc])+ $variant,)+ }

        impl ModelKind {
            /// All of them, the cheapest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in JSON, TypeScript and on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence about the model.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

kinds! {
    /// Every user gets the items that most users have.
    Popularity = "popularity";
    /// EASE^R: a linear item-item model in closed form.
    Ease = "ease";
    /// EDLAE: EASE^R of histories from which items are dropped at random, in closed form.
    Edlae = "edlae";
    /// RDLAE: EDLAE whose weights are found with a diagonal that may be up to some number.
    Rdlae = "rdlae";
    /// DEQL: EDLAE that is also asked, with less weight, for the items that dropout has kept.
    Deql = "deql";
    /// Higher-order EASE^R: EASE^R in which pairs of items speak, too, in closed form.
    HoEase = "hoease";
    /// iALS: matrix factorisation by alternating least squares.
    Als = "als";
    /// Mult-DAE: a denoising autoencoder with a multinomial likelihood; Mult-VAE without the sampling.
    MultDae = "mult-dae";
    /// Mult-VAE: a variational autoencoder with a multinomial likelihood.
    MultVae = "mult-vae";
    /// RecVAE: Mult-VAE with a composite prior, a KL weight per user, alternating training and a dense encoder.
    RecVae = "recvae";
    /// H+Vamp (Gated): a variational autoencoder with two latent vectors, gated layers and a learnt prior.
    HVamp = "hvamp";
    /// Blend: several trained models together, with weights that are learnt on the validation users.
    Blend = "blend";
}

impl ModelKind {
    /// Those that are trained on data, the cheapest first: all but the blend, which is made of them.
    pub const TRAINED: &'static [Self] = Self::ALL.split_at(Self::ALL.len() - 1).0;

    /// Whether its training can be kept in a checkpoint: the models that take long.
    #[must_use]
    pub fn has_checkpoints(self) -> bool {
        self.has_engines()
    }

    /// Whether its training is a matter of an engine and a device; the other models are computed by the processor as
    /// they are.
    #[must_use]
    pub fn has_engines(self) -> bool {
        matches!(self, Self::MultDae | Self::MultVae | Self::RecVae | Self::HVamp)
    }

    /// Whether the precision of its training can be chosen. H+Vamp's is f32 by either engine.
    #[must_use]
    pub fn has_precisions(self) -> bool {
        self.has_engines() && self != Self::HVamp
    }

    /// Whether a GPU can have a part in its training.
    #[must_use]
    pub fn has_devices(self) -> bool {
        self.has_engines() || self.has_item_matrix() || self == Self::Als
    }

    /// Fails unless it is one of the models that can, for which alone an option of that name may be `word`.
    pub(crate) fn check_word(self, option: &str, word: &str, can: impl Fn(Self) -> bool) -> Result<()> {
        if can(self) {
            return Ok(());
        }
        let able: Vec<_> = Self::ALL.iter().filter(|&&kind| can(kind)).map(|kind| kind.name()).collect();
        let got = format!("'{word}' for {}", self.name());
        Err(Error::invalid_argument(option, got, format!("for {}", able.join(", "))))
    }

    /// Whether the model is EASE^R's matrix of items x items, found in one way or another: it is stored as that, and
    /// made smaller.
    #[must_use]
    pub fn has_item_matrix(self) -> bool {
        matches!(self, Self::Ease | Self::Edlae | Self::Rdlae | Self::Deql)
    }

    /// Whether the model looks at the weights of interactions; the others count each alike. A blend does, if one of its
    /// parts does.
    #[must_use]
    pub fn uses_weights(self) -> bool {
        matches!(self, Self::Als | Self::Blend)
    }

    /// Whether the model knows how alike items are; a blend, if one of its parts does.
    #[must_use]
    pub fn has_similar_items(self) -> bool {
        self != Self::Popularity
    }

    /// Whether the model gives users latent vectors.
    #[must_use]
    pub fn has_embedding(self) -> bool {
        matches!(self, Self::Als | Self::MultDae | Self::MultVae | Self::RecVae | Self::HVamp)
    }

    /// Fails with the names of the models that can be `what` unless this is one of them.
    pub(crate) fn check(self, what: &str, can: impl Fn(Self) -> bool) -> Result<()> {
        if can(self) {
            return Ok(());
        }
        let able: Vec<_> = Self::ALL.iter().filter(|&&kind| can(kind)).map(|kind| kind.name()).collect();
        Err(Error::invalid_argument(what, format!("'{}'", self.name()), able.join(", ")))
    }
}

impl FromStr for ModelKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            Error::invalid_argument("model", format!("'{name}'"), names.join(", "))
        })
    }
}
