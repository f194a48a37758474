//! Users and items in groups, and the metrics on them, through the public interface.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use recvae_core::{
    Csr, HeldOut, Ids, Metric, Stream, activity_groups, evaluate, evaluate_groups, mean, popularity_groups,
};

use crate::common::Fixed;

fn held_out(rows: &[(Vec<u32>, Vec<u32>)], n_items: usize) -> HeldOut {
    let mut users = Ids::new();
    for user in 0..rows.len() {
        users.insert(&user.to_string());
    }
    let [input, target] = [0, 1].map(|part| {
        let of = |row: &(Vec<u32>, Vec<u32>)| if part == 0 { row.0.clone() } else { row.1.clone() };
        Csr::from_rows(rows.iter().map(of), n_items).unwrap()
    });
    HeldOut::new(users, input, target).unwrap()
}

#[test]
fn thirds_of_the_interactions_divide_the_items() {
    // Users per item: 6, 3, 1, 1, 1; of 12, a third is 4. Item 0 begins at 0, item 1 at 6, items 2 to 4 at 9 and on.
    let mut rows = vec![vec![0u32]; 3];
    rows.extend([vec![0, 1, 2], vec![0, 1, 3], vec![0, 1, 4]]);
    let groups = popularity_groups(&Csr::from_rows(&rows, 6).unwrap());
    let found: Vec<_> = groups.iter().map(|group| (group.name, group.to, group.from, &group.items[..])).collect();
    assert_eq!(found, [("head", 6, 6, &[0][..]), ("middle", 3, 3, &[1]), ("tail", 1, 0, &[2, 3, 4, 5])]);
    // One item with nearly everything leaves nothing for the middle.
    let groups = popularity_groups(&Csr::from_rows([vec![0u32], vec![0], vec![0, 1]], 2).unwrap());
    assert_eq!(groups.iter().map(|group| group.name).collect::<Vec<_>>(), ["head", "tail"]);
}

#[test]
fn a_group_counts_its_own_hits_at_their_places_in_the_whole_list() {
    // Item 0 has 3 users (head), 1 has 2 (middle), 2 and 3 have 1 (tail).
    let train = Csr::from_rows([vec![0u32, 1, 2], vec![0, 1, 3], vec![0]], 4).unwrap();
    let held_out = held_out(&[(vec![], vec![0, 3]), (vec![0], vec![1, 2]), (vec![1], vec![])], 4);
    // The list of user 0 is 0, 1, 2, 3; that of user 1 is 1, 2, 3.
    let model = Fixed(vec![4.0, 3.0, 2.0, 1.0]);
    let found = evaluate_groups(&model, &held_out, &train, &[Metric::Ndcg(100)]).unwrap().popularity;
    let [head, middle, tail] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&head.positions[..], &head.metrics[0].per_user[..], head.held_out), (&[0][..], &[1.0][..], 1));
    assert_eq!((&middle.positions[..], &middle.metrics[0].per_user[..]), (&[1][..], &[1.0][..]));
    // User 0 finds item 3 at rank 4, user 1 item 2 at rank 2.
    assert_eq!((&tail.positions[..], tail.held_out), (&[0, 1][..], 2));
    for (found, expected) in tail.metrics[0].per_user.iter().zip([1.0 / 5f64.log2(), 1.0 / 3f64.log2()]) {
        assert!((found - expected).abs() < 1e-15, "{found} {expected}");
    }
}

#[test]
fn inputs_of_one_length_are_one_group() {
    let users = held_out(&vec![(vec![0, 1], vec![2]); 5], 3);
    let groups = activity_groups(&users);
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].from, groups[0].to, groups[0].positions.len()), (2, 2, 5));
    assert!(activity_groups(&held_out(&[(vec![1], vec![])], 3)).is_empty());
    // Lengths 0 to 6: the terciles are 2 (position 3) and 4 (position 5).
    let rows: Vec<_> = (0..7).map(|n| ((0..n).collect::<Vec<u32>>(), vec![8])).collect();
    let found: Vec<_> = activity_groups(&held_out(&rows, 9)).iter().map(|g| (g.name, g.from, g.to)).collect();
    assert_eq!(found, [("few", 0, 2), ("some", 3, 4), ("many", 5, 6)]);
}

