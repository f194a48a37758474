//! Writes seeds, where it is asked to (`cargo test -p recvae-fuzz --test seeds -- --ignored`).
//!
//! With the system's own allocator: who trains a model may take more at once than a small input needs. A product of
//! faer packs into as much as the processor's caches hold.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use recvae_core::{CompactOptions, ExportFormat, FitRun, ModelKind, Options, Recommender};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

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
    // None of iALS: where a history is folded in, faer packs into as much as the processor's caches hold. On processors
    // with 300 MiB of them that is more than the fuzzer's allocator gives.
    for &kind in ModelKind::TRAINED.iter().filter(|&&kind| kind != ModelKind::Als) {
        let options = match kind {
            ModelKind::MultDae => json!({ "latentDim": 2, "epochs": 1 }),
            ModelKind::MultVae | ModelKind::RecVae => json!({ "hiddenDim": 3, "latentDim": 2, "epochs": 1 }),
            // It has so many tensors that their names take most of what a seed may have.
            ModelKind::HVamp => json!({ "hiddenDim": 1, "latentDim": 1, "pseudoUsers": 2, "epochs": 1 }),
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
