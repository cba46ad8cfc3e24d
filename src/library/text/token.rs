//! Cutting text into words exactly as scikit-learn's default pattern `(?u)\b\w\w+\b` does on
//! lower-cased text. It owns what a word character is and refuses to allocate for a token: plain
//! ASCII, nearly all of English, is classified eight bytes at a time.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The treatment of upper-case letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Casing {
    /// Lower-cased as Python's `str.lower` does: `Good` and `good` are one term.
    #[default]
    Lower,
    /// Left as it is.
    Keep,
}

/// The treatment of HTML line breaks, which scraped reviews are full of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Html {
    /// `<br>`, `<br/>` and `<br />` in any case count as a space.
    #[default]
    Strip,
    /// They count as text: the word `br`.
    Keep,
}

/// Longest token, in bytes, that is compared as a number.
const SHORT_BYTES: usize = 16;

/// One word, in the form that is cheap to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordToken<'a> {
    /// Up to 16 bytes of UTF-8, little-endian, the rest zero; no word contains a zero byte.
    Short(u128),
    /// More than 16 bytes of UTF-8.
    Long(&'a [u8]),
}

impl<'a> WordToken<'a> {
    /// The token with these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        if bytes.len() > SHORT_BYTES {
            return Self::Long(bytes);
        }
        let mut padded = [0; SHORT_BYTES];
        padded[..bytes.len()].copy_from_slice(bytes);
        Self::Short(u128::from_le_bytes(padded))
    }
}

/// Cuts text into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokenizer {
    /// The treatment of upper-case letters.
    pub casing: Casing,
    /// The treatment of HTML line breaks.
    pub html: Html,
}

