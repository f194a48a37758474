//! RecVAE's four changes to Mult-VAE by name, each with the option that makes and unmakes it: what an ablation
//! switches.
//!
//! | change | option | with it | without it |
//! | --- | --- | --- | --- |
//! | composite prior | `prior` | composite | standard |
//! | KL weight per user | `klWeight` | user (`gamma` n) | constant (`beta`) |
//! | alternating training | `training` | alternating | joint |
//! | dense encoder | `encoder` | dense | shallow |
//!
//! RecVAE without all four is not [`super::mult_vae`]: its decoder stays linear where Mult-VAE's has a hidden layer,
//! `beta` counts in full from the first step where Mult-VAE's grows, and initial weights, step size, epochs and
//! patience are RecVAE's. What differs between two rows of an ablation is the changes and nothing else. An epoch of
//! alternating training is `encoderPasses` + `decoderPasses` passes over the users, one of joint training is a single
//! pass.
//!
//! Source: the RecVAE paper (see [`super::rec_vae`]), section 4 and the ablation in its table 3.

use serde_json::{Value, json};

use super::rec_vae::{EncoderKind, KlWeightKind, PriorKind, TrainingKind};

/// One of RecVAE's changes to Mult-VAE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: &'static str,
    /// The option of RecVAE that makes it, as JSON names it.
    pub option: &'static str,
    /// The option's value with the change, which is the default.
    pub with: &'static str,
    /// The option's value without it: Mult-VAE's way.
    pub without: &'static str,
}

impl Change {
    /// The table's row as JSON, all fields by their names.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "option": self.option, "with": self.with, "without": self.without })
    }
}

/// All four, in the order of the paper's sections.
pub const CHANGES: [Change; 4] = [
    Change {
        name: "composite prior",
        option: "prior",
        with: PriorKind::Composite.word(),
        without: PriorKind::Standard.word(),
    },
    Change {
        name: "KL weight per user",
        option: "klWeight",
        with: KlWeightKind::User.word(),
        without: KlWeightKind::Constant.word(),
    },
    Change {
        name: "alternating training",
        option: "training",
        with: TrainingKind::Alternating.word(),
        without: TrainingKind::Joint.word(),
    },
    Change {
        name: "dense encoder",
        option: "encoder",
        with: EncoderKind::Dense.word(),
        without: EncoderKind::Shallow.word(),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::options::Options;
    use crate::models::RecVaeOptions;

    /// RecVAE with the given value of each change's option.
    fn options(value: impl Fn(&Change) -> &'static str) -> RecVaeOptions {
        let given: serde_json::Map<String, Value> =
            CHANGES.iter().map(|change| (change.option.to_owned(), json!(value(change)))).collect();
        RecVaeOptions::from_json(&given.into()).unwrap()
    }

    #[test]
    fn the_whole_is_the_default_and_the_base_has_no_change() {
        assert_eq!(options(|change| change.with), RecVaeOptions::default());
        let base = RecVaeOptions {
            prior: PriorKind::Standard,
            kl_weight: KlWeightKind::Constant,
            training: TrainingKind::Joint,
            encoder: EncoderKind::Shallow,
            ..RecVaeOptions::default()
        };
        assert_eq!(options(|change| change.without), base);
    }

    #[test]
    fn every_option_that_is_a_choice_is_a_change() {
        let choices: Vec<String> = RecVaeOptions::describe()
            .into_iter()
            .filter(|option| option.default.is_string())
            .map(|option| option.name)
            .collect();
        let mut changed: Vec<&str> = CHANGES.iter().map(|change| change.option).collect();
        changed.sort_by_key(|name| choices.iter().position(|choice| choice == name));
        assert_eq!(changed, choices);
    }
}
