//! Tells the tests whether the shared reference data are there, so that those which need them are reported as ignored
//! where they are not. The library does not depend on it.
//!
//! With the feature `cuda`: nvcc compiles the kernels to machine code. `npm run build:cuda` has the compiler and the
//! environment.

use std::path::{Path, PathBuf};
use std::process::Command;

const KERNELS: &str = "src/nn/candle/kernels.cu";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(shared)");
    println!("cargo::rerun-if-env-changed=RECVAE_SHARED");
    println!("cargo::rerun-if-changed=build.rs");
    let named = std::env::var_os("RECVAE_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared"));
    if let Some(folder) = named.into_iter().chain(above).find(|folder| folder.join("reference").is_dir()) {
        println!("cargo::rerun-if-changed={}", folder.join("reference").display());
        println!("cargo::rustc-cfg=shared");
    }
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_kernels();
    }
}

fn compile_kernels() {
    println!("cargo::rerun-if-changed={KERNELS}");
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    let out = std::env::var("OUT_DIR").expect("cargo names a folder");
    let nvcc = std::env::var("CUDA_HOME").map_or("nvcc".into(), |home| format!("{home}/bin/nvcc"));
    let image = format!("{out}/kernels.fatbin");
    // Machine code for the data centre's GPUs of the generations Ampere and Hopper, and text of which a driver makes
    // that of all others from Ampere on.
    let targets = ["compute_80,code=sm_80", "compute_90,code=sm_90", "compute_80,code=compute_80"];
    let targets = targets.iter().flat_map(|target| ["-gencode".to_owned(), format!("arch={target}")]);
    let mut command = Command::new(nvcc);
    let status = command.args(["-O3", "-fatbin", "-o", &image, KERNELS]).args(targets).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{command:?} failed: {status:?}");
}
