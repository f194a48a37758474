//! Buffers of a body that are compressed each for itself: 8 bytes with the length of what comes out, then a frame of
//! LZ4 or Zstandard. A length of -1 says that the buffer was left as it is.
//!
//! Such a length is a claim. It is held against a [`Budget`] before anything is allocated, and a claim that no LZ4
//! frame of that size can keep is refused; of Zstandard, memory grows with what comes out. LZ4 frames are taken apart
//! here, block by block into their place, because the decoder of `lz4_flex` takes 8 MiB and more for a frame of 20
//! bytes that claims large blocks.
//!
//! Sources: `Message.fbs` of Arrow (`BodyCompression`); Y. Collet, LZ4 Frame Format Description 1.6.4 and LZ4 Block
//! Format Description; RFC 8878.

use std::borrow::Cow;
use std::io::Read;

use lz4_flex::block::decompress_into_with_dict;
use xxhash_rust::xxh32::xxh32;

use super::flat::Table;
use crate::data::read::zstd::Zstd;

/// What is wrong with a message.
pub(super) type What = Cow<'static, str>;

/// How buffers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Lz4,
    Zstd,
}

impl Codec {
    /// Reads a table `BodyCompression`; the inner error says what is not known.
    pub(super) fn read(table: &Table<'_>) -> Option<Result<Self, What>> {
        let (codec, method) = (table.u8(0)?, table.u8(1)?);
        Some(match (codec, method) {
            (0, 0) => Ok(Self::Lz4),
            (1, 0) => Ok(Self::Zstd),
            (0 | 1, _) => {
                Err(format!("its method of compression is {method}; allowed: 0, each buffer for itself").into())
            }
            _ => Err(format!(
                "its buffers are compressed by the codec {codec}; allowed: 0 (LZ4 frames) and 1 (Zstandard)"
            )
            .into()),
        })
    }

    /// Appends what a buffer was before it was compressed.
    pub(super) fn decompress(self, buffer: &[u8], body: &mut Vec<u8>, budget: &mut Budget) -> Result<(), What> {
        if buffer.is_empty() {
            return Ok(());
        }
        let Some((&length, frame)) = buffer.split_first_chunk::<8>() else {
            return Err("a compressed buffer has no room for its length".into());
        };
        let length = match i64::from_le_bytes(length) {
            -1 => {
                body.extend_from_slice(frame);
                return Ok(());
            }
            length => usize::try_from(length)
                .map_err(|_| format!("a compressed buffer claims to have {length} bytes; allowed: 0 or more, or -1"))?,
        };
        budget.take(length)?;
        let start = body.len();
        match self {
            Self::Lz4 => lz4(frame, length, body),
            Self::Zstd => {
                // One more than it may be, so that a longer one shows.
                let most = length as u64 + 1;
                let read = Zstd::new(frame).take(most).read_to_end(body);
                read.map(drop).map_err(|error| error.to_string().replacen("zstd: ", "", 1).into())
            }
        }
        .map_err(|what: What| format!("a buffer cannot be decompressed by {}: {what}", self.name()))?;
        let found = body.len() - start;
        if found != length {
            let found = if found > length { "more".to_owned() } else { found.to_string() };
            return Err(format!("a compressed buffer claims to have {length} bytes and has {found}").into());
        }
        Ok(())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "LZ4",
            Self::Zstd => "Zstandard",
        }
    }
}

/// How many bytes may still come out of compressed buffers of a stream.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    taken: usize,
}

/// What may come out of each byte that came: no more than LZ4 can make of one. Constant columns beside others stay far
/// below.
pub(super) const PER_BYTE: usize = 256;
/// What may come out in any case.
pub(super) const FREE: usize = 16 << 20;

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: FREE, taken: 0 }
    }

    /// So many bytes of the stream have come.
    pub(super) fn came(&mut self, n: usize) {
        self.left = self.left.saturating_add(n.saturating_mul(PER_BYTE));
    }

    /// How many have come out.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    fn take(&mut self, n: usize) -> Result<(), What> {
        self.left = self.left.checked_sub(n).ok_or_else(|| {
            format!(
                "a compressed buffer claims to have {n} bytes; allowed: in all {} MiB and {PER_BYTE} times the bytes that came",
                FREE >> 20
            )
        })?;
        self.taken += n;
        Ok(())
    }
}

const LZ4_MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// How far back a block may point, also into the blocks before it.
const LZ4_WINDOW: usize = 64 << 10;
/// No byte of a block makes more.
const LZ4_MOST: usize = 255;

