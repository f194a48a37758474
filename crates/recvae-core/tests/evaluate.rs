//! Metrics and statistics through the public interface.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use recvae_core::ndarray::{ArrayView1, ArrayViewMut2};
use recvae_core::{Csr, Evaluation, HeldOut, Ids, Metric, Result, Scorer, evaluate};

/// The same scores for every user.
struct Fixed(Vec<f32>);

impl Scorer for Fixed {
    fn n_items(&self) -> usize {
        self.0.len()
    }

    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        assert_eq!(scores.dim(), (histories.len(), self.0.len()));
        scores.assign(&ArrayView1::from(&self.0));
        Ok(())
    }
}

/// What goes in and what is held out.
type User<'a> = (&'a [u32], &'a [u32]);

fn held_out(n_items: usize, users: &[User]) -> HeldOut {
    let ids: Ids = (0..users.len()).map(|user| user.to_string()).collect();
    let rows = |pick: fn(&User) -> Vec<u32>| Csr::from_rows(users.iter().map(pick), n_items).unwrap();
    HeldOut::new(ids, rows(|user| user.0.to_vec()), rows(|user| user.1.to_vec())).unwrap()
}

fn metrics(names: &[&str]) -> Vec<Metric> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn means(evaluation: &Evaluation) -> Vec<f64> {
    evaluation.metrics.iter().map(|values| values.mean).collect()
}

#[track_caller]
fn close(ours: &[f64], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len());
    assert!(ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{ours:?} against {expected:?}");
}

const FIVE: [f32; 5] = [5.0, 4.0, 3.0, 2.0, 1.0];

#[test]
fn values_by_hand() {
    // Ranking without the seen item 0: 1, 2, 3, 4. Held out 2 and 4: ranks 2 and 4.
    let users = held_out(5, &[(&[0], &[2, 4])]);
    let names = ["ndcg@2", "ndcg@4", "recall@1", "recall@3", "recall-all@1", "hit-rate@1", "hit-rate@2", "coverage@2"];
    let evaluation = evaluate(&Fixed(FIVE.into()), &users, &metrics(&names)).unwrap();
    let gain = |rank: f64| 1.0 / (rank + 1.0).log2();
    let best = gain(1.0) + gain(2.0);
    let expected = [gain(2.0) / best, (gain(2.0) + gain(4.0)) / best, 0.0, 0.5, 0.0, 0.0, 1.0, 2.0 / 5.0];
    close(&means(&evaluation), &expected);
    assert_eq!(evaluation.users, [0]);
    assert_eq!(evaluation.metrics[0].standard_error, None);
}

#[test]
fn the_other_metrics_by_hand() {
    // The same: hits at ranks 2 and 4 of 1, 2, 3, 4.
    let users = held_out(5, &[(&[0], &[2, 4])]);
    let of = |names: &[&str]| means(&evaluate(&Fixed(FIVE.into()), &users, &metrics(names)).unwrap());
    close(&of(&["precision@1", "precision@2", "precision@4", "precision@10"]), &[0.0, 0.5, 0.5, 0.2]);
    close(&of(&["map@1", "map@2", "map@4", "map@10"]), &[0.0, 0.25, (1.0 / 2.0 + 2.0 / 4.0) / 2.0, 0.5]);
    close(&of(&["mrr@1", "mrr@2", "mrr@10"]), &[0.0, 0.5, 0.5]);
    // Lists of 2 are 1, 2: counts 0, 0, 0, 1, 1 have (0 + 0 + 0 + 2 + 4) / (5 * 2); lists of one item have 4 / 5.
    close(&of(&["gini@1", "gini@2"]), &[0.8, 0.6]);
    // Where each item stands in one list, all are alike.
    let users = held_out(2, &[(&[0], &[1]), (&[1], &[0])]);
    close(&means(&evaluate(&Fixed(vec![1.0, 2.0]), &users, &metrics(&["gini@1"])).unwrap()), &[0.0]);
}

#[test]
fn the_two_denominators_of_recall_differ() {
    // Held out 1, 2, 3, all at the top: one place holds one of three.
    let users = held_out(5, &[(&[0], &[1, 2, 3])]);
    let evaluation = evaluate(&Fixed(FIVE.into()), &users, &metrics(&["recall@1", "recall-all@1"])).unwrap();
    close(&means(&evaluation), &[1.0, 1.0 / 3.0]);
}

#[test]
fn k_above_the_catalogue_is_a_shorter_list() {
    let users = held_out(5, &[(&[0, 1, 2], &[4])]);
    let names = ["recall@1000", "ndcg@1000", "hit-rate@1000", "coverage@1000"];
    let evaluation = evaluate(&Fixed(FIVE.into()), &users, &metrics(&names)).unwrap();
    close(&means(&evaluation), &[1.0, 1.0 / 3f64.log2(), 1.0, 2.0 / 5.0]);
}

#[test]
fn seen_items_never_fill_a_list() {
    // The best scores are seen; a mask by score 0 or by minus infinity at the end of a list would bring them back.
    let users = held_out(4, &[(&[0, 1], &[2])]);
    let evaluation =
        evaluate(&Fixed(vec![9.0, 8.0, -1.0, -2.0]), &users, &metrics(&["hit-rate@1", "coverage@4"])).unwrap();
    close(&means(&evaluation), &[1.0, 0.5]);
}

