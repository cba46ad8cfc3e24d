//! `experiments/…`: made, found, renamed, tagged, deleted and restored.

use serde_json::{Value, json};
use trialbook::registry::{DatasetUse, Experiment, Lifecycle, NewExperiment, Query};

use super::{
    call::{CallAnswer, RestCall},
    fields::Fields,
    paths::climbs,
    shapes, token,
    wire::{Code, WireRefusal},
};

/// MLflow's name of experiment 0, which here is named after sentiment.
const DEFAULT_NAME: &str = "Default";
const DEFAULT_ID: &str = "0";

pub(super) const MAX_RESULTS: usize = 50_000;

pub(super) fn create(call: &mut RestCall) -> CallAnswer {
    let new = NewExperiment {
        name: call.fields.required("name")?.to_owned(),
        artifact_location: call.fields.filled("artifact_location")?.map(str::to_owned),
        tags: call.fields.map("tags")?,
    };
    if let Some(location) = &new.artifact_location {
        check_location(location)?;
    }
    if new.name == DEFAULT_NAME {
        let message = "experiment \"Default\" exists already: it is the one with id 0";
        return Err(WireRefusal::new(Code::AlreadyExists, message));
    }
    let made =
        call.registry.create_experiment(new).map_err(|error| WireRefusal::of_making(&error))?;
    Ok(json!({ "experiment_id": made.experiment_id }))
}

/// A location is a URI without a way out of itself.
fn check_location(location: &str) -> Result<(), WireRefusal> {
    let is_uri = location.split_once(":/").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if is_uri
        && !location.starts_with("file:")
        && !climbs(location)
        && !location.contains(['#', '?'])
    {
        return Ok(());
    }
    Err(WireRefusal::invalid(format!(
        "artifact_location {location:?} is no place for artifacts: leave it out to keep them in this \
         store, or give the URI of a remote one such as s3://bucket/path"
    )))
}

pub(super) fn get(call: &mut RestCall) -> CallAnswer {
    let found = call.registry.experiment_by_id(call.fields.required("experiment_id")?)?;
    Ok(one(&found))
}

pub(super) fn get_by_name(call: &mut RestCall) -> CallAnswer {
    let name = call.fields.required("experiment_name")?;
    match call.registry.named_experiment(name)? {
        Some(found) => Ok(one(&found)),
        None if name == DEFAULT_NAME => Ok(one(&call.registry.experiment_by_id(DEFAULT_ID)?)),
        None => Err(WireRefusal::missing(format!("Could not find experiment with name '{name}'"))),
    }
}

fn one(experiment: &Experiment) -> Value {
    json!({ "experiment": shapes::experiment(experiment) })
}

pub(super) fn search(call: &mut RestCall) -> CallAnswer {
    let query = query(&call.fields)?;
    let limit = call.fields.max_results(None, MAX_RESULTS)?;
    let page = token::page(call.fields.text("page_token")?, limit)?;
    let lifecycle = lifecycle(&call.fields, "view_type")?;
    let found = call.registry.search_experiments(&query, lifecycle, &page)?;
    let experiments: Vec<Value> = found.items.iter().map(shapes::experiment).collect();
    Ok(listing("experiments", experiments, token::of(found.next)))
}

pub(super) fn delete(call: &mut RestCall) -> CallAnswer {
    set_deleted(call, true)
}

pub(super) fn restore(call: &mut RestCall) -> CallAnswer {
    set_deleted(call, false)
}

fn set_deleted(call: &RestCall, deleted: bool) -> CallAnswer {
    let experiment_id = call.fields.required("experiment_id")?;
    call.registry.set_experiment_deleted(experiment_id, deleted)?;
    Ok(json!({}))
}

pub(super) fn update(call: &mut RestCall) -> CallAnswer {
    let experiment_id = call.fields.required("experiment_id")?;
    if let Some(name) = call.fields.filled("new_name")? {
        let renamed = call.registry.rename_experiment(experiment_id, name);
        renamed.map_err(|error| match call.registry.named_experiment(name) {
            Ok(Some(_)) => WireRefusal::of_making(&error),
            _ => error.into(),
        })?;
    }
    Ok(json!({}))
}

pub(super) fn set_tag(call: &mut RestCall) -> CallAnswer {
    let (id, key) = (call.fields.required("experiment_id")?, call.fields.required("key")?);
    call.registry.tag_experiment(id, key, Some(call.fields.required_text("value")?))?;
    Ok(json!({}))
}

pub(super) fn delete_tag(call: &mut RestCall) -> CallAnswer {
    let (id, key) = (call.fields.required("experiment_id")?, call.fields.required("key")?);
    if !call.registry.experiment_by_id(id)?.tags.contains_key(key) {
        return Err(WireRefusal::missing(format!("experiment {id:?} has no tag {key:?}")));
    }
    call.registry.tag_experiment(id, key, None)?;
    Ok(json!({}))
}

/// The datasets that runs of experiments have read.
pub(super) fn search_datasets(call: &mut RestCall) -> CallAnswer {
    let found = call.registry.datasets_read_in(&call.fields.texts("experiment_ids")?)?;
    let summaries = found.into_iter().map(|read| {
        let DatasetUse { experiment_id, name, digest, context } = read;
        let mut summary = json!({"experiment_id": experiment_id, "name": name, "digest": digest});
        if let Some(context) = context {
            summary["context"] = context.into();
        }
        summary
    });
    Ok(json!({ "dataset_summaries": summaries.collect::<Vec<_>>() }))
}

/// Filter and orders of a search.
pub(super) fn query(fields: &Fields) -> Result<Query, WireRefusal> {
    Ok(Query {
        filter: fields.filled("filter")?.map(str::to_owned),
        order: fields.texts("order_by")?,
    })
}

/// The lifecycle that a search wants in its field `name`.
pub(super) fn lifecycle(fields: &Fields, name: &str) -> Result<Lifecycle, WireRefusal> {
    match fields.filled(name)? {
        None | Some("ACTIVE_ONLY") => Ok(Lifecycle::Live),
        Some("DELETED_ONLY") => Ok(Lifecycle::Deleted),
        Some("ALL") => Ok(Lifecycle::Any),
        Some(other) => Err(WireRefusal::invalid(format!(
            "Invalid value {other:?} for parameter '{name}' supplied: one of ACTIVE_ONLY, \
             DELETED_ONLY, ALL"
        ))),
    }
}

/// The answer of a search.
pub(super) fn listing(name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = json!({});
    if !items.is_empty() {
        answer[name] = items.into();
    }
    if let Some(next) = next {
        answer["next_page_token"] = next.into();
    }
    answer
}
