//! The parts of a split: training users, and held-out users of whom one part is shown and the other has to be found.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::error::{Error, Result};
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::data::left_out::LeftOut;
use crate::data::popular::Popular;
use crate::math::csr::Csr;

/// Users with what goes in and what has to come out. By strong generalisation no model saw them in training.
///
/// They may know how many training users have each item, as those of a [`Split`] do: by that, what a model knows
/// nothing of is ranked when lists are evaluated, as when they are served. They are equal without regard to it.
#[derive(Clone, Debug)]
pub struct HeldOut {
    users: Ids,
    input: Csr,
    target: Csr,
    popular: Option<Arc<Popular>>,
}

impl PartialEq for HeldOut {
    fn eq(&self, other: &Self) -> bool {
        (&self.users, &self.input, &self.target) == (&other.users, &other.input, &other.target)
    }
}

impl Eq for HeldOut {}

impl HeldOut {
    /// Puts the ids of the rows, the input and the target together, both of shape `(n_users, n_items)`.
    ///
    /// # Errors
    /// `INVALID_DATA` if the shapes differ, or a user has the same item in both.
    pub fn new(users: Ids, input: Csr, target: Csr) -> Result<Self> {
        let shape = |matrix: &Csr| (matrix.n_rows(), matrix.n_cols());
        if shape(&input) != shape(&target) || users.len() != input.n_rows() {
            return Err(Error::invalid_data(format!(
                "{} user ids, an input of shape {:?} and a target of shape {:?}; allowed: one row per user in both",
                users.len(),
                shape(&input),
                shape(&target)
            )));
        }
        for (row, (input, target)) in input.rows().zip(target.rows()).enumerate() {
            if let Some(item) = target.iter().find(|item| input.binary_search(item).is_ok()) {
                return Err(Error::invalid_data(format!(
                    "held-out user '{}' has item {item} in the input and in the target; allowed: in one of them",
                    users.get(row)
                )));
            }
        }
        Ok(Self { users, input, target, popular: None })
    }

    /// The same with how many training users have each item.
    ///
    /// # Errors
    /// `INVALID_DATA` if there are not as many numbers as items.
    pub fn with_counts(self, counts: Vec<u32>) -> Result<Self> {
        self.with_popular(Some(Arc::new(Popular::new(counts))))
    }

    /// The same with what others know, too; `None` for nothing.
    pub(crate) fn with_popular(self, popular: Option<Arc<Popular>>) -> Result<Self> {
        match popular.as_ref().map(|popular| popular.counts().len()).filter(|n| *n != self.n_items()) {
            None => Ok(Self { popular, ..self }),
            Some(n) => {
                let text = format!("numbers of users of {n} items for held-out users of {}", self.n_items());
                Err(Error::invalid_data(text))
            }
        }
    }

    /// How many training users have each item, if that is known.
    pub(crate) fn popular(&self) -> Option<&Arc<Popular>> {
        self.popular.as_ref()
    }

    /// Original ids of the users, in row order.
    #[must_use]
    pub fn users(&self) -> &Ids {
        &self.users
    }

    /// What a model is shown: shape `(n_users, n_items)`.
    #[must_use]
    pub fn input(&self) -> &Csr {
        &self.input
    }

    /// What the model's answer is compared with: shape `(n_users, n_items)`, disjoint from the input.
    #[must_use]
    pub fn target(&self) -> &Csr {
        &self.target
    }

    /// Number of users, those without a target included.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.users.len()
    }

    /// Number of items.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.input.n_cols()
    }

    /// Number of their interactions, input and target together.
    #[must_use]
    pub fn n_interactions(&self) -> usize {
        self.input.nnz() + self.target.nnz()
    }

    /// How many bytes of memory they hold, ids included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.users.bytes() + self.input.bytes() + self.target.bytes()
    }

    /// Number of users with a target, which are the ones that count in metrics.
    #[must_use]
    pub fn n_scored(&self) -> usize {
        self.target.rows().filter(|items| !items.is_empty()).count()
    }
}

/// The three parts; all have the items of the training part as columns. Splits are equal if their parts are.
#[derive(Clone, Debug)]
pub struct Split {
    /// What models are trained on.
    pub train: Interactions,
    /// Held-out users for choosing options.
    pub validation: HeldOut,
    /// Held-out users for the result.
    pub test: HeldOut,
    /// What of the data is in none of the parts, or does not count.
    pub left_out: Vec<LeftOut>,
}

impl PartialEq for Split {
    fn eq(&self, other: &Self) -> bool {
        (&self.train, &self.validation, &self.test) == (&other.train, &other.validation, &other.test)
    }
}

impl Eq for Split {}

impl Split {
    /// Puts parts together that have the same items; the held-out users know how many training users have each.
    pub(crate) fn new(train: Interactions, validation: HeldOut, test: HeldOut, left_out: Vec<LeftOut>) -> Result<Self> {
        let popular = Arc::new(Popular::new(train.matrix().column_counts()));
        let [validation, test] = [validation, test].map(|part| part.with_popular(Some(Arc::clone(&popular))));
        Ok(Self { train, validation: validation?, test: test?, left_out })
    }

    /// How many bytes of memory the parts hold, ids included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let popular = self.test.popular().map_or(0, |popular| popular.bytes());
        self.train.bytes() + self.validation.bytes() + self.test.bytes() + popular
    }

    /// Number of users and of distinct interactions in all parts together: users may be in several of them, known by
    /// what is in others.
    #[must_use]
    pub fn totals(&self) -> (usize, usize) {
        let mut held_out: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for part in [&self.validation, &self.test] {
            for (row, user) in part.users().iter().enumerate() {
                let items = held_out.entry(user).or_default();
                items.extend_from_slice(part.input().row(row));
                items.extend_from_slice(part.target().row(row));
            }
        }
        let (mut n_users, mut n_interactions) = (self.train.n_users(), self.train.n_interactions());
        for (user, mut items) in held_out {
            let trained = self.train.users().find(user).map(|row| self.train.matrix().row(row as usize));
            n_users += usize::from(trained.is_none());
            items.sort_unstable();
            items.dedup();
            let trained = trained.unwrap_or_default();
            n_interactions += items.iter().filter(|item| trained.binary_search(item).is_err()).count();
        }
        (n_users, n_interactions)
    }
}
