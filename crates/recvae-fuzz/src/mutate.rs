//! Changes that decoders stumble over.

use crate::LONGEST_ARROW;
use crate::arrow::hostile;
use crate::model::repaired;
use crate::targets::{Format, Target};
use crate::zip;

/// Sebastiano Vigna's splitmix64: small, and fast enough not to count.
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A whole number from 0 to below `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// From 1 on, short ones more often.
    fn length(&mut self, bits: usize) -> usize {
        let bound = 1 << self.below(bits);
        1 + self.below(bound)
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Whole numbers around which arithmetic breaks.
const NUMBERS: [i64; 24] = [
    0,
    1,
    2,
    3,
    7,
    8,
    12,
    13,
    16,
    255,
    256,
    65_535,
    65_536,
    1 << 20,
    i32::MAX as i64,
    1 << 31,
    u32::MAX as i64,
    1 << 32,
    1 << 40,
    1 << 53,
    i64::MAX,
    -1,
    -8,
    i64::MIN,
];

/// The same and others as text.
const NUMBER_TEXTS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "00",
    "4294967295",
    "4294967296",
    "2147483648",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "NaN",
    "-1",
    "1.5",
];

const TEXT: [&str; 20] = [
    "\n",
    "\r\n",
    "\r",
    ",",
    "\t",
    "\"",
    "\"\"",
    "user",
    "item",
    "value",
    "uid",
    "sid",
    "\u{feff}",
    "\0",
    "é",
    "\u{d7ff}",
    "a,b\n",
    "\"a\nb\"",
    " ",
    "== train.csv\n",
];

const JSON: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "\"user\"",
    "\"item\"",
    "\"value\":1",
    "{\"user\":1,\"item\":2}\n",
    "\"dtype\"",
    "\"F32\"",
    "\"F16\"",
    "\"U16\"",
    "\"shape\"",
    "[0]",
    "[]",
    "\"data_offsets\"",
    "\"kind\":\"ease\"",
    "\"kind\":\"recvae\"",
    "\"options\"",
    "\"hiddenDim\":65536",
    "\"latentDim\":65536",
    "\"model.weights\"",
    "\"format\":1",
];

/// Parts of headers of NumPy, of ZIP and of safetensors.
const WEIGHTS: [&str; 20] = [
    "'descr': '<f8'",
    "'descr': '<f2'",
    "'descr': '|O'",
    "'fortran_order': True",
    "'shape': (4, 3)",
    "'shape': ()",
    "(4294967296, 4294967296)",
    "\u{93}NUMPY",
    "PK\x01\x02",
    "PK\x03\x04",
    "PK\x05\x06",
    "\"dtype\":\"F64\"",
    "\"F16\"",
    "\"BF16\"",
    "\"shape\":[4,3]",
    "\"data_offsets\":[0,0]",
    "weight_q_0to1",
    "q_layers.0.weight",
    "encoder.fc1.weight",
    "a/ratings.csv",
];

/// Changes an input of a target, in up to eight places. `other` is an input to take pieces from.
pub fn mutate(target: &Target, input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 << random.below(4) {
        match target.format {
            Format::Text => change(input, other, &TEXT, random),
            Format::Json => change(input, other, &JSON, random),
            // Of every magnitude alike: each doubling costs twice the time, and most of what goes wrong shows in a
            // small one.
            Format::Arrow if random.below(32) == 0 => {
                let magnitude = random.below(LONGEST_ARROW.ilog2() as usize - 12);
                *input = hostile(random.below(8192 << magnitude), random);
            }
            Format::Arrow if random.below(8) == 0 => change_messages(input, random),
            Format::Arrow => change_words(input, other, random),
            Format::Model if random.below(2) == 0 => change(input, other, &JSON, random),
            Format::Weights if random.below(2) == 0 => change(input, other, &WEIGHTS, random),
            Format::Model | Format::Weights => change_words(input, other, random),
        }
    }
    // One in four stays broken, so that the checks themselves are tried too.
    if target.format == Format::Model && random.below(4) > 0 {
        *input = repaired(input);
    }
    if target.format == Format::Weights && random.below(4) > 0 {
        *input = zip::repaired(input);
    }
    input.truncate(target.longest());
}

/// A change of text with numbers and tokens in it.
fn change(input: &mut Vec<u8>, other: &[u8], tokens: &[&str], random: &mut Random) {
    match random.below(8) {
        0 => replace_number(input, random),
        1 | 2 => {
            let token = random.pick(tokens).as_bytes();
            let at = random.below(input.len() + 1);
            let end = if random.below(2) == 0 { at } else { (at + token.len()).min(input.len()) };
            input.splice(at..end, token.iter().copied());
        }
        _ => change_bytes(input, other, random),
    }
}

/// Another number in place of one in the text.
fn replace_number(input: &mut Vec<u8>, random: &mut Random) {
    let start = random.below(input.len() + 1);
    let Some(first) = (start..input.len()).find(|&at| input[at].is_ascii_digit()) else { return };
    let end = (first..input.len()).find(|&at| !input[at].is_ascii_digit()).unwrap_or(input.len());
    let number = match std::str::from_utf8(&input[first..end]).ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(number) if random.below(2) == 0 => match random.below(4) {
            0 => number.wrapping_add(1).to_string(),
            1 => number.wrapping_sub(1).to_string(),
            2 => number.wrapping_mul(2).to_string(),
            _ => number.wrapping_neg().to_string(),
        },
        _ => (*random.pick(&NUMBER_TEXTS)).to_owned(),
    };
    input.splice(first..end, number.into_bytes());
}

/// A change of bytes without meaning.
fn change_bytes(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.length(8)).min(input.len());
    match random.below(6) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => input[at.min(end)..end].fill(*random.pick(&[0, 0xff, 0x7f, 0x80, b'\n', b'"', b' '])),
        2 => drop(input.drain(at.min(end)..end)),
        3 => {
            let piece = input[at.min(end)..end].to_vec();
            let to = random.below(input.len() + 1);
            input.splice(to..to, piece);
        }
        4 if !other.is_empty() => {
            let from = random.below(other.len());
            let to = (from + random.length(10)).min(other.len());
            input.splice(at..end.max(at), other[from..to].iter().copied());
        }
        _ => input.insert(at, random.below(256) as u8),
    }
}

/// A change of whole numbers of two, four or eight bytes at their places.
fn change_words(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let size = *random.pick(&[2usize, 4, 4, 8, 8]);
    if random.below(4) == 0 || input.len() < size {
        return change_bytes(input, other, random);
    }
    let at = random.below(input.len() / size) * size;
    let mut word = [0; 8];
    word[..size].copy_from_slice(&input[at..at + size]);
    let old = i64::from_le_bytes(word);
    let new = match random.below(4) {
        0 => *random.pick(&NUMBERS),
        1 => old.wrapping_add(*random.pick(&[1, -1, 4, -4, 8, -8])),
        2 => old.wrapping_shl(1),
        _ => random.below(input.len() + 1) as i64,
    };
    input[at..at + size].copy_from_slice(&new.to_le_bytes()[..size]);
}

/// Repeats, drops or moves a message of an Arrow stream.
fn change_messages(input: &mut Vec<u8>, random: &mut Random) {
    let mut starts: Vec<usize> =
        (0..input.len().saturating_sub(3)).filter(|&at| input[at..at + 4] == [0xff; 4]).collect();
    starts.push(input.len());
    if starts.len() < 2 {
        return;
    }
    let at = random.below(starts.len() - 1);
    let (start, end) = (starts[at], starts[at + 1]);
    let message = input[start..end].to_vec();
    let to = *random.pick(&starts);
    match random.below(3) {
        0 => drop(input.drain(start..end)),
        1 => {
            let times = (1 << random.below(12)).min(1 + LONGEST_ARROW / message.len());
            input.splice(to..to, message.repeat(times));
        }
        _ if to <= start => {
            input.drain(start..end);
            input.splice(to..to, message);
        }
        _ => {}
    }
}
