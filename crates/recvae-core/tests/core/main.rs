//! The core by its public API. One program, so that it is linked once; what measures a whole process has programs of
//! its own.

mod arrow;
mod blend;
mod checkpoint;
mod common;
mod compact;
mod company;
mod contract;
mod density;
mod ease_counts;
mod evaluate;
mod formats;
mod groups;
mod interactions;
mod numerics;
mod numpy_split;
mod official;
mod progress;
mod read;
mod reference;
mod rooms;
mod serving;
mod sizing;
mod split;
mod synth;
mod within_users;
