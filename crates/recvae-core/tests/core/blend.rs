//! Blends of trained models: the files, the threads, what is told, what is refused.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Mutex;

use recvae_core::{
    BlendOptions, Cancel, Checkpoint, CheckpointOptions, Compute, Device, EngineKind, ExplainOptions, FitRun, History,
    Interactions, LoadOptions, Metric, ModelKind, Progress, RecommendOptions, Recommender, Scale, Served,
    SimilarOptions, Split, SplitOptions, Stream, Threads, Thresholds, Within, evaluate, inspect, split,
};
use serde_json::{Value, json};

/// Users with a taste, who also follow fashion: what one kind of model sees another one misses.
fn data() -> Interactions {
    let mut random = Stream::new(3, 0);
    let histories: Vec<(String, Vec<String>)> = (0..900u64)
        .map(|user| {
            let mut items: Vec<String> = vec![];
            for item in 0..120u64 {
                let own = item % 6 == user % 6;
                let chance = if own { 34 - item / 5 } else { 8 - item / 20 };
                if random.below(100) < chance {
                    items.push(format!("item {item}"));
                }
            }
            (format!("user {user}"), items)
        })
        .collect();
    Interactions::from_histories(histories, &Thresholds::default()).unwrap()
}

fn parts_of(data: &Interactions) -> Split {
    split(data, &SplitOptions { validation: 0.25, test: 0.2, seed: 1, ..SplitOptions::default() }).unwrap()
}

fn trained(kind: ModelKind, options: Value, data: &Split) -> Recommender {
    let fit = kind.fit(&options, data.train.matrix(), None, &FitRun::default()).unwrap();
    Recommender::of(fit, &data.train).unwrap()
}

fn three(data: &Split) -> [Recommender; 3] {
    [
        trained(ModelKind::Ease, json!({ "lambda": 30 }), data),
        trained(ModelKind::Als, json!({ "factors": 8, "epochs": 5, "lambda": 0.02 }), data),
        trained(ModelKind::RecVae, json!({ "hiddenDim": 16, "latentDim": 8, "epochs": 8, "batchSize": 100 }), data),
    ]
}

fn given(weights: [f64; 3]) -> BlendOptions {
    BlendOptions { weights: Some(weights.to_vec()), ..BlendOptions::default() }
}

/// Six groups of ten items and one of eight popular ones, of which no user has two, in the order that a seed says:
/// linear models know nothing of most items.
fn apart(order: u64) -> Interactions {
    let mut pairs = vec![];
    for user in 0..500u64 {
        let mut random = Stream::new(5, user);
        let is_popular = random.below(3) > 0;
        let items = if is_popular { random.sample(8, 3) } else { random.sample(10, 5) };
        let name = |item: usize| {
            if is_popular { format!("popular {item}") } else { format!("item {}", 10 * (user % 6) + item as u64) }
        };
        pairs.extend(items.into_iter().map(|item| (format!("user {user}"), name(item))));
    }
    Stream::new(order, 1).shuffle(&mut pairs);
    let (users, items): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
    Interactions::from_columns(&users, &items, None, None, &Thresholds::default()).unwrap()
}

