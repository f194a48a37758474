//! Checkpoints as a caller meets them: going on, and what is refused.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use recvae_core::{
    Cancel, Checkpoint, CheckpointOptions, Csr, Error, Fit, FitRun, HeldOut, Ids, ModelKind, Progress, Recommender,
    Result, Threads,
};
use serde_json::{Value, json};

const ALL: [ModelKind; 3] = [ModelKind::RecVae, ModelKind::MultVae, ModelKind::HVamp];

fn histories(n_users: usize) -> Csr {
    let rows =
        (0..n_users as u32).map(|user| (0..40u32).filter(move |item| (item * 7 + user * 3 + item * user) % 9 < 2));
    Csr::from_rows(rows.map(|row| row.collect::<Vec<_>>()), 40).unwrap()
}

fn validation() -> HeldOut {
    let all = histories(20);
    let part = |odd: u32| {
        let rows = all.rows().map(|row| row.iter().copied().filter(|item| item % 2 == odd).collect::<Vec<_>>());
        Csr::from_rows(rows, 40).unwrap()
    };
    HeldOut::new((0..20).map(|user| user.to_string()).collect(), part(0), part(1)).unwrap()
}

fn ids(n: usize, prefix: &str) -> Ids {
    (0..n).map(|at| format!("{prefix}{at}")).collect()
}

/// A model of half the items and as many that nobody has now, to begin with.
fn beginning(kind: ModelKind, seed: u64) -> Recommender {
    let options = json!({ "hiddenDim": 16, "latentDim": 4, "epochs": 1, "seed": seed });
    let fit = kind.fit(&options, &histories(60), None, &FitRun::default()).unwrap();
    let items = (0..40).map(|item| format!("i{}", item + 20)).collect();
    Recommender::new(fit.model, items, Value::Null).unwrap()
}

/// Everything that a fit depends on, and how it runs.
#[derive(Clone)]
struct Setting {
    kind: ModelKind,
    options: Value,
    n_users: usize,
    validated: bool,
    items: &'static str,
    path: PathBuf,
    every_epochs: usize,
    resume: bool,
    /// Cancelled after that epoch.
    until: usize,
    threads: usize,
    /// Seed of the model that training begins with.
    from: Option<u64>,
}

impl Setting {
    fn new(kind: ModelKind, folder: &Path) -> Self {
        Self {
            kind,
            options: json!({ "hiddenDim": 16, "latentDim": 4, "batchSize": 20, "epochs": 6, "learningRate": 0.01 }),
            n_users: 90,
            validated: true,
            items: "i",
            path: folder.join("checkpoint"),
            every_epochs: 1,
            resume: true,
            until: usize::MAX,
            threads: 1,
            from: None,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other
    }

    fn option(&self, name: &str, value: Value) -> Self {
        self.with(|other| other.options[name] = value)
    }

    fn fit(&self) -> Result<Fit> {
        let (train, users, items) = (histories(self.n_users), ids(self.n_users, "u"), ids(40, self.items));
        let cancel = Cancel::default();
        let on_progress = |progress: &Progress| {
            if progress.epoch >= self.until {
                cancel.cancel();
            }
        };
        let checkpoint = Checkpoint {
            path: self.path.clone(),
            options: CheckpointOptions { every_epochs: self.every_epochs, resume: self.resume },
            ids: Some([&users, &items]),
        };
        let begin = self.from.map(|seed| beginning(self.kind, seed));
        let run = FitRun {
            on_progress: &on_progress,
            cancel: cancel.clone(),
            checkpoint: Some(checkpoint),
            from: begin.as_ref().map(|model| model.warm_start(&items)),
            ..FitRun::default()
        };
        let held_out = self.validated.then(validation);
        let fit = || self.kind.fit(&self.options, &train, held_out.as_ref(), &run);
        Threads::new(Some(self.threads)).unwrap().install(fit)
    }

    /// The file of the model, and the record without its seconds.
    fn result(&self) -> (Vec<u8>, Vec<Progress>) {
        let Fit { model, mut epochs } = self.fit().unwrap();
        epochs.iter_mut().for_each(|progress| progress.seconds = 0.0);
        let path = self.path.with_extension("model");
        Recommender::new(model, ids(40, "i"), Value::Null).unwrap().save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (bytes, epochs)
    }

    /// The result without interruption; nothing is left.
    fn whole(&self) -> (Vec<u8>, Vec<Progress>) {
        let result = self.result();
        std::fs::remove_file(&self.path).unwrap();
        result
    }

    fn cancelled(&self) {
        let error = self.fit().err().expect("it was cancelled");
        assert!(matches!(error, Error::Cancelled), "{error}");
    }

    fn refused(&self) -> (&'static str, String) {
        let error = self.fit().err().expect("an error");
        (error.code(), error.to_string())
    }
}

#[test]
fn it_goes_on_to_the_same_file_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ALL {
        for validated in [true, false] {
            let setting = Setting::new(kind, folder.path()).with(|setting| setting.validated = validated);
            let whole = setting.whole();
            setting.with(|setting| setting.until = 2).cancelled();
            setting.with(|setting| (setting.until, setting.threads, setting.every_epochs) = (4, 3, 5)).cancelled();
            assert!(setting.with(|setting| setting.threads = 2).result() == whole, "{kind:?}");
            std::fs::remove_file(&setting.path).unwrap();
        }
    }
}

