//! Some thousand mutants of every target; `RECVAE_FUZZ_RUNS` says how many.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use recvae_core::Recommender;
use recvae_fuzz::{ALL, Bounded, Random, mutate};

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// A small input that takes longer, twice, hangs: one takes milliseconds, and the machine may stall once.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn mutants_are_read_or_refused() {
    let runs: usize = std::env::var("RECVAE_FUZZ_RUNS").map_or(4000, |text| text.parse().unwrap());
    for target in &ALL {
        let seeds = target.seeds();
        seeds.iter().for_each(|seed| target.run(seed));
        let mut random = Random::new(1);
        let started = Instant::now();
        for run in 0..runs {
            let (seed, other) = (&seeds[random.below(seeds.len())], &seeds[random.below(seeds.len())]);
            let mut input = seed.clone();
            mutate(target, &mut input, other, &mut random);
            let start = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| target.run(&input)));
            let text = String::from_utf8_lossy(&input);
            assert!(result.is_ok(), "{} at run {run}: {input:?} ({text})", target.name);
            if start.elapsed() > PATIENCE {
                let again = Instant::now();
                target.run(&input);
                assert!(again.elapsed() < PATIENCE, "{} at run {run} takes {:?}: {text}", target.name, again.elapsed());
            }
        }
        println!("{}: {:.0} inputs a second", target.name, runs as f64 / started.elapsed().as_secs_f64());
    }
}

/// Mutants must not all end at the first check.
#[test]
fn many_mutants_of_models_get_past_the_checksums() {
    let target = ALL.iter().find(|target| target.name == "model").unwrap();
    let (seeds, mut random) = (target.seeds(), Random::new(2));
    let mut counts = [0; 3];
    for _ in 0..6000 {
        let mut input = seeds[random.below(seeds.len())].clone();
        mutate(target, &mut input, &seeds[0], &mut random);
        counts[match Recommender::from_bytes(&input) {
            Ok(_) => 0,
            Err(error) if error.to_string().contains("it was altered") => 1,
            Err(_) => 2,
        }] += 1;
    }
    let [loaded, altered, others] = counts;
    assert!(loaded > 100 && altered > 50 && others > 500, "{counts:?}");
}