#[test]
fn what_no_part_knows_is_ranked_by_popularity_and_so_is_it_learnt() {
    let options =
        SplitOptions { min_user_items: 2, held_out: 0.5, validation: 0.3, test: 0.2, ..SplitOptions::default() };
    let metric = Metric::Ndcg(100);
    for (order, scale) in [(1, Scale::ZScore), (2, Scale::ZScore), (1, Scale::Rank)] {
        let data = split(&apart(order), &options).unwrap();
        let ease = trained(ModelKind::Ease, json!({ "lambda": 3 }), &data);
        let edlae = trained(ModelKind::Edlae, json!({ "lambda": 3 }), &data);
        let als = trained(ModelKind::Als, json!({ "factors": 8, "epochs": 3 }), &data);
        let halves = BlendOptions { weights: Some(vec![0.5; 2]), scale: Some(scale), ..BlendOptions::default() };
        let blend = halves.blend(&[&ease, &edlae], &data, &FitRun::default()).unwrap();
        // Known items come first, and then the most popular ones of all others, as by a part alone.
        let history = [blend.history(["item 3"])];
        let long = RecommendOptions { k: data.train.n_items(), ..RecommendOptions::default() };
        let serve =
            |model: &Recommender| model.serve(&history, &long, Within::All, &Cancel::default()).unwrap().remove(0);
        let tail = |served: &Served| -> Vec<u32> {
            served.items.iter().filter(|scored| scored.score == 0.0).map(|scored| scored.item).collect()
        };
        let (ours, its) = (serve(&blend), serve(&ease));
        assert!(ours.fallback_used && tail(&ours).len() > 40, "{}", tail(&ours).len());
        assert_eq!(tail(&ours), tail(&its));
        // What is learnt from is what is served.
        let learning = BlendOptions { scale: Some(scale), ..BlendOptions::default() };
        let learnt = learning.blend(&[&ease, &als], &data, &FitRun::default()).unwrap();
        let record = learnt.model().options();
        let value =
            |model: &Recommender| evaluate(model.model(), &data.validation, &[metric]).unwrap().mean(metric).unwrap();
        let parts = [&record["parts"], &record["dropped"]].into_iter().flat_map(|list| list.as_array().unwrap());
        let mut seen = 0;
        for part in parts {
            let model = if part["model"] == "ease" { &ease } else { &als };
            let told = part["validation"].as_f64().unwrap();
            // Sums of 32 bits, and scores that tie after rounding.
            assert!((told - value(model)).abs() < 1e-3, "{part}: {}", value(model));
            seen += 1;
        }
        assert_eq!(seen, 2);
        assert!((record["validation"].as_f64().unwrap() - value(&learnt)).abs() < 1e-5);
    }
}

#[test]
fn a_file_holds_the_parts_and_brings_back_every_bit() {
    let split = parts_of(&data());
    let parts = three(&split);
    let folder = tempfile::tempdir().unwrap();
    let size = |model: &Recommender, name: &str| {
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        std::fs::metadata(path).unwrap().len()
    };
    let of_parts: u64 = parts.iter().zip(["a", "b", "c"]).map(|(part, name)| size(part, name)).sum();
    let blend = given([0.2, 0.3, 0.5]).blend(&parts.each_ref(), &split, &FitRun::default()).unwrap();
    let whole = size(&blend, "blend");
    // Ids and training users stand in it once.
    assert!(whole as f64 <= 1.01 * of_parts as f64, "{whole} of {of_parts}");
    let path = folder.path().join("blend");
    for mmap in [true, false] {
        let loaded =
            Recommender::load_with(&path, &LoadOptions { mmap, verify: None, ..LoadOptions::default() }).unwrap();
        let histories = [loaded.history(["item 3", "item 9"]), History::default()];
        for filter_seen in [true, false] {
            let options = RecommendOptions { k: 120, filter_seen, fallback: None };
            assert_eq!(loaded.recommend(&histories, &options).unwrap(), blend.recommend(&histories, &options).unwrap());
        }
        assert_eq!((loaded.model().options(), loaded.record()), (blend.model().options(), blend.record()));
        loaded.save(folder.path().join("again")).unwrap();
        assert_eq!(std::fs::read(folder.path().join("again")).unwrap(), std::fs::read(&path).unwrap());
        // Memory: the parts' and nothing more, but what all models share.
        let bytes = |model: &Recommender| model.model().bytes();
        assert_eq!(bytes(&loaded), parts.iter().map(bytes).sum::<usize>());
    }
    let found = inspect(&path).unwrap();
    assert_eq!((found.kind.as_deref(), found.holds, found.problem), (Some("blend"), Some(true), None));
    let weights: Vec<_> =
        found.options["parts"].as_array().unwrap().iter().map(|part| (&part["model"], &part["weight"])).collect();
    assert_eq!(json!(weights), json!([["ease", 0.2], ["als", 0.3], ["recvae", 0.5]]));
    assert!(found.tensors.iter().any(|tensor| tensor.name == "model.parts.1.items"));
}

