//! What the benches time and the library does not show: single steps of training and products of dense matrices. Compiled
//! with the feature `bench` alone; not part of the API.

use std::time::Instant;

use faer::Par;
use serde_json::Value;

use crate::csr::Csr;
use crate::error::{Error, Result};
use crate::model::{ModelKind, MultVaeOptions, RecVaeOptions, mult_vae, rec_vae};
use crate::nn::matmul::{rows, rows_mut};
use crate::nn::network::Update;
use crate::nn::noise::Seeded;
use crate::options::Options;
use crate::train::Pass;

/// Seconds of steps by the name of their pass: `encoder`, `decoder` or `both`.
pub type StepSeconds = Vec<(&'static str, Vec<f64>)>;

/// Trains until `n` steps of each kind of pass are timed; the first one of a pass does not count.
///
/// # Errors
/// As [`ModelKind::fit`]; `INVALID_DATA` if a pass has a single step.
pub fn step_seconds(kind: ModelKind, options: &Value, train: &Csr, n: usize) -> Result<StepSeconds> {
    let (noise, mut training, plan);
    match kind {
        ModelKind::RecVae => {
            let options = RecVaeOptions::from_json(options)?;
            noise = Seeded(options.seed);
            (training, plan) = (rec_vae::start(&options, train, &noise)?, options.plan());
        }
        ModelKind::MultVae => {
            let options = MultVaeOptions::from_json(options)?;
            noise = Seeded(options.seed);
            (training, plan) = (mult_vae::start(&options, train, &noise)?, options.plan().to_vec());
        }
        _ => return Err(Error::invalid_argument("model", kind.name(), "one that is trained in steps")),
    }
    let mut all: StepSeconds = vec![];
    for pass in plan {
        let name = match pass {
            Pass::Train { update: Update::Encoder, .. } => "encoder",
            Pass::Train { update: Update::Decoder, .. } => "decoder",
            Pass::Train { update: Update::Both, .. } => "both",
            Pass::Renew => continue,
        };
        if all.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let mut seconds = vec![];
        while seconds.len() < n {
            let (before, mut last) = (seconds.len(), None);
            // Passes end by an error once there are enough steps.
            let enough = training.pass(pass, |_| {
                let now = Instant::now();
                seconds.extend(last.replace(now).map(|last: Instant| (now - last).as_secs_f64()));
                if seconds.len() < n { Ok(()) } else { Err(Error::Internal("enough".into())) }
            });
            match enough {
                Err(Error::Internal(_)) => {}
                Err(error) => return Err(error),
                Ok(_) if seconds.len() == before => return Err(Error::invalid_data("a pass has a single step")),
                Ok(_) => {}
            }
        }
        all.push((name, seconds));
    }
    Ok(all)
}

/// Seconds of the product of two square matrices of `n` rows in f32 on the threads of the pool, each of `times` times.
#[must_use]
pub fn product_seconds(n: usize, times: usize) -> Vec<f64> {
    let (a, b) = (vec![0.5f32; n * n], vec![0.25f32; n * n]);
    let mut c = vec![0f32; n * n];
    let product = |_| {
        let start = Instant::now();
        let (a, b, c) = (rows(&a, n), rows(&b, n), rows_mut(&mut c, n));
        faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, 1.0, Par::rayon(0));
        start.elapsed().as_secs_f64()
    };
    (0..times).map(product).collect()
}

/// The Gram matrix of EASE^R, shape `(n_items, n_items)`, half filled.
#[must_use]
pub fn gram(x: &Csr) -> Vec<f32> {
    crate::linalg::gram(x)
}
