//! Cuts a command line into words as a person means it: blanks part words, quotes and backslashes
//! hold them together, SQL stays as it was typed. It knows no command; it never runs anything.
//!
//! Crates such as shell-words and shlex do not say where a word stands, which completion needs, and
//! would cut SQL.

use trialbook::error::{Error, Result};

/// One word of a line and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word, without quotes and backslashes.
    pub(crate) text: String,
    /// Its beginning in the line, its quote included, in bytes.
    pub(crate) start: usize,
    /// Its end.
    pub(crate) end: usize,
}

/// The words of a line, and whether the last one still waits for its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Words {
    /// In the order they stand.
    pub(crate) words: Vec<Word>,
    /// The quote that nothing closes.
    pub(crate) open: Option<char>,
}

impl Words {
    /// Cuts `line`. A text in single quotes is taken as it stands; in double quotes a backslash
    /// keeps `"` and `\`; outside, it keeps any character, and a newline behind it is a blank.
    pub(crate) fn of(line: &str) -> Self {
        let mut found = Self::default();
        let mut word: Option<Word> = None;
        let mut chars = line.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            let begun = || Word { text: String::new(), start: at, end: at };
            match (found.open, char) {
                (Some(quote), _) if char == quote => found.open = None,
                (Some('"'), '\\') => {
                    let kept = chars.next_if(|(_, next)| matches!(next, '"' | '\\'));
                    word.get_or_insert_with(begun).text.push(kept.map_or('\\', |(_, kept)| kept));
                }
                (Some(_), _) => word.get_or_insert_with(begun).text.push(char),
                (None, '\'' | '"') => {
                    word.get_or_insert_with(begun);
                    found.open = Some(char);
                }
                (None, '\\') => match chars.next() {
                    Some((_, '\n')) => found.words.extend(word.take()),
                    Some((_, kept)) => word.get_or_insert_with(begun).text.push(kept),
                    None => word.get_or_insert_with(begun).text.push('\\'),
                },
                (None, _) if char.is_whitespace() => found.words.extend(word.take()),
                (None, _) => word.get_or_insert_with(begun).text.push(char),
            }
            if let Some(word) = &mut word {
                word.end = chars.peek().map_or(line.len(), |(next, _)| *next);
            }
        }
        found.words.extend(word);
        found
    }
}

/// The words of a command line without its colon. Everything behind the flags of `sql` is one word,
/// whatever quotes are in it, unless it is wrapped in quotes as a system's shell wants it;
/// `takes_value` says which of those flags is followed by a value.
///
/// # Errors
/// When nothing stands on the line, or a quote is not closed.
pub(crate) fn words(line: &str, takes_value: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let found = Words::of(line);
    if found.words.first().is_some_and(|first| first.text == "sql") {
        let query = query_start(line, &found.words, takes_value);
        let is_bare = !line[query..].starts_with(['"', '\'']);
        if is_bare && !line[query..].trim().is_empty() {
            let flags = found.words.into_iter().take_while(|word| word.start < query);
            let mut words: Vec<String> = flags.map(|word| word.text).collect();
            // A query may begin with a comment, `-- …`, which is no flag.
            words.extend(["--".to_owned(), line[query..].trim_end().to_owned()]);
            return Ok(words);
        }
    }
    match found.open {
        Some(quote) => Err(Error::invalid(format!("the quote {quote} is not closed"))
            .with_hint(format!("close it, or write \\{quote} for the character itself"))),
        None if found.words.is_empty() => {
            Err(Error::invalid("no command").with_hint(":help lists all of them"))
        }
        None => Ok(found.words.into_iter().map(|word| word.text).collect()),
    }
}