/// Options that were not read from JSON are checked like those that were.
#[test]
fn given_weights_have_to_be_convex() {
    let split = parts_of(&data());
    let parts = three(&split);
    for (weights, wrong) in
        [([1.5, -0.5, 0.0], "weights is [1.5,-0.5,0.0]"), ([0.7, 0.7, 0.0], "weights is"), ([0.0; 3], "weights is")]
    {
        let error = given(weights).blend(&parts.each_ref(), &split, &FitRun::default()).err().unwrap();
        assert_eq!(error.code(), "INVALID_ARGUMENT");
        assert!(error.to_string().starts_with(wrong), "{error}");
    }
}

#[test]
fn any_number_of_threads_learns_the_same() {
    let split = parts_of(&data());
    let parts = three(&split);
    let bytes = |threads: usize| {
        Threads::new(Some(threads)).unwrap().install(|| {
            let seen = Mutex::new(vec![]);
            let tell = |progress: &Progress| seen.lock().unwrap().push(progress.fraction.unwrap());
            let run = FitRun { on_progress: &tell, ..FitRun::default() };
            let blend = BlendOptions::default().blend(&parts.each_ref(), &split, &run).unwrap();
            let seen = seen.into_inner().unwrap();
            assert!(seen.is_sorted() && seen[0] == 0.0 && seen[seen.len() - 1] == 1.0, "{seen:?}");
            let folder = tempfile::tempdir().unwrap();
            blend.save(folder.path().join("model")).unwrap();
            std::fs::read(folder.path().join("model")).unwrap()
        })
    };
    assert!(bytes(1) == bytes(3));
}

