//! SQL over every dataset and over tables that the caller lends. Only the tables that a query names
//! are opened or built, and Parquet is read lazily: columns and rows that the query leaves out are
//! never decoded. Queries read; they cannot change anything in the store. `copy … to` writes a new file.

mod copy;
mod dialect;
mod file;

use std::path::Path;

use polars::{
    prelude::{
        DataFrame, IntoLazy as _, LazyFrame, NamedFrom as _, PolarsError, PolarsResult, Series,
    },
    sql::{SQLContext, extract_table_identifiers},
};

use self::{
    copy::Copy,
    dialect::{Translated, translate},
};
use super::{
    Datasets, QueryResult,
    guarded::{first_line, guarded},
    name::SPLIT_NAMES,
    sql_word::is_sql_word,
};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::Hint,
    reserved::TABLES,
    syntax::{Token, tokens},
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
    /// Runs one SQL query over the datasets (`imdb`, `imdb.train`, `imdb.test`), `tables`, and files:
    /// `from 'reviews.csv'`. A name with a dash is written in double quotes: `"my-data".train`.
    /// `show tables` lists what there is, `describe NAME` and `describe select …` list columns.
    /// `copy (select …) to 'FILE'` and `copy NAME to 'FILE'` write a new file, CSV, TSV, JSON lines or
    /// Parquet by its extension, and answer with its rows and path.
    ///
    /// # Errors
    /// A query that is no query, cannot be parsed, or names a table or column that is not there;
    /// what reading the tables returns; and [`ErrorKind::Internal`] for a table whose name is not
    /// reserved.
    pub fn sql(&self, query: &str, tables: &ExtraTables<'_>) -> Result<QueryResult> {
        check_reserved(tables)?;
        match Statement::of(query)? {
            Statement::Query => self.select(query, tables),
            Statement::Copy => {
                let copy = Copy::of(query)?;
                let answer = match Statement::of(&copy.query)? {
                    Statement::Copy => {
                        return Err(Error::invalid("sql: a copy within a copy")
                            .with_hint("write one `copy (select …) to 'file.csv'` for each file"));
                    }
                    _ => self.sql(&copy.query, tables)?,
                };
                copy.write(answer)
            }
            Statement::ShowTables => self.tables(tables),
            Statement::Describe(what) => {
                let columns = self.select(&format!("select * from {what} limit 0"), tables)?;
                Ok(described(columns.columns()))
            }
        }
    }

    fn select(&self, query: &str, tables: &ExtraTables<'_>) -> Result<QueryResult> {
        let names = self.names()?;
        let Translated { query, files } = translate(&join_dotted_names(query, &names))?;
        let asked = extract_table_identifiers(&query, true, true)
            .map_err(|source| syntax_error(&source, &query, &names))?;
        let mut context = SQLContext::new();
        for path in &files {
            context.register(&path.to_string_lossy(), file::scan(path)?);
        }
        let is_file = |table: &String| files.contains(Path::new(table));
        for table in asked.iter().filter(|table| !is_file(table)) {
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

    /// Every table by its name and what it is.
    fn tables(&self, tables: &ExtraTables<'_>) -> Result<QueryResult> {
        let datasets = self.names()?;
        let kinds =
            datasets.iter().map(|_| "dataset").chain(tables.names.iter().map(|_| "records"));
        let kinds = kinds.map(str::to_owned).collect();
        let names = datasets.iter().map(|name| quoted(name));
        let names = names.chain(tables.names.iter().map(|&name| name.to_owned())).collect();
        Ok(texts([("name", names), ("kind", kinds)]))
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

/// Names and types of columns, as the answer to `describe`.
fn described(columns: Vec<(String, String)>) -> QueryResult {
    let (names, types): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    texts([("column", names), ("type", types)])
}

fn texts<const N: usize>(columns: [(&str, Vec<String>); N]) -> QueryResult {
    let n_rows = columns.first().map_or(0, |(_, values)| values.len());
    let columns = columns.map(|(name, values)| Series::new(name.into(), values).into());
    QueryResult::new(DataFrame::new(n_rows, columns.into()).expect("equally long columns"))
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

/// The statement.
#[derive(Debug, PartialEq, Eq)]
enum Statement {
    Query,
    Copy,
    ShowTables,
    /// The columns of a table, or of a query in parentheses.
    Describe(String),
}

impl Statement {
    /// # Errors
    /// Statements that would change something: polars would take `DELETE FROM imdb` for a query over what
    /// remains, and a reader would not.
    fn of(query: &str) -> Result<Self> {
        let tokens: Vec<Token<'_>> =
            tokens(query).filter(|token| !token.is_blank() && token.text != ";").collect();
        let first = tokens.first().map(|token| token.text.to_ascii_lowercase()).unwrap_or_default();
        match (first.as_str(), &tokens[..]) {
            ("copy", _) => Ok(Self::Copy),
            ("show", [_, what, ..]) if what.is("tables") => Ok(Self::ShowTables),
            ("describe" | "desc", [_, what, ..]) => {
                let rest = query.trim_start();
                let rest = rest[first.len()..].trim().trim_end_matches(';').trim_end();
                let is_query =
                    ["select", "with", "from", "values"].iter().any(|word| what.is(word));
                Ok(Self::Describe(match is_query {
                    true => format!("({rest}) as described"),
                    false => rest.to_owned(),
                }))
            }
            ("select" | "with" | "explain" | "show" | "values" | "from" | "table" | "(", _) => {
                Ok(Self::Query)
            }
            ("", _) => Err(Error::invalid("sql: the query is empty")
                .with_hint("try `select label, count(*) as n from NAME group by label`")),
            _ => Err(Error::invalid(format!("sql: {first:?} does not begin a query")).with_hint(
                "begin with `select`, `with`, `show tables`, `describe NAME` or `copy (select …) to 'file.csv'`",
            )),
        }
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

/// A dataset's name as a query spells it.
fn quoted(name: &str) -> String {
    match is_quoted(name) {
        true => format!("\"{name}\""),
        false => name.to_owned(),
    }
}

fn unknown_table(table: &str, names: &[String], tables: &ExtraTables<'_>) -> Error {
    // A dataset of a lent table's name, from a time when that was allowed, is hidden by it.
    let datasets = names.iter().filter(|name| !tables.names.contains(&name.as_str()));
    let mut known: Vec<String> = datasets.map(|name| quoted(name)).collect();
    known.extend(tables.names.iter().map(|&name| name.to_owned()));
    let error = Error::new(ErrorKind::NotFound, format!("sql: table {table:?} does not exist"));
    if known.is_empty() {
        return error
            .with_hint(Hint::from("the store has no datasets: add one with ").run("data add"));
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

/// True if SQL reads `name` as a dataset's only in double quotes.
fn is_quoted(name: &str) -> bool {
    name.contains('-') || is_sql_word(name)
}

fn failed(reason: &str) -> Error {
    let error = Error::invalid(format!("sql: {}", lower_first(reason)));
    match reason.contains("cannot compare string with numeric") {
        true => error.with_hint(
            "put the number in quotes to compare texts, or compare `cast(COLUMN as double)`",
        ),
        false => error,
    }
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
            let line = message.lines().next().unwrap_or_default();
            // What may follow is how polars' parser notes the expression.
            line.split("; found").next().unwrap_or(line).trim_end_matches([':', ' ']).to_owned()
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
            assert_eq!(Statement::of(good).unwrap(), Statement::Query, "{good}");
        }
        assert_eq!(Statement::of("Copy t to 'a.csv'").unwrap(), Statement::Copy);
        assert_eq!(Statement::of(" SHOW tables;").unwrap(), Statement::ShowTables);
        for (query, expected) in [
            ("describe imdb.train ;", "imdb.train"),
            ("DESC select 1 as a", "(select 1 as a) as described"),
        ] {
            assert_eq!(Statement::of(query).unwrap(), Statement::Describe(expected.into()));
        }
        for bad in
            ["", "  -- nothing", "delete from imdb", "DROP TABLE x", "create table a as select 1"]
        {
            assert_eq!(Statement::of(bad).unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
        }
    }
}
