//! Where a kind of model with options in JSON becomes a fit, an estimate, a loaded model: one line a model.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::{
    AlsOptions, BlendOptions, DeqlOptions, EaseOptions, EdlaeOptions, HVampOptions, HoEaseOptions, MultDaeOptions,
    MultVaeOptions, PopularityOptions, RdlaeOptions, RecVaeOptions, als, blend, deql, ease, edlae, h_vamp, ho_ease,
    mult_dae, mult_vae, popularity, rdlae, rec_vae,
};
use crate::base::compute::{Compute, Device};
use crate::base::error::{Error, Result};
use crate::base::memory::MemoryEstimate;
use crate::base::options::{OptionInfo, Options};
use crate::base::progress::Progress;
use crate::data::interactions::Interactions;
use crate::math::costs;
use crate::math::csr::Csr;
use crate::model::{Fit, Model, ModelKind, TensorSource};
use crate::models::sizing::{Limits, Sizing, size};
use crate::split::choosing::choosing;
use crate::split::parts::{HeldOut, Split};
use crate::train::fit_shape::{FitShape, check_fit};
use crate::train::run::FitRun;

/// What is trained on data, by its options.
macro_rules! trained {
    ($($variant:ident: $options:ty, $module:ident;)+) => {
        $(impl $options {
            /// Trains the model on the training users of a split. Where there are validation users, they choose the
            /// best epoch of a model that has epochs.
            ///
            /// # Errors
            /// As [`ModelKind::fit`].
            pub fn fit(&self, split: &Split, run: &FitRun<'_>) -> Result<Fit> {
                let validation = (split.validation.n_scored() > 0).then_some(&split.validation);
                ModelKind::$variant.fit(&self.to_json(), split.train.matrix(), validation, run)
            }

            /// Trains the model on all users; nobody chooses an epoch.
            ///
            /// # Errors
            /// As [`ModelKind::fit`].
            pub fn fit_all(&self, data: &Interactions, run: &FitRun<'_>) -> Result<Fit> {
                ModelKind::$variant.fit(&self.to_json(), data.matrix(), None, run)
            }

            /// How much memory a fit of that shape takes.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options.
            pub fn estimate_memory(&self, shape: &FitShape<'_>) -> Result<MemoryEstimate> {
                ModelKind::$variant.estimate_memory(&self.to_json(), shape)
            }
        })+

        impl ModelKind {
            /// Rebuilds the model from its options, those that [`Model::options`] gives, and tensors.
            ///
            /// # Errors
            /// `INVALID_MODEL_FILE` if a tensor is missing or does not fit.
            pub fn load(self, options: &Value, n_items: usize, tensors: &dyn TensorSource) -> Result<Box<dyn Model>> {
                match self {
                    $(Self::$variant => $module::load(&<$options>::from_json(options)?, n_items, tensors),)+
                    Self::Blend => blend::load(options, n_items, tensors),
                }
            }
        }
    };
}

/// What came of a fit elsewhere, or, where it had no memory there and no epoch had ended, what comes of it here.
fn or_here<T>(there: Result<T>, has_begun: bool, here: impl FnOnce() -> Result<T>) -> Result<T> {
    match there {
        Err(Error::Memory(_)) if !has_begun => here(),
        other => other,
    }
}

