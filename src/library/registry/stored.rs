//! The records as they lie in the database: what `record` shows plus what only the registry needs.
//! One `Record` each; layouts change only with a new schema version and a fixture.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    codec::{Decoded, Malformed, Reader, Record, Writer},
    flow::RunFlow,
    record::{
        Artifact, Experiment, Lineage, Metric, ModelVersion, Moment, RegisteredModel, Run,
        RunStatus, Stage, StageChange,
    },
    registration::Registration,
};

/// A counter in the `meta` table.
pub(super) struct Counter(pub(super) u64);

impl Record for Counter {
    const KIND: &'static str = "counter";
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.unsigned(self.0);
    }

    fn read(_version: u8, input: &mut Reader) -> Decoded<Self> {
        input.unsigned().map(Self)
    }
}

/// An experiment without its number, which is the key.
pub(super) struct StoredExperiment {
    pub(super) name: String,
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) deleted: bool,
    pub(super) artifact_location: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
}

impl StoredExperiment {
    /// One that is new.
    pub(super) fn new(name: &str, now_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            created_ms: now_ms,
            updated_ms: now_ms,
            deleted: false,
            artifact_location: None,
            tags: BTreeMap::new(),
        }
    }

    pub(super) fn into_experiment(self, experiment: u64) -> Experiment {
        let Self { name, created_ms, updated_ms, deleted, artifact_location, tags } = self;
        let experiment_id = experiment.to_string();
        Experiment { experiment_id, name, created_ms, updated_ms, deleted, artifact_location, tags }
    }
}

impl Record for StoredExperiment {
    const KIND: &'static str = "experiment";
    const VERSION: u8 = 2;

    fn write(&self, out: &mut Writer) {
        out.text(&self.name);
        out.signed(self.created_ms);
        out.signed(self.updated_ms);
        out.byte(u8::from(self.deleted));
        out.option(self.artifact_location.as_deref(), Writer::text);
        out.section(&self.tags, |out, value| out.text(value));
    }

    fn read(version: u8, input: &mut Reader) -> Decoded<Self> {
        let stored = Self::new(input.text()?, input.signed()?);
        if version == 1 {
            return Ok(stored);
        }
        Ok(Self {
            updated_ms: input.signed()?,
            deleted: flag(input.byte()?)?,
            artifact_location: input.option(Reader::owned)?,
            tags: input.section(Reader::text)?.to_map(str::to_owned)?,
            ..stored
        })
    }
}

/// The newest value of a metric, with what newest means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latest {
    pub(super) value: f64,
    pub(super) step: i64,
    pub(super) timestamp_ms: i64,
}

impl Latest {
    /// MLflow's order: step, then timestamp, then value, in which NaN counts as 0.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let rank = |value: f64| if value.is_nan() { 0.0 } else { value };
        self.step
            .cmp(&other.step)
            .then(self.timestamp_ms.cmp(&other.timestamp_ms))
            .then(rank(self.value).total_cmp(&rank(other.value)))
            == Ordering::Greater
    }

    fn moment(&self) -> Moment {
        Moment { step: self.step, timestamp_ms: self.timestamp_ms }
    }

    fn write(&self, out: &mut Writer) {
        out.float(self.value);
        out.signed(self.step);
        out.signed(self.timestamp_ms);
    }

    pub(super) fn read(input: &mut Reader) -> Decoded<Self> {
        Ok(Self { value: input.float()?, step: input.signed()?, timestamp_ms: input.signed()? })
    }
}

/// The beginning of a run's row, read in place.
pub(super) struct RunHead<'a> {
    pub(super) experiment: u64,
    pub(super) status: RunStatus,
    pub(super) deleted: bool,
    pub(super) start_ms: i64,
    pub(super) end_ms: Option<i64>,
    pub(super) n_batches: u64,
    pub(super) name: &'a str,
}

impl<'a> RunHead<'a> {
    pub(super) fn read(input: &mut Reader<'a>) -> Decoded<Self> {
        Ok(Self {
            experiment: input.unsigned()?,
            status: status_of(input.byte()?)?,
            deleted: flag(input.byte()?)?,
            start_ms: input.signed()?,
            end_ms: input.option(Reader::signed)?,
            n_batches: input.unsigned()?,
            name: input.text()?,
        })
    }
}

