//! Allow and deny lists of original ids, prepared once for a model and used in any number of calls.

use std::sync::Arc;

use crate::base::error::{Error, Result};
use crate::evaluate::candidates::Candidates;
use crate::serve::recommender::{History, Recommender};

/// Which items of one model may be recommended.
#[derive(Clone, Debug)]
pub struct Filter {
    candidates: Candidates,
    unknown_allow: Vec<usize>,
    unknown_deny: Vec<usize>,
    /// The identity of the model that made it.
    model: Arc<()>,
}

impl Filter {
    /// How many items may be recommended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether none may.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Positions in the allow list, ascending, of ids that the model does not know. They were ignored.
    #[must_use]
    pub fn unknown_allow(&self) -> &[usize] {
        &self.unknown_allow
    }

    /// The same of the deny list.
    #[must_use]
    pub fn unknown_deny(&self) -> &[usize] {
        &self.unknown_deny
    }
}

impl Recommender {
    /// A filter that lets items pass that are in `allow`, if there is such a list, that are not in `deny`, and that
    /// pass `within`, if there is one. An empty `allow` lets nothing pass. Ids may come more than once; those that the
    /// model does not know are ignored.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `within` is a filter of another model.
    pub fn filter<S: AsRef<str>>(&self, allow: Option<&[S]>, deny: &[S], within: Option<&Filter>) -> Result<Filter> {
        let within = within.map(|filter| self.candidates(filter)).transpose()?;
        let allow = allow.map(|ids| self.history(ids));
        let deny = self.history(deny);
        let (allow, unknown_allow) = match allow {
            Some(History { items, unknown }) => (Some(items), unknown),
            None => (None, vec![]),
        };
        let candidates = match within {
            Some(candidates) => candidates.narrow(allow, deny.items),
            None => Candidates::all(self.items().len()).narrow(allow, deny.items),
        };
        Ok(Filter { candidates, unknown_allow, unknown_deny: deny.unknown, model: Arc::clone(self.identity()) })
    }

    /// What passes the filter, once it is known to be one of this model.
    pub(crate) fn candidates<'a>(&self, filter: &'a Filter) -> Result<&'a Candidates> {
        if Arc::ptr_eq(&filter.model, self.identity()) {
            return Ok(&filter.candidates);
        }
        Err(Error::invalid_argument("filter", "one of another model", "a filter that this model made"))
    }
}
