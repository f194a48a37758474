//! Bytes of a file, a pipe or a terminal, plain or compressed, until somebody stops the reading.
//!
//! A thread that waits within the operating system cannot be told to stop, and a named pipe makes its reader wait as
//! early as it is opened, until somebody writes. So what may wait is opened without waiting, and is asked again and
//! again whether there is something to read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::{BUFFER, zstd};
use crate::base::cancel::Cancel;

/// Starts gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A byte order mark.
pub(super) const MARK: &[u8] = "\u{feff}".as_bytes();

/// An open file that refuses to be read on when the work is stopped.
pub(super) struct Input {
    file: File,
    cancel: Cancel,
    /// Whether the file has to be asked before the next read, which may wait otherwise.
    asks: bool,
    /// Whether it has to be asked before every read, because it was opened elsewhere, where it may wait.
    always_asks: bool,
}

impl Input {
    /// Opens what is at the path, without waiting for somebody who writes.
    pub(super) fn open(path: &Path, cancel: &Cancel) -> io::Result<Self> {
        let file = system::open(path)?;
        let asks = may_wait(&file)?;
        Ok(Self { file, cancel: cancel.clone(), asks, always_asks: false })
    }

    /// Standard input.
    pub(super) fn stdin(cancel: &Cancel) -> io::Result<Self> {
        let file = system::stdin()?;
        let asks = may_wait(&file)?;
        Ok(Self { file, cancel: cancel.clone(), asks, always_asks: asks })
    }
}

fn may_wait(file: &File) -> io::Result<bool> {
    let kind = file.metadata()?.file_type();
    Ok(!kind.is_file() && !kind.is_dir())
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.cancel.check().map_err(io::Error::other)?;
            // Reading from a named pipe that nobody has opened for writing yet gives the same as from one that
            // everybody has closed. Asking tells the two apart.
            if self.asks && !system::has_something(&self.file)? {
                continue;
            }
            let result = self.file.read(buffer);
            let would_wait = matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock);
            self.asks = self.always_asks || would_wait;
            if !would_wait {
                return result;
            }
        }
    }
}

#[cfg(unix)]
mod system {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::OFlags;
    use rustix::io::Errno;

    /// How long an answer is awaited, and so how long a reader takes to notice that it was stopped.
    const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

    pub(super) fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)
    }

    pub(super) fn stdin() -> io::Result<File> {
        Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
    }

    /// Whether there are bytes, or the end of them, within a moment.
    pub(super) fn has_something(file: &File) -> io::Result<bool> {
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&PATIENCE)) {
            Err(Errno::INTR) => Ok(false),
            answered => Ok(answered? > 0),
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    #[cfg(windows)]
    pub(super) fn stdin() -> io::Result<File> {
        use std::os::windows::io::AsHandle;
        Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
    }

    #[cfg(not(windows))]
    pub(super) fn stdin() -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Pipes cannot be asked here: whoever reads waits.
    pub(super) fn has_something(_: &File) -> io::Result<bool> {
        Ok(true)
    }
}

/// The bytes that were compressed, or those that are there. What they are is seen from the first ones.
pub(super) fn decoded<'a>(input: impl Read + Send + 'a) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let frames = zstd::beginnings();
    let beginnings: Vec<&[u8]> = frames.iter().map(|frame| &frame[..]).chain([&GZIP[..]]).collect();
    let first = first_bytes(&mut input, &beginnings)?;
    let (is_gzip, is_zstd) = (first == GZIP, frames.iter().any(|frame| first == *frame));
    let input = Cursor::new(first).chain(input);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER, Gzip { member: Some(GzDecoder::new(input)) }))
    } else if is_zstd {
        Box::new(BufReader::with_capacity(BUFFER, zstd::Zstd::new(input)))
    } else {
        Box::new(input)
    })
}

/// The members of a gzip file, one after the other. Zeros behind a member are padding, as tapes and block devices leave
/// it; `gzip -d` passes over it, too.
struct Gzip<R> {
    /// The member at work; none at the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let rest = self.member.take().map(GzDecoder::into_inner);
            self.member = rest.map(past_zeros).transpose()?.flatten().map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// What comes after zeros, if there is anything.
fn past_zeros<R: BufRead>(mut input: R) -> io::Result<Option<R>> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let is_past = zeros < bytes.len();
        input.consume(zeros);
        if is_past {
            return Ok(Some(input));
        }
    }
}

/// The same bytes without the byte order mark that spreadsheets put in front.
pub(crate) fn unmarked(mut input: impl BufRead) -> io::Result<impl BufRead> {
    let first = first_bytes(&mut input, &[MARK])?;
    Ok(Cursor::new(if first == MARK { vec![] } else { first }).chain(input))
}

