//! All ways of splitting, by the option `kind`.

use crate::base::error::Result;
use crate::base::options::Options;
use crate::data::interactions::Interactions;
use crate::split::options::{SplitKind, SplitOptions};
use crate::split::parts::Split;
use crate::split::strong;
use crate::split::within_users;

/// Splits interactions: by users, who are held out whole, or within users. The steps and the edge cases are in the
/// texts of `strong.rs` and of `within_users.rs`.
///
/// # Errors
/// `INVALID_ARGUMENT` if an option is out of range, or a kind needs times that the data do not have. `INVALID_DATA` if
/// there is too little: nothing to train on, or nobody in a part that was asked for.
pub fn split(data: &Interactions, options: &SplitOptions) -> Result<Split> {
    let options = options.checked()?;
    match options.kind {
        SplitKind::Strong | SplitKind::Folds => strong::split(data, &options),
        _ => within_users::split(data, &options),
    }
}
