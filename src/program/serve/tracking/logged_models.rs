//! `logged-models/…`: models that runs make.

use serde_json::{Value, json};
use trialbook::registry::{ArtifactOwner, Folder, LoggedModel, ModelStatus, NewLoggedModel, Query};

use super::{
    artifacts,
    call::{CallAnswer, RestCall},
    experiments::listing,
    shapes::{self, Locations},
    token,
    wire::WireRefusal,
};

const DEFAULT_RESULTS: usize = 100;
const MAX_RESULTS: usize = 1_000;

fn one(call: &RestCall, model: &LoggedModel) -> CallAnswer {
    let locations = Locations::of(&call.registry, [model.experiment_id.as_str()])?;
    Ok(json!({ "model": shapes::logged_model(&locations, model) }))
}

pub(super) fn create(call: &mut RestCall) -> CallAnswer {
    let new = NewLoggedModel {
        experiment_id: call.fields.required("experiment_id")?.to_owned(),
        name: call.fields.filled("name")?.map(str::to_owned),
        model_type: call.fields.filled("model_type")?.map(str::to_owned),
        source_run_id: call.fields.filled("source_run_id")?.map(str::to_owned),
        params: call.fields.map("params")?,
        tags: call.fields.map("tags")?,
    };
    let model = call.registry.create_logged_model(new)?;
    one(call, &model)
}

pub(super) fn get(call: &mut RestCall) -> CallAnswer {
    let model = call.registry.logged_model(&call.path[0])?;
    one(call, &model)
}

pub(super) fn finalize(call: &mut RestCall) -> CallAnswer {
    let status: ModelStatus = match call.fields.required("status")? {
        "2" => ModelStatus::Ready,
        "3" => ModelStatus::UploadFailed,
        status => status.parse()?,
    };
    let model = call.registry.set_model_status(&call.path[0], status)?;
    one(call, &model)
}

pub(super) fn delete(call: &mut RestCall) -> CallAnswer {
    call.registry.delete_logged_model(&call.path[0])?;
    Ok(json!({}))
}

pub(super) fn set_tags(call: &mut RestCall) -> CallAnswer {
    let tags = call.fields.map("tags")?;
    let tags: Vec<_> = tags.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let model = call.registry.tag_logged_model(&call.path[0], &tags)?;
    one(call, &model)
}

pub(super) fn delete_tag(call: &mut RestCall) -> CallAnswer {
    let (model_id, key) = (&call.path[0], &call.path[1]);
    if !call.registry.logged_model(model_id)?.tags.contains_key(key) {
        return Err(WireRefusal::missing(format!("logged model {model_id:?} has no tag {key:?}")));
    }
    call.registry.tag_logged_model(model_id, &[(key.clone(), None)])?;
    Ok(json!({}))
}

pub(super) fn log_params(call: &mut RestCall) -> CallAnswer {
    let params = call.fields.pairs("params")?;
    call.registry.log_model_params(&call.path[0], &params)?;
    Ok(json!({}))
}

pub(super) fn search(call: &mut RestCall) -> CallAnswer {
    let mut order = Vec::new();
    for by in call.fields.take_objects("order_by")? {
        let direction = if by.bool("ascending")?.unwrap_or(true) { "ASC" } else { "DESC" };
        order.push(format!("{} {direction}", by.required("field_name")?));
    }
    let mut datasets = Vec::new();
    for dataset in call.fields.take_objects("datasets")? {
        let digest = dataset.filled("dataset_digest")?.map(str::to_owned);
        datasets.push((dataset.required("dataset_name")?.to_owned(), digest));
    }
    let query = Query { filter: call.fields.filled("filter")?.map(str::to_owned), order };
    let limit = call.fields.max_results(Some(DEFAULT_RESULTS), MAX_RESULTS)?;
    let page = token::page(call.fields.text("page_token")?, limit)?;
    let experiment_ids = call.fields.texts("experiment_ids")?;
    let found = call.registry.search_logged_models(&query, &experiment_ids, &datasets, &page)?;
    let experiment_ids = found.items.iter().map(|model| model.experiment_id.as_str());
    let locations = Locations::of(&call.registry, experiment_ids)?;
    let models: Vec<Value> =
        found.items.iter().map(|model| shapes::logged_model(&locations, model)).collect();
    Ok(listing("models", models, token::of(found.next)))
}

pub(super) fn list_artifacts(call: &mut RestCall) -> CallAnswer {
    let model = call.registry.logged_model(&call.path[0])?;
    let owner = ArtifactOwner::Model(model.model_id.clone());
    let path = call.fields.filled("artifact_directory_path")?.unwrap_or_default();
    let files = call.registry.owned_artifacts(&owner)?;
    let folder = Folder::of(&files, path.trim_matches('/'));
    let root_uri = Locations::of(&call.registry, [model.experiment_id.as_str()])?.model_uri(&model);
    Ok(artifacts::listed(&root_uri, &folder))
}
