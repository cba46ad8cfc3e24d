//! `registered-models/…`: made, renamed, described, tagged, aliased, found and deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trialbook::registry::{FORMER_TAG, ModelVersion, Registry, Stage};

use super::{
    call::{CallAnswer, RestCall},
    experiments::{listing, query},
    shapes, token, versions,
    wire::WireRefusal,
};

const DEFAULT_RESULTS: usize = 100;
const MAX_RESULTS: usize = 1_000;

/// The newest version in each stage, or in those of `stages`.
fn latest(
    registry: &Registry,
    model: &str,
    stages: &[Stage],
) -> Result<Vec<ModelVersion>, WireRefusal> {
    let mut of_stages: BTreeMap<&str, ModelVersion> = BTreeMap::new();
    for version in registry.versions(model)? {
        if stages.is_empty() || stages.contains(&version.stage) {
            of_stages.insert(version.stage.as_str(), version);
        }
    }
    Ok(of_stages.into_values().collect())
}

fn shape(registry: &Registry, name: &str) -> Result<Value, WireRefusal> {
    let model = registry.model(name)?;
    Ok(shapes::model(&model, &latest(registry, name, &[])?, &registry.former_production(name)?))
}

pub(super) fn create(call: &mut RestCall) -> CallAnswer {
    let tags = call.fields.map("tags")?;
    let name = call.fields.required("name")?;
    let description = call.fields.text("description")?.unwrap_or_default();
    let made = call.registry.create_described_model(name, description, &tags);
    let model = made.map_err(|error| WireRefusal::of_making(&error))?;
    Ok(json!({ "registered_model": shapes::model(&model, &[], &[]) }))
}

pub(super) fn rename(call: &mut RestCall) -> CallAnswer {
    let (name, new_name) = (call.fields.required("name")?, call.fields.required("new_name")?);
    call.registry.rename_model(name, new_name).map_err(|error| WireRefusal::of_making(&error))?;
    Ok(json!({ "registered_model": shape(&call.registry, new_name)? }))
}

pub(super) fn update(call: &mut RestCall) -> CallAnswer {
    let name = call.fields.required("name")?;
    if let Some(description) = call.fields.text("description")? {
        call.registry.describe_model(name, None, description)?;
    }
    Ok(json!({ "registered_model": shape(&call.registry, name)? }))
}

pub(super) fn delete(call: &mut RestCall) -> CallAnswer {
    call.registry.delete_model(call.fields.required("name")?, None)?;
    Ok(json!({}))
}

pub(super) fn get(call: &mut RestCall) -> CallAnswer {
    Ok(json!({ "registered_model": shape(&call.registry, call.fields.required("name")?)? }))
}

pub(super) fn search(call: &mut RestCall) -> CallAnswer {
    let query = query(&call.fields)?;
    let limit = call.fields.max_results(Some(DEFAULT_RESULTS), MAX_RESULTS)?;
    let page = token::page(call.fields.text("page_token")?, limit)?;
    let found = call.registry.search_models(&query, &page)?;
    let mut models = Vec::new();
    for model in &found.items {
        let former = call.registry.former_production(&model.name)?;
        models.push(shapes::model(model, &latest(&call.registry, &model.name, &[])?, &former));
    }
    Ok(listing("registered_models", models, token::of(found.next)))
}

pub(super) fn get_latest_versions(call: &mut RestCall) -> CallAnswer {
    let name = call.fields.required("name")?;
    let stages = call.fields.texts("stages")?;
    let stages = stages.iter().map(|stage| stage.parse()).collect::<trialbook::Result<Vec<_>>>()?;
    let found = latest(&call.registry, name, &stages)?;
    let versions = found.iter().map(|version| shapes::version(version, Vec::new())).collect();
    Ok(listing("model_versions", versions, None))
}

pub(super) fn set_tag(call: &mut RestCall) -> CallAnswer {
    let value = call.fields.text("value")?.unwrap_or_default();
    let (name, key) = (call.fields.required("name")?, call.fields.required("key")?);
    if key == FORMER_TAG {
        return Err(WireRefusal::invalid(format!(
            "the tag {key} is this server's own record of the model and cannot be set"
        )));
    }
    call.registry.tag_model(name, None, key, Some(value))?;
    Ok(json!({}))
}

pub(super) fn delete_tag(call: &mut RestCall) -> CallAnswer {
    let (name, key) = (call.fields.required("name")?, call.fields.required("key")?);
    call.registry.tag_model(name, None, key, None)?;
    Ok(json!({}))
}

pub(super) fn set_alias(call: &mut RestCall) -> CallAnswer {
    let (name, alias) = (call.fields.required("name")?, call.fields.required("alias")?);
    let version = versions::number(&call.fields)?;
    call.registry.set_alias(name, alias, Some(version))?;
    Ok(json!({}))
}

pub(super) fn delete_alias(call: &mut RestCall) -> CallAnswer {
    let (name, alias) = (call.fields.required("name")?, call.fields.required("alias")?);
    // Removing what is not there is no error in MLflow.
    if call.registry.model(name)?.aliases.contains_key(alias) {
        call.registry.set_alias(name, alias, None)?;
    }
    Ok(json!({}))
}

pub(super) fn get_by_alias(call: &mut RestCall) -> CallAnswer {
    let (name, alias) = (call.fields.required("name")?, call.fields.required("alias")?);
    let model = call.registry.model(name)?;
    let Some(number) = model.aliases.get(alias) else {
        return Err(WireRefusal::invalid(format!(
            "Registered model alias {alias} not found: model {name:?} has {}",
            match model.aliases.is_empty() {
                true => "none".to_owned(),
                false => model.aliases.keys().cloned().collect::<Vec<_>>().join(", "),
            }
        )));
    };
    let version = call.registry.version(name, *number)?;
    let aliases = model.aliases_of(*number).collect();
    Ok(json!({ "model_version": shapes::version(&version, aliases) }))
}
