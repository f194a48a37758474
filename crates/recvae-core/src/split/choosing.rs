//! The validation users by whom epochs, options and weights are chosen: all that have something to find, or [`MOST`] of
//! them.
//!
//! A model is asked for them after every epoch of every trial. Of 100,000 users and 200,000 items that took most of a
//! comparison's time, while the standard error of a mean over 10,000 users is .003 at most (values from 0 to 1 with a
//! deviation of about .3), and choices compare the same users with each other. Results of test users are of all of
//! them.

use std::borrow::Cow;

use crate::base::error::{Error, Result};
use crate::math::csr::Csr;
use crate::split::parts::HeldOut;

/// How many users choose at most.
pub(crate) const MOST: usize = 10_000;

/// The users who choose, evenly spaced among those with something to find where these are more than [`MOST`]; else all
/// users.
pub(crate) fn choosing(held_out: &HeldOut) -> Result<Cow<'_, HeldOut>> {
    at_most(MOST, held_out)
}

fn at_most(most: usize, held_out: &HeldOut) -> Result<Cow<'_, HeldOut>> {
    let scored: Vec<usize> = (0..held_out.n_users()).filter(|&user| !held_out.target().row(user).is_empty()).collect();
    if scored.len() <= most {
        return Ok(Cow::Borrowed(held_out));
    }
    let users: Vec<usize> = (0..most).map(|at| scored[at * scored.len() / most]).collect();
    let select = |matrix: &Csr| matrix.select_rows(&users);
    let ids = held_out.users().select(users.iter().copied());
    HeldOut::new(ids, select(held_out.input()), select(held_out.target()))
        .and_then(|part| part.with_popular(held_out.popular().cloned()))
        .map(Cow::Owned)
        .map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ids::Ids;

    /// Users by position; every third one has nothing to find.
    fn held_out(n: usize) -> HeldOut {
        let users: Ids = (0..n).map(|user| user.to_string()).collect();
        let input: Vec<_> = (0..n).map(|user| vec![(user % 7) as u32]).collect();
        let target: Vec<_> =
            (0..n).map(|user| if user % 3 == 0 { vec![] } else { vec![(user % 7) as u32 + 7] }).collect();
        HeldOut::new(users, Csr::from_rows(input, 14).unwrap(), Csr::from_rows(target, 14).unwrap()).unwrap()
    }

    #[test]
    fn few_users_all_choose() {
        let few = held_out(30);
        assert_eq!(*at_most(20, &few).unwrap(), few);
        assert!(matches!(at_most(20, &few).unwrap(), Cow::Borrowed(_)));
        assert!(matches!(choosing(&few).unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn of_many_some_choose_who_are_evenly_spaced_and_keep_their_items() {
        let many = held_out(300);
        let chosen = at_most(40, &many).unwrap();
        assert_eq!((chosen.n_users(), chosen.n_scored(), chosen.n_items()), (40, 40, 14));
        let positions: Vec<usize> = chosen.users().iter().map(|user| user.parse().unwrap()).collect();
        // Of 200 users with something to find, each fifth one.
        assert!(positions.windows(2).all(|pair| (7..=8).contains(&(pair[1] - pair[0]))), "{positions:?}");
        for (row, user) in positions.into_iter().enumerate() {
            assert_eq!(chosen.input().row(row), many.input().row(user));
            assert_eq!(chosen.target().row(row), many.target().row(user));
        }
    }
}
