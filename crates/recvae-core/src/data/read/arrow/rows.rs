//! The rows of a batch: columns with their dictionaries, and how many bytes of text they may bring.

use std::ops::Range;

use super::layout::Layout;
use crate::data::read::plan::Plan;

/// Texts or numbers that indices point to: the body of a message and where they lie in it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) body: Vec<u8>,
    pub(super) layout: Layout,
}

/// The segments of a dictionary, one after the other.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    pub(super) segments: Vec<Segment>,
    /// How many entries there are up to the end of each segment.
    pub(super) ends: Vec<usize>,
}

impl Dictionary {
    /// Takes another segment, in place of all others unless it is a delta. `None` if there are too many entries.
    pub(super) fn push(&mut self, segment: Segment, is_delta: bool) -> Option<()> {
        if !is_delta {
            *self = Self::default();
        }
        self.ends.push(self.ends.last().unwrap_or(&0).checked_add(segment.layout.len)?);
        self.segments.push(segment);
        Some(())
    }

    /// The segment that holds an entry, and the entry's place in it.
    pub(super) fn find(&self, entry: usize) -> Option<(&Segment, usize)> {
        let at = self.ends.partition_point(|&end| end <= entry);
        let segment = self.segments.get(at)?;
        Some((segment, entry - (self.ends[at] - segment.layout.len)))
    }
}

/// Why a row is not taken.
pub(super) enum Refused<'a> {
    /// What is wrong in which column of it.
    Row(&'a str, String),
    /// What is wrong with the whole.
    All(&'static str),
}

/// How many bytes the users' ids and the items' may still have, and whether they are text.
pub(super) struct TextBudget {
    pub(super) left: [usize; 2],
    pub(super) is_text: [bool; 2],
}

impl TextBudget {
    /// Counts a user and an item where they are new; `None` if they are too long together.
    pub(super) fn take(&mut self, ids: [&str; 2], are_new: [bool; 2]) -> Option<()> {
        for side in [0, 1] {
            if self.is_text[side] && are_new[side] {
                self.left[side] = self.left[side].checked_sub(ids[side].len())?;
            }
        }
        Some(())
    }
}

/// The columns of a batch.
pub(super) struct Batch<'a> {
    pub(super) users: Source<'a>,
    pub(super) items: Source<'a>,
    pub(super) values: Option<Source<'a>>,
    pub(super) times: Option<Source<'a>>,
    pub(super) body: &'a [u8],
}

/// A column of a batch.
pub(super) struct Source<'a> {
    /// The dictionary that it points into, if it does; the inner `None` if none has come.
    pub(super) dictionary: Option<Option<&'a Dictionary>>,
    pub(super) layout: Layout,
    /// Which of the values are those of a row, if there are lists of them.
    pub(super) list: Option<Layout>,
}

impl Source<'_> {
    /// The values of a row.
    pub(super) fn values_of(&self, body: &[u8], row: usize) -> Result<Range<usize>, String> {
        let Some(list) = &self.list else { return Ok(row..row + 1) };
        list.list(body, row, self.layout.len)?.ok_or_else(|| "null; allowed: a list of ids".into())
    }

    pub(super) fn id<'a>(&'a self, body: &'a [u8], at: usize, digits: &'a mut String) -> Result<&'a str, String> {
        match self.find(body, at, "an id")? {
            Some((Segment { body, layout }, at)) => layout.id(body, at, digits),
            None => self.layout.id(body, at, digits),
        }
    }

    /// In seconds, or the number of a part.
    pub(super) fn time(&self, body: &[u8], at: usize, plan: &Plan) -> Result<f64, String> {
        match self.find(body, at, "a time")? {
            Some((Segment { body, layout }, at)) => layout.time(body, at, plan),
            None => self.layout.time(body, at, plan),
        }
    }

    /// Where a value is in the dictionary, if there is one; `what` is allowed.
    pub(super) fn find(&self, body: &[u8], at: usize, what: &str) -> Result<Option<(&Segment, usize)>, String> {
        let Some(dictionary) = self.dictionary else { return Ok(None) };
        let index = self.layout.whole(body, at).ok_or_else(|| format!("null; allowed: {what}"))?;
        let found = usize::try_from(index).ok().and_then(|entry| dictionary?.find(entry));
        found.map(Some).ok_or_else(|| format!("number {index} of a dictionary that has fewer entries"))
    }
}
