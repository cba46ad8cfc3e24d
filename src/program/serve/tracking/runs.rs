//! `runs/…`: made, logged to, ended, found, deleted and restored.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trialbook::registry::{LoggedMetric, Metric, NewRun, RunBatch, RunQuery, RunStatus, RunUpdate};

use super::{
    call::{CallAnswer, RestCall},
    experiments::{lifecycle, listing},
    fields::{Fields, missing},
    shapes, token,
    wire::{Code, WireRefusal},
};

/// Limits of one batch, MLflow's.
const MAX_METRICS: usize = 1_000;
const MAX_PARAMS: usize = 100;
const MAX_TAGS: usize = 100;
const MAX_ITEMS: usize = 1_000;
const MAX_BATCH_BYTES: usize = 1_000_000;

const DEFAULT_RESULTS: usize = 1_000;
const MAX_RESULTS: usize = 50_000;

/// The tag in which 2.x clients find the models that a run logged.
const MODELS_TAG: &str = "mlflow.log-model.history";

pub(super) fn create(call: &mut RestCall) -> CallAnswer {
    let tags = call.fields.map("tags")?;
    let new = NewRun {
        // As in MLflow, without an experiment it is the first one.
        experiment_id: call.fields.filled("experiment_id")?.unwrap_or("0").to_owned(),
        name: call.fields.filled("run_name")?.map(str::to_owned),
        start_ms: call.fields.int("start_time")?.unwrap_or_else(now_ms),
        user: match call.fields.filled("user_id")? {
            Some(user) => user.to_owned(),
            None => tags.get("mlflow.user").cloned().unwrap_or_default(),
        },
        tags,
        params: BTreeMap::new(),
    };
    let named = new.tags.get("mlflow.runName");
    if let (Some(name), Some(tag)) = (&new.name, named)
        && name != tag
    {
        return Err(WireRefusal::invalid(format!(
            "run_name is {name:?} and the tag mlflow.runName is {tag:?}: give one of them, or the \
             same name"
        )));
    }
    let run = call.registry.create_tracked_run(new)?;
    Ok(json!({ "run": shapes::runs(&call.registry, &[run])?.remove(0) }))
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

pub(super) fn update(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?;
    let status = call.fields.filled("status")?.map(|status| match status {
        // As numbers, the enum's values.
        "1" => Ok(RunStatus::Running),
        "2" => Ok(RunStatus::Scheduled),
        "3" => Ok(RunStatus::Finished),
        "4" => Ok(RunStatus::Failed),
        "5" => Ok(RunStatus::Killed),
        status => status.parse(),
    });
    let update = RunUpdate {
        name: call.fields.filled("run_name")?.map(str::to_owned),
        status: status.transpose()?,
        end_ms: call.fields.int("end_time")?,
    };
    call.registry.update_run(run_id, update).map_err(|error| of_write(run_id, call, error))?;
    let run = call.registry.run_by_id(run_id)?;
    let locations = shapes::Locations::of(&call.registry, [run.experiment_id.as_str()])?;
    Ok(json!({ "run_info": shapes::run_info(&locations, &run) }))
}

pub(super) fn delete(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?;
    // Deleting twice is no error in MLflow.
    if !call.registry.run_by_id(run_id)?.deleted {
        call.registry.delete_run(run_id)?;
    }
    Ok(json!({}))
}

pub(super) fn restore(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?;
    if call.registry.run_by_id(run_id)?.deleted {
        call.registry.restore_run(run_id)?;
    }
    Ok(json!({}))
}

pub(super) fn get(call: &mut RestCall) -> CallAnswer {
    let run = call.registry.run_by_id(call.fields.run_id()?)?;
    Ok(json!({ "run": shapes::runs(&call.registry, &[run])?.remove(0) }))
}

pub(super) fn search(call: &mut RestCall) -> CallAnswer {
    let mut experiment_ids = call.fields.texts("experiment_ids")?;
    if experiment_ids.is_empty() {
        return Ok(json!({}));
    }
    experiment_ids.dedup();
    let query = RunQuery {
        experiment_ids,
        filter: call.fields.filled("filter")?.map(str::to_owned),
        order: call.fields.texts("order_by")?,
        limit: None,
        lifecycle: lifecycle(&call.fields, "run_view_type")?,
    };
    let limit = call.fields.max_results(Some(DEFAULT_RESULTS), MAX_RESULTS)?;
    let page = token::page(call.fields.text("page_token")?, limit)?;
    let found = call.registry.search_runs_page(&query, &page)?;
    let runs = shapes::runs(&call.registry, &found.items)?;
    Ok(listing("runs", runs, token::of(found.next)))
}

pub(super) fn log_metric(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?.to_owned();
    let point = MetricPoint::of(&call.fields)?;
    log(call, &run_id, vec![point], RunBatch::default())
}

pub(super) fn log_param(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?.to_owned();
    let value = call.fields.text("value")?.unwrap_or_default();
    let params = vec![(call.fields.required("key")?.to_owned(), value.to_owned())];
    log(call, &run_id, Vec::new(), RunBatch { params, ..RunBatch::default() })
}

pub(super) fn set_tag(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?.to_owned();
    let value = call.fields.text("value")?.unwrap_or_default();
    let tags = vec![(call.fields.required("key")?.to_owned(), value.to_owned())];
    log(call, &run_id, Vec::new(), RunBatch { tags, ..RunBatch::default() })
}

pub(super) fn delete_tag(call: &mut RestCall) -> CallAnswer {
    let (run_id, key) = (call.fields.run_id()?, call.fields.required("key")?);
    if !call.registry.run_by_id(run_id)?.tags.contains_key(key) {
        return Err(WireRefusal::missing(format!("run {run_id:?} has no tag {key:?}")));
    }
    call.registry.delete_run_tag(run_id, key).map_err(|error| of_write(run_id, call, error))?;
    Ok(json!({}))
}

pub(super) fn log_batch(call: &mut RestCall) -> CallAnswer {
    if call.n_body_bytes > MAX_BATCH_BYTES {
        return Err(WireRefusal::invalid(format!(
            "a batch of {} bytes: at most {MAX_BATCH_BYTES} are allowed, send it in parts",
            call.n_body_bytes
        )));
    }
    let run_id = call.fields.run_id()?.to_owned();
    let metrics = call.fields.take_objects("metrics")?;
    let params = call.fields.pairs("params")?;
    let tags = call.fields.pairs("tags")?;
    let (n_metrics, n_params, n_tags) = (metrics.len(), params.len(), tags.len());
    for (what, n_items, most) in [
        ("metrics", n_metrics, MAX_METRICS),
        ("params", n_params, MAX_PARAMS),
        ("tags", n_tags, MAX_TAGS),
        ("metrics, params and tags", n_metrics + n_params + n_tags, MAX_ITEMS),
    ] {
        if n_items > most {
            return Err(WireRefusal::invalid(format!(
                "a batch of {n_items} {what}: at most {most} are allowed, send it in parts"
            )));
        }
    }
    let points = metrics.iter().map(MetricPoint::of).collect::<Result<Vec<_>, _>>()?;
    log(call, &run_id, points, RunBatch { metrics: Vec::new(), params, tags })
}

/// One measured value as a request has it.
struct MetricPoint {
    metric: Metric,
    model_id: Option<String>,
    dataset: Option<(String, String)>,
}

impl MetricPoint {
    fn of(fields: &Fields) -> Result<Self, WireRefusal> {
        let metric = Metric {
            key: fields.required("key")?.to_owned(),
            value: fields.number("value")?.ok_or_else(|| missing("value"))?,
            step: fields.int("step")?.unwrap_or_default(),
            timestamp_ms: fields.int("timestamp")?.ok_or_else(|| missing("timestamp"))?,
        };
        let name = fields.filled("dataset_name")?.map(str::to_owned);
        Ok(Self {
            metric,
            model_id: fields.filled("model_id")?.map(str::to_owned),
            dataset: name.zip(fields.filled("dataset_digest")?.map(str::to_owned)),
        })
    }
}

/// Logs all of it, or nothing.
fn log(call: &RestCall, run_id: &str, points: Vec<MetricPoint>, mut batch: RunBatch) -> CallAnswer {
    let mut of_models: BTreeMap<String, Vec<LoggedMetric>> = BTreeMap::new();
    for MetricPoint { metric, model_id, dataset } in points {
        if let Some(model_id) = model_id {
            let Metric { key, value, step, timestamp_ms } = metric.clone();
            let run_id = run_id.to_owned();
            let measured = LoggedMetric { key, value, step, timestamp_ms, run_id, dataset };
            of_models.entry(model_id).or_default().push(measured);
        }
        batch.metrics.push(metric);
    }
    let logged = call.registry.log_measured(run_id, &batch, &of_models);
    logged.map_err(|error| of_write(run_id, call, error))?;
    Ok(json!({}))
}

/// A refused write in MLflow's words where clients look for them.
fn of_write(run_id: &str, call: &RestCall, error: trialbook::Error) -> WireRefusal {
    let refusal = WireRefusal::from(error);
    if refusal.code == Code::InvalidParameterValue
        && call.registry.run_by_id(run_id).is_ok_and(|run| run.deleted)
    {
        let message = format!(
            "The run {run_id} must be in the 'active' state. Current state is deleted: restore it, or \
             start another run"
        );
        return WireRefusal { message, ..refusal };
    }
    if refusal.message.contains("it cannot become") {
        let message = format!("Changing param values is not allowed. {}", refusal.message);
        return WireRefusal { message, ..refusal };
    }
    refusal
}

/// 2.x clients tell of a logged model in the run's tag.
pub(super) fn log_model(call: &mut RestCall) -> CallAnswer {
    let run_id = call.fields.run_id()?;
    let model_json = call.fields.required("model_json")?;
    let model: Value = serde_json::from_str(model_json).map_err(|error| {
        WireRefusal::invalid(format!(
            "Malformed model info. \n {model_json} \n is malformed JSON: {error}"
        ))
    })?;
    let lacking: Vec<&str> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
        .into_iter()
        .filter(|field| model.get(field).is_none())
        .collect();
    if !lacking.is_empty() {
        return Err(WireRefusal::invalid(format!(
            "Model json is missing mandatory fields: {}",
            lacking.join(", ")
        )));
    }
    call.registry
        .append_to_tag(run_id, MODELS_TAG, model)
        .map_err(|error| of_write(run_id, call, error))?;
    Ok(json!({}))
}