#[test]
fn a_warm_start_goes_on_to_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ALL {
        let setting = Setting::new(kind, folder.path()).with(|setting| setting.from = Some(7));
        let whole = setting.whole();
        setting.with(|setting| setting.until = 2).cancelled();
        setting.with(|setting| (setting.until, setting.threads) = (4, 3)).cancelled();
        assert!(setting.result() == whole, "{kind:?}");
        std::fs::remove_file(&setting.path).unwrap();
        let cold = setting.with(|setting| setting.from = None);
        assert!(cold.whole() != whole, "{kind:?}: from changes nothing");
    }
}

#[test]
fn implicit_slim_goes_on_to_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    for from in [None, Some(7)] {
        let plain = Setting::new(ModelKind::RecVae, folder.path()).with(|setting| setting.from = from);
        let setting = plain.option("implicitSlim", json!(true)).option("slimEvery", json!(2));
        let whole = setting.whole();
        setting.with(|setting| setting.until = 1).cancelled();
        setting.with(|setting| (setting.until, setting.threads) = (3, 3)).cancelled();
        assert!(setting.result() == whole, "from {from:?}");
        std::fs::remove_file(&setting.path).unwrap();
        let (_, record) = plain.whole();
        assert!(record[0] == whole.1[0] && record[1] != whole.1[1], "the second epoch is the first that it changes");
    }
}

#[test]
fn another_model_to_begin_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ALL {
        let warm = Setting::new(kind, folder.path()).with(|setting| setting.from = Some(7));
        let cold = warm.with(|setting| setting.from = None);
        let (model, hash) = ("a model of 40 items, hash ", "0123456789abcdef");
        for (first, second, there, now) in [
            (&warm, &warm.with(|setting| setting.from = Some(8)), model, model),
            (&warm, &cold, model, "none"),
            (&cold, &warm, "none", model),
        ] {
            first.with(|setting| setting.until = 2).cancelled();
            let before = std::fs::read(&first.path).unwrap();
            let (code, text) = second.refused();
            assert_eq!(code, "INVALID_ARGUMENT");
            let path = first.path.display();
            let rest = text.strip_prefix(&format!("checkpoint '{path}' is one of another training (from: {there}"));
            let rest = rest.unwrap_or_else(|| panic!("{text}")).trim_start_matches(|c| hash.contains(c));
            assert!(rest.starts_with(&format!(" there, {now}")), "{text}");
            assert!(
                text.ends_with("same model, options, data and model to begin with (from), or a path where nothing is"),
                "{text}"
            );
            assert_eq!(std::fs::read(&first.path).unwrap(), before);
            std::fs::remove_file(&first.path).unwrap();
        }
    }
}

