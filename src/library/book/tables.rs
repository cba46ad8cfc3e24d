//! The tables that a question in SQL can name beside the datasets: the registry's own and the log of
//! predictions, each built only when a query asks for it.

use std::collections::BTreeMap;

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
    registry::{
        AuditEvent, AuditQuery, Metric, ModelVersion, PARENT_RUN_TAG, RegisteredModel, Registry,
        Run, RunQuery, Stage,
    },
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
    fn own_table(&self, name: &str) -> Result<Columns> {
        let registry = || {
            self.registry()
                .map_err(|error| error.with_context(format!("the table {name:?} of SQL")))
        };
        Ok(match name {
            "runs" => table(&RUNS, &runs(registry()?)?),
            "metrics" => table(&METRICS, &metrics(registry()?)?),
            "params" => table(&PARAMS, &params(registry()?)?),
            "models" => table(&MODELS, &models(registry()?)?),
            "versions" => table(&VERSIONS, &versions(registry()?)?),
            "predictions" => {
                table(&PREDICTIONS, &read_predictions(&self.store().logs_dir())?.records)
            }
            "audit" => table(&AUDIT, &audit(registry()?)?),
            _ => {
                return Err(Error::new(ErrorKind::Internal, format!("there is no table {name:?}")));
            }
        })
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
    ("runs", &names(&RUNS)),
    ("metrics", &names(&METRICS)),
    ("params", &names(&PARAMS)),
    ("models", &names(&MODELS)),
    ("versions", &names(&VERSIONS)),
    ("predictions", &names(&PREDICTIONS)),
    ("audit", &names(&AUDIT)),
];

use self::Getter::{Integer, MaybeText, Number, Text};

