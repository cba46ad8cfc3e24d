//! SQL over every dataset and over tables that the caller lends. Only the tables that a query names
//! are opened or built, and Parquet is read lazily: columns and rows that the query leaves out are
//! never decoded. Queries read; they cannot change anything.

use polars::{
    prelude::{
        DataFrame, IntoLazy as _, LazyFrame, NamedFrom as _, PolarsError, PolarsResult, Series,
    },
    sql::{SQLContext, extract_table_identifiers},
};

use super::{
    Datasets, QueryResult,
    columnar::{first_line, guarded},
    name::SPLIT_NAMES,
    sql_word::is_sql_word,
};
use crate::{
    error::{Error, ErrorKind, Result},
    reserved::TABLES,
};

/// One column of a lent table; `None` is SQL's null.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Text.
    Str(Vec<Option<String>>),
    /// 64-bit floats; NaN and the infinities stay what they are.
    F64(Vec<Option<f64>>),
    /// 64-bit whole numbers.
    I64(Vec<Option<i64>>),
    /// Truth values.
    Bool(Vec<Option<bool>>),
}

/// The columns of a table by their names.
pub type Columns = Vec<(String, Column)>;

/// Tables besides the datasets, such as the registry's.
#[derive(Clone, Copy)]
pub struct ExtraTables<'a> {
    /// The tables there are, all of them of [`RESERVED_NAMES`](super::RESERVED_NAMES): else a dataset
    /// could have the name of one.
    pub names: &'a [&'a str],
    /// Builds the columns of one of them; called only when a query names it. All columns of a table
    /// have the same length.
    pub build: &'a dyn Fn(&str) -> Result<Columns>,
}

impl ExtraTables<'static> {
    /// No tables but the datasets.
    pub fn none() -> Self {
        Self { names: &[], build: &|_| Ok(Vec::new()) }
    }
}

impl Datasets {
    /// Runs one SQL query over the datasets (`imdb`, `imdb.train`, `imdb.test`) and `tables`. A name
    /// with a dash is written in double quotes: `"my-data".train`.
    ///
    /// # Errors
    /// A query that is no query, cannot be parsed, or names a table or column that is not there;
    /// what reading the tables returns; and [`ErrorKind::Internal`] for a table whose name is not
    /// reserved.
    pub fn sql(&self, query: &str, tables: &ExtraTables<'_>) -> Result<QueryResult> {
        check_reserved(tables)?;
        let names = self.names()?;
        check_reads_only(query)?;
        let query = join_dotted_names(query, &names);
        let asked = extract_table_identifiers(&query, true, true)
            .map_err(|source| syntax_error(&source, &query, &names))?;
        let mut context = SQLContext::new();
        for table in &asked {
            if let Some(frame) = self.table(table, &names, tables)? {
                context.register(table, frame);
            } else if table.contains('.') {
                // A common table expression has no dot in its name, so this one is unknown.
                return Err(unknown_table(table, &names, tables));
            }
        }
        let frame = guarded(|| collect(&context.execute(&query)?));
        frame.map(QueryResult::new).map_err(|source| {
            let reason = reason(&source);
            match between(&reason, "relation '", "' was not found") {
                Some(table) => unknown_table(table, &names, tables),
                None => failed(&reason),
            }
        })
    }

    fn table(
        &self,
        table: &str,
        names: &[String],
        tables: &ExtraTables<'_>,
    ) -> Result<Option<LazyFrame>> {
        if tables.names.contains(&table) {
            return lent_frame(table, (tables.build)(table)?).map(Some);
        }
        let (dataset, split) = match table.split_once('.') {
            Some((dataset, split)) => (dataset, Some(split)),
            None => (table, None),
        };
        let is_known = names.iter().any(|name| name == dataset)
            && split.is_none_or(|split| SPLIT_NAMES.contains(&split));
        is_known.then(|| self.frame(table)).transpose()
    }
}

/// That no dataset can have the name of a lent table.
fn check_reserved(tables: &ExtraTables<'_>) -> Result<()> {
    match tables.names.iter().find(|name| !TABLES.contains(name)) {
        Some(name) => {
            Err(Error::new(ErrorKind::Internal, format!("the table {name:?} is not reserved")))
        }
        None => Ok(()),
    }
}

