//! The kernels as the host's compiler makes them, against the plain forms of [`ops`](super::ops): the same source runs on a GPU.

#![allow(unsafe_code, clippy::unwrap_used)] // a library is called; clippy knows tests by cfg(test) alone

use std::ffi::{CString, c_char, c_int, c_void};
use std::marker::PhantomData;

use candle_core::{Device, Tensor};

use super::kernels::Kernels;
use super::ops::{ABSENT, Adam, Entries, InputSums, LogLikelihood, Normals, Rows, Update};
use crate::base::random::Stream;
use crate::math::csr::Csr;
use crate::nn::noise::{Purpose, bar, stream};

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// A kernel of the library, as a function of that type.
macro_rules! kernel {
    ($name:literal, $type:ty) => {{
        let path = CString::new(concat!(env!("OUT_DIR"), "/kernels-host.so")).unwrap();
        let name = CString::new($name).unwrap();
        // SAFETY: both are C strings; the library has no code that runs when it is loaded.
        let found = unsafe { dlsym(dlopen(path.as_ptr(), 2), name.as_ptr()) };
        assert!(!found.is_null(), $name);
        // SAFETY: that is the type by which `kernels.cu` declares it.
        unsafe { std::mem::transmute::<*mut c_void, $type>(found) }
    }};
}

const ITEMS: usize = 500;
const WIDTH: usize = 9;
const LATENT: usize = 7;
const LANES: u32 = 32;
const PARTS: u32 = 8;

fn numbers(n: usize) -> Vec<f32> {
    let mut random = Stream::new(4, 0);
    (0..n).map(|_| random.normal() as f32).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn indices(values: &[u32]) -> Tensor {
    Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

fn near(ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().any(|&number| number != 0.0));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} and {b}");
    }
}

/// Rows of no item, of one, of fewer than lanes and of several times as many, of which one user each is in the batch.
struct Case {
    x: Csr,
    users: Vec<u32>,
    starts: Vec<u32>,
    offsets: Vec<u32>,
}

fn case() -> Case {
    let lengths = [3usize, 0, 1, 400, 30, 131, 500];
    let rows: Vec<Vec<u32>> = lengths
        .iter()
        .map(|&n| (0..ITEMS as u32).filter(|&item| (item as usize * n) % ITEMS < n).take(n).collect())
        .collect();
    let x = Csr::from_rows(&rows, ITEMS).unwrap();
    let users = vec![6u32, 3, 1, 5, 2, 0];
    let starts = users.iter().map(|&user| x.indptr()[user as usize] as u32).collect();
    let mut offsets = vec![0];
    for &user in &users {
        offsets.push(offsets[offsets.len() - 1] + x.row(user as usize).len() as u32);
    }
    Case { x, users, starts, offsets }
}

impl Case {
    fn entries(&self, rate: f64) -> Vec<u32> {
        let op = Entries {
            kernels: Kernels::on(&Device::Cpu).unwrap(),
            users: indices(&self.users),
            starts: indices(&self.starts),
            offsets: indices(&self.offsets),
            n_entries: self.offsets[self.users.len()] as usize,
            seed: 1 << 40 | 5,
            pass: 3,
            rate,
        };
        indices(self.x.indices()).apply_op1_no_bwd(&op).unwrap().to_vec1().unwrap()
    }

    fn rows(&self, rate: f64, values: &[f32]) -> Rows {
        Rows {
            entries: indices(&self.entries(rate)),
            offsets: indices(&self.offsets),
            values: tensor(values, &[values.len()]),
            n_rows: self.users.len(),
        }
    }
}

