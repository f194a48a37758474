//! What a model file says of a blend: the parts with their weights, the scale, the gate, and how they were found.

use serde_json::{Map, Value, json};

use super::gate::Gate;
use super::scale::Scale;
use crate::base::error::{Error, Result};
use crate::base::options::OptionValue;
use crate::model::ModelKind;

/// The most parts that a blend has.
pub(super) const MOST_PARTS: usize = 8;

/// A part of a blend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PartRecord {
    pub(super) kind: ModelKind,
    pub(super) options: Value,
    /// Convex: the weights of all parts sum to 1.
    pub(super) weight: f64,
    /// The metric of the part alone on the validation users.
    pub(super) validation: Option<f64>,
}

/// A part that a blend could have had.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dropped {
    pub(super) kind: ModelKind,
    pub(super) options: Value,
    pub(super) validation: f64,
    /// What the validation metric loses without it, and the standard error of that, paired by user.
    pub(super) cost: f64,
    pub(super) standard_error: f64,
}

/// Something that is kept only if it is worth it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tried {
    /// `rank` or `gate`.
    pub(super) what: &'static str,
    /// What the validation metric gains by it, and the standard error of that, paired by user.
    pub(super) gain: f64,
    pub(super) standard_error: f64,
    pub(super) kept: bool,
}

/// All that is known of a blend besides its parts' parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) scale: Scale,
    pub(super) parts: Vec<PartRecord>,
    pub(super) gate: Option<Gate>,
    pub(super) dropped: Vec<Dropped>,
    pub(super) tried: Vec<Tried>,
    /// The metric of the blend on all validation users.
    pub(super) validation: Option<f64>,
    pub(super) warnings: Vec<String>,
    pub(super) seed: u64,
}

impl Record {
    pub(super) fn weights(&self) -> Vec<f64> {
        self.parts.iter().map(|part| part.weight).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let part = |part: &PartRecord| json!({ "model": part.kind.name(), "weight": part.weight, "validation": part.validation, "options": part.options });
        let dropped = |it: &Dropped| {
            json!({
                "model": it.kind.name(), "cost": it.cost, "standardError": it.standard_error,
                "validation": it.validation, "options": it.options,
            })
        };
        let tried = |it: &Tried| json!({ "what": it.what, "gain": it.gain, "standardError": it.standard_error, "kept": it.kept });
        json!({
            "scale": self.scale.word(),
            "parts": self.parts.iter().map(part).collect::<Value>(),
            "gate": self.gate.as_ref().map(Gate::to_json),
            "dropped": self.dropped.iter().map(dropped).collect::<Value>(),
            "tried": self.tried.iter().map(tried).collect::<Value>(),
            "validation": self.validation,
            "warnings": self.warnings,
            "seed": self.seed,
        })
    }

    /// What a file has.
    ///
    /// # Errors
    /// `INVALID_DATA` that names what is wrong.
    pub(super) fn from_json(value: &Value) -> Result<Self> {
        let found = object(value, "its options")?;
        let scale = Scale::from_json(&value["scale"]).ok_or_else(|| {
            Error::invalid_data(format!("scale is {}; allowed: {}", value["scale"], Scale::expected()))
        })?;
        let parts: Vec<PartRecord> = list(found, "parts")?.iter().map(part).collect::<Result<_>>()?;
        if !(1..=MOST_PARTS).contains(&parts.len()) {
            return Err(Error::invalid_data(format!("it has {} parts; allowed: 1 to {MOST_PARTS}", parts.len())));
        }
        let sum: f64 = parts.iter().map(|part| part.weight).sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(Error::invalid_data(format!("the weights of its parts sum to {sum}; allowed: 1")));
        }
        let gate = match &value["gate"] {
            Value::Null => None,
            gate => Some(Gate::from_json(gate, parts.len())?),
        };
        let dropped = list(found, "dropped")?.iter().map(|it| {
            let PartRecord { kind, options, .. } = kind_of(it)?;
            let [validation, cost, standard_error] =
                [number(it, "validation")?, number(it, "cost")?, number(it, "standardError")?];
            Ok(Dropped { kind, options, validation, cost, standard_error })
        });
        let tried = list(found, "tried")?.iter().map(|it| {
            let what = ["rank", "gate"].into_iter().find(|what| it["what"] == *what);
            let what =
                what.ok_or_else(|| Error::invalid_data(format!("it tried {}; allowed: rank, gate", it["what"])))?;
            let kept = it["kept"].as_bool().unwrap_or(false);
            Ok(Tried { what, gain: number(it, "gain")?, standard_error: number(it, "standardError")?, kept })
        });
        let warnings = list(found, "warnings")?.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect();
        Ok(Self {
            scale,
            parts,
            gate,
            dropped: dropped.collect::<Result<_>>()?,
            tried: tried.collect::<Result<_>>()?,
            validation: value["validation"].as_f64(),
            warnings,
            seed: value["seed"].as_u64().unwrap_or(0),
        })
    }
}

/// A part of a file's options.
fn part(value: &Value) -> Result<PartRecord> {
    let part = kind_of(value)?;
    let weight = number(value, "weight")?;
    if !(0.0..=1.0).contains(&weight) {
        return Err(Error::invalid_data(format!("the weight of a part is {weight}; allowed: from 0 to 1")));
    }
    Ok(PartRecord { weight, validation: value["validation"].as_f64(), ..part })
}

fn kind_of(value: &Value) -> Result<PartRecord> {
    let kind: ModelKind = value["model"].as_str().unwrap_or_default().parse()?;
    if kind == ModelKind::Blend {
        return Err(Error::invalid_data("a part of it is a blend; allowed: models that are none"));
    }
    Ok(PartRecord { kind, options: value["options"].clone(), weight: 0.0, validation: None })
}

pub(super) fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| Error::invalid_data(format!("{what} are {value}; allowed: an object")))
}

fn list<'a>(found: &'a Map<String, Value>, name: &str) -> Result<&'a [Value]> {
    match found.get(name) {
        Some(Value::Array(values)) => Ok(values),
        found => {
            let found = found.map_or_else(|| "missing".to_owned(), Value::to_string);
            Err(Error::invalid_data(format!("{name} is {found}; allowed: a list")))
        }
    }
}

pub(super) fn number(value: &Value, name: &str) -> Result<f64> {
    let found = value[name].as_f64().filter(|number| number.is_finite());
    found.ok_or_else(|| Error::invalid_data(format!("{name} is {}; allowed: a finite number", value[name])))
}

/// A number that a file keeps to the bit: so few digits that any reader of JSON finds the same one.
pub(super) fn kept(number: f64) -> f64 {
    const DIGITS: f64 = 1e6;
    (number * DIGITS).round() / DIGITS
}
