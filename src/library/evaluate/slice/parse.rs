//! Reading a slice: from the text of a person to its conditions, or to the place where it makes no
//! sense. It knows no dataset: whether a column exists is asked later.
//!
//! ```text
//! slice     = condition { "and" condition }
//! condition = "not" condition
//!           | "negation" | "/" REGEX "/" [ "i" ]
//!           | subject ":" ( "q1" | "q2" | "q3" | "q4" )
//!           | subject ( "<" | "<=" | ">" | ">=" ) NUMBER
//!           | subject ( "=" | "!=" ) ( VALUE | "null" )
//! subject   = "length" | "unknown" | COLUMN
//! ```
//!
//! Columns and values with blanks, and columns called as a word above, stand in double quotes.

use std::str::FromStr;

use regex::RegexBuilder;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::expression::{
    Relation, RowValue, Slice, SliceCondition, SliceTest, TextPattern, is_bare,
};
use crate::error::{Error, Result};

/// The words that a condition may begin with.
const BEGINNINGS: &str = "length, unknown, negation, a column or /a regular expression/";

/// A text that is read from the left.
struct SliceReader<'a> {
    text: &'a str,
    /// Bytes that are read.
    at: usize,
}

impl FromStr for Slice {
    type Err = Error;

    /// # Errors
    /// Text that is no slice, with the character at which it stops being one.
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = SliceReader { text, at: 0 };
        let mut conditions = vec![reader.condition()?];
        loop {
            reader.skip_blanks();
            if reader.rest().is_empty() {
                return Ok(Self { conditions });
            }
            let start = reader.at;
            if !reader.word("and") {
                let hint = "put a value with blanks in double quotes";
                return Err(reader.expected(start, "\"and\" or the end").with_hint(hint));
            }
            conditions.push(reader.condition()?);
        }
    }
}

impl<'de> Deserialize<'de> for Slice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'a> SliceReader<'a> {
    fn condition(&mut self) -> Result<SliceCondition> {
        self.skip_blanks();
        if self.word("not") {
            let condition = self.condition()?;
            return Ok(SliceCondition { is_negated: !condition.is_negated, ..condition });
        }
        if self.rest().starts_with('/') {
            return Ok(SliceTest::Matches(self.pattern()?).holds());
        }
        let start = self.at;
        let subject = match self.quoted()? {
            Some(column) => RowValue::Column(column),
            None => match self.bare() {
                "" | "and" => return Err(self.expected(start, BEGINNINGS)),
                "negation" => return Ok(SliceTest::Negation.holds()),
                "length" => RowValue::Length,
                "unknown" => RowValue::Unknown,
                column => RowValue::Column(column.to_owned()),
            },
        };
        self.skip_blanks();
        self.question(subject)
    }

    /// The condition on `subject`.
    fn question(&mut self, subject: RowValue) -> Result<SliceCondition> {
        // The longer ones first.
        for (sign, relation) in [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("<", Relation::Below),
            (">", Relation::Above),
        ] {
            if self.sign(sign) {
                self.skip_blanks();
                let number = self.number()?;
                return Ok(SliceTest::Compares(subject, relation, number).holds());
            }
        }
        if self.sign("!=") {
            return Ok(self.value(subject)?.fails());
        }
        if self.sign("=") {
            return Ok(self.value(subject)?.holds());
        }
        if self.sign(":") {
            let start = self.at;
            let quarter = match self.bare() {
                "q1" => 1,
                "q2" => 2,
                "q3" => 3,
                "q4" => 4,
                _ => return Err(self.expected(start, "a quarter: q1, q2, q3 or q4")),
            };
            return Ok(SliceTest::Quarter(subject, quarter).holds());
        }
        Err(self.expected(self.at, &format!("one of = != < <= > >= : after {subject}")))
    }

    fn value(&mut self, subject: RowValue) -> Result<SliceTest> {
        self.skip_blanks();
        let start = self.at;
        let value = match self.quoted()? {
            Some(value) => Some(value),
            None => match self.until_blank() {
                "" => {
                    return Err(
                        self.expected(start, "a value, such as drama or \"science fiction\"")
                    );
                }
                "null" => None,
                value => Some(value.to_owned()),
            },
        };
        let is_own = !matches!(subject, RowValue::Column(_));
        if is_own && value.as_ref().is_none_or(|value| parse_number(value).is_none()) {
            return Err(self.expected(start, "a number"));
        }
        Ok(SliceTest::Equals(subject, value))
    }

    fn number(&mut self) -> Result<f64> {
        let start = self.at;
        let word = self.until_blank();
        parse_number(word).ok_or_else(|| self.expected(start, "a number, such as 200 or 0.2"))
    }

    fn pattern(&mut self) -> Result<TextPattern> {
        let start = self.at;
        let inside = &self.rest()[1..];
        let mut is_escaped = false;
        let end = inside.find(|letter| {
            let ends = letter == '/' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            ends
        });
        let Some(end) = end else {
            return Err(self.error(start, "the regular expression has no closing /"));
        };
        let source = inside[..end].to_owned();
        self.at += end + 2;
        let ignores_case = self.sign("i");
        // `\/` is no escape of regular expressions.
        let regex = RegexBuilder::new(&source.replace(r"\/", "/"))
            .case_insensitive(ignores_case)
            .build()
            .map_err(|error| {
                let told = error.to_string();
                let told = told.lines().next_back().unwrap_or_default();
                let told = told.trim_start_matches("error: ").trim_end_matches('.');
                self.error(start, &format!("no regular expression: {told}"))
            })?;
        Ok(TextPattern { source, ignores_case, regex })
    }

