//! The tables that a question in SQL can name beside the datasets: the registry's own and the log of
//! predictions, each built only when a query asks for it.

use polars::prelude::DataFrame;

use super::{
    Book,
    measured::{FOLD_PARAM, listed_metric, measured_on},
};
use crate::{
    data::{Column, Columns, ExtraTables, QueryResult},
    error::{Error, ErrorKind, Result},
    figure,
    monitor::{PredictionRecord, read_predictions},
    registry::{AuditQuery, PARENT_RUN_TAG, Registry, RunQuery},
    store::Store,
};

impl Book {
    /// Asks in SQL: datasets by name (`imdb`, `imdb.train`, `imdb.test`), the registry's tables
    /// `runs`, `metrics`, `params`, `models`, `versions` and `audit`, and `predictions`, what servers
    /// logged.
    ///
    /// # Errors
    /// When the query does not parse, names what does not exist, or cannot be run.
    pub fn query(&self, sql: &str) -> Result<QueryResult> {
        let build = |table: &str| self.own_table(table);
        let names = OWN_TABLES.map(|(name, _)| name);
        self.datasets().sql(sql, &ExtraTables { names: &names, build: &build })
    }

    /// One of [`OWN_TABLES`], built only when a query names it.
    fn own_table(&self, table: &str) -> Result<Columns> {
        match table {
            "runs" => runs(self.registry()?),
            "metrics" => metrics(self.registry()?),
            "params" => params(self.registry()?),
            "models" => models(self.registry()?),
            "versions" => versions(self.registry()?),
            "predictions" => predictions(self.store()),
            "audit" => audit(self.registry()?),
            _ => Err(Error::new(ErrorKind::Internal, format!("there is no table {table:?}"))),
        }
    }

    /// As [`Book::query`], as a frame.
    ///
    /// # Errors
    /// As [`Book::query`].
    pub fn sql(&self, sql: &str) -> Result<DataFrame> {
        self.query(sql).map(QueryResult::into_dataframe)
    }
}

/// The tables besides the datasets, and their columns.
pub const OWN_TABLES: [(&str, &[&str]); 7] = [
    (
        "runs",
        &[
            "run_id",
            "name",
            "experiment",
            "status",
            "start_ms",
            "started",
            "end_ms",
            "model",
            "dataset",
            "accuracy",
            "f1",
            "measured_on",
            "fold",
            "parent_run_id",
        ],
    ),
    ("metrics", &["run_id", "key", "value", "step", "timestamp_ms"]),
    ("params", &["run_id", "key", "value"]),
    ("models", &["name", "versions", "production", "created_ms", "updated_ms"]),
    (
        "versions",
        &["model", "version", "stage", "run_id", "dataset", "accuracy", "f1", "created_ms"],
    ),
    (
        "predictions",
        &[
            "timestamp_ms",
            "date",
            "request_id",
            "model",
            "version",
            "label",
            "confidence",
            "probability",
            "latency_ms",
            "n_chars",
            "text",
            "text_sha256",
        ],
    ),
    ("audit", &["number", "timestamp_ms", "who", "action", "subject", "details"]),
];

/// The log of predictions, all of its files.
fn predictions(store: &Store) -> Result<Columns> {
    let rows = read_predictions(&store.logs_dir())?.records;
    let date = |at_ms: i64| figure::time(at_ms).split(' ').next().unwrap_or_default().to_owned();
    let maybe = |cell: fn(&PredictionRecord) -> &Option<String>| {
        Column::Str(rows.iter().map(|row| cell(row).clone()).collect())
    };
    Ok(named(vec![
        ("timestamp_ms", integer(&rows, |row| Some(row.timestamp_ms))),
        ("date", text(&rows, |row| date(row.timestamp_ms))),
        ("request_id", text(&rows, |row| row.request_id.clone())),
        ("model", text(&rows, |row| row.model.clone())),
        ("version", integer(&rows, |row| Some(row.version.into()))),
        ("label", text(&rows, |row| row.label.clone())),
        ("confidence", number(&rows, |row| Some(row.confidence))),
        ("probability", number(&rows, |row| row.probability)),
        ("latency_ms", number(&rows, |row| Some(row.latency_ms))),
        ("n_chars", integer(&rows, |row| i64::try_from(row.n_chars).ok())),
        ("text", maybe(|row| &row.text)),
        ("text_sha256", maybe(|row| &row.text_sha256)),
    ]))
}

fn all_runs(registry: &Registry) -> Result<Vec<crate::registry::Run>> {
    registry.search_runs(&RunQuery::default())
}

fn text<T>(rows: &[T], cell: impl Fn(&T) -> String) -> Column {
    Column::Str(rows.iter().map(|row| Some(cell(row))).collect())
}

fn integer<T>(rows: &[T], cell: impl Fn(&T) -> Option<i64>) -> Column {
    Column::I64(rows.iter().map(cell).collect())
}

fn number<T>(rows: &[T], cell: impl Fn(&T) -> Option<f64>) -> Column {
    Column::F64(rows.iter().map(cell).collect())
}

fn named(columns: Vec<(&str, Column)>) -> Columns {
    columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect()
}

