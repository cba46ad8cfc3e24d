//! MLflow's database in SQLite, opened read only. Columns that a version of MLflow does not have yet are
//! read as absent. The one home of rusqlite.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};

use super::{
    artifact_place::{files_below, is_remote, local_path, open, proxy_path},
    source::{
        DELETED_STAGE, ForeignFiles, ForeignFolder, ForeignLoggedModel, ForeignRun, ForeignStore,
        malformed, model_status_of_number,
    },
};
use crate::{
    error::{Error, ErrorKind, Result},
    registry::{
        DatasetRecord, Experiment, Lineage, LoggedMetric, LoggedModel, Metric, ModelStatus,
        ModelVersion, RegisteredModel, Registration, Run, RunDataset, RunFlow, Stage, WholeModel,
    },
};

/// A database, and the folder of its server's artifacts.
pub(super) struct SqliteStore {
    database: Connection,
    origin: String,
    /// The folders that `mlflow-artifacts:/` leads to.
    artifacts: Vec<PathBuf>,
}

impl SqliteStore {
    /// The database at `path`. Artifacts that its server kept are looked for in `artifacts` or, without
    /// one, in `mlartifacts` and `mlruns` beside it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for no file, [`ErrorKind::Corrupt`] for a damaged one,
    /// [`ErrorKind::Invalid`] for one that is no database of MLflow.
    pub(super) fn open(path: &Path, artifacts: Option<&Path>) -> Result<Self> {
        let origin = path.display().to_string();
        if !path.is_file() {
            return Err(Error::new(ErrorKind::NotFound, format!("{origin} is no file")));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags);
        let database = database.map_err(|error| unreadable(&origin, error))?;
        let beside = path.parent().unwrap_or(Path::new("."));
        let artifacts = match artifacts {
            Some(folder) => vec![folder.to_owned()],
            None => vec![beside.join("mlartifacts"), beside.join("mlruns")],
        };
        let store = Self { database, origin, artifacts };
        let tables = store.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('experiments', 'runs')",
            "",
        )?;
        if tables.len() < 2 {
            let message = format!("{} is no database of MLflow", store.origin);
            return Err(
                Error::invalid(message).with_hint("it has no tables of experiments and runs")
            );
        }
        Ok(store)
    }

    /// The rows that `sql` finds, `?1` in it being `given`.
    fn rows(&self, sql: &str, given: &str) -> Result<Vec<Fields>> {
        let fail = |error| unreadable(&self.origin, error);
        let mut statement = self.database.prepare(sql).map_err(fail)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let n_given = statement.parameter_count();
        let mut found = match n_given {
            0 => statement.query([]),
            _ => statement.query([given]),
        }
        .map_err(fail)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(fail)? {
            rows.push(Fields::of(&self.origin, &names, row)?);
        }
        Ok(rows)
    }

    fn has_table(&self, table: &str) -> Result<bool> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?1";
        Ok(!self.rows(sql, table)?.is_empty())
    }

    /// As [`SqliteStore::rows`]; none where this version of MLflow has no such table.
    fn rows_of(&self, table: &str, condition: &str, given: &str) -> Result<Vec<Fields>> {
        if !self.has_table(table)? {
            return Ok(Vec::new());
        }
        self.rows(&format!("SELECT * FROM {table} {condition}"), given)
    }

    fn pairs(
        &self,
        table: &str,
        (key, value): (&str, &str),
        condition: &str,
        given: &str,
    ) -> Result<BTreeMap<String, String>> {
        let rows = self.rows_of(table, condition, given)?;
        rows.iter().map(|row| Ok((row.required(key)?, row.owned(value)))).collect()
    }

    fn flow(&self, run_id: &str) -> Result<(RunFlow, Vec<DatasetRecord>)> {
        let (mut flow, mut datasets) = (RunFlow::default(), Vec::new());
        let into = "WHERE destination_id = ?1 AND source_type = 'DATASET' ORDER BY rowid";
        for input in self.rows_of("inputs", into, run_id)? {
            let uuid = input.owned("source_id");
            let found = self.rows_of("datasets", "WHERE dataset_uuid = ?1", &uuid)?;
            let Some(row) = found.first() else { continue };
            let record = DatasetRecord {
                name: row.owned("name"),
                digest: row.owned("digest"),
                source_type: row.owned("dataset_source_type"),
                source: row.owned("dataset_source"),
                schema: row.text("dataset_schema"),
                profile: row.text("dataset_profile"),
            };
            let of_input = "WHERE input_uuid = ?1";
            let input_id = input.owned("input_uuid");
            flow.datasets.push(RunDataset {
                name: record.name.clone(),
                digest: record.digest.clone(),
                tags: self.pairs("input_tags", ("name", "value"), of_input, &input_id)?,
            });
            datasets.push(record);
        }
        let out_of =
            "WHERE source_id = ?1 AND source_type IN ('RUN_INPUT', 'RUN_OUTPUT') ORDER BY rowid";
        for link in self.rows_of("inputs", out_of, run_id)? {
            let model_id = link.owned("destination_id");
            match link.text("source_type").as_deref() {
                Some("RUN_INPUT") => flow.model_inputs.push(model_id),
                _ => {
                    let step = link.number("step")?.unwrap_or_default();
                    flow.model_outputs.push((model_id, step));
                }
            }
        }
        Ok((flow, datasets))
    }

    fn artifact_dir(&self, folder: ForeignFolder) -> Option<PathBuf> {
        match proxy_path(folder.uri()) {
            None => local_path(folder.uri()),
            Some(path) => {
                let climbs = path.split('/').any(|part| part == "..");
                let mut places = self.artifacts.iter().filter(|root| !climbs && root.is_dir());
                let first = places.clone().next();
                let holds = places.find(|root| root.join(path).is_dir()).or(first)?;
                Some(holds.join(path))
            }
        }
    }
}