/// A run without its id, which is the key.
#[derive(Clone)]
pub(super) struct StoredRun {
    pub(super) experiment: u64,
    pub(super) name: String,
    pub(super) status: RunStatus,
    pub(super) start_ms: i64,
    pub(super) end_ms: Option<i64>,
    pub(super) deleted: bool,
    /// Batches in the metric history so far.
    pub(super) n_batches: u64,
    pub(super) params: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) metrics: BTreeMap<String, Latest>,
    pub(super) user: String,
    pub(super) flow: RunFlow,
}

impl StoredRun {
    pub(super) fn into_run(self, run_id: String) -> Run {
        Run {
            run_id,
            experiment_id: self.experiment.to_string(),
            name: self.name,
            status: self.status,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            deleted: self.deleted,
            params: self.params,
            measured_at: self.metrics.values().map(Latest::moment).collect(),
            metrics: self.metrics.into_iter().map(|(key, latest)| (key, latest.value)).collect(),
            tags: self.tags,
            user: self.user,
            flow: self.flow,
        }
    }
}

impl Record for StoredRun {
    const KIND: &'static str = "run";
    const VERSION: u8 = 2;

    fn write(&self, out: &mut Writer) {
        out.unsigned(self.experiment);
        out.byte(status_code(self.status));
        out.byte(u8::from(self.deleted));
        out.signed(self.start_ms);
        out.option(self.end_ms, Writer::signed);
        out.unsigned(self.n_batches);
        out.text(&self.name);
        out.section(&self.params, |out, value| out.text(value));
        out.section(&self.tags, |out, value| out.text(value));
        out.section(&self.metrics, |out, latest| latest.write(out));
        out.text(&self.user);
        self.flow.write(out);
    }

    fn read(version: u8, input: &mut Reader) -> Decoded<Self> {
        let head = RunHead::read(input)?;
        let params = input.section(Reader::text)?.to_map(str::to_owned)?;
        let tags = input.section(Reader::text)?.to_map(str::to_owned)?;
        let metrics = input.section(Latest::read)?.to_map(|latest| latest)?;
        let (user, flow) = match version {
            1 => (String::new(), RunFlow::default()),
            _ => (input.owned()?, RunFlow::read(input)?),
        };
        Ok(Self {
            experiment: head.experiment,
            name: head.name.to_owned(),
            status: head.status,
            start_ms: head.start_ms,
            end_ms: head.end_ms,
            deleted: head.deleted,
            n_batches: head.n_batches,
            params,
            tags,
            metrics,
            user,
            flow,
        })
    }
}

/// Metrics that were logged together.
pub(super) struct MetricBatch(pub(super) Vec<Metric>);

impl Record for MetricBatch {
    const KIND: &'static str = "metric batch";
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        let mut previous = "";
        out.list(self.0.iter(), |out, metric| {
            // Keys are never empty: an empty one says that the key is the previous metric's.
            out.text(if metric.key == previous { "" } else { &metric.key });
            previous = &metric.key;
            out.float(metric.value);
            out.signed(metric.step);
            out.signed(metric.timestamp_ms);
        });
    }

    fn read(_version: u8, input: &mut Reader) -> Decoded<Self> {
        let mut previous = String::new();
        let metrics = input.list(|input| {
            let key = input.text()?;
            if !key.is_empty() {
                key.clone_into(&mut previous);
            }
            let latest = Latest::read(input)?;
            Ok(Metric {
                key: previous.clone(),
                value: latest.value,
                step: latest.step,
                timestamp_ms: latest.timestamp_ms,
            })
        })?;
        Ok(Self(metrics))
    }
}

impl Record for Artifact {
    const KIND: &'static str = "artifact";
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.text(&self.path);
        out.text(&self.sha256);
        out.unsigned(self.size_bytes);
    }

    fn read(_version: u8, input: &mut Reader) -> Decoded<Self> {
        Ok(Self { path: input.owned()?, sha256: input.owned()?, size_bytes: input.unsigned()? })
    }
}

/// A registered model without its name, which is the key.
#[derive(Default)]
pub(super) struct StoredModel {
    pub(super) created_ms: i64,
    pub(super) updated_ms: i64,
    /// The number the next version gets; numbers are not used twice.
    pub(super) next_version: u32,
    /// Versions that were Production, oldest first: a rollback takes the last one.
    pub(super) former_production: Vec<u32>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) aliases: BTreeMap<String, u32>,
    pub(super) description: String,
}