/// Runs the plan of a query.
fn collect(plan: &LazyFrame) -> PolarsResult<DataFrame> {
    plan.clone().collect().or_else(|error| match error.to_string().contains("UInt128") {
        // `select count(*) from (… union all …)`: the optimiser counts in 128 bits even in a build
        // without them (polars 0.55, projection_pushdown). Unoptimised, the same plan is right.
        // TODO: drop when polars counts a union without the feature `dtype-u128`.
        true => plan.clone().with_projection_pushdown(false).collect(),
        false => Err(error),
    })
}

fn lent_frame(table: &str, columns: Columns) -> Result<LazyFrame> {
    let columns: Vec<polars::prelude::Column> = columns
        .into_iter()
        .map(|(name, column)| {
            let name = name.into();
            let series = match column {
                Column::Str(values) => Series::new(name, values),
                Column::F64(values) => Series::new(name, values),
                Column::I64(values) => Series::new(name, values),
                Column::Bool(values) => Series::new(name, values),
            };
            series.into()
        })
        .collect();
    let frame = DataFrame::new_infer_height(columns).map_err(|source| {
        Error::new(ErrorKind::Internal, format!("table {table:?} cannot be built"))
            .with_source(first_line(&source))
    })?;
    Ok(frame.lazy())
}

/// polars would take `DELETE FROM imdb` for a query over what remains; a reader would not.
fn check_reads_only(query: &str) -> Result<()> {
    let first: String = tokens(query)
        .find(|token| !token.is_blank())
        .map(|token| token.text.to_ascii_lowercase())
        .unwrap_or_default();
    match first.as_str() {
        "select" | "with" | "explain" | "show" | "values" | "from" | "table" | "(" => Ok(()),
        "" => Err(Error::invalid("sql: the query is empty")
            .with_hint("try `select label, count(*) as n from NAME group by label`")),
        _ => Err(Error::invalid(format!("sql: {first:?} does not begin a query"))
            .with_hint("queries only read: begin with `select` or `with`")),
    }
}

/// Writes `imdb.train` as `"imdb.train"` for every dataset in `names`, outside of strings and
/// comments: polars knows no schemas and would read `imdb`.
fn join_dotted_names(query: &str, names: &[String]) -> String {
    let tokens: Vec<Token<'_>> = tokens(query).collect();
    let mut joined = String::with_capacity(query.len() + 8);
    let mut idx = 0;
    while idx < tokens.len() {
        if let [first, dot, last, ..] = &tokens[idx..]
            && dot.text == "."
            && (idx == 0 || tokens[idx - 1].text != ".")
            && let (Some(dataset), Some(split)) = (first.identifier(), last.identifier())
            && names.iter().any(|name| name == dataset)
            && SPLIT_NAMES.contains(&split)
        {
            joined.push_str(&format!("\"{dataset}.{split}\""));
            idx += 3;
            continue;
        }
        joined.push_str(tokens[idx].text);
        idx += 1;
    }
    joined
}

/// A piece of a query; all pieces together are the query.
struct Token<'a> {
    text: &'a str,
}

impl<'a> Token<'a> {
    /// White space or a comment.
    fn is_blank(&self) -> bool {
        self.text.starts_with(char::is_whitespace)
            || self.text.starts_with("--")
            || self.text.starts_with("/*")
    }

    /// The name that this piece spells, bare or in double quotes.
    fn identifier(&self) -> Option<&'a str> {
        if let Some(inner) = self.text.strip_prefix('"') {
            return inner.strip_suffix('"');
        }
        self.text.starts_with(is_name_start).then_some(self.text)
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn tokens(query: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = query;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = if first == '\'' || first == '"' || first == '`' {
            // A doubled quote ends one token and begins the next: nothing between them to find.
            rest[1..].find(first).map_or(rest.len(), |at| at + 2)
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if first.is_whitespace() {
            rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len())
        } else if is_name_start(first) {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(length);
        rest = after;
        Some(Token { text })
    })
}

