//! Who is served how well: metrics by how active users are, and by how popular what they have to find is.
//!
//! **Users by activity.** The held-out users with something to find are divided by the length of their input at its terciles:
//! `few` up to the length at position `ceil(n / 3)` of the sorted lengths, `some` up to that at `ceil(2 n / 3)`, `many`
//! beyond. Equal lengths stay together, so a group may be larger than a third, and another one empty and left out. A mean
//! over all users is the mean of the groups' means, each weighted with its users.
//!
//! **Items by popularity.** Items sorted by their training users, most first (of equals the first ones): an item is `head`
//! if the items before it have less than a third of all interactions, else `middle` if they have less than two thirds, else
//! `tail`. So each group has about a third of the interactions, and the head has the fewest items.
//!
//! A metric of a group of items takes the held-out items of other groups for irrelevant: with `hits` the held-out items of the
//! group among the first k of the whole list, and `n` the number of the user's held-out items of that group, it is the
//! formula of `metrics.rs`. The list is what the user sees: items of all groups compete for its places. Users without a
//! held-out item of the group do not count. The numerators of `ndcg@k` and `recall-all@k` of the groups sum to those
//! over all items.

use crate::base::error::{Error, Result};
use crate::evaluate::metrics::Metric;
use crate::evaluate::scorer::Scorer;
use crate::evaluate::top_k::{for_each_user, top_k};
use crate::math::csr::Csr;
use crate::split::strong::HeldOut;

/// Held-out users whose inputs are about as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityGroup {
    /// `few`, `some` or `many`.
    pub name: &'static str,
    /// Shortest input of its users.
    pub from: usize,
    /// Longest input of its users.
    pub to: usize,
    /// Positions in [`Evaluation::users`](crate::Evaluation::users), ascending; not empty.
    pub positions: Vec<usize>,
}

/// Divides the held-out users with something to find by the length of their input.
#[must_use]
pub fn activity_groups(held_out: &HeldOut) -> Vec<ActivityGroup> {
    let rows = held_out.input().rows().zip(held_out.target().rows());
    let lengths: Vec<usize> = rows.filter(|(_, target)| !target.is_empty()).map(|(input, _)| input.len()).collect();
    let mut sorted = lengths.clone();
    sorted.sort_unstable();
    let Some(&longest) = sorted.last() else { return vec![] };
    let [first, second] = [1, 2].map(|third| sorted[(third * sorted.len()).div_ceil(3) - 1]);
    let mut groups = Vec::with_capacity(3);
    let mut above = None;
    for (name, to) in [("few", first), ("some", second), ("many", longest)] {
        let is_in = |length: usize| length <= to && above.is_none_or(|above| length > above);
        let positions: Vec<usize> = (0..lengths.len()).filter(|&at| is_in(lengths[at])).collect();
        let from = positions.iter().map(|&at| lengths[at]).min();
        let to_found = positions.iter().map(|&at| lengths[at]).max();
        if let (Some(from), Some(to)) = (from, to_found) {
            groups.push(ActivityGroup { name, from, to, positions });
        }
        above = Some(to);
    }
    groups
}

/// Items that about as many users have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopularityGroup {
    /// `head`, `middle` or `tail`.
    pub name: &'static str,
    /// Training users of its least popular item.
    pub from: u32,
    /// Training users of its most popular item.
    pub to: u32,
    /// The items, ascending; not empty.
    pub items: Vec<u32>,
}

/// Divides items at the thirds of the interactions.
#[must_use]
pub fn popularity_groups(train: &Csr) -> Vec<PopularityGroup> {
    let counts = train.column_counts();
    let mut order: Vec<u32> = (0..).take(counts.len()).collect();
    order.sort_by_key(|&item| std::cmp::Reverse(counts[item as usize]));
    let names = ["head", "middle", "tail"];
    let mut groups = names.map(|name| PopularityGroup { name, from: 0, to: 0, items: vec![] });
    let (mut before, all) = (0usize, train.nnz());
    for item in order {
        let third = (1..3).filter(|third| 3 * before >= third * all).count();
        let group = &mut groups[third];
        let count = counts[item as usize];
        if group.items.is_empty() {
            group.to = count;
        }
        group.from = count;
        group.items.push(item);
        before += count as usize;
    }
    let mut groups = groups.to_vec();
    groups.retain(|group| !group.items.is_empty());
    groups.iter_mut().for_each(|group| group.items.sort_unstable());
    groups
}

/// A metric on the held-out items of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupValues {
    /// Positions in [`Evaluation::users`](crate::Evaluation::users) of the users with a held-out item of the group, ascending.
    pub positions: Vec<usize>,
    /// One value for each of them.
    pub per_user: Vec<f64>,
    /// Held-out items of the group, of all users together.
    pub held_out: usize,
}

