//! Training that begins with a trained model instead of random parameters.
//!
//! RecVAE, Mult-VAE, Mult-DAE and H+Vamp have a row of parameters for each item in the first and in the last layer, and
//! everything between them belongs to no item; of H+Vamp's pseudo-users, too, each number belongs to an item. So a
//! model can go on with other users and with a catalogue that has changed:
//!
//! | of the new data | begins with |
//! | --- | --- |
//! | items that the model knows, by id | the model's rows and columns, wherever the items stand now |
//! | items that are new | the rows that fresh training with the same seed would give them |
//! | all other parameters | the model's |
//!
//! Rows of items that the new data lack are dropped. Adam starts afresh.
//!
//! RecVAE's old posterior is, in the paper's words, that of the parameters of the epoch before: it holds an update back
//! from forgetting what was learnt. The epoch before the first one is the one that the model was saved after, so the
//! model's encoder is asked for every user, where fresh training has nothing better than a random one.

use xxhash_rust::xxh3::Xxh3;

use crate::base::error::{Error, Result};
use crate::base::memory::MemoryEstimate;
use crate::data::ids::Ids;
use crate::model::{Model, ModelKind, NamedTensor, TensorData};
use crate::nn::network::Network;

/// A trained model to begin with, and where the items of the new data are in it.
#[derive(Clone)]
pub struct WarmStart<'a> {
    model: &'a dyn Model,
    /// For each item of the new data.
    index_there: Vec<Option<u32>>,
}

impl<'a> WarmStart<'a> {
    /// `items_there`: those of the model, `items`: those of the new data, each in order of their indices.
    #[must_use]
    pub fn new(model: &'a dyn Model, items_there: &Ids, items: &Ids) -> Self {
        Self { model, index_there: items.iter().map(|id| items_there.find(id)).collect() }
    }

    /// Fails unless a fit of that kind, with all of `options`, on data of `n_items` can begin with this.
    pub(crate) fn check(&self, kind: ModelKind, options: &serde_json::Value, n_items: usize) -> Result<()> {
        kind.check_from(options, self.model)?;
        if self.index_there.len() != n_items {
            let n = self.index_there.len();
            return Err(Error::invalid_data(format!("a warm start for {n} items on data of {n_items}")));
        }
        if self.index_there.iter().all(Option::is_none) {
            let n = self.model.n_items();
            let got = format!("a model of {n} items, none of which is among the {n_items} of the data");
            return Err(Error::invalid_argument("from", got, "a model that shares items with the data"));
        }
        Ok(())
    }

    /// The estimate of a fit that begins with this: while [`Self::put_into`] copies, there are a fresh network and the
    /// copy.
    pub(crate) fn add_memory(&self, estimate: MemoryEstimate) -> MemoryEstimate {
        let moment = estimate.model.saturating_add(self.model.bytes() as u64);
        estimate.with_moment("a copy of the parameters that it begins with", moment)
    }

    /// What it is, in words with a hash: another model, or other places of the items in it, is another beginning.
    pub(crate) fn describe(&self) -> Result<String> {
        let mut hash = Xxh3::new();
        for NamedTensor { name, data } in self.model.tensors()? {
            hash.update(format!("\n{name} {} {:?}\n", data.dtype(), data.shape()).as_bytes());
            hash.update(data.bytes()?);
        }
        for index in &self.index_there {
            hash.update(&index.map_or(u64::MAX, u64::from).to_le_bytes());
        }
        Ok(format!("a model of {} items, hash {:032x}", self.model.n_items(), hash.digest128()))
    }

    /// Puts the model's parameters into a fresh network.
    pub(crate) fn put_into(&self, network: &mut impl Adopt) -> Result<()> {
        let tensors = self.model.tensors()?;
        network.adopt(self.model.n_items(), &self.index_there, |name, shape| find(&tensors, name, shape))
    }
}

