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
    let confidence: fn(usize) -> f32 = |entry| 0.3 + (entry % 7) as f32 * 0.4;
    let confidence = weighted.then_some(confidence);
    compare_with([83, 60, 12], 0.1, confidence, steps, turned, gathered, tolerance);
}

/// The same of so many rows against so many of so many numbers, with an `alpha0`, and with confidences of entries if
/// there are any.
fn compare_with(
    [n_rows, n_fixed, d]: [usize; 3],
    alpha0: f64,
    confidence: Option<fn(usize) -> f32>,
    steps: usize,
    turned: bool,
    gathered: usize,
    tolerance: f32,
) {
    let mut random = Stream::new(41, 0);
    let data = lists(&mut random, n_rows, n_fixed);
    let confidences: Option<Vec<f32>> = confidence.map(|confidence| (0..data.nnz()).map(confidence).collect());
    let lists = Lists { items: &data, confidences: confidences.as_deref() };
    let weights = Weights { alpha0, lambda: 0.02, nu: 0.8, beside: confidence.map_or(0.0, |_| alpha0) };
    let (fixed, axes) = Fixed::turned(normals(&mut random, n_fixed * d), d).unwrap();
    let axes = turned.then_some(&axes);
    let start = normals(&mut random, n_rows * d);
    let never = Cancel::default();
    let mut expected = start.clone();
    fixed.improve(weights, lists, steps, axes, view2_mut(&mut expected, (n_rows, d)), &never).unwrap();
    let loss = fixed.loss(weights, lists, crate::base::matrix::view2(&expected, (n_rows, d)));
    let largest = expected.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
    for device in devices() {
        let there = OnDevice { gathered, ..OnDevice::new(device, steps, never.clone()) };
        let mut found = start.clone();
        let rows = view2_mut(&mut found, (n_rows, d));
        let own = there.improve(&fixed, weights, lists, axes, rows).unwrap();
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let what =
            format!("{steps} steps, {d} numbers, weighted {}, turned {turned}, {gathered}", confidence.is_some());
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

/// With few factors all lists are solved exactly, those of hundreds, too; with confidences over six orders of magnitude
/// and a small `alpha0` as well as f32 allows.
#[test]
fn a_gpu_solves_exactly_what_the_processor_does() {
    assert!(is_solved_exactly(400, 8, 3) && is_solved_exactly(9, 64, 3) && !is_solved_exactly(400, 64, 3));
    compare_with([40, 700, 8], 0.1, None, 3, true, GATHERED, 1e-3);
    let wide: fn(usize) -> f32 = |entry| 10f32.powi((entry % 7) as i32 - 3);
    compare_with([40, 700, 8], 0.001, Some(wide), 3, true, GATHERED, 5e-3);
    compare_with([83, 60, 64], 0.001, Some(wide), 3, false, GATHERED, 5e-3);
}

#[test]
fn what_32_bits_do_not_count_is_told() {
    assert!(fits_in_32_bits(16_777_214, 10, 256) && !fits_in_32_bits(16_777_216, 10, 256));
    assert!(!fits_in_32_bits(10, 16_777_217, 256) && !fits_in_32_bits(usize::MAX, 1, 2));
}

#[test]
fn a_gpu_stops_between_batches() {
    let mut random = Stream::new(42, 0);
    let data = lists(&mut random, 40, 20);
    let (fixed, _) = Fixed::turned(normals(&mut random, 20 * 4), 4).unwrap();
    let weights = Weights { alpha0: 0.1, lambda: 0.02, nu: 1.0, beside: 0.0 };
    let lists = Lists { items: &data, confidences: None };
    for looks in [1, 2, 9] {
        let there = OnDevice { gathered: 1, ..OnDevice::new(Device::Cpu, 3, Cancel::at_look(looks)) };
        let mut rows = normals(&mut random, 40 * 4);
        let rows = view2_mut(&mut rows, (40, 4));
        let stopped = there.improve(&fixed, weights, lists, None, rows);
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