/// A column: its name, and its value in a row.
type ColumnOf<Row> = (&'static str, Getter<Row>);

/// A column's type, and how a row gives its value.
enum Getter<Row> {
    Text(fn(&Row) -> String),
    MaybeText(fn(&Row) -> Option<String>),
    Integer(fn(&Row) -> Option<i64>),
    Number(fn(&Row) -> Option<f64>),
}

const RUNS: [ColumnOf<(Run, String)>; 14] = [
    ("run_id", Text(|(run, _)| run.run_id.clone())),
    ("name", Text(|(run, _)| run.name.clone())),
    ("experiment", Text(|(_, experiment)| experiment.clone())),
    ("status", Text(|(run, _)| run.status.to_string())),
    ("start_ms", Integer(|(run, _)| Some(run.start_ms))),
    ("started", Text(|(run, _)| figure::time(run.start_ms))),
    ("end_ms", Integer(|(run, _)| run.end_ms)),
    ("model", MaybeText(|(run, _)| run.params.get("model").cloned())),
    ("dataset", MaybeText(|(run, _)| run.params.get("dataset").cloned())),
    ("accuracy", Number(|(run, _)| listed_metric(run, "accuracy"))),
    ("f1", Number(|(run, _)| listed_metric(run, "f1"))),
    ("measured_on", MaybeText(|(run, _)| measured_on(run))),
    ("fold", Integer(|(run, _)| run.params.get(FOLD_PARAM)?.parse().ok())),
    ("parent_run_id", MaybeText(|(run, _)| run.tags.get(PARENT_RUN_TAG).cloned())),
];

const METRICS: [ColumnOf<(String, Metric)>; 5] = [
    ("run_id", Text(|(run_id, _)| run_id.clone())),
    ("key", Text(|(_, point)| point.key.clone())),
    ("value", Number(|(_, point)| Some(point.value))),
    ("step", Integer(|(_, point)| Some(point.step))),
    ("timestamp_ms", Integer(|(_, point)| Some(point.timestamp_ms))),
];

const PARAMS: [ColumnOf<(String, String, String)>; 3] = [
    ("run_id", Text(|(run_id, _, _)| run_id.clone())),
    ("key", Text(|(_, key, _)| key.clone())),
    ("value", Text(|(_, _, value)| value.clone())),
];

const MODELS: [ColumnOf<(RegisteredModel, Vec<ModelVersion>)>; 5] = [
    ("name", Text(|(model, _)| model.name.clone())),
    ("versions", Integer(|(_, versions)| i64::try_from(versions.len()).ok())),
    (
        "production",
        Integer(|(_, versions)| {
            let production = versions.iter().rfind(|version| version.stage == Stage::Production);
            production.map(|version| version.version.into())
        }),
    ),
    ("created_ms", Integer(|(model, _)| Some(model.created_ms))),
    ("updated_ms", Integer(|(model, _)| Some(model.updated_ms))),
];

const VERSIONS: [ColumnOf<(ModelVersion, Vec<String>)>; 9] = [
    ("model", Text(|(version, _)| version.model.clone())),
    ("version", Integer(|(version, _)| Some(version.version.into()))),
    ("stage", Text(|(version, _)| version.stage.to_string())),
    ("run_id", Text(|(version, _)| version.run_id.clone())),
    ("dataset", Text(|(version, _)| version.lineage.dataset.clone())),
    ("accuracy", Number(|(version, _)| version.metrics.get("accuracy").copied())),
    ("f1", Number(|(version, _)| version.metrics.get("f1").copied())),
    ("created_ms", Integer(|(version, _)| Some(version.created_ms))),
    ("aliases", Text(|(_, aliases)| aliases.join(", "))),
];

const PREDICTIONS: [ColumnOf<PredictionRecord>; 12] = [
    ("timestamp_ms", Integer(|row| Some(row.timestamp_ms))),
    ("date", Text(|row| date(row.timestamp_ms))),
    ("request_id", Text(|row| row.request_id.clone())),
    ("model", Text(|row| row.model.clone())),
    ("version", Integer(|row| Some(row.version.into()))),
    ("label", Text(|row| row.label.clone())),
    ("confidence", Number(|row| Some(row.confidence))),
    ("probability", Number(|row| row.probability)),
    ("latency_ms", Number(|row| Some(row.latency_ms))),
    ("n_chars", Integer(|row| i64::try_from(row.n_chars).ok())),
    ("text", MaybeText(|row| row.text.clone())),
    ("text_sha256", MaybeText(|row| row.text_sha256.clone())),
];

/// Details are JSON.
const AUDIT: [ColumnOf<AuditEvent>; 6] = [
    ("number", Integer(|row| i64::try_from(row.number).ok())),
    ("timestamp_ms", Integer(|row| Some(row.at_ms))),
    ("who", Text(|row| row.who.clone())),
    ("action", Text(|row| row.action.to_string())),
    ("subject", Text(|row| row.subject.clone())),
    ("details", Text(|row| row.details.to_string())),
];

/// The names of `fields`.
const fn names<Row, const N: usize>(fields: &[ColumnOf<Row>; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut idx = 0;
    while idx < N {
        names[idx] = fields[idx].0;
        idx += 1;
    }
    names
}

/// The table that `fields` make of `rows`.
fn table<Row>(fields: &[ColumnOf<Row>], rows: &[Row]) -> Columns {
    let column = |getter: &Getter<Row>| match getter {
        Text(value) => Column::Str(rows.iter().map(|row| Some(value(row))).collect()),
        MaybeText(value) => Column::Str(rows.iter().map(value).collect()),
        Integer(value) => Column::I64(rows.iter().map(value).collect()),
        Number(value) => Column::F64(rows.iter().map(value).collect()),
    };
    fields.iter().map(|(name, getter)| ((*name).to_owned(), column(getter))).collect()
}

/// The day of a moment, such as `2026-11-27`.
fn date(at_ms: i64) -> String {
    figure::time(at_ms).split(' ').next().unwrap_or_default().to_owned()
}

fn all_runs(registry: &Registry) -> Result<Vec<Run>> {
    registry.search_runs(&RunQuery::default())
}

/// Every run with the name of its experiment.
fn runs(registry: &Registry) -> Result<Vec<(Run, String)>> {
    let experiments: BTreeMap<String, String> = registry
        .experiments()?
        .into_iter()
        .map(|experiment| (experiment.experiment_id, experiment.name))
        .collect();
    let name = |run: &Run| experiments.get(&run.experiment_id).cloned().unwrap_or_default();
    let runs = all_runs(registry)?.into_iter();
    Ok(runs
        .map(|run| {
            let name = name(&run);
            (run, name)
        })
        .collect())
}

/// Every value of every metric, with its run's id.
fn metrics(registry: &Registry) -> Result<Vec<(String, Metric)>> {
    let mut rows = Vec::new();
    for run in all_runs(registry)? {
        for point in registry.histories(&run.run_id)? {
            rows.push((run.run_id.clone(), point));
        }
    }
    Ok(rows)
}

/// Every param: its run's id, its key and its value.
fn params(registry: &Registry) -> Result<Vec<(String, String, String)>> {
    let of_run = |run: Run| {
        let run_id = run.run_id;
        run.params.into_iter().map(move |(key, value)| (run_id.clone(), key, value))
    };
    Ok(all_runs(registry)?.into_iter().flat_map(of_run).collect())
}

/// Every registered model with its versions.
fn models(registry: &Registry) -> Result<Vec<(RegisteredModel, Vec<ModelVersion>)>> {
    let with_versions = |model: RegisteredModel| {
        let versions = registry.versions(&model.name)?;
        Ok((model, versions))
    };
    registry.models()?.into_iter().map(with_versions).collect()
}

/// Every version with its aliases.
fn versions(registry: &Registry) -> Result<Vec<(ModelVersion, Vec<String>)>> {
    let mut rows = Vec::new();
    for (model, versions) in models(registry)? {
        rows.extend(versions.into_iter().map(|version| {
            let aliases = model.aliases_of(version.version).map(str::to_owned).collect();
            (version, aliases)
        }));
    }
    Ok(rows)
}

/// The audit trail, in the order of what was done.
fn audit(registry: &Registry) -> Result<Vec<AuditEvent>> {
    let mut rows = registry.audit(&AuditQuery::default())?;
    rows.reverse();
    Ok(rows)
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
    fn every_table_can_be_built_and_has_the_columns_that_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::open(dir.path());
        for (table, expected) in OWN_TABLES {
            let built = book.own_table(table).unwrap();
            let names: Vec<&str> = built.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expected, "{table}");
        }
    }
}
