//! A trained model with the ids of its items: lists, filters, reasons, files.

pub(crate) mod blend;
pub(crate) mod columns;
pub(crate) mod device;
pub(crate) mod ease_counts;
pub(crate) mod exchange;
pub(crate) mod explain;
pub(crate) mod filter;
pub(crate) mod inspect;
pub(crate) mod lists;
pub(crate) mod model_file;
pub(crate) mod recommender;
pub(crate) mod similar;
