//! How a training runs: its loop, its record, its checkpoints, its beginning.

pub(crate) mod checkpoint;
pub(crate) mod epoch_log;
pub(crate) mod epochs;
pub(crate) mod fit_shape;
pub(crate) mod implicit_slim;
pub(crate) mod keeper;
pub(crate) mod run;
pub(crate) mod training;
pub(crate) mod warm_start;
