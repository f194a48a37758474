//! Zstandard (RFC 8878): the frames of a file one after the other, as `zstd` and DuckDB write them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Starts every frame of data.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// With what a file may begin: a frame of data, or one that is to be skipped (section 3.1.2), as `pzstd` writes.
pub(super) fn beginnings() -> [[u8; 4]; 17] {
    std::array::from_fn(|at| if at < 16 { [0x50 + at as u8, 0x2a, 0x4d, 0x18] } else { MAGIC })
}

/// Reads what was compressed. A frame whose window is longer than the decoder's limit (128 MiB) is refused.
pub(super) struct Zstd<R> {
    input: R,
    decoder: FrameDecoder,
    is_within_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, decoder: FrameDecoder::new(), is_within_frame: false }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within_frame {
                if self.input.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                match self.decoder.init(&mut self.input) {
                    Ok(()) => self.is_within_frame = true,
                    Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                        length, ..
                    })) => {
                        io::copy(&mut self.input.by_ref().take(length.into()), &mut io::sink())?;
                    }
                    Err(error) => return Err(broken(&error)),
                }
                continue;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(|error| broken(&error))?;
            }
            let n = self.decoder.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let (wanted, got) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
            if wanted.is_some() && wanted != got {
                return Err(broken(&"its checksum does not hold"));
            }
            self.is_within_frame = false;
        }
    }
}

fn broken(what: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {what}"))
}