/// Appends what a frame holds, which is to be of that length.
fn lz4(frame: &[u8], length: usize, body: &mut Vec<u8>) -> Result<(), What> {
    if length > frame.len().saturating_mul(LZ4_MOST) {
        return Err(format!("{length} bytes cannot come out of {}", frame.len()).into());
    }
    let mut input = Input(frame);
    if input.take(4)? != LZ4_MAGIC {
        return Err("no frame begins here".into());
    }
    let descriptor = input.0;
    let &[flags, block] = input.array()?;
    if flags >> 6 != 1 || flags & 2 != 0 {
        return Err("its frame is of another version; allowed: 1".into());
    }
    let is_flagged = |bit: u8| flags >> bit & 1 != 0;
    let [has_dictionary, has_checksum, has_size, has_block_checksums] = [0, 2, 3, 4].map(is_flagged);
    let longest = match block >> 4 {
        size @ 4..=7 => 1usize << (2 * size + 8),
        _ => return Err("the size of its blocks is none of the four that there are".into()),
    };
    if has_size && u64::from_le_bytes(*input.array()?) != length as u64 {
        return Err("its frame says another length".into());
    }
    if has_dictionary {
        return Err("it needs a dictionary".into());
    }
    let described = &descriptor[..descriptor.len() - input.0.len()];
    let [check] = *input.array()?;
    if check != (xxh32(described, 0) >> 8) as u8 {
        return Err("the checksum of its header does not hold".into());
    }
    let start = body.len();
    body.resize(start + length, 0);
    let output = &mut body[start..];
    let mut at = 0;
    loop {
        let size = u32::from_le_bytes(*input.array()?);
        if size == 0 {
            break;
        }
        let (is_plain, size) = (size >> 31 != 0, (size & 0x7fff_ffff) as usize);
        if size > longest {
            return Err("a block is longer than its frame says".into());
        }
        let block = input.take(size)?;
        if has_block_checksums && u32::from_le_bytes(*input.array()?) != xxh32(block, 0) {
            return Err("the checksum of a block does not hold".into());
        }
        let (before, rest) = output.split_at_mut(at);
        let room = rest.len().min(longest);
        at += if is_plain {
            let place = rest[..room].get_mut(..size).ok_or("more comes out than it claims")?;
            place.copy_from_slice(block);
            size
        } else {
            let window = &before[at.saturating_sub(LZ4_WINDOW)..];
            decompress_into_with_dict(block, &mut rest[..room], window).map_err(|error| error.to_string())?
        };
    }
    if has_checksum && u32::from_le_bytes(*input.array()?) != xxh32(&output[..at], 0) {
        return Err("its checksum does not hold".into());
    }
    if !input.0.is_empty() {
        return Err("bytes follow its end".into());
    }
    body.truncate(start + at);
    Ok(())
}

