//! Records of the registry in MLflow's JSON. Whole numbers are JSON numbers; what is not there
//! is left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trialbook::registry::{
    DatasetRecord, Experiment, FORMER_TAG, LoggedModel, Metric, ModelVersion, RegisteredModel,
    Registry, Run, experiment_artifact_uri, json_number, model_artifact_uri, record_tags,
    run_artifact_uri,
};

use super::{paths::version_uri, wire::WireRefusal};

/// An object without its fields that are null.
fn object(fields: Value) -> Value {
    match fields {
        Value::Object(fields) => {
            let there: Map<String, Value> =
                fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
            Value::Object(there)
        }
        other => other,
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<Value> {
    map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn lifecycle(deleted: bool) -> &'static str {
    if deleted { "deleted" } else { "active" }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn experiment(experiment: &Experiment) -> Value {
    let Experiment { experiment_id, artifact_location, .. } = experiment;
    json!({
        "experiment_id": experiment_id,
        "name": experiment.name,
        "artifact_location": experiment_artifact_uri(artifact_location.as_deref(), experiment_id),
        "lifecycle_stage": lifecycle(experiment.deleted),
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
        "tags": pairs(&experiment.tags),
    })
}

/// The places of artifacts of some experiments, of those that do not leave it to the store.
pub(super) struct Locations(BTreeMap<String, String>);

impl Locations {
    /// Those of these experiments, by their ids.
    pub(super) fn of<'a>(
        registry: &Registry,
        experiment_ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, WireRefusal> {
        Ok(Self(registry.artifact_locations(&experiment_ids.into_iter().collect())?))
    }

    pub(super) fn run_uri(&self, run: &Run) -> String {
        run_artifact_uri(self.get(&run.experiment_id), &run.experiment_id, &run.run_id)
    }

    pub(super) fn model_uri(&self, model: &LoggedModel) -> String {
        let LoggedModel { experiment_id, model_id, .. } = model;
        model_artifact_uri(self.get(experiment_id), experiment_id, model_id)
    }

    fn get(&self, experiment_id: &str) -> Option<&str> {
        self.0.get(experiment_id).map(String::as_str)
    }
}

/// Runs with all that was logged to them, in their order.
pub(super) fn runs(registry: &Registry, runs: &[Run]) -> Result<Vec<Value>, WireRefusal> {
    let locations = Locations::of(registry, runs.iter().map(|run| run.experiment_id.as_str()))?;
    let flows: Vec<_> = runs.iter().map(|run| (run.experiment_id.as_str(), &run.flow)).collect();
    let datasets = registry.datasets_of(&flows)?;
    Ok(runs
        .iter()
        .zip(datasets)
        .map(|(run, datasets)| one_run(&locations, run, &datasets))
        .collect())
}

fn one_run(locations: &Locations, run: &Run, datasets: &[DatasetRecord]) -> Value {
    let metrics = run.metrics.iter().zip(&run.measured_at).map(|((key, value), at)| {
        json!({
            "key": key, "value": json_number(*value), "timestamp": at.timestamp_ms, "step": at.step,
        })
    });
    let mut tags = pairs(&run.tags);
    tags.push(json!({"key": "mlflow.runName", "value": run.name}));
    let inputs = run.flow.datasets.iter().zip(datasets).map(
        |(input, dataset)| json!({"tags": pairs(&input.tags), "dataset": dataset_of(dataset)}),
    );
    let model_inputs = run.flow.model_inputs.iter().map(|model_id| json!({"model_id": model_id}));
    let outputs = run.flow.model_outputs.iter();
    let outputs = outputs.map(|(model_id, step)| json!({"model_id": model_id, "step": step}));
    json!({
        "info": run_info(locations, run),
        "data": {
            "metrics": metrics.collect::<Vec<_>>(),
            "params": pairs(&run.params),
            "tags": tags,
        },
        "inputs": {
            "dataset_inputs": inputs.collect::<Vec<_>>(),
            "model_inputs": model_inputs.collect::<Vec<_>>(),
        },
        "outputs": { "model_outputs": outputs.collect::<Vec<_>>() },
    })
}

pub(super) fn run_info(locations: &Locations, run: &Run) -> Value {
    object(json!({
        "run_id": run.run_id,
        "run_uuid": run.run_id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "user_id": run.who(),
        "status": run.status.as_str(),
        "start_time": run.start_ms,
        "end_time": run.end_ms,
        "artifact_uri": locations.run_uri(run),
        "lifecycle_stage": lifecycle(run.deleted),
    }))
}

fn dataset_of(dataset: &DatasetRecord) -> Value {
    object(json!({
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }))
}

/// One point of a metric's history; with `run_id` where several runs' are told together.
pub(super) fn metric(metric: &Metric, run_id: Option<&str>) -> Value {
    let Metric { key, value, step, timestamp_ms } = metric;
    object(json!({
        "key": key,
        "value": json_number(*value),
        "timestamp": timestamp_ms,
        "step": step,
        "run_id": run_id,
    }))
}

pub(super) fn logged_model(locations: &Locations, model: &LoggedModel) -> Value {
    let metrics = model.metrics.iter().map(|metric| {
        let (name, digest) = metric.dataset.clone().unzip();
        object(json!({
            "key": metric.key,
            "value": json_number(metric.value),
            "timestamp": metric.timestamp_ms,
            "step": metric.step,
            "run_id": metric.run_id,
            "model_id": model.model_id,
            "dataset_name": name,
            "dataset_digest": digest,
        }))
    });
    json!({
        "info": object(json!({
            "model_id": model.model_id,
            "experiment_id": model.experiment_id,
            "name": model.name,
            "creation_timestamp_ms": model.created_ms,
            "last_updated_timestamp_ms": model.updated_ms,
            "artifact_uri": locations.model_uri(model),
            "status": model.status.as_str(),
            "model_type": model.model_type,
            "source_run_id": model.source_run_id,
            "tags": pairs(&model.tags),
        })),
        "data": {
            "params": pairs(&model.params),
            "metrics": metrics.collect::<Vec<_>>(),
        },
    })
}

pub(super) fn version(version: &ModelVersion, aliases: Vec<&str>) -> Value {
    let said = version.registration.as_ref();
    object(json!({
        "name": version.model,
        "version": version.version.to_string(),
        "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.updated_ms(),
        "user_id": said.and_then(|said| filled(&said.user)),
        "current_stage": version.stage.as_str(),
        "description": said.and_then(|said| filled(&said.description)),
        "source": match said.map(|said| said.source.as_str()) {
            Some(source) if !source.is_empty() => source.to_owned(),
            _ => version_uri(version),
        },
        "run_id": filled(&version.run_id),
        "status": "READY",
        "run_link": said.and_then(|said| said.run_link.as_deref()),
        "model_id": said.and_then(|said| said.model_id.as_deref()),
        "tags": tags_of(version),
        "aliases": aliases,
    }))
}

/// The tags of a version, with those that tell other trialbooks what its record says.
fn tags_of(version: &ModelVersion) -> Vec<Value> {
    let told = record_tags(version).into_iter();
    let mut tags = pairs(&version.tags);
    tags.extend(told.map(|(key, value)| json!({"key": key, "value": value})));
    tags
}

/// A registered model with the newest version in each stage, and the versions that were in Production.
pub(super) fn model(model: &RegisteredModel, latest: &[ModelVersion], former: &[u32]) -> Value {
    let aliases = model
        .aliases
        .iter()
        .map(|(alias, version)| json!({"alias": alias, "version": version.to_string()}));
    let latest = latest.iter().map(|one| version(one, Vec::new()));
    let mut tags = pairs(&model.tags);
    if !former.is_empty() {
        tags.push(json!({"key": FORMER_TAG, "value": json!(former).to_string()}));
    }
    object(json!({
        "name": model.name,
        "creation_timestamp": model.created_ms,
        "last_updated_timestamp": model.updated_ms,
        "description": filled(&model.description),
        "latest_versions": latest.collect::<Vec<_>>(),
        "tags": tags,
        "aliases": aliases.collect::<Vec<_>>(),
    }))
}
