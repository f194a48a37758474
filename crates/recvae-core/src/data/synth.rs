//! Made-up interactions as large as the sets of the papers, for measuring speed and memory.
//!
//! **Accuracy on them means nothing.** The data follow a recipe with a handful of constants, set by hand so that
//! activity and popularity are roughly as uneven as in real sets; nothing was fitted to real users. That EASE^R beats
//! popularity on them says that there is something to learn and that a pipeline works, not how good a model is. Never
//! report a metric on them, and never choose a model or an option by them.
//!
//! | like | users | items | interactions |
//! | --- | --- | --- | --- |
//! | `ml-20m` | 136,677 | 20,720 | 9,990,682 |
//! | `netflix` | 463,435 | 17,769 | 56,880,037 |
//! | `msd` | 571,355 | 41,140 | 33,633,450 |
//! | `million` | 1,000,000 | 200,000 | 20,000,000 |
//!
//! `million` is no set of a paper but a shop: more items than a matrix of items x items fits for, half of them with
//! some ten users. The sizes are exact, pairs are distinct, every user has at least 5 items and every item at least one
//! user. `scale`, from 0.01 to 1, multiplies users and interactions (rounded to the nearest number) and leaves the
//! items: what training costs per epoch grows with users and interactions, what a batch, a list or EASE^R's matrix
//! costs depends on the items, so a scaled set is a shorter run of the same work. Interactions per user stay what they
//! are; those per item shrink.
//!
//! Ids are `u0`, `u1`, ... and `i0`, `i1`, ...; [`write_synth`] lists users in this order and each one's items
//! ascending. [`synth()`] gives what reading that file gives, column order included. How the data are drawn is said in
//! the module `population`. The same seed gives the same data for any number of threads; the logarithm, exponential and
//! power are the platform's, so between platforms a few users' numbers of items may differ.
//!
//! Source of the sizes: D. Liang, R. G. Krishnan, M. D. Hoffman, T. Jebara, Variational Autoencoders for Collaborative
//! Filtering, WWW 2018, arXiv 1802.05814, section 4.1, counted after filtering and before the split. (Items that no
//! training user has are still there, so `ml-20m` has more of them than table 1.)

mod population;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;

use crate::base::atomic_file::write_whole;
use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::options::{Options, choice, options};
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::math::csr::Csr;
use population::{Population, Shape};

choice! {
    /// The set whose size is taken.
    pub enum Like {
        /// MovieLens-20M with ratings from 4 on.
        Ml20m = "ml-20m",
        /// The Netflix Prize with ratings from 4 on.
        Netflix = "netflix",
        /// The Million Song Dataset's listeners.
        Msd = "msd",
        /// No set of a paper: a million users of 200,000 items, most of which few have.
        Million = "million",
    }
}

options! {
    /// What made-up set is wanted. It is for measuring speed and memory; accuracy on it means nothing.
    pub struct SynthOptions for "synth" {
        /// The set whose numbers of users, items and interactions are taken.
        like: Like = Like::Ml20m, Any;
        /// Factor for users and interactions; the items stay.
        scale: f64 = 1.0, Between(0.01, 1.0);
        /// Start of the random numbers; the same seed gives the same data.
        seed: u64 = 0, Any;
    }
}

impl SynthOptions {
    fn shape(&self) -> Shape {
        let ([n_users, n_items, n_interactions], [activity_spread, popularity_exponent, popularity_shift]) =
            match self.like {
                Like::Ml20m => ([136_677, 20_720, 9_990_682], [1.2, 1.8, 150.0]),
                Like::Netflix => ([463_435, 17_769, 56_880_037], [1.2, 1.9, 300.0]),
                Like::Msd => ([571_355, 41_140, 33_633_450], [0.9, 1.2, 500.0]),
                Like::Million => ([1_000_000, 200_000, 20_000_000], [1.0, 1.2, 100.0]),
            };
        let scaled = |n: usize| (n as f64 * self.scale).round() as usize;
        Shape {
            n_users: scaled(n_users),
            n_items,
            n_interactions: scaled(n_interactions),
            activity_spread,
            popularity_exponent,
            popularity_shift,
        }
    }
}

/// How much of a file is written, and at the end what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthProgress {
    /// Users written so far, each with all items.
    pub users: usize,
    /// How many there will be.
    pub n_users: usize,
    /// How many items there will be.
    pub n_items: usize,
    /// Interactions written so far.
    pub interactions: usize,
    /// How many there will be.
    pub n_interactions: usize,
}

