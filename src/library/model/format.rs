//! The format of numbers in model files: little-endian, every list preceded by its length, a
//! checksum at the end. Reading trusts nothing: a damaged or truncated file is an error before any
//! of its lengths is believed.
//!
//! safetensors, in which the nets' weights lie, has no checksum.

use crate::error::{Error, ErrorKind, Result};

/// Collects the content of one file.
pub(super) struct NumberWriter {
    bytes: Vec<u8>,
}

/// Walks over the content of one file whose checksum is right.
pub(super) struct NumberReader<'a> {
    rest: &'a [u8],
    name: &'a str,
}

macro_rules! number_lists {
    ($($write:ident, $read:ident, $number:ty;)*) => {
        impl NumberWriter {
            $(
                /// Appends a list of numbers.
                pub(super) fn $write(&mut self, numbers: &[$number]) {
                    self.bytes.extend((numbers.len() as u64).to_le_bytes());
                    let start = self.bytes.len();
                    self.bytes.resize(start + size_of_val(numbers), 0);
                    let (cells, _) = self.bytes[start..].as_chunks_mut();
                    for (cell, number) in cells.iter_mut().zip(numbers) {
                        *cell = number.to_le_bytes();
                    }
                }
            )*
        }

        impl NumberReader<'_> {
            $(
                /// Reads a list of numbers.
                pub(super) fn $read(&mut self) -> Result<Vec<$number>> {
                    let (cells, _) = self.list(size_of::<$number>())?.as_chunks();
                    Ok(cells.iter().map(|cell| <$number>::from_le_bytes(*cell)).collect())
                }
            )*
        }
    };
}

number_lists! {
    u8s, read_u8s, u8;
    u32s, read_u32s, u32;
    u64s, read_u64s, u64;
    f32s, read_f32s, f32;
    f64s, read_f64s, f64;
}

impl NumberWriter {
    /// A file that begins with `magic`.
    pub(super) fn new(magic: [u8; 8]) -> Self {
        Self { bytes: magic.to_vec() }
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let checksum = checksum(&self.bytes);
        self.bytes.extend(checksum.to_le_bytes());
        self.bytes
    }
}

impl<'a> NumberReader<'a> {
    /// Opens the content of the file called `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it does not begin with `magic` or its checksum is wrong.
    pub(super) fn new(bytes: &'a [u8], magic: [u8; 8], name: &'a str) -> Result<Self> {
        let Some((content, stored)) = bytes.split_last_chunk::<8>() else {
            return Err(corrupt(name, format!("{} bytes are too few", bytes.len())));
        };
        let Some(rest) = content.strip_prefix(&magic) else {
            return Err(corrupt(name, "it does not begin as such a file does"));
        };
        let (stored, found) = (u64::from_le_bytes(*stored), checksum(content));
        if stored != found {
            let reason = format!("checksum {found:016x}, expected {stored:016x}");
            return Err(corrupt(name, reason));
        }
        Ok(Self { rest, name })
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if something is left.
    pub(super) fn finish(self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            n_left => Err(corrupt(self.name, format!("{n_left} bytes are left over"))),
        }
    }

    /// The bytes of a list of them, where they lie.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the list is longer than the file.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        self.list(1)
    }

    fn list(&mut self, size: usize) -> Result<&'a [u8]> {
        let too_short = |name| corrupt(name, "a list is longer than the file");
        let (length, rest) =
            self.rest.split_first_chunk::<8>().ok_or_else(|| too_short(self.name))?;
        let n_bytes = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .and_then(|length| length.checked_mul(size))
            .filter(|n_bytes| *n_bytes <= rest.len())
            .ok_or_else(|| too_short(self.name))?;
        let (list, rest) = rest.split_at(n_bytes);
        self.rest = rest;
        Ok(list)
    }
}

/// The error for a file whose content is wrong.
pub(super) fn corrupt(name: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("model file {name:?} is damaged: {reason}"))
        .with_hint("restore it from a backup, or train the model again")
}

/// A checksum of 64 bits. Every step is a bijection of the state, so a change within one word
/// always changes the result; four lanes, as each step waits for the one before.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |state: u64, word: u64| {
        let product = (state ^ word).wrapping_mul(FACTOR);
        product ^ product >> 29
    };
    let mut lanes = [1, 2, 3, 4].map(|lane: u64| lane.wrapping_mul(FACTOR));
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let mut padded = [0; 32];
    padded[..rest.len()].copy_from_slice(rest);
    for word in padded.as_chunks::<8>().0 {
        lanes[0] = step(lanes[0], u64::from_le_bytes(*word));
    }
    lanes.iter().fold(bytes.len() as u64, |state, lane| step(state, *lane))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAGIC: [u8; 8] = *b"testfile";

    fn example() -> Vec<u8> {
        let mut writer = NumberWriter::new(MAGIC);
        writer.u8s(b"abc");
        writer.u32s(&[1, 2, u32::MAX]);
        writer.u64s(&[7]);
        writer.f64s(&[0.5, -0.0, f64::NAN]);
        writer.finish()
    }

    type Lists = (Vec<u8>, Vec<u32>, Vec<u64>, Vec<f64>);

    fn read(bytes: &[u8]) -> Result<Lists> {
        let mut reader = NumberReader::new(bytes, MAGIC, "test.bin")?;
        let lists =
            (reader.read_u8s()?, reader.read_u32s()?, reader.read_u64s()?, reader.read_f64s()?);
        reader.finish()?;
        Ok(lists)
    }

    #[test]
    fn lists_come_back_as_they_were() {
        let (bytes, words, longs, floats) = read(&example()).unwrap();
        assert_eq!((bytes.as_slice(), words.as_slice()), (&b"abc"[..], &[1, 2, u32::MAX][..]));
        assert_eq!((longs, floats[0], floats[1].to_bits()), (vec![7], 0.5, (-0.0f64).to_bits()));
        assert!(floats[2].is_nan());
    }

    #[test]
    fn every_single_byte_change_and_every_truncation_is_noticed() {
        let bytes = example();
        for position in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] ^= flip;
                assert_eq!(read(&damaged).unwrap_err().kind(), ErrorKind::Corrupt, "{position}");
            }
            assert_eq!(read(&bytes[..position]).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn a_length_beyond_the_file_is_refused_before_memory_is_taken() {
        for length in [4, 1 << 40, u64::MAX] {
            let mut writer = NumberWriter::new(MAGIC);
            writer.bytes.extend(length.to_le_bytes());
            writer.bytes.extend([1, 2, 3]);
            let error = read(&writer.finish()).unwrap_err();
            assert!(error.to_string().contains("longer than the file"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_never_taken_for_a_file(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            prop_assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
