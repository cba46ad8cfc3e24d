//! The options that say how the text of a file is spelled, which every command that reads rows takes.

use clap::Args;
use trialbook::data::{Dialect, FileFormat, Mark, TextEncoding, parse_delimiter};

/// The dialect of a file, where its content and name do not say it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct DialectArgs {
    /// The format: csv, tsv, jsonl, json, parquet or arrow; without it, what the content and name say
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// The separator of the fields of CSV: one character, or tab; guessed among , tab ; and |
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true, value_parser = parse_delimiter)]
    delimiter: Option<char>,
    /// The mark around fields of CSV: one character, or none; without it "
    #[arg(long, value_name = "CHAR|none")]
    quote: Option<Mark>,
    /// The mark that escapes quotes in CSV, such as \: one character, or none
    #[arg(long, value_name = "CHAR|none")]
    escape: Option<Mark>,
    /// The encoding of the text, such as windows-1252 or utf-16le; without it UTF-8
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
}

impl DialectArgs {
    /// True if any of it is given.
    pub(super) fn is_given(&self) -> bool {
        self.dialect() != Dialect::default()
    }

    pub(super) fn dialect(&self) -> Dialect {
        let Self { format, delimiter, quote, escape, encoding } = *self;
        Dialect { format, delimiter, quote, escape, encoding }
    }
}