impl Tokenizer {
    /// The words of `text` in order.
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        self.for_each(text, |token| {
            let bytes = match token {
                WordToken::Short(key) => {
                    let length = SHORT_BYTES - key.leading_zeros() as usize / 8;
                    key.to_le_bytes()[..length].to_vec()
                }
                WordToken::Long(bytes) => bytes.to_vec(),
            };
            tokens.push(String::from_utf8(bytes).expect("a token is cut between characters"));
        });
        tokens
    }

    /// The places of the words of `text` in it, in bytes: one range for each of [`Tokenizer::tokens`].
    pub(crate) fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let bytes = text.as_bytes();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
        let mut spans = Vec::new();
        let mut next = 0;
        while let Some(gap) = bytes[next..].iter().position(is_part) {
            let start = next + gap;
            let length = bytes[start..].iter().position(|byte| !is_part(byte));
            let end = length.map_or(bytes.len(), |length| start + length);
            if !bytes[start..end].is_ascii() {
                self.push_spans(text, start..end, &mut spans);
            } else if end - start >= 2
                && !(self.html == Html::Strip && is_line_break(bytes, start, end))
            {
                spans.push(start..end);
            }
            next = end;
        }
        spans
    }

    /// The words of a run with characters beyond ASCII, as [`Tokenizer::mixed_run`] cuts them: a lower
    /// case may have more characters than the letter it is of.
    fn push_spans(&self, text: &str, run: Range<usize>, spans: &mut Vec<Range<usize>>) {
        let (mut word, mut n_chars) = (run.start..run.start, 0);
        let mut take = |word: &mut Range<usize>, place: Range<usize>, character: char| {
            if is_word(character) {
                word.start = if n_chars == 0 { place.start } else { word.start };
                word.end = place.end;
                n_chars += 1;
                return;
            }
            if n_chars >= 2 {
                spans.push(word.clone());
            }
            n_chars = 0;
        };
        for (offset, character) in text[run.clone()].char_indices() {
            let start = run.start + offset;
            let place = start..start + character.len_utf8();
            match self.casing {
                Casing::Lower => character
                    .to_lowercase()
                    .for_each(|lowered| take(&mut word, place.clone(), lowered)),
                Casing::Keep => take(&mut word, place, character),
            }
        }
        // What is no part of a word ends the last one.
        take(&mut word, run.end..run.end, ' ');
    }

    /// Calls `sink` with every word of `text` in order.
    #[inline]
    pub(crate) fn for_each(&self, text: &str, mut sink: impl FnMut(WordToken<'_>)) {
        if text.is_ascii() {
            return self.scan::<true>(text, &mut sink);
        }
        if self.casing == Casing::Lower && text.contains('Σ') {
            // The one letter whose lower case depends on its neighbours, even across
            // punctuation (σ, at a word's end ς), so a word alone does not tell.
            return self.scan::<false>(&text.to_lowercase(), &mut sink);
        }
        self.scan::<false>(text, &mut sink);
    }

    /// Finds the runs of ASCII word characters and non-ASCII bytes, 64 bytes at a time.
    #[inline]
    fn scan<const ASCII: bool>(&self, text: &str, sink: &mut impl FnMut(WordToken<'_>)) {
        let bytes = text.as_bytes();
        let mut start = 0;
        let mut inside = false;
        let mut offset = 0;
        while offset <= bytes.len() {
            // The block that holds the end is filled up with zeros, so it closes the last run.
            let mask = match bytes[offset..].first_chunk::<64>() {
                Some(block) => word_mask(block),
                None => {
                    let mut block = [0; 64];
                    block[..bytes.len() - offset].copy_from_slice(&bytes[offset..]);
                    word_mask(&block)
                }
            };
            let mut changes = mask ^ (mask << 1 | u64::from(inside));
            while changes != 0 {
                let position = offset + changes.trailing_zeros() as usize;
                changes &= changes - 1;
                if inside {
                    self.run::<ASCII>(text, start, position, sink);
                } else {
                    start = position;
                }
                inside = !inside;
            }
            offset += 64;
        }
    }

    /// One run `start..end`: a single word when it is ASCII.
    #[inline]
    fn run<const ASCII: bool>(
        &self,
        text: &str,
        start: usize,
        end: usize,
        sink: &mut impl FnMut(WordToken<'_>),
    ) {
        let bytes = text.as_bytes();
        let length = end - start;
        if !ASCII && !bytes[start..end].is_ascii() {
            return self.mixed_run(&text[start..end], sink);
        }
        if length < 2 {
            return;
        }
        if length > SHORT_BYTES {
            return match self.casing {
                Casing::Lower => sink(WordToken::Long(&bytes[start..end].to_ascii_lowercase())),
                Casing::Keep => sink(WordToken::Long(&bytes[start..end])),
            };
        }
        let key = match bytes[start..].first_chunk::<SHORT_BYTES>() {
            Some(chunk) => u128::from_le_bytes(*chunk) & (u128::MAX >> (128 - 8 * length)),
            None => match WordToken::new(&bytes[start..end]) {
                WordToken::Short(key) => key,
                WordToken::Long(_) => unreachable!("the length was checked"),
            },
        };
        if length == 2 && self.html == Html::Strip && is_line_break(bytes, start, end) {
            return;
        }
        sink(WordToken::Short(match self.casing {
            Casing::Lower => lower_ascii(key),
            Casing::Keep => key,
        }));
    }

    /// A run with characters beyond ASCII: these decide one by one what belongs to a word.
    #[cold]
    fn mixed_run(&self, run: &str, sink: &mut impl FnMut(WordToken<'_>)) {
        let lowered;
        let run = match self.casing {
            Casing::Lower => {
                lowered = run.to_lowercase();
                &lowered
            }
            Casing::Keep => run,
        };
        for word in run.split(|character| !is_word(character)) {
            if word.chars().nth(1).is_some() {
                sink(WordToken::new(word.as_bytes()));
            }
        }
    }
}

/// Python's `\w` for text: `str.isalnum` (the general categories L and N) or an underscore.
pub(crate) fn is_word(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || character == '_';
    }
    matches!(
        character.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number
    )
}

/// True if `start..end` is the `br` of `<br>`, `<br/>` or `<br />`.
fn is_line_break(bytes: &[u8], start: usize, end: usize) -> bool {
    if !bytes[start..end].eq_ignore_ascii_case(b"br") || start == 0 || bytes[start - 1] != b'<' {
        return false;
    }
    let rest = bytes[end..].trim_ascii_start();
    rest.strip_prefix(b"/").unwrap_or(rest).first() == Some(&b'>')
}

const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Bit `i` says whether byte `i` is an ASCII word character or not ASCII at all.
#[inline]
fn word_mask(block: &[u8; 64]) -> u64 {
    let mut mask = 0;
    for (eighth, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
        mask |= word_mask_8(u64::from_le_bytes(*bytes)) << (8 * eighth);
    }
    mask
}

/// The same for eight bytes at once. Every byte's top bit is cleared first, so adding
/// `128 - limit` sets it exactly when the byte is at least `limit`, without a carry.
#[inline]
fn word_mask_8(bytes: u64) -> u64 {
    let low = bytes & repeat(0x7f);
    let folded = low | repeat(0x20);
    let letter = (folded + repeat(128 - b'a')) & !(folded + repeat(127 - b'z'));
    let digit = (low + repeat(128 - b'0')) & !(low + repeat(127 - b'9'));
    let underscore = repeat(128) - (low ^ repeat(b'_'));
    let word = (letter | digit | underscore | bytes) & repeat(0x80);
    // Gathers the eight top bits: bit 8i + 7 times 2^(49 - 7i) lands on bit 56 + i.
    (word.wrapping_mul(0x0002_0408_1020_4081)) >> 56
}

/// Lower-cases sixteen ASCII bytes at once.
#[inline]
fn lower_ascii(key: u128) -> u128 {
    const fn repeat(byte: u8) -> u128 {
        u128::from_le_bytes([byte; 16])
    }
    let upper = (key + repeat(128 - b'A')) & !(key + repeat(127 - b'Z')) & repeat(0x80);
    key | (upper >> 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(Tokenizer::default().tokens(text), expected, "{text:?}");
    }

    #[test]
    fn words_are_lower_cased_runs_of_two_word_characters_or_more() {
        check("", &[]);
        check("a", &[]);
        check("I am", &["am"]);
        check("It's a wonderful, WONDERFUL film!", &["it", "wonderful", "wonderful", "film"]);
        check("10/10 for snake_case_2 and __ x", &["10", "10", "for", "snake_case_2", "and", "__"]);
        check("A-Team x2 @home", &["team", "x2", "home"]);
        check("ABCDEFGHIJKLMNOP", &["abcdefghijklmnop"]);
        check("ABCDEFGHIJKLMNOPQ end", &["abcdefghijklmnopq", "end"]);
    }

    #[test]
    fn words_beyond_ascii_follow_python() {
        check("Amélie À voir", &["amélie", "voir"]);
        check("“curly” quotes… naïve", &["curly", "quotes", "naïve"]);
        check("東京物語 x² 1½ ๓๔", &["東京物語", "x²", "1½", "๓๔"]);
        // Lower-casing İ yields i and a combining dot, which is no word character.
        check("İstanbul", &["stanbul"]);
        check("\u{212a}elvin", &["kelvin"]);
        check("e\u{301}te\u{301}", &["te"]);
        check("Straßenbahnhaltestelle", &["straßenbahnhaltestelle"]);
    }

    #[test]
    fn the_greek_sigma_looks_at_its_neighbours_across_punctuation() {
        check("ΟΔΟΣ", &["οδος"]);
        check("ΑΣ'Β ok", &["ασ", "ok"]);
    }

    #[test]
    fn line_breaks_count_as_spaces_unless_kept() {
        check("good<br />bad<br/>ugly<BR>end<br\t/>x2", &["good", "bad", "ugly", "end", "x2"]);
        check("br <b>bold</b> <br", &["br", "bold", "br"]);
        let keep = Tokenizer { html: Html::Keep, ..Tokenizer::default() };
        assert_eq!(keep.tokens("good<br />bad"), ["good", "br", "bad"]);
    }

    #[test]
    fn casing_can_be_kept() {
        let keep = Tokenizer { casing: Casing::Keep, ..Tokenizer::default() };
        assert_eq!(keep.tokens("Good É_Été <BR/> ok"), ["Good", "É_Été", "ok"]);
    }

    #[test]
    fn runs_across_block_borders_stay_whole() {
        for length in 50..200 {
            let word = "x".repeat(length);
            check(&format!("{word} {word}"), &[&word, &word]);
            let padded = format!("{}ab", " ".repeat(length));
            check(&padded, &["ab"]);
        }
    }

    /// The definition itself, a character at a time.
    fn reference(text: &str) -> Vec<String> {
        text.to_lowercase()
            .split(|character| !is_word(character))
            .filter(|word| word.chars().count() >= 2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn words_are_found_where_they_stand() {
        for (text, expected) in [
            ("I am it", vec!["am", "it"]),
            ("good<br />BR", vec!["good", "BR"]),
            ("Amélie À voir", vec!["Amélie", "voir"]),
            ("İstanbul aİ Σας", vec!["stanbul", "aİ", "Σας"]),
            ("東京 x² ½", vec!["東京", "x²"]),
        ] {
            let spans = Tokenizer::default().spans(text).into_iter();
            assert_eq!(spans.map(|span| &text[span]).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_word_has_its_place(text in "([ -~]|\\PC|<br/>|Σ|İ){0,60}") {
            let casings = [Casing::Lower, Casing::Keep];
            for casing in casings {
                let tokenizer = Tokenizer { casing, ..Tokenizer::default() };
                let (tokens, spans) = (tokenizer.tokens(&text), tokenizer.spans(&text));
                prop_assert_eq!(tokens.len(), spans.len());
                // Σ alone is lower-cased otherwise than among its neighbours.
                for (token, span) in tokens.iter().zip(spans).filter(|_| !text.contains('Σ')) {
                    prop_assert_eq!(&tokenizer.tokens(&text[span]), std::slice::from_ref(token));
                }
            }
        }

        #[test]
        fn any_text_gives_what_the_definition_gives(text in "\\PC{0,200}") {
            let keep_html = Tokenizer { html: Html::Keep, ..Tokenizer::default() };
            prop_assert_eq!(keep_html.tokens(&text), reference(&text));
        }

        #[test]
        fn any_ascii_gives_what_the_definition_gives(text in "[ -~\n]{0,300}") {
            let keep_html = Tokenizer { html: Html::Keep, ..Tokenizer::default() };
            prop_assert_eq!(keep_html.tokens(&text), reference(&text));
        }
    }
}
