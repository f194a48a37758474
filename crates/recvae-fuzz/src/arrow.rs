//! Arrow streams that are as large as a header claims and cost far more than they should: texts that share bytes,
//! dictionaries that grow entry by entry, batches that each bring new ids. `hostile` makes them at random, for the
//! mutations.

use crate::mutate::Random;

/// Part of a flatbuffer: what a field of a table holds.
enum Field {
    Absent,
    I64(i64),
    I32(i32),
    I16(i16),
    U8(u8),
    Table(Vec<Field>),
    Tables(Vec<Vec<Field>>),
    /// Elements of 16 bytes.
    Pairs(Vec<[i64; 2]>),
    /// Elements of 8 bytes.
    Longs(Vec<i64>),
    Text(&'static str),
}

/// Writes a table and what it refers to behind it; gives back where it is.
fn table(bytes: &mut Vec<u8>, fields: &[Field]) -> usize {
    // Each field takes 8 bytes, so that all are aligned: the vtable, then the distance to it, which ends at a multiple
    // of 8.
    let vtable_len = 4 + 2 * fields.len();
    while !(bytes.len() + vtable_len + 4).is_multiple_of(8) {
        bytes.push(0);
    }
    bytes.extend((vtable_len as u16).to_le_bytes());
    bytes.extend((4 + 8 * fields.len() as u16).to_le_bytes());
    let offset =
        |(number, field): (usize, &Field)| if matches!(field, Field::Absent) { 0 } else { 4 + 8 * number as u16 };
    bytes.extend(fields.iter().enumerate().flat_map(|field| offset(field).to_le_bytes()));
    let at = bytes.len();
    bytes.extend((vtable_len as i32).to_le_bytes());
    bytes.resize(bytes.len() + 8 * fields.len(), 0);
    for (number, field) in fields.iter().enumerate() {
        let place = at + 4 + 8 * number;
        let put = |bytes: &mut Vec<u8>, value: &[u8]| bytes[place..place + value.len()].copy_from_slice(value);
        match field {
            Field::Absent => {}
            Field::I64(value) => put(bytes, &value.to_le_bytes()),
            Field::I32(value) => put(bytes, &value.to_le_bytes()),
            Field::I16(value) => put(bytes, &value.to_le_bytes()),
            Field::U8(value) => put(bytes, &[*value]),
            Field::Table(fields) => {
                let to = table(bytes, fields);
                put(bytes, &((to - place) as u32).to_le_bytes());
            }
            Field::Tables(tables) => {
                let to = vector(bytes, tables.len(), &vec![0; 4 * tables.len()]);
                put(bytes, &((to - place) as u32).to_le_bytes());
                for (number, fields) in tables.iter().enumerate() {
                    let place = to + 4 + 4 * number;
                    let to = table(bytes, fields);
                    bytes[place..place + 4].copy_from_slice(&((to - place) as u32).to_le_bytes());
                }
            }
            Field::Pairs(pairs) => {
                let elements: Vec<u8> = pairs.iter().flatten().flat_map(|long| long.to_le_bytes()).collect();
                let to = vector(bytes, pairs.len(), &elements);
                put(bytes, &((to - place) as u32).to_le_bytes());
            }
            Field::Longs(longs) => {
                let elements: Vec<u8> = longs.iter().flat_map(|long| long.to_le_bytes()).collect();
                let to = vector(bytes, longs.len(), &elements);
                put(bytes, &((to - place) as u32).to_le_bytes());
            }
            Field::Text(text) => {
                let to = vector(bytes, text.len(), text.as_bytes());
                put(bytes, &((to - place) as u32).to_le_bytes());
            }
        }
    }
    at
}

/// Writes a vector whose elements begin at a multiple of 8.
fn vector(bytes: &mut Vec<u8>, len: usize, elements: &[u8]) -> usize {
    while bytes.len() % 8 != 4 {
        bytes.push(0);
    }
    let at = bytes.len();
    bytes.extend((len as u32).to_le_bytes());
    bytes.extend(elements);
    at
}

/// What a column or a dictionary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text with 32-bit offsets.
    Text,
    /// Text as views.
    View,
    /// Whole numbers of 32 bits.
    Number,
}

