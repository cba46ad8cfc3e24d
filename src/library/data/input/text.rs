//! The text of a file as UTF-8, whatever it is in, read a piece at a time.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use encoding_rs::{Decoder, DecoderResult};

use super::Origin;
use crate::{
    data::encoding::{Likely, TextEncoding, by_bytes},
    error::{Error, Result},
};

const BOM: &str = "\u{feff}";

/// Reads one text from its beginning to its end.
pub(in crate::data) struct TextReader {
    name: PathBuf,
    origin: Origin,
    reader: Box<dyn Read + Send>,
    decoding: Option<(TextEncoding, Decoder)>,
    /// The bytes that are read and not yet decoded: the first ones of a character.
    pending: Vec<u8>,
    is_begun: bool,
    is_over: bool,
    /// Line breaks handed out: `\n`, and `\r` for texts that have no other.
    n_feeds: usize,
    n_returns: usize,
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextReader").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TextReader {
    pub(super) fn open(
        name: &Path,
        origin: &Origin,
        encoding: Option<TextEncoding>,
    ) -> Result<Self> {
        let reader = origin.reader().map_err(|source| Error::io("read", name, source))?;
        let decoding = encoding
            .filter(|encoding| !encoding.is_utf8())
            .map(|encoding| (encoding, encoding.decoder()));
        Ok(Self {
            name: name.to_owned(),
            origin: origin.clone(),
            reader,
            decoding,
            pending: Vec::new(),
            is_begun: false,
            is_over: false,
            n_feeds: 0,
            n_returns: 0,
        })
    }

    /// Appends about `n_bytes` more of the text to `text`; false when that was the last of it. A byte order
    /// mark at the beginning is left out.
    ///
    /// # Errors
    /// Bytes that are nothing in the text's encoding, with their line; a packed file that does not
    /// unpack.
    pub(in crate::data) fn append(&mut self, text: &mut String, n_bytes: usize) -> Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        let n_pending = self.pending.len();
        (&mut self.reader)
            .take(n_bytes as u64)
            .read_to_end(&mut self.pending)
            .map_err(|source| self.origin.compression.broken(&self.name, source))?;
        self.is_over = self.pending.len() - n_pending < n_bytes;
        let begin = text.len();
        let pending = std::mem::take(&mut self.pending);
        let decoded = match &mut self.decoding {
            None => self.append_utf8(&pending, text),
            Some((encoding, decoder)) => decode(*encoding, decoder, &pending, self.is_over, text)
                .map_err(|(encoding, bytes)| Undecoded { encoding: Some(encoding), bytes }),
        };
        if !self.is_begun && text[begin..].starts_with(BOM) {
            text.replace_range(begin..begin + BOM.len(), "");
        }
        self.is_begun |= text.len() > begin;
        let new = &text.as_bytes()[begin..];
        self.n_feeds += new.iter().filter(|byte| **byte == b'\n').count();
        self.n_returns += new.iter().filter(|byte| **byte == b'\r').count();
        decoded.map_err(|undecoded| self.refused(&undecoded))?;
        Ok(!self.is_over)
    }

    fn append_utf8(&mut self, bytes: &[u8], text: &mut String) -> Result<(), Undecoded> {
        let (whole, rest, is_wrong) = match std::str::from_utf8(bytes) {
            Ok(whole) => (whole, &[][..], false),
            Err(error) => {
                let (whole, rest) = bytes.split_at(error.valid_up_to());
                // Only the end of a text may be part of a character, and not of the last one.
                let is_wrong = error.error_len().is_some() || self.is_over;
                (std::str::from_utf8(whole).unwrap_or_default(), rest, is_wrong)
            }
        };
        text.push_str(whole);
        match is_wrong {
            true => Err(Undecoded { encoding: None, bytes: rest[..1].to_vec() }),
            false => {
                self.pending = rest.to_vec();
                Ok(())
            }
        }
    }

    /// The error for bytes behind what was handed out.
    fn refused(&self, undecoded: &Undecoded) -> Error {
        let n_breaks = if self.n_feeds > 0 { self.n_feeds } else { self.n_returns };
        let line = n_breaks + 1;
        let bytes: Vec<String> =
            undecoded.bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
        match (undecoded.encoding, undecoded.bytes.first()) {
            (None, Some(byte)) => {
                let likely = match self.origin.reader() {
                    Ok(reader) => by_bytes(reader),
                    Err(_) => Likely::Unknown,
                };
                likely.not_utf8(&self.name, line, *byte)
            }
            (encoding, _) => {
                let encoding = encoding.map(|encoding| encoding.to_string()).unwrap_or_default();
                Error::invalid(format!(
                    "{:?} line {line}: {} is no character in {encoding}",
                    self.name,
                    bytes.join(" ")
                ))
                .with_hint("name the right encoding with --encoding, or correct the file")
            }
        }
    }
}

/// Bytes that are no character.
struct Undecoded {
    /// None for UTF-8.
    encoding: Option<TextEncoding>,
    bytes: Vec<u8>,
}

/// Appends what `bytes` are to `text`, or returns the first ones that are nothing.
fn decode(
    encoding: TextEncoding,
    decoder: &mut Decoder,
    bytes: &[u8],
    is_last: bool,
    text: &mut String,
) -> Result<(), (TextEncoding, Vec<u8>)> {
    let undefined = encoding.undefined(bytes);
    let mut rest = &bytes[..undefined.unwrap_or(bytes.len())];
    loop {
        let room = decoder
            .max_utf8_buffer_length_without_replacement(rest.len())
            .unwrap_or(rest.len().saturating_mul(4));
        text.reserve(room);
        let (result, n_read) = decoder.decode_to_string_without_replacement(
            rest,
            text,
            is_last && undefined.is_none(),
        );
        let behind = &rest[n_read..];
        match result {
            DecoderResult::OutputFull => rest = behind,
            DecoderResult::InputEmpty => break,
            DecoderResult::Malformed(n_bad, n_after) => {
                let end = n_read.saturating_sub(usize::from(n_after));
                let begin = end.saturating_sub(usize::from(n_bad));
                return Err((encoding, rest[begin..end].to_vec()));
            }
        }
    }
    match undefined {
        Some(at) => Err((encoding, vec![bytes[at]])),
        None => Ok(()),
    }
}
