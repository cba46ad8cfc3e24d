//! The artifacts that a path of the proxy means: those of a run, of a logged model, or of a registered
//! version, which nobody can change.

use trialbook::registry::{ARTIFACT_SCHEME, Artifact, ArtifactOwner, Folder, Registry};

use super::{
    paths::{REGISTERED, climbs, without_host},
    shapes::Locations,
    wire::WireRefusal,
};

const ARTIFACTS: &str = "artifacts";

/// The place that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArtifactPlace {
    /// Below the artifacts of a run or a logged model.
    Owned {
        owner: ArtifactOwner,
        /// The rest of the path; empty for all of them.
        path: String,
    },
    /// Below the files of a registered version.
    Registered { model: String, version: u32, path: String },
    /// A folder above them, which only lists nothing.
    Above,
}

impl ArtifactPlace {
    /// The place that `path` leads to; its percent signs are decoded.
    ///
    /// # Errors
    /// For one that leaves its root, and one that is no run's, model's or version's.
    pub(super) fn of(registry: &Registry, path: &str) -> Result<Self, WireRefusal> {
        if climbs(path) || path.starts_with('/') {
            return Err(invalid(path));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if let [REGISTERED, model, version, rest @ ..] = parts.as_slice() {
            let version = version.parse().map_err(|_| invalid(path))?;
            let path = rest.join("/");
            return Ok(Self::Registered { model: (*model).to_owned(), version, path });
        }
        // An experiment may have a folder of its own, of any depth.
        let owned = parts.windows(2).enumerate().find_map(|(idx, pair)| {
            let owner = if pair[1] == ARTIFACTS { owner(pair[0]) } else { None };
            owner.map(|owner| (owner, idx + 2))
        });
        let Some((owner, n_root)) = owned else { return Ok(Self::Above) };
        let root = format!("{ARTIFACT_SCHEME}{}", parts[..n_root].join("/"));
        if without_host(&uri(registry, &owner)?) != root {
            return Err(WireRefusal::missing(format!(
                "there are no artifacts of {} at {root:?}",
                owner.id()
            )));
        }
        Ok(Self::Owned { owner, path: parts[n_root..].join("/") })
    }

    /// The files there are, each by its path from here on.
    pub(super) fn folder(&self, registry: &Registry) -> Result<Folder, WireRefusal> {
        Ok(match self {
            Self::Owned { owner, path } => Folder::of(&registry.owned_artifacts(owner)?, path),
            Self::Registered { model, version, path } => {
                Folder::of(&registry.version(model, *version)?.files, path)
            }
            Self::Above => Folder::Entries(Vec::new()),
        })
    }

    /// The file there is.
    pub(super) fn file(&self, registry: &Registry) -> Result<Artifact, WireRefusal> {
        match (self, self.folder(registry)?) {
            (_, Folder::File(file)) => Ok(file),
            (Self::Owned { path, .. } | Self::Registered { path, .. }, Folder::Entries(_)) => {
                Err(WireRefusal::missing(format!("there is no artifact at {path:?}")))
            }
            (Self::Above, _) => Err(WireRefusal::missing("there is no artifact at this path")),
        }
    }
}

fn owner(part: &str) -> Option<ArtifactOwner> {
    let is_id = |id: &str| {
        id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match part.strip_prefix("m-") {
        Some(id) if is_id(id) => Some(ArtifactOwner::Model(part.to_owned())),
        None if is_id(part) => Some(ArtifactOwner::Run(part.to_owned())),
        _ => None,
    }
}

/// The URI of an owner's artifacts.
pub(super) fn uri(registry: &Registry, owner: &ArtifactOwner) -> Result<String, WireRefusal> {
    Ok(match owner {
        ArtifactOwner::Run(run_id) => {
            let run = registry.run_by_id(run_id)?;
            Locations::of(registry, [run.experiment_id.as_str()])?.run_uri(&run)
        }
        ArtifactOwner::Model(model_id) => {
            let model = registry.logged_model(model_id)?;
            Locations::of(registry, [model.experiment_id.as_str()])?.model_uri(&model)
        }
    })
}

fn invalid(path: &str) -> WireRefusal {
    WireRefusal::invalid(format!(
        "Invalid path: {path:?} has to stay below the artifacts of a run or a model"
    ))
}
