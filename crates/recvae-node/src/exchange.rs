//! Weights of other programs, and models as such weights and as graphs.

use std::sync::Arc;

use napi::Env;
use napi_derive::napi;
use recvae_core::{ExportOptions, Ids, Options, import_weights, read_item_ids};

use crate::error::{Error, IntoNode, Result, json};
use crate::model::NativeModel;
use crate::work::{Promise, brief, promise, promise_in};

/// A model of the weights in a file. Its items' ids stand in a file, one a line, or in a list. `options`: JSON.
#[napi(catch_unwind, ts_return_type = "Promise<NativeModel>")]
pub fn import_model(
    env: &Env,
    path: String,
    ids_file: Option<String>,
    ids: Option<Vec<String>>,
    options: String,
) -> Result<Promise<'_>> {
    let options = json("options", &options)?;
    let work = move || {
        let items = match ids_file {
            Some(file) => read_item_ids(file).into_node()?,
            None => distinct(ids.unwrap_or_default())?,
        };
        import_weights(path, items, &options).into_node()
    };
    promise_in(env, brief(), work, NativeModel::new)
}

/// A list of ids, each of them once.
fn distinct(list: Vec<String>) -> Result<Ids> {
    let mut ids = Ids::new();
    for (at, id) in list.iter().enumerate() {
        if ids.insert(id) as usize != at {
            let error = recvae_core::Error::invalid_data(format!("id '{id}' occurs twice; allowed: once"));
            return Err(Error::new(error.code(), error.to_string()));
        }
    }
    Ok(ids)
}

/// The format of a file that is to be. `options`: JSON.
#[napi(catch_unwind)]
pub fn export_format(path: String, options: String) -> Result<&'static str> {
    let options = ExportOptions::from_json(&json("options", &options)?).into_node()?;
    options.format_of(path).into_node().map(|format| format.word())
}

#[napi]
impl NativeModel {
    /// Writes the model for other programs, whole or not at all. `options`: JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn export<'env>(&self, env: &'env Env, path: String, options: String) -> Result<Promise<'env>> {
        let model = Arc::clone(self.0.get()?);
        let options = ExportOptions::from_json(&json("options", &options)?).into_node()?;
        let format = options.format_of(&path).into_node()?;
        promise(env, brief(), move || model.export(path, format).into_node(), |()| ())
    }

    /// Writes the ids of the items, one a line, whole or not at all.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn write_item_ids<'env>(&self, env: &'env Env, path: String) -> Result<Promise<'env>> {
        let model = Arc::clone(self.0.get()?);
        promise(env, brief(), move || model.write_item_ids(path).into_node(), |()| ())
    }
}
