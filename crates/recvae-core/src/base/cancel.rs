//! Stopping long work from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::error::{Error, Result};

/// A flag that long work looks at between its steps. Clones share it; once set it stays set.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    set: AtomicBool,
    #[cfg(test)]
    looks: tests::Looks,
}

impl Cancel {
    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.0.set.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        #[cfg(test)]
        self.0.looks.count(&self.0.set);
        self.0.set.load(Ordering::Relaxed)
    }

    /// For `?` between the steps of the work.
    ///
    /// # Errors
    /// `CANCELLED` if it was asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;

    use serde_json::{Value, json};

    use super::*;
    use crate::base::random::Stream;
    use crate::base::threads::Threads;
    use crate::data::ids::Ids;
    use crate::data::interactions::{Interactions, Thresholds};
    use crate::data::read::{ReadOptions, read_interactions_until};
    use crate::data::synth::{SynthOptions, synth_until, write_synth};
    use crate::evaluate::evaluation::evaluate;
    use crate::evaluate::lists::recommend;
    use crate::evaluate::metrics::Metric;
    use crate::math::csr::Csr;
    use crate::math::statistics::paired_bootstrap_until;
    use crate::model::ModelKind;
    use crate::serve::ease_counts::EaseCounts;
    use crate::serve::explain::ExplainOptions;
    use crate::serve::recommender::{History, RecommendOptions, Recommender};
    use crate::serve::similar::SimilarOptions;
    use crate::split::parts::HeldOut;
    use crate::train::run::FitRun;

    /// Counts how often the flag was looked at, and sets it at a chosen look.
    #[derive(Debug, Default)]
    pub(super) struct Looks {
        n: AtomicUsize,
        /// 0 for never.
        last: usize,
    }

    impl Looks {
        pub(super) fn count(&self, flag: &AtomicBool) {
            if self.n.fetch_add(1, Ordering::Relaxed) + 1 == self.last {
                flag.store(true, Ordering::Relaxed);
            }
        }
    }

    impl Cancel {
        pub(crate) fn at_look(last: usize) -> Self {
            let looks = Looks { n: AtomicUsize::new(0), last };
            Self(Arc::new(Flag { set: AtomicBool::new(false), looks }))
        }

        pub(crate) fn looks(&self) -> usize {
            self.0.looks.n.load(Ordering::Relaxed)
        }
    }

    /// Stops the work at every look of a whole run, or at some of them, and each time it has to end there: on one
    /// thread nothing looks again after it was told to stop. Gives back how many looks a whole run takes.
    fn stops_at_every_look<T>(what: &str, work: impl Fn(&Cancel) -> Result<T> + Sync + Send) -> usize
    where
        T: Send,
    {
        let one = Threads::new(Some(1)).unwrap();
        let never = Cancel::default();
        assert!(one.install(|| work(&never).is_ok()), "{what}");
        let n = never.looks();
        for look in (1..=n).step_by(1 + n / 50).chain([n]) {
            let cancel = Cancel::at_look(look);
            let stopped = one.install(|| work(&cancel));
            assert!(matches!(stopped, Err(Error::Cancelled)), "{what}: look {look} of {n}");
            // A loop over many rows may skip what is left of it, and whoever waits for it looks once more.
            assert!(cancel.looks() <= look + 8, "{what}: {} looks after look {look} of {n}", cancel.looks() - look);
        }
        n
    }

    /// Random likes, every item liked.
    fn likes(n_users: usize, n_items: usize) -> Csr {
        let mut random = Stream::new(1, 0);
        let rows: Vec<Vec<u32>> = (0..n_users)
            .map(|user| {
                let mut row: Vec<u32> = (0..8).map(|_| random.below(n_items as u64) as u32).collect();
                row.push((user % n_items) as u32);
                row.sort_unstable();
                row.dedup();
                row
            })
            .collect();
        Csr::from_rows(&rows, n_items).unwrap()
    }

    fn held_out(n_users: usize, n_items: usize) -> HeldOut {
        let ids: Ids = (0..n_users).map(|user| user.to_string()).collect();
        let target = Csr::from_rows(vec![[0u32]; n_users], n_items).unwrap();
        let input = Csr::from_rows(vec![[1u32, 2]; n_users], n_items).unwrap();
        HeldOut::new(ids, input, target).unwrap()
    }

    #[test]
    fn every_model_stops_within_a_step() {
        let (train, validation) = (likes(300, 60), held_out(600, 60));
        let small = json!({ "hiddenDim": 8, "latentDim": 4, "batchSize": 100, "epochs": 2 });
        let latent = json!({ "latentDim": 4, "batchSize": 100, "epochs": 2 });
        let vamp = json!({ "hiddenDim": 8, "latentDim": 4, "pseudoUsers": 5, "batchSize": 100, "epochs": 2 });
        let fits: [(ModelKind, &Value, usize); 8] = [
            // 60 rows of the Gram matrix, three walks of one block each, 60 rows of weights, and some more.
            (ModelKind::Ease, &json!({}), 60 + 3 + 60),
            (ModelKind::Edlae, &json!({}), 60 + 3 + 60),
            // The same 60 rows, then those of 60 items and 20 pairs for each block of users, the walks, the equations
            // of 60 items, and 80 rows of weights. A block of users takes no more than the inversion does afterwards,
            // which depends on the kernel that the processor has, so there may be another block.
            (ModelKind::HoEase, &json!({ "pairs": 20 }), 60 + 80 + 3 + 60 + 80),
            // Twice 60 rows of counts, and 60 equations.
            (ModelKind::Ease, &json!({ "density": 0.1 }), 3 * 60),
            // 3 batches an epoch, and 3 blocks of validation users.
            (ModelKind::MultDae, &latent, 2 * (3 + 3)),
            (ModelKind::MultVae, &small, 2 * (3 + 3)),
            (ModelKind::HVamp, &vamp, 2 * (3 + 3)),
            // 3 batches in 4 passes, 3 blocks; the first old posterior.
            (ModelKind::RecVae, &small, 2 * (4 * 3 + 3) + 3),
        ];
        for (kind, options, least) in fits {
            let n = stops_at_every_look(kind.name(), |cancel| {
                let run = FitRun { cancel: cancel.clone(), ..FitRun::default() };
                kind.fit(options, &train, Some(&validation), &run).map(drop)
            });
            let some = if kind == ModelKind::HoEase { 80 + 8 } else { 8 };
            assert!((least..least + some).contains(&n), "{kind:?}: {n} looks, expected {least} or a few more");
        }
    }

    #[test]
    fn joint_training_stops_while_it_renews_the_old_posterior() {
        let options = json!({
            "hiddenDim": 8, "latentDim": 4, "batchSize": 100, "epochs": 1, "training": "joint"
        });
        let train = likes(300, 60);
        let n = stops_at_every_look("joint", |cancel| {
            let run = FitRun { cancel: cancel.clone(), ..FitRun::default() };
            ModelKind::RecVae.fit(&options, &train, None, &run).map(drop)
        });
        assert_eq!(n, 3 + 3 + 3);
    }

    #[test]
    fn counts_of_ease_stop_within_a_row() {
        let ids = |n: usize| (0..n).map(|id| id.to_string()).collect::<Ids>();
        let data = Interactions::new(ids(300), ids(60), likes(300, 60)).unwrap();
        let never = Cancel::default();
        let counts = EaseCounts::count(&data, None, &never).unwrap();
        let n = stops_at_every_look("count", |cancel| EaseCounts::count(&data, None, cancel).map(drop));
        assert!(n >= 60, "{n} looks at 60 rows");
        let n = stops_at_every_look("update", |cancel| counts.update(Some(&data), Some(&data), None, cancel).map(drop));
        assert!(n >= 60, "{n} looks at 60 rows");
        let n = stops_at_every_look("fit", |cancel| {
            let run = FitRun { cancel: cancel.clone(), ..FitRun::default() };
            counts.fit(&json!({}), &run).map(drop)
        });
        assert!(n >= 60 + 3 + 60, "{n} looks at 60 rows of counts, three walks, and 60 rows of weights");
    }

    #[test]
    fn a_warm_start_stops_while_it_asks_for_the_old_posterior() {
        let options = json!({ "hiddenDim": 8, "latentDim": 4, "batchSize": 100, "epochs": 1 });
        let (train, ids): (_, Ids) = (likes(300, 60), (0..60).map(|item| item.to_string()).collect());
        let model = ModelKind::RecVae.fit(&options, &train, None, &FitRun::default()).unwrap().model;
        let model = Recommender::new(model, ids.clone(), Value::Null).unwrap();
        let n = stops_at_every_look("from", |cancel| {
            let from = Some(model.warm_start(&ids));
            let run = FitRun { cancel: cancel.clone(), from, ..FitRun::default() };
            ModelKind::RecVae.fit(&options, &train, None, &run).map(drop)
        });
        // 3 batches in 4 passes; one old posterior, not a random one first.
        assert_eq!(n, 4 * 3 + 3);
    }

    #[test]
    fn blocks_of_users_rows_and_draws_stop() {
        let model = ModelKind::Popularity.fit(&json!({}), &likes(300, 60), None, &FitRun::default()).unwrap().model;
        let held_out = held_out(1000, 60);
        let blocks = stops_at_every_look("evaluate", |cancel| {
            evaluate(&cancel.watch(&*model), &held_out, &[Metric::Ndcg(10)]).map(drop)
        });
        assert_eq!(blocks, 4);
        let histories = vec![&[1u32, 2][..]; 1000];
        let blocks =
            stops_at_every_look("recommend", |cancel| recommend(&cancel.watch(&*model), &histories, 3, true).map(drop));
        assert_eq!(blocks, 4);
        stops_at_every_look("bootstrap", |cancel| {
            paired_bootstrap_until(&[1.0, 2.0], &[0.5, 1.0], 1, cancel).map(drop)
        });
    }

    #[test]
    fn serving_stops_within_a_block() {
        let small = json!({ "hiddenDim": 8, "latentDim": 4, "batchSize": 100, "epochs": 1 });
        let model = ModelKind::MultVae.fit(&small, &likes(300, 600), None, &FitRun::default()).unwrap().model;
        let ids = (0..600).map(|item| item.to_string()).collect();
        let model = Recommender::new(model, ids, Value::Null).unwrap();
        let users = vec![History { items: vec![1, 2], unknown: vec![] }; 1000];
        // Few items are scored alone, few are left out, half are looked up.
        for (allow, deny) in [(0..600, 0..3), (0..3, 0..0), (0..300, 0..0)] {
            let ids = |items: std::ops::Range<u32>| items.map(|item| item.to_string()).collect::<Vec<_>>();
            let filter = model.filter(Some(&ids(allow)), &ids(deny), None).unwrap();
            let blocks = stops_at_every_look("recommend_within", |cancel| {
                model.recommend_within_until(&users, &RecommendOptions::default(), &filter, cancel).map(drop)
            });
            assert_eq!(blocks, 4);
        }
        let blocks = stops_at_every_look("embed", |cancel| model.embed_until(&users, cancel).map(drop));
        assert_eq!(blocks, 4);
        let blocks = stops_at_every_look("similar_users", |cancel| {
            model.similar_users_until(&users[0], &users, &SimilarOptions::default(), cancel).map(drop)
        });
        // The user itself, four blocks of others, and the cosines.
        assert_eq!(blocks, 1 + 4 + 1);
        let history = History { items: (0..550).collect(), unknown: vec![] };
        let blocks = stops_at_every_look("explain", |cancel| {
            model.explain_until(&history, "9", &ExplainOptions::default(), cancel).map(drop)
        });
        // The score, and three blocks of shorter histories.
        assert_eq!(blocks, 1 + 3);
    }

    #[test]
    fn a_file_that_is_not_read_or_written_to_its_end_leaves_nothing() {
        let options = SynthOptions { scale: 0.01, ..SynthOptions::default() };
        let folder = tempfile::tempdir().unwrap();
        let files = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        for name in ["a.csv", "a.csv.gz"] {
            let path = folder.path().join(name);
            stops_at_every_look(name, |cancel| {
                let written = write_synth(&options, &path, &|_| (), cancel);
                assert_eq!(files(folder.path()), usize::from(written.is_ok()));
                if written.is_ok() {
                    std::fs::rename(&path, folder.path().with_extension(name)).unwrap();
                }
                written.map(drop)
            });
            let path = folder.path().with_extension(name);
            let read = |cancel: &Cancel| {
                read_interactions_until(&path, &ReadOptions::default(), &Thresholds::default(), cancel).map(drop)
            };
            let looks = stops_at_every_look("read", read);
            let blocks = std::fs::metadata(&path).unwrap().len() as usize / (1 << 18);
            assert!(looks >= blocks, "{looks} looks at {blocks} blocks");
            std::fs::remove_file(path).unwrap();
        }
        stops_at_every_look("synth", |cancel| synth_until(&options, cancel).map(drop));
    }
}
