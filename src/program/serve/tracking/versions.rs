//! `model-versions/…`: registered, described, tagged, found and deleted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trialbook::{
    error::ErrorKind,
    gate,
    registry::{
        LINEAGE_TAG, Lineage, METRICS_TAG, ModelVersion, NewRegistration, Registration,
        VERDICT_TAG, is_record_tag, metrics_of,
    },
};

use super::{
    call::{CallAnswer, RestCall},
    experiments::{listing, query},
    fields::Fields,
    paths::version_uri,
    shapes,
    source::SourceUri,
    token,
    wire::WireRefusal,
};

const DEFAULT_RESULTS: usize = 10_000;
const MAX_RESULTS: usize = 200_000;

/// The number of a version that a request names.
pub(super) fn number(fields: &Fields) -> Result<u32, WireRefusal> {
    let number = match fields.int("version")? {
        Some(number) => u32::try_from(number).ok().filter(|number| *number > 0),
        None => return Err(super::fields::missing("version")),
    };
    number.ok_or_else(|| {
        WireRefusal::invalid(
            "Invalid value for parameter 'version' supplied: a version is 1, 2, 3, …",
        )
    })
}

/// A version with its aliases.
pub(super) fn shape(call: &RestCall, version: &ModelVersion) -> Result<Value, WireRefusal> {
    let model = call.registry.model(&version.model)?;
    Ok(shapes::version(version, model.aliases_of(version.version).collect()))
}

fn one(call: &RestCall, version: &ModelVersion) -> CallAnswer {
    Ok(json!({ "model_version": shape(call, version)? }))
}

fn asked(call: &RestCall) -> Result<ModelVersion, WireRefusal> {
    let found = call.registry.version(call.fields.required("name")?, number(&call.fields)?);
    Ok(found?)
}

pub(super) fn create(call: &mut RestCall) -> CallAnswer {
    let mut tags = call.fields.map("tags")?;
    let uri = call.fields.required("source")?;
    let run_id = call.fields.filled("run_id")?;
    let model = call.fields.required("name")?;
    // Said before anything is read.
    call.registry.model(model)?;
    let mut source = SourceUri::of(&call.registry, uri, run_id)?;
    take_record(&mut source, &mut tags);
    // A run that was removed for good leaves its models' files.
    let run = match &source.run_id {
        Some(run_id) => match call.registry.run_by_id(run_id) {
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && call.fields.filled("run_id")?.is_none() =>
            {
                None
            }
            found => Some(found?),
        },
        None => None,
    };
    let registration = Registration {
        source: uri.to_owned(),
        model_id: call.fields.filled("model_id")?.map(str::to_owned).or(source.model_id),
        run_link: call.fields.filled("run_link")?.map(str::to_owned),
        description: call.fields.text("description")?.unwrap_or_default().to_owned(),
        user: run.as_ref().map(|run| run.who().to_owned()).unwrap_or_default(),
        updated_ms: 0,
    };
    let version = call.registry.register(NewRegistration {
        model: model.to_owned(),
        run_id: run.map(|run| run.run_id).unwrap_or_default(),
        files: source.files,
        metrics: source.metrics,
        lineage: source.lineage.unwrap_or_default(),
        tags,
        registration,
    })?;
    one(call, &version)
}

/// Moves what another trialbook says of a version's origin from the tags to where it belongs: the files
/// have to be those that the source has here. What cannot be read stays a tag of its client's, but
/// for its name.
fn take_record(source: &mut SourceUri, tags: &mut BTreeMap<String, String>) {
    let lineage = tags.remove(LINEAGE_TAG);
    let lineage = lineage.and_then(|text| serde_json::from_str::<Lineage>(&text).ok());
    if let Some(lineage) = lineage.filter(|lineage| !lineage.code_version.is_empty()) {
        source.lineage = Some(lineage);
        let metrics = tags.remove(METRICS_TAG);
        source.metrics.extend(metrics.and_then(|text| metrics_of(&text)).unwrap_or_default());
    }
    tags.retain(|key, _| !is_record_tag(key));
}

pub(super) fn get(call: &mut RestCall) -> CallAnswer {
    let version = asked(call)?;
    one(call, &version)
}

pub(super) fn update(call: &mut RestCall) -> CallAnswer {
    let version = asked(call)?;
    if let Some(description) = call.fields.text("description")? {
        call.registry.describe_model(&version.model, Some(version.version), description)?;
    }
    get(call)
}

pub(super) fn delete(call: &mut RestCall) -> CallAnswer {
    let (name, version) = (call.fields.required("name")?, number(&call.fields)?);
    call.registry.delete_model(name, Some(version))?;
    Ok(json!({}))
}

pub(super) fn search(call: &mut RestCall) -> CallAnswer {
    let query = query(&call.fields)?;
    let limit = call.fields.max_results(Some(DEFAULT_RESULTS), MAX_RESULTS)?;
    let page = token::page(call.fields.text("page_token")?, limit)?;
    let found = call.registry.search_versions(&query, &page)?;
    let versions = found.items.iter().map(|version| shapes::version(version, Vec::new())).collect();
    Ok(listing("model_versions", versions, token::of(found.next)))
}

/// The URI of the version's files: those that this store has do not change with their source.
pub(super) fn get_download_uri(call: &mut RestCall) -> CallAnswer {
    let version = asked(call)?;
    let source = version.registration.as_ref().map(|said| said.source.clone());
    let uri = match source {
        Some(source) if version.files.is_empty() => source,
        _ => version_uri(&version),
    };
    Ok(json!({ "artifact_uri": uri }))
}

pub(super) fn set_tag(call: &mut RestCall) -> CallAnswer {
    let version = asked(call)?;
    let value = call.fields.text("value")?.unwrap_or_default();
    let key = call.fields.required("key")?;
    if key == VERDICT_TAG {
        let who = call.registry.who().to_owned();
        gate::adopt(&call.registry, &version, value, &who)?;
        return Ok(json!({}));
    }
    if is_record_tag(key) {
        return Err(WireRefusal::invalid(format!(
            "the tag {key} is this server's own record of the version and cannot be set"
        )));
    }
    call.registry.tag_model(&version.model, Some(version.version), key, Some(value))?;
    Ok(json!({}))
}

pub(super) fn delete_tag(call: &mut RestCall) -> CallAnswer {
    let version = asked(call)?;
    let key = call.fields.required("key")?;
    call.registry.tag_model(&version.model, Some(version.version), key, None)?;
    Ok(json!({}))
}
