//! Metrics and statistics through the public interface.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use recvae_core::{
    Cancel, Csr, EaseOptions, Evaluation, FitRun, HeldOut, Ids, Interactions, Metric, RecommendOptions, Recommender,
    SplitOptions, Stream, Thresholds, Within, evaluate, evaluate_with, split,
};

use crate::common::Fixed;

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

/// What a hit at this rank counts for in NDCG.
fn gain(rank: i32) -> f64 {
    1.0 / f64::from(rank + 1).log2()
}

const FIVE: [f32; 5] = [5.0, 4.0, 3.0, 2.0, 1.0];

#[test]
fn values_by_hand() {
    // Ranking without the seen item 0: 1, 2, 3, 4. Held out 2 and 4: ranks 2 and 4.
    let users = held_out(5, &[(&[0], &[2, 4])]);
    let names = ["ndcg@2", "ndcg@4", "recall@1", "recall@3", "recall-all@1", "hit-rate@1", "hit-rate@2", "coverage@2"];
    let evaluation = evaluate(&Fixed(FIVE.into()), &users, &metrics(&names)).unwrap();
    let best = gain(1) + gain(2);
    let expected = [gain(2) / best, (gain(2) + gain(4)) / best, 0.0, 0.5, 0.0, 0.0, 1.0, 2.0 / 5.0];
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
fn auc_by_hand() {
    let of = |scores: &[f32], input: &[u32], target: &[u32]| {
        let users = held_out(scores.len(), &[(input, target)]);
        means(&evaluate(&Fixed(scores.into()), &users, &metrics(&["auc"])).unwrap())[0]
    };
    // Of 2 and 4 against 1 and 3: 2 before 3, and 4 before nothing.
    assert_eq!(of(&FIVE, &[0], &[2, 4]), 0.25);
    assert_eq!(of(&FIVE, &[], &[0, 1]), 1.0);
    assert_eq!(of(&FIVE, &[], &[4]), 0.0);
    // Equal scores count half, whichever index is lower, and both zeros are equal.
    assert_eq!(of(&[1.0; 4], &[0], &[3]), 0.5);
    assert_eq!(of(&[0.0, -0.0, -1.0], &[], &[1]), 0.75);
    // Nothing else is there that could stand before it.
    assert_eq!(of(&FIVE, &[0, 1, 2, 3], &[4]), 1.0);
    // Where it alone is asked for, no list is made, and a score that is no number still is an error.
    let users = held_out(2, &[(&[], &[1])]);
    assert!(evaluate(&Fixed(vec![f32::NAN, 1.0]), &users, &[Metric::Auc]).is_err());
}

/// Four training users. Items 0 to 4 have 3, 2, 2, 1 and no users; thirds of the 8 interactions begin at 8/3 and 16/3.
fn four_users() -> Csr {
    Csr::from_rows([&[0u32, 1, 2][..], &[0, 1], &[0, 2], &[3]], 5).unwrap()
}

#[test]
fn what_training_says_of_lists_by_hand() {
    // Lists without the seen item 0: 1, 2, 3, 4.
    let of = |input: &[u32], target: &[u32], names: &[&str]| {
        let users = held_out(5, &[(input, target)]);
        means(&evaluate_with(&Fixed(FIVE.into()), &users, &four_users(), &metrics(names)).unwrap())
    };
    // log2 of 4 / 2, 4 / 2, 4 / 1, and 4 / 1 for an item that nobody has.
    close(&of(&[0], &[4], &["novelty@1", "novelty@2", "novelty@3", "novelty@10"]), &[1.0, 1.0, 4.0 / 3.0, 1.5]);
    // 1 and 2 have one user in common of two each; 3 and 4 share nobody with anybody. A list of one item has no pair.
    let expected = [0.0, 0.5, 1.0 - 0.5 / 3.0, 1.0 - 0.5 / 6.0];
    close(&of(&[0], &[4], &["diversity@1", "diversity@2", "diversity@3", "diversity@10"]), &expected);
    // 0 is head, with nothing before it; 1 begins at 3 and is middle, 2 at 5 and is middle, 3 at 7 and is tail with 4.
    close(&of(&[0], &[4], &["tail@2", "tail@3", "tail@10"]), &[0.0, 1.0 / 3.0, 0.5]);
    // A history of head alone against a list without any: nothing in common.
    close(&of(&[0], &[4], &["miscalibration@4"]), &[1.0]);
    // A history of middle against a list of head: likewise; against head and middle: half in common.
    let half = 0.5 * ((4.0f64 / 3.0).log2() + 0.5 * (2.0f64 / 3.0).log2() + 0.5);
    close(&of(&[1], &[4], &["miscalibration@1", "miscalibration@2"]), &[1.0, half]);
    // An empty history stands for the training: 3 / 8, 4 / 8, 1 / 8 against 1, 0, 0.
    let (p, m) = ([0.375, 0.5, 0.125f64], [0.6875, 0.25, 0.0625f64]);
    let from_p: f64 = p.iter().zip(m).map(|(p, m)| p * (p / m).log2()).sum();
    close(&of(&[], &[4], &["miscalibration@1"]), &[0.5 * (from_p + (1.0 / m[0]).log2())]);
}

#[test]
fn what_needs_training_is_refused_without_it() {
    let users = held_out(5, &[(&[0], &[1])]);
    for name in ["novelty@5", "diversity@5", "miscalibration@5", "tail@5"] {
        let error = evaluate(&Fixed(FIVE.into()), &users, &metrics(&["ndcg@5", name])).unwrap_err();
        let text = format!("metric is {name}; allowed: one that does without the training users' items");
        assert_eq!((error.code(), error.to_string()), ("INVALID_ARGUMENT", text));
    }
    let train = Csr::from_rows([[0u32]], 4).unwrap();
    let error = evaluate_with(&Fixed(FIVE.into()), &users, &train, &metrics(&["tail@5"])).unwrap_err();
    assert_eq!(error.to_string(), "training users have 4 items; allowed: the 5 of the model");
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
fn zeros_and_empty_histories_are_ranked_by_training_users_where_these_are_known() {
    let model = Fixed(vec![0.0, 2.0, -0.0, -1.0, 0.0]);
    let users = held_out(5, &[(&[0], &[2, 4]), (&[], &[3, 4])]);
    let of = |users: &HeldOut, names: &[&str]| evaluate(&model, users, &metrics(names)).unwrap();
    let hits = ["hit-rate@1", "hit-rate@2", "hit-rate@3"];
    let per_user = |evaluation: &Evaluation, user: usize| -> Vec<f64> {
        evaluation.metrics.iter().map(|values| values.per_user[user]).collect()
    };
    // By scores and then by indices: 1, 2, 4, 3 and 1, 0, 2, 4, 3.
    let plain = of(&users, &["recall@1", "recall@2", "recall@3"]);
    assert_eq!(per_user(&plain, 0), [0.0, 0.5, 1.0]);
    assert_eq!(per_user(&of(&users, &hits), 1), [0.0, 0.0, 0.0]);
    // By training users 4 comes before 2, and where nothing is known 4, 3, 2, 0, 1. A score below 0 stays behind.
    let known = users.clone().with_counts(vec![1, 0, 2, 3, 5]).unwrap();
    assert_eq!(known, users);
    assert_eq!(per_user(&of(&known, &["ndcg@2", "ndcg@3"]), 0)[0], gain(2) / (gain(1) + gain(2)));
    assert_eq!(per_user(&of(&known, &["recall@2", "recall@3"]), 0), [0.5, 1.0]);
    assert_eq!(per_user(&of(&known, &hits), 1), [1.0, 1.0, 1.0]);
    let only_2 = held_out(5, &[(&[0], &[2])]);
    assert_eq!(means(&of(&only_2, &hits)), [0.0, 1.0, 1.0]);
    assert_eq!(means(&of(&only_2.with_counts(vec![1, 0, 2, 3, 5]).unwrap(), &hits)), [0.0, 0.0, 1.0]);
    // AUC looks at scores alone: zeros tie whatever is known.
    assert_eq!(of(&known, &["auc"]), of(&users, &["auc"]));
    assert!(users.with_counts(vec![1, 2]).is_err());
}

/// Ten groups of six items that have no user in common, so that EASE^R gives zeros to most items; items are named by
/// number and come in the order of `shuffled`.
fn apart(shuffled: u64) -> Interactions {
    let mut pairs = vec![];
    for user in 0..400u64 {
        let mut random = Stream::new(7, user);
        let group = random.below(10) * random.below(10) / 10;
        let n = 2 + random.below(4) as usize;
        let items = random.sample(6, n);
        pairs.extend(items.into_iter().map(|item| (format!("{user:03}"), format!("{}", 6 * group + item as u64))));
    }
    Stream::new(shuffled, 0).shuffle(&mut pairs);
    let (users, items): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
    Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap()
}

#[test]
fn what_is_evaluated_is_what_is_served() {
    for seed in 0..3 {
        let options = SplitOptions { min_user_items: 2, held_out: 0.5, test: 0.3, ..SplitOptions::default() };
        let parts = split(&apart(seed), &options).unwrap();
        let fit = EaseOptions::default().fit(&parts, &FitRun::default()).unwrap();
        let model = Recommender::of(fit, &parts.train).unwrap();
        let names = ["ndcg@20", "recall@7", "mrr@20"];
        let (translated, _) = model.translate(&parts.test, parts.train.items()).unwrap();
        let found = evaluate(model.model(), &translated, &metrics(&names)).unwrap();
        // The same from the split itself, and for each user from the list that is served.
        assert_eq!(evaluate(model.model(), &parts.test, &metrics(&names)).unwrap(), found);
        let ids =
            |items: &[u32]| -> Vec<&str> { items.iter().map(|&item| parts.train.items().get(item as usize)).collect() };
        let histories: Vec<_> =
            found.users.iter().map(|&user| model.history(ids(parts.test.input().row(user)))).collect();
        let options = RecommendOptions { k: 20, ..RecommendOptions::default() };
        let served = model.serve(&histories, &options, Within::All, &Cancel::default()).unwrap();
        assert!(served.iter().filter(|list| list.fallback_used).count() > 50);
        for (at, (&user, list)) in found.users.iter().zip(&served).enumerate() {
            // A model whose scores are the list's order, and which knows no popularity.
            let mut scores = vec![-1.0; parts.train.n_items()];
            (1..).zip(&list.items).for_each(|(place, scored)| scores[scored.item as usize] = 1.0 / place as f32);
            let own = held_out(scores.len(), &[(parts.test.input().row(user), parts.test.target().row(user))]);
            let own = evaluate(&Fixed(scores), &own, &metrics(&names)).unwrap();
            let of_user: Vec<f64> = found.metrics.iter().map(|values| values.per_user[at]).collect();
            assert_eq!(means(&own), of_user, "{names:?} of user {user}, seed {seed}");
        }
    }
}

#[test]
fn users_with_nothing_held_out_do_not_count() {
    let users = held_out(5, &[(&[0], &[1]), (&[0, 1], &[]), (&[], &[]), (&[], &[0])]);
    let evaluation = evaluate(&Fixed(FIVE.into()), &users, &metrics(&["recall@1"])).unwrap();
    assert_eq!((evaluation.users.as_slice(), evaluation.skipped), (&[0, 3][..], 2));
    assert_eq!(evaluation.metrics[0].per_user, [1.0, 1.0]);
    let nobody = held_out(5, &[(&[0], &[]), (&[], &[])]);
    let error = evaluate(&Fixed(FIVE.into()), &nobody, &metrics(&["recall@1"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of the 2 held-out users has an item held out that the model knows: there is nothing to evaluate"
    );
}

#[test]
fn bad_calls_are_errors() {
    let users = held_out(5, &[(&[0], &[1])]);
    let code = |scores: Vec<f32>, metrics: &[Metric]| evaluate(&Fixed(scores), &users, metrics).unwrap_err().code();
    assert_eq!(code(FIVE.into(), &[]), "INVALID_ARGUMENT");
    assert_eq!(code(vec![1.0; 4], &Metric::DEFAULT), "INVALID_DATA");
    assert_eq!(code(vec![1.0, f32::NAN, 0.0, 0.0, 0.0], &Metric::DEFAULT), "NUMERICAL");
    for text in ["ndcg", "ndcg@", "ndcg@0", "ndcg@x", "ndcg@-1", "prec@5", "@5", "ndcg@5@5", "ndcg@1000001", "auc@5"] {
        let error = text.parse::<Metric>().unwrap_err();
        assert!(error.to_string().starts_with(&format!("metric is '{text}'; allowed: ndcg@K")), "{error}");
        assert!(error.to_string().ends_with(", gini@K with K from 1 to 1000000, or auc"), "{error}");
    }
    for metric in Metric::DEFAULT.into_iter().chain(Metric::all(7)) {
        assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
    }
}

/// The official scripts' way: mask, full sort, look up; and pairs one by one.
fn naive(scores: &[f32], input: &[u32], target: &[u32], train: &[Vec<u32>], metric: Metric) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).filter(|item| !input.contains(&(*item as u32))).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap());
    let k = metric.k().unwrap_or(scores.len());
    let hits: Vec<usize> = (0..k.min(order.len())).filter(|&rank| target.contains(&(order[rank] as u32))).collect();
    let gain = |rank: &usize| 1.0 / ((*rank + 2) as f64).log2();
    let list = &order[..k.min(order.len())];
    let users = |item: usize| train.iter().filter(|row| row.contains(&(item as u32))).count();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    // Items before it, most popular first, have so many interactions: 0 head, 1 middle, 2 tail.
    let third = |item: usize| {
        let all: usize = (0..scores.len()).map(users).sum();
        let is_before = |other: &usize| (users(item), *other) < (users(*other), item);
        let before: usize = (0..scores.len()).filter(is_before).map(users).sum();
        usize::from(3 * before >= all) + usize::from(3 * before >= 2 * all)
    };
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
        Metric::Auc => {
            let others: Vec<usize> = order.iter().copied().filter(|item| !target.contains(&(*item as u32))).collect();
            let pair = |wanted: u32, other: usize| match scores[wanted as usize].partial_cmp(&scores[other]).unwrap() {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
            match others.len() {
                0 => 1.0,
                _ => mean(
                    target.iter().flat_map(|&wanted| others.iter().map(move |&other| pair(wanted, other))).collect(),
                ),
            }
        }
        Metric::Novelty(_) => {
            mean(list.iter().map(|&item| (train.len() as f64 / users(item).max(1) as f64).log2()).collect())
        }
        Metric::Diversity(_) => {
            let cosine = |a: usize, b: usize| {
                let both = train.iter().filter(|row| row.contains(&(a as u32)) && row.contains(&(b as u32))).count();
                if both == 0 { 0.0 } else { both as f64 / ((users(a) * users(b)) as f64).sqrt() }
            };
            let pairs: Vec<f64> = (0..list.len())
                .flat_map(|a| (0..a).map(move |b| (a, b)))
                .map(|(a, b)| cosine(list[a], list[b]))
                .collect();
            if pairs.is_empty() { 0.0 } else { 1.0 - mean(pairs) }
        }
        Metric::Tail(_) => mean(list.iter().map(|&item| f64::from(u8::from(third(item) == 2))).collect()),
        Metric::Miscalibration(_) => {
            let shares = |items: &[usize]| -> [f64; 3] {
                [0, 1, 2].map(|of| items.iter().filter(|&&item| third(item) == of).count() as f64 / items.len() as f64)
            };
            let all: Vec<usize> = train.iter().flatten().map(|&item| item as usize).collect();
            let history: Vec<usize> = input.iter().map(|&item| item as usize).collect();
            let p = shares(if history.is_empty() { &all } else { &history });
            let p = if history.is_empty() && all.is_empty() { [0.0; 3] } else { p };
            let entropy = |p: [f64; 3]| -> f64 { p.iter().filter(|p| **p > 0.0).map(|p| -p * p.log2()).sum() };
            let q = shares(list);
            // The entropy of the mean less the mean of the entropies.
            entropy([0, 1, 2].map(|of| (p[of] + q[of]) / 2.0)) - (entropy(p) + entropy(q)) / 2.0
        }
        Metric::Coverage(_) | Metric::Gini(_) => unreachable!(),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_form(
        scores in prop::collection::vec((-3i32..3).prop_map(|score| score as f32), 1..25),
        users in prop::collection::vec(prop::collection::vec(0u8..4, 25), 1..300),
        n_train in 1usize..12,
        k in 1usize..30,
    ) {
        let n = scores.len();
        let pick = |user: &Vec<u8>, what: u8| -> Vec<u32> {
            (0..n as u32).filter(|&item| user[item as usize] == what).collect()
        };
        let train: Vec<Vec<u32>> = users.iter().take(n_train).map(|user| pick(user, 3)).collect();
        let train = if train.iter().all(Vec::is_empty) { vec![vec![0]] } else { train };
        let rows: Vec<(Vec<u32>, Vec<u32>)> = users.iter().map(|user| (pick(user, 1), pick(user, 2))).take(40).collect();
        let borrowed: Vec<User> = rows.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        let scored: Vec<_> = rows.iter().filter(|(_, target)| !target.is_empty()).collect();
        prop_assume!(!scored.is_empty());
        let metrics: Vec<_> = Metric::all(k).into_iter().filter(|metric| !metric.is_of_all_lists()).collect();
        let matrix = Csr::from_rows(&train, n).unwrap();
        let evaluation = evaluate_with(&Fixed(scores.clone()), &held_out(n, &borrowed), &matrix, &metrics).unwrap();
        for values in &evaluation.metrics {
            prop_assert_eq!(values.per_user.len(), scored.len());
            for (ours, (input, target)) in values.per_user.iter().zip(&scored) {
                let expected = naive(&scores, input, target, &train, values.metric);
                prop_assert!((ours - expected).abs() < 1e-9, "{}: {} against {}", values.metric, ours, expected);
                prop_assert!(values.metric.name() == "novelty" || (0.0..=1.0).contains(ours), "{}", values.metric);
            }
        }
    }
}
