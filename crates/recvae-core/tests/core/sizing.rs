//! The largest model that fits.

#![allow(clippy::unwrap_used)]

use recvae_core::{Csr, FitRun, FitShape, Limits, ModelKind, OptionChange, Sizing, Stream};
use serde_json::{Value, json};

const N: usize = 2_000;

fn train() -> Csr {
    let mut random = Stream::new(8, 0);
    let rows = (0..500).map(|_| {
        let mut row: Vec<u32> = (0..20).map(|_| random.below(N as u64) as u32).collect();
        row.sort_unstable();
        row.dedup();
        row
    });
    Csr::from_rows(rows.collect::<Vec<_>>(), N).unwrap()
}

fn shape(train: &Csr) -> FitShape<'_> {
    FitShape::of(train, false, rayon_threads())
}

/// As many as a fit in these tests has.
fn rayon_threads() -> usize {
    recvae_core::Threads::available()
}

fn bytes(kind: ModelKind, options: &Value, shape: &FitShape<'_>) -> u64 {
    kind.estimate_memory(options, shape).unwrap().fit()
}

fn sized(kind: ModelKind, options: &Value, limits: &Limits) -> (Value, Vec<OptionChange>) {
    let train = train();
    match kind.largest_that_fits(options, &train, &shape(&train), limits).unwrap() {
        Sizing::Fits { options, changed } => (options, changed),
        Sizing::Refused(text) => panic!("{}: {text}", kind.name()),
    }
}

fn memory(bytes: u64) -> Limits {
    Limits { memory: Some(bytes), ..Limits::default() }
}

#[test]
fn what_fits_stays_as_it_is() {
    for &kind in ModelKind::TRAINED {
        let needed = bytes(kind, &json!({}), &shape(&train()));
        assert_eq!(sized(kind, &json!({}), &memory(needed)), (json!({}), vec![]), "{}", kind.name());
        let beside = Limits { memory: Some(needed + 7), beside: 7, seconds: Some(1e9) };
        assert_eq!(sized(kind, &json!({}), &beside).1, vec![], "{}", kind.name());
    }
}

#[test]
fn the_options_that_it_gives_fit_and_the_next_ones_do_not() {
    let train = train();
    let shape = shape(&train);
    let cases: [(ModelKind, Value, &[&str]); 9] = [
        (ModelKind::Ease, json!({"lambda": 20}), &["density"]),
        (ModelKind::Edlae, json!({"dropoutRate": 0.5}), &["density"]),
        (ModelKind::Rdlae, json!({"xi": 0.5}), &["density"]),
        (ModelKind::HoEase, json!({"pairs": 1500}), &["pairs"]),
        (ModelKind::Als, json!({"factors": 400, "epochs": 1}), &["factors"]),
        (ModelKind::MultDae, json!({"latentDim": 128, "epochs": 1}), &["latentDim"]),
        (ModelKind::MultVae, json!({"hiddenDim": 256, "latentDim": 128, "epochs": 1}), &["hiddenDim", "latentDim"]),
        (ModelKind::RecVae, json!({"hiddenDim": 256, "latentDim": 128, "epochs": 1}), &["hiddenDim", "latentDim"]),
        (
            ModelKind::HVamp,
            json!({"hiddenDim": 256, "latentDim": 128, "pseudoUsers": 200, "epochs": 1}),
            &["hiddenDim", "latentDim", "pseudoUsers"],
        ),
    ];
    for (kind, given, names) in cases {
        let whole = bytes(kind, &given, &shape);
        // Beside what does not depend on the options.
        let least = 4 << 20;
        let limit = least + (whole - least) * 2 / 3;
        let beside = 1 << 10;
        let limits = Limits { memory: Some(limit), beside, seconds: None };
        let (options, changed) = sized(kind, &given, &limits);
        let changes: Vec<&str> = changed.iter().map(|change| &change.name[..]).collect();
        assert_eq!(changes, names, "{}", kind.name());
        for (key, value) in given.as_object().unwrap() {
            let expected = changed.iter().find(|change| change.name == *key).map_or(value, |change| {
                assert_eq!(change.from, *value);
                &change.to
            });
            assert_eq!(options[key], *expected, "{}", kind.name());
        }
        let taken = bytes(kind, &options, &shape);
        assert!(taken + beside <= limit, "{}: {taken} of {limit}", kind.name());
        // The next larger value does not fit, unless it would be another model: a density below 1 has its own limit.
        let mut more = options.clone();
        for change in &changed {
            let value = change.to.as_f64().unwrap();
            more[&change.name] = match &change.name[..] {
                "density" => json!(value * 1.11),
                "factors" => json!(value as u64 + 8),
                "pairs" => json!(value as u64 + 75),
                _ => json!(value as u64 + change.from.as_u64().unwrap() / 64),
            };
        }
        let capped = options["density"].as_f64().is_some_and(|density| density * 1.11 * N as f64 > 500.0);
        assert!(capped || bytes(kind, &more, &shape) + beside > limit, "{}: {more}", kind.name());
        let run = FitRun { memory_limit: Some(limit - beside), ..FitRun::default() };
        kind.fit(&options, &train, None, &run).unwrap();
    }
}

#[test]
fn time_is_kept_to_as_well() {
    // A shop of 200,000 items: by its memory alone a density of .0025 would do, which is 500 weights an item.
    let shape = FitShape {
        users: 1_000_000,
        items: 200_000,
        interactions: 20_000_000,
        validation: true,
        weighted: false,
        threads: 2,
        data: None,
    };
    let density = |kind: ModelKind, seconds: Option<f64>| {
        let limits = Limits { memory: Some(24 << 30), beside: 0, seconds };
        match kind.largest_that_fits(&json!({}), &train(), &shape, &limits).unwrap() {
            Sizing::Fits { changed, .. } => changed[0].to.as_f64().unwrap(),
            Sizing::Refused(text) => panic!("{text}"),
        }
    };
    for kind in [ModelKind::Ease, ModelKind::Edlae, ModelKind::Rdlae, ModelKind::Deql] {
        assert_eq!(density(kind, None), 0.0025, "{}", kind.name());
        let [some, more] = [200.0, 400.0].map(|seconds| {
            let found = density(kind, Some(seconds));
            let estimate = kind.estimate_seconds(&json!({ "density": found }), &shape).unwrap();
            assert!((0.5 * seconds..=seconds).contains(&estimate), "{estimate} of {seconds} at {found}");
            found
        });
        assert!(some < more && more < 0.0025, "{some} {more}");
    }
}

#[test]
fn where_nothing_fits_it_says_why() {
    let train = train();
    let refusal = |kind: ModelKind, limits: &Limits| match kind
        .largest_that_fits(&json!({}), &train, &shape(&train), limits)
        .unwrap()
    {
        Sizing::Refused(text) => text,
        Sizing::Fits { options, .. } => panic!("{options}"),
    };
    for &kind in ModelKind::TRAINED {
        let text = refusal(kind, &memory(1000));
        assert!(text.starts_with(&format!("{} on 500 users x 2000 items, ", kind.name())), "{text}");
        assert!(text.contains("is allowed by memoryLimit; the way out: "), "{text}");
    }
    let text = refusal(ModelKind::Ease, &Limits { seconds: Some(1e-9), ..Limits::default() });
    assert!(text.starts_with("ease would take more than 0.000000001 seconds at any size that fits"), "{text}");
    let limits = Limits::default();
    let unknown = ModelKind::Als.largest_that_fits(&json!({"factor": 1}), &train, &shape(&train), &limits);
    assert_eq!(unknown.unwrap_err().code(), "INVALID_ARGUMENT");
}
