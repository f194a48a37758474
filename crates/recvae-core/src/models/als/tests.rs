//! iALS in double precision against its formulas written out over all pairs.

use super::*;
use crate::base::matrix::row_major;
use crate::base::random::Stream;

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

#[test]
fn the_reported_loss_is_the_formula_s() {
    let (train, options) = (data(), options(AlsSolver::Cholesky));
    let mut training = Training::<f64>::new(&options, &train);
    training.epoch(1, &FitRun::default()).unwrap();
    let expected = loss(&options, &train, &training.users, row_major(training.items.rows()));
    assert!((training.loss() - expected).abs() < 1e-12 * expected, "{} and {expected}", training.loss());
}

/// After an exact epoch no number of an item's vector can be moved to a smaller loss: the slope by central differences is 0.
#[test]
fn an_exact_epoch_ends_at_the_minimum_over_the_items() {
    let (train, options) = (data(), options(AlsSolver::Cholesky));
    let mut training = Training::<f64>::new(&options, &train);
    training.epoch(1, &FitRun::default()).unwrap();
    let (users, items) = (&training.users, row_major(training.items.rows()));
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

/// As many steps as there are unknowns end at the solution, in exact arithmetic.
#[test]
fn conjugate_gradients_end_where_cholesky_does() {
    let train = data();
    let exact = options(AlsSolver::Cholesky);
    let conjugate = AlsOptions { steps: 2 * FACTORS, ..options(AlsSolver::Conjugate) };
    let [mut a, mut b] = [&exact, &conjugate].map(|options| Training::<f64>::new(options, &train));
    for _ in 0..3 {
        a.epoch(1, &FitRun::default()).unwrap();
        b.epoch(1, &FitRun::default()).unwrap();
    }
    for (a, b) in a.items.rows().iter().zip(b.items.rows()) {
        assert!((a - b).abs() < 1e-9, "{a} and {b}");
    }
}

#[test]
fn every_epoch_lowers_the_loss() {
    let train = data();
    for solver in [AlsSolver::Cholesky, AlsSolver::Conjugate] {
        let options = AlsOptions { steps: 1, ..options(solver) };
        let mut training = Training::<f64>::new(&options, &train);
        let mut last = f64::INFINITY;
        for epoch in 0..10 {
            training.epoch(1, &FitRun::default()).unwrap();
            assert!(training.loss() < last, "{solver:?} epoch {epoch}: {} after {last}", training.loss());
            last = training.loss();
        }
    }
}

/// A user of the training data who is folded in gets the vector that training gives against the same items.
#[test]
fn folding_in_is_the_users_half_of_an_exact_epoch() {
    let (train, options) = (data(), options(AlsSolver::Cholesky));
    let mut training = Training::<f32>::new(&options, &train);
    training.epoch(1, &FitRun::default()).unwrap();
    let model = Als { options: options.clone(), items: training.items.clone() };
    training.epoch(1, &FitRun::default()).unwrap();
    let users = model.fold_in(&train.rows().collect::<Vec<_>>()).unwrap();
    assert_eq!(users.into_raw_vec_and_offset().0, training.users);
    assert!(training.users[30 * FACTORS..].iter().all(|&number| number == 0.0));
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
