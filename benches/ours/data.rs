//! What is measured on: made-up data, a file, or the training users of a folder in the official layout.

use recvae_core::{
    Csr, Interactions, Like, ReadOptions, SynthOptions, Thresholds, debian, read_interactions, read_official, synth,
};

use crate::{Options, Outcome};

/// `--csv FILE`, `--like debian`, which is built in, or `--like SET --scale S --seed N` made up in memory.
pub(crate) fn interactions(options: &mut Options) -> Outcome<Interactions> {
    if let Some(file) = options.text("csv") {
        return Ok(read_interactions(file, &ReadOptions::default(), &Thresholds::default())?);
    }
    let like = match options.text("like").as_deref() {
        Some("ml-20m") => Like::Ml20m,
        Some("netflix") => Like::Netflix,
        Some("msd") => Like::Msd,
        Some("debian") => return Ok(debian()?),
        other => {
            return Err(
                format!("--like is {other:?}; allowed: ml-20m, netflix, msd, debian, or --csv or --folder").into()
            );
        }
    };
    Ok(synth(&SynthOptions { like, scale: options.number("scale", 0.1)?, seed: options.number("seed", 1)? })?)
}

/// As [`interactions`], or `--folder DIR`; `--users N` and `--items N` keep the first rows and columns, and users who are
/// left without items go.
pub(crate) fn matrix(options: &mut Options) -> Outcome<Csr> {
    // A copy, so that the ids can go: they are no part of what is measured.
    let whole = match options.text("folder") {
        Some(folder) => read_official(folder)?.train.matrix().clone(),
        None => interactions(options)?.matrix().clone(),
    };
    let users = options.number("users", whole.n_rows())?;
    let items = options.number("items", whole.n_cols())?;
    if users > whole.n_rows() || items > whole.n_cols() {
        let allowed = format!("at most {} users and {} items", whole.n_rows(), whole.n_cols());
        return Err(format!("{users} users and {items} items are wanted; allowed: {allowed}").into());
    }
    if items == whole.n_cols() && users == whole.n_rows() {
        return Ok(whole);
    }
    let cut = |row: &[u32]| row[..row.partition_point(|&item| (item as usize) < items)].to_vec();
    let rows = whole.rows().take(users).map(cut).filter(|row| !row.is_empty());
    Ok(Csr::from_rows(rows, items)?)
}