#[test]
fn what_has_ended_gives_its_result_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting::new(ModelKind::RecVae, folder.path()).with(|setting| setting.every_epochs = 4);
    let first = setting.fit().unwrap();
    let written = std::fs::metadata(&setting.path).unwrap().modified().unwrap();
    // Already cancelled, had it a step to take.
    let again = setting.with(|setting| setting.until = 0).fit().unwrap();
    assert_eq!(again.epochs, first.epochs, "seconds too");
    assert_eq!(std::fs::metadata(&setting.path).unwrap().modified().unwrap(), written);
}

#[test]
fn seconds_go_on_from_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting::new(ModelKind::RecVae, folder.path());
    setting.with(|setting| setting.until = 3).cancelled();
    let resumed = setting.fit().unwrap().epochs;
    assert_eq!(resumed.len(), 6);
    assert!(resumed.windows(2).all(|pair| pair[0].seconds < pair[1].seconds), "{resumed:?}");
}

#[test]
fn nothing_is_gone_on_from_or_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting::new(ModelKind::RecVae, folder.path());
    setting.with(|setting| setting.until = 2).cancelled();
    let before = std::fs::read(&setting.path).unwrap();
    let (code, text) = setting.with(|setting| setting.resume = false).refused();
    assert_eq!(code, "INVALID_ARGUMENT");
    let path = setting.path.display();
    let allowed = "a path where nothing is, or resume to go on from what is there";
    assert_eq!(text, format!("checkpoint is '{path}', which is there already; allowed: {allowed}"));
    assert_eq!(std::fs::read(&setting.path).unwrap(), before);
}

#[test]
fn another_training_is_refused_and_the_difference_named() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ALL {
        let setting = Setting::new(kind, folder.path());
        setting.with(|setting| setting.until = 2).cancelled();
        let before = std::fs::read(&setting.path).unwrap();
        let hash = |text: &str| text.contains("training data: 90 users x 40 items with ");
        for (other, difference) in [
            (setting.option("seed", json!(2)), "option seed: 1 there, 2 now"),
            (setting.option("learningRate", json!(0.02)), "option learningRate: 0.01 there, 0.02 now"),
            (setting.option("batchSize", json!(30)), "option batchSize: 20 there, 30 now"),
            (setting.option("patience", json!(3)), "0 there, 3 now"),
            (setting.with(|other| other.validated = false), "(validation data: 20 users x 40 items with "),
            (setting.with(|other| other.n_users = 91), "ids of the training users: 90 ids, hash "),
            (setting.with(|other| other.n_users = 91), "training data: 90 users x 40 items with "),
            (setting.with(|other| other.items = "j"), "(ids of the items: 40 ids, hash "),
        ] {
            let (code, text) = other.refused();
            assert_eq!(code, "INVALID_ARGUMENT");
            let path = setting.path.display();
            assert!(text.starts_with(&format!("checkpoint '{path}' is one of another training (")), "{text}");
            assert!(text.contains(difference), "{difference} is not in {text}");
            assert!(hash(&text) == (other.n_users == 91), "{text}");
        }
        let other_kind = ALL[usize::from(kind == ModelKind::RecVae)];
        let (_, text) = setting.with(|other| other.kind = other_kind).refused();
        assert!(text.contains(&format!("model: {} there, {} now", kind.name(), other_kind.name())), "{text}");
        assert_eq!(std::fs::read(&setting.path).unwrap(), before);
        setting.fit().unwrap();
        std::fs::remove_file(&setting.path).unwrap();
    }
}

