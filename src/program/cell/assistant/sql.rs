//! Completion of SQL: its words, the tables of the store, the columns of the tables that a query
//! names. It reads the text alone; nothing is parsed or run.

use trialbook::book::OWN_TABLES;

use super::{Completion, CompletionKind, Completions};

/// The completions of `query`, when `behind` follows. `datasets` looks up the store's.
pub(super) fn complete(
    query: &str,
    behind: &str,
    datasets: impl Fn() -> Vec<Completion>,
) -> Completions {
    let tokens = tokens(query);
    let nothing = Completions { start: query.len(), end: query.len(), items: Vec::new() };
    let (before, typed) = match tokens.split_last() {
        Some((last, _)) if last.is_open_text => return nothing,
        Some((last, before)) if last.is_word && last.end() == query.len() => (before, last.text),
        _ => (&tokens[..], ""),
    };
    let start = query.len() - typed.len();
    let before: Vec<String> = before.iter().map(|token| token.text.to_lowercase()).collect();
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
    let tokens_behind = self::tokens(behind);
    let named: Vec<&str> =
        tokens.iter().chain(&tokens_behind).filter(|token| token.is_word).map(|t| t.text).collect();
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
    let words = WORDS.iter().map(|word| {
        let word = if is_lower || typed.is_empty() { word.to_lowercase() } else { (*word).into() };
        sql(word, "")
    });
    // Every table's columns at once help nobody; the first word is no column.
    let columns = if before.is_empty() { Vec::new() } else { columns };
    let mut found = Completions::matching(start, typed, columns);
    if !typed.contains('.') {
        found.items.extend(Completions::matching(start, typed, words).items);
    }
    found
}

fn sql(text: impl Into<String>, detail: impl Into<String>) -> Completion {
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
        (sql(name, &dataset.detail), columns.to_vec())
    });
    let registry =
        OWN_TABLES.iter().map(|(name, columns)| (sql(*name, "of the registry"), columns.to_vec()));
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
                found.push(sql(*column, format!("of {}", table.text)));
            }
        }
    }
    found
}

/// One piece of a query.
struct Token<'a> {
    text: &'a str,
    start: usize,
    /// A name or a word of SQL, with its points: `imdb.train`.
    is_word: bool,
    /// A text or a remark that nothing ends.
    is_open_text: bool,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

fn tokens(query: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = query[at..].chars().next() {
        let rest = &query[at..];
        let is_word = first.is_alphanumeric() || matches!(first, '_' | '"');
        let (length, is_open_text) = match first {
            '\'' => rest[1..].find('\'').map_or((rest.len(), true), |end| (end + 2, false)),
            '-' if rest.starts_with("--") => {
                rest.find('\n').map_or((rest.len(), true), |end| (end, false))
            }
            _ if is_word => (word_length(rest), false),
            _ => (first.len_utf8(), false),
        };
        if !first.is_whitespace() && !rest.starts_with("--") || is_open_text {
            tokens.push(Token { text: &rest[..length], start: at, is_word, is_open_text });
        }
        at += length;
    }
    tokens
}

/// The length of the word at the start of `rest`, quoted parts and points included.
fn word_length(rest: &str) -> usize {
    let mut is_quoted = false;
    rest.find(|char: char| {
        is_quoted ^= char == '"';
        !(is_quoted || char.is_alphanumeric() || matches!(char, '_' | '.' | '"'))
    })
    .unwrap_or(rest.len())
}

/// The columns of a dataset; the last one only while it is asked for as a whole.
const DATASET_COLUMNS: [&str; 4] = ["text", "label", "target", "split"];

/// The words that tell what a comma goes on with.
const OPENERS: [&str; 7] = ["select", "from", "where", "group", "order", "having", "on"];

/// The words worth a completion, in SQL's own capitals.
const WORDS: [&str; 60] = [
    "COPY",
    "TO",
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "NULL",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DISTINCT",
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "UNION ALL",
    "WITH",
    "ASC",
    "DESC",
    "COUNT(",
    "SUM(",
    "AVG(",
    "MIN(",
    "MAX(",
    "MEDIAN(",
    "STDDEV(",
    "VARIANCE(",
    "ROUND(",
    "ABS(",
    "LENGTH(",
    "LOWER(",
    "UPPER(",
    "SUBSTR(",
    "REPLACE(",
    "STARTS_WITH(",
    "ENDS_WITH(",
    "REGEXP_LIKE(",
    "CONCAT(",
    "COALESCE(",
    "CAST(",
    "TRUE",
    "FALSE",
];

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
        assert!(!complete("select 'it''s' ", "", datasets).items.is_empty());
    }
}