/// Users that are generated, formatted and compressed together.
const BLOCK: usize = 1024;

/// Makes up interactions in memory. Accuracy on them means nothing, see the text of the module.
///
/// # Errors
/// `INVALID_ARGUMENT` if an option is out of range.
pub fn synth(options: &SynthOptions) -> Result<Interactions> {
    synth_until(options, &Cancel::default())
}

/// The same unless it is stopped, within a user.
///
/// # Errors
/// As [`synth()`], and `CANCELLED`.
pub fn synth_until(options: &SynthOptions, cancel: &Cancel) -> Result<Interactions> {
    generate(&population(options)?, cancel)
}

/// Writes made-up interactions to a CSV file with the columns `user` and `item`: whole, or not at all, in memory that
/// does not grow with their number. Accuracy on them means nothing, see the text of the module.
///
/// A name in `.csv.gz` gives a compressed file, of many gzip members. `on_progress` is called every few thousand users,
/// from the thread that writes, and `cancel` is looked at then. Returns the last progress.
///
/// # Errors
/// `INVALID_ARGUMENT` if an option is out of range or the name ends in neither `.csv` nor `.csv.gz`. `IO` if the
/// operating system refuses. `CANCELLED`.
pub fn write_synth(
    options: &SynthOptions,
    path: impl AsRef<Path>,
    on_progress: &(dyn Fn(&SynthProgress) + Sync),
    cancel: &Cancel,
) -> Result<SynthProgress> {
    let path = path.as_ref();
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let gz = name.ends_with(".csv.gz");
    if !gz && !name.ends_with(".csv") {
        return Err(Error::invalid_argument("out", format!("'{}'", path.display()), "a name in .csv or .csv.gz"));
    }
    let population = population(options)?;
    let mut done = None;
    write_whole(path, |temporary| {
        let mut file = File::create(temporary).map_err(|e| Error::io("write", path, e))?;
        let written = write(&population, &mut file, gz, on_progress, cancel);
        cancel.check()?;
        done = Some(written.map_err(|e| Error::io("write", path, e))?);
        Ok(())
    })?;
    done.ok_or_else(|| Error::Internal("nothing was written".into()))
}

fn population(options: &SynthOptions) -> Result<Population> {
    // Options that were not read from JSON have not been checked yet.
    let options = options.checked()?;
    Population::new(&options.shape(), options.seed)
}

/// The matrix, with the columns in the order in which a reader of the file would meet the items.
fn generate(population: &Population, cancel: &Cancel) -> Result<Interactions> {
    let starts = population.starts();
    let (n_users, n_items) = (starts.len() - 1, population.n_items());
    let mut indices = vec![0u32; starts[n_users]];
    rows(&mut indices, starts).into_par_iter().enumerate().with_min_len(BLOCK).try_for_each_init(
        || population.scratch(),
        |scratch, (user, row)| {
            population.fill(user, scratch, row);
            cancel.check()
        },
    )?;

    let mut column = vec![u32::MAX; n_items];
    let mut items = Ids::new();
    for &item in &indices {
        if items.len() == n_items {
            break;
        }
        if column[item as usize] == u32::MAX {
            column[item as usize] = items.insert(&format!("i{item}"));
        }
    }
    rows(&mut indices, starts).into_par_iter().with_min_len(BLOCK).for_each(|row| {
        row.iter_mut().for_each(|item| *item = column[*item as usize]);
        row.sort_unstable();
    });
    let users = (0..n_users).map(|user| format!("u{user}")).collect();
    Interactions::new(users, items, Csr::new(starts.to_vec(), indices, n_items)?)
}

/// The rows of a matrix, to be filled apart from each other.
fn rows<'a>(mut indices: &'a mut [u32], starts: &[usize]) -> Vec<&'a mut [u32]> {
    starts
        .windows(2)
        .map(|bounds| {
            let (row, rest) = std::mem::take(&mut indices).split_at_mut(bounds[1] - bounds[0]);
            indices = rest;
            row
        })
        .collect()
}

