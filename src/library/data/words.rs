//! Counting words: in how many examples of each class a word occurs, and which words tell classes
//! apart. A word here is a run of at least two letters or digits, lower-cased; `<br />` is no word.

use polars::prelude::PlHashMap;
use rayon::prelude::*;

/// Of each word, the number of examples of each class that contain it.
pub(super) struct WordCounts {
    counts: PlHashMap<Box<str>, WordCount>,
    n_classes: usize,
}

struct WordCount {
    /// The last example that was counted, so that an example counts once.
    seen_in: usize,
    by_class: Box<[u32]>,
}

/// One word with its score for a class.
pub(super) struct Scored {
    pub(super) word: Box<str>,
    pub(super) z: f64,
    pub(super) n_in_class: u32,
    pub(super) n_in_others: u32,
}

impl WordCounts {
    /// Counts the words of all `texts` in parallel.
    pub(super) fn of(texts: &[String], labels: &[u32], n_classes: usize) -> Self {
        let n_chunks = rayon::current_num_threads();
        let chunk_n_rows = texts.len().div_ceil(n_chunks).max(1);
        let empty = || Self { counts: PlHashMap::default(), n_classes };
        texts
            .par_chunks(chunk_n_rows)
            .zip(labels.par_chunks(chunk_n_rows))
            .map(|(texts, labels)| {
                let mut counts = empty();
                for (text_idx, (text, &label)) in texts.iter().zip(labels).enumerate() {
                    for_each_word(text, |word| counts.add(word, text_idx, label as usize));
                }
                counts
            })
            .reduce(empty, Self::merge)
    }

    /// Every word with the number of examples of each class that contain it, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.counts.iter().map(|(word, count)| (&**word, &*count.by_class))
    }

    /// Number of distinct words.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The `n_words` words that tell `class` best from all other classes.
    ///
    /// The score is the z-score of the log-odds ratio with an informative Dirichlet prior (Monroe,
    /// Colaresi and Quinn, "Fightin' Words", 2008, equations 16 to 22), on numbers of examples: with
    /// `y` a word's examples in a class, `n` the sum of y over all words, the prior
    /// `a = PRIOR · (share of the word over all classes)` and `A = PRIOR`,
    /// `δ = ln((y_i + a) / (n_i + A - y_i - a)) - ln((y_j + a) / (n_j + A - y_j - a))` and
    /// `z = δ / sqrt(1 / (y_i + a) + 1 / (y_j + a))`.
    pub(super) fn telling(&self, class: usize, n_words: usize) -> Vec<Scored> {
        /// Pseudo-examples of words that the prior is worth: as many as a few reviews have, so that
        /// it holds back words of small data and drowns in large.
        const PRIOR: f64 = 1_000.0;
        let mut n_in_class = 0.0;
        let mut n_all = 0.0;
        for count in self.counts.values() {
            n_in_class += f64::from(count.by_class[class]);
            n_all += f64::from(count.by_class.iter().sum::<u32>());
        }
        let n_in_others = n_all - n_in_class;
        let mut scored: Vec<(&str, f64, u32, u32)> = self
            .counts
            .iter()
            .filter_map(|(word, count)| {
                let in_class = count.by_class[class];
                let in_all: u32 = count.by_class.iter().sum();
                let in_others = in_all - in_class;
                let prior = PRIOR * f64::from(in_all) / n_all;
                let (y_i, y_j) = (f64::from(in_class) + prior, f64::from(in_others) + prior);
                let log_odds = (y_i / (n_in_class + PRIOR - y_i)).ln()
                    - (y_j / (n_in_others + PRIOR - y_j)).ln();
                let z = log_odds / (1.0 / y_i + 1.0 / y_j).sqrt();
                (z > 0.0 && z.is_finite()).then_some((&**word, z, in_class, in_others))
            })
            .collect();
        // Equal scores go by the alphabet, so that hashing decides nothing.
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        scored.truncate(n_words);
        scored
            .into_iter()
            .map(|(word, z, n_in_class, n_in_others)| Scored {
                word: word.into(),
                z,
                n_in_class,
                n_in_others,
            })
            .collect()
    }

    fn add(&mut self, word: &str, text_idx: usize, label: usize) {
        if let Some(count) = self.counts.get_mut(word) {
            if count.seen_in != text_idx {
                count.seen_in = text_idx;
                count.by_class[label] += 1;
            }
            return;
        }
        let mut by_class = vec![0; self.n_classes].into_boxed_slice();
        by_class[label] = 1;
        self.counts.insert(word.into(), WordCount { seen_in: text_idx, by_class });
    }

    fn merge(self, other: Self) -> Self {
        let (mut large, small) =
            if self.len() < other.len() { (other, self) } else { (self, other) };
        for (word, count) in small.counts {
            match large.counts.get_mut(&word) {
                Some(sum) => {
                    for (sum, n) in sum.by_class.iter_mut().zip(&count.by_class) {
                        *sum += n;
                    }
                }
                None => {
                    large.counts.insert(word, count);
                }
            }
        }
        large
    }
}

/// Number of words that white space separates, `<br />` not counted.
pub(crate) fn n_words(text: &str) -> usize {
    text_parts(text).map(n_words_of_part).sum()
}