/// Sends each kind to its own options and functions.
macro_rules! dispatch {
    ($($variant:ident: $options:ty, $module:ident;)+) => {
        impl ModelKind {
            /// The options it takes.
            #[must_use]
            pub fn describe_options(self) -> Vec<OptionInfo> {
                match self { $(Self::$variant => <$options>::describe(),)+ }
            }

            /// All options with their values, defaults where `options` has none.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` as [`Options::from_json`].
            pub fn complete_options(self, options: &Value) -> Result<Value> {
                match self { $(Self::$variant => <$options>::from_json(options).map(|options| options.to_json()),)+ }
            }

            /// Trains the model on `train` of shape `(n_users, n_items)`; see the model's own text for what it does
            /// with `validation`, of whom 10,000 are asked where more have something to find.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options and for a warm start that does not fit them, `INVALID_DATA` if there is
            /// nothing to learn from, `NUMERICAL` if the arithmetic fails, `MEMORY` if it would take more than `run`
            /// allows or is free, `CANCELLED` if `run` was.
            pub fn fit(
                self,
                options: &Value,
                train: &Csr,
                validation: Option<&HeldOut>,
                run: &FitRun<'_>,
            ) -> Result<Fit> {
                if !run.or_processor || run.compute.device == Device::Cpu {
                    return self.fit_there(options, train, validation, run);
                }
                let has_begun = AtomicBool::new(false);
                let on_progress = |progress: &Progress| {
                    has_begun.fetch_or(progress.epoch > 0, Ordering::Relaxed);
                    (run.on_progress)(progress);
                };
                let there = FitRun { on_progress: &on_progress, ..run.clone() };
                let fitted = self.fit_there(options, train, validation, &there);
                or_here(fitted, has_begun.load(Ordering::Relaxed), || {
                    let compute = Compute { precision: run.compute.precision, ..Compute::default() };
                    self.fit_there(options, train, validation, &FitRun { compute, ..run.clone() })
                })
            }

            /// The same where the run says, and nowhere else.
            fn fit_there(
                self,
                options: &Value,
                train: &Csr,
                validation: Option<&HeldOut>,
                run: &FitRun<'_>,
            ) -> Result<Fit> {
                self.check_compute(options, run.compute)?;
                if let Some(checkpoint) = &run.checkpoint {
                    checkpoint.check(self)?;
                }
                match self {
                    $(Self::$variant => {
                        let options = <$options>::from_json(options)?;
                        check_train(train, validation)?;
                        run.from.iter().try_for_each(|from| from.check(self, &options.to_json(), train.n_cols()))?;
                        let shape = FitShape::of(train, validation.is_some(), rayon::current_num_threads());
                        let estimate = |shape: &FitShape<'_>| {
                            let estimate = run.with_engine(self, $module::memory(&options, shape), shape);
                            run.from.iter().fold(estimate, |estimate, from| from.add_memory(estimate))
                        };
                        check_fit(self.name(), || train.column_counts(), &shape, run.memory_limit, 0, estimate)?;
                        let validation = validation.map(choosing).transpose()?;
                        $module::fit(&options, train, validation.as_deref(), run)
                    })+
                }
            }

            /// How much memory a fit of that shape takes. What allocators and threads keep for themselves comes to 15 %
            /// at most beyond 100 MB.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options.
            pub fn estimate_memory(self, options: &Value, shape: &FitShape<'_>) -> Result<MemoryEstimate> {
                match self { $(Self::$variant => Ok($module::memory(&<$options>::from_json(options)?, shape)),)+ }
            }

            /// Fails as a fit on `train` would that may take `limit` bytes beyond the data, or what is free; `beside`
            /// more are held meanwhile by something else. Gives back the estimate.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options, `MEMORY` with the figures and the way out.
            pub fn check_memory(
                self,
                options: &Value,
                train: &Csr,
                shape: &FitShape<'_>,
                limit: Option<u64>,
                beside: u64,
            ) -> Result<MemoryEstimate> {
                match self {
                    $(Self::$variant => {
                        let options = <$options>::from_json(options)?;
                        let estimate = |shape: &FitShape<'_>| $module::memory(&options, shape);
                        check_fit(self.name(), || train.column_counts(), shape, limit, beside, estimate)
                    })+
                }
            }

            /// What the seconds of a fit grow with, in words.
            #[must_use]
            pub fn time_law(self) -> &'static str {
                match self { $(Self::$variant => $module::LAW,)+ }
            }

            /// The seconds of a fit, carried over from a measured one by [`ModelKind::time_law`]; options that have
            /// `epochs` say how many were trained. An extrapolation on the same machine: it may be wrong by a factor of
            /// 2, since caches and threads do not follow the law, and more the farther apart the two are.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options.
            pub fn extrapolate_seconds(
                self,
                seconds: f64,
                (options, shape): (&Value, &FitShape<'_>),
                (wanted_options, wanted_shape): (&Value, &FitShape<'_>),
            ) -> Result<f64> {
                match self {
                    $(Self::$variant => {
                        let measured = $module::work(&<$options>::from_json(options)?, shape);
                        let wanted = $module::work(&<$options>::from_json(wanted_options)?, wanted_shape);
                        Ok(seconds * wanted / measured.max(1.0))
                    })+
                }
            }

            /// The seconds that a fit of that shape takes on cores of a current x86-64 server, as many as `shape` has
            /// threads; models with epochs are taken to train all of them. It is computed from counted operations and
            /// measured costs, see `costs.rs`, so that it can be told before any work, and lies within a factor of 2 on
            /// such machines. Of validation it has the lists after each epoch, for a tenth as many users as are trained
            /// on and 10,000 at most.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options.
            pub fn estimate_seconds(self, options: &Value, shape: &FitShape<'_>) -> Result<f64> {
                let seconds = match self { $(Self::$variant => $module::seconds(&<$options>::from_json(options)?, shape),)+ };
                Ok(costs::BEGINNING + seconds / shape.threads.max(1) as f64)
            }

            /// Options with which a search on data of that shape does well to begin, besides the defaults: the given
            /// ones with others that are to be searched. Those of iALS and RecVAE alone depend on the shape.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options.
            pub fn search_starts(self, options: &Value, shape: &FitShape<'_>) -> Result<Vec<Value>> {
                Ok(match self {
                    Self::Als => {
                        let keeps_alpha0 = options.get("alpha0").is_some();
                        let starts = als::starts(&AlsOptions::from_json(options)?, shape, keeps_alpha0);
                        starts.iter().map(Options::to_json).collect()
                    }
                    Self::RecVae => {
                        let starts = rec_vae::starts(&RecVaeOptions::from_json(options)?, shape);
                        starts.iter().map(Options::to_json).collect()
                    }
                    _ => vec![],
                })
            }

            /// The options by which a fit on `train` keeps `limits`, changed as little as needed: of EASE^R and its kin
            /// the largest `density`, of iALS the most `factors`, of the others the largest widths; or why there are
            /// none.
            ///
            /// # Errors
            /// `INVALID_ARGUMENT` for options.
            pub fn largest_that_fits(
                self,
                options: &Value,
                train: &Csr,
                shape: &FitShape<'_>,
                limits: &Limits,
            ) -> Result<Sizing> {
                match self {
                    $(Self::$variant => {
                        let given = <$options>::from_json(options)?;
                        let found = size(
                            limits,
                            &given,
                            |options| $module::memory(options, shape).fit(),
                            |options| self.estimate_seconds(&options.to_json(), shape).unwrap_or(f64::INFINITY),
                            |fits| $module::smaller(&given, shape, fits),
                        );
                        match found {
                            Some(found) => Ok(Sizing::of(options, &given.to_json(), &found.to_json())),
                            None => {
                                let checked = self.check_memory(options, train, shape, limits.memory, limits.beside);
                                Ok(Sizing::refused(self, limits, checked))
                            }
                        }
                    })+
                }
            }
        }
    };
}

