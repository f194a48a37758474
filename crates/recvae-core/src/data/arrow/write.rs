//! Interactions as an Arrow stream: two columns, `user` and `item`, of text in dictionaries, one row per interaction.

use super::flat::{Field, Writer};
use crate::base::error::{Error, Result};
use crate::data::ids::Ids;
use crate::data::interactions::Interactions;
use crate::data::read::arrow::{MARKER, header, types};

/// Rows in a batch.
const BATCH: usize = 1 << 16;

/// Ends a stream.
pub(super) const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// `MetadataVersion.V5`.
const VERSION: i16 = 4;

/// The columns; the number of a column is that of its dictionary.
const COLUMNS: [&str; 2] = ["user", "item"];

impl Interactions {
    /// A part of these interactions as an Arrow IPC stream, from 0; `None` behind the last one. The parts one after the
    /// other are the stream: schema and dictionaries, batches of up to 65,536 rows in row order, end. The columns
    /// `user` and `item` are text in dictionaries of all ids in their order.
    ///
    /// # Errors
    /// `INVALID_DATA` if there are 2^31 users or items or more, which Arrow's 32-bit indices cannot tell apart.
    pub fn arrow_part(&self, part: usize) -> Result<Option<Vec<u8>>> {
        let n_batches = self.n_interactions().div_ceil(BATCH);
        let mut bytes = Vec::new();
        match part {
            0 => {
                if self.n_users().max(self.n_items()) > i32::MAX as usize {
                    return Err(Error::invalid_data("an Arrow stream takes fewer than 2^31 users and items"));
                }
                let ids = [self.users(), self.items()];
                schema(&mut bytes, ids.map(is_large));
                for (number, ids) in (0..).zip(ids) {
                    dictionary(&mut bytes, number, ids);
                }
            }
            part if part <= n_batches => self.batch(&mut bytes, part - 1),
            part if part == n_batches + 1 => bytes.extend(END),
            _ => return Ok(None),
        }
        Ok(Some(bytes))
    }

    fn batch(&self, bytes: &mut Vec<u8>, number: usize) {
        let (matrix, start) = (self.matrix(), number * BATCH);
        let end = self.n_interactions().min(start + BATCH);
        let items = matrix.indices()[start..end].iter().flat_map(|item| item.to_le_bytes());
        let mut users = Vec::with_capacity(4 * (end - start));
        // The user of the first row is the last one who starts at it or before.
        let mut user = matrix.indptr().partition_point(|&row| row <= start) - 1;
        for row in start..end {
            while matrix.indptr()[user + 1] <= row {
                user += 1;
            }
            users.extend((user as u32).to_le_bytes());
        }
        let columns = [vec![], users, vec![], items.collect()];
        message(bytes, header::RECORD_BATCH, &columns, |writer, place| {
            record_batch(writer, place, end - start, &[end - start; 2], &columns);
        });
    }
}

/// Whether the ids need 64-bit offsets.
fn is_large(ids: &Ids) -> bool {
    ids.as_parts().0.len() > i32::MAX as usize
}

/// Appends a message; `table` writes its header and makes the place refer to it.
pub(super) fn message(bytes: &mut Vec<u8>, kind: u8, body: &[Vec<u8>], table: impl FnOnce(&mut Writer, usize)) {
    let body_len: usize = body.iter().map(|buffer| padded(buffer.len())).sum();
    let mut writer = Writer::new();
    let (root, places) =
        writer.table([Field::I16(VERSION), Field::U8(kind), Field::Reference, Field::I64(body_len as i64)]);
    writer.refer(0, root);
    table(&mut writer, places[2]);
    let metadata = writer.finish();
    bytes.extend(MARKER);
    bytes.extend((metadata.len() as u32).to_le_bytes());
    bytes.extend(metadata);
    for buffer in body {
        bytes.extend(buffer);
        bytes.resize(bytes.len() + padded(buffer.len()) - buffer.len(), 0);
    }
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(8)
}

fn schema(bytes: &mut Vec<u8>, large: [bool; 2]) {
    message(bytes, header::SCHEMA, &[], |writer, place| {
        let (schema, places) = writer.table([Field::I16(0), Field::Reference]); // little-endian, fields
        writer.refer(place, schema);
        let fields = writer.vector(COLUMNS.len(), &[0; 4 * COLUMNS.len()]);
        writer.refer(places[1], fields);
        for (number, name) in COLUMNS.iter().enumerate() {
            let kind = if large[number] { types::LARGE_UTF8 } else { types::UTF8 };
            let nullable = Field::U8(0);
            let (field, places) = writer.table([
                Field::Reference, // name
                nullable,
                Field::U8(kind),
                Field::Reference, // type
                Field::Reference, // dictionary
                Field::Reference, // children
            ]);
            writer.refer(fields + 4 + 4 * number, field);
            let name = writer.text(name);
            writer.refer(places[0], name);
            let (text, []) = writer.table([]);
            writer.refer(places[3], text);
            let (encoding, [_, index_place]) = writer.table([Field::I64(number as i64), Field::Reference]);
            writer.refer(places[4], encoding);
            let (index, _) = writer.table([Field::I32(32), Field::U8(1)]); // bits, signed
            writer.refer(index_place, index);
            let children = writer.vector(0, &[]);
            writer.refer(places[5], children);
        }
    });
}

fn dictionary(bytes: &mut Vec<u8>, number: i64, ids: &Ids) {
    let (text, ends) = ids.as_parts();
    let all = std::iter::once(0).chain(ends.iter().copied());
    let offsets = match is_large(ids) {
        true => all.flat_map(|end| (end as u64).to_le_bytes()).collect(),
        false => all.flat_map(|end| (end as u32).to_le_bytes()).collect(),
    };
    let body = [vec![], offsets, text.to_vec()];
    message(bytes, header::DICTIONARY_BATCH, &body, |writer, place| {
        let (dictionary, places) = writer.table([Field::I64(number), Field::Reference]);
        writer.refer(place, dictionary);
        record_batch(writer, places[1], ids.len(), &[ids.len()], &body);
    });
}

/// The table of a record batch whose columns have no nulls. `lens`: the number of values of each node.
pub(super) fn record_batch(writer: &mut Writer, place: usize, n_rows: usize, lens: &[usize], buffers: &[Vec<u8>]) {
    let (batch, places) = writer.table([Field::I64(n_rows as i64), Field::Reference, Field::Reference]);
    writer.refer(place, batch);
    let pair = |a: usize, b: usize| [(a as u64).to_le_bytes(), (b as u64).to_le_bytes()].concat();
    let nodes: Vec<u8> = lens.iter().flat_map(|&len| pair(len, 0)).collect();
    let nodes = writer.vector(lens.len(), &nodes);
    writer.refer(places[1], nodes);
    let mut start = 0;
    let mut extents = Vec::new();
    for buffer in buffers {
        extents.extend(pair(start, buffer.len()));
        start += padded(buffer.len());
    }
    let extents = writer.vector(buffers.len(), &extents);
    writer.refer(places[2], extents);
}
