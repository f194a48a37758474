use super::*;
use crate::base::error::Error;
use crate::base::random::Stream;
use crate::evaluate::made_up::{KINDS, MadeUp, bits, histories, random_numbers, spoilt};
use crate::evaluate::top_k::for_each_user;
use crate::math::bf16::{levels, multiply_by};
use crate::math::vectorised::add_to_rows;

fn shortlists(model: &MadeUp, k: usize, level: Level) -> Shortlists<'_> {
    Shortlists::new(model.factors().unwrap(), k, level)
}

/// Across the edges of tiles of users, blocks and groups of items, pairs of numbers; every kind of users with every one
/// of items.
#[test]
fn lists_have_the_items_and_the_bits_of_those_from_all_scores() {
    let mut random = Stream::new(11, 0);
    let sizes = [(1, 700), (2, 256), (7, 1025), (64, 511), (16, 4200)];
    for (at, (width, n_items)) in sizes.into_iter().enumerate() {
        for (users, of_users) in KINDS {
            for (items, of_items) in KINDS {
                let biases = (random.below(2) == 0).then(|| random_numbers(&mut random, n_items, of_items));
                let model = MadeUp {
                    width,
                    items: random_numbers(&mut random, n_items * width, of_items),
                    biases,
                    users: random_numbers(&mut random, 50 * width, of_users),
                };
                // As many as fill some of the largest tiles, and as make one of two users.
                let n_users = if n_items == 256 { 3 * USERS[1] + 2 } else { USERS[0] + 2 };
                let histories = histories(&mut random, n_users, n_items);
                let histories: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
                let k = [1, 5, 20][at % 3];
                let left_out = |user: usize| Cow::Borrowed(histories[user]);
                let expected =
                    for_each_user(&model, &histories, |user, scores| top_k(scores, &left_out(user), k)).unwrap();
                for level in levels() {
                    let found =
                        shortlists(&model, k, level).for_each_list(&model, &histories, left_out, |_, list, _| Ok(list));
                    assert!(
                        bits(&found.unwrap()) == bits(&expected),
                        "{users} users, {items} items, {n_items} x {width}, {level:?}"
                    );
                }
            }
        }
    }
}

/// Nobody needs all scores where scores are as usual: not by the guess, and not by the bound.
#[test]
fn shortlists_are_enough_for_usual_scores() {
    let mut random = Stream::new(15, 0);
    let (width, n_items) = (50, 9000);
    let model = MadeUp {
        width,
        items: random_numbers(&mut random, n_items * width, |x| x),
        biases: Some(random_numbers(&mut random, n_items, |x| x)),
        users: random_numbers(&mut random, USERS[0] * width, |x| x),
    };
    for level in levels() {
        for k in [1, 10, 100] {
            let lists = shortlists(&model, k, level).lists(&model.users, |_| Cow::Borrowed(&[]));
            assert!(lists.iter().all(|list| list.as_ref().is_some_and(|list| list.len() == k)), "{k}, {level:?}");
        }
    }
}

/// The bound itself: every first score is within it, and not by orders of magnitude.
#[test]
fn first_scores_are_within_their_bound() {
    let mut random = Stream::new(12, 0);
    for (users, of_users) in KINDS {
        for (items, of_items) in KINDS {
            let (width, n_items) = (40, 256);
            let model = MadeUp {
                width,
                items: random_numbers(&mut random, n_items * width, of_items),
                biases: Some(random_numbers(&mut random, n_items, of_items)),
                users: random_numbers(&mut random, 6 * width, of_users),
            };
            let histories: Vec<[u32; 1]> = (0..6).map(|user| [user]).collect();
            let histories: Vec<&[u32]> = histories.iter().map(|history| &history[..]).collect();
            let scores = model.scores(&histories).unwrap();
            for level in levels() {
                let shortlists = shortlists(&model, 1, level);
                let rows = Rows::of(level, width);
                let mut rounded = vec![Line::default(); rows.lines(6)];
                rows.round(&model.users[..6 * width], width, &mut rounded);
                let right = Right::new(&shortlists.rounded, width, n_items);
                let mut first = vec![0f32; 6 * n_items];
                multiply_by(level, rows.left(&rounded, 6), right, Start::Zero, &mut first);
                add_to_rows(&mut first, model.biases.as_deref().unwrap());
                for (user, first) in first.chunks(n_items).enumerate() {
                    let Some(margin) = shortlists.margin(&model.users[user * width..][..width]) else { continue };
                    let errors = first.iter().zip(scores.row(user)).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
                    let largest = errors.fold(0.0, f64::max);
                    assert!(2.0 * largest <= margin, "{users} users, {items} items, {level:?}: {largest}, {margin}");
                    if users == "random" && items == "random" {
                        assert!(margin < 40.0 * largest, "{largest}, {margin}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_not_a_number_is_the_same_error() {
    let mut random = Stream::new(13, 0);
    for bad in [f32::NAN, f32::INFINITY, 3e38] {
        for place in 0..3 {
            let model = spoilt(&mut random, 600, bad, place);
            let histories: [&[u32]; 4] = [&[0], &[1], &[2], &[]];
            let left_out = |user: usize| Cow::Borrowed(histories[user]);
            let expected = for_each_user(&model, &histories, |user, scores| top_k(scores, &left_out(user), 4));
            for level in levels() {
                let found =
                    shortlists(&model, 4, level).for_each_list(&model, &histories, left_out, |_, list, _| Ok(list));
                match (&found, &expected) {
                    (Ok(found), Ok(expected)) => assert!(bits(found) == bits(expected), "{bad} at {place}"),
                    (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected.to_string()),
                    _ => panic!("{bad} at {place}"),
                }
            }
        }
    }
}

/// Errors of users' vectors and of what is done with a list come out, and users in the order of their histories.
#[test]
fn results_come_in_order_and_errors_come_out() {
    let mut random = Stream::new(14, 0);
    let model = MadeUp {
        width: 3,
        items: random_numbers(&mut random, 400 * 3, |x| x),
        biases: None,
        // Every other one has the same score for all items, so that its list is that of all scores.
        users: (0..2 * 3).map(|at| if at < 3 { 1.0 } else { 0.0 }).collect(),
    };
    let histories: Vec<[u32; 1]> = (0..VECTORS as u32 + 70).map(|user| [user % 400]).collect();
    let histories: Vec<&[u32]> = histories.iter().map(|history| &history[..]).collect();
    let nothing = |_| Cow::Borrowed(&[][..]);
    let shortlists = shortlists(&model, 2, Level::Plain);
    let users = shortlists
        .for_each_list(&model, &histories, nothing, |user, list, score| {
            assert!(list.iter().all(|scored| score(scored.item) == scored.score));
            Ok((user, list))
        })
        .unwrap();
    for (at, (user, list)) in users.iter().enumerate() {
        assert_eq!(at, *user);
        assert_eq!(list.iter().map(|scored| scored.item).eq([0, 1]), at % 2 == 1, "{list:?}");
    }
    let stopped =
        |user: usize, _: Vec<Scored>, _: &dyn Fn(u32) -> f32| if user == 60 { Err(Error::Cancelled) } else { Ok(()) };
    assert!(matches!(shortlists.for_each_list(&model, &histories, nothing, stopped), Err(Error::Cancelled)));
}
