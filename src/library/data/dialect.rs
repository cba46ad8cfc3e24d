//! The dialect of a file's text, as far as somebody says it: its format, its encoding, and the
//! characters that have a meaning in CSV. What is not said is guessed, by the readers.

use std::{fmt, path::Path, str::FromStr};

use super::encoding::TextEncoding;
use crate::error::{Error, Result};

/// The properties of a file that are known before it is opened. Every part that is `None` is read
/// from the file's content and name; a guess that is not the usual one is said in the notes.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::data::{Dialect, Mark};
/// let dialect = Dialect {
///     delimiter: Some(';'),
///     escape: Some("\\".parse()?),
///     encoding: Some("windows-1252".parse()?),
///     ..Dialect::default()
/// };
/// assert_eq!(dialect.escape, Some(Mark::Char('\\')));
/// # Ok::<(), trialbook::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dialect {
    /// The format, for a file whose name and first bytes do not say it.
    pub format: Option<FileFormat>,
    /// The separator of the fields of CSV and TSV: one ASCII character.
    pub delimiter: Option<char>,
    /// The mark around fields of CSV and TSV: `"`, unless the file says otherwise. Named, it is
    /// also taken at its word: a field that looks like several rows is one.
    pub quote: Option<Mark>,
    /// The mark that takes the meaning from a quote, a delimiter, a line break or itself; before
    /// any other character it stands for itself. Doubled quotes are read with and without it.
    pub escape: Option<Mark>,
    /// The encoding, for text that is not UTF-8.
    pub encoding: Option<TextEncoding>,
}

/// A format of rows, as it is called on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Lines of fields with commas between them.
    Csv,
    /// Lines of fields with tabs between them.
    Tsv,
    /// JSON objects, one a line, or in an array.
    Json,
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC file (Feather version 2).
    Arrow,
}

/// A character with a meaning, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// No character has this meaning.
    None,
    /// This ASCII character has it.
    Char(char),
}

impl FileFormat {
    const ALL: [(&'static str, Self); 9] = [
        ("csv", Self::Csv),
        ("tsv", Self::Tsv),
        ("tab", Self::Tsv),
        ("jsonl", Self::Json),
        ("ndjson", Self::Json),
        ("json", Self::Json),
        ("parquet", Self::Parquet),
        ("arrow", Self::Arrow),
        ("feather", Self::Arrow),
    ];

    /// The format that the name of a file says.
    pub(super) fn of_name(name: &Path) -> Option<Self> {
        let extension = name.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "pq" => Some(Self::Parquet),
            "ipc" => Some(Self::Arrow),
            extension => Self::named(extension),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, format)| format)
    }
}

impl FromStr for FileFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::named(text).ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no format that is read: csv, tsv, jsonl, json, parquet or arrow"
            ))
        })
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow IPC",
        })
    }
}

impl FromStr for Mark {
    type Err = Error;

    /// `none`, or one character.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            other => one_char(other).map(Self::Char),
        }
    }
}

/// Reads a delimiter as people write it: one character, `tab` or `\t`.
///
/// # Errors
/// For more than one character, and for one that is not ASCII or breaks lines.
pub fn parse_delimiter(text: &str) -> Result<char> {
    match text {
        "tab" | "\\t" => Ok('\t'),
        "comma" => Ok(','),
        "semicolon" => Ok(';'),
        "pipe" => Ok('|'),
        "space" => Ok(' '),
        other => one_char(other),
    }
}

impl Dialect {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// A character with two meanings, and one that is not ASCII or breaks lines.
    pub(super) fn check(&self) -> Result<()> {
        let named = |mark: Option<Mark>| match mark {
            Some(Mark::Char(char)) => Some(char),
            Some(Mark::None) | None => None,
        };
        let (quote, escape) = (named(self.quote), named(self.escape));
        for char in [self.delimiter, quote, escape].into_iter().flatten() {
            check_char(char)?;
        }
        let twice = |char: Option<char>, other: Option<char>| char.is_some() && char == other;
        if twice(self.delimiter, quote) || twice(self.delimiter, escape) {
            let char = self.delimiter.unwrap_or_default();
            return Err(Error::invalid(format!(
                "{char:?} cannot be the delimiter and a quote or escape"
            ))
            .with_hint("give each its own character"));
        }
        Ok(())
    }

    /// True if anything was given that only text in rows and fields has.
    pub(super) fn is_of_delimited(&self) -> bool {
        self.delimiter.is_some() || self.quote.is_some() || self.escape.is_some()
    }
}

fn one_char(text: &str) -> Result<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => check_char(char),
        _ => Err(Error::invalid(format!("{text:?} is not one character"))),
    }
}

fn check_char(char: char) -> Result<char> {
    match char {
        '\n' | '\r' | '\0' => Err(Error::invalid(format!("{char:?} cannot have this meaning"))),
        char if char.is_ascii() => Ok(char),
        char => Err(Error::invalid(format!("{char:?} is not an ASCII character"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_read_as_people_write_them() {
        for (text, expected) in
            [(";", ';'), ("tab", '\t'), ("\\t", '\t'), ("\t", '\t'), ("|", '|'), ("space", ' ')]
        {
            assert_eq!(parse_delimiter(text).unwrap(), expected);
        }
        assert_eq!("none".parse::<Mark>().unwrap(), Mark::None);
        assert_eq!("\\".parse::<Mark>().unwrap(), Mark::Char('\\'));
        for (text, expected) in [
            (";;", "\";;\" is not one character"),
            ("", "\"\" is not one character"),
            ("þ", "'þ' is not an ASCII character"),
            ("\n", "'\\n' cannot have this meaning"),
        ] {
            assert_eq!(parse_delimiter(text).unwrap_err().to_string(), expected);
            assert_eq!(text.parse::<Mark>().unwrap_err().to_string(), expected);
        }
        let twice =
            Dialect { delimiter: Some('\''), quote: Some(Mark::Char('\'')), ..Dialect::default() };
        assert!(twice.check().is_err());
    }
}
