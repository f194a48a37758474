//! How to split: the kinds, and the options that all or some of them have.

use crate::base::date::Moment;
use crate::base::error::{Error, Result};
use crate::base::options::{choice, options};

choice! {
    /// What becomes of users who have too few items to be held out.
    pub enum ShortUsers {
        /// They are training users like others.
        Train = "train",
        /// They are left out altogether, as in the protocol of the Mult-VAE paper.
        Drop = "drop",
    }
}

choice! {
    /// What is held out.
    pub enum SplitKind {
        /// Whole users, whom no model sees in training.
        Strong = "strong",
        /// The same of one of several parts, each of which is held out once.
        Folds = "folds",
        /// What came last, by the clock.
        Time = "time",
        /// The last items of each user.
        Last = "last",
        /// A share of each user's items.
        Share = "share",
        /// What came in files of its own.
        Files = "files",
        /// What a column says.
        Column = "column",
    }
}

choice! {
    /// What draws who is held out.
    pub enum Generator {
        /// Philox, of which every user has a stream of its own.
        Philox = "philox",
        /// The legacy generator of NumPy, as in the Mult-VAE and RecVAE authors' scripts.
        Numpy = "numpy",
    }
}

impl SplitKind {
    /// Whether users are held out whole.
    pub(super) fn is_of_users(self) -> bool {
        matches!(self, Self::Strong | Self::Folds)
    }

    /// Whether others have divided the interactions.
    pub(super) fn is_given(self) -> bool {
        matches!(self, Self::Files | Self::Column)
    }
}

options! {
    /// How users are split.
    pub struct SplitOptions for "split", check = check {
        /// What is held out: whole users (`strong`), the same in `folds` of which each is the test part once (`folds`),
        /// what came last by the clock (`time`), each user's last items (`last`), a share of each user's items
        /// (`share`), or what others have divided, in files of their own (`files`) or by a column (`column`). By the
        /// latter five, users are known from training, and are scored by their history. `time` and `last` need data
        /// with times.
        kind: SplitKind = SplitKind::Strong, Any;
        /// Users with fewer items are never held out; shortUsers says what becomes of them.
        min_user_items: usize = 5, AtLeast(0.0);
        /// What becomes of users with fewer items than minUserItems: they are trained on, or dropped as in the protocol
        /// of the Mult-VAE paper.
        short_users: ShortUsers = ShortUsers::Train, Any;
        /// Validation users: a share of the users with enough items if below 1 (rounded to the nearest count), else a
        /// whole number of them; 0 for none. By kind time, the share of all interactions that comes before the test
        /// part. By the other kinds, only 0 says something: none. By kinds files and column, where nothing is for
        /// validation, a share heldOut of each user's training items is.
        validation: f64 = 0.1, AtLeast(0.0);
        /// Test users, written as validation users are. By kind time, the share of all interactions that are the
        /// newest.
        test: f64 = 0.1, AtLeast(0.0);
        /// Share of a held-out user's items that is scored. By kind share, of every user's.
        held_out: f64 = 0.2, Inside(0.0, 1.0);
        /// By kind folds, in how many parts the users are divided.
        folds: usize = 5, AtLeast(2.0);
        /// By kind folds, which part is for test, from 1 on; the one behind it is for validation.
        fold: usize = 1, AtLeast(1.0);
        /// By kind last, how many of a user's newest items are for test, and as many before them for validation.
        last: usize = 1, AtLeast(1.0);
        /// By kind time, when the test part begins, in place of a share: a date, or a number of seconds since 1970 (of
        /// batches, in their unit).
        test_since: Option<Moment> = None, Any;
        /// By kind time, when the validation part begins, written likewise.
        validation_since: Option<Moment> = None, Any;
        /// What draws, by kinds strong and folds: `philox`, or `numpy` for NumPy's legacy generator, which gives the
        /// split of the Mult-VAE and RecVAE authors' scripts where a user's rows stand in the order of the item ids.
        generator: Generator = Generator::Philox, Any;
        /// Start of the random numbers; the same seed gives the same split.
        seed: u64 = 0, Any;
    }
}

fn check(options: &SplitOptions) -> Result<()> {
    for (name, value) in [("validation", options.validation), ("test", options.test)] {
        if value >= 1.0 && value.fract() != 0.0 {
            return Err(Error::invalid_argument(name, value, "a share below 1, or a whole number of users"));
        }
    }
    let (kind, defaults) = (options.kind, SplitOptions::default());
    let only = |name: &str, got: String, kinds: &str| {
        Err(Error::invalid_argument(name, got, format!("only with {kinds} (kind is '{}')", kind.word())))
    };
    for (name, moment) in [("testSince", &options.test_since), ("validationSince", &options.validation_since)] {
        if let (Some(moment), true) = (moment, kind != SplitKind::Time) {
            return only(name, format!("'{moment}'"), "kind time");
        }
    }
    if options.last != defaults.last && kind != SplitKind::Last {
        return only("last", options.last.to_string(), "kind last");
    }
    if options.held_out != defaults.held_out && matches!(kind, SplitKind::Time | SplitKind::Last) {
        return only("heldOut", options.held_out.to_string(), "kinds strong, folds, share, files and column");
    }
    for (name, got, default) in [("folds", options.folds, defaults.folds), ("fold", options.fold, defaults.fold)] {
        if got != default && kind != SplitKind::Folds {
            return only(name, got.to_string(), "kind folds");
        }
    }
    if options.generator == Generator::Numpy {
        if !kind.is_of_users() {
            return only("generator", "'numpy'".to_owned(), "kinds strong and folds");
        }
        if options.seed > u64::from(u32::MAX) {
            let allowed = format!("at most {} (generator is 'numpy')", u32::MAX);
            return Err(Error::invalid_argument("seed", options.seed, allowed));
        }
    }
    if kind == SplitKind::Folds {
        if options.fold > options.folds {
            return Err(Error::invalid_argument("fold", options.fold, format!("from 1 to {} (folds)", options.folds)));
        }
        if options.folds == 2 && options.validation > 0.0 && options.test > 0.0 {
            let allowed = "3 or more, or validation = 0: one fold is for test and one for validation";
            return Err(Error::invalid_argument("folds", options.folds, allowed));
        }
    }
    let parts = [
        ("validation", options.validation, defaults.validation, options.validation_since.is_some()),
        ("test", options.test, defaults.test, options.test_since.is_some()),
    ];
    for (name, value, default, is_given) in parts {
        match kind {
            SplitKind::Strong => {}
            SplitKind::Time if value >= 1.0 => {
                return Err(Error::invalid_argument(
                    name,
                    value,
                    "a share below 1 of the interactions (kind is 'time')",
                ));
            }
            SplitKind::Time if is_given && value != 0.0 && value != default => {
                let allowed = format!("0 for none, or nothing: {name}Since says where the part begins");
                return Err(Error::invalid_argument(name, value, allowed));
            }
            SplitKind::Time => {}
            _ if value != 0.0 && value != default => {
                let who = if kind == SplitKind::Folds { "a fold is" } else { "all users are" };
                let allowed = format!("0 for none, or nothing: {who} asked (kind is '{}')", kind.word());
                return Err(Error::invalid_argument(name, value, allowed));
            }
            _ => {}
        }
    }
    if kind == SplitKind::Time && options.validation + options.test >= 1.0 {
        let got = format!("{} beside test = {}", options.validation, options.test);
        return Err(Error::invalid_argument("validation", got, "shares that leave something to train on"));
    }
    Ok(())
}