fn n_words_of_part(part: &str) -> usize {
    if !part.is_ascii() {
        return part.split_whitespace().count();
    }
    // Most texts are ASCII, and there bytes are 2.6 times as fast as characters.
    let mut was_space = true;
    part.bytes().fold(0, |n_words, byte| {
        // As `char::is_whitespace` has it; `u8::is_ascii_whitespace` lacks the vertical tab.
        let is_space = matches!(byte, b'\t'..=b'\r' | b' ');
        let begins = was_space && !is_space;
        was_space = is_space;
        n_words + usize::from(begins)
    })
}

pub(super) fn for_each_word(text: &str, mut visit: impl FnMut(&str)) {
    let mut word = String::new();
    let mut n_chars = 0usize;
    for part in text_parts(text) {
        for c in part.chars().chain([' ']) {
            if c.is_ascii_alphanumeric() {
                word.push(c.to_ascii_lowercase());
                n_chars += 1;
            } else if !c.is_ascii() && c.is_alphanumeric() {
                word.extend(c.to_lowercase());
                n_chars += 1;
            } else {
                if n_chars >= 2 {
                    visit(&word);
                }
                word.clear();
                n_chars = 0;
            }
        }
    }
}

/// The text between HTML line breaks, in all their spellings: `<br>`, `<br/>`, `<br />`.
pub(super) fn text_parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut from = 0;
        while let Some(at) = text[from..].find('<').map(|at| from + at) {
            if let Some(length) = line_break_len(&text[at..]) {
                rest = Some(&text[at + length..]);
                return Some(&text[..at]);
            }
            from = at + 1;
        }
        rest = None;
        Some(text)
    })
}

fn line_break_len(text: &str) -> Option<usize> {
    let name = text.get(1..3)?;
    if !name.eq_ignore_ascii_case("br") {
        return None;
    }
    let rest = text[3..].trim_start_matches(' ');
    let rest = rest.strip_prefix('/').unwrap_or(rest).strip_prefix('>')?;
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_are_lower_cased_runs_of_two_or_more() {
        for (text, expected) in [
            ("It's a GREAT film, 10/10!", &["it", "great", "film", "10", "10"][..]),
            ("one<br /><br />two<BR>three<br/>four", &["one", "two", "three", "four"]),
            ("a<b ru <brave", &["ru", "brave"]),
            ("Größe ÉTÉ 日本", &["größe", "été", "日本"]),
            ("é x\u{301}y naïve", &["naïve"]),
            ("", &[]),
            ("<", &[]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn length_counts_what_white_space_separates() {
        assert_eq!(n_words("It's a film.<br /><br />Good - yes"), 6);
        assert_eq!(n_words(" \n "), 0);
        assert_eq!(n_words("one\u{b}two  three\r\n"), 3);
        assert_eq!(n_words("één\u{a0}twee"), 2);
    }

    #[test]
    fn an_example_counts_once_a_word_whatever_the_number_of_threads() {
        let texts: Vec<String> = (0..100)
            .map(|idx| if idx % 2 == 0 { "good good film" } else { "bad film" }.into())
            .collect();
        let labels: Vec<u32> = (0..100).map(|idx| 1 - idx % 2).collect();
        for n_threads in [1, 3, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let counts = pool.install(|| WordCounts::of(&texts, &labels, 2));
            assert_eq!(counts.len(), 3);
            assert_eq!(*counts.counts["good"].by_class, [0, 50]);
            assert_eq!(*counts.counts["film"].by_class, [50, 50]);
        }
    }

    #[test]
    fn words_of_one_class_tell_it_best_and_shared_ones_do_not() {
        let rows = [
            ("good warm film", 1),
            ("good film", 1),
            ("good warm plot", 1),
            ("bad film", 0),
            ("bad plot", 0),
            ("bad dull film", 0),
        ];
        let texts: Vec<String> = rows.iter().map(|(text, _)| (*text).to_owned()).collect();
        let labels: Vec<u32> = rows.iter().map(|(_, label)| *label).collect();
        let counts = WordCounts::of(&texts, &labels, 2);
        let telling = |class| {
            let scored = counts.telling(class, 2);
            scored.iter().map(|scored| scored.word.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(telling(1), ["good", "warm"]);
        assert_eq!(telling(0), ["bad", "dull"]);
        let good = &counts.telling(1, 1)[0];
        assert_eq!((good.n_in_class, good.n_in_others), (3, 0));
    }

    /// Hand-checked with the formula: y = (3, 1), n = (4, 4), share 4/8, prior 500 of 1,000:
    /// δ = ln(503 / 501) - ln(501 / 503), z = δ / sqrt(1/503 + 1/501).
    #[test]
    fn the_score_follows_the_formula() {
        let texts: Vec<String> =
            ["aa", "aa", "aa", "bb", "aa", "bb", "bb", "bb"].map(str::to_owned).into();
        let counts = WordCounts::of(&texts, &[1, 1, 1, 1, 0, 0, 0, 0], 2);
        let scored = counts.telling(1, 5);
        assert_eq!(scored.len(), 1);
        let delta = (503.0f64 / 501.0).ln() - (501.0f64 / 503.0).ln();
        let expected = delta / (1.0f64 / 503.0 + 1.0 / 501.0).sqrt();
        assert!((scored[0].z - expected).abs() < 1e-12);
    }
}
