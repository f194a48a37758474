//! Flatbuffers, as far as writing Arrow's metadata needs them; `read/arrow/flat.rs` says what they are.

/// Writes tables front to back: a table first, what it refers to behind it.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

/// A field of a table to be.
#[derive(Clone, Copy)]
pub(super) enum Field {
    I64(i64),
    I32(i32),
    I16(i16),
    U8(u8),
    /// What it refers to is told to [`Writer::refer`] later.
    Reference,
    /// One that has its default.
    Absent,
}

impl Field {
    fn bytes(self) -> ([u8; 8], usize) {
        let (number, len) = match self {
            Self::I64(number) => (number, 8),
            Self::I32(number) => (i64::from(number), 4),
            Self::I16(number) => (i64::from(number), 2),
            Self::U8(number) => (i64::from(number), 1),
            Self::Reference => (0, 4),
            Self::Absent => (0, 0),
        };
        (number.to_le_bytes(), len)
    }
}

impl Writer {
    /// An empty buffer with room for the reference to the root, which is the table written next.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; 4] }
    }

    /// The finished bytes, whose number is a multiple of 8.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.pad(0);
        self.bytes
    }

    /// Zeros until the length is `offset` more than a multiple of 8.
    fn pad(&mut self, offset: usize) {
        while self.bytes.len() % 8 != offset {
            self.bytes.push(0);
        }
    }

    /// Writes a table and gives back where it is and where each of its fields is.
    pub(super) fn table<const N: usize>(&mut self, fields: [Field; N]) -> (usize, [usize; N]) {
        // The vtable ends 4 bytes before a multiple of 8, so that the fields begin at one: the longest come first.
        self.pad((4 + 8 - (4 + 2 * N) % 8) % 8);
        let vtable = self.bytes.len();
        let table = vtable + 4 + 2 * N;
        let mut order: Vec<usize> = (0..N).collect();
        order.sort_by_key(|&field| std::cmp::Reverse(fields[field].bytes().1));
        let (mut places, mut end) = ([0; N], table + 4);
        for field in order.iter().copied() {
            places[field] = end;
            end += fields[field].bytes().1;
        }
        let short = |number: usize| (number as u16).to_le_bytes();
        self.bytes.extend(short(table - vtable));
        self.bytes.extend(short(end - table));
        for (place, field) in places.into_iter().zip(fields) {
            self.bytes.extend(short(if matches!(field, Field::Absent) { 0 } else { place - table }));
        }
        self.bytes.extend(((table - vtable) as i32).to_le_bytes());
        for field in order {
            let (bytes, len) = fields[field].bytes();
            self.bytes.extend(&bytes[..len]);
        }
        (table, places)
    }

    /// Makes the reference at a place point to what is at another, later one.
    pub(super) fn refer(&mut self, place: usize, to: usize) {
        self.bytes[place..place + 4].copy_from_slice(&((to - place) as u32).to_le_bytes());
    }

    /// Writes a vector of `len` elements, given as bytes, of 8 bytes' alignment.
    pub(super) fn vector(&mut self, len: usize, elements: &[u8]) -> usize {
        self.pad(4);
        let at = self.bytes.len();
        self.bytes.extend((len as u32).to_le_bytes());
        self.bytes.extend(elements);
        at
    }

    /// Writes a text.
    pub(super) fn text(&mut self, text: &str) -> usize {
        let at = self.vector(text.len(), text.as_bytes());
        self.bytes.push(0);
        at
    }
}
