//! Interactions out of batches of columns.

use napi::Env;
use napi::bindgen_prelude::{BigInt64Array, BigUint64Array, Float64Array, Uint32Array};
use napi_derive::napi;
use recvae_core::{Batch, Batches, ColumnRows, IdColumn, ReadOptions, RowFilter, TimeColumn};

use crate::data::{NativeInteractions, rows_options};
use crate::error::{Error, IntoNode, Result, whole};
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
        let (filter, thresholds, shard) = rows_options::<RowFilter>(&options)?;
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

/// A column of times, or of parts, in one of its forms.
#[napi(object, object_to_js = false)]
pub struct NativeTimes {
    /// As text, to be read as in a file.
    pub text: Option<Vec<String>>,
    /// As numbers; NaN stands for null.
    pub numbers: Option<Float64Array>,
    /// How many of their unit are a second, 0 if they are days; without it the options say it.
    pub per_second: Option<f64>,
}

impl NativeTimes {
    fn column(&self) -> TimeColumn<'_> {
        match &self.numbers {
            Some(days) if self.per_second == Some(0.0) => TimeColumn::Days(days),
            Some(numbers) => TimeColumn::Numbers(numbers, self.per_second),
            None => TimeColumn::Text(self.text.as_deref().unwrap_or_default()),
        }
    }
}

/// Collects rows that another reader hands out in columns, under the options of files.
#[napi]
pub struct NativeColumnRows(Option<ColumnRows>);

#[napi]
impl NativeColumnRows {
    /// Starts without interactions. `options`: JSON with the reader's options, the thresholds and the shard.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: String) -> Result<Self> {
        let (options, thresholds, shard) = rows_options::<ReadOptions>(&options)?;
        Ok(Self(Some(ColumnRows::new(&options, thresholds, shard).into_node()?)))
    }

    /// Adds rows; with `lengths` as many for each as it had items in a list.
    #[napi(catch_unwind)]
    pub fn push(
        &mut self,
        users: NativeIds,
        items: NativeIds,
        values: Option<Float64Array>,
        times: Option<NativeTimes>,
        lengths: Option<Uint32Array>,
    ) -> Result<()> {
        let Self(Some(rows)) = self else { return Err(finished()) };
        let batch = Batch { users: users.column(), items: items.column(), values: values.as_deref(), timestamps: None };
        let lengths: Option<Vec<usize>> = lengths.map(|all| all.iter().map(|&length| length as usize).collect());
        rows.push(&batch, times.as_ref().map(NativeTimes::column), lengths.as_deref()).into_node()
    }

    /// Makes the matrix. Nothing can be added afterwards.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeInteractions>")]
    pub fn finish<'env>(&mut self, env: &'env Env) -> Result<Promise<'env>> {
        let rows = self.0.take().ok_or_else(finished)?;
        promise_in(env, brief(), move || rows.finish().into_node(), NativeInteractions::new)
    }
}

fn finished() -> Error {
    Error::new("INTERNAL", "internal error: the batches were finished before")
}
