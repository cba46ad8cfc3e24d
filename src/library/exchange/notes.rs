//! The knowledge of a thing that only this registry has, as tags for other stores: `trialbook.audit`,
//! `trialbook.history`, `trialbook.verdict`, `trialbook.lineage`, `trialbook.metrics`. Lineage and
//! metrics are read back; a verdict is not, since whoever writes such a tag is no gate.

use std::collections::BTreeMap;

use serde_json::json;

use crate::registry::{AuditEvent, Lineage, ModelVersion};

/// Events of the audit trail about the thing, as a list.
pub(super) const AUDIT_TAG: &str = "trialbook.audit";
const HISTORY_TAG: &str = "trialbook.history";
const VERDICT_TAG: &str = "trialbook.verdict";
const LINEAGE_TAG: &str = "trialbook.lineage";
const METRICS_TAG: &str = "trialbook.metrics";

/// The length of a tag's value that every version of MLflow takes.
const MAX_TAG_CHARS: usize = 5_000;

/// Adds the notes about a version to its tags.
pub(super) fn note_version(version: &ModelVersion, tags: &mut BTreeMap<String, String>) {
    let mut note = |key: &str, value: String| {
        tags.insert(key.to_owned(), value);
    };
    if !version.history.is_empty() {
        note(HISTORY_TAG, json!(version.history).to_string());
    }
    if let Some(verdict) = &version.verdict {
        note(VERDICT_TAG, verdict.to_string());
    }
    if version.lineage != Lineage::default() {
        note(LINEAGE_TAG, json!(version.lineage).to_string());
    }
    if !version.metrics.is_empty() {
        let metrics = version.metrics.iter();
        let metrics: serde_json::Map<_, _> = metrics
            .map(|(key, value)| (key.clone(), crate::registry::json_number(*value)))
            .collect();
        note(METRICS_TAG, json!(metrics).to_string());
    }
}

/// Reads back what [`note_version`] noted of a version's origin.
pub(super) fn recall_version(version: &mut ModelVersion) {
    #[derive(serde::Deserialize)]
    struct Noted(#[serde(with = "crate::registry::finite_or_text")] BTreeMap<String, f64>);

    if let Some(lineage) = noted(&version.tags, LINEAGE_TAG) {
        version.lineage = lineage;
        if let Some(Noted(metrics)) = noted(&version.tags, METRICS_TAG) {
            version.metrics = metrics;
        }
        version.tags.remove(LINEAGE_TAG);
        version.tags.remove(METRICS_TAG);
    }
}

fn noted<T: serde::de::DeserializeOwned>(tags: &BTreeMap<String, String>, key: &str) -> Option<T> {
    tags.get(key).and_then(|tag| serde_json::from_str(tag).ok())
}

/// The events about one thing as a tag's value: as many of the newest as fit.
pub(super) fn audit_note(events: &[&AuditEvent]) -> Option<String> {
    let mut events = events;
    loop {
        if events.is_empty() {
            return None;
        }
        let note = json!(events).to_string();
        if note.chars().count() <= MAX_TAG_CHARS {
            return Some(note);
        }
        events = &events[1..];
    }
}
