//! The tags in which a server that knows less than a store keeps what a store knows of versions: all begin
//! with `trialbook.`, and their values are JSON. It asks no server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Error, ErrorKind, Result},
    registry::{
        record::{Artifact, Lineage, ModelVersion, StageChange},
        release::Release,
    },
};

/// A version's tag with its files: names, SHA-256 and lengths.
pub const FILES_TAG: &str = "trialbook.files";
/// A version's tag with its dataset, fingerprints, code version and seed.
pub const LINEAGE_TAG: &str = "trialbook.lineage";
/// A version's tag with its metrics on the lineage's test split.
pub const METRICS_TAG: &str = "trialbook.metrics";
/// A version's tag with the gate's newest verdict and its evidence.
pub const VERDICT_TAG: &str = "trialbook.verdict";
/// A version's tag with every change of its stage, who made it and why.
pub const HISTORY_TAG: &str = "trialbook.history";
/// A model's tag with the versions that were in Production, for the way back.
pub const FORMER_TAG: &str = "trialbook.former_production";
/// A model's tag with its newest release, as it was started and how far it is.
pub const RELEASE_TAG: &str = "trialbook.release";
/// A model's tag with the end of a release. It is a tag of its own, since a server knows no transaction:
/// no step that was decided before an end can overwrite it.
pub const RELEASE_END_TAG: &str = "trialbook.release_end";
/// In front of a run's tags with the SHA-256 of its artifacts: the artifact's path follows.
pub(super) const SHA256_PREFIX: &str = "trialbook.sha256.";

/// The tags of versions that hold what a store keeps in their own records.
const OF_VERSIONS: [&str; 5] = [FILES_TAG, LINEAGE_TAG, METRICS_TAG, VERDICT_TAG, HISTORY_TAG];

/// As many changes of stage as a tag keeps: the newest.
const MAX_CHANGES: usize = 200;

#[derive(Serialize, Deserialize)]
struct Measured(#[serde(with = "crate::registry::finite_or_text")] BTreeMap<String, f64>);

/// True for a tag of a version that stands for a part of its record.
pub fn is_record_tag(key: &str) -> bool {
    OF_VERSIONS.contains(&key)
}

/// A store's record of a version, as the tags that say it elsewhere. Of one that a client registered
/// without them there is only what happened since.
pub fn record_tags(version: &ModelVersion) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    if !version.lineage.code_version.is_empty() {
        tags.extend(registered_tags(&version.files, &version.lineage, &version.metrics));
    }
    tags.extend(version.verdict.as_ref().map(|verdict| (VERDICT_TAG, verdict.to_string())));
    if !version.history.is_empty() {
        tags.push((HISTORY_TAG, history_text(&version.history)));
    }
    tags
}

/// The tags that a version has from its registration on.
pub(super) fn registered_tags(
    files: &[Artifact],
    lineage: &Lineage,
    metrics: &BTreeMap<String, f64>,
) -> [(&'static str, String); 3] {
    [
        (FILES_TAG, text(&files)),
        (LINEAGE_TAG, text(lineage)),
        (METRICS_TAG, text(&Measured(metrics.clone()))),
    ]
}

pub(super) fn history_text(history: &[StageChange]) -> String {
    text(&&history[history.len().saturating_sub(MAX_CHANGES)..])
}

/// Metrics as their tag writes them; none for another text.
pub fn metrics_of(text: &str) -> Option<BTreeMap<String, f64>> {
    serde_json::from_str::<Measured>(text).ok().map(|Measured(metrics)| metrics)
}

/// Moves what `tags` say of a version's record into it; other tags stay.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for a tag that does not hold what it is for, with its name.
pub fn take_record_tags(version: &mut ModelVersion) -> Result<()> {
    let subject = format!("model {:?} version {}", version.model, version.version);
    let tags = &mut version.tags;
    if let Some(files) = taken(tags, FILES_TAG, &subject)? {
        version.files = files;
    }
    if let Some(lineage) = taken(tags, LINEAGE_TAG, &subject)? {
        version.lineage = lineage;
    }
    if let Some(Measured(metrics)) = taken(tags, METRICS_TAG, &subject)? {
        version.metrics = metrics;
    }
    if let Some(verdict) = taken::<Value>(tags, VERDICT_TAG, &subject)? {
        version.verdict = Some(verdict);
    }
    if let Some(history) = taken(tags, HISTORY_TAG, &subject)? {
        version.history = history;
    }
    Ok(())
}

/// The newest release of a model, with its end if it has one.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for a tag that holds something else.
pub(super) fn release(tags: &BTreeMap<String, String>, model: &str) -> Result<Option<Release>> {
    let (mut tags, subject) = (tags.clone(), format!("model {model:?}"));
    let begun = taken::<Release>(&mut tags, RELEASE_TAG, &subject)?;
    let ended = taken::<Release>(&mut tags, RELEASE_END_TAG, &subject)?;
    Ok(match (begun, ended) {
        (Some(begun), Some(ended)) if begun.id == ended.id => Some(ended),
        (begun, _) => begun,
    })
}

/// The versions that were in Production, oldest first.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for a tag that holds something else.
pub(super) fn former_production(tags: &BTreeMap<String, String>, model: &str) -> Result<Vec<u32>> {
    let mut tags = tags.clone();
    Ok(taken(&mut tags, FORMER_TAG, &format!("model {model:?}"))?.unwrap_or_default())
}

fn taken<T: DeserializeOwned>(
    tags: &mut BTreeMap<String, String>,
    key: &str,
    subject: &str,
) -> Result<Option<T>> {
    let Some(text) = tags.remove(key) else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|source| {
        Error::new(ErrorKind::Corrupt, format!("{subject}: the tag {key} cannot be read"))
            .with_hint("somebody else wrote it, or cut it off: remove the tag")
            .with_source(source)
    })
}

/// Plain values in JSON.
pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::record::Stage;

    #[test]
    fn a_version_s_record_survives_as_tags_whatever_was_measured() {
        let history = vec![StageChange {
            from: Stage::None,
            to: Stage::Staging,
            at_ms: 7,
            note: "ada".into(),
        }];
        let version = ModelVersion {
            model: "M".to_owned(),
            version: 2,
            stage: Stage::Staging,
            run_id: "0".repeat(32),
            created_ms: 1,
            files: vec![Artifact { path: "w".into(), sha256: "a".repeat(64), size_bytes: 3 }],
            lineage: Lineage { code_version: "trialbook 1".into(), seed: 42, ..Lineage::default() },
            metrics: BTreeMap::from([("f1".into(), 0.5), ("loss".into(), f64::INFINITY)]),
            tags: BTreeMap::from([("team".into(), "mail".into())]),
            verdict: Some(serde_json::json!({"passed": true})),
            history,
            registration: None,
        };
        let mut read = ModelVersion {
            files: Vec::new(),
            lineage: Lineage::default(),
            metrics: BTreeMap::new(),
            verdict: None,
            history: Vec::new(),
            ..version.clone()
        };
        let told = record_tags(&version).into_iter();
        read.tags.extend(told.map(|(key, value)| (key.to_owned(), value)));
        take_record_tags(&mut read).unwrap();
        assert_eq!(read, version);
    }

    #[test]
    fn a_tag_that_was_cut_off_is_named() {
        let mut tags = BTreeMap::from([(FORMER_TAG.to_owned(), "[1,".to_owned())]);
        let error = former_production(&tags, "M").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(FORMER_TAG), "{error}");
        tags.insert(FORMER_TAG.to_owned(), "[1,2]".to_owned());
        assert_eq!(former_production(&tags, "M").unwrap(), [1, 2]);
    }
}
