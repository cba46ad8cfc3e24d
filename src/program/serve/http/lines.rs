//! Cutting a stream of bytes into lines, each with its number, none of them longer than allowed.
//! At most one line is held in between, however the bytes arrive.

use bytes::{Buf as _, Bytes};

/// A line that holds something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BodyLine {
    /// From 1; blank lines count.
    pub(crate) number: u64,
    /// None for a line that was too long, and so was not kept.
    pub(crate) content: Option<Bytes>,
}

/// The state of a stream.
pub(crate) struct Lines {
    max_bytes: usize,
    /// Number of the line that comes next or is being read.
    number: u64,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    /// True if the line that was begun is too long already.
    is_too_long: bool,
}

impl Lines {
    /// Lines of at most `max_bytes` without their ends.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, number: 1, begun: Vec::new(), is_too_long: false }
    }

    /// Number of the line that comes next or is being read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// At most `n_lines` lines that end in `bytes`. What they consist of is gone from `bytes`, and so
    /// is, once no line is left, what another one begins with.
    pub(crate) fn take(&mut self, bytes: &mut Bytes, n_lines: usize) -> Vec<BodyLine> {
        let mut lines = Vec::new();
        while lines.len() < n_lines {
            let Some(length) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.begin(bytes);
                bytes.clear();
                break;
            };
            let rest = bytes.split_to(length);
            bytes.advance(1);
            lines.extend(self.end(rest));
        }
        lines
    }

    /// The last line of a stream that does not end in a line break.
    pub(crate) fn finish(&mut self) -> Option<BodyLine> {
        // Behind the last line break there is no line.
        if self.begun.is_empty() && !self.is_too_long {
            return None;
        }
        self.end(Bytes::new())
    }

    fn begin(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.begun.len() + bytes.len() > self.max_bytes {
            self.is_too_long = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    /// The line of which `rest` is the end; none for a blank one.
    fn end(&mut self, rest: Bytes) -> Option<BodyLine> {
        let number = self.number;
        self.number += 1;
        let content = if self.begun.is_empty() && !self.is_too_long && rest.len() <= self.max_bytes
        {
            // The usual line lies in one piece and is not copied.
            Some(rest)
        } else {
            self.begin(&rest);
            let begun = std::mem::take(&mut self.begun);
            (!std::mem::take(&mut self.is_too_long)).then(|| Bytes::from(begun))
        };
        let is_blank = content.as_ref().is_some_and(|content| {
            // As a file of nothing but a byte order mark is.
            let unmarked = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
            unmarked.trim_ascii().is_empty()
        });
        (!is_blank).then_some(BodyLine { number, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of a stream that arrives in `pieces`; none in place of one that is too long.
    fn lines(pieces: &[&[u8]], max_bytes: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(max_bytes);
        let mut found = Vec::new();
        for piece in pieces {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                let taken = lines.take(&mut piece, 2);
                assert!(taken.len() <= 2 && lines.begun.len() <= max_bytes);
                if taken.is_empty() {
                    break;
                }
                found.extend(taken);
            }
        }
        found.extend(lines.finish());
        found.into_iter().map(|line| (line.number, line.content.map(|b| b.to_vec()))).collect()
    }

    #[test]
    fn blank_lines_count_and_long_ones_are_not_kept() {
        let text = b"one\n\n \r\nfour\nfive is long\nsix".as_slice();
        let expected = [
            (1, Some(b"one".to_vec())),
            (4, Some(b"four".to_vec())),
            (5, None),
            (6, Some(b"six".to_vec())),
        ];
        assert_eq!(lines(&[text], 4), expected);
        assert_eq!(lines(&[b"", text, b"\n\n"], 4), expected);
        assert_eq!(lines(&[b"four", b"\nfive!", b"", b"\n"], 4)[1], (2, None));
        assert_eq!(lines(&[], 4), []);
        assert_eq!(lines(&["\u{feff}\n".as_bytes()], 4), []);
    }

    /// One that was not there was counted.
    #[test]
    fn the_number_of_lines_is_that_of_those_that_are_there() {
        for (text, n_lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\n\n", 2), ("a\n ", 2)] {
            let mut lines = Lines::new(4);
            let mut bytes = Bytes::from(text);
            lines.take(&mut bytes, 9);
            lines.finish();
            assert_eq!(lines.number() - 1, n_lines, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            pieces in proptest::collection::vec("[ab\n ]{0,6}", 0..8),
            max_bytes in 0..8_usize,
        ) {
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let expected: Vec<(u64, Option<Vec<u8>>)> = (1..)
                .zip(whole.split('\n'))
                .filter(|(_, line)| line.len() > max_bytes || !line.trim().is_empty())
                .map(|(number, line)| {
                    (number, (line.len() <= max_bytes).then(|| line.as_bytes().to_vec()))
                })
                .collect();
            proptest::prop_assert_eq!(lines(&pieces, max_bytes), expected);
        }
    }
}