#[test]
fn entries_and_normals_are_those_of_the_host() {
    let case = case();
    let kernel = kernel!(
        "entries",
        extern "C" fn(u64, *mut u32, *const u32, *const u32, *const u32, *const u32, u64, u64, u32, u32)
    );
    for rate in [0.0, 0.5] {
        let ours = case.entries(rate);
        let mut out = vec![7; ours.len()];
        let rounds = case.users.len() as u64 * u64::from(LANES);
        let (items, users, starts, offsets) = (case.x.indices(), &case.users, &case.starts, &case.offsets);
        let (seed, stream) = (1 << 40 | 5, stream(Purpose::Dropout, 3));
        let (items, users, starts) = (items.as_ptr(), users.as_ptr(), starts.as_ptr());
        kernel(rounds, out.as_mut_ptr(), items, users, starts, offsets.as_ptr(), seed, stream, bar(rate), LANES);
        assert_eq!(out, ours);
        assert_eq!(ours.contains(&ABSENT), rate > 0.0);
    }
    let kernel = kernel!("normals", extern "C" fn(u64, *mut f32, *const u32, u64, u64, u32, u32));
    let op = Normals::<f32> {
        kernels: Kernels::on(&Device::Cpu).unwrap(),
        latent_dim: LATENT,
        seed: 9,
        pass: 2,
        of: PhantomData,
    };
    let ours: Vec<f32> = indices(&case.users).apply_op1_no_bwd(&op).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let mut out = vec![f32::NAN; ours.len()];
    let pairs = LATENT.div_ceil(2) as u32;
    let rounds = case.users.len() as u64 * u64::from(pairs);
    kernel(rounds, out.as_mut_ptr(), case.users.as_ptr(), 9, stream(Purpose::Latent, 2), LATENT as u32, pairs);
    near(&out, &ours, 1e-6);
}

#[test]
fn the_input_layer_and_its_dense_rows_are_those_of_the_host() {
    let case = case();
    let n = case.users.len();
    let (weight, values) = (numbers(ITEMS * WIDTH), numbers(n));
    let rows = case.rows(0.5, &values);
    let entries = case.entries(0.5);
    let var = candle_core::Var::from_tensor(&tensor(&weight, &[ITEMS, WIDTH])).unwrap();
    let op = InputSums::<f32> { kernels: Kernels::on(&Device::Cpu).unwrap(), rows, of: PhantomData };
    let result = var.apply_op1(op).unwrap();
    let ours: Vec<f32> = result.flatten_all().unwrap().to_vec1().unwrap();
    let parts_of = kernel!("input_parts", extern "C" fn(u64, *mut f32, *const f32, *const u32, *const u32, u32, u32));
    let sums_of = kernel!("input_sums", extern "C" fn(u64, *mut f32, *const f32, *const f32, u32, u32));
    let mut parts = vec![f32::NAN; n * PARTS as usize * WIDTH];
    let (rounds, width) = (parts.len() as u64, WIDTH as u32);
    parts_of(rounds, parts.as_mut_ptr(), weight.as_ptr(), entries.as_ptr(), case.offsets.as_ptr(), width, PARTS);
    let mut out = vec![f32::NAN; n * WIDTH];
    sums_of(out.len() as u64, out.as_mut_ptr(), parts.as_ptr(), values.as_ptr(), width, PARTS);
    near(&out, &ours, 1e-4);
    // The gradient is the dense rows times what is above: ones.
    let kernel = kernel!("dense", extern "C" fn(u64, *mut f32, *const u32, *const u32, *const f32, u32, u32));
    let mut dense = vec![0f32; n * ITEMS];
    let rounds = n as u64 * u64::from(LANES);
    let (entries, offsets) = (entries.as_ptr(), case.offsets.as_ptr());
    kernel(rounds, dense.as_mut_ptr(), entries, offsets, values.as_ptr(), ITEMS as u32, LANES);
    let gradients = result.sum_all().unwrap().backward().unwrap();
    let gradient: Vec<f32> = gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let by_item: Vec<f32> = (0..ITEMS)
        .flat_map(|item| {
            let sum: f32 = (0..n).map(|row| dense[row * ITEMS + item]).sum();
            [sum; WIDTH]
        })
        .collect();
    near(&by_item, &gradient, 1e-5);
}

