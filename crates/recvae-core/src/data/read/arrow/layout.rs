//! Where the values of columns lie in the body of a message, checked once against its length.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use super::compression::{Budget, Codec, What};
use super::flat::Table;
use crate::base::date::SECONDS_OF_DAY;
use crate::data::ids::LONGEST_ID;
use crate::data::interactions::check_value;
use crate::data::read::plan::Plan;

/// What a column holds, as far as it is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text with 32-bit offsets.
    Text,
    /// Text with 64-bit offsets.
    LargeText,
    /// Text as views of 16 bytes: short ones hold it, others say where it is.
    TextView,
    /// Whole numbers of that many bytes.
    Int { bytes: usize, signed: bool },
    /// Floating point numbers of 2, 4 or 8 bytes.
    Float { bytes: usize },
    /// Whole numbers of 4, 8, 16 or 32 bytes that stand for themselves over 10 to the power of `scale`.
    Decimal { bytes: usize, scale: i32 },
    /// Days since 1970, of 32 bits.
    Date,
    /// Times since 1970 in a unit of which there are so many in a second, of 64 bits.
    Timestamp { per_second: u32 },
    /// Offsets of 4 or 8 bytes into the values of another node.
    List { bytes: usize },
}

impl Kind {
    /// Whether values are texts, whose bytes are part of a body.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::LargeText | Self::TextView)
    }

    /// How many buffers such a column has, and whether a batch says how many more.
    pub(super) fn buffers(self) -> (usize, bool) {
        match self {
            Self::Text | Self::LargeText => (3, false),
            Self::TextView => (2, true),
            Self::Int { .. } | Self::Float { .. } | Self::Decimal { .. } => (2, false),
            Self::Date | Self::Timestamp { .. } | Self::List { .. } => (2, false),
        }
    }

    /// Whether values are whole numbers that may be ids.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Int { .. } | Self::Decimal { scale: 0, .. })
    }
}

/// A column or a dictionary in a body.
#[derive(Debug)]
pub(super) struct Layout {
    kind: Kind,
    /// Number of values, of lists if it has such.
    pub(super) len: usize,
    /// One bit per value, 0 where it is null; empty if none is.
    validity: Range<usize>,
    /// The values, or the offsets of texts, or views.
    values: Range<usize>,
    /// The bytes of texts; of views, one range after the other.
    texts: Vec<Range<usize>>,
}