/// One column of a batch, or the entries of a dictionary: validity, values, texts.
pub struct Column {
    len: usize,
    is_view: bool,
    buffers: Vec<Vec<u8>>,
}

impl Column {
    /// Texts with offsets into `bytes`, one more than there are texts.
    #[must_use]
    pub fn text(offsets: &[i32], bytes: &[u8]) -> Self {
        let values = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        Self { len: offsets.len() - 1, is_view: false, buffers: vec![vec![], values, bytes.to_vec()] }
    }

    /// Texts as ranges of `bytes`, first place and length; each of 13 bytes or more.
    #[must_use]
    pub fn view(ranges: &[(usize, usize)], bytes: &[u8]) -> Self {
        let view = |&(start, len): &(usize, usize)| {
            let mut view = (len as i32).to_le_bytes().to_vec();
            view.extend(&bytes[start..start + 4]);
            view.extend([0; 4]);
            view.extend((start as i32).to_le_bytes());
            view
        };
        Self {
            len: ranges.len(),
            is_view: true,
            buffers: vec![vec![], ranges.iter().flat_map(view).collect(), bytes.to_vec()],
        }
    }

    /// Whole numbers, or places in a dictionary.
    #[must_use]
    pub fn numbers(numbers: &[i32]) -> Self {
        let values = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self { len: numbers.len(), is_view: false, buffers: vec![vec![], values] }
    }
}

/// A stream in the making.
pub struct Stream(Vec<u8>);

impl Stream {
    /// Begins with the schema of the columns `user` and `item`: what each one holds, and whether by way of dictionary 0
    /// or 1.
    #[must_use]
    pub fn new(columns: [(Kind, bool); 2]) -> Self {
        let number = || Field::Table(vec![Field::I32(32), Field::U8(1)]);
        let column = |(at, (kind, encoded)): (usize, (Kind, bool))| {
            let (tag, kind) = match kind {
                Kind::Text => (5, Field::Table(vec![])),
                Kind::View => (24, Field::Table(vec![])),
                Kind::Number => (2, number()),
            };
            let mut fields = vec![Field::Text(["user", "item"][at]), Field::U8(0), Field::U8(tag), kind];
            if encoded {
                fields.push(Field::Table(vec![Field::I64(at as i64), number()]));
            }
            fields
        };
        let fields = columns.into_iter().enumerate().map(column).collect();
        let mut stream = Self(vec![]);
        stream.message(1, vec![Field::I16(0), Field::Tables(fields)], &[]);
        stream
    }

    /// The entries of a dictionary, in place of those before or behind them.
    pub fn dictionary(&mut self, id: i64, entries: Column, is_delta: bool) {
        let header =
            vec![Field::I64(id), Field::Table(batch(std::slice::from_ref(&entries))), Field::U8(u8::from(is_delta))];
        self.message(2, header, &[entries]);
    }

    /// A batch of rows.
    pub fn rows(&mut self, users: Column, items: Column) {
        let columns = [users, items];
        self.message(3, batch(&columns), &columns);
    }

    /// The bytes, with the end of the stream.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        self.0
    }

    fn message(&mut self, kind: u8, header: Vec<Field>, columns: &[Column]) {
        let body: Vec<u8> =
            columns.iter().flat_map(|column| &column.buffers).flat_map(|buffer| padded(buffer)).collect();
        let mut metadata = vec![0; 4];
        let root = table(
            &mut metadata,
            &[Field::I16(4), Field::U8(kind), Field::Table(header), Field::I64(body.len() as i64)],
        );
        metadata[..4].copy_from_slice(&(root as u32).to_le_bytes());
        let metadata = padded(&metadata);
        self.0.extend([0xff; 4]);
        self.0.extend((metadata.len() as u32).to_le_bytes());
        self.0.extend(metadata);
        self.0.extend(body);
    }
}

