//! The registry from outside: what it keeps, what it refuses, what survives crashes and damage.

#![allow(clippy::unwrap_used, reason = "a test ends where something it relies on fails")]

mod audit;
mod child;
mod damage;
mod exchange;
mod formats;
mod models;
#[cfg(unix)]
#[path = "../older/older.rs"]
mod older;
mod processes;
mod refusals;
#[cfg(unix)]
mod succession;
mod tracked;
mod tracking;
mod upkeep;

use std::collections::BTreeMap;

use tempfile::TempDir;
use trialbook::{
    error::Result,
    gate::{self, Policy, Verdict},
    registry::{
        Artifact, Lineage, Metric, ModelVersion, NewRun, NewVersion, Registry, Run, RunBatch,
        RunQuery, Stage,
    },
    store::Store,
};

/// A registry in a folder of its own.
struct Fixture {
    folder: TempDir,
    registry: Registry,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&Store::new(folder.path().join("store"))).unwrap();
        Self { folder, registry }
    }

    fn store(&self) -> &Store {
        self.registry.store()
    }

    fn run(&self, name: &str) -> Run {
        self.registry.create_run(new_run(name)).unwrap()
    }

    /// A run with one artifact, and a version made of it.
    fn version(&self, model: &str, content: &str) -> ModelVersion {
        let run = self.run("trained");
        version_of(&self.registry, &run.run_id, model, content)
    }

    fn search(&self, filter: &str, order: &[&str]) -> Vec<String> {
        let query = RunQuery {
            filter: Some(filter.to_owned()),
            order: order.iter().map(|&text| text.to_owned()).collect(),
            ..RunQuery::default()
        };
        self.registry.search_runs(&query).unwrap().into_iter().map(|run| run.name).collect()
    }
}

fn version_of(registry: &Registry, run_id: &str, model: &str, content: &str) -> ModelVersion {
    let artifact = registry.log_artifact(run_id, "model/weights.bin", content.as_bytes()).unwrap();
    registry.create_version(new_version(model, run_id, artifact)).unwrap()
}

/// Moves a version to a stage through the gate, which is overruled where it stands in the way.
fn promote(
    registry: &Registry,
    model: &str,
    version: u32,
    stage: Stage,
    why: &str,
) -> Result<ModelVersion> {
    gate::promote(registry, model, version, stage, Some(why), "alice")?;
    registry.version(model, version)
}

/// Judges a version by the metrics it was registered with.
fn judge(registry: &Registry, model: &str, version: u32) -> Result<Verdict> {
    let mut registered =
        |production: &ModelVersion, _: &ModelVersion| Ok(production.metrics.clone());
    gate::run(
        registry,
        model,
        version,
        &Policy::default(),
        &mut registered,
        1_700_000_000_000,
        "alice",
    )
}

fn new_version(model: &str, run_id: &str, artifact: Artifact) -> NewVersion {
    NewVersion {
        model: model.to_owned(),
        run_id: run_id.to_owned(),
        files: vec![Artifact { path: "weights.bin".to_owned(), ..artifact }],
        lineage: Lineage {
            dataset: "imdb".to_owned(),
            test_fingerprint: "ab".repeat(32),
            seed: 42,
            ..Lineage::default()
        },
        metrics: BTreeMap::from([("f1".to_owned(), 0.9)]),
        created_ms: 1_700_000_000_000,
    }
}

fn new_run(name: &str) -> NewRun {
    NewRun {
        experiment_id: "0".to_owned(),
        name: Some(name.to_owned()),
        start_ms: 1_700_000_000_000,
        ..NewRun::default()
    }
}

fn metric(key: &str, value: f64, step: i64) -> Metric {
    Metric { key: key.to_owned(), value, step, timestamp_ms: 1_700_000_000_000 + step }
}

fn metrics(metrics: &[(&str, f64, i64)]) -> RunBatch {
    let metrics = metrics.iter().map(|(key, value, step)| metric(key, *value, *step));
    RunBatch { metrics: metrics.collect(), ..RunBatch::default() }
}

fn params(params: &[(&str, &str)]) -> RunBatch {
    RunBatch { params: pairs(params), ..RunBatch::default() }
}

fn tags(tags: &[(&str, &str)]) -> RunBatch {
    RunBatch { tags: pairs(tags), ..RunBatch::default() }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