impl ForeignStore for SqliteStore {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn experiments(&self) -> Result<Vec<Experiment>> {
        let rows = self.rows("SELECT * FROM experiments ORDER BY experiment_id", "")?;
        let mut experiments = Vec::new();
        for row in rows {
            let experiment_id = row.required("experiment_id")?;
            let created_ms = row.number("creation_time")?.unwrap_or_default();
            let tags = self.pairs(
                "experiment_tags",
                ("key", "value"),
                "WHERE experiment_id = ?1",
                &experiment_id,
            )?;
            experiments.push(Experiment {
                name: row.required("name")?,
                created_ms,
                updated_ms: row.number("last_update_time")?.unwrap_or(created_ms),
                deleted: row.text("lifecycle_stage").as_deref() == Some("deleted"),
                artifact_location: row.text("artifact_location").filter(|uri| is_remote(uri)),
                tags,
                experiment_id,
            });
        }
        Ok(experiments)
    }

    fn run_ids(&self, experiment_id: &str) -> Result<Vec<String>> {
        let sql =
            "SELECT run_uuid FROM runs WHERE experiment_id = ?1 ORDER BY start_time, run_uuid";
        self.rows(sql, experiment_id)?.iter().map(|row| row.required("run_uuid")).collect()
    }

    fn run(&self, experiment_id: &str, run_id: &str) -> Result<ForeignRun> {
        let rows = self.rows("SELECT * FROM runs WHERE run_uuid = ?1", run_id)?;
        let row = rows.first().ok_or_else(|| malformed(&self.origin, "the run is gone"))?;
        let of_run = "WHERE run_uuid = ?1";
        let key_value = ("key", "value");
        let in_order = format!("{of_run} ORDER BY timestamp, step, rowid");
        let mut history = Vec::new();
        for metric in self.rows_of("metrics", &in_order, run_id)? {
            history.push(Metric {
                key: metric.required("key")?,
                value: metric.value("value", "is_nan"),
                step: metric.number("step")?.unwrap_or_default(),
                timestamp_ms: metric.number("timestamp")?.unwrap_or_default(),
            });
        }
        let (flow, datasets) = self.flow(run_id)?;
        let status = row.text("status").unwrap_or_default();
        Ok(ForeignRun {
            run: Run {
                run_id: run_id.to_owned(),
                experiment_id: experiment_id.to_owned(),
                name: row.owned("name"),
                status: status.parse()?,
                start_ms: row.number("start_time")?.unwrap_or_default(),
                end_ms: row.number("end_time")?,
                deleted: row.text("lifecycle_stage").as_deref() == Some("deleted"),
                params: self.pairs("params", key_value, of_run, run_id)?,
                metrics: BTreeMap::new(),
                tags: self.pairs("tags", key_value, of_run, run_id)?,
                user: row.owned("user_id"),
                measured_at: Vec::new(),
                flow,
            },
            history,
            datasets,
            artifact_uri: row.owned("artifact_uri"),
        })
    }

