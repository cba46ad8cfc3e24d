//! Rows that are empty, very short, in another language than most, or no text at all: what a look
//! at the texts alone tells, without labels.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{
    super::words::{n_words, text_parts},
    IssueKind,
    language::{FrequentWords, Language, Script},
};
use crate::figure;

/// A flaw of one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RowFlaw {
    pub(crate) row: usize,
    pub(crate) kind: IssueKind,
    pub(crate) score: f64,
    pub(crate) why: String,
}

/// A text of fewer words is short, if texts are longer as a rule: by this factor.
const MIN_WORDS: usize = 3;
const USUAL_TIMES_LONGER: usize = 4;

/// A text of which fewer of the characters are letters is no text.
const MIN_LETTER_SHARE: f64 = 0.5;

/// A longer run of characters without a space is no word; only scripts that write with spaces have
/// words at all.
const MAX_WORD_CHARS: usize = 40;

/// Marks that often stand in for a space: `one...two`.
const ENDS_PARTS: [char; 6] = ['.', ',', ';', '!', '?', '*'];

/// A language other than that of most rows is named from so many of its words on, if they are twice
/// those of most rows' language and one in [`WORDS_A_HIT`] words of the text.
const MIN_HITS: u32 = 3;
const WORDS_A_HIT: u32 = 8;

/// Letters that a text in another script has to have: fewer may be a name.
const MIN_LETTERS: usize = 8;

/// The facts about one text.
struct Seen {
    n_words: usize,
    script: Option<(Script, usize, usize)>,
    frequent: FrequentWords,
    flaw: Option<(IssueKind, f64, String)>,
}

/// The flaws of `texts`, by row; at most one a row. What most rows are like, these rows decide
/// themselves.
pub(crate) fn row_flaws(texts: &[String]) -> Vec<RowFlaw> {
    let seen: Vec<Seen> = texts.par_iter().map(|text| Seen::of(text)).collect();
    let mut lengths: Vec<usize> = seen.iter().map(|seen| seen.n_words).collect();
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    let script = most(seen.iter().filter_map(|seen| seen.script.map(|(script, ..)| script)));
    let language = most(seen.iter().filter_map(|seen| seen.frequent.most()));
    let flaw = |(row, seen): (usize, Seen)| {
        let found = seen.flaw.clone().or_else(|| seen.stranger(script, language));
        let (kind, score, why) = found.or_else(|| seen.shortness(median))?;
        Some(RowFlaw { row, kind, score, why })
    };
    seen.into_iter().enumerate().filter_map(flaw).collect()
}

impl Seen {
    fn of(text: &str) -> Self {
        Self {
            n_words: n_words(text),
            script: Script::of(text),
            frequent: FrequentWords::of(text),
            flaw: no_text(text),
        }
    }

    /// In another script, or another language, than most rows.
    fn stranger(
        &self,
        most_script: Option<Script>,
        most_language: Option<Language>,
    ) -> Option<(IssueKind, f64, String)> {
        let ((script, n_of_script, n_letters), most_script) = (self.script?, most_script?);
        if script != most_script {
            let share = n_of_script as f64 / n_letters as f64;
            let why = format!("in {script} letters, where most rows have {most_script} ones");
            return (n_letters >= MIN_LETTERS).then_some((IssueKind::OtherLanguage, share, why));
        }
        let (language, most_language) = (self.frequent.most()?, most_language?);
        let (n_hits, n_most) = (self.frequent.count(language), self.frequent.count(most_language));
        let n_words = self.frequent.n_words;
        let is_other = script == Script::Latin
            && language != most_language
            && n_hits >= MIN_HITS
            && n_hits >= 2 * n_most.max(1)
            && n_hits * WORDS_A_HIT >= n_words;
        let score = f64::from(n_hits) / f64::from(n_hits + n_most);
        let why = format!(
            "reads like {language}, where most rows are {most_language}: {n_hits} of the first {} \
             are among the most frequent of {language}",
            figure::counted(n_words, "word")
        );
        is_other.then_some((IssueKind::OtherLanguage, score, why))
    }

    /// Short where texts are long as a rule.
    fn shortness(&self, median: usize) -> Option<(IssueKind, f64, String)> {
        let is_short = self.n_words < MIN_WORDS && self.n_words * USUAL_TIMES_LONGER < median;
        let writes_with_spaces = !self
            .script
            .is_some_and(|(script, ..)| matches!(script, Script::EastAsian | Script::Thai));
        let score = 1.0 - self.n_words as f64 / MIN_WORDS as f64;
        let why = format!(
            "{}, where half of the rows have {} or more",
            figure::counted(self.n_words, "word"),
            figure::count(median)
        );
        (is_short && writes_with_spaces).then_some((IssueKind::Short, score, why))
    }
}

/// The most frequent of `items`, the first in order of equals.
fn most<T: Copy + Eq + std::hash::Hash + Ord>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .max_by(|(one, n_one), (other, n_other)| n_one.cmp(n_other).then(other.cmp(one)))
        .map(|(item, _)| item)
}

