//! `artifacts/list` and `get-artifact`: artifacts by their run or version, for clients that know no proxy.

use serde_json::{Value, json};
use trialbook::registry::{Artifact, ArtifactOwner, Folder, FolderEntry, Registry};

use super::{
    call::{CallAnswer, RestCall},
    fields::Fields,
    paths::climbs,
    place::ArtifactPlace,
    shapes::Locations,
    wire::WireRefusal,
};

pub(super) fn list(call: &mut RestCall) -> CallAnswer {
    let run = call.registry.run_by_id(call.fields.run_id()?)?;
    let path = path_of(&call.fields)?;
    let files = call.registry.owned_artifacts(&ArtifactOwner::Run(run.run_id.clone()))?;
    let root_uri = Locations::of(&call.registry, [run.experiment_id.as_str()])?.run_uri(&run);
    Ok(listed(&root_uri, &Folder::of(&files, path)))
}

fn path_of(fields: &Fields) -> Result<&str, WireRefusal> {
    let path = fields.filled("path")?.unwrap_or_default();
    if climbs(path) || path.starts_with('/') {
        return Err(WireRefusal::invalid(format!(
            "Invalid path: {path:?} has to stay below the run's artifacts"
        )));
    }
    Ok(path.trim_end_matches('/'))
}

/// The content of a folder; of a file nothing, as in MLflow.
pub(super) fn listed(root_uri: &str, folder: &Folder) -> Value {
    let mut answer = json!({ "root_uri": root_uri });
    if let Folder::Entries(entries) = folder
        && !entries.is_empty()
    {
        answer["files"] = entries.iter().map(|entry| file_info(&entry.path, entry)).collect();
    }
    answer
}

/// A file or folder under the name `path`.
pub(super) fn file_info(path: &str, entry: &FolderEntry) -> Value {
    match entry.size_bytes {
        Some(size_bytes) => json!({"path": path, "is_dir": false, "file_size": size_bytes}),
        None => json!({"path": path, "is_dir": true}),
    }
}

/// The file that `get-artifact` asks for.
pub(super) fn of_run(registry: &Registry, fields: &Fields) -> Result<Artifact, WireRefusal> {
    let owner = ArtifactOwner::Run(fields.run_id()?.to_owned());
    fields.required("path")?;
    ArtifactPlace::Owned { owner, path: path_of(fields)?.to_owned() }.file(registry)
}

/// The file that `model-versions/get-artifact` asks for.
pub(super) fn of_version(registry: &Registry, fields: &Fields) -> Result<Artifact, WireRefusal> {
    let version = super::versions::number(fields)?;
    let model = fields.required("name")?.to_owned();
    fields.required("path")?;
    ArtifactPlace::Registered { model, version, path: path_of(fields)?.to_owned() }.file(registry)
}
