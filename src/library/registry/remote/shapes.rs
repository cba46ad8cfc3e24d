//! MLflow's JSON as records of the registry. Numbers may be texts, what is empty may be left out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tags::{SHA256_PREFIX, take_record_tags};
use crate::{
    error::{Error, Result},
    registry::{
        flow::{RunDataset, RunFlow},
        record::{
            Experiment, Metric, ModelVersion, Moment, RegisteredModel, Run, RunStatus, Stage,
        },
        registration::Registration,
    },
};

/// The tag under which MLflow's clients find and set a run's name.
const NAME_TAG: &str = "mlflow.runName";
/// The tag of a registered model that is a prompt.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// A run with what only its server has to know.
pub(super) struct RemoteRun {
    pub(super) run: Run,
    /// The place of its artifacts.
    pub(super) artifact_uri: String,
    /// The SHA-256 of its artifacts, by path.
    pub(super) sha256: BTreeMap<String, String>,
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(text) => text.parse().unwrap_or(f64::NAN),
        None => value.as_f64().unwrap_or(0.0),
    }
}

/// The items of a list, which may be left out.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    list(value).map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
}

fn is_deleted(value: &Value) -> bool {
    value["lifecycle_stage"] == "deleted"
}

pub(super) fn experiment(value: &Value) -> Experiment {
    let created_ms = whole(&value["creation_time"]).unwrap_or_default();
    Experiment {
        experiment_id: text(&value["experiment_id"]),
        name: text(&value["name"]),
        created_ms,
        updated_ms: whole(&value["last_update_time"]).unwrap_or(created_ms),
        deleted: is_deleted(value),
        artifact_location: value["artifact_location"].as_str().map(str::to_owned),
        tags: pairs(&value["tags"]),
    }
}

pub(super) fn metric(value: &Value) -> Metric {
    Metric {
        key: text(&value["key"]),
        value: number(&value["value"]),
        step: whole(&value["step"]).unwrap_or_default(),
        timestamp_ms: whole(&value["timestamp"]).unwrap_or_default(),
    }
}

/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a status that MLflow does not have.
pub(super) fn run(value: &Value) -> Result<RemoteRun> {
    let (info, data) = (&value["info"], &value["data"]);
    let mut tags = pairs(&data["tags"]);
    let named = tags.remove(NAME_TAG).unwrap_or_default();
    let mut sha256 = BTreeMap::new();
    tags.retain(|key, value| match key.strip_prefix(SHA256_PREFIX) {
        Some(path) => {
            sha256.insert(path.to_owned(), std::mem::take(value));
            false
        }
        None => true,
    });
    let latest: BTreeMap<String, Metric> =
        list(&data["metrics"]).map(metric).map(|metric| (metric.key.clone(), metric)).collect();
    let measured_at = latest
        .values()
        .map(|metric| Moment { step: metric.step, timestamp_ms: metric.timestamp_ms })
        .collect();
    let name = text(&info["run_name"]);
    let run = Run {
        run_id: text(&info["run_id"]),
        experiment_id: text(&info["experiment_id"]),
        name: if name.is_empty() { named } else { name },
        status: info["status"].as_str().unwrap_or("RUNNING").parse::<RunStatus>()?,
        start_ms: whole(&info["start_time"]).unwrap_or_default(),
        end_ms: whole(&info["end_time"]).filter(|end_ms| *end_ms > 0),
        deleted: is_deleted(info),
        params: pairs(&data["params"]),
        metrics: latest.into_iter().map(|(key, metric)| (key, metric.value)).collect(),
        tags,
        user: text(&info["user_id"]),
        measured_at,
        flow: flow(value),
    };
    Ok(RemoteRun { run, artifact_uri: text(&info["artifact_uri"]), sha256 })
}

fn flow(value: &Value) -> RunFlow {
    let (inputs, outputs) = (&value["inputs"], &value["outputs"]);
    let dataset = |input: &Value| RunDataset {
        name: text(&input["dataset"]["name"]),
        digest: text(&input["dataset"]["digest"]),
        tags: pairs(&input["tags"]),
    };
    let made = list(&outputs["model_outputs"]);
    RunFlow {
        datasets: list(&inputs["dataset_inputs"]).map(dataset).collect(),
        model_inputs: list(&inputs["model_inputs"]).map(|of| text(&of["model_id"])).collect(),
        model_outputs: made
            .map(|of| (text(&of["model_id"]), whole(&of["step"]).unwrap_or_default()))
            .collect(),
    }
}