#[test]
fn what_was_learnt_is_in_its_options_and_holds() {
    let split = parts_of(&data());
    let parts = three(&split);
    let blend = BlendOptions::default().blend(&parts.each_ref(), &split, &FitRun::default()).unwrap();
    let options = blend.model().options();
    println!("{options}");
    let list = |name: &str| options[name].as_array().unwrap().clone();
    assert_eq!(list("parts").len() + list("dropped").len(), 3);
    let sum: f64 = list("parts").iter().map(|part| part["weight"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{options}");
    let of = |model: &Recommender| {
        evaluate(model.model(), &split.validation, &[Metric::VALIDATION]).unwrap().mean(Metric::VALIDATION).unwrap()
    };
    assert!((options["validation"].as_f64().unwrap() - of(&blend)).abs() < 1e-6);
    for (part, model) in parts.iter().zip(["ease", "als", "recvae"]) {
        let all = [list("parts"), list("dropped")].concat();
        let row = all.iter().find(|row| row["model"] == model).unwrap();
        assert!((row["validation"].as_f64().unwrap() - of(part)).abs() < 1e-4, "{row}");
        assert_eq!(row["options"], part.model().options());
    }
    assert_eq!(list("warnings"), [] as [Value; 0]);
    assert_eq!(blend.record(), parts[0].record());
    // Everything that a model does.
    let history = blend.history(["item 0", "item 6", "item 12"]);
    let explained = blend.explain(&history, "item 18", &ExplainOptions::default()).unwrap();
    assert_eq!(explained.reasons.len(), 3);
    assert_eq!(blend.similar_items("item 6", &SimilarOptions { k: 5 }, None).unwrap().len(), 5);
    let error = blend.embed(&[history]).unwrap_err();
    assert_eq!(error.to_string(), "the model of embed is 'blend'; allowed: als, mult-dae, mult-vae, recvae, hvamp");
    let popular = trained(ModelKind::Popularity, json!({}), &split);
    let unlike = BlendOptions { weights: Some(vec![0.5, 0.5]), ..BlendOptions::default() };
    let other = trained(ModelKind::Popularity, json!({}), &split);
    let unlike = unlike.blend(&[&popular, &other], &split, &FitRun::default()).unwrap();
    let error = unlike.similar_items("item 6", &SimilarOptions::default(), None).unwrap_err();
    assert!(error.to_string().starts_with("the model of similarItems is 'blend' of popularity, popularity"), "{error}");
}

#[test]
fn parts_that_have_seen_the_validation_users_are_told_of() {
    let data = data();
    let split = parts_of(&data);
    let [ease, als, _] = three(&split);
    let fit =
        ModelKind::Als.fit(&json!({ "factors": 8, "epochs": 5 }), data.matrix(), None, &FitRun::default()).unwrap();
    let all = Recommender::of(fit, &data).unwrap();
    let half = BlendOptions { weights: Some(vec![0.5, 0.5]), ..BlendOptions::default() };
    // The same items in another order would be other models.
    if all.items() == ease.items() {
        let blend = half.blend(&[&ease, &all], &split, &FitRun::default()).unwrap();
        let warnings = blend.model().options()["warnings"].clone();
        let text = warnings[0].as_str().unwrap();
        assert!(
            text.starts_with("part 2 (als) was trained on ") && text.contains("its weight is too large"),
            "{warnings}"
        );
        assert_eq!(blend.record(), &ease.record().and(all.record()));
    } else {
        let error = half.blend(&[&ease, &all], &split, &FitRun::default()).err().unwrap();
        assert!(error.to_string().contains("in the first and"), "{error}");
    }
    let unknown = Recommender::of(
        ModelKind::Ease.fit(&json!({}), split.train.matrix(), None, &FitRun::default()).unwrap(),
        &split.train,
    )
    .unwrap()
    .with_record(recvae_core::TrainingRecord::unknown());
    let blend = half.blend(&[&unknown, &als], &split, &FitRun::default()).unwrap();
    let warnings = blend.model().options()["warnings"].clone();
    assert!(warnings[0].as_str().unwrap().starts_with("nobody knows whom part 1 (ease) was trained on"), "{warnings}");
    assert!(!blend.record().is_whole());
}

#[test]
fn models_of_other_items_and_runs_that_mean_nothing_are_refused() {
    let split = parts_of(&data());
    let [ease, als, _] = three(&split);
    let renamed = |rename: &dyn Fn(usize, &str) -> String| {
        let ids = split.train.items().iter().enumerate().map(|(at, id)| rename(at, id)).collect();
        let fit = ModelKind::Ease.fit(&json!({}), split.train.matrix(), None, &FitRun::default()).unwrap();
        Recommender::new(fit.model, ids, Value::Null).unwrap()
    };
    let other = renamed(&|at, id| if at == 7 { "another".into() } else { id.into() });
    let options = BlendOptions::default();
    let error = options.blend(&[&als, &other], &split, &FitRun::default()).err().unwrap();
    let text = format!("models whose item 7 is '{}' in the first and 'another' in part 2", als.items().get(7));
    assert!(error.code() == "INVALID_ARGUMENT" && error.to_string().contains(&text), "{error}");
    let error = options.blend(&[], &split, &FitRun::default()).err().unwrap();
    assert!(error.to_string().starts_with("parts is an empty list"), "{error}");
    let checkpoint = Checkpoint { path: "never".into(), options: CheckpointOptions::default(), ids: None };
    let run = FitRun { checkpoint: Some(checkpoint), ..FitRun::default() };
    assert!(options.blend(&[&ease, &als], &split, &run).err().unwrap().to_string().contains("checkpoint"));
    let run = FitRun { from: Some(ease.warm_start(split.train.items())), ..FitRun::default() };
    let error = options.blend(&[&ease, &als], &split, &run).err().unwrap();
    assert!(error.to_string().starts_with("from is a model; allowed: nothing"), "{error}");
    let compute = Compute { engine: EngineKind::Candle, device: Device::Cpu, ..Compute::default() };
    let run = FitRun { compute, ..FitRun::default() };
    assert!(options.blend(&[&ease, &als], &split, &run).err().unwrap().to_string().starts_with("engine is"));
}

#[test]
fn a_file_that_lacks_a_part_or_nests_blends_is_refused() {
    let split = parts_of(&data());
    let parts = three(&split);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let blend = given([0.2, 0.3, 0.5]).blend(&parts.each_ref(), &split, &FitRun::default()).unwrap();
    blend.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for end in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(Recommender::from_bytes(&bytes[..end]).err().unwrap().code(), "INVALID_MODEL_FILE");
    }
}