#[test]
fn ties_go_to_the_lower_index() {
    let users = held_out(4, &[(&[], &[1]), (&[0], &[1])]);
    let evaluation = evaluate(&Fixed(vec![1.0; 4]), &users, &metrics(&["hit-rate@1"])).unwrap();
    assert_eq!(evaluation.metrics[0].per_user, [0.0, 1.0]);
}

#[test]
fn users_with_nothing_held_out_do_not_count() {
    let users = held_out(5, &[(&[0], &[1]), (&[0, 1], &[]), (&[], &[]), (&[], &[0])]);
    let evaluation = evaluate(&Fixed(FIVE.into()), &users, &metrics(&["recall@1"])).unwrap();
    assert_eq!((evaluation.users.as_slice(), evaluation.skipped), (&[0, 3][..], 2));
    assert_eq!(evaluation.metrics[0].per_user, [1.0, 1.0]);
    let nobody = held_out(5, &[(&[0], &[]), (&[], &[])]);
    let error = evaluate(&Fixed(FIVE.into()), &nobody, &metrics(&["recall@1"])).unwrap_err();
    assert_eq!(error.to_string(), "none of the 2 held-out users has an item held out: there is nothing to evaluate");
}

#[test]
fn bad_calls_are_errors() {
    let users = held_out(5, &[(&[0], &[1])]);
    let code = |scores: Vec<f32>, metrics: &[Metric]| evaluate(&Fixed(scores), &users, metrics).unwrap_err().code();
    assert_eq!(code(FIVE.into(), &[]), "INVALID_ARGUMENT");
    assert_eq!(code(vec![1.0; 4], &Metric::DEFAULT), "INVALID_DATA");
    assert_eq!(code(vec![1.0, f32::NAN, 0.0, 0.0, 0.0], &Metric::DEFAULT), "NUMERICAL");
    for text in ["ndcg", "ndcg@", "ndcg@0", "ndcg@x", "ndcg@-1", "prec@5", "@5", "ndcg@5@5", "ndcg@1000001"] {
        let error = text.parse::<Metric>().unwrap_err();
        assert!(error.to_string().starts_with(&format!("metric is '{text}'; allowed: ndcg@K")), "{error}");
    }
    for metric in Metric::DEFAULT.into_iter().chain(Metric::all(7)) {
        assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
    }
}

/// The official scripts' way: mask, full sort, look up.
fn naive(scores: &[f32], input: &[u32], target: &[u32], metric: Metric) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).filter(|item| !input.contains(&(*item as u32))).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap());
    let k = metric.k();
    let hits: Vec<usize> = (0..k.min(order.len())).filter(|&rank| target.contains(&(order[rank] as u32))).collect();
    let gain = |rank: &usize| 1.0 / ((*rank + 2) as f64).log2();
    match metric {
        Metric::Ndcg(_) => hits.iter().map(gain).sum::<f64>() / (0..k.min(target.len())).map(|r| gain(&r)).sum::<f64>(),
        Metric::Recall(_) => hits.len() as f64 / k.min(target.len()) as f64,
        Metric::RecallAll(_) => hits.len() as f64 / target.len() as f64,
        Metric::HitRate(_) => f64::from(u8::from(!hits.is_empty())),
        Metric::Precision(_) => hits.len() as f64 / k as f64,
        Metric::Map(_) => {
            let precision = |(before, rank): (usize, &usize)| (before + 1) as f64 / (rank + 1) as f64;
            hits.iter().enumerate().map(precision).sum::<f64>() / k.min(target.len()) as f64
        }
        Metric::Mrr(_) => hits.first().map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
        Metric::Coverage(_) | Metric::Gini(_) => unreachable!(),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_form(
        scores in prop::collection::vec((-3i32..3).prop_map(|score| score as f32), 1..40),
        users in prop::collection::vec(prop::collection::vec(0u8..4, 40), 1..600),
        k in 1usize..50,
    ) {
        let n = scores.len();
        let pick = |user: &Vec<u8>, what: u8| -> Vec<u32> {
            (0..n as u32).filter(|&item| user[item as usize] == what).collect()
        };
        let rows: Vec<(Vec<u32>, Vec<u32>)> = users.iter().map(|user| (pick(user, 1), pick(user, 2))).collect();
        let borrowed: Vec<User> = rows.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        let scored: Vec<_> = rows.iter().filter(|(_, target)| !target.is_empty()).collect();
        prop_assume!(!scored.is_empty());
        let metrics: Vec<_> = Metric::all(k).into_iter().filter(|metric| !metric.is_of_all_lists()).collect();
        let evaluation = evaluate(&Fixed(scores.clone()), &held_out(n, &borrowed), &metrics).unwrap();
        for values in &evaluation.metrics {
            prop_assert_eq!(values.per_user.len(), scored.len());
            for (ours, (input, target)) in values.per_user.iter().zip(&scored) {
                prop_assert!((ours - naive(&scores, input, target, values.metric)).abs() < 1e-12);
            }
        }
    }
}