#[test]
fn the_log_likelihood_and_its_gradient_are_those_of_the_host() {
    let case = case();
    let n = case.users.len();
    let (logits, log_sums) = (numbers(n * ITEMS), vec![6.5f32; n]);
    let counts: Vec<f32> = case.offsets.windows(2).map(|pair| (pair[1] - pair[0]) as f32).collect();
    let entries = case.entries(0.0);
    let var = candle_core::Var::from_tensor(&tensor(&logits, &[n, ITEMS])).unwrap();
    let op = LogLikelihood::<f32> {
        kernels: Kernels::on(&Device::Cpu).unwrap(),
        rows: case.rows(0.0, &counts),
        log_sums: tensor(&log_sums, &[n]),
        of: PhantomData,
    };
    let result = var.apply_op1(op).unwrap();
    let ours: Vec<f32> = result.to_vec1().unwrap();
    let own = kernel!("own_logits", extern "C" fn(u64, *mut f32, *const f32, *const u32, *const u32, u32, u32));
    let sums = kernel!("log_likelihoods", extern "C" fn(u64, *mut f32, *const f32, *const f32, *const f32, u32));
    let (items, rounds) = (ITEMS as u32, n as u64 * u64::from(LANES));
    let mut lanes = vec![f32::NAN; rounds as usize];
    own(rounds, lanes.as_mut_ptr(), logits.as_ptr(), entries.as_ptr(), case.offsets.as_ptr(), items, LANES);
    let mut out = vec![f32::NAN; n];
    sums(n as u64, out.as_mut_ptr(), lanes.as_ptr(), counts.as_ptr(), log_sums.as_ptr(), LANES);
    near(&out, &ours, 1e-5);

    let softmax =
        kernel!("softmax_gradient", extern "C" fn(u64, *mut f32, *const f32, *const f32, *const f32, *const f32, u32));
    let own = kernel!("own_gradient", extern "C" fn(u64, *mut f32, *const f32, *const u32, *const u32, u32, u32));
    let slopes = numbers(n);
    let loss = (result * tensor(&slopes, &[n])).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let ours: Vec<f32> = gradients.get(&var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let mut out = vec![f32::NAN; n * ITEMS];
    let (sums, slopes, counts) = (log_sums.as_ptr(), slopes.as_ptr(), counts.as_ptr());
    softmax(out.len() as u64, out.as_mut_ptr(), logits.as_ptr(), sums, slopes, counts, items);
    own(rounds, out.as_mut_ptr(), slopes, entries.as_ptr(), case.offsets.as_ptr(), items, LANES);
    near(&out, &ours, 1e-5);
}

#[test]
fn adam_is_that_of_the_host() {
    let n = 100;
    let all = numbers(4 * n);
    let [gradient, value, first] = [0, 1, 2].map(|part| all[part * n..][..n].to_vec());
    let second: Vec<f32> = all[3 * n..].iter().map(|number| number * number).collect();
    let (pull, share, keep, rate, scale, epsilon) = (0.02f32, 0.1f32, 0.999f32, 0.01f32, 0.3f32, 1e-8f32);
    let by_host = |update, out: &[f32], one: &[f32], other: &[f32]| -> Vec<f32> {
        let out = tensor(out, &[n]);
        let op = Adam::<f32> { kernels: Kernels::on(&Device::Cpu).unwrap(), update, of: PhantomData };
        out.inplace_op3(&tensor(one, &[n]), &tensor(other, &[n]), &op).unwrap();
        out.to_vec1().unwrap()
    };
    let wide = |number: f32| f64::from(number);
    let (rounds, slope, from) = (n as u64, gradient.as_ptr(), value.as_ptr());

    let ours = by_host(Update::First { pull: wide(pull), share: wide(share) }, &first, &gradient, &value);
    let kernel = kernel!("adam_first", extern "C" fn(u64, *mut f32, *const f32, *const f32, f32, f32));
    let mut out = first.clone();
    kernel(rounds, out.as_mut_ptr(), slope, from, pull, share);
    near(&out, &ours, 1e-6);

    let update = Update::Second { pull: wide(pull), keep: wide(keep), share: wide(share) };
    let ours = by_host(update, &second, &gradient, &value);
    let kernel = kernel!("adam_second", extern "C" fn(u64, *mut f32, *const f32, *const f32, f32, f32, f32));
    let mut out = second.clone();
    kernel(rounds, out.as_mut_ptr(), slope, from, pull, keep, share);
    near(&out, &ours, 1e-6);

    let update = Update::Value { rate: wide(rate), scale: wide(scale), epsilon: wide(epsilon) };
    let ours = by_host(update, &value, &first, &second);
    let kernel = kernel!("adam_value", extern "C" fn(u64, *mut f32, *const f32, *const f32, f32, f32, f32));
    let mut out = value.clone();
    kernel(rounds, out.as_mut_ptr(), first.as_ptr(), second.as_ptr(), rate, scale, epsilon);
    near(&out, &ours, 1e-5);
}