impl Layout {
    /// `buffers` of `body`: validity and values, then bytes of texts. What is wrong, if something is.
    pub(super) fn new(
        kind: Kind,
        len: usize,
        n_nulls: i64,
        buffers: &[Range<usize>],
        body: &[u8],
    ) -> Result<Self, &'static str> {
        let [validity, values, texts @ ..] = buffers else { return Err("a column lacks buffers") };
        let needed = match kind {
            _ if len == 0 => Some(0),
            Kind::Text => len.checked_add(1).and_then(|n| n.checked_mul(4)),
            Kind::LargeText => len.checked_add(1).and_then(|n| n.checked_mul(8)),
            Kind::TextView => len.checked_mul(16),
            Kind::List { bytes } => len.checked_add(1).and_then(|n| n.checked_mul(bytes)),
            Kind::Int { bytes, .. } | Kind::Float { bytes } | Kind::Decimal { bytes, .. } => len.checked_mul(bytes),
            Kind::Date => len.checked_mul(4),
            Kind::Timestamp { .. } => len.checked_mul(8),
        };
        if needed.is_none_or(|needed| values.len() < needed) {
            return Err("a column has more rows than values");
        }
        if n_nulls != 0 && validity.len() < len.div_ceil(8) || !validity.is_empty() && validity.len() < len.div_ceil(8)
        {
            return Err("a column has more rows than validity bits");
        }
        if matches!(kind, Kind::Text | Kind::LargeText) && texts.len() != 1 {
            return Err("a column of text lacks its bytes");
        }
        let layout = Self { kind, len, validity: validity.clone(), values: values.clone(), texts: texts.to_vec() };
        if !layout.offsets_ascend(body) {
            return Err("the offsets of its texts or lists do not ascend");
        }
        Ok(layout)
    }

    /// Whether each text or list of a column with offsets begins where the one before it ends, as the format says, null
    /// or not: then all of them together are no longer than their buffer or values.
    fn offsets_ascend(&self, body: &[u8]) -> bool {
        let bytes = &body[self.values.clone()];
        match self.kind {
            _ if self.len == 0 => true,
            Kind::Text | Kind::List { bytes: 4 } => {
                bytes.as_chunks::<4>().0[..=self.len].is_sorted_by_key(|&bytes| i32::from_le_bytes(bytes))
            }
            Kind::LargeText | Kind::List { .. } => {
                bytes.as_chunks::<8>().0[..=self.len].is_sorted_by_key(|&bytes| i64::from_le_bytes(bytes))
            }
            Kind::TextView | Kind::Int { .. } | Kind::Float { .. } | Kind::Decimal { .. } => true,
            Kind::Date | Kind::Timestamp { .. } => true,
        }
    }

    fn is_null(&self, body: &[u8], row: usize) -> bool {
        let validity = &body[self.validity.clone()];
        !validity.is_empty() && validity[row / 8] >> (row % 8) & 1 == 0
    }

    fn bytes<const N: usize>(&self, body: &[u8], at: usize) -> [u8; N] {
        let mut result = [0; N];
        result.copy_from_slice(&body[self.values.clone()][N * at..][..N]);
        result
    }

    /// A whole number; `None` if it is null or the column holds something else.
    pub(super) fn whole(&self, body: &[u8], row: usize) -> Option<i128> {
        let Kind::Int { bytes, signed } = self.kind else { return None };
        if self.is_null(body, row) {
            return None;
        }
        Some(match (bytes, signed) {
            (1, true) => i8::from_le_bytes(self.bytes(body, row)).into(),
            (1, false) => u8::from_le_bytes(self.bytes(body, row)).into(),
            (2, true) => i16::from_le_bytes(self.bytes(body, row)).into(),
            (2, false) => u16::from_le_bytes(self.bytes(body, row)).into(),
            (4, true) => i32::from_le_bytes(self.bytes(body, row)).into(),
            (4, false) => u32::from_le_bytes(self.bytes(body, row)).into(),
            (8, true) => i64::from_le_bytes(self.bytes(body, row)).into(),
            (8, false) => u64::from_le_bytes(self.bytes(body, row)).into(),
            _ => return None,
        })
    }

    /// Which of the values in another node, of which there are so many, are those of a list; `None` if it is null.
    pub(super) fn list(&self, body: &[u8], row: usize, n_values: usize) -> Result<Option<Range<usize>>, String> {
        if self.is_null(body, row) {
            return Ok(None);
        }
        let [start, end] = self.offsets(body, row);
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok()).map(|(start, end)| start..end);
        match range.filter(|range| range.end <= n_values) {
            Some(range) => Ok(Some(range)),
            None => Err("a list outside of its values; allowed: one within".into()),
        }
    }

    /// Where a text or a list begins and ends.
    fn offsets(&self, body: &[u8], row: usize) -> [i64; 2] {
        match self.kind {
            Kind::Text | Kind::List { bytes: 4 } => {
                [row, row + 1].map(|at| i32::from_le_bytes(self.bytes(body, at)).into())
            }
            _ => [row, row + 1].map(|at| i64::from_le_bytes(self.bytes(body, at))),
        }
    }

    /// A time in seconds, or the number of a part; or what is wrong with it.
    pub(super) fn time(&self, body: &[u8], row: usize, plan: &Plan) -> Result<f64, String> {
        if self.is_null(body, row) {
            return Err(if plan.has_parts { "null; allowed: a part" } else { "null; allowed: a time" }.into());
        }
        match self.kind {
            Kind::Date => plan.date(SECONDS_OF_DAY * f64::from(i32::from_le_bytes(self.bytes(body, row)))),
            Kind::Timestamp { per_second } => {
                plan.date(i64::from_le_bytes(self.bytes(body, row)) as f64 / f64::from(per_second))
            }
            Kind::Text | Kind::LargeText | Kind::TextView => {
                plan.time(self.text(body, row).ok_or("outside of the message; allowed: text within its buffer")?)
            }
            _ => plan.seconds(self.number(body, row)?),
        }
    }

    /// The whole number of a decimal.
    fn unscaled(&self, body: &[u8], row: usize, bytes: usize) -> Result<i128, String> {
        Ok(match bytes {
            4 => i32::from_le_bytes(self.bytes(body, row)).into(),
            8 => i64::from_le_bytes(self.bytes(body, row)).into(),
            16 => i128::from_le_bytes(self.bytes(body, row)),
            _ => {
                let halves = self.bytes::<32>(body, row);
                let [low, high] = [0, 1].map(|half| {
                    let mut bytes = [0; 16];
                    bytes.copy_from_slice(&halves[16 * half..][..16]);
                    i128::from_le_bytes(bytes)
                });
                // The upper half only repeats the sign.
                if high != low >> 127 {
                    return Err("a decimal of more than 38 digits; allowed: up to 38".into());
                }
                low
            }
        })
    }

    /// A number, or what is wrong with it.
    pub(super) fn number(&self, body: &[u8], row: usize) -> Result<f64, String> {
        let number = match self.kind {
            _ if self.is_null(body, row) => None,
            Kind::Float { bytes: 2 } => Some(half::f16::from_le_bytes(self.bytes(body, row)).into()),
            Kind::Float { bytes: 4 } => Some(f32::from_le_bytes(self.bytes(body, row)).into()),
            Kind::Float { .. } => Some(f64::from_le_bytes(self.bytes(body, row))),
            Kind::Decimal { bytes, scale } => Some(decimal(self.unscaled(body, row, bytes)?, scale)),
            _ => self.whole(body, row).map(|number| number as f64),
        };
        match number {
            None => Err("null; allowed: a number".into()),
            Some(number) => check_value(number),
        }
    }

    /// An id, written to `digits` if it is a number; or what is wrong with it.
    pub(super) fn id<'a>(&self, body: &'a [u8], row: usize, digits: &'a mut String) -> Result<&'a str, String> {
        if self.is_null(body, row) {
            return Err("null; allowed: an id".into());
        }
        let number = match self.kind {
            Kind::Decimal { bytes, scale: 0 } => Some(self.unscaled(body, row, bytes)?),
            _ => self.whole(body, row),
        };
        if let Some(number) = number {
            digits.clear();
            return write!(digits, "{number}").map(|()| &digits[..]).map_err(|e| e.to_string());
        }
        let bytes = self.text(body, row).ok_or("outside of the message; allowed: text within its buffer")?;
        match std::str::from_utf8(bytes) {
            Ok("") => Err("empty; allowed: an id".into()),
            Ok(id) if id.len() > LONGEST_ID => Err(format!("{} bytes long; allowed: at most {LONGEST_ID}", id.len())),
            Ok(id) => Ok(id),
            Err(_) => Err(format!("'{}'; allowed: UTF-8", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]))),
        }
    }

    /// The bytes of a text; `None` if they lie outside.
    fn text<'a>(&self, body: &'a [u8], row: usize) -> Option<&'a [u8]> {
        if self.kind == Kind::TextView {
            return self.view(body, row);
        }
        let [start, end] = self.offsets(body, row).map(|bound| usize::try_from(bound).ok());
        body[self.texts[0].clone()].get(start?..end?)
    }

    /// A view: length, then the text itself if it has 12 bytes at most, else its first 4 bytes, its buffer and the
    /// offset.
    fn view<'a>(&self, body: &'a [u8], row: usize) -> Option<&'a [u8]> {
        let view = &body[self.values.clone()][16 * row..][..16];
        let part = |at: usize| Some(i32::from_le_bytes(view.get(at..at + 4)?.try_into().ok()?));
        let len = usize::try_from(part(0)?).ok()?;
        if len <= 12 {
            return view.get(4..4 + len);
        }
        let buffer = self.texts.get(usize::try_from(part(8)?).ok()?)?;
        let start = usize::try_from(part(12)?).ok()?;
        body[buffer.clone()].get(start..start.checked_add(len)?)
    }
}