    fn logged_model_ids(&self, experiment_id: &str) -> Result<Vec<String>> {
        let live =
            "WHERE experiment_id = ?1 AND lifecycle_stage IS NOT 'deleted' ORDER BY model_id";
        let rows = self.rows_of("logged_models", live, experiment_id)?;
        rows.iter().map(|row| row.required("model_id")).collect()
    }

    fn logged_model(&self, experiment_id: &str, model_id: &str) -> Result<ForeignLoggedModel> {
        let of_model = "WHERE model_id = ?1";
        let rows = self.rows_of("logged_models", of_model, model_id)?;
        let row = rows.first().ok_or_else(|| malformed(&self.origin, "the model is gone"))?;
        // Their table has no mark for NaN: the run's own has.
        let sql = "SELECT l.*, m.is_nan FROM logged_model_metrics l LEFT JOIN metrics m \
                   ON m.run_uuid = l.run_id AND m.key = l.metric_name AND m.step = l.metric_step \
                   AND m.timestamp = l.metric_timestamp_ms AND m.is_nan AND l.metric_value = 0 \
                   WHERE l.model_id = ?1 ORDER BY l.metric_timestamp_ms";
        let mut metrics = Vec::new();
        for metric in self.rows(sql, model_id)? {
            metrics.push(LoggedMetric {
                key: metric.required("metric_name")?,
                value: metric.value("metric_value", "is_nan"),
                step: metric.number("metric_step")?.unwrap_or_default(),
                timestamp_ms: metric.number("metric_timestamp_ms")?.unwrap_or_default(),
                run_id: metric.owned("run_id"),
                dataset: metric.text("dataset_name").zip(metric.text("dataset_digest")),
            });
        }
        let number = row.number("status")?.unwrap_or_default();
        let created_ms = row.number("creation_timestamp_ms")?.unwrap_or_default();
        Ok(ForeignLoggedModel {
            model: LoggedModel {
                model_id: model_id.to_owned(),
                experiment_id: experiment_id.to_owned(),
                name: row.owned("name"),
                created_ms,
                updated_ms: row.number("last_updated_timestamp_ms")?.unwrap_or(created_ms),
                status: model_status_of_number(number).unwrap_or(ModelStatus::Unspecified),
                model_type: row.text("model_type").filter(|text| !text.is_empty()),
                source_run_id: row.text("source_run_id").filter(|text| !text.is_empty()),
                deleted: false,
                tags: self.pairs(
                    "logged_model_tags",
                    ("tag_key", "tag_value"),
                    of_model,
                    model_id,
                )?,
                params: self.pairs(
                    "logged_model_params",
                    ("param_key", "param_value"),
                    of_model,
                    model_id,
                )?,
                metrics,
            },
            artifact_uri: row.owned("artifact_location"),
        })
    }

    fn model_names(&self) -> Result<Vec<String>> {
        let rows = self.rows_of("registered_models", "ORDER BY name", "")?;
        rows.iter().map(|row| row.required("name")).collect()
    }

    fn model(&self, name: &str) -> Result<WholeModel> {
        let of_name = "WHERE name = ?1";
        let rows = self.rows_of("registered_models", of_name, name)?;
        let row = rows.first().ok_or_else(|| malformed(&self.origin, "the model is gone"))?;
        let (mut versions, mut highest) = (Vec::new(), 0);
        for found in self.rows_of("model_versions", "WHERE name = ?1 ORDER BY version", name)? {
            let number = found.number("version")?.and_then(|number| u32::try_from(number).ok());
            let number =
                number.ok_or_else(|| malformed(&self.origin, "a version has no number"))?;
            highest = highest.max(number);
            if found.text("current_stage").as_deref() != Some(DELETED_STAGE) {
                versions.push(self.version(name, number, &found)?);
            }
        }
        let mut aliases = BTreeMap::new();
        for alias in self.rows_of("registered_model_aliases", of_name, name)? {
            let number = alias.number("version")?.and_then(|number| u32::try_from(number).ok());
            aliases.insert(alias.required("alias")?, number.unwrap_or_default());
        }
        let created_ms = row.number("creation_time")?.unwrap_or_default();
        let model = RegisteredModel {
            name: name.to_owned(),
            description: row.owned("description"),
            created_ms,
            updated_ms: row.number("last_updated_time")?.unwrap_or(created_ms),
            tags: self.pairs("registered_model_tags", ("key", "value"), of_name, name)?,
            aliases,
        };
        Ok(WholeModel { model, versions, highest })
    }