/// One line a model: what is trained on data, and what is made of trained models.
macro_rules! models {
    (trained { $($trained:tt)+ } made { $($made:tt)+ }) => {
        trained! { $($trained)+ }
        dispatch! { $($trained)+ $($made)+ }
    };
}

models! {
    trained {
        Popularity: PopularityOptions, popularity;
        Ease: EaseOptions, ease;
        Edlae: EdlaeOptions, edlae;
        Rdlae: RdlaeOptions, rdlae;
        Deql: DeqlOptions, deql;
        HoEase: HoEaseOptions, ho_ease;
        Als: AlsOptions, als;
        MultDae: MultDaeOptions, mult_dae;
        MultVae: MultVaeOptions, mult_vae;
        RecVae: RecVaeOptions, rec_vae;
        HVamp: HVampOptions, h_vamp;
    }
    made {
        Blend: BlendOptions, blend;
    }
}

/// What every fit asks of its data.
fn check_train(train: &Csr, validation: Option<&HeldOut>) -> Result<()> {
    if train.n_rows() < 2 || train.n_cols() < 2 || train.nnz() == 0 {
        return Err(Error::invalid_data(format!(
            "training data have {} users, {} items and {} interactions; allowed: at least 2 users, 2 items and 1 \
             interaction",
            train.n_rows(),
            train.n_cols(),
            train.nnz()
        )));
    }
    if let Some(held_out) = validation.filter(|held_out| held_out.n_items() != train.n_cols()) {
        return Err(Error::invalid_data(format!(
            "validation data have {} items; allowed: the {} of the training data",
            held_out.n_items(),
            train.n_cols()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    impl ModelKind {
        /// Options by which a few rows are fitted in a moment, badly.
        pub(crate) fn least_options(self) -> Value {
            match self {
                Self::Als => json!({ "factors": 2, "epochs": 1 }),
                Self::MultDae => json!({ "latentDim": 2, "epochs": 1 }),
                Self::MultVae | Self::RecVae => json!({ "hiddenDim": 3, "latentDim": 2, "epochs": 1 }),
                Self::HVamp => json!({ "hiddenDim": 3, "latentDim": 2, "pseudoUsers": 4, "epochs": 1 }),
                _ => json!({}),
            }
        }
    }

    #[test]
    fn the_processor_takes_over_where_a_gpu_has_no_memory_and_nothing_was_done_there() {
        let memory = || -> Result<u8> { Err(Error::Memory("little".into())) };
        assert_eq!(or_here(memory(), false, || Ok(2)).unwrap(), 2);
        assert_eq!(or_here(memory(), true, || Ok(2)).unwrap_err().code(), "MEMORY");
        assert_eq!(or_here(Ok(1), false, || Ok(2)).unwrap(), 1);
        assert_eq!(or_here(Err(Error::Cancelled), false, || Ok(2)).unwrap_err().code(), "CANCELLED");
        assert_eq!(or_here(memory(), false, memory).unwrap_err().code(), "MEMORY");
    }

    #[test]
    fn seconds_grow_as_the_law_says() {
        let shape = |users, items, interactions| FitShape {
            users,
            items,
            interactions,
            validation: true,
            weighted: false,
            threads: 1,
            data: None,
        };
        let small = shape(1000, 500, 20_000);
        let grown = |kind: ModelKind, options: &Value, wanted: &FitShape<'_>| {
            kind.extrapolate_seconds(2.0, (&json!({}), &small), (options, wanted)).unwrap()
        };
        for &kind in ModelKind::TRAINED {
            assert_eq!(grown(kind, &json!({}), &small), 2.0, "{}", kind.name());
            // As many users with as many items each: never less than in a line, but for EASE^R and its kin, whose items
            // decide.
            let more = grown(kind, &json!({}), &shape(2000, 500, 40_000));
            let (least, most) =
                if kind.has_item_matrix() || kind == ModelKind::HoEase { (2.0, 4.0) } else { (2.5, 4.0) };
            assert!((least..=most).contains(&more), "{}: {more}", kind.name());
            assert!(!kind.time_law().is_empty());
        }
        // 2,500^3 against 5,000^3, to which the Gram matrix adds little; 500 users on as many items are done by users.
        let of_items = |users, items| shape(users, items, 20 * users);
        let ease = |wanted| {
            let from = of_items(10_000, 2500);
            ModelKind::Ease.extrapolate_seconds(1.0, (&json!({}), &from), (&json!({}), &wanted)).unwrap()
        };
        let [cube, few] = [ease(of_items(10_000, 5000)), ease(of_items(500, 5000))];
        assert!((7.0..8.0).contains(&cube) && few < 1.5, "{cube} {few}");
        // As the estimates say, but for what every fit takes.
        let seconds = |shape| ModelKind::Ease.estimate_seconds(&json!({}), &shape).unwrap() - costs::BEGINNING;
        for (wanted, found) in [(of_items(10_000, 5000), cube), (of_items(500, 5000), few)] {
            let expected = seconds(wanted) / seconds(of_items(10_000, 2500));
            assert!((found - expected).abs() < 1e-12 * expected, "{found} {expected}");
        }
        // Where weights are few, ten times as many of an item are many times the time.
        let sparse = |density: f64| grown(ModelKind::Ease, &json!({ "density": density }), &small);
        assert!(sparse(0.01) < sparse(0.1) && sparse(0.1) < 2.0, "{} {}", sparse(0.01), sparse(0.1));
        // Twice the epochs, twice the time; RecVAE's users count in a line.
        let twice =
            [(ModelKind::Als, 32), (ModelKind::MultDae, 400), (ModelKind::MultVae, 200), (ModelKind::RecVae, 100)];
        for (kind, epochs) in twice {
            assert_eq!(grown(kind, &json!({ "epochs": epochs }), &small), 4.0, "{}", kind.name());
        }
        assert_eq!(grown(ModelKind::RecVae, &json!({}), &shape(3000, 500, 60_000)), 6.0);
        assert!(
            ModelKind::Ease.extrapolate_seconds(1.0, (&json!({"lambda": 0}), &small), (&json!({}), &small)).is_err()
        );
    }
}
