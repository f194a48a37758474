//! Mult-DAE against losses, gradients and Adam steps of a plain program, `test/fixtures/reference/make.py`. Its
//! gradients are compared with finite differences beside those of the other networks, in `golden_tests.rs`.

use ndarray::Array2;

use super::*;
use crate::base::matrix::row_major;
use crate::math::real::Real;
use crate::nn::batch::{Batch, SparseInput};
use crate::nn::init::Init;
use crate::nn::network::{Memory, Network, Optimiser, Parameter};
use crate::test_support::{Golden, close};

/// The input of a step after its dropout at one half; `keep` has shape `(users, items)`.
fn input<T: Real>(x: &Csr, keep: &[f64]) -> SparseInput<T> {
    let mut input = SparseInput::default();
    for (history, keep) in x.rows().zip(keep.chunks(x.n_cols())) {
        input.indices.extend(history.iter().filter(|&&item| keep[item as usize] != 0.0));
        input.ends.push(input.indices.len());
        input.values.push(T::from_f64(2.0 / (history.len() as f64).sqrt()));
    }
    input
}

fn check_steps<T: Real>(tolerance: f64, tolerance_after: f64) {
    let golden = Golden::read("multdae_step");
    let x = golden.csr("x");
    let latent_dim = golden.shape("param.encoder.input.weight")[1];
    let architecture = MultDaeOptions { latent_dim, ..MultDaeOptions::default() }.architecture(x.n_cols());
    let mut network = Network::<T>::new(architecture, &mut Init::zeros());
    let read = |name: &str| golden.values(&format!("param.{name}")).iter().map(|&v| T::from_f64(v)).collect::<Vec<_>>();
    network.import(|name, _| Ok(read(name))).unwrap();
    let mut scores = Array2::default((x.n_rows(), x.n_cols()));
    network.logits(&x.rows().collect::<Vec<_>>(), scores.view_mut());
    close("scores", row_major(scores.view()), golden.values("scores"), tolerance);

    let lambda = golden.values("lambda")[0];
    let mut optimiser = Optimiser::new(&network, golden.values("learning_rate")[0]).with_squares(lambda);
    let mut memory = Memory::default();
    let keep = golden.values("dropout_keep").chunks(x.n_rows() * x.n_cols());
    for (step, (keep, expected)) in keep.zip(golden.values("nll_loss").chunks(2)).enumerate() {
        let mut batch = Batch { histories: x.rows().collect(), input: input(&x, keep), ..Batch::default() };
        batch.by_item.refill(&batch.input, x.n_cols());
        let loss = network.backward(&batch, Update::Both, &mut memory);
        let parameters = network.export();
        let is_weight = |name: &str| name.ends_with("weight");
        let squares = parameters.iter().filter(|parameter| is_weight(&parameter.name)).flat_map(|p| &p.values);
        let squares: f64 = squares.map(|value| value.to_f64().powi(2)).sum();
        let tolerance = if step == 0 { tolerance } else { tolerance_after };
        close("log-likelihood", &[-loss.log_likelihood], &expected[..1], tolerance);
        close("loss", &[lambda * squares - loss.log_likelihood], &expected[1..], tolerance);
        assert_eq!(loss.kl, 0.0);
        if step == 0 {
            let gradients = network.gradients(&batch, Update::Both, &memory);
            assert_eq!(gradients.len(), parameters.len());
            for Parameter { name, values } in &parameters {
                let pull = if is_weight(name) { 2.0 * lambda } else { 0.0 };
                let whole: Vec<f64> =
                    gradients[name].iter().zip(values).map(|(g, v)| g.to_f64() + pull * v.to_f64()).collect();
                close(name, &whole, golden.values(&format!("grad.{name}")), tolerance);
            }
        }
        network.step(&batch, Update::Both, &mut memory, &mut optimiser);
    }
    for mut parameter in network.export() {
        let name = parameter.name.clone();
        close(&name, parameter.values_mut(), golden.values(&format!("after.{name}")), tolerance_after);
    }
}

#[test]
fn steps_match_a_plain_program() {
    // f64: sums of a few dozen terms; Adam divides by roots, which loses a digit or two.
    check_steps::<f64>(1e-12, 1e-9);
    // f32: eps 6e-8 over such sums. A gradient near zero takes a full step of .01 in the direction of its rounding
    // error.
    check_steps::<f32>(2e-6, 2e-2);
}
