//! Trained models with the ids of their items become a blend.
//!
//! The parts have to have the same items in the same order, as models of one split have. The validation users are those
//! of a split; they are matched by the ids of the items. What is known of whom the parts were trained on is united in
//! the blend's record, and a part that was trained on validation users is told of: its weight is too large then.

use crate::base::error::{Error, Result};
use crate::base::options::Options;
use crate::data::ids::Ids;
use crate::models::BlendOptions;
use crate::models::blend::learn;
use crate::serve::recommender::Recommender;
use crate::split::parts::Split;
use crate::split::training_record::TrainingRecord;
use crate::train::run::FitRun;

impl BlendOptions {
    /// Makes a blend of trained models by the validation users of a split. Blends among the `parts` count as the models
    /// of which they are made. Parameters are shared with the parts, not copied. `info` of the parts is not kept.
    ///
    /// ```
    /// use recvae_core::{
    ///     AlsOptions, BlendOptions, EaseOptions, FitRun, Interactions, Metric, Recommender, SplitOptions, Thresholds, evaluate,
    ///     split,
    /// };
    ///
    /// # fn main() -> recvae_core::Result<()> {
    /// # let (users, items): (Vec<_>, Vec<_>) = (0..400u32).flat_map(|user| {
    /// #     (0..12u32).map(move |n| (format!("u{user}"), format!("i{}", (user % 4) * 15 + (user / 4 * 7 + n * 4) % 15)))
    /// # }).unzip();
    /// let data = Interactions::from_columns(&users, &items, None, None, &Thresholds::default())?;
    /// let parts = split(&data, &SplitOptions { seed: 1, ..SplitOptions::default() })?;
    /// let run = FitRun::default();
    /// let ease = Recommender::of(EaseOptions { lambda: 20.0, ..EaseOptions::default() }.fit(&parts, &run)?, &parts.train)?;
    /// let als = Recommender::of(AlsOptions { factors: 16, ..AlsOptions::default() }.fit(&parts, &run)?, &parts.train)?;
    /// let blend = BlendOptions::default().blend(&[&ease, &als], &parts, &run)?;
    /// // The weights, what was dropped and what that cost.
    /// println!("{}", blend.model().options());
    /// let metric: Metric = "ndcg@10".parse()?;
    /// println!("{:?}", evaluate(blend.model(), &parts.test, &[metric])?.mean(metric));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for fewer than two or more than eight different models, for models with other items (the
    /// first difference is named) and for a checkpoint, a warm start or an engine in `run`; `INVALID_DATA` if there are
    /// fewer than two validation users with something to find; `NUMERICAL` if a score is not a number, `MEMORY` if it
    /// would take more than `run` allows or is free, `CANCELLED` if `run` was.
    pub fn blend(&self, parts: &[&Recommender], data: &Split, run: &FitRun<'_>) -> Result<Recommender> {
        let options = self.checked()?;
        let Some((first, others)) = parts.split_first() else {
            return Err(Error::invalid_argument("parts", "an empty list", "2 models or more"));
        };
        for (at, other) in others.iter().enumerate() {
            same_items(first.items(), other.items(), at + 2)?;
        }
        let (validation, unknown) = first.translate(&data.validation, data.train.items())?;
        let mut warnings = leaks(parts, data);
        if unknown > 0 {
            warnings.push(format!(
                "{unknown} likes of validation users are of items that the parts do not know, and do not count"
            ));
        }
        let mut users_of_items = vec![0u32; first.items().len()];
        for (id, users) in data.train.items().iter().zip(data.train.matrix().column_counts()) {
            if let Some(item) = first.items().find(id) {
                users_of_items[item as usize] = users;
            }
        }
        // Of the parts, who were trained on the same users; where they do not say, of the data.
        let counts =
            parts.iter().find_map(|part| part.counts()).map_or_else(|| users_of_items.clone(), <[u32]>::to_vec);
        let validation = validation.with_counts(counts.clone())?;
        let models: Vec<_> = parts.iter().map(|part| part.shared().clone()).collect();
        let fit = learn(&options, &models, &validation, &users_of_items, warnings, run)?;
        let records = parts[1..].iter().fold(first.record().clone(), |record, part| record.and(part.record()));
        Recommender::new(fit.model, first.items().clone(), serde_json::Value::Null)?
            .with_record(records)
            .with_counts(counts)
    }
}

/// Fails unless the items of part `at` (from 1) are those of the first one.
fn same_items(first: &Ids, other: &Ids, at: usize) -> Result<()> {
    if first == other {
        return Ok(());
    }
    let differs = first.iter().zip(other.iter()).position(|(a, b)| a != b);
    let got = match differs {
        Some(item) => {
            format!(
                "models whose item {item} is '{}' in the first and '{}' in part {at}",
                first.get(item),
                other.get(item)
            )
        }
        None => format!("models of {} items in the first and {} in part {at}", first.len(), other.len()),
    };
    Err(Error::invalid_argument("parts", got, "models of the same items in the same order, such as those of one split"))
}

/// Which parts have seen the validation users, in sentences.
fn leaks(parts: &[&Recommender], data: &Split) -> Vec<String> {
    let target = data.validation.target();
    let users: Vec<usize> = (0..target.n_rows()).filter(|&user| !target.row(user).is_empty()).collect();
    let mut warnings = vec![];
    for (at, part) in parts.iter().enumerate() {
        let record: &TrainingRecord = part.record();
        let leak = record.leak(&data.train, &data.validation, data.train.items(), &users);
        let who = format!("part {} ({})", at + 1, part.model().kind().name());
        let seen = leak.users.unwrap_or(0);
        if seen > 0 {
            warnings.push(format!(
                "{who} was trained on {seen} of the {} validation users by whom the weights are found: its weight is too large. Make \
                 the blend by users that no part has seen, such as those of the split that the parts were trained on",
                users.len()
            ));
        } else if leak.is_renamed {
            let histories = leak.histories.unwrap_or(0);
            warnings.push(format!(
                "{who} was trained on users that have exactly the items of {histories} of the {} validation users, under another id: if \
                 they are the same users, its weight is too large",
                users.len()
            ));
        } else if leak.users.is_none() {
            warnings.push(format!(
                "nobody knows whom {who} was trained on: if the validation users were among them, its weight is too large"
            ));
        }
    }
    warnings
}