fn padded(buffer: &[u8]) -> Vec<u8> {
    let mut buffer = buffer.to_vec();
    buffer.resize(buffer.len().next_multiple_of(8), 0);
    buffer
}

/// The fields of a record batch.
fn batch(columns: &[Column]) -> Vec<Field> {
    let mut start = 0;
    let mut extents = vec![];
    for buffer in columns.iter().flat_map(|column| &column.buffers) {
        extents.push([start, buffer.len() as i64]);
        start += buffer.len().next_multiple_of(8) as i64;
    }
    let nodes = columns.iter().map(|column| [column.len as i64, 0]).collect();
    let more = columns.iter().filter(|column| column.is_view).map(|column| column.buffers.len() as i64 - 2).collect();
    let n_rows = columns[0].len as i64;
    let mut fields = vec![Field::I64(n_rows), Field::Pairs(nodes), Field::Pairs(extents)];
    if columns.iter().any(|column| column.is_view) {
        fields.extend([Field::Absent, Field::Longs(more)]); // no compression, and how many buffers of texts
    }
    fields
}

/// A large stream of about `size` bytes that asks for more than it brings.
pub(crate) fn hostile(size: usize, random: &mut Random) -> Vec<u8> {
    let size = size.clamp(4096, 1 << 20);
    // Text without repetitions, so that every piece is an id of its own.
    let text: Vec<u8> = (0..size / 2).map(|_| b'a' + random.below(26) as u8).collect();
    let n = 1 + random.below(size / 32);
    let ones = |n: usize| Column::numbers(&vec![0; n]);
    let numbers = |from: usize, to: usize| Column::numbers(&(from as i32..to as i32).collect::<Vec<_>>());
    let longest = (text.len() - 1).min(1 << random.below(17));
    let view = |random: &mut Random| {
        let len = (1 + random.below(longest)).max(13).min(text.len());
        (random.below(text.len() - len + 1), len)
    };
    let mut stream;
    match random.below(4) {
        // Offsets that go up and down, of a dictionary or of a column.
        0 => {
            let encoded = random.below(2) == 0;
            let offset =
                |at: usize| if at.is_multiple_of(2) { at.min(text.len()) } else { text.len().min(at + longest) };
            let offsets: Vec<i32> = (0..=n).map(|at| offset(at) as i32).collect();
            stream = Stream::new([(Kind::Text, encoded), (Kind::Number, false)]);
            if encoded {
                stream.dictionary(0, Column::text(&offsets, &text), false);
                stream.rows(numbers(0, n), ones(n));
            } else {
                stream.rows(Column::text(&offsets, &text), ones(n));
            }
        }
        // Views of one text, each batch with some that no batch had before.
        1 => {
            let views: Vec<_> = (0..n).map(|_| view(random)).collect();
            stream = Stream::new([(Kind::View, true), (Kind::Number, false)]);
            stream.dictionary(0, Column::view(&views, &text), false);
            let step = 1 + random.below(n);
            for first in (0..n).step_by(step) {
                let end = n.min(first + step);
                stream.rows(numbers(first, end), ones(end - first));
            }
        }
        // Views in the column itself.
        2 => {
            let views: Vec<_> = (0..n).map(|_| view(random)).collect();
            stream = Stream::new([(Kind::View, false), (Kind::Number, false)]);
            stream.rows(Column::view(&views, &text), ones(n));
        }
        // A dictionary that grows entry by entry, and rows that want the last one.
        _ => {
            let deltas = 1 + n / 8;
            stream = Stream::new([(Kind::Number, true), (Kind::Number, false)]);
            for entry in 0..deltas {
                stream.dictionary(0, numbers(entry, entry + 1), entry > 0);
            }
            stream.rows(Column::numbers(&vec![deltas as i32 - 1; size / 16]), ones(size / 16));
        }
    }
    stream.finish()
}
