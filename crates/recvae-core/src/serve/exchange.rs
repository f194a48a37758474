//! Models on their way from other programs and to them: weights of the programs of RecVAE's and Mult-VAE's authors
//! become a model, a model becomes such weights again, or a graph that ONNX runtimes compute.
//!
//! | format | imported | exported |
//! | --- | --- | --- |
//! | safetensors | names of any program below | RecVAE: its authors'; Mult-VAE and Mult-DAE: the PyTorch port's |
//! | npz | names of any program below | RecVAE: its authors'; Mult-VAE and Mult-DAE: their authors', TensorFlow's variables |
//! | ONNX | not | `history` of shape `(batch, items)` to `logits` of the same shape, see `onnx.rs` |
//!
//! Which program weights are of is told by their names, see `programs.rs`. Sizes come from their shapes. What the
//! training was told (gamma, beta, the learning rate) is not among the weights: it is what the caller says, or the
//! default.
//!
//! Scores of what is imported are those of the program it came from, to the precision of f32; a user's history is
//! normalised to length 1 by both. What is exported and imported again has the same bits.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::base::atomic_file::write_whole;
use crate::base::error::{Error, Result};
use crate::base::file_bytes::FileBytes;
use crate::base::options::{choice, options};
use crate::data::ids::Ids;
use crate::model::{ModelKind, NamedTensor};
use crate::serve::model_file::header;
use crate::serve::recommender::Recommender;
use crate::split::official::{check_lines, read_ids};

mod npz;
mod onnx;
mod programs;
mod weights;

use programs::Program;
use weights::Weights;

/// The kinds of models that other programs have.
const KINDS: [ModelKind; 3] = [ModelKind::RecVae, ModelKind::MultVae, ModelKind::MultDae];

choice! {
    /// What a model can be exported as.
    pub enum ExportFormat {
        /// A state dict of PyTorch.
        Safetensors = "safetensors",
        /// Arrays of NumPy.
        Npz = "npz",
        /// A graph.
        Onnx = "onnx",
    }
}

options! {
    /// How a model is written for other programs.
    pub struct ExportOptions for "export" {
        /// What the file is: `safetensors`, a state dict of PyTorch; `npz`, arrays of NumPy; `onnx`, a graph. By
        /// default what the end of the file's name says.
        format: Option<ExportFormat> = None, Any;
    }
}

impl ExportOptions {
    /// The format of a file of that name.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if neither the options nor the end of the name say it.
    pub fn format_of(&self, path: impl AsRef<Path>) -> Result<ExportFormat> {
        const ALL: [ExportFormat; 3] = [ExportFormat::Safetensors, ExportFormat::Npz, ExportFormat::Onnx];
        let path = path.as_ref();
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let said = ALL.into_iter().find(|format| format.word().eq_ignore_ascii_case(end));
        self.format.or(said).ok_or_else(|| {
            let ends = ALL.map(|format| format!(".{}", format.word()));
            let allowed = format!("a name that ends in {}, or the option format", ends.join(", "));
            Error::invalid_argument("the file", format!("'{}'", path.display()), allowed)
        })
    }
}

/// The ids of items, one a line in the order of their indices: the authors' `unique_sid.txt`.
///
/// # Errors
/// `IO` if the file cannot be read, `INVALID_DATA` for an id that is empty or stands there twice.
pub fn read_item_ids(path: impl AsRef<Path>) -> Result<Ids> {
    read_ids(path.as_ref())
}

/// A model of the weights in a file, whose items have these ids in the order of the weights' rows. `options` are those
/// of the training, as far as they are known, by their names; sizes need not be among them.
///
/// # Errors
/// `IO` if the file cannot be read. `INVALID_DATA` if it is neither safetensors nor npz, or its tensors are of no known
/// program, missing, unknown, of another shape or type, or not finite, or if there are not as many ids as items.
/// `INVALID_ARGUMENT` for an option.
pub fn import_weights(path: impl AsRef<Path>, items: Ids, options: &Value) -> Result<Recommender> {
    let path = path.as_ref();
    // Not mapped: a file of others, who may write into it.
    let bytes = FileBytes::open(path, false)?;
    let weights = Weights::open(path, bytes.as_ref())?;
    let program = Program::of(&weights)?;
    let found = program.translate(&weights)?;
    let n_items = found.n_items();
    if items.len() != n_items {
        let allowed = format!("{n_items}, as many as the weights in {} have", path.display());
        return Err(Error::invalid_data(format!("{} ids of items; allowed: {allowed}", items.len())));
    }
    let options = found.options(options)?;
    let model = program.kind.load(&options, n_items, &found)?;
    Recommender::new(model, items, json!({ "imported": { "program": program.name } }))
}

