//! Flatbuffers, as far as reading Arrow's metadata needs them: tables whose fields are found by number.
//!
//! A table starts with the signed distance back to its vtable, which says how far behind the table's start each field
//! lies; 0 stands for a field with its default. Tables, vectors and strings are referred to by the distance to them.

/// A table in bytes that nobody has checked. Whatever lies outside of them is `None`.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_len: usize,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).map(|bytes| u32::from_le_bytes(bytes) as usize)
}

impl<'a> Table<'a> {
    /// The table that all others are reached from.
    pub(super) fn root(bytes: &'a [u8]) -> Option<Self> {
        Self::at(bytes, u32_at(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = usize::try_from(i64::try_from(at).ok()? - back).ok()?;
        let vtable_len = usize::from(u16::from_le_bytes(array(bytes, vtable)?));
        Some(Self { bytes, at, vtable, vtable_len })
    }

    /// Where a field lies; the inner `None` if it has its default.
    fn position(&self, field: usize) -> Option<Option<usize>> {
        let entry = 4 + 2 * field;
        if entry + 2 > self.vtable_len {
            return Some(None);
        }
        match u16::from_le_bytes(array(self.bytes, self.vtable + entry)?) {
            0 => Some(None),
            offset => Some(Some(self.at + usize::from(offset))),
        }
    }

    fn number<const N: usize>(&self, field: usize) -> Option<Option<[u8; N]>> {
        match self.position(field)? {
            None => Some(None),
            Some(at) => array(self.bytes, at).map(Some),
        }
    }

    /// A byte or a truth value, 0 by default.
    pub(super) fn u8(&self, field: usize) -> Option<u8> {
        self.number(field).map(|bytes| bytes.map_or(0, u8::from_le_bytes))
    }

    /// A short number.
    pub(super) fn i16(&self, field: usize, default: i16) -> Option<i16> {
        self.number(field).map(|bytes| bytes.map_or(default, i16::from_le_bytes))
    }

    /// A number, 0 by default.
    pub(super) fn i32(&self, field: usize) -> Option<i32> {
        self.number(field).map(|bytes| bytes.map_or(0, i32::from_le_bytes))
    }

    /// A long number, 0 by default.
    pub(super) fn i64(&self, field: usize) -> Option<i64> {
        self.number(field).map(|bytes| bytes.map_or(0, i64::from_le_bytes))
    }

    fn reference(&self, at: usize) -> Option<usize> {
        at.checked_add(u32_at(self.bytes, at)?)
    }

    /// Another table; the inner `None` if there is none.
    pub(super) fn table(&self, field: usize) -> Option<Option<Self>> {
        match self.position(field)? {
            None => Some(None),
            Some(at) => Self::at(self.bytes, self.reference(at)?).map(Some),
        }
    }

    /// The bytes of a vector whose elements have that size; empty by default.
    pub(super) fn vector(&self, field: usize, size: usize) -> Option<&'a [u8]> {
        let Some(at) = self.position(field)? else { return Some(&[]) };
        let at = self.reference(at)?;
        let start = at.checked_add(4)?;
        self.bytes.get(start..start.checked_add(u32_at(self.bytes, at)?.checked_mul(size)?)?)
    }

    /// A text, empty by default.
    pub(super) fn text(&self, field: usize) -> Option<&'a str> {
        std::str::from_utf8(self.vector(field, 1)?).ok()
    }

    /// The tables of a vector.
    pub(super) fn tables(&self, field: usize) -> Option<impl ExactSizeIterator<Item = Option<Self>> + use<'a>> {
        let references = self.vector(field, 4)?;
        let bytes = self.bytes;
        // The distances count from where they stand.
        let start = references.as_ptr().addr() - bytes.as_ptr().addr();
        Some((0..references.len() / 4).map(move |n| {
            let at = start + 4 * n;
            Self::at(bytes, at.checked_add(u32_at(bytes, at)?)?)
        }))
    }
}
