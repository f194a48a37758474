//! The core's names, defaults, ranges and texts, for the generated types and the command line.

use napi_derive::napi;
use recvae_core::{
    CHANGES, Change, CheckpointOptions, CompactOptions, ComputeOptions, DATASETS, ExplainOptions, ExportOptions, FEW,
    LAYOUTS, LONGEST_ID, LONGEST_ROW, Layout, LoadOptions, Metric, ModelKind, OFFICIAL_FILES, OptionInfo, Options,
    POWER, PUBLISHED, PublishedSet, RESAMPLES, ReadOptions, RecommendOptions, SIGNIFICANCE, SampleOptions,
    SimilarOptions, SplitOptions, SynthOptions, Threads, Thresholds,
};
use serde_json::{Value, json};

use crate::error::Result;

fn rows(options: &[OptionInfo]) -> Value {
    options.iter().map(OptionInfo::to_json).collect()
}

/// The version of this package, by which the loader refuses the binary of another one.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// A format; texts that are empty say that there is no such thing.
fn format(layout: &Layout) -> Value {
    let Layout { title, files, line, user, item, value, min_value, time, .. } = layout;
    json!({
        "name": layout.format.word(), "isPublished": layout.format.is_published(), "title": title, "files": files,
        "line": line, "user": user, "item": item, "value": value, "minValue": min_value, "time": time,
    })
}

/// Everything that the core says about itself, as JSON: see `Description` in `ts/runtime/native.ts`.
#[napi(catch_unwind)]
pub fn describe() -> Result<String> {
    let about = |kind: &ModelKind| {
        let options = rows(&kind.describe_options());
        json!({
            "name": kind.name(), "doc": kind.doc(), "timeLaw": kind.time_law(), "usesWeights": kind.uses_weights(),
            "hasEngines": kind.has_engines(), "hasPrecisions": kind.has_precisions(), "hasDevices": kind.has_devices(),
            "options": options,
        })
    };
    let description = json!({
        "models": ModelKind::TRAINED.iter().map(about).collect::<Value>(),
        "blend": about(&ModelKind::Blend),
        "changes": CHANGES.iter().map(Change::to_json).collect::<Value>(),
        "datasets": DATASETS,
        "formats": LAYOUTS.iter().map(format).collect::<Value>(),
        "published": PUBLISHED.iter().map(PublishedSet::to_json).collect::<Value>(),
        "officialFiles": OFFICIAL_FILES,
        "read": rows(&ReadOptions::describe()),
        "thresholds": rows(&Thresholds::describe()),
        "split": rows(&SplitOptions::describe()),
        "sample": rows(&SampleOptions::describe()),
        "recommend": rows(&RecommendOptions::describe()),
        "similar": rows(&SimilarOptions::describe()),
        "explain": rows(&ExplainOptions::describe()),
        "synth": rows(&SynthOptions::describe()),
        "load": rows(&LoadOptions::describe()),
        "compact": rows(&CompactOptions::describe()),
        "export": rows(&ExportOptions::describe()),
        "checkpoint": rows(&CheckpointOptions::describe()),
        "compute": rows(&ComputeOptions::describe()),
        "few": FEW,
        "longestId": LONGEST_ID,
        "longestRow": LONGEST_ROW,
        "metricNames": Metric::all(1).into_iter().filter(|metric| metric.k().is_some()).map(Metric::name).collect::<Value>(),
        "rankingMetricNames": Metric::all(1).into_iter().filter(|metric| metric.k().is_none()).map(Metric::name).collect::<Value>(),
        "metrics": Metric::DEFAULT.map(|metric| metric.to_string()),
        "validationMetric": Metric::VALIDATION.to_string(),
        "resamples": RESAMPLES,
        "significance": SIGNIFICANCE,
        "power": POWER,
        "threads": Threads::available(),
    });
    Ok(description.to_string())
}
