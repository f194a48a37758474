//! All ways of splitting, by the option `kind`.

use crate::base::error::Result;
use crate::base::options::Options;
use crate::data::interactions::Interactions;
use crate::split::strong::{self, Split, SplitKind, SplitOptions};
use crate::split::within_users;

/// Splits interactions: by users, who are held out whole, or within users. The steps and the edge cases are in the texts of
/// `strong.rs` and of `within_users.rs`.
///
/// # Errors
/// `INVALID_ARGUMENT` if an option is out of range, or a kind needs times that the data do not have. `INVALID_DATA` if there is
/// too little: nothing to train on, or nobody in a part that was asked for.
pub fn split(data: &Interactions, options: &SplitOptions) -> Result<Split> {
    // Options that were not read from JSON have not been checked yet. A moment that is not given has no form there.
    let mut given = options.to_json();
    if let Some(given) = given.as_object_mut() {
        let absent =
            [("testSince", options.test_since.is_none()), ("validationSince", options.validation_since.is_none())];
        absent.iter().filter(|(_, is_absent)| *is_absent).for_each(|(name, _)| drop(given.remove(*name)));
    }
    let options = SplitOptions::from_json(&given)?;
    match options.kind {
        SplitKind::Strong => strong::split(data, &options),
        SplitKind::Time | SplitKind::Last | SplitKind::Share => within_users::split(data, &options),
    }
}
