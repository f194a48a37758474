//! H+Vamp against recorded values and against finite differences.

use super::network::{Batch, Loss};
use super::*;
use crate::base::random::Stream;
use crate::math::real::Real;
use crate::nn::batch::SparseInput;
use crate::test_support::{Golden, close};
use crate::train::warm_start::Adopt;

pub(super) const PARTS: [(&str, Likelihood); 2] =
    [("multinomial", Likelihood::Multinomial), ("bernoulli", Likelihood::Bernoulli)];

fn transposed(values: &[f64], n_cols: usize) -> Vec<f64> {
    (0..n_cols).flat_map(|column| values.iter().skip(column).step_by(n_cols).copied()).collect()
}

/// A recorded tensor as it lies here: weights of layers whose inputs are items are the other way round.
fn recorded(golden: &Golden, key: &str, name: &str) -> Vec<f64> {
    let values = golden.values(key);
    let of_items = name.starts_with("q2.items") || name.starts_with("q1.items");
    if of_items && name.ends_with("weight") { transposed(values, golden.shape(key)[1]) } else { values.to_vec() }
}

pub(super) fn network<T: Real>(golden: &Golden) -> Network<T> {
    let n_items = golden.shape("x")[1];
    let [pseudo_users, _] = *golden.shape("pseudo_users") else { panic!("no matrix") };
    let (hidden, latent) = (golden.shape("q2.hidden.value.bias")[0], golden.shape("q2.heads.mean.bias")[0]);
    let mut network = Network::zeros(Shape { n_items, hidden, latent, pseudo_users });
    for (name, _, values) in network.tensors_mut() {
        let recorded = recorded(golden, &name, &name);
        assert_eq!(values.len(), recorded.len(), "{name}");
        values.iter_mut().zip(recorded).for_each(|(value, recorded)| *value = T::from_f64(recorded));
    }
    network
}

/// Histories after dropout, as recorded: kept items of rows that were normalised before, at a rate of 1 / 2.
fn input<T: Real>(golden: &Golden, kept: &str) -> SparseInput<T> {
    let (all, kept) = (golden.csr("x"), golden.csr(kept));
    let mut input = SparseInput { ends: vec![], indices: vec![], values: vec![] };
    for (history, kept) in all.rows().zip(kept.rows()) {
        input.indices.extend_from_slice(kept);
        input.ends.push(input.indices.len());
        let n = history.len() as f64;
        input.values.push(T::from_f64(if n == 0.0 { 0.0 } else { 2.0 / n.sqrt() }));
    }
    input
}

/// Compares with the recorded losses and gradients of the recorded batch what `compute` gives for them.
pub(super) fn loss_and_gradients_match(
    golden: &Golden,
    compute: impl Fn(&Batch<'_, f64>, Likelihood) -> (Loss, Vec<(String, Vec<f64>)>),
) {
    let x = golden.csr("x");
    let histories: Vec<&[u32]> = x.rows().collect();
    let inputs = [input(golden, "kept2"), input(golden, "kept1")];
    let noise = [golden.values("noise2"), golden.values("noise1")];
    let batch = Batch { histories: &histories, inputs: [&inputs[0], &inputs[1]], noise };
    for (name, likelihood) in PARTS {
        let (loss, gradients) = compute(&batch, likelihood);
        close(name, &[loss.log_likelihood], golden.values(&format!("{name}.log_likelihood")), 1e-12);
        close("kl", &[loss.kl], golden.values("kl"), 1e-12);
        for (tensor, gradient) in gradients {
            let expected = recorded(golden, &format!("{name}.gradient.{tensor}"), &tensor);
            assert!(expected.iter().any(|number| *number != 0.0), "{tensor}");
            close(&tensor, &gradient, &expected, 1e-9);
        }
    }
}

#[test]
fn loss_gradients_and_scores_are_the_recorded_ones() {
    let golden = Golden::read("hvamp_step");
    let network = network::<f64>(&golden);
    loss_and_gradients_match(&golden, |batch, likelihood| {
        let mut gradients = Network::zeros(network.shape);
        let loss = network.loss(batch, 0.3, likelihood, &mut gradients);
        (loss, gradients.tensors().into_iter().map(|(tensor, _, values)| (tensor, values.to_vec())).collect())
    });
    let x = golden.csr("x");
    let histories: Vec<&[u32]> = x.rows().collect();
    // In single precision, as a model scores.
    let single = super::tests::network::<f32>(&golden);
    let scores = single.scores(&histories).unwrap();
    close("scores", scores.as_slice().unwrap(), golden.values("scores"), 1e-5);
    let some = [3u32, 0, 22];
    let mut found = Array2::zeros((histories.len(), some.len()));
    single.score_some(&histories, &some, found.view_mut()).unwrap();
    for (row, found) in scores.rows().into_iter().zip(found.rows()) {
        assert!(some.iter().zip(found).all(|(&item, found)| row[item as usize].to_bits() == found.to_bits()));
    }
}

/// Every number of every parameter, by central differences.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let golden = Golden::read("hvamp_step");
    let mut network = network::<f64>(&golden);
    // Variances of e^-12, as were recorded, make a loss of which a difference is mostly rounding.
    for (name, _, values) in network.tensors_mut() {
        if name.ends_with("log_variance.bias") {
            values.fill(0.1);
        }
    }
    let x = golden.csr("x");
    let histories: Vec<&[u32]> = x.rows().collect();
    let inputs = [input(&golden, "kept2"), input(&golden, "kept1")];
    let noise = [golden.values("noise2"), golden.values("noise1")];
    let batch = Batch { histories: &histories, inputs: [&inputs[0], &inputs[1]], noise };
    let mut unused = Network::zeros(network.shape);
    let mut gradients = Network::zeros(network.shape);
    network.loss(&batch, 0.7, Likelihood::Multinomial, &mut gradients);
    let step = 1e-6;
    for at in 0..gradients.tensors().len() {
        let (name, _, gradient) = gradients.tensors().swap_remove(at);
        let scale = gradient.iter().fold(1e-3f64, |max, number| max.max(number.abs()));
        for (place, &gradient) in gradient.iter().enumerate() {
            let mut loss = |by: f64, network: &mut Network<f64>| {
                network.tensors_mut()[at].2[place] += by;
                let loss = network.loss(&batch, 0.7, Likelihood::Multinomial, &mut unused);
                network.tensors_mut()[at].2[place] -= by;
                0.7 * loss.kl - loss.log_likelihood
            };
            let slope = (loss(step, &mut network) - loss(-step, &mut network)) / (2.0 * step);
            assert!((slope - gradient).abs() < 1e-6 * scale.max(1.0), "{name}[{place}]: {} and {slope}", gradient);
        }
    }
}