fn runs(registry: &Registry) -> Result<Columns> {
    let experiments: std::collections::BTreeMap<String, String> = registry
        .experiments()?
        .into_iter()
        .map(|experiment| (experiment.experiment_id, experiment.name))
        .collect();
    let runs = all_runs(registry)?;
    Ok(named(vec![
        ("run_id", text(&runs, |run| run.run_id.clone())),
        ("name", text(&runs, |run| run.name.clone())),
        (
            "experiment",
            text(&runs, |run| experiments.get(&run.experiment_id).cloned().unwrap_or_default()),
        ),
        ("status", text(&runs, |run| run.status.to_string())),
        ("start_ms", integer(&runs, |run| Some(run.start_ms))),
        ("started", text(&runs, |run| figure::time(run.start_ms))),
        ("end_ms", integer(&runs, |run| run.end_ms)),
        ("model", Column::Str(runs.iter().map(|run| run.params.get("model").cloned()).collect())),
        (
            "dataset",
            Column::Str(runs.iter().map(|run| run.params.get("dataset").cloned()).collect()),
        ),
        ("accuracy", number(&runs, |run| listed_metric(run, "accuracy"))),
        ("f1", number(&runs, |run| listed_metric(run, "f1"))),
        ("measured_on", Column::Str(runs.iter().map(measured_on).collect())),
        ("fold", integer(&runs, |run| run.params.get(FOLD_PARAM)?.parse().ok())),
        (
            "parent_run_id",
            Column::Str(runs.iter().map(|run| run.tags.get(PARENT_RUN_TAG).cloned()).collect()),
        ),
    ]))
}

fn metrics(registry: &Registry) -> Result<Columns> {
    let mut rows = Vec::new();
    for run in all_runs(registry)? {
        for point in registry.histories(&run.run_id)? {
            rows.push((run.run_id.clone(), point));
        }
    }
    Ok(named(vec![
        ("run_id", text(&rows, |(run_id, _)| run_id.clone())),
        ("key", text(&rows, |(_, point)| point.key.clone())),
        ("value", number(&rows, |(_, point)| Some(point.value))),
        ("step", integer(&rows, |(_, point)| Some(point.step))),
        ("timestamp_ms", integer(&rows, |(_, point)| Some(point.timestamp_ms))),
    ]))
}

fn params(registry: &Registry) -> Result<Columns> {
    let rows: Vec<(String, String, String)> = all_runs(registry)?
        .into_iter()
        .flat_map(|run| {
            let run_id = run.run_id;
            run.params.into_iter().map(move |(key, value)| (run_id.clone(), key, value))
        })
        .collect();
    Ok(named(vec![
        ("run_id", text(&rows, |row| row.0.clone())),
        ("key", text(&rows, |row| row.1.clone())),
        ("value", text(&rows, |row| row.2.clone())),
    ]))
}

fn models(registry: &Registry) -> Result<Columns> {
    let models = registry.models()?;
    let mut n_versions = Vec::new();
    let mut production = Vec::new();
    for model in &models {
        n_versions.push(i64::try_from(registry.versions(&model.name)?.len()).ok());
        production
            .push(registry.production(&model.name)?.map(|version| i64::from(version.version)));
    }
    Ok(named(vec![
        ("name", text(&models, |model| model.name.clone())),
        ("versions", Column::I64(n_versions)),
        ("production", Column::I64(production)),
        ("created_ms", integer(&models, |model| Some(model.created_ms))),
        ("updated_ms", integer(&models, |model| Some(model.updated_ms))),
    ]))
}

fn versions(registry: &Registry) -> Result<Columns> {
    let mut rows = Vec::new();
    for model in registry.models()? {
        rows.extend(registry.versions(&model.name)?);
    }
    Ok(named(vec![
        ("model", text(&rows, |row| row.model.clone())),
        ("version", integer(&rows, |row| Some(i64::from(row.version)))),
        ("stage", text(&rows, |row| row.stage.to_string())),
        ("run_id", text(&rows, |row| row.run_id.clone())),
        ("dataset", text(&rows, |row| row.lineage.dataset.clone())),
        ("accuracy", number(&rows, |row| row.metrics.get("accuracy").copied())),
        ("f1", number(&rows, |row| row.metrics.get("f1").copied())),
        ("created_ms", integer(&rows, |row| Some(row.created_ms))),
    ]))
}

/// The audit trail, in the order of what was done; details are JSON.
fn audit(registry: &Registry) -> Result<Columns> {
    let mut rows = registry.audit(&AuditQuery::default())?;
    rows.reverse();
    Ok(named(vec![
        ("number", integer(&rows, |row| i64::try_from(row.number).ok())),
        ("timestamp_ms", integer(&rows, |row| Some(row.at_ms))),
        ("who", text(&rows, |row| row.who.clone())),
        ("action", text(&rows, |row| row.action.to_string())),
        ("subject", text(&rows, |row| row.subject.clone())),
        ("details", text(&rows, |row| row.details.to_string())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_dataset_can_have_the_name_of_a_table() {
        let mut names = OWN_TABLES.map(|(name, _)| name);
        let mut reserved = crate::data::RESERVED_NAMES;
        names.sort_unstable();
        reserved.sort_unstable();
        assert_eq!(names, reserved);
    }

    #[test]
    fn tables_have_the_columns_that_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path());
        for (table, expected) in OWN_TABLES {
            let built = book.own_table(table).unwrap();
            let names: Vec<&str> = built.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expected, "{table}");
        }
    }
}
