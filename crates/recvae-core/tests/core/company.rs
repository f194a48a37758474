//! A user's scores are a function of the history: whoever is scored beside the user, in whatever order, they have the
//! same bits.

#![allow(clippy::unwrap_used)]

use std::sync::OnceLock;

use proptest::prelude::*;
use recvae_core::ndarray::Array2;
use recvae_core::{
    CompactOptions, Csr, FitRun, HeldOut, Metric, Model, ModelKind, Options, RecommendOptions, Recommender,
    SimilarOptions, StoredPrecision, Stream, evaluate,
};
use serde_json::{Value, json};

/// Two tiles of the output layer and a column, so that the last one is short.
const N_ITEMS: usize = 321;

struct Subject {
    name: String,
    model: Recommender,
}

/// Every kind in every form that scores in its own way, small and as wide as by default.
fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| {
        let mut random = Stream::new(2, 0);
        let mut train = |n_items: usize| {
            let rows = (0..120).map(|_| {
                (0..n_items as u32).filter(|&item| random.below(3 + u64::from(item) / 4) == 0).collect::<Vec<_>>()
            });
            Csr::from_rows(rows, n_items).unwrap()
        };
        let (large, small) = (train(N_ITEMS), train(19));
        let mut subjects = vec![];
        let mut add = |kind: ModelKind, options: Value, train: &Csr, compact: &[CompactOptions]| {
            let fit = kind.fit(&options, train, None, &FitRun::default()).unwrap();
            let ids = (0..train.n_cols()).map(|item| item.to_string()).collect();
            let model = Recommender::new(fit.model, ids, Value::Null).unwrap();
            for how in compact {
                let name = format!("{} {options} {how:?}", kind.name());
                subjects.push(Subject { name, model: model.compact(how).unwrap() });
            }
            subjects.push(Subject { name: format!("{} {options} of {}", kind.name(), train.n_cols()), model });
        };
        let half = CompactOptions { top_per_item: None, precision: Some(StoredPrecision::F16) };
        let pruned = CompactOptions { top_per_item: Some(7), precision: None };
        for train in [&large, &small] {
            for &kind in ModelKind::TRAINED {
                let (options, compact): (Value, &[CompactOptions]) = match kind {
                    ModelKind::Popularity => (json!({}), &[]),
                    ModelKind::Ease | ModelKind::Edlae | ModelKind::Rdlae | ModelKind::Deql => {
                        (json!({ "lambda": 20 }), &[half.clone(), pruned.clone()])
                    }
                    ModelKind::HoEase => (json!({ "lambda": 20, "pairLambda": 50, "pairs": 300 }), &[]),
                    ModelKind::Als => (json!({ "factors": 3, "epochs": 2, "lambda": 0.01 }), &[]),
                    ModelKind::MultDae => (json!({ "latentDim": 5, "epochs": 1 }), &[]),
                    ModelKind::MultVae | ModelKind::RecVae => {
                        (json!({ "hiddenDim": 9, "latentDim": 1, "epochs": 1 }), &[])
                    }
                    ModelKind::HVamp => (json!({ "hiddenDim": 9, "latentDim": 1, "pseudoUsers": 4, "epochs": 1 }), &[]),
                    ModelKind::Blend => panic!("it is not trained"),
                };
                add(kind, options, train, compact);
            }
        }
        add(ModelKind::Ease, json!({ "lambda": 20, "precision": "f64" }), &large, &[]);
        add(ModelKind::Ease, json!({ "lambda": 20, "density": 0.1 }), &large, &[]);
        add(ModelKind::Als, json!({ "epochs": 1 }), &large, &[]);
        for kind in [ModelKind::MultDae, ModelKind::MultVae, ModelKind::RecVae] {
            add(kind, json!({ "epochs": 1 }), &large, &[]);
        }
        add(ModelKind::RecVae, json!({ "epochs": 1, "encoder": "shallow", "hiddenDim": 520 }), &small, &[]);
        subjects
    })
}

fn bits<'n>(numbers: impl IntoIterator<Item = &'n f32>) -> Vec<u32> {
    numbers.into_iter().map(|number| number.to_bits()).collect()
}

fn alone(model: &dyn Model, history: &[u32]) -> Vec<f32> {
    model.scores(&[history]).unwrap().into_iter().collect()
}