/// Evaluates a model on the held-out items of each group: one entry per group of [`popularity_groups`] of `train`, in that order.
///
/// # Errors
/// `INVALID_ARGUMENT` for `coverage`, which has no value per user; `INVALID_DATA` if the items are not the model's,
/// `NUMERICAL` if a score is not a number.
pub fn evaluate_by_popularity(
    model: &dyn Scorer,
    held_out: &HeldOut,
    train: &Csr,
    metric: Metric,
) -> Result<Vec<GroupValues>> {
    if metric.is_of_all_lists() {
        return Err(Error::invalid_argument("metric", metric, "one with a value per user"));
    }
    let (n_items, known) = (model.n_items(), train.n_cols());
    if held_out.n_items() != n_items || known != n_items {
        return Err(Error::invalid_data(format!(
            "held-out users have {} items and training users {known}; allowed: the {n_items} of the model",
            held_out.n_items()
        )));
    }
    let groups = popularity_groups(train);
    let mut group_of = vec![0usize; n_items];
    for (index, group) in groups.iter().enumerate() {
        group.items.iter().for_each(|&item| group_of[item as usize] = index);
    }
    let (input, target) = (held_out.input(), held_out.target());
    let users: Vec<usize> = (0..target.n_rows()).filter(|&user| !target.row(user).is_empty()).collect();
    let histories: Vec<&[u32]> = users.iter().map(|&user| input.row(user)).collect();
    let rows = for_each_user(model, &histories, |at, scores| {
        let target = target.row(users[at]);
        let list = top_k(scores, histories[at], metric.k())?;
        let of_group = |group: usize| {
            let n = target.iter().filter(|&&item| group_of[item as usize] == group).count();
            let is_hit = |item: u32| group_of[item as usize] == group && target.binary_search(&item).is_ok();
            let hits: Vec<bool> = list.iter().map(|scored| is_hit(scored.item)).collect();
            (n, if n > 0 { metric.value(&hits, n) } else { 0.0 })
        };
        Ok((0..groups.len()).map(of_group).collect::<Vec<(usize, f64)>>())
    })?;
    Ok((0..groups.len())
        .map(|group| {
            let positions: Vec<usize> = (0..rows.len()).filter(|&at| rows[at][group].0 > 0).collect();
            GroupValues {
                per_user: positions.iter().map(|&at| rows[at][group].1).collect(),
                held_out: rows.iter().map(|row| row[group].0).sum(),
                positions,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayViewMut2;
    use proptest::prelude::*;

    use super::*;
    use crate::base::random::Stream;
    use crate::data::ids::Ids;
    use crate::evaluate::metrics::evaluate;
    use crate::evaluate::scorer::checked;

    /// The same scores for everybody.
    struct Fixed(Vec<f32>);

    impl Scorer for Fixed {
        fn n_items(&self) -> usize {
            self.0.len()
        }

        fn score(&self, histories: &[&[u32]], scores: ArrayViewMut2<'_, f32>) -> Result<()> {
            let scores = checked(histories, self.0.len(), scores)?;
            scores.chunks_mut(self.0.len()).for_each(|row| row.copy_from_slice(&self.0));
            Ok(())
        }
    }

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
        let found = evaluate_by_popularity(&model, &held_out, &train, Metric::Ndcg(100)).unwrap();
        let [head, middle, tail] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&head.positions[..], &head.per_user[..], head.held_out), (&[0][..], &[1.0][..], 1));
        assert_eq!((&middle.positions[..], &middle.per_user[..]), (&[1][..], &[1.0][..]));
        // User 0 finds item 3 at rank 4, user 1 item 2 at rank 2.
        assert_eq!((&tail.positions[..], tail.held_out), (&[0, 1][..], 2));
        for (found, expected) in tail.per_user.iter().zip([1.0 / 5f64.log2(), 1.0 / 3f64.log2()]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        assert!(evaluate_by_popularity(&model, &held_out, &train, Metric::Coverage(5)).is_err());
        let other = Csr::from_rows([vec![0u32]], 3).unwrap();
        assert!(evaluate_by_popularity(&model, &held_out, &other, Metric::Ndcg(100)).is_err());
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
                    crate::math::statistics::mean(&values).0 * values.len() as f64
                })
                .sum();
            prop_assert!((weighted / scored as f64 - whole.mean).abs() < 1e-12);

            // recall-all times what was held out is the number of hits, and every hit is of one group.
            let targets: Vec<usize> = held_out.target().rows().map(<[u32]>::len).filter(|&n| n > 0).collect();
            let hits: f64 = whole.per_user.iter().zip(&targets).map(|(value, &n)| value * n as f64).sum();
            let groups = popularity_groups(&train);
            let by_group = evaluate_by_popularity(&model, &held_out, &train, metric).unwrap();
            prop_assert_eq!(by_group.iter().map(|values| values.held_out).sum::<usize>(), targets.iter().sum::<usize>());
            let scored_rows: Vec<&[u32]> = held_out.target().rows().filter(|row| !row.is_empty()).collect();
            let of_groups: f64 = groups
                .iter()
                .zip(&by_group)
                .flat_map(|(group, values)| values.positions.iter().zip(&values.per_user).map(move |(&at, value)| (group, at, value)))
                .map(|(group, at, value)| {
                    let n = scored_rows[at].iter().filter(|item| group.items.contains(item)).count();
                    value * n as f64
                })
                .sum();
            prop_assert!((hits - of_groups).abs() < 1e-9, "{} {}", hits, of_groups);
        }
    }
}