    /// A text in double quotes, if one begins here.
    fn quoted(&mut self) -> Result<Option<String>> {
        let start = self.at;
        if !self.sign("\"") {
            return Ok(None);
        }
        let mut text = String::new();
        let mut is_escaped = false;
        for (idx, letter) in self.rest().char_indices() {
            match letter {
                _ if is_escaped => text.push(letter),
                '\\' => {}
                '"' => {
                    self.at += idx + 1;
                    return Ok(Some(text));
                }
                letter => text.push(letter),
            }
            is_escaped = letter == '\\' && !is_escaped;
        }
        Err(self.error(start, "the quotes have no end"))
    }

    /// A name, up to a sign or a blank.
    fn bare(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !is_bare(letter)).unwrap_or(rest.len());
        self.at += end;
        &self.text[self.at - end..self.at]
    }

    fn until_blank(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        self.at += end;
        &self.text[self.at - end..self.at]
    }

    /// True if `word` stands here alone, and is read.
    fn word(&mut self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        let is_whole = after.is_empty() || after.starts_with(char::is_whitespace);
        if is_whole {
            self.at += word.len();
        }
        is_whole
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is_here = self.rest().starts_with(sign);
        if is_here {
            self.at += sign.len();
        }
        is_here
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// That something else than `expected` stands at the byte `start`.
    fn expected(&self, start: usize, expected: &str) -> Error {
        let found = match self.text[start..].split_whitespace().next() {
            Some(word) => format!("{word:?}"),
            None => "the end".to_owned(),
        };
        self.error(start, &format!("found {found}, expected {expected}"))
    }

    fn error(&self, start: usize, told: &str) -> Error {
        let nth = 1 + self.text[..start].chars().count();
        Error::invalid(format!("slice {:?}, character {nth}: {told}", self.text))
    }
}

/// A number with an end.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slice_is_written_as_it_was_read() {
        for (text, expected) in [
            ("length:q1", None),
            (" negation ", Some("negation")),
            ("not negation", None),
            ("not not negation", Some("negation")),
            ("unknown > 0.20", Some("unknown>0.2")),
            ("genre=drama and length>=200", None),
            ("genre != drama", Some("genre!=drama")),
            ("not genre=drama", Some("genre!=drama")),
            ("not genre!=drama", Some("genre=drama")),
            ("genre=\"science fiction\"", None),
            ("genre=null", None),
            ("genre=\"null\"", None),
            ("\"release date\"=2019-01-01", None),
            ("\"length\"=5", None),
            ("length=5", None),
            ("stars:q4", None),
            ("url=https://a.b/c?d=e", None),
            (r"quote=\", None),
            (r#""a \"b\" \\"=x"#, None),
            ("/not (so|very)/", None),
            (r"/a\/b and c/i and negation", None),
            ("not /x/", None),
        ] {
            let slice: Slice = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(slice.to_string(), expected.unwrap_or(text));
            assert_eq!(slice.to_string().parse::<Slice>().unwrap(), slice, "{text}");
        }
    }

    #[test]
    fn an_error_names_the_place() {
        for (text, expected) in [
            ("", "slice \"\", character 1: found the end, expected length, unknown, negation"),
            ("length", "slice \"length\", character 7: found the end, expected one of = != <"),
            ("length:q5", "slice \"length:q5\", character 8: found \"q5\", expected a quarter"),
            (
                "length > ten",
                "slice \"length > ten\", character 10: found \"ten\", expected a number",
            ),
            ("unknown>nan", "character 9: found \"nan\", expected a number"),
            ("length=ten", "character 8: found \"ten\", expected a number"),
            (
                "genre=science fiction",
                "character 15: found \"fiction\", expected \"and\" or the end",
            ),
            ("negation=1", "character 9: found \"=1\", expected \"and\" or the end"),
            ("genre=", "character 7: found the end, expected a value"),
            ("genre=a and", "character 12: found the end, expected length"),
            ("not", "character 4: found the end, expected length"),
            ("genre=a and and", "character 13: found \"and\", expected length"),
            ("=a", "character 1: found \"=a\", expected length"),
            ("/abc", "character 1: the regular expression has no closing /"),
            ("größe=1 and /(/", "character 13: no regular expression: unclosed group"),
            ("/(a{900}){900}/", "character 1: no regular expression: "),
            ("\"abc", "character 1: the quotes have no end"),
            ("/a/x", "character 4: found \"x\", expected \"and\" or the end"),
        ] {
            let error = text.parse::<Slice>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC*") {
            let _ = text.parse::<Slice>();
        }

        #[test]
        fn every_name_and_value_can_be_said(name in "\\PC{1,8}", value in "\\PC{0,8}") {
            let slice = Slice::of(SliceTest::Equals(RowValue::Column(name), Some(value)).fails());
            prop_assert_eq!(slice.to_string().parse::<Slice>().unwrap(), slice);
        }
    }
}
