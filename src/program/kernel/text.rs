//! Bytes of a stream as text: sequences that were cut wait for their rest, junk becomes U+FFFD.

/// One stream's text.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The beginning of a sequence whose rest has not come, at most three bytes.
    held: Vec<u8>,
}

impl Text {
    /// The text of `bytes`, after what was held over.
    pub(super) fn push(&mut self, bytes: &[u8], text: &mut String) {
        let joined;
        let bytes = if self.held.is_empty() {
            bytes
        } else {
            self.held.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.held);
            &joined
        };
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            if chunk.invalid().is_empty() {
                continue;
            }
            if chunks.peek().is_none() && is_cut(chunk.invalid()) {
                self.held = chunk.invalid().to_vec();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Gives up what is held over: no rest will come.
    pub(super) fn finish(&mut self, text: &mut String) {
        if !std::mem::take(&mut self.held).is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// True if more bytes could make `invalid` a character.
fn is_cut(invalid: &[u8]) -> bool {
    std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&[u8]], expected: &str) {
        let (mut reader, mut text) = (Text::default(), String::new());
        for piece in pieces {
            reader.push(piece, &mut text);
        }
        reader.finish(&mut text);
        assert_eq!(text, expected, "{pieces:?}");
    }

    #[test]
    fn a_cut_character_is_whole_again() {
        check(&[b"caf\xc3", b"\xa9"], "café");
        check(&[b"\xf0", b"\x9f", b"\xa6\x80!"], "🦀!");
    }

    #[test]
    fn junk_is_replaced_and_loses_nothing_beside_it() {
        check(&[b"a\xffb"], "a\u{fffd}b");
        check(&[b"\xc3", b"\x28"], "\u{fffd}(");
        check(&[b"end\xf0\x9f"], "end\u{fffd}");
        check(&[b"\r 10%\r 20%"], "\r 10%\r 20%");
    }
}