/// A registered model; none for what is kept there as models and is none, such as prompts.
pub(super) fn model(value: &Value) -> Option<RegisteredModel> {
    let tags = pairs(&value["tags"]);
    if tags.get(PROMPT_TAG).is_some_and(|is_prompt| is_prompt == "true") {
        return None;
    }
    let created_ms = whole(&value["creation_timestamp"]).unwrap_or_default();
    let alias = |alias: &Value| {
        let version = whole(&alias["version"]).and_then(|number| u32::try_from(number).ok())?;
        Some((text(&alias["alias"]), version))
    };
    Some(RegisteredModel {
        name: text(&value["name"]),
        description: text(&value["description"]),
        created_ms,
        updated_ms: whole(&value["last_updated_timestamp"]).unwrap_or(created_ms),
        tags,
        aliases: list(&value["aliases"]).filter_map(alias).collect(),
    })
}

/// # Errors
/// For a number or a stage that is none, and a tag of ours that cannot be read.
pub(super) fn version(value: &Value) -> Result<ModelVersion> {
    let number = whole(&value["version"]).and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or_else(|| {
        Error::invalid(format!(
            "the registry has a version {}, which is no number",
            value["version"]
        ))
    })?;
    let created_ms = whole(&value["creation_timestamp"]).unwrap_or_default();
    let optional =
        |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut version = ModelVersion {
        model: text(&value["name"]),
        version: number,
        stage: value["current_stage"].as_str().unwrap_or("None").parse::<Stage>()?,
        run_id: text(&value["run_id"]),
        created_ms,
        files: Vec::new(),
        lineage: Default::default(),
        metrics: BTreeMap::new(),
        tags: pairs(&value["tags"]),
        verdict: None,
        history: Vec::new(),
        registration: Some(Registration {
            source: text(&value["source"]),
            model_id: optional(&value["model_id"]),
            run_link: optional(&value["run_link"]),
            description: text(&value["description"]),
            user: text(&value["user_id"]),
            updated_ms: whole(&value["last_updated_timestamp"]).unwrap_or(created_ms),
        }),
    };
    take_record_tags(&mut version)?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_read_with_texts_for_numbers_and_with_what_is_left_out() {
        let read = run(&json!({
            "info": {
                "run_id": "a", "experiment_id": "1", "status": "FINISHED", "start_time": "12",
                "artifact_uri": "mlflow-artifacts:/1/a/artifacts", "lifecycle_stage": "active",
            },
            "data": {
                "metrics": [
                    {"key": "loss", "value": "NaN", "step": "3", "timestamp": 5},
                    {"key": "f1", "value": 1, "timestamp": 5},
                ],
                "tags": [
                    {"key": "mlflow.runName", "value": "one"},
                    {"key": "trialbook.sha256.model/w", "value": "ab"},
                ],
            },
        }))
        .unwrap();
        assert_eq!((read.run.name.as_str(), read.run.start_ms, read.run.end_ms), ("one", 12, None));
        assert!(read.run.metrics["loss"].is_nan() && read.run.metrics["f1"] == 1.0);
        assert_eq!(read.run.measured_at[1], Moment { step: 3, timestamp_ms: 5 });
        assert_eq!(read.sha256["model/w"], "ab");
        assert!(read.run.tags.is_empty(), "ours and MLflow's own are no tags of people");
    }

    #[test]
    fn prompts_are_no_models_and_words_are_no_versions() {
        let prompt =
            json!({"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]});
        assert!(model(&prompt).is_none());
        assert!(version(&json!({"name": "M", "version": "one"})).is_err());
        let plain =
            version(&json!({"name": "M", "version": "3", "current_stage": "Staging"})).unwrap();
        assert_eq!(
            (plain.version, plain.stage, plain.is_from_outside()),
            (3, Stage::Staging, true)
        );
    }
}
