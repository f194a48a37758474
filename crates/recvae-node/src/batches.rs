//! Interactions out of batches of columns.

use napi::Env;
use napi::bindgen_prelude::{BigInt64Array, BigUint64Array, Float64Array};
use napi_derive::napi;
use recvae_core::{Batch, Batches, IdColumn, Options, RowFilter};

use crate::data::{NativeInteractions, take_shard, take_thresholds};
use crate::error::{Error, IntoNode, Result, json, whole};
use crate::work::{Promise, brief, promise_in};

/// A column of ids in one of its forms.
#[napi(object, object_to_js = false)]
pub struct NativeIds {
    /// As text.
    pub text: Option<Vec<String>>,
    /// As whole numbers.
    pub doubles: Option<Float64Array>,
    /// As signed 64-bit numbers.
    pub signed: Option<BigInt64Array>,
    /// As unsigned 64-bit numbers.
    pub unsigned: Option<BigUint64Array>,
}

impl NativeIds {
    pub(crate) fn column(&self) -> IdColumn<'_> {
        match self {
            Self { doubles: Some(ids), .. } => IdColumn::Doubles(ids),
            Self { signed: Some(ids), .. } => IdColumn::Signed(ids),
            Self { unsigned: Some(ids), .. } => IdColumn::Unsigned(ids),
            Self { text, .. } => IdColumn::Text(text.as_deref().unwrap_or_default()),
        }
    }
}

/// Collects batches.
#[napi]
pub struct NativeBatches(Option<Batches>);

#[napi]
impl NativeBatches {
    /// Starts without interactions. `options`: JSON with the filter of rows, the thresholds and the shard.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> Result<Self> {
        let (mut rest, thresholds) = take_thresholds(json("options", &options)?)?;
        let shard = take_shard(&mut rest)?;
        let filter = RowFilter::from_json(&rest.into()).into_node()?;
        Ok(Self(Some(Batches::new(filter, thresholds).of_shard(shard))))
    }

    /// Adds a batch; or, with `first_row`, rows without batches, of which the first one has that number.
    #[napi(catch_unwind)]
    pub fn push(
        &mut self,
        users: NativeIds,
        items: NativeIds,
        values: Option<Float64Array>,
        timestamps: Option<Float64Array>,
        first_row: Option<f64>,
    ) -> Result<()> {
        let Self(Some(batches)) = self else { return Err(finished()) };
        let batch = Batch {
            users: users.column(),
            items: items.column(),
            values: values.as_deref(),
            timestamps: timestamps.as_deref(),
        };
        match first_row {
            Some(first) => batches.push_rows(&batch, whole("first row", first)? as u64).into_node(),
            None => batches.push(&batch).into_node(),
        }
    }

    /// Makes the matrix. Nothing can be added afterwards.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
    pub fn finish<'env>(&mut self, env: &'env Env) -> Result<Promise<'env>> {
        let batches = self.0.take().ok_or_else(finished)?;
        promise_in(env, brief(), move || batches.finish().into_node(), NativeInteractions::new)
    }
}

fn finished() -> Error {
    Error::new("INTERNAL", "internal error: the batches were finished before")
}
