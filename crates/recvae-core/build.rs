//! Tells the tests whether the shared reference data are there, so that those which need them are reported as ignored where
//! they are not. The library does not depend on it.

use std::path::{Path, PathBuf};

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
}
