use super::*;
use crate::base::matrix::view2_mut;
use crate::base::random::Stream;
use crate::base::tensors::open;
use crate::math::csr::Csr;
use crate::test_support::gpu;

/// candle's device of the processor, and a GPU where one opens.
fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::Cpu), gpu().map(|gpu| open(gpu).unwrap())].into_iter().flatten()
}

fn normals(random: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| random.normal() as f32 * 0.3).collect()
}

/// Lists of none, of one, of a few, and of most of the rows, in no order of their lengths.
fn lists(random: &mut Stream, n_rows: usize, n_fixed: usize) -> Csr {
    let rows: Vec<Vec<u32>> = (0..n_rows)
        .map(|row| {
            let one_in = [1 << 30, n_fixed as u64, 20, 2, 5][row * 7 % 5];
            (0..n_fixed as u32).filter(|_| random.below(one_in) == 0).collect()
        })
        .collect();
    Csr::from_rows(&rows, n_fixed).unwrap()
}

/// A side by the processor and by every device, from the same start: the rows, and the loss of either.
fn compare(steps: usize, weighted: bool, turned: bool, gathered: usize, tolerance: f32) {
    let mut random = Stream::new(41, 0);
    let (n_rows, n_fixed, d) = (83, 60, 12);
    let data = lists(&mut random, n_rows, n_fixed);
    let confidences: Vec<f32> = (0..data.nnz()).map(|entry| 0.3 + (entry % 7) as f32 * 0.4).collect();
    let lists = Lists { items: &data, confidences: weighted.then_some(&confidences[..]) };
    let weights = Weights { alpha0: 0.1, lambda: 0.02, nu: 0.8, beside: if weighted { 0.1 } else { 0.0 } };
    let (fixed, axes) = Fixed::turned(normals(&mut random, n_fixed * d), d).unwrap();
    let axes = turned.then_some(&axes);
    let start = normals(&mut random, n_rows * d);
    let never = Cancel::default();
    let mut expected = start.clone();
    fixed.improve(weights, lists, steps, axes, view2_mut(&mut expected, (n_rows, d)), &never).unwrap();
    let loss = fixed.loss(weights, lists, crate::base::matrix::view2(&expected, (n_rows, d)));
    let largest = expected.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
    for device in devices() {
        let there = OnDevice { device, gathered };
        let mut found = start.clone();
        let rows = view2_mut(&mut found, (n_rows, d));
        let own = there.improve(&fixed, weights, lists, steps, axes, rows, &never).unwrap();
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let what = format!("{steps} steps, weighted {weighted}, turned {turned}, {gathered}");
        assert!(worst <= tolerance * largest, "{what}: {worst} of {largest}");
        assert!((own / loss - 1.0).abs() < f64::from(tolerance), "{what}: {own}, {loss}");
    }
}

/// f32 has 24 bits, and conjugate gradients lose some of them from step to step, in an order of sums that differs.
#[test]
fn a_gpu_takes_the_steps_of_the_processor() {
    for weighted in [false, true] {
        for turned in [false, true] {
            for gathered in [1, 500, GATHERED] {
                for steps in [1, 3] {
                    compare(steps, weighted, turned, gathered, 1e-4);
                }
            }
        }
    }
}

/// With as many steps as there are factors both are at the minimum.
#[test]
fn a_gpu_comes_to_the_minimum_of_the_processor() {
    for weighted in [false, true] {
        compare(30, weighted, true, GATHERED, 1e-3);
    }
}

#[test]
fn a_gpu_stops_between_batches() {
    let mut random = Stream::new(42, 0);
    let data = lists(&mut random, 40, 20);
    let (fixed, _) = Fixed::turned(normals(&mut random, 20 * 4), 4).unwrap();
    let weights = Weights { alpha0: 0.1, lambda: 0.02, nu: 1.0, beside: 0.0 };
    let lists = Lists { items: &data, confidences: None };
    let there = OnDevice { device: Device::Cpu, gathered: 1 };
    for looks in [1, 2, 9] {
        let mut rows = normals(&mut random, 40 * 4);
        let rows = view2_mut(&mut rows, (40, 4));
        let stopped = there.improve(&fixed, weights, lists, 3, None, rows, &Cancel::at_look(looks));
        assert_eq!(stopped.unwrap_err().code(), "CANCELLED", "{looks}");
    }
}

/// Whole trainings from the same start, by their loss and what they recommend.
#[test]
fn a_gpu_trains_as_the_processor() {
    use crate::models::als::{AlsOptions, Training};
    use crate::train::run::FitRun;
    let mut random = Stream::new(43, 0);
    let data = lists(&mut random, 200, 90);
    let options = AlsOptions { factors: 16, alpha0: 0.1, lambda: 0.02, init_scale: 1.0, ..AlsOptions::default() };
    for data in [data.clone(), data.clone().with_weights(vec![2.0; data.nnz()]).unwrap()] {
        let run = FitRun::default();
        let losses = |mut training: Training<'_, f32>| -> Vec<f64> {
            (1..=6).map(|epoch| training.epoch(epoch, &run).unwrap()).collect()
        };
        let here = losses(Training::new(&options, &data).unwrap());
        for device in devices() {
            let there = losses(Training::new(&options, &data).unwrap().on(device, &run.cancel));
            for (here, there) in here.iter().zip(&there) {
                assert!((there / here - 1.0).abs() < 1e-3, "{there} instead of {here}");
            }
            assert!(there.is_sorted_by(|a, b| a >= b), "{there:?}");
        }
    }
}
