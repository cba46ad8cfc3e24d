//! `copy (select …) to 'file.csv'`: an answer as a file, as DuckDB's and PostgreSQL's users write it.

use std::path::PathBuf;

use polars::prelude::{DataFrame, NamedFrom as _, Series};

use crate::{
    data::{
        QueryResult,
        rows::{RowsFormat, RowsWriter, exists},
    },
    error::{Error, ErrorKind, Result},
    hint::Hint,
    syntax::{SqlToken, tokens},
};

/// The query whose rows are to be written, and the file for them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// The query whose answer is written.
    pub(super) query: String,
    path: PathBuf,
}

const FORM: &str = "write `copy (select …) to 'file.csv'` or `copy NAME to 'file.parquet'`";

impl Copy {
    /// Reads `copy …`.
    ///
    /// # Errors
    /// Anything but a query or table, `to` and a file in single quotes; options other than a header and
    /// the format that the file's extension says; and a file that is there already.
    pub(super) fn of(query: &str) -> Result<Self> {
        let malformed = |found: &str| Error::invalid(format!("sql: copy: {found}")).with_hint(FORM);
        let placed: Vec<SqlToken<'_>> = tokens(query).filter(|token| !token.is_blank()).collect();
        let mut depth = 0_usize;
        let is_to = |token: &SqlToken<'_>| {
            match token.text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && (token.is("to") || token.is("from"))
        };
        let to_idx = placed.iter().position(is_to).ok_or_else(|| malformed("where to?"))?;
        if placed[to_idx].is("from") {
            return Err(Error::invalid("sql: copy … from reads no file into the store")
                .with_hint(Hint::from("add a dataset with ").run("data add NAME FILE")));
        }
        let Some([first, ..]) = placed.get(1..to_idx).filter(|what| !what.is_empty()) else {
            return Err(malformed("what?"));
        };
        let what = &query[first.start..placed[to_idx - 1].end()];
        let query = match first.text {
            // The parentheses around the query, where they are those of all of it.
            "(" if closing(&placed[1..to_idx]) == Some(to_idx - 2) => {
                what[1..what.len() - 1].trim().to_owned()
            }
            "(" => what.to_owned(),
            _ => format!("select * from {what}"),
        };
        if query.is_empty() {
            return Err(malformed("what?"));
        }
        let mut rest = placed[to_idx + 1..].iter();
        let path = match rest.next().and_then(|token| token.string()) {
            Some(path) if !path.is_empty() => PathBuf::from(path.as_ref()),
            _ => return Err(malformed("no file in single quotes behind `to`")),
        };
        let options: Vec<&str> = rest.map(|token| token.text).collect();
        let format = RowsFormat::of_output(&path)?;
        check_options(&options, format)?;
        if path.exists() {
            return Err(taken(exists(&path)));
        }
        Ok(Self { query, path })
    }

    /// Writes `answer`, and says how many rows it has and where they are.
    ///
    /// # Errors
    /// When the file cannot be written, or its format has no form for a column.
    pub(super) fn write(&self, answer: QueryResult) -> Result<QueryResult> {
        let n_rows = answer.n_rows() as u64;
        RowsWriter::write_frame(&self.path, answer.into_dataframe(), false).map_err(taken)?;
        let columns = vec![
            Series::new("rows".into(), [n_rows]).into(),
            Series::new("file".into(), [self.path.to_string_lossy()]).into(),
        ];
        Ok(QueryResult::new(DataFrame::new(1, columns).expect("both columns have one row")))
    }
}

/// The place where the parenthesis is closed that is the first of `tokens`.
fn closing(tokens: &[SqlToken<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })
}

/// A query has no flag that would allow to write over a file.
fn taken(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => error.with_hint("name another file: `copy` replaces no file"),
        _ => error,
    }
}

/// That the options say what is done anyway: the extension's format, with a header.
fn check_options(options: &[&str], format: RowsFormat) -> Result<()> {
    let words: Vec<String> = options
        .iter()
        .filter(|text| !["(", ")", ",", ";"].contains(text))
        .map(|text| text.trim_matches('\'').to_ascii_lowercase())
        .filter(|word| word != "with")
        .collect();
    let name = match format {
        RowsFormat::Delimited(_) => "csv",
        RowsFormat::JsonLines => "json",
        RowsFormat::Parquet | RowsFormat::Arrow => "parquet",
    };
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        match word {
            "header" => {
                words.next_if(|value| ["true", "1"].contains(value));
            }
            "format" if words.peek().is_some_and(|value| *value == name) => {
                words.next();
            }
            other => {
                return Err(Error::invalid(format!("sql: copy has no option {other:?} here"))
                    .with_hint(
                        "leave it out: the extension says the format, and a header is written",
                    ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_or_a_table_is_copied_into_a_file() {
        for (written, query, path) in [
            ("copy (select 1 as a) to 'a.csv'", "select 1 as a", "a.csv"),
            ("COPY imdb.train TO 'b/c.parquet';", "select * from imdb.train", "b/c.parquet"),
            ("copy (select ')' as to) to 'it''s.jsonl'", "select ')' as to", "it's.jsonl"),
            ("copy t to 'a.csv' (format csv, header)", "select * from t", "a.csv"),
            ("copy t to 'a.parquet' with (format 'parquet')", "select * from t", "a.parquet"),
            ("copy (select 1) union (select 2) to 'a.csv'", "(select 1) union (select 2)", "a.csv"),
            ("copy (from t) -- all\nto 'a.tsv' (header true)", "from t", "a.tsv"),
        ] {
            let expected = Copy { query: query.to_owned(), path: path.into() };
            assert_eq!(Copy::of(written).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn what_cannot_be_copied_is_told_how() {
        for (written, message) in [
            ("copy", "sql: copy: where to?"),
            ("copy imdb", "sql: copy: where to?"),
            ("copy to 'a.csv'", "sql: copy: what?"),
            ("copy () to 'a.csv'", "sql: copy: what?"),
            ("copy t to a.csv", "sql: copy: no file in single quotes behind `to`"),
            ("copy t to ''", "sql: copy: no file in single quotes behind `to`"),
            ("copy t from 'a.csv'", "sql: copy … from reads no file into the store"),
            ("copy t to 'a.xlsx'", "\"a.xlsx\": unknown extension \"xlsx\""),
            ("copy t to 'a.arrow'", "\"a.arrow\": Arrow files are read, not written"),
            ("copy t to 'a.csv' (delimiter '|')", "sql: copy has no option \"delimiter\" here"),
            ("copy t to 'a.csv' (format parquet)", "sql: copy has no option \"format\" here"),
        ] {
            let error = Copy::of(written).unwrap_err();
            assert_eq!(error.to_string(), message, "{written}");
            assert!(error.hint().is_some_and(|hint| !hint.to_string().contains('\n')), "{written}");
        }
    }
}
