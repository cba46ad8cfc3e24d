//! Reads the child's streams: what is for the person, and what is between the lines: content to
//! show, questions, the mark of the value and of the end.

use trialbook::runtime::MARK;

/// One piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes for the person.
    Bytes(Vec<u8>),
    /// One form of something to show.
    Content {
        /// Its MIME type.
        mime: String,
        /// The data as text.
        data: String,
    },
    /// A question.
    Input {
        /// The question.
        prompt: String,
        /// True if the answer is secret.
        is_password: bool,
    },
    /// The cell's value follows.
    Result,
    /// The cell turns from one stream to the other, for the so-many-th time.
    Turn(u64),
    /// The output of the code of this cell follows; 0 is the one that runs.
    Of(u64),
    /// The cell is over.
    End,
}

const BEGIN: &str = "EVCXR_BEGIN_CONTENT ";
const END: &str = "\nEVCXR_END_CONTENT";
const ASK: &str = "EVCXR_INPUT_REQUEST:";
const ASK_PASSWORD: &str = "EVCXR_INPUT_REQUEST_PASSWORD:";

/// Splits a stream into pieces, however its bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    held: Vec<u8>,
}

impl Pieces {
    /// Takes `bytes` and hands over what is certain by now.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut shown = 0;
        while let Some(at) = next_candidate(&self.held, from) {
            match read(&self.held[at..]) {
                Read::Nothing => from = at + 1,
                Read::More => {
                    push_bytes(&mut pieces, &self.held[shown..at]);
                    self.held.drain(..at);
                    return pieces;
                }
                Read::Piece(piece, length) => {
                    push_bytes(&mut pieces, &self.held[shown..at]);
                    pieces.push(piece);
                    from = at + length;
                    shown = from;
                }
            }
        }
        push_bytes(&mut pieces, &self.held[shown..]);
        self.held.clear();
        pieces
    }

    /// The bytes that were held back when the stream ended.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

enum Read {
    /// Ordinary bytes.
    Nothing,
    /// It may become a piece when more has come.
    More,
    /// A piece of so many bytes.
    Piece(Piece, usize),
}

fn next_candidate(bytes: &[u8], from: usize) -> Option<usize> {
    let is_first = |byte: &u8| *byte == b'E' || *byte == b'\0';
    bytes[from..].iter().position(is_first).map(|at| from + at)
}

fn push_bytes(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    if !bytes.is_empty() {
        pieces.push(Piece::Bytes(bytes.to_vec()));
    }
}

fn read(bytes: &[u8]) -> Read {
    for token in [MARK, BEGIN, ASK, ASK_PASSWORD] {
        let token = token.as_bytes();
        if bytes.starts_with(token) {
            return match find(bytes, b"\n", token.len()) {
                None => Read::More,
                Some(line_end) => read_line(bytes, token, line_end),
            };
        }
        if token.starts_with(bytes) {
            return Read::More;
        }
    }
    Read::Nothing
}

