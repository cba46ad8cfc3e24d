//! The meaning of a version's source: the folder that its files come from.

use std::collections::BTreeMap;

use trialbook::registry::{
    ARTIFACT_SCHEME, Artifact, ArtifactOwner, ModelReference, ModelVersion, Registry,
};

use super::{
    paths::{climbs, without_host},
    place::ArtifactPlace,
    wire::WireRefusal,
};

/// The origin of a version's files.
#[derive(Debug, Default)]
pub(super) struct SourceUri {
    /// Those that this store has, by their names inside the folder.
    pub(super) files: Vec<Artifact>,
    /// The run that they belong to, if one is known.
    pub(super) run_id: Option<String>,
    /// The logged model that they are.
    pub(super) model_id: Option<String>,
    /// The metrics of another version, where it is a copy of one.
    pub(super) metrics: BTreeMap<String, f64>,
    /// The lineage of that version.
    pub(super) lineage: Option<trialbook::registry::Lineage>,
}

impl SourceUri {
    /// The meaning of `uri` to a client that says `run_id` of it.
    ///
    /// # Errors
    /// For a path that leaves its root, a local path, and what is not there.
    pub(super) fn of(
        registry: &Registry,
        uri: &str,
        run_id: Option<&str>,
    ) -> Result<Self, WireRefusal> {
        if climbs(uri) {
            return Err(WireRefusal::invalid(format!(
                "Invalid model version source: {uri:?} must not contain `..`"
            )));
        }
        let uri = without_host(uri);
        if let Some(path) = uri.strip_prefix(ARTIFACT_SCHEME) {
            return Self::of_place(registry, &ArtifactPlace::of(registry, path)?, run_id, &uri);
        }
        if let Some(rest) = uri.strip_prefix("runs:/") {
            let (run, path) = rest.trim_start_matches('/').split_once('/').unwrap_or((rest, ""));
            let owner = ArtifactOwner::Run(run.to_owned());
            let place = ArtifactPlace::Owned { owner, path: path.trim_end_matches('/').to_owned() };
            return Self::of_place(registry, &place, run_id, &uri);
        }
        if let Some(rest) = uri.strip_prefix("models:/") {
            let rest = rest.trim_start_matches('/');
            if rest.starts_with("m-") && !rest.contains('@') {
                let (model_id, path) = rest.split_once('/').unwrap_or((rest, ""));
                let owner = ArtifactOwner::Model(model_id.to_owned());
                let place =
                    ArtifactPlace::Owned { owner, path: path.trim_end_matches('/').to_owned() };
                return Self::of_place(registry, &place, run_id, &uri);
            }
            let version = registry.resolve(&rest.parse::<ModelReference>()?)?;
            return Ok(Self::of_version(version, run_id));
        }
        let is_remote = uri.split_once("://").is_some_and(|(scheme, _)| scheme != "file")
            || uri.starts_with("dbfs:/");
        if is_remote {
            return Ok(Self { run_id: run_id.map(str::to_owned), ..Self::default() });
        }
        Err(WireRefusal::invalid(format!(
            "Invalid model version source: {uri:?}. It has to be a folder of a run's or a logged \
             model's artifacts, or the URI of a remote one"
        )))
    }

    fn of_version(version: ModelVersion, run_id: Option<&str>) -> Self {
        let of_run = run_id.unwrap_or(&version.run_id);
        Self {
            run_id: (!of_run.is_empty()).then(|| of_run.to_owned()),
            model_id: version.registration.and_then(|said| said.model_id),
            files: version.files,
            metrics: version.metrics,
            lineage: Some(version.lineage),
        }
    }

    fn of_place(
        registry: &Registry,
        place: &ArtifactPlace,
        run_id: Option<&str>,
        uri: &str,
    ) -> Result<Self, WireRefusal> {
        let (owner, path) = match place {
            ArtifactPlace::Registered { model, version, .. } => {
                return Ok(Self::of_version(registry.version(model, *version)?, run_id));
            }
            ArtifactPlace::Owned { owner, path } => (owner, path),
            ArtifactPlace::Above => {
                return Err(WireRefusal::invalid(format!(
                    "Invalid model version source: {uri:?} is in no run's and no logged model's \
                     artifacts"
                )));
            }
        };
        let files = Artifact::below(registry.owned_artifacts(owner)?, path);
        let (of_owner, model_id) = match owner {
            ArtifactOwner::Run(run_id) => (Some(run_id.clone()), None),
            ArtifactOwner::Model(model_id) => {
                (registry.logged_model(model_id)?.source_run_id, Some(model_id.clone()))
            }
        };
        let is_others =
            matches!(owner, ArtifactOwner::Run(own) if run_id.is_some_and(|id| id != own));
        if is_others {
            return Err(WireRefusal::invalid(format!(
                "Invalid model version source: {uri:?} is not in the artifacts of run {:?}",
                run_id.unwrap_or_default()
            )));
        }
        Ok(Self {
            files,
            run_id: run_id.map(str::to_owned).or(of_owner),
            model_id,
            ..Self::default()
        })
    }
}