    fn files(&self, folder: ForeignFolder) -> Result<ForeignFiles> {
        match self.artifact_dir(folder) {
            Some(dir) => files_below(&dir).map(ForeignFiles::There),
            None => Ok(ForeignFiles::Elsewhere),
        }
    }

    fn open(&self, folder: ForeignFolder, path: &str) -> Result<Box<dyn Read>> {
        open(&self.artifact_dir(folder).unwrap_or_default(), path)
    }
}

impl SqliteStore {
    fn version(&self, name: &str, number: u32, row: &Fields) -> Result<ModelVersion> {
        let created_ms = row.number("creation_time")?.unwrap_or_default();
        let stage = row.text("current_stage").unwrap_or_default();
        let stage = if stage.is_empty() { Stage::None } else { stage.parse()? };
        let of_version = format!("WHERE name = ?1 AND version = {number}");
        let source = row.owned("source");
        let model_id = source.strip_prefix("models:/").filter(|id| id.starts_with("m-"));
        Ok(ModelVersion {
            model: name.to_owned(),
            version: number,
            stage,
            run_id: row.owned("run_id"),
            created_ms,
            files: Vec::new(),
            lineage: Lineage::default(),
            metrics: BTreeMap::new(),
            tags: self.pairs("model_version_tags", ("key", "value"), &of_version, name)?,
            verdict: None,
            history: Vec::new(),
            registration: Some(Registration {
                model_id: model_id.map(str::to_owned),
                run_link: row.text("run_link").filter(|text| !text.is_empty()),
                description: row.owned("description"),
                user: row.owned("user_id"),
                updated_ms: row.number("last_updated_time")?.unwrap_or(created_ms),
                source,
            }),
        })
    }
}

/// One row by the names of its columns.
struct Fields {
    origin: String,
    texts: BTreeMap<String, String>,
    /// Those columns that hold floating-point numbers.
    reals: BTreeMap<String, f64>,
}

impl Fields {
    fn of(origin: &str, names: &[String], row: &Row) -> Result<Self> {
        let (mut texts, mut reals) = (BTreeMap::new(), BTreeMap::new());
        for (idx, name) in names.iter().enumerate() {
            let value = row.get_ref(idx).map_err(|error| unreadable(origin, error))?;
            let text = match value {
                ValueRef::Null => continue,
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => {
                    reals.insert(name.clone(), number);
                    number.to_string()
                }
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    Err(_) => return Err(malformed(origin, format!("{name} is not UTF-8"))),
                },
            };
            texts.insert(name.clone(), text);
        }
        Ok(Self { origin: origin.to_owned(), texts, reals })
    }

    fn text(&self, column: &str) -> Option<String> {
        self.texts.get(column).cloned()
    }

    fn owned(&self, column: &str) -> String {
        self.text(column).unwrap_or_default()
    }

    fn required(&self, column: &str) -> Result<String> {
        self.text(column).ok_or_else(|| malformed(&self.origin, format!("a row has no {column}")))
    }

    fn number(&self, column: &str) -> Result<Option<i64>> {
        let Some(text) = self.texts.get(column) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            malformed(&self.origin, format!("{column} is {text:?}, expected a whole number"))
        })?;
        Ok(Some(number))
    }

    /// A metric's value: NaN is 0 with a mark.
    fn value(&self, column: &str, mark: &str) -> f64 {
        if self.texts.get(mark).is_some_and(|mark| mark == "1") {
            return f64::NAN;
        }
        let whole = || self.texts.get(column).and_then(|text| text.parse().ok());
        self.reals.get(column).copied().or_else(whole).unwrap_or(f64::NAN)
    }
}

fn unreadable(origin: &str, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let kind = match code {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            ErrorKind::Unavailable
        }
        Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::SystemIoFailure) => {
            ErrorKind::Io
        }
        _ => ErrorKind::Corrupt,
    };
    Error::new(kind, format!("{origin} cannot be read as a database of SQLite"))
        .with_source(error)
        .with_hint("stop what writes to it, or read a copy")
}