#[test]
fn more_epochs_are_allowed_where_they_change_nothing_before() {
    let folder = tempfile::tempdir().unwrap();
    let straight = |setting: &Setting| setting.option("annealing", json!(0));
    let recvae = Setting::new(ModelKind::RecVae, folder.path());
    let mult_vae = Setting::new(ModelKind::MultVae, folder.path());
    let mult_dae = Setting::new(ModelKind::MultDae, folder.path());
    let mult_dae = mult_dae.with(|setting| drop(setting.options.as_object_mut().unwrap().remove("hiddenDim")));
    let hvamp = Setting::new(ModelKind::HVamp, folder.path()).option("warmUp", json!(4));
    for setting in [recvae, mult_dae, straight(&mult_vae), hvamp] {
        let longer = setting.option("epochs", json!(9));
        let whole = longer.whole();
        assert_eq!(whole.1.len(), 9);
        setting.fit().unwrap();
        assert!(longer.result() == whole, "{:?}", setting.kind);
        let (code, text) = setting.refused();
        assert_eq!(code, "INVALID_ARGUMENT");
        let path = setting.path.display();
        assert_eq!(text, format!("epochs is 6; allowed: 9 or more, which the checkpoint '{path}' has begun"));
        std::fs::remove_file(&setting.path).unwrap();
    }
    mult_vae.with(|setting| setting.until = 2).cancelled();
    let (_, text) = mult_vae.option("epochs", json!(9)).refused();
    assert!(text.contains("(option epochs: 6 there, 9 now)"), "{text}");
}

#[test]
fn broken_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting::new(ModelKind::RecVae, folder.path());
    setting.with(|setting| setting.until = 2).cancelled();
    let whole = std::fs::read(&setting.path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&setting.path, bytes).unwrap();
        let (code, text) = setting.refused();
        assert_eq!(code, "INVALID_MODEL_FILE", "{text}");
        assert!(text.contains("not a checkpoint, or truncated or altered"), "{text}");
    };
    for end in (0..64).chain((64..whole.len()).step_by(997)).chain([whole.len() - 1]) {
        refused(&whole[..end]);
    }
    for at in (0..whole.len()).step_by(1999) {
        let mut altered = whole.clone();
        altered[at] ^= 0x10;
        refused(&altered);
    }
    refused(&[&whole[..], &[0]].concat());
    let model = folder.path().join("model");
    let fit = ModelKind::Popularity.fit(&json!({}), &histories(9), None, &FitRun::default()).unwrap();
    Recommender::new(fit.model, ids(40, "i"), Value::Null).unwrap().save(&model).unwrap();
    refused(&std::fs::read(&model).unwrap());
    std::fs::write(&setting.path, whole).unwrap();
    // The other way round, a checkpoint is no model, and says what it is.
    let Err(error) = Recommender::load(&setting.path) else { panic!("a checkpoint loaded as a model") };
    assert_eq!(error.code(), "INVALID_MODEL_FILE");
    assert!(
        error.to_string().contains(": a checkpoint of a training of recvae after 2 epochs, not a recvae model; "),
        "{error}"
    );
    setting.fit().unwrap();
}

#[test]
fn what_cannot_be_kept_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting::new(ModelKind::RecVae, folder.path());
    for kind in [ModelKind::Ease, ModelKind::Edlae, ModelKind::HoEase, ModelKind::Popularity, ModelKind::Als] {
        let (code, text) = setting.with(|other| (other.kind, other.options) = (kind, json!({}))).refused();
        assert_eq!(code, "INVALID_ARGUMENT");
        let end = format!(
            "for {}, which is trained too fast to need one; allowed: for mult-dae, mult-vae, recvae, hvamp",
            kind.name()
        );
        assert!(text.ends_with(&end), "{text}");
    }
    let (_, text) = setting.with(|other| other.every_epochs = 0).refused();
    assert_eq!(text, "everyEpochs is 0; allowed: a whole number, 1 or more");
    let nowhere = setting.with(|other| other.path = folder.path().join("none/checkpoint"));
    assert_eq!(nowhere.refused().0, "IO");
    assert_eq!(setting.with(|other| other.path = folder.path().to_owned()).refused().0, "IO");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn leftovers_of_a_killed_process_go_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting::new(ModelKind::MultVae, folder.path());
    let (ours, other) = (folder.path().join(".recvae-checkpoint-a1B2c3"), folder.path().join(".recvae-other-a1B2c3"));
    std::fs::write(&ours, "half a checkpoint").unwrap();
    std::fs::write(&other, "of somebody else").unwrap();
    setting.fit().unwrap();
    assert!(!ours.exists() && other.exists());
}