fn unknown_table(table: &str, names: &[String], tables: &ExtraTables<'_>) -> Error {
    // A dataset of a lent table's name, from a time when that was allowed, is hidden by it.
    let datasets = names.iter().filter(|name| !tables.names.contains(&name.as_str()));
    let mut known: Vec<String> = datasets
        .map(|name| match is_quoted(name) {
            true => format!("\"{name}\""),
            false => name.clone(),
        })
        .collect();
    known.extend(tables.names.iter().map(|&name| name.to_owned()));
    let error = Error::new(ErrorKind::NotFound, format!("sql: table {table:?} does not exist"));
    if known.is_empty() {
        return error.with_hint("the store has no datasets: add one with `trialbook data add`");
    }
    error.with_hint(format!(
        "there are {}; every dataset also as NAME.train and NAME.test",
        known.join(", ")
    ))
}

fn syntax_error(source: &PolarsError, query: &str, names: &[String]) -> Error {
    let reason = reason(source);
    let reason = reason.strip_prefix("sql parser error: ").unwrap_or(&reason);
    let error = Error::invalid(format!("sql: {}", lower_first(reason)));
    let words: Vec<&str> =
        tokens(query).filter(|token| !token.is_blank()).map(|token| token.text).collect();
    let is_table = |pair: &[&str], name: &str| {
        pair[1] == name && ["from", "join"].contains(&pair[0].to_ascii_lowercase().as_str())
    };
    let is_named = |name: &str| match name.contains('-') {
        true => query.contains(name),
        false => words.windows(2).any(|pair| is_table(pair, name)),
    };
    match names.iter().find(|name| is_quoted(name) && is_named(name)) {
        Some(name) if name.contains('-') => {
            error.with_hint(format!("a name with a dash stands in double quotes: \"{name}\""))
        }
        Some(name) => error
            .with_hint(format!("a name that is a word of SQL stands in double quotes: \"{name}\"")),
        None => error,
    }
}

/// Whether SQL reads `name` as a dataset's only in double quotes.
fn is_quoted(name: &str) -> bool {
    name.contains('-') || is_sql_word(name)
}

fn failed(reason: &str) -> Error {
    Error::invalid(format!("sql: {}", lower_first(reason)))
}

/// The cause at the bottom in one line, without the plan that polars may print after it.
fn reason(error: &PolarsError) -> String {
    match error {
        PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => {
            reason(error)
        }
        PolarsError::SQLInterface(message)
        | PolarsError::SQLSyntax(message)
        | PolarsError::ColumnNotFound(message)
        | PolarsError::ComputeError(message)
        | PolarsError::InvalidOperation(message)
        | PolarsError::SchemaMismatch(message) => {
            message.lines().next().unwrap_or_default().trim().to_owned()
        }
        other => first_line(other),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    first.to_lowercase().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_of_datasets_are_joined_and_nothing_else_is() {
        let names = ["imdb".to_owned(), "my-data".to_owned()];
        for (query, expected) in [
            ("select * from imdb.train", "select * from \"imdb.train\""),
            ("select * from imdb.test t", "select * from \"imdb.test\" t"),
            ("select * from \"my-data\".train", "select * from \"my-data.train\""),
            (
                "select imdb.train.label from imdb.train",
                "select \"imdb.train\".label from \"imdb.train\"",
            ),
            ("from \"imdb\".\"test\"", "from \"imdb.test\""),
            ("select 'imdb.train' from imdb", "select 'imdb.train' from imdb"),
            ("select 'it''s imdb.train' x", "select 'it''s imdb.train' x"),
            ("select 1 -- imdb.train\nfrom imdb", "select 1 -- imdb.train\nfrom imdb"),
            ("/* imdb.train */ select 1", "/* imdb.train */ select 1"),
            ("select imdb.label from imdb", "select imdb.label from imdb"),
            ("select a.imdb.train, other.train", "select a.imdb.train, other.train"),
            ("select 'ä' from \"imdb", "select 'ä' from \"imdb"),
        ] {
            assert_eq!(join_dotted_names(query, &names), expected);
        }
    }

    #[test]
    fn only_queries_pass() {
        for good in ["select 1", "  -- why\n WITH x as (select 1) select * from x", "(select 1)"] {
            assert!(check_reads_only(good).is_ok(), "{good}");
        }
        for bad in
            ["", "  -- nothing", "delete from imdb", "DROP TABLE x", "create table a as select 1"]
        {
            assert_eq!(check_reads_only(bad).unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
        }
    }
}
