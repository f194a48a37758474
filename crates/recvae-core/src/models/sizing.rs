//! The largest model that fits: options changed as little as needed for a fit to keep to its memory and its time.
//!
//! Each model says beside its fit which of its options make it smaller, in which order. The figures are those by which
//! a fit is refused, so that what is given here is not.

use serde_json::Value;

use crate::base::error::Result;
use crate::base::memory::{MemoryEstimate, limit_or_free};
use crate::model::ModelKind;

/// What a fit may take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes beyond the data; `None` for what is free.
    pub memory: Option<u64>,
    /// Bytes of something else that is held meanwhile, within `memory`.
    pub beside: u64,
    /// Estimated seconds; `None` for any.
    pub seconds: Option<f64>,
}

/// An option that is not what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionChange {
    /// The option.
    pub name: String,
    /// What was asked for.
    pub from: Value,
    /// What fits.
    pub to: Value,
}

/// The options by which a fit fits, or why there are none.
#[derive(Clone, Debug, PartialEq)]
pub enum Sizing {
    /// It fits.
    Fits {
        /// The options that were given, with those that were changed.
        options: Value,
        /// The changes; none if it fits as it was asked for.
        changed: Vec<OptionChange>,
    },
    /// It does not fit whatever its options, for that reason.
    Refused(String),
}

impl Sizing {
    /// From the options as they were given, and complete ones before and after.
    pub(crate) fn of(given: &Value, before: &Value, after: &Value) -> Self {
        let (mut options, mut changed) = (given.as_object().cloned().unwrap_or_default(), vec![]);
        for (name, to) in after.as_object().into_iter().flatten() {
            let from = &before[name];
            if from != to {
                options.insert(name.clone(), to.clone());
                changed.push(OptionChange { name: name.clone(), from: from.clone(), to: to.clone() });
            }
        }
        Self::Fits { options: options.into(), changed }
    }

    /// Where nothing fits; `checked` is what a fit with the given options says.
    pub(crate) fn refused(kind: ModelKind, limits: &Limits, checked: Result<MemoryEstimate>) -> Self {
        Self::Refused(match (checked, limits.seconds) {
            (Err(error), _) => error.to_string(),
            (Ok(_), seconds) => format!(
                "{} would take more than {} seconds at any size that fits; the way out: more seconds, or fewer items (minItem)",
                kind.name(),
                seconds.unwrap_or(f64::INFINITY)
            ),
        })
    }
}

/// The given options if they fit, else what `smaller` finds to fit. `bytes` and `seconds` are those of a fit; the
/// latter are asked for only of what has the memory.
pub(crate) fn size<O: Clone>(
    limits: &Limits,
    given: &O,
    bytes: impl Fn(&O) -> u64,
    seconds: impl Fn(&O) -> f64,
    smaller: impl FnOnce(&dyn Fn(&O) -> bool) -> Option<O>,
) -> Option<O> {
    let (memory, _) = limit_or_free(limits.memory);
    let fits = |options: &O| {
        bytes(options).saturating_add(limits.beside) <= memory
            && limits.seconds.is_none_or(|limit| seconds(options) <= limit)
    };
    if fits(given) { Some(given.clone()) } else { smaller(&fits) }
}