/// The double next to a decimal.
fn decimal(unscaled: i128, scale: i32) -> f64 {
    // Where both are exact, their quotient is rounded once; elsewhere text is the way that rounds once.
    if unscaled.unsigned_abs() <= 1 << 53 && (0..=15).contains(&scale) {
        return unscaled as f64 / 10u64.pow(scale.unsigned_abs()) as f64;
    }
    format!("{unscaled}e{}", -i64::from(scale)).parse().unwrap_or(f64::NAN)
}

/// The nodes and buffers of a batch of rows or of a dictionary.
pub(super) struct Parts {
    pub(super) n_rows: u64,
    /// Rows and nulls of each node.
    nodes: Vec<(usize, i64)>,
    /// Where each node's buffers lie among all.
    places: Vec<Range<usize>>,
    buffers: Vec<Range<usize>>,
    /// How the buffers are compressed, if they are.
    codec: Option<Codec>,
}

impl Parts {
    pub(super) fn read(batch: &Table<'_>, body_len: usize, schema: &[(usize, bool)]) -> Result<Self, What> {
        const OUTSIDE: &str = "its metadata point outside of themselves";
        let compression = batch.table(3).ok_or(OUTSIDE)?;
        let codec = compression.map(|table| Codec::read(&table).ok_or(OUTSIDE)).transpose()?.transpose()?;
        let pairs = |field| {
            let bytes = batch.vector(field, 16).ok_or(OUTSIDE)?;
            let long = |half: [u8; 8]| i64::from_le_bytes(half);
            Ok::<_, &'static str>(
                bytes.as_chunks::<8>().0.as_chunks::<2>().0.iter().map(move |&[a, b]| (long(a), long(b))),
            )
        };
        let nodes: Option<Vec<(usize, i64)>> =
            pairs(1)?.map(|(rows, nulls)| Some((usize::try_from(rows).ok()?, nulls))).collect();
        let buffers: Option<Vec<Range<usize>>> = pairs(2)?
            .map(|(start, len)| {
                let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
                let end = start.checked_add(len)?;
                // Some writers give empty buffers an offset without meaning.
                if len == 0 { Some(0..0) } else { (end <= body_len).then_some(start..end) }
            })
            .collect();
        let nodes = nodes.ok_or("a number of rows makes no sense")?;
        let buffers = buffers.ok_or("a buffer lies outside of its body")?;
        let n_rows =
            batch.i64(0).and_then(|rows| u64::try_from(rows).ok()).ok_or("its number of rows makes no sense")?;
        let mut variadic = batch.vector(4, 8).ok_or(OUTSIDE)?.as_chunks::<8>().0.iter();
        let mut places = Vec::with_capacity(schema.len());
        let mut next = 0usize;
        for &(fixed, is_variadic) in schema {
            let more = match is_variadic {
                true => variadic.next().and_then(|&count| usize::try_from(i64::from_le_bytes(count)).ok()),
                false => Some(0),
            };
            let end = more.and_then(|more| next.checked_add(fixed)?.checked_add(more));
            let end = end.filter(|&end| end <= buffers.len()).ok_or("it has fewer buffers than its schema says")?;
            places.push(next..end);
            next = end;
        }
        if nodes.len() != schema.len() || next != buffers.len() {
            return Err("it has other columns than its schema says".into());
        }
        Ok(Self { n_rows, nodes, places, buffers, codec })
    }

    /// The body as it was before it was compressed, with the buffers of some nodes alone, whose places are known from
    /// then on.
    pub(super) fn decompress<'a>(
        &mut self,
        body: &'a [u8],
        wanted: &[usize],
        budget: &mut Budget,
    ) -> Result<Cow<'a, [u8]>, What> {
        let Some(codec) = self.codec.take() else { return Ok(body.into()) };
        let compressed = std::mem::take(&mut self.buffers);
        self.buffers = vec![0..0; compressed.len()];
        let mut plain = Vec::new();
        for &node in wanted {
            for at in self.places[node].clone() {
                let start = plain.len();
                codec.decompress(&body[compressed[at].clone()], &mut plain, budget)?;
                self.buffers[at] = start..plain.len();
            }
        }
        Ok(plain.into())
    }

    pub(super) fn layout(&self, node: usize, kind: Kind, body: &[u8]) -> Result<Layout, &'static str> {
        let (len, n_nulls) = self.nodes[node];
        Layout::new(kind, len, n_nulls, &self.buffers[self.places[node].clone()], body)
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_decimal_is_the_double_next_to_it() {
        // What Rust reads out of the same digits, whose parser rounds once.
        for (unscaled, scale, number) in [
            (450, 2, 4.5),
            (-1, 1, -0.1),
            (3, -2, 300.0),
            (123_456_789_012_345_678_901_234_567_890, 29, 1.234_567_890_123_456_8),
            (9_007_199_254_740_993, 0, 9_007_199_254_740_992.0),
            (1, 40, 1e-40),
            (i128::MIN, 0, -1.701_411_834_604_692_3e38),
        ] {
            assert_eq!(decimal(unscaled, scale).to_bits(), f64::to_bits(number), "{unscaled} {scale}");
        }
    }
}