impl Recommender {
    /// Writes the model's weights for another program, whole or not at all. Ids of items are in an ONNX file alone; for
    /// the others [`Recommender::write_item_ids`] writes them.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a model that the other program does not have, `INVALID_DATA` if it is larger than the
    /// format can hold, `IO` if the file cannot be written.
    pub fn export(&self, path: impl AsRef<Path>, format: ExportFormat) -> Result<()> {
        let (path, model) = (path.as_ref(), self.model());
        let kind = model.kind();
        if !KINDS.contains(&kind) {
            let allowed = KINDS.map(ModelKind::name).join(", ");
            return Err(Error::invalid_argument("the model to export", format!("'{}'", kind.name()), allowed));
        }
        match format {
            ExportFormat::Onnx => onnx::write(path, self),
            ExportFormat::Npz | ExportFormat::Safetensors => {
                let tensors = model.tensors()?;
                let tensors = Program::to_export(kind, format)?.renamed(model, &tensors)?;
                write_whole(path, |temporary| {
                    let refused = |e| Error::io("write", path, e);
                    let file = File::options().write(true).open(temporary).map_err(refused)?;
                    let mut file = BufWriter::with_capacity(1 << 18, file);
                    match format {
                        ExportFormat::Npz => npz::write(&mut file, &tensors).map_err(refused)?,
                        _ => write_safetensors(&mut file, &tensors).map_err(refused)?,
                    }
                    file.flush().map_err(refused)
                })
            }
        }
    }

    /// Writes the ids of the items, one a line in the order of their indices, whole or not at all.
    ///
    /// # Errors
    /// `INVALID_DATA` for an id that does not fit into a line, `IO` if the file cannot be written.
    pub fn write_item_ids(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        check_lines(self.items().iter(), &path.display())?;
        write_whole(path, |temporary| {
            let write = || {
                let mut file = BufWriter::with_capacity(1 << 18, File::options().write(true).open(temporary)?);
                for id in self.items().iter() {
                    writeln!(file, "{id}")?;
                }
                file.flush()
            };
            write().map_err(|e| Error::io("write", path, e))
        })
    }
}

/// Tensors of single precision under the names of another program, in the order of the names.
type Renamed = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// As `safetensors.torch.save_file` writes a state dict.
fn write_safetensors(file: &mut impl Write, tensors: &Renamed) -> std::io::Result<()> {
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let sizes = tensors.iter().map(|(name, (shape, numbers))| {
        let bytes = size_of_val(&numbers[..]);
        (&name[..], "F32", &shape[..], bytes)
    });
    file.write_all(&header::render(&metadata, sizes))?;
    tensors.values().try_for_each(|(_, numbers)| file.write_all(bytemuck::cast_slice(numbers)))
}

/// A shape as people write it.
struct Shape<'a>(&'a [usize]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The numbers of a tensor of single precision.
fn numbers_of<'t>(tensor: &'t NamedTensor<'_>) -> Result<&'t [f32]> {
    let bytes = tensor.data.bytes()?;
    bytemuck::try_cast_slice(bytes).map_err(|e| Error::Internal(format!("numbers of '{}': {e}", tensor.name)))
}

/// A matrix of that many columns, row by row, with rows and columns exchanged.
fn transposed(numbers: &[f32], n_columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(numbers.len());
    (0..n_columns).for_each(|column| out.extend(numbers[column..].iter().step_by(n_columns)));
    out
}

#[cfg(test)]
mod tests;