/// A network that can begin with the parameters of another one.
pub(crate) trait Adopt {
    /// Overwrites every parameter by what `read` has under its name in a network of the same widths and `items_there`
    /// items. What belongs to items that `index_there` does not know stays.
    fn adopt<'v>(
        &mut self,
        items_there: usize,
        index_there: &[Option<u32>],
        read: impl Fn(&str, &[usize]) -> Result<&'v [f32]>,
    ) -> Result<()>;
}

impl Adopt for Network<f32> {
    fn adopt<'v>(
        &mut self,
        items_there: usize,
        index_there: &[Option<u32>],
        read: impl Fn(&str, &[usize]) -> Result<&'v [f32]>,
    ) -> Result<()> {
        Self::adopt(self, items_there, index_there, read)
    }
}

/// The tensor of that name and shape.
fn find<'t>(tensors: &'t [NamedTensor<'_>], name: &str, shape: &[usize]) -> Result<&'t [f32]> {
    let found = tensors.iter().find(|tensor| tensor.name == name && tensor.data.shape() == shape);
    let values = found.and_then(|tensor| match &tensor.data {
        TensorData::F32(values) => values.as_slice(),
        _ => None,
    });
    values.ok_or_else(|| Error::Internal(format!("the model has no f32 tensor '{name}' of shape {shape:?}")))
}

impl ModelKind {
    /// Options in which a model must agree with the one that it begins with; `None` if there is nothing to begin with.
    fn options_of_shape(self) -> Option<&'static [&'static str]> {
        match self {
            Self::MultDae => Some(&["latentDim"]),
            Self::MultVae => Some(&["hiddenDim", "latentDim"]),
            Self::RecVae => Some(&["hiddenDim", "latentDim", "encoder"]),
            Self::HVamp => Some(&["hiddenDim", "latentDim", "pseudoUsers"]),
            _ => None,
        }
    }

    /// Fails unless a fit of this kind can begin with the parameters of `from`. `options`: all of them, as from
    /// [`ModelKind::complete_options`].
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `from` is of another kind or was trained with other values of `hiddenDim`, `latentDim`,
    /// `encoder` or `pseudoUsers`, and for kinds that have nothing to begin with.
    pub fn check_from(self, options: &serde_json::Value, from: &dyn Model) -> Result<()> {
        let (name, other) = (self.name(), from.kind().name());
        let got = format!("a model of kind '{other}'");
        let Some(shape) = self.options_of_shape() else {
            let way_out = if self == Self::Ease { "; it takes new users through its counts (EaseCounts)" } else { "" };
            let allowed = format!("nothing for '{name}', which takes all users at once{way_out}");
            return Err(Error::invalid_argument("from", got, allowed));
        };
        if from.kind() != self {
            return Err(Error::invalid_argument("from", got, format!("a model of kind '{name}'")));
        }
        let theirs = from.options();
        match shape.iter().find(|option| options[**option] != theirs[**option]) {
            Some(option) => {
                let allowed = format!("{}, as in the model that training begins with (from)", theirs[*option]);
                Err(Error::invalid_argument(*option, &options[*option], allowed))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::options::Options;
    use crate::evaluate::evaluation::evaluate;
    use crate::evaluate::metrics::Metric;
    use crate::evaluate::scorer::Scorer;
    use crate::math::csr::Csr;
    use crate::models::{MultDaeOptions, MultVaeOptions, RecVaeOptions, mult_dae, mult_vae, rec_vae};
    use crate::nn::encoder::EncoderMemory;
    use crate::nn::fused::Fused;
    use crate::nn::noise::Seeded;
    use crate::nn::old_posterior::OldPosterior;
    use crate::serve::recommender::Recommender;
    use crate::split::parts::HeldOut;
    use crate::train::run::FitRun;
    use serde_json::{Value, json};

    const N_ITEMS: usize = 40;

    fn ids(names: impl IntoIterator<Item = usize>) -> Ids {
        names.into_iter().map(|item| format!("item {item}")).collect()
    }

    /// Users of two tastes: items 0..20 or 20..40.
    fn rows(n_users: usize) -> Vec<Vec<u32>> {
        let row = |user: usize| {
            let mine = move |item: &u32| (item * 7 + user as u32 * 3) % 10 < 7;
            (0..20u32).filter(mine).map(|item| (user % 2) as u32 * 20 + item).collect()
        };
        (0..n_users).map(row).collect()
    }

    fn validation() -> HeldOut {
        let part = |target: bool| {
            let keep = move |row: Vec<u32>| -> Vec<u32> {
                row.into_iter().enumerate().filter(|(at, _)| (at % 4 == 0) == target).map(|(_, item)| item).collect()
            };
            Csr::from_rows(rows(30).into_iter().map(keep), N_ITEMS).unwrap()
        };
        HeldOut::new((0..30).map(|user| user.to_string()).collect(), part(false), part(true)).unwrap()
    }

    fn options(kind: ModelKind) -> Value {
        let mut options = json!({"hiddenDim": 24, "latentDim": 6, "batchSize": 40, "epochs": 12, "learningRate": 0.01});
        match kind {
            ModelKind::MultDae => {
                options.as_object_mut().unwrap().remove("hiddenDim");
                options["epochs"] = 40.into(); // until it hardly changes
            }
            ModelKind::MultVae => options["annealing"] = 0.into(),
            _ => {}
        }
        options
    }

    fn trained(kind: ModelKind, options: &Value) -> Recommender {
        let train = Csr::from_rows(rows(160), N_ITEMS).unwrap();
        let fit = kind.fit(options, &train, Some(&validation()), &FitRun::default()).unwrap();
        Recommender::new(fit.model, ids(0..N_ITEMS), Value::Null).unwrap()
    }

    /// What the training of a fit begins with; the old posterior too, where there is one.
    fn beginning(kind: ModelKind, train: &Csr, from: Option<&WarmStart<'_>>) -> (Network<f32>, Option<Vec<f32>>) {
        let (noise, run) = (Seeded(1), FitRun { from: from.cloned(), ..FitRun::default() });
        let training = match kind {
            ModelKind::MultDae => {
                mult_dae::start(&MultDaeOptions::from_json(&options(kind)).unwrap(), train, &noise, &run).unwrap()
            }
            ModelKind::MultVae => {
                mult_vae::start(&MultVaeOptions::from_json(&options(kind)).unwrap(), train, &noise, &run).unwrap()
            }
            _ => rec_vae::start(&RecVaeOptions::from_json(&options(kind)).unwrap(), train, &noise, &run).unwrap(),
        };
        let Fused { network, old, .. } = training.engine;
        (network, old.map(|old| all_rows(&old, train)))
    }

    fn all_rows(posterior: &OldPosterior<f32>, train: &Csr) -> Vec<f32> {
        let (users, mut rows): (Vec<usize>, _) = ((0..train.n_rows()).collect(), vec![]);
        posterior.gather(&users, &mut rows);
        rows
    }

    const KINDS: [ModelKind; 3] = [ModelKind::MultDae, ModelKind::MultVae, ModelKind::RecVae];

    #[test]
    fn on_the_same_data_it_begins_where_the_model_ended() {
        let train = Csr::from_rows(rows(160), N_ITEMS).unwrap();
        for kind in KINDS {
            let model = trained(kind, &options(kind));
            let from = model.warm_start(model.items());
            let (network, old) = beginning(kind, &train, Some(&from));
            let metric = |scorer: &dyn Scorer| {
                evaluate(scorer, &validation(), &[Metric::VALIDATION]).unwrap().mean(Metric::VALIDATION).unwrap()
            };
            let cold = metric(&beginning(kind, &train, None).0);
            assert_eq!(metric(&network), metric(model.model()), "{kind:?}");
            assert!(metric(&network) > cold + 0.1, "{kind:?}: {} and {cold}", metric(&network));
            if let Some(old) = old {
                let (mut memory, never) = (EncoderMemory::default(), Cancel::default());
                let own = OldPosterior::of(&network.encoder, &train, 6, 40, &mut memory, &never).unwrap();
                assert_eq!(old, all_rows(&own, &train));
            }
            // One epoch leaves it there, while a cold one is still far away.
            let mut one = options(kind);
            one["epochs"] = 1.into();
            let first = |from| {
                let run = FitRun { from, ..FitRun::default() };
                kind.fit(&one, &train, Some(&validation()), &run).unwrap().epochs[0].validation.unwrap()
            };
            let (warm, cold) = (first(Some(from)), first(None));
            assert!((warm - metric(model.model())).abs() < 0.05 && warm > cold, "{kind:?}: {warm} and {cold}");
        }
    }

    #[test]
    fn rows_go_where_their_items_are_and_new_items_have_fresh_ones() {
        // Item 0 is gone, 40 and 41 are new, and the others stand in another order.
        let names: Vec<usize> = [40].into_iter().chain((1..N_ITEMS).rev()).chain([41]).collect();
        let place = |item: u32| names.iter().position(|&name| name == item as usize);
        let moved = rows(50).into_iter().map(|row| {
            let mut row: Vec<u32> = row.into_iter().filter_map(place).map(|at| at as u32).collect();
            row.sort_unstable();
            row
        });
        let train = Csr::from_rows(moved, names.len()).unwrap();
        for kind in KINDS {
            let model = trained(kind, &options(kind));
            let (network, _) = beginning(kind, &train, Some(&model.warm_start(&ids(names.iter().copied()))));
            let (fresh, _) = beginning(kind, &train, None);
            let theirs = model.model().tensors().unwrap();
            for (ours, fresh) in network.export().into_iter().zip(fresh.export()) {
                let theirs = theirs.iter().find(|tensor| tensor.name == ours.name).unwrap();
                let TensorData::F32(values) = &theirs.data else { panic!("not f32") };
                let values = values.as_slice().unwrap();
                if theirs.data.shape()[0] != N_ITEMS {
                    assert_eq!(ours.values.as_slice().unwrap(), values, "{kind:?}: {}", ours.name);
                    continue;
                }
                let width = values.len() / N_ITEMS;
                let row = |values: &[f32], at: usize| values[at * width..][..width].to_vec();
                let (ours_values, fresh_values) = (ours.values.as_slice().unwrap(), fresh.values.as_slice().unwrap());
                for (at, &name) in names.iter().enumerate() {
                    let expected = if name < N_ITEMS { row(values, name) } else { row(fresh_values, at) };
                    assert_eq!(row(ours_values, at), expected, "{kind:?}: {} of item {name}", ours.name);
                }
            }
            // The same scores for the same history, whatever the order; sums of rows in another order round otherwise.
            let history = [3u32, 5, 8, 12];
            let there = model.model().scores(&[&history]).unwrap();
            let mut moved: Vec<u32> = history.iter().filter_map(|&item| place(item)).map(|at| at as u32).collect();
            moved.sort_unstable();
            let here = network.scores(&[&moved]).unwrap();
            let (here, there) = (here.row(0), there.row(0));
            for (at, &name) in names.iter().enumerate().filter(|(_, name)| **name < N_ITEMS) {
                assert!((here[at] - there[name]).abs() < 1e-4, "{kind:?}: {} and {}", here[at], there[name]);
            }
        }
    }

    /// Items that came after the model was trained are recommended once it has gone on with users who have them.
    #[test]
    fn new_items_are_learnt() {
        let (n_items, new) = (N_ITEMS + 2, N_ITEMS as u32);
        // Whoever has item 1 has the first new item, whoever has item 21 the second.
        let grown = |mut row: Vec<u32>| {
            row.extend(
                [(1, new), (21, new + 1)]
                    .iter()
                    .filter(|(old, _)| row.contains(old))
                    .map(|(_, item)| *item)
                    .collect::<Vec<_>>(),
            );
            row
        };
        let train = Csr::from_rows(rows(160).into_iter().map(grown), n_items).unwrap();
        for kind in KINDS {
            let model = trained(kind, &options(kind));
            let run = FitRun { from: Some(model.warm_start(&ids(0..n_items))), ..FitRun::default() };
            let fit = kind.fit(&options(kind), &train, None, &run).unwrap();
            for (item, other, history) in [(new, new + 1, [1u32, 3, 7, 10]), (new + 1, new, [21, 23, 27, 30])] {
                let list = &crate::evaluate::lists::recommend(&*fit.model, &[&history], 16, true).unwrap()[0];
                let has = |item| list.iter().any(|scored| scored.item == item);
                assert!(has(item) && !has(other), "{kind:?}: {item} and {other} in {list:?}");
            }
        }
    }

    #[test]
    fn same_start_same_bytes_for_any_number_of_threads() {
        let train = Csr::from_rows(rows(90), N_ITEMS).unwrap();
        for kind in KINDS {
            let model = trained(kind, &options(kind));
            let parameters = |threads: usize| {
                crate::Threads::new(Some(threads)).unwrap().install(|| {
                    let run = FitRun { from: Some(model.warm_start(model.items())), ..FitRun::default() };
                    let fit = kind.fit(&options(kind), &train, None, &run).unwrap();
                    let values = |tensor: NamedTensor<'_>| match tensor.data {
                        TensorData::F32(values) => values.into_owned(),
                        _ => panic!("not f32"),
                    };
                    fit.model.tensors().unwrap().into_iter().map(values).collect::<Vec<_>>()
                })
            };
            assert!(parameters(1) == parameters(3), "{kind:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let train = Csr::from_rows(rows(60), N_ITEMS).unwrap();
        let mut few = options(ModelKind::RecVae);
        few["epochs"] = 1.into();
        let model = trained(ModelKind::RecVae, &few);
        let error = |kind: ModelKind, change: (&str, Value), items: &Ids| {
            let mut options = if kind == ModelKind::Ease { json!({}) } else { options(kind) };
            if !change.0.is_empty() {
                options[change.0] = change.1;
            }
            let run = FitRun { from: Some(model.warm_start(items)), ..FitRun::default() };
            let error = kind.fit(&options, &train, None, &run).err().expect("an error");
            (error.code(), error.to_string())
        };
        let (known, none) = (ids(0..N_ITEMS), ("", Value::Null));
        let as_there = "as in the model that training begins with (from)";
        for (found, text) in [
            (error(ModelKind::RecVae, ("hiddenDim", json!(600)), &known), format!("hiddenDim is 600; allowed: 24, {as_there}")),
            (error(ModelKind::RecVae, ("latentDim", json!(7)), &known), format!("latentDim is 7; allowed: 6, {as_there}")),
            (error(ModelKind::RecVae, ("encoder", json!("shallow")), &known), format!("encoder is \"shallow\"; allowed: \"dense\", {as_there}")),
            (error(ModelKind::MultVae, none.clone(), &known), "from is a model of kind 'recvae'; allowed: a model of kind 'mult-vae'".to_owned()),
            (
                error(ModelKind::Ease, none.clone(), &known),
                "from is a model of kind 'recvae'; allowed: nothing for 'ease', which takes all users at once; it \
                 takes new users through its counts (EaseCounts)"
                    .to_owned(),
            ),
            (
                error(ModelKind::RecVae, none.clone(), &ids(100..100 + N_ITEMS)),
                "from is a model of 40 items, none of which is among the 40 of the data; allowed: a model that shares items with \
                 the data"
                    .to_owned(),
            ),
        ] {
            assert_eq!(found, ("INVALID_ARGUMENT", text));
        }
        assert_eq!(error(ModelKind::RecVae, none, &ids(0..3)).0, "INVALID_DATA");
    }
}
