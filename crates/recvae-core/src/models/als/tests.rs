//! iALS in double precision against its formulas written out over all pairs.

use super::*;
use crate::base::matrix::row_major;
use crate::base::random::Stream;
use crate::model::tensors::StoredTensor;

const FACTORS: usize = 6;

fn data() -> Csr {
    let mut random = Stream::new(4, 0);
    // The last user has nothing, and the last item nobody.
    let rows = (0..30).map(|_| (0..16u32).filter(|_| random.next_u32().is_multiple_of(4)).collect::<Vec<_>>());
    Csr::from_rows(rows.chain([vec![]]), 17).unwrap()
}

fn options(solver: AlsSolver) -> AlsOptions {
    AlsOptions {
        factors: FACTORS,
        alpha0: 0.3,
        lambda: 0.05,
        nu: 0.7,
        init_scale: 1.0,
        solver,
        ..AlsOptions::default()
    }
}

/// The loss of the module's text, pair by pair.
fn loss(options: &AlsOptions, train: &Csr, users: &[f64], items: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (users, items) = (users.chunks(FACTORS), items.chunks(FACTORS));
    let counts = train.column_counts();
    let mut loss = 0.0;
    for (row, user) in train.rows().zip(users) {
        for (item, vector) in items.clone().enumerate() {
            let score = dot(user, vector);
            loss += options.alpha0 * score * score;
            if row.contains(&(item as u32)) {
                loss += (score - 1.0).powi(2);
            }
        }
        let weight = row.len() as f64 + options.alpha0 * train.n_cols() as f64;
        loss += options.lambda * weight.powf(options.nu) * dot(user, user);
    }
    for (&count, vector) in counts.iter().zip(items) {
        let weight = f64::from(count) + options.alpha0 * train.n_rows() as f64;
        loss += options.lambda * weight.powf(options.nu) * dot(vector, vector);
    }
    loss / train.n_rows() as f64
}

/// The users' vectors in the axes of the items.
fn users(training: &Training<'_, f64>) -> Vec<f64> {
    let mut users = training.users.clone();
    axes::turn(&mut users, training.axes.as_ref().unwrap(), &mut vec![]);
    users
}

#[test]
fn the_reported_loss_is_the_formula_s() {
    let (train, options) = (data(), options(AlsSolver::Cholesky));
    let mut training = Training::<f64>::new(&options, &train).unwrap();
    let told = training.epoch(1, &FitRun::default()).unwrap();
    let expected = loss(&options, &train, &users(&training), row_major(training.items.rows()));
    assert!((told - expected).abs() < 1e-12 * expected, "{told} and {expected}");
}

/// After an exact epoch no number of an item's vector can be moved to a smaller loss: the slope by central differences is 0.
#[test]
fn an_exact_epoch_ends_at_the_minimum_over_the_items() {
    let (train, options) = (data(), options(AlsSolver::Cholesky));
    let mut training = Training::<f64>::new(&options, &train).unwrap();
    training.epoch(1, &FitRun::default()).unwrap();
    let (users, items) = (&users(&training), row_major(training.items.rows()));
    let step = 1e-5;
    let slope = |at: usize, from: &[f64]| {
        let mut moved = from.to_vec();
        moved[at] += step;
        let up = loss(&options, &train, users, &moved);
        moved[at] -= 2.0 * step;
        (up - loss(&options, &train, users, &moved)) / (2.0 * step)
    };
    let mut elsewhere = items.to_vec();
    elsewhere[0] += 0.1;
    assert!(slope(0, &elsewhere).abs() > 1e-3);
    for at in 0..items.len() {
        // Rounding of a loss of about 10 over the step.
        assert!(slope(at, items).abs() < 1e-9, "{at}: {}", slope(at, items));
    }
}

#[test]
fn every_epoch_lowers_the_loss() {
    let train = data();
    for solver in [AlsSolver::Cholesky, AlsSolver::Conjugate] {
        let options = AlsOptions { steps: 1, ..options(solver) };
        let mut training = Training::<f64>::new(&options, &train).unwrap();
        let mut last = f64::INFINITY;
        for epoch in 0..10 {
            let loss = training.epoch(1, &FitRun::default()).unwrap();
            assert!(loss < last, "{solver:?} epoch {epoch}: {loss} after {last}");
            last = loss;
        }
    }
}

/// A user of the training data who is folded in gets the vector that training gives against the same items.
#[test]
fn folding_in_is_the_users_half_of_an_exact_epoch() {
    let (train, options) = (data(), options(AlsSolver::Cholesky));
    let mut training = Training::<f32>::new(&options, &train).unwrap();
    training.epoch(1, &FitRun::default()).unwrap();
    let mut expected = vec![0.0; train.n_rows() * FACTORS];
    let view = view2_mut(&mut expected, (train.n_rows(), FACTORS));
    training.items.solve(options.weights(), &train, view, &Cancel::default()).unwrap();
    let model = Als { options: options.clone(), items: training.items };
    let users = model.fold_in(&train.rows().collect::<Vec<_>>()).unwrap();
    assert_eq!(users.into_raw_vec_and_offset().0, expected);
    assert!(expected[30 * FACTORS..].iter().all(|&number| number == 0.0));
    assert!(expected[..30 * FACTORS].iter().all(|&number| number != 0.0));
}