/// Streams the file: a few blocks per thread are made at once and written in order. When it is stopped, what it gives
/// back means nothing.
fn write(
    population: &Population,
    output: &mut impl Write,
    gz: bool,
    on_progress: &(dyn Fn(&SynthProgress) + Sync),
    cancel: &Cancel,
) -> io::Result<SynthProgress> {
    let starts = population.starts();
    let (n_users, n_items) = (starts.len() - 1, population.n_items());
    let mut progress = SynthProgress { users: 0, n_users, n_items, interactions: 0, n_interactions: starts[n_users] };
    let endings: Vec<String> = (0..n_items).map(|item| format!(",i{item}\n")).collect();
    let blocks: Vec<usize> = (0..n_users).step_by(BLOCK).collect();
    for blocks in blocks.chunks(4 * rayon::current_num_threads()) {
        if cancel.is_cancelled() {
            break;
        }
        let texts: Vec<Vec<u8>> = blocks
            .par_iter()
            .map_init(
                || population.scratch(),
                |scratch, &first| {
                    let header = if first == 0 { "user,item\n" } else { "" };
                    let mut text = header.as_bytes().to_vec();
                    let mut items = Vec::new();
                    for user in first..n_users.min(first + BLOCK) {
                        items.resize(starts[user + 1] - starts[user], 0);
                        population.fill(user, scratch, &mut items);
                        let id = format!("u{user}");
                        for &item in &items {
                            text.extend_from_slice(id.as_bytes());
                            text.extend_from_slice(endings[item as usize].as_bytes());
                        }
                    }
                    if gz { compress(&text) } else { Ok(text) }
                },
            )
            .collect::<io::Result<_>>()?;
        for text in texts {
            output.write_all(&text)?;
        }
        progress.users = n_users.min(blocks[blocks.len() - 1] + BLOCK);
        progress.interactions = starts[progress.users];
        on_progress(&progress);
    }
    output.flush()?;
    Ok(progress)
}

/// A gzip member.
fn compress(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::evaluation::evaluate;
    use crate::evaluate::metrics::Metric;
    use crate::model::ModelKind;
    use crate::split::options::SplitOptions;
    use crate::split::strong::split;
    use crate::train::run::FitRun;

    /// `ml-20m` with fewer of everything, so that EASE^R takes a second. The head of the popularity is flatter, since a
    /// list of 100 is a twentieth of so few items and would hold most of it.
    fn small() -> Population {
        let shape = Shape {
            n_users: 6000,
            n_items: 2000,
            n_interactions: 240_000,
            popularity_shift: 40.0,
            ..SynthOptions::default().shape()
        };
        Population::new(&shape, 5).unwrap()
    }

    #[test]
    fn there_is_something_to_learn() {
        let data = generate(&small(), &Cancel::default()).unwrap();
        let parts = split(&data, &SplitOptions::default()).unwrap();
        let ndcg = |kind: ModelKind| {
            let fit = kind.fit(&serde_json::json!({}), parts.train.matrix(), None, &FitRun::default()).unwrap();
            evaluate(&*fit.model, &parts.test, &[Metric::Ndcg(100)]).unwrap().metrics[0].mean
        };
        let (popularity, ease) = (ndcg(ModelKind::Popularity), ndcg(ModelKind::Ease));
        assert!(ease > 1.3 * popularity, "NDCG@100 {ease} of EASE^R, {popularity} of popularity");
        assert!(ease < 0.9, "NDCG@100 {ease} of EASE^R is too good for anything but a bug");
    }

    #[test]
    fn the_whole_of_ml_20m_adds_up() {
        let population = population(&SynthOptions::default()).unwrap();
        let starts = population.starts();
        assert_eq!((starts.len() - 1, population.n_items(), starts[136_677]), (136_677, 20_720, 9_990_682));
        let mut activities: Vec<usize> = starts.windows(2).map(|bounds| bounds[1] - bounds[0]).collect();
        activities.sort_unstable();
        let (least, median, most) = (activities[0], activities[68_338], activities[136_676]);
        assert!((5..=10).contains(&least), "{least}");
        assert!((25..55).contains(&median), "{median}");
        assert!((1000..=5180).contains(&most), "{most}");
        // Any user can be made without the others.
        for user in [0, 70_000, 136_676] {
            let mut items = vec![0; starts[user + 1] - starts[user]];
            population.fill(user, &mut population.scratch(), &mut items);
            assert!(items.is_sorted_by(|a, b| a < b) && items[items.len() - 1] < 20_720);
        }
    }
}
