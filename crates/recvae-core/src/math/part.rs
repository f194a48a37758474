//! How products are cut, by whatever they are computed: along the depth, and into parts of the result.

use std::ops::Range;

/// Numbers of a stretch of the depth at most: no more than faer takes in one, and few enough for what a kernel reads of
/// them to stay in the caches.
pub(super) const DEPTH: usize = 512;

/// How a depth of at least 1 is cut: into equal stretches, so that none is a single number unless the depth is 1.
pub(crate) fn depth_of(d: usize) -> usize {
    d.div_ceil(d.div_ceil(DEPTH))
}

/// The part of a result that is wanted; the others are neither read nor written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// On the diagonal and left of it.
    Lower,
    /// On the diagonal and right of it.
    Upper,
}

impl Part {
    /// Of the transposed result.
    pub(crate) fn transposed(self) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }

    /// Whether a block, which is not empty, has something of it.
    pub(crate) fn has(self, rows: &Range<usize>, cols: &Range<usize>) -> bool {
        match self {
            Self::Whole => true,
            Self::Lower => cols.start < rows.end,
            Self::Upper => rows.start < cols.end,
        }
    }

    /// Whether a block, which is not empty, is all of it.
    pub(crate) fn has_all(self, rows: &Range<usize>, cols: &Range<usize>) -> bool {
        match self {
            Self::Whole => true,
            Self::Lower => cols.end <= rows.start + 1,
            Self::Upper => rows.end <= cols.start + 1,
        }
    }
}