/// Histories of a model's items out of any numbers.
fn histories_of(model: &dyn Model, numbers: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let history = |numbers: &Vec<u32>| {
        let mut history: Vec<u32> = numbers.iter().map(|number| number % model.n_items() as u32).collect();
        history.sort_unstable();
        history.dedup();
        history
    };
    numbers.iter().map(history).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// One to 300 users, more than a block: some of them empty, some twice.
    #[test]
    fn scores_do_not_depend_on_company(
        some in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..12), 1..9),
        places in prop_oneof![
            prop::collection::vec(any::<prop::sample::Index>(), 1..6),
            prop::collection::vec(any::<prop::sample::Index>(), 1..40),
            prop::collection::vec(any::<prop::sample::Index>(), 255..260),
        ],
        items in prop::collection::vec(any::<u32>(), 1..30),
    ) {
        for Subject { name, model } in subjects() {
            let model = model.model();
            let n = model.n_items();
            let histories = histories_of(model, &some);
            let expected: Vec<Vec<f32>> = histories.iter().map(|history| alone(model, history)).collect();
            let group: Vec<usize> = places.iter().map(|place| place.index(histories.len())).collect();
            let of_group: Vec<&[u32]> = group.iter().map(|&user| &histories[user][..]).collect();
            let scores = model.scores(&of_group).unwrap();
            for (scores, &user) in scores.rows().into_iter().zip(&group) {
                prop_assert!(bits(scores) == bits(&expected[user]), "{name}: {:?} among {}", histories[user], group.len());
            }
            let items: Vec<u32> = items.iter().map(|item| item % n as u32).collect();
            for items in [&items[..], &items[..1]] {
                let mut some = Array2::zeros((group.len(), items.len()));
                model.score_some(&of_group, items, some.view_mut()).unwrap();
                for (scores, &user) in some.rows().into_iter().zip(&group) {
                    let expected: Vec<f32> = items.iter().map(|&item| expected[user][item as usize]).collect();
                    prop_assert!(bits(scores) == bits(&expected), "{name}: some of {:?} among {}", histories[user], group.len());
                }
            }
            if model.kind().has_embedding() {
                let together = model.embed(&of_group).unwrap();
                for (vector, &user) in together.rows().into_iter().zip(&group) {
                    prop_assert!(bits(vector) == bits(&model.embed(&[&histories[user]]).unwrap()), "{name}");
                }
            }
        }
    }
}

/// Lists, neighbours and metrics come out of the same scores.
#[test]
fn lists_neighbours_and_metrics_do_not_depend_on_company() {
    let mut random = Stream::new(7, 0);
    let numbers: Vec<Vec<u32>> =
        (0..258).map(|_| (0..random.below(9)).map(|_| random.below(1 << 20) as u32).collect()).collect();
    for Subject { name, model } in subjects() {
        let histories = histories_of(model.model(), &numbers);
        let ids = |history: &Vec<u32>| model.history(history.iter().map(ToString::to_string));
        let known: Vec<_> = histories.iter().map(ids).collect();
        let options = RecommendOptions { k: 5, ..RecommendOptions::default() };
        let together = model.recommend(&known, &options).unwrap();
        for (user, list) in together.iter().enumerate().step_by(37) {
            assert_eq!(&model.recommend(&known[user..=user], &options).unwrap()[0], list, "{name}");
        }
        if model.model().kind().has_embedding() {
            let options = SimilarOptions::from_json(&json!({ "k": 300 })).unwrap();
            let neighbours = model.similar_users(&known[3], &known, &options).unwrap();
            for neighbour in neighbours.iter().step_by(61) {
                let user = neighbour.item as usize;
                let one = model.similar_users(&known[3], &known[user..=user], &options).unwrap();
                assert_eq!(one[0].score.to_bits(), neighbour.score.to_bits(), "{name}");
            }
        }
        // What is held out is an item that the history lacks.
        let n = model.model().n_items();
        let target = |history: &Vec<u32>| vec![(0..n as u32).find(|item| !history.contains(item)).unwrap()];
        let held_out = |users: &[Vec<u32>]| {
            let input = Csr::from_rows(users, n).unwrap();
            let ids = (0..users.len()).map(|user| user.to_string()).collect();
            HeldOut::new(ids, input, Csr::from_rows(users.iter().map(target), n).unwrap()).unwrap()
        };
        let all = evaluate(model.model(), &held_out(&histories), &[Metric::Ndcg(20)]).unwrap();
        for user in [0, 255, 256, 257] {
            let one = evaluate(model.model(), &held_out(&histories[user..=user]), &[Metric::Ndcg(20)]).unwrap();
            assert_eq!(one.metrics[0].per_user[0], all.metrics[0].per_user[user], "{name}");
        }
    }
}
