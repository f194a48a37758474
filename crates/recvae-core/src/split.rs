//! Who is trained on and who is held out.

pub(crate) mod choosing;
pub(crate) mod fingerprint;
pub(crate) mod kinds;
pub(crate) mod numpy;
pub(crate) mod official;
pub(crate) mod options;
pub(crate) mod parts;
pub(crate) mod published;
pub(crate) mod strong;
pub(crate) mod subsample;
pub(crate) mod training_record;
pub(crate) mod within_users;
