//! Who interacted with what: a binary matrix of users x items with the original ids of both.
//!
//! Users and items are numbered in order of first appearance, so the same rows in the same order give the same indices
//! on every machine. Duplicates collapse. Thresholds ([`Thresholds`]) are applied again and again until nothing changes.

use crate::csr::Csr;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::options::options;

options! {
    /// How many interactions a user and an item must have to stay.
    pub struct Thresholds for "thresholds" {
        /// Users with fewer distinct items are left out.
        min_user: usize = 1, AtLeast(0.0);
        /// Items with fewer distinct users are left out.
        min_item: usize = 1, AtLeast(0.0);
    }
}

/// Interactions of shape `(n_users, n_items)` with the ids of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interactions {
    users: Ids,
    items: Ids,
    matrix: Csr,
}

impl Interactions {
    /// Puts a matrix and its ids together.
    ///
    /// # Errors
    /// `INVALID_DATA` if the number of ids is not the number of rows or columns.
    pub fn new(users: Ids, items: Ids, matrix: Csr) -> Result<Self> {
        if users.len() != matrix.n_rows() || items.len() != matrix.n_cols() {
            return Err(Error::invalid_data(format!(
                "{} user ids and {} item ids for a matrix of {} x {}",
                users.len(),
                items.len(),
                matrix.n_rows(),
                matrix.n_cols()
            )));
        }
        Ok(Self { users, items, matrix })
    }

    /// Original ids of the users, in row order.
    #[must_use]
    pub fn users(&self) -> &Ids {
        &self.users
    }

    /// Original ids of the items, in column order.
    #[must_use]
    pub fn items(&self) -> &Ids {
        &self.items
    }

    /// The binary matrix of shape `(n_users, n_items)`.
    #[must_use]
    pub fn matrix(&self) -> &Csr {
        &self.matrix
    }
}