/// The beginning of the query, behind `sql` and its flags.
pub(crate) fn query_start(line: &str, words: &[Word], takes_value: impl Fn(&str) -> bool) -> usize {
    let mut rest = words.iter().skip(1).peekable();
    while let Some(word) = rest.peek() {
        if !word.text.starts_with('-') || word.text.starts_with("--") && !is_flag(&word.text) {
            return word.start;
        }
        let flag = rest.next();
        if flag.is_some_and(|flag| !flag.text.contains('=') && takes_value(&flag.text)) {
            rest.next();
        }
    }
    line.len()
}

/// `--json`, but neither `--` nor the comment `--json:`.
fn is_flag(word: &str) -> bool {
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trialbook::hint::{CommandLine, Spelling};

    use super::*;

    fn cut(line: &str) -> Vec<String> {
        words(line, |flag| matches!(flag, "-n" | "--rows")).unwrap()
    }

    #[test]
    fn quotes_and_backslashes_hold_words_together() {
        for (line, expected) in [
            ("runs list", &["runs", "list"][..]),
            ("  runs\tlist  ", &["runs", "list"]),
            (r#"predict "It's fine.""#, &["predict", "It's fine."]),
            ("predict 'a \"b\" \\c'", &["predict", "a \"b\" \\c"]),
            (r#"predict "a \"b\" \c""#, &["predict", "a \"b\" \\c"]),
            (r"data add my\ data a\'b", &["data", "add", "my data", "a'b"]),
            ("--filter='f1 > 0.8'", &["--filter=f1 > 0.8"]),
            ("predict ''", &["predict", ""]),
            ("train tfidf \\\n --data sample", &["train", "tfidf", "--data", "sample"]),
            ("predict ünï 🦀", &["predict", "ünï", "🦀"]),
        ] {
            assert_eq!(cut(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_query_stays_as_it_was_typed() {
        for (line, expected) in [
            ("sql select 'it''s' as \"a b\"", &["sql", "--", "select 'it''s' as \"a b\""][..]),
            ("sql --json -n 5 select 1", &["sql", "--json", "-n", "5", "--", "select 1"]),
            ("sql --rows=5 select -1", &["sql", "--rows=5", "--", "select -1"]),
            ("sql\nselect 1\n  from x\n", &["sql", "--", "select 1\n  from x"]),
            ("sql -- all of them\nselect 1", &["sql", "--", "-- all of them\nselect 1"]),
            ("sql \"select 1\"", &["sql", "select 1"]),
            ("sql", &["sql"]),
            ("sql --json", &["sql", "--json"]),
        ] {
            assert_eq!(cut(line), expected, "{line:?}");
        }
    }

    #[test]
    fn an_open_quote_and_an_empty_line_are_errors_with_a_way_out() {
        for line in ["predict I don't", "predict \"open", "", "  "] {
            let error = words(line, |_| false).unwrap_err();
            assert!(error.hint().is_some(), "{line:?}: {error}");
        }
    }

    fn quoted(word: &str) -> String {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec(any::<String>(), 1..6)) {
            let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let found = Words::of(&line.join(" "));
            let found: Vec<String> = found.words.into_iter().map(|word| word.text).collect();
            prop_assert_eq!(found, words);
        }

        #[test]
        fn a_command_of_a_hint_comes_back_as_its_words(value in "[^\n]{0,20}") {
            let command = CommandLine::new("promote").arg(&value).written("--force");
            let line = command.spelled(Spelling::Cell);
            let line = line.strip_prefix(':').unwrap();
            prop_assert_eq!(cut(line), ["promote", value.as_str(), "--force"], "{:?}", line);
        }

        #[test]
        fn words_lie_in_order_within_any_line(line in ".{0,80}") {
            let found = Words::of(&line);
            let mut end = 0;
            for word in &found.words {
                prop_assert!(word.start >= end && word.end > word.start && word.end <= line.len());
                prop_assert!(line.is_char_boundary(word.start) && line.is_char_boundary(word.end));
                end = word.end;
            }
            let _ = words(&line, |_| true);
            let _ = words(&format!("sql {line}"), |_| true);
        }
    }
}