/// The reason why `text` is empty or no text, if it is.
fn no_text(text: &str) -> Option<(IssueKind, f64, String)> {
    let (mut n_chars, mut n_letters, mut n_lost, mut n_in_long, mut n_in_run) = (0, 0, 0, 0, 0);
    let mut runs_on = |char: Option<char>, n_in_long: &mut usize| match char {
        Some(char) if char.is_ascii() && !ENDS_PARTS.contains(&char) => n_in_run += 1,
        _ => {
            if n_in_run > MAX_WORD_CHARS {
                *n_in_long += n_in_run;
            }
            n_in_run = 0;
        }
    };
    for part in text_parts(text) {
        for char in part.chars() {
            if !is_visible(char) {
                runs_on(None, &mut n_in_long);
                continue;
            }
            runs_on(Some(char), &mut n_in_long);
            n_chars += 1usize;
            // Marks on letters are parts of them in many scripts.
            n_letters += usize::from(char.is_alphabetic() || is_mark(char));
            n_lost += usize::from(char == char::REPLACEMENT_CHARACTER);
        }
        runs_on(None, &mut n_in_long);
    }
    let share = |n: usize| n as f64 / n_chars.max(1) as f64;
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    if n_chars == 0 {
        return Some((IssueKind::Empty, 1.0, "no visible character".into()));
    }
    // One in fifty is more than a stray byte.
    if n_lost > 0 && 50 * n_lost >= n_chars {
        let why = format!("{} of the characters were lost in an encoding", percent(share(n_lost)));
        return Some((IssueKind::NonText, share(n_lost).max(0.5), why));
    }
    if 2 * n_in_long > n_chars {
        let why = format!(
            "{} of the characters stand in runs of more than {MAX_WORD_CHARS} without a space",
            percent(share(n_in_long))
        );
        return Some((IssueKind::NonText, share(n_in_long), why));
    }
    let letter_share = share(n_letters);
    let why = format!("{} of the visible characters are letters", percent(letter_share));
    (letter_share < MIN_LETTER_SHARE).then_some((IssueKind::NonText, 1.0 - letter_share, why))
}

fn is_visible(char: char) -> bool {
    let is_formatting = matches!(
        u32::from(char),
        0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xfeff
    );
    !char.is_whitespace() && !char.is_control() && !is_formatting
}

fn is_mark(char: char) -> bool {
    matches!(u32::from(char), 0x300..0x370 | 0x900..0xe80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: &str = "This is the kind of film that you have to see with your friends, and it was \
                         not the worst of the evenings that I had.";

    fn flaws(strange: &[&str]) -> Vec<(usize, IssueKind)> {
        let texts: Vec<String> =
            strange.iter().copied().chain([USUAL; 20]).map(str::to_owned).collect();
        row_flaws(&texts).into_iter().map(|flaw| (flaw.row, flaw.kind)).collect()
    }

    #[test]
    fn each_flaw_is_named() {
        for (text, expected) in [
            ("", Some(IssueKind::Empty)),
            ("\u{200b} \u{feff}\u{ad}", Some(IssueKind::Empty)),
            ("<br /><br>", Some(IssueKind::Empty)),
            ("Good.", Some(IssueKind::Short)),
            ("Very good", Some(IssueKind::Short)),
            ("Not good enough", None),
            ("10/10 !!! 5 * 5", Some(IssueKind::NonText)),
            ("👍👍👍", Some(IssueKind::NonText)),
            ("caf\u{fffd} \u{fffd}tait ferm\u{fffd} hier", Some(IssueKind::NonText)),
            (
                "see https://example.org/a/very/long/path/that/goes/on/and/on/for/ever.html",
                Some(IssueKind::NonText),
            ),
            ("Хороший фильм, но слишком длинный", Some(IssueKind::OtherLanguage)),
            ("我非常喜欢这部电影的音乐", Some(IssueKind::OtherLanguage)),
            (
                "Der Film ist sehr langweilig und die Musik ist auch nicht besonders gut.",
                Some(IssueKind::OtherLanguage),
            ),
            (
                "Well.....that is it.....no more of it.....and nothing else.....please.....thanks",
                None,
            ),
            ("Ciao Москва, a film by Иван with the best of casts", None),
            ("The die is cast: Das Boot and Der Untergang are the best of films.", None),
        ] {
            let found = flaws(&[text]);
            let expected: Vec<(usize, IssueKind)> =
                expected.into_iter().map(|kind| (0, kind)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn rows_are_strange_only_among_others() {
        let texts = |text: &str| vec![text.to_owned(); 5];
        for usual in [
            "Der Film ist sehr langweilig und die Musik ist auch nicht besonders gut.",
            "Хороший фильм",
            "良い映画です",
            "red shoes",
            "shoes",
            "",
        ] {
            let kinds: Vec<IssueKind> =
                row_flaws(&texts(usual)).into_iter().map(|flaw| flaw.kind).collect();
            let expected = if usual.is_empty() { vec![IssueKind::Empty; 5] } else { Vec::new() };
            assert_eq!(kinds, expected, "{usual}");
        }
        assert!(row_flaws(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_has_one_flaw_at_most_with_a_score(texts in prop::collection::vec("\\PC{0,60}", 0..8)) {
            let found = row_flaws(&texts);
            for flaw in &found {
                prop_assert!((0.0..=1.0).contains(&flaw.score), "{flaw:?}");
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].row < pair[1].row));
        }
    }
}
