//! iALS in double precision against its formulas written out over all pairs.

use super::*;
use crate::base::matrix::row_major;
use crate::base::random::Stream;
use crate::evaluate::top_k::top_k;
use crate::model::tensors::StoredTensor;
use crate::test_support::Golden;

const FACTORS: usize = 6;

fn data() -> Csr {
    let mut random = Stream::new(4, 0);
    // The last user has nothing, and the last item nobody.
    let rows = (0..30).map(|_| (0..16u32).filter(|_| random.next_u32().is_multiple_of(4)).collect::<Vec<_>>());
    Csr::from_rows(rows.chain([vec![]]), 17).unwrap()
}

/// The same with weights from .5 to 40.
fn weighted() -> Csr {
    let data = data();
    let weights = (0..data.nnz()).map(|entry| 0.5 * (1 + entry % 9 * (entry % 11)) as f32).collect();
    data.with_weights(weights).unwrap()
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
    let confidences: Vec<f64> = match train.weights() {
        Some(weights) => {
            let raw = weights.iter().map(|&weight| match options.confidence {
                AlsConfidence::Linear => f64::from(weight),
                AlsConfidence::Log => (1.0 + f64::from(weight) / options.epsilon).ln(),
            });
            let mean = raw.clone().sum::<f64>() / train.nnz() as f64;
            raw.map(|raw| raw / mean).collect()
        }
        None => vec![1.0; train.nnz()],
    };
    let mut counts = vec![0.0; train.n_cols()];
    let mut loss = 0.0;
    for (at, user) in users.enumerate() {
        let (row, range) = (train.row(at), train.row_range(at));
        let of_row = &confidences[range];
        for (item, vector) in items.clone().enumerate() {
            let score = dot(user, vector);
            match row.binary_search(&(item as u32)) {
                Ok(place) if train.weights().is_some() => {
                    loss += (of_row[place] + options.alpha0) * (score - 1.0).powi(2);
                }
                Ok(_) => loss += (score - 1.0).powi(2) + options.alpha0 * score * score,
                Err(_) => loss += options.alpha0 * score * score,
            }
        }
        row.iter().zip(of_row).for_each(|(&item, confidence)| counts[item as usize] += confidence);
        let weight = of_row.iter().sum::<f64>() + options.alpha0 * train.n_cols() as f64;
        loss += options.lambda * weight.powf(options.nu) * dot(user, user);
    }
    for (&count, vector) in counts.iter().zip(items) {
        let weight = count + options.alpha0 * train.n_rows() as f64;
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
    for (train, options) in cases() {
        let mut training = Training::<f64>::new(&options, &train).unwrap();
        let told = training.epoch(1, &FitRun::default()).unwrap();
        let expected = loss(&options, &train, &users(&training), row_major(training.items.rows()));
        // The confidences are rounded to 24 bits.
        let most = if train.weights().is_some() { 1e-7 } else { 1e-12 };
        assert!((told - expected).abs() < most * expected, "{told} and {expected}");
    }
}

/// Without weights, with weights, and with logarithms of them.
fn cases() -> [(Csr, AlsOptions); 3] {
    let options = options(AlsSolver::Cholesky);
    let log = AlsOptions { confidence: AlsConfidence::Log, epsilon: 2.0, ..options.clone() };
    [(data(), options.clone()), (weighted(), options), (weighted(), log)]
}

/// After an exact epoch no number of an item's vector can be moved to a smaller loss: the slope by central differences
/// is 0.
#[test]
fn an_exact_epoch_ends_at_the_minimum_over_the_items() {
    cases().into_iter().for_each(|(train, options)| ends_at_the_minimum(&train, &options));
}

fn ends_at_the_minimum(train: &Csr, options: &AlsOptions) {
    let mut training = Training::<f64>::new(options, train).unwrap();
    training.epoch(1, &FitRun::default()).unwrap();
    let (users, items) = (&users(&training), row_major(training.items.rows()));
    let step = 1e-5;
    let slope = |at: usize, from: &[f64]| {
        let mut moved = from.to_vec();
        moved[at] += step;
        let up = loss(options, train, users, &moved);
        moved[at] -= 2.0 * step;
        (up - loss(options, train, users, &moved)) / (2.0 * step)
    };
    let mut elsewhere = items.to_vec();
    elsewhere[0] += 0.1;
    assert!(slope(0, &elsewhere).abs() > 1e-3);
    // Rounding of a loss of about 10 over the step; and the confidences are rounded to 24 bits.
    let most = if train.weights().is_some() { 1e-6 } else { 1e-9 };
    for at in 0..items.len() {
        assert!(slope(at, items).abs() < most, "{at}: {}", slope(at, items));
    }
}

#[test]
fn every_epoch_lowers_the_loss() {
    let ways = [AlsSolver::Cholesky, AlsSolver::Conjugate].map(|solver| [(data(), solver), (weighted(), solver)]);
    for (train, solver) in ways.into_iter().flatten() {
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
    let lists = Lists { items: &train, confidences: None };
    training.items.solve(options.weights(None), lists, view, &Cancel::default()).unwrap();
    let model = Als { options: options.clone(), items: training.items, confidences: None };
    let users = model.fold_in(&train.rows().collect::<Vec<_>>()).unwrap();
    assert_eq!(users.into_raw_vec_and_offset().0, expected);
    assert!(expected[30 * FACTORS..].iter().all(|&number| number == 0.0));
    assert!(expected[..30 * FACTORS].iter().all(|&number| number != 0.0));
}

/// The same of a user with weights, by scores; and the loaded model's are those of the trained one.
#[test]
fn weights_of_a_history_count_as_in_training() {
    let (train, options) = (weighted(), options(AlsSolver::Cholesky));
    let mut training = Training::<f32>::new(&options, &train).unwrap();
    training.epoch(1, &FitRun::default()).unwrap();
    let mut users = vec![0.0; train.n_rows() * FACTORS];
    let view = view2_mut(&mut users, (train.n_rows(), FACTORS));
    let lists = Lists { items: &train, confidences: training.of_train.as_deref() };
    training.items.solve(options.weights(training.confidences), lists, view, &Cancel::default()).unwrap();
    let mut expected = Array2::zeros((train.n_rows(), train.n_cols()));
    par_products(view2(&users, (train.n_rows(), FACTORS)), training.items.rows(), expected.view_mut());
    let model = Als { options: options.clone(), items: training.items, confidences: training.confidences };
    assert!(model.is_weighted());
    let mut scores = Array2::zeros(expected.dim());
    let (histories, weights): (Vec<_>, Vec<_>) =
        (0..train.n_rows()).map(|row| (train.row(row), train.row_weights(row).unwrap())).unzip();
    model.score_weighted(&histories, &weights, scores.view_mut()).unwrap();
    assert_eq!(scores, expected);
    // As the mean weight counts every item whose weight is not known.
    let mean = train.weights().unwrap().iter().sum::<f32>() / train.nnz() as f32;
    let means: Vec<Vec<f32>> = histories.iter().map(|history| vec![mean; history.len()]).collect();
    model.score_weighted(&histories, &means.iter().map(|all| &all[..]).collect::<Vec<_>>(), scores.view_mut()).unwrap();
    let plain = model.scores(&histories).unwrap();
    assert!(plain.iter().zip(&scores).all(|(a, b)| (a - b).abs() < 1e-5));
    assert!(plain.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 0.1));
    // Weights that do not fit are a bug of the caller.
    assert!(model.score_weighted(&histories, &weights[1..], scores.view_mut()).is_err());
    let names: Vec<String> = model.tensors().unwrap().into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(names, ["items", "spectrum", "confidence"]);
}

/// On counts with a known truth: the loss is what implicit finds, to 1e-4, and lists by counts know it better than
/// lists without. The golden values' maker says how the counts came about.
#[test]
fn counts_lead_where_those_of_others_lead() {
    let golden = Golden::read("als_weights");
    let whole = |name: &str| golden.values(name).iter().map(|&number| number as usize).collect::<Vec<_>>();
    let indices = whole("indices").into_iter().map(|item| item as u32).collect();
    let (users, items) = (whole("group_of_user"), whole("group_of_item"));
    let plain = Csr::new(whole("indptr"), indices, items.len()).unwrap();
    let counts =
        plain.clone().with_weights(golden.values("counts").iter().map(|&count| count as f32).collect()).unwrap();
    let options = |seed| AlsOptions {
        factors: 8,
        alpha0: 0.1,
        lambda: 0.5,
        nu: 0.0,
        init_scale: 1.0,
        solver: AlsSolver::Cholesky,
        epochs: 200,
        seed,
        ..AlsOptions::default()
    };
    let fitted = |train: &Csr, seed| fit(&options(seed), train, None, &FitRun::default()).unwrap();
    // Neither ends at the least loss from every beginning.
    let losses = (1..=8).map(|seed| fitted(&counts, seed).epochs.last().unwrap().loss.unwrap());
    let (least, theirs) = (losses.fold(f64::INFINITY, f64::min), golden.values("loss")[0]);
    assert!((least - theirs).abs() < 1e-4 * theirs, "{least} and {theirs}");
    // Of the ten best items that a user does not have, those of the own group.
    let hits = |train: &Csr| {
        let model = fitted(train, 1).model;
        let histories: Vec<&[u32]> = (0..train.n_rows()).map(|row| train.row(row)).collect();
        let mut scores = Array2::zeros((train.n_rows(), train.n_cols()));
        match (0..train.n_rows()).map(|row| train.row_weights(row)).collect::<Option<Vec<_>>>() {
            Some(weights) => model.score_weighted(&histories, &weights, scores.view_mut()).unwrap(),
            None => model.score(&histories, scores.view_mut()).unwrap(),
        }
        let of_user = |(row, user): (usize, &usize)| {
            let best = top_k(scores.row(row).as_slice().unwrap(), histories[row], 10).unwrap();
            best.iter().filter(|scored| items[scored.item as usize] == *user).count()
        };
        users.iter().enumerate().map(of_user).sum::<usize>() as f64 / (10 * users.len()) as f64
    };
    let shares = [hits(&plain), hits(&counts)];
    assert!(shares[1] > shares[0] + 0.05, "{shares:?}");
}

/// Weights that are all equal have the lists of none: the scores are 1 + alpha0 times those with another lambda.
#[test]
fn equal_weights_say_nothing() {
    let plain = options(AlsSolver::Cholesky);
    let k = 1.0 + plain.alpha0;
    let equal = AlsOptions { lambda: k * plain.lambda, init_scale: k.sqrt() * plain.init_scale, ..plain.clone() };
    let scores = |options: &AlsOptions, train: &Csr| {
        let mut training = Training::<f64>::new(options, train).unwrap();
        for epoch in 1..=4 {
            training.epoch(epoch, &FitRun::default()).unwrap();
        }
        let (users, items) = (users(&training), training.items.into_rows());
        let scores = users.chunks(FACTORS).flat_map(|user| {
            items.chunks(FACTORS).map(move |item| user.iter().zip(item).map(|(a, b)| a * b).sum::<f64>())
        });
        scores.collect::<Vec<_>>()
    };
    let train = data();
    let weights = vec![7.0; train.nnz()];
    let expected = scores(&plain, &train);
    for (found, expected) in scores(&equal, &train.with_weights(weights).unwrap()).iter().zip(expected) {
        assert!((found - k * expected).abs() < 1e-9, "{found} and {expected}");
    }
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
        sum + if a == b { options.weights(None).ridge(history.len() as f64, 17) } else { 0.0 }
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

/// A file of two items that says what confidences were counted in.
struct WithConfidence(f32);

impl TensorSource for WithConfidence {
    fn f32(&self, name: &str, _: &[usize]) -> Result<Vec<f32>> {
        Ok(match name {
            "items" => vec![1.0; 4],
            "spectrum" => vec![2.0; 2],
            _ => vec![self.0],
        })
    }
    fn f64(&self, _: &str, _: &[usize]) -> Result<Vec<f64>> {
        unreachable!()
    }
    fn find(&self, _: &str) -> Option<StoredTensor<'_>> {
        let (bytes, range) = (std::sync::Arc::new([0u8; 0]), 0..0);
        Some(StoredTensor { name: "any", dtype: "F32", shape: &[], bytes, range })
    }
}

#[test]
fn a_confidence_that_is_none_is_refused() {
    let load = |mean| load(&AlsOptions { factors: 2, ..AlsOptions::default() }, 2, &WithConfidence(mean));
    assert!(load(3.5).unwrap().is_weighted());
    for (mean, text) in [(0.0, "0.0"), (-1.0, "-1.0"), (f32::NAN, "NaN"), (f32::INFINITY, "inf"), (1e-40, "1e-40")] {
        let error = load(mean).err().expect("an error").to_string();
        assert_eq!(error, format!("tensor 'confidence' has [{text}]; allowed: a finite number above 0"));
    }
}

#[test]
fn vectors_beyond_single_precision_say_what_helps() {
    let error = |options: AlsOptions| fit(&options, &data(), None, &FitRun::default()).err().expect("an error");
    let wild = error(AlsOptions { init_scale: 1e30, ..options(AlsSolver::Conjugate) });
    assert_eq!(wild.code(), "INVALID_ARGUMENT");
    assert!(wild.to_string().starts_with("initScale is "), "{wild}");
}

#[test]
fn a_search_begins_where_norms_take_away_what_chance_brings() {
    let shape = FitShape {
        users: 25_000,
        items: 22_500,
        interactions: 225_000,
        validation: true,
        weighted: false,
        threads: 1,
        data: None,
    };
    let options = AlsOptions { factors: 128, ..AlsOptions::default() };
    // 9 interactions a user, 10 an item.
    for (start, (unknown, loss)) in starts(&options, &shape, false).iter().zip([(15.0, 0.3), (6.0, 0.3), (15.0, 0.1)]) {
        assert!((start.alpha0 * 22_500.0 / 9.0 / unknown - 1.0).abs() < 1e-12);
        let norms = ((9.0 + start.alpha0 * 22_500.0) * (10.0 + start.alpha0 * 25_000.0)).sqrt();
        assert!((start.lambda * norms / (loss * (3.0 + 10f64.sqrt())) - 1.0).abs() < 1e-12);
        assert_eq!(start.factors, 128);
    }
    // Without norms that grow there is nothing but the loss itself.
    let flat = starts(&AlsOptions { nu: 0.0, alpha0: 0.07, ..options }, &shape, true);
    let numbers: Vec<_> = flat.iter().map(|start| (start.alpha0, start.lambda)).collect();
    assert_eq!(numbers, [0.3, 0.1].map(|loss| (0.07, loss * (3.0 + 10f64.sqrt()))));
}