proptest! {
    #[test]
    fn groups_divide_users_and_items_and_their_means_make_up_the_whole(seed in any::<u64>(), n_users in 1usize..40, n_items in 2usize..25) {
        let mut random = Stream::new(seed, 0);
        let mut row = |share: u64| -> Vec<u32> { (0..n_items as u32).filter(|_| random.below(10) < share).collect() };
        let train: Vec<Vec<u32>> = (0..n_users).map(|_| row(3)).collect();
        let rows: Vec<_> = (0..n_users)
            .map(|_| {
                let (input, mut target) = (row(4), row(3));
                target.retain(|item| !input.contains(item));
                (input, target)
            })
            .collect();
        let train = Csr::from_rows(&train, n_items).unwrap();
        let held_out = held_out(&rows, n_items);
        let scored = held_out.n_scored();

        let mut users: Vec<usize> = activity_groups(&held_out).into_iter().flat_map(|group| group.positions).collect();
        users.sort_unstable();
        prop_assert!(users.into_iter().eq(0..scored));
        let mut items: Vec<u32> = popularity_groups(&train).into_iter().flat_map(|group| group.items).collect();
        items.sort_unstable();
        prop_assert!(items.into_iter().eq(0..n_items as u32));

        if scored == 0 {
            return Ok(());
        }
        let model = Fixed((0..n_items).map(|_| random.normal() as f32).collect());
        let metric = Metric::RecallAll(5);
        let whole = &evaluate(&model, &held_out, &[metric]).unwrap().metrics[0];
        let weighted: f64 = activity_groups(&held_out)
            .iter()
            .map(|group| {
                let values: Vec<f64> = group.positions.iter().map(|&at| whole.per_user[at]).collect();
                mean(&values).0 * values.len() as f64
            })
            .sum();
        prop_assert!((weighted / scored as f64 - whole.mean).abs() < 1e-12);

        // recall-all times what was held out is the number of hits, and every hit is of one group.
        let targets: Vec<usize> = held_out.target().rows().map(<[u32]>::len).filter(|&n| n > 0).collect();
        let hits: f64 = whole.per_user.iter().zip(&targets).map(|(value, &n)| value * n as f64).sum();
        let groups = popularity_groups(&train);
        let by_group = evaluate_groups(&model, &held_out, &train, &[metric]).unwrap().popularity;
        prop_assert_eq!(by_group.iter().map(|values| values.held_out).sum::<usize>(), targets.iter().sum::<usize>());
        let scored_rows: Vec<&[u32]> = held_out.target().rows().filter(|row| !row.is_empty()).collect();
        let of_groups: f64 = groups
            .iter()
            .zip(&by_group)
            .flat_map(|(group, values)| values.positions.iter().zip(&values.metrics[0].per_user).map(move |(&at, value)| (group, at, value)))
            .map(|(group, at, value)| {
                let n = scored_rows[at].iter().filter(|item| group.items.contains(item)).count();
                value * n as f64
            })
            .sum();
        prop_assert!((hits - of_groups).abs() < 1e-9, "{} {}", hits, of_groups);
    }
}

/// Three users of a catalogue of four: head 0, middle 1, tail 2 and 3.
fn example() -> (Csr, HeldOut, Fixed) {
    let train = Csr::from_rows([vec![0u32, 1, 2], vec![0, 1, 3], vec![0]], 4).unwrap();
    let held_out = held_out(&[(vec![], vec![0, 3]), (vec![0], vec![1, 2]), (vec![1], vec![])], 4);
    (train, held_out, Fixed(vec![4.0, 3.0, 2.0, 1.0]))
}

#[test]
fn every_metric_has_groups() {
    let (train, held_out, model) = example();
    let metrics = Metric::all(2);
    let found = evaluate_groups(&model, &held_out, &train, &metrics).unwrap();
    let sizes: Vec<_> = found.activity.iter().map(|group| (group.group.name, group.metrics.len())).collect();
    assert_eq!(sizes, [("few", 14), ("some", 14)]);
    let sizes: Vec<_> = found.popularity.iter().map(|g| (g.group.name, &g.positions[..], g.held_out)).collect();
    assert_eq!(sizes, [("head", &[0][..], 1), ("middle", &[1][..], 1), ("tail", &[0, 1][..], 2)]);
    let of = |group: usize, name: &str| {
        let values = &found.popularity[group].metrics;
        values.iter().find(|values| values.metric.name() == name).unwrap().clone()
    };
    // AUC of the tail: user 0 has to find item 3 behind 0, 1, 2; user 1 item 2 behind 1 and before 3.
    assert_eq!(of(2, "auc").per_user, [0.0, 0.5]);
    // Lists of two are 0, 1 and 1, 2. What does not look at hits is that of the lists of the users who count.
    assert_eq!(of(0, "tail").per_user, [0.0]);
    assert_eq!(of(1, "tail").per_user, [0.5]);
    assert_eq!(of(2, "tail").per_user, [0.0, 0.5]);
    // Coverage is that of the group's items, in the lists of the users who count.
    assert_eq!([0, 1, 2].map(|group| of(group, "coverage").mean), [1.0, 1.0, 0.5]);
    assert!(of(2, "coverage").per_user.is_empty());
    // A group of users is those users.
    let whole = &found.all.metrics;
    for (at, group) in found.activity.iter().enumerate() {
        assert_eq!(group.group.positions, [at]);
        for (values, whole) in group.metrics.iter().zip(whole).filter(|(values, _)| !values.metric.is_of_all_lists()) {
            assert_eq!(values.per_user, [whole.per_user[at]]);
        }
    }
    let other = Csr::from_rows([vec![0u32]], 3).unwrap();
    let error = evaluate_groups(&model, &held_out, &other, &metrics).unwrap_err();
    assert_eq!(error.to_string(), "training users have 3 items; allowed: the 4 of the model");
}
