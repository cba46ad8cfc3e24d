//! Words as torchtext's `basic_english` tokenizer finds them, and a vocabulary that numbers them:
//! what the nets without a pretrained vocabulary read.

use std::{collections::HashMap, ops::Range};

use rayon::prelude::*;

use super::{
    known::KnownTokens,
    read_text::{ReadText, ReadWord},
};
use crate::error::{Error, Result};

/// The id of what fills a row up to the longest of its batch.
const PADDING: &str = "<pad>";
/// The id of every word the vocabulary does not know.
const UNKNOWN: &str = "<unk>";
const UNKNOWN_ID: u32 = 1;

/// Calls `found` with every token of `text`, in order.
///
/// Source: torchtext's `get_tokenizer("basic_english")`: lower case; `.`, `,`, `(`, `)`, `!`, `?`
/// and `'` are tokens of their own, `"` is dropped, and `;`, `:`, `<br />` and white space separate.
pub fn basic_english(text: &str, mut found: impl FnMut(&str)) {
    let text = text.to_lowercase().replace("<br />", " ");
    let mut token = String::new();
    for letter in text.chars() {
        let is_mark = matches!(letter, '.' | ',' | '(' | ')' | '!' | '?' | '\'');
        if letter == '"' {
            continue;
        }
        if !is_mark && !matches!(letter, ';' | ':') && !letter.is_whitespace() {
            token.push(letter);
            continue;
        }
        if !token.is_empty() {
            found(&token);
            token.clear();
        }
        if is_mark {
            found(letter.encode_utf8(&mut [0; 4]));
        }
    }
    if !token.is_empty() {
        found(&token);
    }
}

/// The tokens that [`basic_english`] finds, each with its characters in `text`.
fn located(text: &str) -> Vec<(String, Range<usize>)> {
    // A small letter may have more characters than the large one, and what a letter becomes may
    // depend on its neighbours, but never how many characters it becomes.
    let places = text
        .chars()
        .enumerate()
        .flat_map(|(place, letter)| std::iter::repeat_n(place, letter.to_lowercase().count()));
    let lowered = text.to_lowercase();
    let mut letters: Vec<(char, usize)> = lowered.chars().zip(places).collect();
    let starts: HashMap<usize, usize> =
        lowered.char_indices().enumerate().map(|(idx, (byte, _))| (byte, idx)).collect();
    for (byte, found) in lowered.match_indices("<br />") {
        letters[starts[&byte]..][..found.len()].iter_mut().for_each(|(letter, _)| *letter = ' ');
    }
    let mut tokens: Vec<(String, Range<usize>)> = Vec::new();
    let mut token: Option<(String, Range<usize>)> = None;
    for (letter, place) in letters {
        let is_mark = matches!(letter, '.' | ',' | '(' | ')' | '!' | '?' | '\'');
        if letter == '"' {
            continue;
        }
        if !is_mark && !matches!(letter, ';' | ':') && !letter.is_whitespace() {
            let (word, chars) = token.get_or_insert_with(|| (String::new(), place..place));
            word.push(letter);
            chars.end = place + 1;
            continue;
        }
        tokens.extend(token.take());
        if is_mark {
            tokens.push((letter.to_string(), place..place + 1));
        }
    }
    tokens.extend(token);
    tokens
}

/// Words with their numbers: 0 is padding, 1 every unknown word, then the others by frequency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordIds {
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

impl WordIds {
    /// The words that occur at least `min_freq` times in `texts`, the `max_size` most frequent of
    /// them; words of the same frequency are in alphabetical order.
    pub fn fit(texts: &[String], min_freq: usize, max_size: usize) -> Self {
        let counts = texts
            .par_chunks(512)
            .map(|texts| {
                let mut counts: HashMap<String, usize> = HashMap::new();
                for text in texts {
                    basic_english(text, |word| match counts.get_mut(word) {
                        Some(count) => *count += 1,
                        None => drop(counts.insert(word.to_owned(), 1)),
                    });
                }
                counts
            })
            .reduce(HashMap::new, |one, other| {
                let (mut all, few) =
                    if one.len() < other.len() { (other, one) } else { (one, other) };
                for (word, count) in few {
                    *all.entry(word).or_default() += count;
                }
                all
            });
        let mut counted: Vec<(String, usize)> = counts
            .into_iter()
            .filter(|(word, count)| *count >= min_freq && word != PADDING && word != UNKNOWN)
            .collect();
        counted.sort_unstable_by(|(word, count), (other, n_others)| {
            n_others.cmp(count).then_with(|| word.cmp(other))
        });
        let known = counted.into_iter().map(|(word, _)| word).take(max_size.saturating_sub(2));
        Self::new([PADDING.to_owned(), UNKNOWN.to_owned()].into_iter().chain(known).collect())
    }

    fn new(words: Vec<String>) -> Self {
        let ids = words.iter().enumerate().map(|(id, word)| (word.clone(), id as u32)).collect();
        Self { words, ids }
    }

    /// Number of words, padding and the unknown included.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True if it knows no word at all.
    pub fn is_empty(&self) -> bool {
        self.words.len() <= 2
    }

