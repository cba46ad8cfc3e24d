//! The names in a store, for completion: looked up beside whoever types, and given up when the
//! store takes longer than typing allows. Looking creates nothing.

use std::{sync::mpsc, time::Duration};

use trialbook::{
    book::listed_metric,
    data::{Datasets, SplitEntry},
    error::Result,
    figure::{count, metric, short},
    registry::{ModelReference, Registry, RunQuery, Stage, VersionSelector},
    store::Store,
};

use super::{Completion, CompletionKind};

/// Typing goes on after this.
const PATIENCE: Duration = Duration::from_millis(80);
/// Nobody chooses among more runs than this by their beginnings.
const MAX_RUNS: usize = 500;

/// A kind of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameKind {
    /// `imdb`.
    Datasets,
    /// `imdb` and `imdb.train`.
    Splits,
    /// Ids and names of runs.
    Runs,
    /// Registered models.
    Models,
    /// `NAME`, `NAME/3`, `NAME/Production`, `NAME@alias`.
    References,
    /// Numbers of the versions of one model.
    Versions(String),
    /// Aliases of one model.
    Aliases(String),
    /// Experiments.
    Experiments,
    /// Stages of a version.
    Stages,
    /// API keys.
    Keys,
}

/// The names in one store.
#[derive(Debug, Clone)]
pub(super) struct Names(Store);

impl Names {
    pub(super) fn new(store: &Store) -> Self {
        Self(store.clone())
    }

    /// The names, none when the store cannot be read now.
    pub(super) fn find(&self, wanted: &NameKind) -> Vec<Completion> {
        let (sender, found) = mpsc::channel();
        let (names, wanted) = (self.clone(), wanted.clone());
        let worker = std::thread::Builder::new().name("names".to_owned()).spawn(move || {
            // Who asked may have gone on typing.
            let _ = sender.send(names.look_up(&wanted).unwrap_or_default());
        });
        match worker {
            Ok(_) => found.recv_timeout(PATIENCE).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    fn look_up(&self, wanted: &NameKind) -> Result<Vec<Completion>> {
        match wanted {
            NameKind::Stages => {
                Ok(Stage::ALL.iter().map(|stage| name(stage.as_str(), "")).collect())
            }
            NameKind::Datasets => self.datasets(false),
            NameKind::Splits => self.datasets(true),
            // Opening a registry makes one, and a server would be asked at every key.
            _ if self.0.registry_address().is_some() || !self.0.registry_path().exists() => {
                Ok(Vec::new())
            }
            _ => registered(&Registry::open(&self.0)?, wanted),
        }
    }

    fn datasets(&self, with_splits: bool) -> Result<Vec<Completion>> {
        let mut found = Vec::new();
        for dataset in Datasets::new(&self.0).list()? {
            let rows = format!("{} rows", count(dataset.n_rows() as u64));
            found.push(name(&dataset.name, rows));
            if with_splits {
                let split = |split: &SplitEntry| format!("{}.{}", dataset.name, split.name);
                found.extend(dataset.splits.iter().map(|entry| name(split(entry), "")));
            }
        }
        Ok(found)
    }
}

/// The wanted names of the registry; nothing for what it does not know.
fn registered(registry: &Registry, wanted: &NameKind) -> Result<Vec<Completion>> {
    match wanted {
        NameKind::Runs => runs(registry),
        NameKind::References => references(registry),
        NameKind::Models => {
            Ok(registry.models()?.iter().map(|model| name(&model.name, "")).collect())
        }
        NameKind::Versions(model) => {
            let versions = registry.versions(&model_of(model))?;
            let newest_first = versions.iter().rev();
            Ok(newest_first.map(|v| name(v.version.to_string(), v.stage.as_str())).collect())
        }
        NameKind::Aliases(model) => {
            let aliases = registry.model(&model_of(model))?.aliases;
            Ok(aliases.iter().map(|(alias, v)| name(alias, format!("version {v}"))).collect())
        }
        NameKind::Experiments => {
            Ok(registry.experiments()?.iter().map(|found| name(&found.name, "")).collect())
        }
        NameKind::Keys => {
            Ok(registry.keys()?.iter().map(|key| name(&key.name, key.scope.as_str())).collect())
        }
        NameKind::Datasets | NameKind::Splits | NameKind::Stages => Ok(Vec::new()),
    }
}

/// The model that a word names, also as a part of a reference.
fn model_of(word: &str) -> String {
    word.parse().map_or_else(|_| word.to_owned(), |reference: ModelReference| reference.model)
}

fn name(text: impl Into<String>, detail: impl Into<String>) -> Completion {
    Completion::new(text, CompletionKind::Name, detail)
}

/// Newest first, by id and by name.
fn runs(registry: &Registry) -> Result<Vec<Completion>> {
    let query = RunQuery { limit: Some(MAX_RUNS), ..RunQuery::default() };
    let runs = registry.search_runs(&query)?;
    let ids = runs.iter().map(|run| {
        let f1 = listed_metric(run, "f1").map(|f1| format!(", f1 {}", metric(f1)));
        name(short(&run.run_id), format!("{}{}", run.name, f1.unwrap_or_default()))
    });
    let names = runs.iter().map(|run| name(&run.name, short(&run.run_id)));
    Ok(ids.chain(names).collect())
}

fn references(registry: &Registry) -> Result<Vec<Completion>> {
    let mut found = Vec::new();
    for model in registry.models()? {
        let mut offer = |version: VersionSelector, detail: String| {
            let reference = ModelReference { model: model.name.clone(), version };
            found.push(name(reference.to_string(), detail));
        };
        offer(VersionSelector::Default, String::new());
        for version in registry.versions(&model.name)?.iter().rev() {
            offer(VersionSelector::Number(version.version), version.stage.to_string());
        }
        if let Some(version) = registry.production(&model.name)? {
            let detail = format!("version {}", version.version);
            offer(VersionSelector::Stage(Stage::Production), detail);
        }
        for (alias, version) in &model.aliases {
            offer(VersionSelector::Alias(alias.clone()), format!("version {version}"));
        }
    }
    Ok(found)
}