#[test]
fn parameters_are_as_many_as_the_shape_says() {
    for [n_items, hidden, latent, pseudo_users] in [[23, 6, 4, 5], [7, 3, 9, 2]] {
        let shape = Shape { n_items, hidden, latent, pseudo_users };
        let counted: usize = Network::<f32>::zeros(shape).tensors().iter().map(|(.., values)| values.len()).sum();
        assert_eq!(counted as u64, shape.n_parameters());
    }
}

/// By any number of threads, and again by the same seed: the same bits; by another seed others.
#[test]
fn training_is_a_function_of_the_seed() {
    let mut random = Stream::new(5, 0);
    let rows = (0..40).map(|_| (0..30u32).filter(|_| random.below(4) == 0).collect::<Vec<_>>());
    let train = Csr::from_rows(rows, 30).unwrap();
    let options = |seed| HVampOptions {
        hidden_dim: 8,
        latent_dim: 4,
        pseudo_users: 6,
        batch_size: 16,
        epochs: 3,
        warm_up: 2,
        seed,
        ..HVampOptions::default()
    };
    let scores = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let fitted = pool.install(|| fit(&options(seed), &train, None, &FitRun::default())).unwrap();
        assert!(fitted.epochs.iter().all(|epoch| epoch.log_likelihood.is_some_and(f64::is_finite)));
        assert!(fitted.epochs.iter().all(|epoch| epoch.kl.is_some_and(|kl| kl > 0.0)));
        fitted.model.scores(&[&[1, 5], &[]]).unwrap()
    };
    let first = scores(1, 1);
    assert_eq!(first, scores(1, 3));
    assert_ne!(first, scores(2, 1));
}

#[test]
fn the_weight_of_the_kl_term_grows() {
    let options = HVampOptions { beta: 0.4, warm_up: 4, ..HVampOptions::default() };
    assert_eq!([1, 2, 4, 5, 9].map(|epoch| options.beta_in(epoch)), [0.1, 0.2, 0.4, 0.4, 0.4]);
    assert_eq!(HVampOptions { warm_up: 0, ..options }.beta_in(1), 0.4);
}

#[test]
fn a_cancelled_fit_ends() {
    let train = Csr::from_rows([vec![0u32, 1], vec![1]], 2).unwrap();
    let run = FitRun::default();
    run.cancel.cancel();
    let options = HVampOptions { hidden_dim: 4, latent_dim: 2, pseudo_users: 2, ..HVampOptions::default() };
    assert_eq!(fit(&options, &train, None, &run).err().expect("an error").code(), "CANCELLED");
}

/// Another network's numbers go where the items stand now; those of new items stay fresh.
#[test]
fn a_network_begins_with_another_one() {
    // As many items as there are hidden units: shapes alone do not say what belongs to items.
    let shape = |n_items| Shape { n_items, hidden: 6, latent: 4, pseudo_users: 5 };
    let (there, fresh) = (Network::<f32>::random(shape(6), 1), Network::<f32>::random(shape(5), 2));
    let mut network = Network::<f32>::random(shape(5), 2);
    let index_there = [Some(4), None, Some(0), Some(5), None];
    let all = there.tensors();
    let read = |name: &str, shape: &[usize]| {
        let (_, found, values) = all.iter().find(|(other, ..)| other == name).unwrap();
        assert_eq!(found, shape, "{name}");
        Ok(*values)
    };
    network.adopt(6, &index_there, read).unwrap();
    let mut of_items = 0;
    for ((name, shape, values), (.., fresh)) in network.tensors().into_iter().zip(fresh.tensors()) {
        let (.., theirs) = all.iter().find(|(other, ..)| *other == name).unwrap();
        if theirs.len() == values.len() {
            assert_eq!(values, *theirs, "{name}");
            continue;
        }
        of_items += 1;
        let by_rows = shape[0] == 5 && name != "pseudo_users";
        // Where the number of an item lies, among so many items; `other` counts rows or columns of the other side.
        let width = values.len() / 5;
        let at = |item: usize, other: usize, n_items: usize| {
            if by_rows { item * width + other } else { other * n_items + item }
        };
        for (item, there) in index_there.iter().enumerate() {
            for other in 0..width {
                let expected = match there {
                    Some(there) => theirs[at(*there as usize, other, 6)],
                    None => fresh[at(item, other, 5)],
                };
                assert_eq!(values[at(item, other, 5)], expected, "{name}: item {item}, {other}");
            }
        }
    }
    // Weights of value and gate of both first layers, weight and bias of the last one, pseudo-users.
    assert_eq!(of_items, 7);
}