    /// The ids of the first `max_length` tokens of `text`; one unknown word for a text without any,
    /// so that there is always something to read.
    pub fn encode(&self, text: &str, max_length: usize) -> Vec<u32> {
        let mut ids = Vec::new();
        basic_english(text, |word| {
            if ids.len() < max_length {
                ids.push(self.ids.get(word).copied().unwrap_or(UNKNOWN_ID));
            }
        });
        if ids.is_empty() {
            ids.push(UNKNOWN_ID);
        }
        ids
    }

    /// The ids of [`WordIds::encode`] with the places of their words; a text without any has an id
    /// and no word.
    pub(crate) fn read(&self, text: &str, max_length: usize) -> ReadText {
        let ids = self.encode(text, max_length);
        let words = located(text).into_iter().take(ids.len()).enumerate();
        let words = words.map(|(idx, (_, chars))| ReadWord { tokens: idx..idx + 1, chars });
        ReadText { words: words.collect(), ids }
    }

    /// Number of tokens of `text`, at least one, as [`WordIds::encode`] would give uncut.
    pub fn n_tokens(&self, text: &str) -> usize {
        let mut n_tokens = 0;
        basic_english(text, |_| n_tokens += 1);
        n_tokens.max(1)
    }

    /// The number of `ids`, as [`WordIds::encode`] gave them, that stand for known words.
    pub(crate) fn known(ids: &[u32]) -> KnownTokens {
        let n_known = ids.iter().filter(|id| **id != UNKNOWN_ID).count();
        KnownTokens { n_tokens: ids.len(), n_known }
    }

    /// One word a line; the line's number is the id.
    pub fn to_lines(&self) -> String {
        self.words.iter().flat_map(|word| [word, "\n"]).collect()
    }

    /// Reads [`WordIds::to_lines`].
    ///
    /// # Errors
    /// When the first two lines are not padding and the unknown word, or a word occurs twice.
    pub fn from_lines(lines: &str) -> Result<Self> {
        let words: Vec<String> = lines.split_terminator('\n').map(str::to_owned).collect();
        if words.get(..2) != Some(&[PADDING.to_owned(), UNKNOWN.to_owned()]) {
            return Err(Error::invalid(format!(
                "a vocabulary begins with {PADDING} and {UNKNOWN}, found {:?}",
                &words[..words.len().min(2)]
            )));
        }
        let vocabulary = Self::new(words);
        if vocabulary.ids.len() != vocabulary.words.len() {
            return Err(Error::invalid("a word occurs twice in the vocabulary"));
        }
        Ok(vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        basic_english(text, |token| tokens.push(token.to_owned()));
        tokens
    }

    /// The expected tokens are torchtext 0.18's.
    #[test]
    fn tokens_are_those_of_torchtext() {
        assert_eq!(
            tokens("It's a \"Great\" film.<br /><br />See it (twice); really: now!"),
            [
                "it", "'", "s", "a", "great", "film", ".", "see", "it", "(", "twice", ")",
                "really", "now", "!"
            ]
        );
        assert_eq!(tokens("a\"b c-d e_f"), ["ab", "c-d", "e_f"]);
        assert!(tokens(" \" ;: ").is_empty());
    }

    #[test]
    fn frequent_words_come_first_and_rare_ones_are_unknown() {
        let texts = ["b a a c".to_owned(), "b a d".to_owned()];
        let words = WordIds::fit(&texts, 2, 100);
        assert_eq!(words.to_lines(), "<pad>\n<unk>\na\nb\n");
        assert_eq!(words.encode("A b zebra", 100), [2, 3, 1]);
        assert_eq!(words.encode("a b a b", 2), [2, 3]);
        assert_eq!(words.encode("\"", 8), [UNKNOWN_ID]);
        assert_eq!((words.n_tokens("a b a b"), words.n_tokens("\"")), (4, 1));
        assert_eq!(WordIds::fit(&texts, 1, 3).len(), 3);
    }

    #[test]
    fn a_vocabulary_that_is_none_is_refused() {
        for lines in ["", "<pad>\n", "a\nb\nc\n", "<pad>\n<unk>\na\na\n"] {
            WordIds::from_lines(lines).unwrap_err();
        }
    }

    #[test]
    fn a_word_is_read_where_it_stands() {
        let words = WordIds::fit(&["good film good film".to_owned()], 1, 100);
        let text = "A \"GOOD\" İ film<br />(film)";
        let read = words.read(text, 5);
        assert_eq!(read.ids, words.encode(text, 5));
        let letters: Vec<char> = text.chars().collect();
        let found: Vec<String> =
            read.words.iter().map(|word| letters[word.chars.clone()].iter().collect()).collect();
        assert_eq!(found, ["A", "GOOD", "İ", "film", "("]);
        let nothing = words.read(" ; ", 5);
        assert_eq!((nothing.ids.len(), nothing.words.len()), (1, 0));
    }

    proptest! {
        #[test]
        fn what_is_located_is_what_is_found(text in "[ -~A-Zİß Σ\"]{0,40}(<br />)?[ -~Σ]{0,9}") {
            let found: Vec<String> = located(&text).into_iter().map(|(token, _)| token).collect();
            prop_assert_eq!(found, tokens(&text));
        }

        #[test]
        fn a_vocabulary_comes_back_as_it_was(texts in proptest::collection::vec(".{0,40}", 0..8)) {
            let words = WordIds::fit(&texts, 1, 1000);
            prop_assert_eq!(WordIds::from_lines(&words.to_lines()).unwrap(), words);
        }
    }
}
