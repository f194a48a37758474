//! What a file of a model or of counts holds, as far as this version understands it.

use std::path::Path;

use serde_json::{Value, json};

use crate::base::error::{Error, Result};
use crate::base::file_bytes::FileBytes;
use crate::serve::ease_counts::{self, EaseCounts};
use crate::serve::model_file::{FORMAT, ID_ENDS, ModelFile, Of};

/// What [`inspect`] finds in a model file.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Size of the file.
    pub bytes: u64,
    /// Version of the format.
    pub format: Value,
    /// Program and version that wrote it; the first ones did not say.
    pub writer: Option<String>,
    /// Name of the model, also of one that this version does not know; of counts of EASE^R `ease-counts`, or
    /// `ease-counts-shard`.
    pub kind: Option<String>,
    /// Options of the model with their values.
    pub options: Value,
    /// What was kept with the model; of counts how many `users` they have, and of which `shard` they are.
    pub info: Value,
    /// Number of items.
    pub n_items: Option<u64>,
    /// All tensors, in the order of the file.
    pub tensors: Vec<InspectedTensor>,
    /// The checksum that stands in the file.
    pub checksum: Option<String>,
    /// Whether the content has that checksum; nothing for a format of a later version, which may define it otherwise.
    pub holds: Option<bool>,
    /// Why this version would refuse to load it, if it would: as a model, or counts by [`EaseCounts::load`].
    pub problem: Option<String>,
}

/// A tensor in a model file.
#[derive(Clone, Debug)]
pub struct InspectedTensor {
    /// Name.
    pub name: String,
    /// Type of its numbers, such as `F32`.
    pub dtype: String,
    /// Shape; the data are row-major.
    pub shape: Vec<usize>,
    /// Bytes that it takes.
    pub bytes: u64,
}

impl Inspection {
    /// All fields by their names, `n_items` as `nItems` and `dtype` as `type`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tensor = |tensor: &InspectedTensor| json!({ "name": tensor.name, "type": tensor.dtype, "shape": tensor.shape, "bytes": tensor.bytes });
        json!({
            "bytes": self.bytes, "format": self.format, "writer": self.writer, "kind": self.kind,
            "options": self.options, "info": self.info, "nItems": self.n_items,
            "tensors": self.tensors.iter().map(tensor).collect::<Vec<_>>(),
            "checksum": self.checksum, "holds": self.holds, "problem": self.problem,
        })
    }
}

/// Reads a whole model file, or one of counts of EASE^R, and says what it holds, whether it is unaltered and whether it
/// can be loaded. Also of models and formats of later versions, as far as that goes.
///
/// # Errors
/// `IO` if it cannot be read, `INVALID_MODEL_FILE` if it is no model file at all or so damaged that nothing can be
/// said.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection> {
    let path = path.as_ref();
    let file = ModelFile::open(path, FileBytes::open(path, cfg!(not(windows)))?, "a recvae model")?;
    let (found, is_counts) = (file.text_of_all(), ease_counts::are_in(&file.metadata));
    let holds = (file.metadata["format"] == FORMAT)
        .then(|| found.as_ref().is_some_and(|(found, text)| *found == file.checksum(Of::All, text)));
    let loads = || {
        file.check_format()?;
        file.check_head()?;
        if holds != Some(true) {
            file.check_all()?;
        }
        if is_counts { EaseCounts::load(path).map(drop) } else { file.model().map(drop) }
    };
    let problem = loads().err().map(|error| match error {
        Error::InvalidModelFile { message, .. } => message,
        other => other.to_string(),
    });
    let text = |key: &str| file.metadata[key].as_str().map(str::to_owned);
    let tensors = file.header.tensors.iter().map(|entry| InspectedTensor {
        name: entry.name.clone(),
        dtype: entry.dtype.clone(),
        shape: entry.shape.clone(),
        bytes: entry.range.len() as u64,
    });
    let tensors: Vec<_> = tensors.collect();
    let of_counts = || ["users", "shard"].map(|key| Some((key.to_owned(), file.metadata.get(key)?.clone())));
    let info = if is_counts {
        Value::Object(of_counts().into_iter().flatten().collect())
    } else {
        file.metadata["info"].clone()
    };
    let ends = tensors.iter().find(|tensor| tensor.name == ID_ENDS);
    Ok(Inspection {
        bytes: (*file.bytes).as_ref().len() as u64,
        format: file.metadata["format"].clone(),
        writer: text("writer"),
        kind: text("kind"),
        options: file.metadata["options"].clone(),
        info,
        n_items: ends.and_then(|ends| ends.shape.first()).map(|&n| n as u64),
        checksum: found.map(|(found, _)| found.to_owned()),
        holds,
        problem,
        tensors,
    })
}
