//! Kernels by criterion, at the sizes at which training and fitting call them.
//!
//! `cargo bench -p recvae-core --features bench --bench kernels -- [FILTER]`. Data are made up with seed 1 outside the timer.
//! All but the selection of a list run on a pool of two threads, as a fit does.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recvae_core::bench::{Adam, DenseEncoder, ItemLayers, gram, invert};
use recvae_core::ndarray::Array2;
use recvae_core::{Csr, Like, Stream, SynthOptions, Threads, synth, top_k};

static POOL: LazyLock<Threads> = LazyLock::new(|| Threads::new(Some(2)).expect("the system can start two threads"));

/// Batches of a training step, with the reason for each.
const BATCHES: [Shape; 4] = [
    // The shape that the comparison is about: 73 items for each user.
    Shape { like: Like::Ml20m, items: 20_720, users: 500 },
    // The most items, and few for each user: weights and their updates outweigh what the users bring.
    Shape { like: Like::Msd, items: 41_140, users: 500 },
    // MovieLens-1M's number of items: tiles of items are few, so what does not grow with items shows.
    Shape { like: Like::Ml20m, items: 3_502, users: 500 },
    // The last batch of a pass: less than a tile of users.
    Shape { like: Like::Ml20m, items: 20_720, users: 37 },
];

/// Items of a Gram matrix and its inverse: 4 MB and 64 MB a matrix, which is within and beyond the caches, and one that is no
/// multiple of any block.
const SQUARES: [usize; 3] = [1_000, 2_501, 4_000];

/// Length of a score row and of the list out of it.
const LISTS: [(usize, usize); 4] = [
    // What the papers evaluate.
    (20_720, 100),
    // The same on the largest catalogue.
    (41_140, 100),
    // What a shop shows.
    (20_720, 10),
    // A list that is most of the catalogue: selection has little to leave out.
    (3_502, 2_000),
];

/// Numbers that Adam updates at once: within a core's second-level cache with its moments, the dense layers of RecVAE, the
/// input layer at ML-20M shape.
const PARAMETERS: [usize; 3] = [1 << 16, 1_688_800, 20_720 * 600];

#[derive(Clone, Copy)]
struct Shape {
    like: Like,
    items: usize,
    users: usize,
}

impl Shape {
    fn id(self, kernel: &str) -> BenchmarkId {
        BenchmarkId::new(kernel, format!("{:?},items={},users={}", self.like, self.items, self.users))
    }
}

/// The first items of the first users of a made-up set.
fn cut(like: Like, items: usize, users: usize) -> Csr {
    let data = synth(&SynthOptions { like, scale: 0.01, seed: 1 }).expect("the options are in range");
    let within = |row: &[u32]| row[..row.partition_point(|&item| (item as usize) < items)].to_vec();
    Csr::from_rows(data.matrix().rows().take(users).map(within), items).expect("the rows are those of a matrix")
}

fn on<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    POOL.install(work)
}

fn ease(c: &mut Criterion) {
    let mut group = c.benchmark_group("ease");
    for n in SQUARES {
        let x = cut(Like::Ml20m, n, usize::MAX);
        let parameters = format!("items={n},users={},interactions={}", x.n_rows(), x.nnz());
        group.bench_function(BenchmarkId::new("gram", parameters), |b| b.iter(|| on(|| gram(black_box(&x))[0])));
        let mut matrix = Array2::from_shape_vec((n, n), gram(&x).to_vec()).expect("it is square");
        matrix.diag_mut().iter_mut().for_each(|entry| *entry += 500.0);
        group.bench_function(BenchmarkId::new("invert", format!("items={n}")), |b| {
            b.iter_batched_ref(|| matrix.clone(), |matrix| on(|| invert(matrix.view_mut())), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn item_layers(c: &mut Criterion) {
    let mut group = c.benchmark_group("item-layers");
    for shape in BATCHES {
        let mut layers = on(|| ItemLayers::new(cut(shape.like, shape.items, shape.users)));
        group.throughput(Throughput::Elements(shape.users as u64));
        let mut bench = |kernel: &str, run: fn(&mut ItemLayers)| {
            group.bench_function(shape.id(kernel), |b| b.iter(|| on(|| run(black_box(&mut layers)))));
        };
        bench("input-forward", ItemLayers::input_forward);
        bench("input-step", ItemLayers::input_step);
        // The loss alone, with the way back to the encoder, and as the decoder's own step takes it.
        bench("likelihood-forward", |layers| layers.log_likelihood(false, false));
        bench("likelihood-backward", |layers| layers.log_likelihood(true, false));
        bench("likelihood-keep", |layers| layers.log_likelihood(false, true));
        // The logits that it needs are those that were kept.
        bench("output-step", ItemLayers::output_step);
    }
    group.finish();
}

fn dense_encoder(c: &mut Criterion) {
    let mut group = c.benchmark_group("dense-encoder");
    // A full batch, and less than a tile.
    for users in [500, 37] {
        let mut encoder = DenseEncoder::new(users);
        group.throughput(Throughput::Elements(users as u64));
        let id = |kernel: &str| BenchmarkId::new(kernel, format!("users={users}"));
        group.bench_function(id("forward"), |b| b.iter(|| on(|| black_box(&encoder).forward())));
        group.bench_function(id("forward-and-backward"), |b| b.iter(|| on(|| encoder.forward_and_backward())));
    }
    group.finish();
}

fn adam(c: &mut Criterion) {
    let mut group = c.benchmark_group("adam");
    for n in PARAMETERS {
        let mut adam = Adam::new(n);
        group.throughput(Throughput::Elements(n as u64));
        let id = BenchmarkId::new("step", format!("parameters={n}"));
        group.bench_function(id, |b| b.iter(|| on(|| black_box(&mut adam).step())));
    }
    group.finish();
}

fn lists(c: &mut Criterion) {
    let mut group = c.benchmark_group("top-k");
    for (items, k) in LISTS {
        let mut random = Stream::new(1, 0);
        let scores: Vec<f32> = (0..items).map(|_| random.uniform() as f32).collect();
        // Every 300th item is seen: 69 of ML-20M's.
        let seen: Vec<u32> = (0..items as u32).step_by(300).collect();
        let id = BenchmarkId::new("select", format!("items={items},k={k}"));
        group.bench_function(id, |b| b.iter(|| top_k(black_box(&scores), &seen, k)));
    }
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = ease, item_layers, dense_encoder, adam, lists
}
criterion_main!(kernels);
