//! Results as an Arrow stream, without dictionaries and nulls, in the types that whoever reads them has declared.

use super::flat::{Field, Writer};
use super::write::{END, message, record_batch};
use crate::base::error::{Error, Result};
use crate::data::read::arrow::{header, types};

/// A table that is written in batches: first [`Self::start`], then batches of its rows, then [`Self::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrowTable {
    /// Pairs of items: the columns `i` and `j`, int32, and `n`, int64.
    Gram,
    /// What is recommended: the columns `user`, utf8, `items`, lists of utf8, and `scores`, lists of float32.
    Recommendations,
}

/// What a column or the elements of its lists are.
enum Type {
    Text,
    Int { bits: i32 },
    Float32,
    List(&'static Type),
}

impl ArrowTable {
    fn columns(self) -> &'static [(&'static str, Type)] {
        match self {
            Self::Gram => {
                &[("i", Type::Int { bits: 32 }), ("j", Type::Int { bits: 32 }), ("n", Type::Int { bits: 64 })]
            }
            Self::Recommendations => {
                &[("user", Type::Text), ("items", Type::List(&Type::Text)), ("scores", Type::List(&Type::Float32))]
            }
        }
    }

    /// The schema.
    #[must_use]
    pub fn start(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let columns = self.columns();
        message(&mut bytes, header::SCHEMA, &[], |writer, place| {
            let (schema, places) = writer.table([Field::I16(0), Field::Reference]); // little-endian, fields
            writer.refer(place, schema);
            let fields = writer.vector(columns.len(), &vec![0; 4 * columns.len()]);
            writer.refer(places[1], fields);
            for (number, (name, kind)) in columns.iter().enumerate() {
                field(writer, fields + 4 + 4 * number, name, kind);
            }
        });
        bytes
    }

    /// What ends the stream.
    #[must_use]
    pub fn end() -> Vec<u8> {
        END.to_vec()
    }

    /// A batch of [`Self::Gram`].
    #[must_use]
    pub fn gram(pairs: &[(u32, u32, u32)]) -> Vec<u8> {
        let mut buffers = [const { Vec::new() }; 6];
        for &(i, j, n) in pairs {
            buffers[1].extend(i.to_le_bytes());
            buffers[3].extend(j.to_le_bytes());
            buffers[5].extend(u64::from(n).to_le_bytes());
        }
        batch(pairs.len(), &[pairs.len(); 3], &buffers)
    }

    /// A batch of [`Self::Recommendations`]: the items and scores of each user begin at its offset.
    ///
    /// # Errors
    /// `INTERNAL` if the lengths contradict each other; `INVALID_DATA` for 2 GiB of ids, which 32-bit offsets cannot
    /// tell apart.
    pub fn recommendations(users: &[String], offsets: &[u32], items: &[String], scores: &[f32]) -> Result<Vec<u8>> {
        let fits = offsets.len() == users.len() + 1
            && offsets.is_sorted()
            && offsets.first() == Some(&0)
            && offsets.last().is_some_and(|&last| last as usize == items.len())
            && scores.len() == items.len();
        if !fits {
            return Err(Error::Internal("columns of recommendations of other lengths".into()));
        }
        let starts: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let ([user_offsets, user_text], [item_offsets, item_text]) = (texts(users)?, texts(items)?);
        let scores: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
        let buffers = [
            [vec![], user_offsets, user_text].as_slice(),
            &[vec![], starts.clone(), vec![], item_offsets, item_text],
            &[vec![], starts, vec![], scores],
        ]
        .concat();
        let (rows, n) = (users.len(), items.len());
        Ok(batch(rows, &[rows, rows, n, rows, n], &buffers))
    }
}

/// A message with rows.
fn batch(n_rows: usize, lens: &[usize], buffers: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    message(&mut bytes, header::RECORD_BATCH, buffers, |writer, place| {
        record_batch(writer, place, n_rows, lens, buffers);
    });
    bytes
}

/// The offsets of texts, and their bytes.
fn texts(texts: &[String]) -> Result<[Vec<u8>; 2]> {
    let text = texts.concat().into_bytes();
    if i32::try_from(text.len()).is_err() {
        return Err(Error::invalid_data(format!("{} bytes of ids in a batch; allowed: below 2^31", text.len())));
    }
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.len() as u32;
        Some(*end)
    });
    let offsets = std::iter::once(0).chain(ends).flat_map(u32::to_le_bytes).collect();
    Ok([offsets, text])
}

/// Writes a field without nulls, and makes the place refer to it.
fn field(writer: &mut Writer, place: usize, name: &str, kind: &Type) {
    let (number, children) = match kind {
        Type::Text => (types::UTF8, None),
        Type::Int { .. } => (types::INT, None),
        Type::Float32 => (types::FLOATING_POINT, None),
        Type::List(element) => (types::LIST, Some(*element)),
    };
    let (table, places) = writer.table([
        Field::Reference, // name
        Field::U8(0),     // nullable
        Field::U8(number),
        Field::Reference, // type
        Field::Absent,    // dictionary
        Field::Reference, // children
    ]);
    writer.refer(place, table);
    let name = writer.text(name);
    writer.refer(places[0], name);
    let of_type = match kind {
        Type::Int { bits } => writer.table([Field::I32(*bits), Field::U8(1)]).0, // bits, signed
        Type::Float32 => writer.table([Field::I16(1)]).0,                        // single precision
        Type::Text | Type::List(_) => writer.table([]).0,
    };
    writer.refer(places[3], of_type);
    let n = usize::from(children.is_some());
    let elements = writer.vector(n, &vec![0; 4 * n]);
    writer.refer(places[5], elements);
    if let Some(element) = children {
        field(writer, elements + 4, "element", element);
    }
}