impl StoredModel {
    pub(super) fn into_model(self, name: String) -> RegisteredModel {
        RegisteredModel {
            name,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            tags: self.tags,
            aliases: self.aliases,
            description: self.description,
        }
    }
}

impl Record for StoredModel {
    const KIND: &'static str = "registered model";
    const VERSION: u8 = 2;

    fn write(&self, out: &mut Writer) {
        out.signed(self.created_ms);
        out.signed(self.updated_ms);
        out.unsigned(self.next_version.into());
        out.list(self.former_production.iter(), |out, version| out.unsigned((*version).into()));
        out.section(&self.tags, |out, value| out.text(value));
        out.section(&self.aliases, |out, version| out.unsigned((*version).into()));
        out.text(&self.description);
    }

    fn read(version: u8, input: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            created_ms: input.signed()?,
            updated_ms: input.signed()?,
            next_version: input.small()?,
            former_production: input.list(Reader::small)?,
            tags: input.section(Reader::text)?.to_map(str::to_owned)?,
            aliases: input.section(Reader::small)?.to_map(|version| version)?,
            description: if version == 1 { String::new() } else { input.owned()? },
        })
    }
}

impl Record for ModelVersion {
    const KIND: &'static str = "model version";
    const VERSION: u8 = 2;

    fn write(&self, out: &mut Writer) {
        out.text(&self.model);
        out.unsigned(self.version.into());
        out.byte(stage_code(self.stage));
        out.text(&self.run_id);
        out.signed(self.created_ms);
        out.list(self.files.iter(), |out, file| file.write(out));
        out.text(&self.lineage.dataset);
        out.text(&self.lineage.train_fingerprint);
        out.text(&self.lineage.test_fingerprint);
        out.text(&self.lineage.code_version);
        out.unsigned(self.lineage.seed);
        out.section(&self.metrics, |out, value| out.float(*value));
        out.section(&self.tags, |out, value| out.text(value));
        out.option(self.verdict.as_ref(), |out, verdict| out.text(&verdict.to_string()));
        out.list(self.history.iter(), |out, change| {
            out.byte(stage_code(change.from));
            out.byte(stage_code(change.to));
            out.signed(change.at_ms);
            out.text(&change.note);
        });
        out.option(self.registration.as_ref(), |out, registration| registration.write(out));
    }

    fn read(version: u8, input: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            model: input.owned()?,
            version: input.small()?,
            stage: stage_of(input.byte()?)?,
            run_id: input.owned()?,
            created_ms: input.signed()?,
            files: input.list(|input| Artifact::read(1, input))?,
            lineage: Lineage {
                dataset: input.owned()?,
                train_fingerprint: input.owned()?,
                test_fingerprint: input.owned()?,
                code_version: input.owned()?,
                seed: input.unsigned()?,
            },
            metrics: input.section(Reader::float)?.to_map(|value| value)?,
            tags: input.section(Reader::text)?.to_map(str::to_owned)?,
            verdict: input
                .option(|input| serde_json::from_str(input.text()?).map_err(|_| Malformed))?,
            history: input.list(|input| {
                Ok(StageChange {
                    from: stage_of(input.byte()?)?,
                    to: stage_of(input.byte()?)?,
                    at_ms: input.signed()?,
                    note: input.owned()?,
                })
            })?,
            registration: match version {
                1 => None,
                _ => input.option(Registration::read)?,
            },
        })
    }
}

fn flag(byte: u8) -> Decoded<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

fn status_code(status: RunStatus) -> u8 {
    match status {
        RunStatus::Running => 0,
        RunStatus::Finished => 1,
        RunStatus::Failed => 2,
        RunStatus::Killed => 3,
        RunStatus::Scheduled => 4,
    }
}

fn status_of(code: u8) -> Decoded<RunStatus> {
    RunStatus::ALL.into_iter().find(|status| status_code(*status) == code).ok_or(Malformed)
}

fn stage_code(stage: Stage) -> u8 {
    match stage {
        Stage::None => 0,
        Stage::Staging => 1,
        Stage::Production => 2,
        Stage::Archived => 3,
    }
}

fn stage_of(code: u8) -> Decoded<Stage> {
    Stage::ALL.into_iter().find(|stage| stage_code(*stage) == code).ok_or(Malformed)
}
