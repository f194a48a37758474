//! The targets under libFuzzer; `RECVAE_FUZZ` names the one that runs. See `run.mjs`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use recvae_fuzz::{ALL, Bounded, Random, Target, mutate};

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    static TARGETS: [Target; ALL.len()] = ALL;
    let name = std::env::var("RECVAE_FUZZ").expect("RECVAE_FUZZ names a target");
    TARGETS.iter().find(|target| target.name == name).expect("RECVAE_FUZZ names a target")
});

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| TARGET.seeds());

fuzz_target!(|data: &[u8]| TARGET.run(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::new(u64::from(seed));
    // libFuzzer's own changes know what the code compares with.
    let size = if random.below(2) == 0 { fuzzer_mutate(data, size, max_size) } else { size };
    let mut input = data[..size].to_vec();
    let other = &SEEDS[random.below(SEEDS.len())];
    mutate(&TARGET, &mut input, other, &mut random);
    let size = input.len().min(max_size).min(TARGET.longest());
    data[..size].copy_from_slice(&input[..size]);
    size
});
