//! Completion of SQL: its words, the tables of the store, the columns of the tables that a query
//! names. It reads the text alone; nothing is parsed or run.

use trialbook::book::OWN_TABLES;

use super::{Completion, CompletionKind, Completions};
use crate::syntax::sql;

/// The completions of `query`, when `behind` follows. `datasets` looks up the store's.
pub(super) fn complete(
    query: &str,
    behind: &str,
    datasets: impl Fn() -> Vec<Completion>,
) -> Completions {
    let pieces = pieces(query);
    let nothing = Completions { start: query.len(), end: query.len(), items: Vec::new() };
    let (before, typed) = match pieces.split_last() {
        Some((last, _)) if last.is_open_text => return nothing,
        Some((last, before)) if last.is_word && last.end() == query.len() => (before, last.text),
        _ => (&pieces[..], ""),
    };
    let start = query.len() - typed.len();
    let before: Vec<String> = before.iter().map(|piece| piece.text.to_lowercase()).collect();
    // A table is due behind `from` and `join`, and behind a comma that goes on with such a list.
    let last_word = before.iter().rev().find(|word| OPENERS.contains(&word.as_str()));
    let is_table = match before.last().map(String::as_str) {
        Some("from" | "join") => true,
        Some(",") => last_word.is_some_and(|word| word == "from"),
        _ => false,
    };
    let tables = tables(&datasets());
    if is_table {
        return Completions::matching(start, typed, tables.into_iter().map(|table| table.0));
    }
    let behind = self::pieces(behind);
    let named: Vec<&str> =
        pieces.iter().chain(&behind).filter(|piece| piece.is_word).map(|it| it.text).collect();
    let columns = columns(&tables, &named);
    let columns: Vec<Completion> = match typed.rsplit_once('.') {
        // `runs.f1`, or an alias before the point: only columns can follow.
        Some((table, _)) => columns
            .into_iter()
            .map(|column| Completion { text: format!("{table}.{}", column.text), ..column })
            .collect(),
        None => columns,
    };
    let is_lower = typed.starts_with(|first: char| first.is_lowercase());
    let words = sql::offered().map(|word| {
        let word = if is_lower || typed.is_empty() { word.to_lowercase() } else { word.into() };
        item(word, "")
    });
    // Every table's columns at once help nobody; the first word is no column.
    let columns = if before.is_empty() { Vec::new() } else { columns };
    let mut found = Completions::matching(start, typed, columns);
    if !typed.contains('.') {
        found.items.extend(Completions::matching(start, typed, words).items);
    }
    found
}

fn item(text: impl Into<String>, detail: impl Into<String>) -> Completion {
    Completion::new(text, CompletionKind::Sql, detail)
}

/// Every table with its columns.
fn tables(datasets: &[Completion]) -> Vec<(Completion, Vec<&'static str>)> {
    let datasets = datasets.iter().map(|dataset| {
        let is_split = dataset.text.contains('.');
        let columns = if is_split { &DATASET_COLUMNS[..3] } else { &DATASET_COLUMNS[..] };
        // A dash would be a minus.
        let name = match dataset.text.split_once('.') {
            Some((name, split)) if name.contains('-') => format!("\"{name}\".{split}"),
            None if dataset.text.contains('-') => format!("\"{}\"", dataset.text),
            _ => dataset.text.clone(),
        };
        (item(name, &dataset.detail), columns.to_vec())
    });
    let registry =
        OWN_TABLES.iter().map(|(name, columns)| (item(*name, "of the registry"), columns.to_vec()));
    datasets.chain(registry).collect()
}

/// The columns of the tables that `named` holds; of all tables while it holds none.
fn columns(tables: &[(Completion, Vec<&'static str>)], named: &[&str]) -> Vec<Completion> {
    let is_named = |table: &str| named.contains(&table);
    let any = tables.iter().any(|(table, _)| is_named(&table.text));
    let mut found: Vec<Completion> = Vec::new();
    for (table, columns) in tables {
        if any && !is_named(&table.text) {
            continue;
        }
        for column in columns {
            if !found.iter().any(|other| other.text == *column) {
                found.push(item(*column, format!("of {}", table.text)));
            }
        }
    }
    found
}

/// One piece of a query.
struct Piece<'a> {
    text: &'a str,
    start: usize,
    /// A name or a word of SQL, with its points: `imdb.train`.
    is_word: bool,
    /// A text or a comment that nothing ends.
    is_open_text: bool,
}

impl Piece<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The pieces of `query` that are no blanks, in the order they stand.
fn pieces(query: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for sql::Token { kind, text, start, is_open } in sql::tokens(query) {
        let is_word = match kind {
            sql::TokenKind::Word | sql::TokenKind::Number => true,
            sql::TokenKind::QuotedName => text.starts_with('"'),
            _ => false,
        };
        match pieces.last_mut() {
            // `imdb`, the point and `train` are one.
            Some(last) if last.is_word && last.end() == start && (is_word || text == ".") => {
                last.text = &query[last.start..start + text.len()];
            }
            _ => {
                let is_open_text =
                    is_open && matches!(kind, sql::TokenKind::Text | sql::TokenKind::Comment);
                let is_blank = matches!(kind, sql::TokenKind::Blank | sql::TokenKind::Comment);
                if is_open_text || !is_blank {
                    pieces.push(Piece { text, start, is_word, is_open_text });
                }
            }
        }
    }
    pieces
}

/// The columns of a dataset; the last one only while it is asked for as a whole.
const DATASET_COLUMNS: [&str; 4] = ["text", "label", "target", "split"];

/// The words that tell what a comma goes on with.
const OPENERS: [&str; 7] = ["select", "from", "where", "group", "order", "having", "on"];

#[cfg(test)]
mod tests {
    use super::*;

    fn datasets() -> Vec<Completion> {
        ["my-data", "sample", "sample.train"]
            .map(|name| Completion::new(name, CompletionKind::Name, ""))
            .to_vec()
    }

    #[track_caller]
    fn check(query: &str, behind: &str, expected: &[&str]) {
        let found = complete(query, behind, datasets);
        let texts: Vec<&str> = found.items.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(texts, expected, "{query:?}");
        assert_eq!(found.end, query.len());
    }

    #[test]
    fn tables_follow_from_and_join() {
        check("select * from sam", "", &["sample", "sample.train"]);
        check("select * from sample.tr", "", &["sample.train"]);
        check("select * from runs join vers", "", &["versions"]);
        check("select * from runs, met", "", &["metrics"]);
        check("select * from \"my", "", &["\"my-data\""]);
    }

    #[test]
    fn columns_are_those_of_the_tables_that_are_named() {
        check("select la", " from sample.train", &["label"]);
        check(
            "select run_id, st",
            " from runs",
            &["status", "start_ms", "started", "stddev(", "starts_with("],
        );
        check("select runs.f", " from runs", &["runs.f1", "runs.fold"]);
        check("select text from sample group by sp", "", &["split"]);
    }

    #[test]
    fn words_keep_the_case_that_was_begun() {
        check("se", "", &["select"]);
        check("SEL", "", &["SELECT"]);
        check("select label from sample gr", "", &["group by"]);
    }

    #[test]
    fn texts_and_remarks_are_left_alone() {
        check("select 'sel", "", &[]);
        check("select 1 -- sel", "", &[]);
        check("select 1 /* /* a */ sel", "", &[]);
        check("select 1 /* ' */ as one from sam", "", &["sample", "sample.train"]);
        assert!(!complete("select 'it''s' ", "", datasets).items.is_empty());
    }
}