/// Latin-1 as UTF-8.
pub(super) struct Latin1<R> {
    input: R,
    /// The second byte of a character whose first one filled the buffer.
    rest: Option<u8>,
}

impl<R: BufRead> Latin1<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, rest: None }
    }
}

impl<R: BufRead> Read for Latin1<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        if let Some(rest) = self.rest.take() {
            *first = rest;
            return Ok(1);
        }
        let (mut taken, mut n) = (0, 0);
        for &byte in self.input.fill_buf()? {
            let Some(place) = buffer.get_mut(n) else { break };
            (taken, n) = (taken + 1, n + 1);
            if byte < 0x80 {
                *place = byte;
                continue;
            }
            *place = 0xc0 | byte >> 6;
            let second = 0x80 | byte & 0x3f;
            match buffer.get_mut(n) {
                Some(place) => {
                    *place = second;
                    n += 1;
                }
                None => self.rest = Some(second),
            }
        }
        self.input.consume(taken);
        Ok(n)
    }
}

/// Whether a byte order mark comes next, which is taken then. Of what is none, the first bytes may be taken, too.
pub(super) fn begins_with_mark(input: &mut impl Read) -> io::Result<bool> {
    Ok(first_bytes(input, &[MARK])? == MARK)
}

/// Takes bytes for as long as they may become one of the beginnings: a pipe may hand them out one by one.
fn first_bytes(input: &mut impl Read, beginnings: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    while beginnings.iter().any(|beginning| beginning.len() > first.len() && beginning.starts_with(&first)) {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => first.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Hands out one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buffer.len()).min(1);
            self.0.read(&mut buffer[..n])
        }
    }

    #[test]
    fn every_byte_of_latin_1_is_the_character_of_its_number() {
        let bytes: Vec<u8> = (0..=255).collect();
        let expected: String = (0..=255u8).map(char::from).collect();
        for piece in [1, 2, 3, 1000] {
            let (mut text, mut buffer) = (Vec::new(), vec![0; piece]);
            let mut input = Latin1::new(&bytes[..]);
            loop {
                match input.read(&mut buffer).unwrap() {
                    0 => break,
                    n => text.extend_from_slice(&buffer[..n]),
                }
            }
            assert_eq!(String::from_utf8(text).unwrap(), expected, "{piece}");
        }
    }

    #[test]
    fn what_is_no_member_behind_one_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"u,i\n").unwrap();
        let whole = encoder.finish().unwrap();
        for rest in [&b"u,j\n"[..], &[0, 0, b'u'], &[0, 0x1f], &whole[..whole.len() - 1]] {
            let bytes = [&whole[..], rest].concat();
            let mut read = Vec::new();
            assert!(decoded(&bytes[..]).unwrap().read_to_end(&mut read).is_err(), "{rest:?}");
        }
    }

    #[test]
    fn the_first_bytes_say_what_they_are_however_they_come() {
        let gzip = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let zstd = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
        let text: &[u8] = b"user,item\nu,i\n";
        // A frame of four bytes that is to be skipped.
        let two = [gzip(&text[..4]), gzip(&text[4..])];
        let joined = [two[0].clone(), vec![0; 700], two[1].clone(), vec![0; 3 * BUFFER]].concat();
        let behind_skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4], &zstd(text)[..]].concat();
        let plain: [&[u8]; 6] = [text, b"", &[0x1f], &[0x28, 0xb5], &[0x28, 0xb5, 0x2f, 0x1f], &[0x1f, 0x1f]];
        for (bytes, expected) in
            [(gzip(text), text), (zstd(text), text), (behind_skipped, text), (two.concat(), text), (joined, text)]
                .into_iter()
                .chain(plain.map(|bytes| (bytes.to_vec(), bytes)))
        {
            for slow in [false, true] {
                let input: Box<dyn Read + Send> = if slow { Box::new(Slow(&bytes)) } else { Box::new(&bytes[..]) };
                let mut read = Vec::new();
                decoded(input).unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(read, expected, "{bytes:?}");
                let (mut marked, mut unmarked_bytes) = (MARK.to_vec(), Vec::new());
                marked.extend_from_slice(&read);
                let input: Box<dyn Read> = if slow { Box::new(Slow(&marked)) } else { Box::new(&marked[..]) };
                unmarked(BufReader::new(input)).unwrap().read_to_end(&mut unmarked_bytes).unwrap();
                assert_eq!(unmarked_bytes, read);
            }
        }
    }
}
