//! Some thousand mutants of every target; `RECVAE_FUZZ_RUNS` says how many.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use recvae_core::{CompactOptions, ExportFormat, FitRun, ModelKind, Options, Recommender};
use recvae_fuzz::{ALL, Bounded, Random, mutate};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

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

/// Small weights come from the models among the seeds.
#[test]
#[ignore = "writes the seeds of weights and of archives"]
fn write_seeds_of_others() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for folder in ["weights", "archive"] {
        std::fs::create_dir_all(seeds.join(folder)).unwrap();
    }
    for name in ["mult-vae", "recvae"] {
        let file = std::fs::read(seeds.join(format!("model/{name}.safetensors"))).unwrap();
        let model = Recommender::from_bytes(&file).unwrap();
        for (end, format) in [("safetensors", ExportFormat::Safetensors), ("npz", ExportFormat::Npz)] {
            model.export(seeds.join(format!("weights/{name}.{end}")), format).unwrap();
        }
    }
    for (name, method) in [("stored", CompressionMethod::Stored), ("deflated", CompressionMethod::Deflated)] {
        for is_zip64 in [false, true] {
            let path = seeds.join(format!("archive/{name}{}.zip", if is_zip64 { "-64" } else { "" }));
            let mut archive = ZipWriter::new(std::fs::File::create(path).unwrap());
            let options = SimpleFileOptions::default().compression_method(method).large_file(is_zip64);
            for (member, text) in [("a/readme", "two files".into()), ("a/ratings.csv", "user,item\na,b\n".repeat(20))] {
                archive.start_file(member, options).unwrap();
                archive.write_all(text.as_bytes()).unwrap();
            }
            archive.finish().unwrap();
        }
    }
}

#[test]
#[ignore = "writes the seeds of models"]
fn write_seeds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/model");
    let train = recvae_core::Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1, 2], &[3]], 4).unwrap();
    let ids = || ["a", "b", "ç", "dd"].into_iter().collect();
    for &kind in ModelKind::TRAINED {
        let options = match kind {
            ModelKind::MultDae => json!({ "latentDim": 2, "epochs": 1 }),
            ModelKind::MultVae | ModelKind::RecVae => json!({ "hiddenDim": 3, "latentDim": 2, "epochs": 1 }),
            _ => json!({}),
        };
        let model = kind.fit(&options, &train, None, &FitRun::default()).unwrap().model;
        let model = Recommender::new(model, ids(), Value::Null).unwrap();
        model.save(folder.join(format!("{}.safetensors", kind.name()))).unwrap();
        if kind == ModelKind::Ease {
            for (name, options) in [
                ("sparse", json!({ "topPerItem": 2 })),
                ("half", json!({ "precision": "f16" })),
                ("both", json!({ "topPerItem": 2, "precision": "f16" })),
            ] {
                let compact = model.compact(&CompactOptions::from_json(&options).unwrap()).unwrap();
                compact.save(folder.join(format!("ease-{name}.safetensors"))).unwrap();
            }
        }
    }
}