/// The first files have vectors that were not turned to their axes.
#[test]
fn vectors_that_were_not_turned_have_the_same_scores() {
    let options = options(AlsSolver::Conjugate);
    let mut random = Stream::new(5, 0);
    let items: Vec<f32> = (0..17 * FACTORS).map(|_| random.normal() as f32).collect();
    let model = load(&options, 17, &Of(items.clone(), None)).unwrap();
    let (history, list) = ([1u32, 4, 16], 2);
    let mut scores = Array2::zeros((1, 17));
    model.score(&[&history], scores.view_mut()).unwrap();
    // The equations as they stand, in the axes of the file.
    let row = |item: u32| items[item as usize * FACTORS..][..FACTORS].iter().map(|&number| f64::from(number));
    let matrix = faer::Mat::from_fn(FACTORS, FACTORS, |a, b| {
        let weight = |item: u32| options.alpha0 + f64::from(u8::from(history.contains(&item)));
        let sum: f64 = (0..17).map(|item| weight(item) * row(item).nth(a).unwrap() * row(item).nth(b).unwrap()).sum();
        sum + if a == b { options.weights().ridge(history.len(), 17) } else { 0.0 }
    });
    let right =
        faer::Mat::from_fn(FACTORS, 1, |a, _| history.iter().map(|&item| row(item).nth(a).unwrap()).sum::<f64>());
    let user = faer::prelude::Solve::solve(&matrix.partial_piv_lu(), right);
    let expected: f64 = row(list).enumerate().map(|(at, number)| number * user[(at, 0)]).sum();
    let found = f64::from(scores[(0, list as usize)]);
    assert!((found - expected).abs() < 1e-5, "{found} and {expected}"); // numbers of about 1 with 24 bits
}

/// A file of two items, with or without a spectrum.
struct Of(Vec<f32>, Option<Vec<f32>>);

impl TensorSource for Of {
    fn f32(&self, name: &str, _: &[usize]) -> Result<Vec<f32>> {
        Ok(if name == "items" { self.0.clone() } else { self.1.clone().unwrap() })
    }
    fn f64(&self, _: &str, _: &[usize]) -> Result<Vec<f64>> {
        unreachable!()
    }
    fn find(&self, name: &str) -> Option<StoredTensor<'_>> {
        (name == "spectrum" && self.1.is_some()).then(|| StoredTensor {
            name: "spectrum",
            dtype: "F32",
            shape: &[],
            bytes: std::sync::Arc::new([0u8; 0]),
            range: 0..0,
        })
    }
}

#[test]
fn a_cancelled_fit_ends() {
    let train = data();
    let run = FitRun::default();
    run.cancel.cancel();
    for solver in [AlsSolver::Cholesky, AlsSolver::Conjugate] {
        let error = fit(&options(solver), &train, None, &run).err().expect("an error");
        assert_eq!(error.code(), "CANCELLED");
    }
}

#[test]
fn a_few_items_with_a_vast_square_matrix_are_refused() {
    struct Unread;
    impl TensorSource for Unread {
        fn f32(&self, _: &str, _: &[usize]) -> Result<Vec<f32>> {
            panic!("read before it was checked")
        }
        fn f64(&self, _: &str, _: &[usize]) -> Result<Vec<f64>> {
            panic!("read before it was checked")
        }
    }
    let options = AlsOptions { factors: 65536, ..AlsOptions::default() };
    let text = "factors is 65536; allowed: up to 4096 for 17 items";
    assert_eq!(fit(&options, &data(), None, &FitRun::default()).err().unwrap().to_string(), text);
    assert_eq!(load(&options, 17, &Unread).err().unwrap().to_string(), text);
    options.check(4096).unwrap();
}

#[test]
fn what_no_training_makes_is_refused() {
    let options = |factors| AlsOptions { factors, ..AlsOptions::default() };
    let refusal = |factors, items: Vec<f32>, spectrum| {
        load(&options(factors), 2, &Of(items, spectrum)).err().expect("an error").to_string()
    };
    for (number, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (-1.0, "-1")] {
        let expected = format!("tensor 'spectrum' has {text}; allowed: finite numbers, 0 and above");
        assert_eq!(refusal(2, vec![1.0; 4], Some(vec![1.0, number])), expected);
    }
    let expected = "tensor 'items' has vectors whose products are not finite";
    assert_eq!(refusal(2, vec![1.0, f32::NAN, 1.0, 1.0], None), expected);
    assert_eq!(refusal(2, vec![1.0, 1e30, 1.0, 1.0], None), expected);
    // Few bytes must not ask for many, or for long.
    let expected = "factors is 2000; allowed: up to 1024 for 2 items without the tensor 'spectrum'";
    assert_eq!(refusal(2000, vec![0.0; 4000], None), expected);
    load(&options(2000), 2, &Of(vec![0.0; 4000], Some(vec![0.0; 2000]))).unwrap();
}

#[test]
fn vectors_beyond_single_precision_say_what_helps() {
    let error = |options: AlsOptions| fit(&options, &data(), None, &FitRun::default()).err().expect("an error");
    let wild = error(AlsOptions { init_scale: 1e30, ..options(AlsSolver::Conjugate) });
    assert_eq!(wild.code(), "INVALID_ARGUMENT");
    assert!(wild.to_string().starts_with("initScale is "), "{wild}");
}
