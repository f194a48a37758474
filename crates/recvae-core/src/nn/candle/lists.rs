//! Lists of a network in training, found where it is: what comes back of the validation users is little more than their
//! lists.
//!
//! The scores there are the ones that count, so nothing is scored again; a user with a score that is not finite, or
//! with equal ones at the end of the list, needs all of them.

use std::borrow::Cow;

use candle_core::{DType, Tensor};

use super::{CandleEngine, IntoCore};
use crate::base::error::Result;
use crate::evaluate::device_lists::{is_worth_it, users_at_once};
use crate::evaluate::device_top_k::{best, columns_for, kept_for};
use crate::evaluate::scorer::{ListFinder, Scored, Scorer, check_histories};

impl ListFinder for CandleEngine<f32> {
    fn is_worth_it(&self, n_users: usize, k: usize) -> bool {
        is_worth_it(n_users, k, self.architecture.n_items)
    }

    fn block(&self) -> usize {
        users_at_once(self.architecture.n_items)
    }

    fn find(
        &self,
        _: &dyn Scorer,
        histories: &[&[u32]],
        left_out: &[Cow<'_, [u32]>],
        k: usize,
    ) -> Result<Vec<Option<Vec<Scored>>>> {
        let n_items = self.architecture.n_items;
        check_histories(histories, n_items)?;
        let left_out: Vec<&[u32]> = left_out.iter().map(|items| &**items).collect();
        let found = || {
            let scores = self.scores_of(histories)?;
            // 0 times what is no finite number is none either.
            let finite: Vec<f32> = (&scores * 0.0)?.sum(1)?.to_vec1()?;
            let beyond = columns_for(n_items) - n_items;
            let nothing = Tensor::full(f32::NEG_INFINITY, (histories.len(), beyond), scores.device())?;
            let scores = Tensor::cat(&[scores, nothing], 1)?;
            debug_assert_eq!(scores.dtype(), DType::F32);
            Ok((best(&scores, &left_out, kept_for(k))?, finite))
        };
        let (found, finite) = found().core()?;
        let list = |user: usize| {
            let list = if finite[user].is_nan() { None } else { found.list(user, k) };
            list.map(|list| list.into_iter().map(|(item, score)| Scored { item, score: score + 0.0 }).collect())
        };
        Ok((0..histories.len()).map(list).collect())
    }
}