fn read_line(bytes: &[u8], token: &[u8], line_end: usize) -> Read {
    let rest = String::from_utf8_lossy(&bytes[token.len()..line_end]).into_owned();
    let length = line_end + 1;
    if token == MARK.as_bytes() {
        return match rest.trim() {
            "end" => Read::Piece(Piece::End, length),
            "result" => Read::Piece(Piece::Result, length),
            other => match other.split_once(' ').map(|(word, number)| (word, number.parse())) {
                Some(("turn", Ok(turn))) => Read::Piece(Piece::Turn(turn), length),
                Some(("of", Ok(cell))) => Read::Piece(Piece::Of(cell), length),
                _ => Read::Nothing,
            },
        };
    }
    if token == ASK.as_bytes() || token == ASK_PASSWORD.as_bytes() {
        let is_password = token == ASK_PASSWORD.as_bytes();
        // A prompt ends in the blank that parts it from the answer.
        let prompt = rest.trim_end_matches('\r').to_owned();
        return Read::Piece(Piece::Input { prompt, is_password }, length);
    }
    // The newline before the end belongs to it, also where the data is empty.
    let end = find(bytes, END.as_bytes(), line_end);
    // Where something else begins first, the block was never ended: it is text like any other.
    let others = [
        format!("{MARK}result\n"),
        format!("{MARK}end\n"),
        format!("{MARK}turn "),
        format!("{MARK}of "),
        format!("\n{BEGIN}"),
        format!("\n{ASK}"),
        format!("\n{ASK_PASSWORD}"),
    ];
    let cut = others.iter().filter_map(|other| find(bytes, other.as_bytes(), line_end)).min();
    let Some(end) = end.filter(|end| cut.is_none_or(|cut| *end < cut)) else {
        return if cut.is_some() { Read::Nothing } else { Read::More };
    };
    let data = bytes.get(line_end + 1..end).unwrap_or_default();
    let after = end + END.len();
    let Some(next) = bytes.get(after) else {
        return Read::More;
    };
    let length = if *next == b'\n' { after + 1 } else { after };
    let data = String::from_utf8_lossy(data).into_owned();
    Read::Piece(Piece::Content { mime: rest.trim().to_owned(), data }, length)
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    bytes[from..].windows(needle.len()).position(|window| window == needle).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        let mut found = pieces.feed(bytes);
        push_bytes(&mut found, &pieces.rest());
        found
    }

    fn content(mime: &str, data: &str) -> Piece {
        Piece::Content { mime: mime.into(), data: data.into() }
    }

    #[test]
    fn content_is_told_from_text_even_in_the_middle_of_a_line() {
        let text = b"a EVCXR_BEGIN_CONTENT text/html\n<b>\nc\nEVCXR_END_CONTENT\nrest";
        assert_eq!(
            all(text),
            [
                Piece::Bytes(b"a ".into()),
                content("text/html", "<b>\nc"),
                Piece::Bytes(b"rest".into())
            ]
        );
        assert_eq!(
            all(b"EVCXR_BEGIN_CONTENT text/plain\n\nEVCXR_END_CONTENT\n"),
            [content("text/plain", "")]
        );
    }

    #[test]
    fn marks_and_questions_are_pieces() {
        let text = format!(
            "EVCXR_INPUT_REQUEST:name? \nx{MARK}result\n{MARK}turn 7\n{MARK}of 3\n{MARK}end\n"
        );
        assert_eq!(
            all(text.as_bytes()),
            [
                Piece::Input { prompt: "name? ".into(), is_password: false },
                Piece::Bytes(b"x".into()),
                Piece::Result,
                Piece::Turn(7),
                Piece::Of(3),
                Piece::End
            ]
        );
    }

    #[test]
    fn a_block_that_is_never_ended_is_text() {
        let open = "EVCXR_BEGIN_CONTENT text/html\n<p>cut\n";
        for (rest, piece) in [
            (format!("{MARK}result\n"), Piece::Result),
            (format!("{MARK}end\n"), Piece::End),
            (
                "EVCXR_INPUT_REQUEST:name? \n".to_owned(),
                Piece::Input { prompt: "name? ".into(), is_password: false },
            ),
            (
                "EVCXR_BEGIN_CONTENT text/plain\n5\nEVCXR_END_CONTENT\n".to_owned(),
                content("text/plain", "5"),
            ),
        ] {
            let whole = format!("{open}{rest}");
            assert_eq!(all(whole.as_bytes()), [Piece::Bytes(open.into()), piece], "{rest:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_is_text() {
        for text in [&b"EVCXR_\xff\0\0x"[..], b"EEEVCXR_BEGIN", b"\0trialbook-mark:other\n"] {
            let found = all(text).into_iter().flat_map(|piece| match piece {
                Piece::Bytes(bytes) => bytes,
                other => panic!("{other:?}"),
            });
            assert_eq!(found.collect::<Vec<u8>>(), text);
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_does_not_matter(
            parts in prop::collection::vec(prop_oneof![
                Just(b"plain\n".to_vec()),
                Just(b"EVCXR_BEGIN_CONTENT a/b\nx\nEVCXR_END_CONTENT\n".to_vec()),
                Just(format!("{MARK}result\n").into_bytes()),
                Just(b"EVCXR_INPUT_REQUEST:p\n".to_vec()),
                Just(b"EVCXR_BEGIN_CONTENT a/b\nopen\n".to_vec()),
                prop::collection::vec(any::<u8>(), 0..9),
            ], 0..9),
            size in 1_usize..20,
        ) {
            let whole: Vec<u8> = parts.concat();
            let joined = |found: Vec<Piece>| {
                let mut joined: Vec<Piece> = Vec::new();
                for piece in found {
                    match (joined.last_mut(), piece) {
                        (Some(Piece::Bytes(last)), Piece::Bytes(more)) => last.extend(more),
                        (_, piece) => joined.push(piece),
                    }
                }
                joined
            };
            let mut pieces = Pieces::default();
            let mut found: Vec<Piece> =
                whole.chunks(size).flat_map(|chunk| pieces.feed(chunk)).collect();
            push_bytes(&mut found, &pieces.rest());
            prop_assert_eq!(joined(found), joined(all(&whole)));
        }
    }
}
