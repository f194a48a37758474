//! Filters, similar items and users, explanations: against naive ways to get the same, and for every model.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use recvae_core::ndarray::{ArrayView1, ArrayViewMut2, Axis};
use recvae_core::{
    BlendOptions, Cancel, Candidates, CompactOptions, Csr, ExplainOptions, FitRun, History, Interactions, ModelKind,
    Options, RecommendOptions, Recommender, Result, Scored, Scorer, SimilarOptions, SplitOptions, Thresholds,
    recommend_among, split,
};
use serde_json::{Value, json};

/// Gives each user the scores of its own row.
#[derive(Debug)]
struct Table(Vec<Vec<f32>>);

impl Scorer for Table {
    fn n_items(&self) -> usize {
        self.0[0].len()
    }

    /// Histories tell users apart by their length.
    fn score(&self, histories: &[&[u32]], mut scores: ArrayViewMut2<'_, f32>) -> Result<()> {
        for (history, mut scores) in histories.iter().zip(scores.rows_mut()) {
            scores.assign(&ArrayView1::from(&self.0[history.len() % self.0.len()]));
        }
        Ok(())
    }
}

/// Scores, filter, full sort.
fn naive(scores: &[f32], k: usize, passes: impl Fn(u32) -> bool) -> Vec<Scored> {
    let all = (0u32..).zip(scores).map(|(item, &score)| Scored { item, score });
    let mut left: Vec<Scored> = all.filter(|scored| passes(scored.item)).collect();
    left.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.item.cmp(&b.item)));
    left.truncate(k);
    left
}

/// A share of the items, from none to all, mostly near one of the ends.
fn subset(n_items: u32) -> impl Strategy<Value = Vec<u32>> {
    let share = prop_oneof![Just(0.0), Just(0.02), Just(0.5), Just(0.98), Just(1.0)];
    (share, any::<u64>()).prop_map(move |(share, seed)| {
        let mut random = recvae_core::Stream::new(seed, 0);
        let mut items: Vec<u32> = (0..n_items).filter(|_| (random.below(1000) as f64) < share * 1000.0).collect();
        let doubled: Vec<u32> = items.iter().copied().filter(|_| random.below(4) == 0).collect();
        items.extend(doubled); // more than once and out of order
        items
    })
}

fn score() -> impl Strategy<Value = f32> {
    // Ties, minus infinity (which is still a score) and plain numbers.
    prop_oneof![Just(0.0f32), Just(1.0), Just(f32::NEG_INFINITY), -3.0f32..3.0]
}