/// Bytes that are taken from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], What> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("it is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], What> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it is cut off")?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use lz4_flex::block::{compress, compress_with_dict};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// Bits of the flags of a frame.
    const CHECKSUM: u8 = 1 << 2;
    const SIZE: u8 = 1 << 3;
    const BLOCK_CHECKSUMS: u8 = 1 << 4;
    const INDEPENDENT: u8 = 1 << 5;

    /// A frame with blocks of that many bytes.
    fn frame(text: &[u8], block: usize, flags: u8) -> Vec<u8> {
        let mut descriptor = vec![1 << 6 | flags, 4 << 4];
        if flags & SIZE != 0 {
            descriptor.extend((text.len() as u64).to_le_bytes());
        }
        let mut frame = [&LZ4_MAGIC[..], &descriptor].concat();
        frame.push((xxh32(&descriptor, 0) >> 8) as u8);
        for (number, piece) in text.chunks(block).enumerate() {
            let before = &text[..number * block];
            let window = &before[before.len().saturating_sub(LZ4_WINDOW)..];
            let packed = match flags & INDEPENDENT {
                0 => compress_with_dict(piece, window),
                _ => compress(piece),
            };
            let is_plain = packed.len() >= piece.len();
            let packed = if is_plain { piece } else { &packed };
            frame.extend((packed.len() as u32 | u32::from(is_plain) << 31).to_le_bytes());
            frame.extend(packed);
            if flags & BLOCK_CHECKSUMS != 0 {
                frame.extend(xxh32(packed, 0).to_le_bytes());
            }
        }
        frame.extend([0; 4]);
        if flags & CHECKSUM != 0 {
            frame.extend(xxh32(text, 0).to_le_bytes());
        }
        frame
    }

    /// What comes out of a buffer that claims a length.
    fn out(codec: Codec, length: i64, frame: &[u8]) -> Result<Vec<u8>, String> {
        let (mut body, mut budget) = (b"before".to_vec(), Budget::new());
        budget.came(frame.len());
        let buffer = [&length.to_le_bytes()[..], frame].concat();
        codec.decompress(&buffer, &mut body, &mut budget)?;
        Ok(body.strip_prefix(b"before").unwrap().to_vec())
    }

    /// Text that repeats itself over more than a window, and bytes that do not.
    fn text(len: usize) -> Vec<u8> {
        let noise = (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
        let words = (0..len as u32).map(|n| b"recommendations "[(n % 16) as usize]);
        words.zip(noise).enumerate().map(|(at, (word, noise))| if at / 3000 % 2 == 0 { word } else { noise }).collect()
    }

    #[test]
    fn frames_of_every_form_give_what_went_in() {
        for len in [0, 1, 13, 5000, 200_000] {
            let text = text(len);
            for flags in (0..16).map(|bits| bits << 2) {
                for block in [700, 65_536] {
                    let out = out(Codec::Lz4, len as i64, &frame(&text, block, flags));
                    assert!(out.as_deref() == Ok(&text), "{len} {flags:b} {block} {:?}", out.err());
                }
            }
            assert_eq!(
                out(Codec::Zstd, len as i64, &compress_to_vec(&text[..], CompressionLevel::Fastest)).unwrap(),
                text
            );
            for codec in [Codec::Lz4, Codec::Zstd] {
                assert_eq!(out(codec, -1, &text).unwrap(), text);
            }
        }
    }

    #[test]
    fn what_is_altered_is_refused_or_comes_out_in_that_length() {
        let text = text(2000);
        for (codec, frame) in [
            (Codec::Lz4, frame(&text, 700, CHECKSUM | SIZE | BLOCK_CHECKSUMS)),
            (Codec::Lz4, frame(&text, 700, 0)),
            (Codec::Zstd, compress_to_vec(&text[..], CompressionLevel::Fastest)),
        ] {
            for at in 0..frame.len() {
                for change in [1, 0x80, 0xff] {
                    let mut altered = frame.clone();
                    altered[at] ^= change;
                    assert!(
                        out(codec, 2000, &altered).is_ok_and(|out| out.len() == 2000)
                            || out(codec, 2000, &altered).is_err()
                    );
                }
                assert!(out(codec, 2000, &frame[..at]).is_err(), "{codec:?} {at}");
            }
        }
        let checked = frame(&text, 700, CHECKSUM | BLOCK_CHECKSUMS);
        for at in 4..checked.len() {
            let mut altered = checked.clone();
            altered[at] ^= 0x55;
            assert!(out(Codec::Lz4, 2000, &altered).is_err(), "{at}");
        }
    }

    #[test]
    fn wrong_lengths_are_told_before_anything_is_taken() {
        let (lz4, zstd) = (frame(&text(2000), 700, 0), compress_to_vec(&text(2000)[..], CompressionLevel::Fastest));
        let refused = |codec, length, frame: &[u8]| out(codec, length, frame).unwrap_err();
        for length in [1999, 2001, 0] {
            for (codec, frame) in [(Codec::Lz4, &lz4), (Codec::Zstd, &zstd)] {
                let error = refused(codec, length, frame);
                assert!(
                    error.starts_with("a compressed buffer claims to have") || error.contains("by LZ4: "),
                    "{error}"
                );
            }
        }
        assert_eq!(refused(Codec::Zstd, 1999, &zstd), "a compressed buffer claims to have 1999 bytes and has more");
        assert_eq!(refused(Codec::Zstd, 2001, &zstd), "a compressed buffer claims to have 2001 bytes and has 2000");
        let claim = "a compressed buffer claims to have -2 bytes; allowed: 0 or more, or -1";
        assert_eq!(refused(Codec::Zstd, -2, &zstd), claim);
        for codec in [Codec::Lz4, Codec::Zstd] {
            // No allocation of that size would succeed.
            let error = refused(codec, i64::MAX, &lz4);
            assert!(error.contains("allowed: in all 16 MiB and 256 times the bytes that came"), "{error}");
        }
        let error = refused(Codec::Lz4, 16 << 20, &lz4);
        assert!(error.contains("16777216 bytes cannot come out of"), "{error}");
        let mut budget = Budget::new();
        let error = Codec::Lz4.decompress(&[1, 0, 0], &mut vec![], &mut budget).unwrap_err();
        assert_eq!(error, "a compressed buffer has no room for its length");
        assert_eq!(Codec::Lz4.decompress(&[], &mut vec![], &mut budget), Ok(()));
        // Claims add up, over all buffers of a stream.
        let block = compress_to_vec(&vec![0; 1 << 20][..], CompressionLevel::Fastest);
        let buffer = [&(1i64 << 20).to_le_bytes()[..], &block].concat();
        let out: Vec<bool> =
            (0..17).map(|_| Codec::Zstd.decompress(&buffer, &mut vec![], &mut budget).is_ok()).collect();
        assert_eq!((out.iter().filter(|&&ok| ok).count(), out[16]), (16, false));
        assert_eq!(budget.taken(), FREE);
    }
}