prop_compose! {
    fn case()(n_items in 1u32..700)(
        tables in prop::collection::vec(prop::collection::vec(score(), n_items as usize), 3),
        histories in prop::collection::vec(subset(n_items), 1..6),
        first in (prop::option::of(subset(n_items)), subset(n_items)),
        second in (prop::option::of(subset(n_items)), subset(n_items)),
        k in prop_oneof![Just(1usize), 1usize..30, Just(2000)],
        filter_seen in any::<bool>(),
    ) -> (Table, Vec<Vec<u32>>, [(Option<Vec<u32>>, Vec<u32>); 2], usize, bool) {
        (Table(tables), histories, [first, second], k, filter_seen)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// One filter, and a second one within it.
    #[test]
    fn lists_are_those_of_a_full_sort((table, mut histories, filters, k, filter_seen) in case()) {
        for history in &mut histories {
            history.sort_unstable();
            history.dedup();
        }
        let histories: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
        let mut candidates = Candidates::all(table.n_items());
        for depth in 0..=filters.len() {
            let passes = |item: u32| {
                filters[..depth].iter().all(|(allow, deny)| {
                    allow.as_ref().is_none_or(|allow| allow.contains(&item)) && !deny.contains(&item)
                })
            };
            prop_assert_eq!(candidates.len(), (0..table.n_items() as u32).filter(|&item| passes(item)).count());
            let lists = recommend_among(&table, &histories, k, filter_seen, &candidates).unwrap();
            for (history, list) in histories.iter().zip(lists) {
                let scores = &table.0[history.len() % 3];
                let expected = naive(scores, k, |item| passes(item) && !(filter_seen && history.contains(&item)));
                prop_assert_eq!(list, expected);
            }
            if let Some((allow, deny)) = filters.get(depth) {
                candidates = candidates.narrow(allow.clone(), deny.clone());
            }
        }
    }
}

const N_ITEMS: usize = 60;

/// Users of three tastes, 20 items each: most items of their own, few others.
fn train() -> Csr {
    let mut random = recvae_core::Stream::new(7, 0);
    let rows = (0..300u32).map(|user| {
        let mut likes = |item: u32| random.below(100) < if item / 20 == user % 3 { 70 } else { 3 };
        (0..N_ITEMS as u32).filter(|&item| likes(item)).collect::<Vec<_>>()
    });
    Csr::from_rows(rows.collect::<Vec<_>>(), N_ITEMS).unwrap()
}

fn options(kind: ModelKind) -> Value {
    match kind {
        ModelKind::Popularity => json!({}),
        ModelKind::Ease => json!({"lambda": 5}),
        ModelKind::Edlae => json!({"lambda": 2, "dropoutRate": 0.2}),
        ModelKind::Rdlae => json!({"lambda": 2, "dropoutRate": 0.2, "xi": 0.4}),
        ModelKind::Deql => json!({"lambda": 2, "dropoutRate": 0.2, "keptWeight": 0.5}),
        ModelKind::HoEase => json!({"lambda": 5, "pairLambda": 20, "pairs": 100}),
        ModelKind::Als => json!({"factors": 8, "lambda": 0.01}),
        ModelKind::MultDae => json!({"latentDim": 8, "batchSize": 20, "epochs": 40, "learningRate": 1e-2}),
        ModelKind::HVamp => json!({
            "hiddenDim": 32, "latentDim": 8, "pseudoUsers": 10, "batchSize": 20, "epochs": 40, "learningRate": 1e-2
        }),
        _ => json!({"hiddenDim": 32, "latentDim": 8, "batchSize": 20, "epochs": 40, "learningRate": 1e-2}),
    }
}

fn recommender(kind: ModelKind, options: &Value) -> Recommender {
    let model = kind.fit(options, &train(), None, &FitRun::default()).unwrap().model;
    Recommender::new(model, (0..N_ITEMS).map(|item| format!("i{item}")).collect(), Value::Null).unwrap()
}

/// Every form of EASE^R: as fitted, in half precision, pruned.
fn forms_of_ease() -> Vec<(String, Recommender)> {
    let mut forms = vec![];
    for precision in ["f32", "f64"] {
        let fitted = recommender(ModelKind::Ease, &json!({"lambda": 5, "precision": precision}));
        for form in [
            json!({"precision": "f16"}),
            json!({"topPerItem": 30}),
            json!({"topPerItem": 30, "precision": "f16"}),
            json!({"topPerItem": 3}),
        ] {
            let compact = fitted.compact(&CompactOptions::from_json(&form).unwrap()).unwrap();
            forms.push((format!("{precision}, {form}"), compact));
        }
        forms.push((precision.into(), fitted));
    }
    forms
}

fn all() -> impl Iterator<Item = (ModelKind, Recommender)> {
    // Of three entries a row, most similarities would be zero.
    let forms = forms_of_ease().into_iter().filter(|(form, _)| !form.ends_with(r#""topPerItem":3}"#));
    let others = ModelKind::TRAINED.iter().filter(|&&kind| kind != ModelKind::Ease);
    let others = others.map(|&kind| (kind, recommender(kind, &options(kind))));
    let blends = ["z-score", "rank"].map(|scale| (ModelKind::Blend, blend(scale)));
    others.chain(forms.map(|(_, model)| (ModelKind::Ease, model))).chain(blends)
}

/// Three models together, each in equal shares.
fn blend(scale: &str) -> Recommender {
    let kinds = [ModelKind::Ease, ModelKind::Als, ModelKind::RecVae];
    let parts = kinds.map(|kind| recommender(kind, &options(kind)));
    let options = BlendOptions::from_json(&json!({ "weights": [0.4, 0.3, 0.3], "scale": scale })).unwrap();
    let rows = train();
    let histories = rows.rows().enumerate().map(|(user, row)| (format!("u{user}"), ids(row.iter().copied())));
    let data = Interactions::from_histories(histories, &Thresholds::default()).unwrap();
    let split = split(&data, &SplitOptions::default()).unwrap();
    options.blend(&parts.each_ref(), &split, &FitRun::default()).unwrap()
}

fn ids(items: impl IntoIterator<Item = u32>) -> Vec<String> {
    items.into_iter().map(|item| format!("i{item}")).collect()
}

/// A product of other shape sums in another order; models that add rows of weights, and popularity, do not.
fn close(kind: ModelKind, a: f32, b: f32) -> bool {
    match kind {
        ModelKind::Popularity
        | ModelKind::Ease
        | ModelKind::Edlae
        | ModelKind::Rdlae
        | ModelKind::Deql
        | ModelKind::HoEase => a == b,
        ModelKind::Als
        | ModelKind::MultDae
        | ModelKind::MultVae
        | ModelKind::RecVae
        | ModelKind::HVamp
        | ModelKind::Blend => (a - b).abs() <= 1e-5 * (1.0 + b.abs()),
    }
}

#[test]
fn a_filter_changes_no_score_and_leaves_exactly_k() {
    for (kind, model) in all() {
        let histories = [model.history(ids([1, 4, 9, 13, 17])), model.history(ids([])), model.history(ids([21, 22]))];
        let everything = RecommendOptions { k: N_ITEMS, filter_seen: false, ..RecommendOptions::default() };
        let unfiltered = model.recommend(&histories, &everything).unwrap();
        for (allow, deny) in [
            (Some(ids([2])), ids([])),          // few
            (Some(ids([2, 40, 9])), ids([40])), // few, one of them denied
            (Some(ids(0..30)), ids([3])),       // half
            (Some(ids(1..60)), ids([])),        // nearly all
            (None, ids([7, 8])),                // nearly all
            (None, ids(0..57)),                 // few
        ] {
            let filter = model.filter(allow.as_deref(), &deny, None).unwrap();
            let passes = |item: u32| {
                let id = format!("i{item}");
                allow.as_ref().is_none_or(|allow| allow.contains(&id)) && !deny.contains(&id)
            };
            for (k, filter_seen) in [(1, true), (3, false), (N_ITEMS, true), (N_ITEMS, false)] {
                let options = RecommendOptions { k, filter_seen, ..RecommendOptions::default() };
                let lists = model.recommend_within(&histories, &options, &filter).unwrap();
                for ((history, list), unfiltered) in histories.iter().zip(&lists).zip(&unfiltered) {
                    let counts = |item: u32| passes(item) && !(filter_seen && history.items.contains(&item));
                    let n = (0..N_ITEMS as u32).filter(|&item| counts(item)).count();
                    assert_eq!(list.len(), n.min(k), "{kind:?}");
                    assert!(list.iter().all(|scored| counts(scored.item)), "{kind:?}");
                    for pair in list.windows(2) {
                        assert!(pair[0].score >= pair[1].score);
                    }
                    for scored in list {
                        let whole = unfiltered.iter().find(|other| other.item == scored.item).unwrap();
                        assert!(close(kind, scored.score, whole.score), "{kind:?}: {scored:?} and {whole:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn unknown_ids_are_ignored_and_told_and_an_empty_list_allows_nothing() {
    let model = recommender(ModelKind::Ease, &json!({"lambda": 5}));
    let deny = ["new", "i3", "i3"].map(String::from);
    let filter =
        model.filter(Some(&["i3".into(), "x".into(), "i4".into(), "y".into(), "i4".into()]), &deny, None).unwrap();
    assert_eq!((filter.len(), filter.unknown_allow(), filter.unknown_deny()), (1, &[1, 3][..], &[0][..]));
    let nothing = model.filter(Some(&["x"]), &[], None).unwrap();
    assert!(nothing.is_empty() && model.filter::<&str>(Some(&[]), &[], None).unwrap().is_empty());
    let lists = model.recommend_within(&[model.history(["i1"])], &RecommendOptions::default(), &nothing).unwrap();
    assert_eq!(lists, [vec![]]);
    let within =
        model.filter(None, &["i5"], Some(&model.filter(Some(&["i5", "i6", "i7"]), &[], None).unwrap())).unwrap();
    assert_eq!(within.len(), 2);
}

#[test]
fn a_filter_of_another_model_is_refused() {
    let (model, twin) = (recommender(ModelKind::Ease, &json!({})), recommender(ModelKind::Ease, &json!({})));
    let filter = twin.filter(Some(&["i1"]), &[], None).unwrap();
    let text = "filter is one of another model; allowed: a filter that this model made";
    let errors = [
        model.recommend_within(&[History::default()], &RecommendOptions::default(), &filter).unwrap_err(),
        model.filter(Some(&["i1"]), &[], Some(&filter)).unwrap_err(),
        model.similar_items("i1", &SimilarOptions::default(), Some(&filter)).unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.code() == "INVALID_ARGUMENT" && error.to_string() == text), "{errors:?}");
}

#[test]
fn similar_items_share_a_taste() {
    for (kind, model) in all() {
        let ten = SimilarOptions { k: 10 };
        if kind == ModelKind::Popularity {
            let error = model.similar_items("i24", &ten, None).unwrap_err();
            let text = "the model of similarItems is 'popularity'; allowed: ease, edlae, rdlae, deql, hoease, als, mult-dae, mult-vae, recvae, hvamp, blend";
            assert_eq!((error.code(), error.to_string().as_str()), ("INVALID_ARGUMENT", text));
            continue;
        }
        // Of the ten most similar to each item; by chance a third would be of its taste.
        let of_taste = |item: u32| {
            let list = model.similar_items(&format!("i{item}"), &ten, None).unwrap();
            assert_eq!(list.len(), 10);
            list.iter().filter(|scored| scored.item / 20 == item / 20 && scored.item != item).count()
        };
        let right: usize = (0..N_ITEMS as u32).map(of_taste).sum();
        assert!(right >= N_ITEMS * 10 * 3 / 4, "{kind:?}: {right}");
        // All but itself, also where it is allowed; k, deny and allow as everywhere.
        assert_eq!(model.similar_items("i24", &SimilarOptions { k: 1000 }, None).unwrap().len(), N_ITEMS - 1);
        let filter = model.filter(Some(&["i24", "i30", "i50", "i31"]), &["i31"], None).unwrap();
        let among = model.similar_items("i24", &ten, Some(&filter)).unwrap();
        let mut among: Vec<u32> = among.iter().map(|scored| scored.item).collect();
        among.sort_unstable();
        assert_eq!(among, [30, 50], "{kind:?}");
        let error = model.similar_items("i60", &ten, None).unwrap_err();
        assert_eq!(error.to_string(), "item is 'i60'; allowed: the id of an item that the model knows");
    }
}

#[test]
fn similar_items_of_ease_are_the_list_for_a_history_of_one() {
    for (form, model) in forms_of_ease() {
        for item in 0..N_ITEMS {
            let id = format!("i{item}");
            let history = model.history([&id]);
            let list = model.recommend(&[history], &RecommendOptions { k: 60, ..RecommendOptions::default() }).unwrap();
            assert_eq!(model.similar_items(&id, &SimilarOptions { k: 60 }, None).unwrap(), list[0], "{form}");
        }
    }
}

#[test]
fn similar_items_of_an_autoencoder_are_cosines_of_decoder_rows() {
    for kind in [ModelKind::MultDae, ModelKind::MultVae, ModelKind::RecVae] {
        let model = recommender(kind, &options(kind));
        let tensors = model.model().tensors().unwrap();
        let weight = tensors.iter().find(|tensor| tensor.name == "decoder.output.weight").unwrap();
        let recvae_core::TensorData::F32(values) = &weight.data else { panic!("not f32") };
        let row = |item: u32| -> Vec<f64> {
            values.index_axis(Axis(0), item as usize).iter().map(|&value| value.into()).collect()
        };
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        for Scored { item, score } in model.similar_items("i7", &SimilarOptions { k: 60 }, None).unwrap() {
            let (a, b) = (row(7), row(item));
            let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
            assert!((f64::from(score) - cosine).abs() < 1e-5, "{kind:?}: {score} and {cosine}");
        }
    }
}

#[test]
fn similar_users_share_a_taste() {
    for (kind, model) in all() {
        let user = model.history(ids([21, 24, 29, 33]));
        let others: Vec<History> =
            (0..600u32).map(|n| model.history(ids((0..6).map(|item| n % 3 * 20 + (item * 3 + n) % 20)))).collect();
        let found = model.similar_users(&user, &others, &SimilarOptions { k: 50 });
        if !kind.has_embedding() {
            let error = found.unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "the model of similarUsers is '{}'; allowed: als, mult-dae, mult-vae, recvae, hvamp",
                    kind.name()
                )
            );
            assert!(model.embed(&others).unwrap_err().to_string().starts_with("the model of embed is"));
            continue;
        }
        let found = found.unwrap();
        assert_eq!(found.len(), 50);
        let right = found.iter().filter(|scored| scored.item % 3 == 1).count();
        assert!(right >= 45, "{kind:?}: {right}");
        assert!(found.iter().all(|scored| (-1.0001..=1.0001).contains(&scored.score)));
        // The user itself is as similar as can be; an empty list of users has nobody.
        let with_itself = [others[0].clone(), user.clone()];
        let best = model.similar_users(&user, &with_itself, &SimilarOptions::default()).unwrap()[0];
        assert!(best.item == 1 && (best.score - 1.0).abs() < 1e-5);
        assert!(model.similar_users(&user, &[], &SimilarOptions::default()).unwrap().is_empty());
        assert_eq!(model.embed(&[]).unwrap().dim(), (0, 8));
        // Vectors come in the order of the histories, more than one block of them.
        let vectors = model.embed(&others).unwrap();
        assert_eq!(vectors.dim(), (600, 8));
        let last = model.embed(&others[599..]).unwrap();
        assert!(vectors.row(599).iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn explanations_of_ease_sum_to_the_score() {
    for (form, model) in forms_of_ease() {
        let history = model.history(ids([1, 4, 9, 13, 25, 44, 50]));
        for item in 0..N_ITEMS {
            let explanation = model.explain(&history, &format!("i{item}"), &ExplainOptions { k: 100 }).unwrap();
            assert_eq!(explanation.reasons.len(), history.items.len());
            let sum: f64 = explanation.reasons.iter().map(|reason| reason.contribution).sum();
            // The score is a sum of seven numbers in f32, each addition off by half an ulp of at most their magnitudes.
            let magnitude: f64 = explanation.reasons.iter().map(|reason| reason.contribution.abs()).sum();
            let off = (sum - f64::from(explanation.score)).abs();
            assert!(off <= 7.0 * f64::from(f32::EPSILON) * magnitude, "{form}: {off}");
        }
    }
}

#[test]
fn explanations_of_als_sum_to_the_score() {
    let model = recommender(ModelKind::Als, &options(ModelKind::Als));
    let history = model.history(ids([1, 4, 9, 13, 25, 44, 50]));
    for item in 0..N_ITEMS {
        let explanation = model.explain(&history, &format!("i{item}"), &ExplainOptions { k: 100 }).unwrap();
        let sum: f64 = explanation.reasons.iter().map(|reason| reason.contribution).sum();
        // Two solutions of equations of a condition number below 1,000, in f32.
        assert!((sum - f64::from(explanation.score)).abs() < 1e-4, "{item}: {sum} and {}", explanation.score);
    }
}

#[test]
fn explanations_have_one_shape_and_name_items_of_the_taste() {
    for (kind, model) in all() {
        let history = model.history(["i21", "i24", "nothing", "i29", "i50", "i2", "i33"]);
        let everything = RecommendOptions { k: N_ITEMS, filter_seen: false, ..RecommendOptions::default() };
        let scores = &model.recommend(std::slice::from_ref(&history), &everything).unwrap()[0];
        for item in [27, 24, 3] {
            let explanation = model.explain(&history, &format!("i{item}"), &ExplainOptions { k: 4 }).unwrap();
            let expected = scores.iter().find(|scored| scored.item == item).unwrap().score;
            assert!(explanation.item == item && close(kind, explanation.score, expected), "{kind:?}");
            let reasons = explanation.reasons;
            assert_eq!(reasons.len(), if kind == ModelKind::Popularity { 0 } else { 4 });
            assert!(reasons.windows(2).all(|pair| pair[0].contribution >= pair[1].contribution));
            assert!(reasons.iter().all(|reason| history.items.contains(&reason.item)));
            if item == 27 {
                let right = reasons.iter().filter(|reason| (20..40).contains(&reason.item)).count();
                assert!(reasons.is_empty() || right >= 3, "{kind:?}: {reasons:?}");
            }
        }
        let error = model.explain(&history, "nothing", &ExplainOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "item is 'nothing'; allowed: the id of an item that the model knows");
        assert!(model.explain(&History::default(), "i1", &ExplainOptions::default()).unwrap().reasons.is_empty());
    }
}

/// More items than one block of histories has, each contribution against two scores got the plain way.
#[test]
fn contributions_are_what_the_score_loses() {
    let n_items = 400u32;
    let rows: Vec<Vec<u32>> =
        (0..80).map(|user| (0..n_items).filter(|item| (item * 7 + user * 13) % 11 < 9).collect()).collect();
    let train = Csr::from_rows(rows, n_items as usize).unwrap();
    let ease = || (ModelKind::Ease, json!({"lambda": 20}));
    for ((kind, options), form) in [
        (ease(), None),
        (ease(), Some(json!({"precision": "f16"}))),
        (ease(), Some(json!({"topPerItem": 50}))),
        ((ModelKind::Edlae, json!({"lambda": 20, "dropoutRate": 0.3})), None),
        ((ModelKind::Rdlae, json!({"lambda": 20, "xi": 0.5})), None),
        ((ModelKind::Deql, json!({"lambda": 20, "keptWeight": 0.5})), None),
        ((ModelKind::MultDae, json!({"latentDim": 4, "epochs": 2})), None),
        ((ModelKind::MultVae, json!({"hiddenDim": 16, "latentDim": 4, "epochs": 2})), None),
        ((ModelKind::RecVae, json!({"hiddenDim": 16, "latentDim": 4, "epochs": 2})), None),
    ] {
        let mut model = kind.fit(&options, &train, None, &FitRun::default()).unwrap().model;
        if let Some(form) = form {
            model = model.compact(&CompactOptions::from_json(&form).unwrap()).unwrap();
        }
        let history: Vec<u32> = (0..n_items).filter(|item| item % 4 != 1).collect();
        let contributions = model.contributions(&history, 9, &Cancel::default()).unwrap();
        assert_eq!(contributions.len(), history.len());
        let score = |history: &[u32]| f64::from(model.scores(&[history]).unwrap()[(0, 9)]);
        let whole = score(&history);
        for at in [0, 1, 254, 255, 256, 299] {
            let mut shorter = history.clone();
            shorter.remove(at);
            let loss = whole - score(&shorter);
            // Two scores in f32 from products of other shapes, as in `close`.
            assert!((contributions[at] - loss).abs() <= 4e-5 * (1.0 + whole.abs()), "{kind:?}: {at}");
        }
    }
}

#[test]
fn options_are_checked() {
    for (error, text) in [
        (SimilarOptions::from_json(&json!({"k": 0})).unwrap_err(), "k is 0; allowed: a whole number, 1 or more"),
        (ExplainOptions::from_json(&json!({"k": 1.5})).unwrap_err(), "k is 1.5; allowed: a whole number, 1 or more"),
        (ExplainOptions::from_json(&json!({"n": 3})).unwrap_err(), "explain option is 'n'; allowed: k"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
