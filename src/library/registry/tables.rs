//! The database's tables and their keys. Keys sort as their parts do, so that a run's metrics or
//! a model's versions lie side by side and one range finds them.

use redb::TableDefinition;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::hint::Hint;

/// Both key and value are bytes of our own making: keys are built below, values in `codec`.
pub(super) type RowTable = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Counters and the store's schema, by name.
pub(super) const META: RowTable = RowTable::new("meta");
/// Names in it.
pub(super) const NEXT_EXPERIMENT: &str = "next_experiment";
pub(super) const MODELS_GENERATION: &str = "models_generation";
pub(super) const AUDIT_EVENTS: &str = "audit_events";
/// Experiment number -> experiment.
pub(super) const EXPERIMENTS: RowTable = RowTable::new("experiments");
/// Run -> run with its params, tags and newest metrics: all that a listing needs.
pub(super) const RUNS: RowTable = RowTable::new("runs");
/// Run, number of the batch -> the metrics logged together.
pub(super) const METRICS: RowTable = RowTable::new("metrics");
/// Run or logged model, path -> artifact.
pub(super) const ARTIFACTS: RowTable = RowTable::new("artifacts");
/// Model name -> registered model.
pub(super) const MODELS: RowTable = RowTable::new("models");
/// Model name, version -> model version.
pub(super) const VERSIONS: RowTable = RowTable::new("versions");

/// Logged model -> what is kept of it.
pub(super) const LOGGED_MODELS: RowTable = RowTable::new("logged_models");
/// Experiment, name and digest -> a dataset that its runs read.
pub(super) const DATASETS: RowTable = RowTable::new("datasets");
/// Name -> API key.
pub(super) const KEYS: RowTable = RowTable::new("keys");
/// Number of the event -> event of the audit trail.
pub(super) const AUDIT: RowTable = RowTable::new("audit");
/// Model name, number counted down -> release, the newest of a model first.
pub(super) const RELEASES: RowTable = RowTable::new("releases");

/// Every table with the name it has in a backup.
pub(super) const ALL: [(&str, RowTable); 12] = [
    ("meta", META),
    ("experiments", EXPERIMENTS),
    ("runs", RUNS),
    ("metrics", METRICS),
    ("artifacts", ARTIFACTS),
    ("models", MODELS),
    ("versions", VERSIONS),
    ("logged_models", LOGGED_MODELS),
    ("datasets", DATASETS),
    ("keys", KEYS),
    ("audit", AUDIT),
    ("releases", RELEASES),
];

/// A run's key: the 16 bytes that its id spells in hexadecimal digits.
pub(super) type RunKey = [u8; 16];

/// The key that `run_id`, 32 hexadecimal digits, spells.
pub(super) fn run_key(run_id: &str) -> Result<RunKey> {
    parse_run_id(run_id).ok_or_else(|| {
        Error::invalid(format!("run id {run_id:?} is not 32 lower-case hexadecimal digits"))
            .with_hint(Hint::new().run("runs list").say(" shows the ids"))
    })
}

/// As [`run_key`], for text that may be something else.
pub(super) fn parse_run_id(text: &str) -> Option<RunKey> {
    let well_formed =
        text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

/// First and last key of the runs whose id begins with `prefix`, hexadecimal digits.
pub(super) fn run_prefix(prefix: &str) -> Option<(RunKey, RunKey)> {
    let prefix = prefix.to_ascii_lowercase();
    if prefix.len() > 32 {
        return None;
    }
    Some((parse_run_id(&format!("{prefix:0<32}"))?, parse_run_id(&format!("{prefix:f<32}"))?))
}

/// The key of batch `batch_idx` of a run's metrics.
pub(super) fn metrics_key(run: &RunKey, batch_idx: u64) -> Vec<u8> {
    [run.as_slice(), &batch_idx.to_be_bytes()].concat()
}

/// The key of a run's artifact.
pub(super) fn artifact_key(run: &RunKey, path: &str) -> Vec<u8> {
    [run.as_slice(), path.as_bytes()].concat()
}

/// The key of event `number` of the audit trail.
pub(super) fn audit_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The key of an experiment.
pub(super) fn experiment_key(experiment: u64) -> [u8; 8] {
    experiment.to_be_bytes()
}

/// The key of a dataset that runs of an experiment read.
pub(super) fn dataset_key(experiment: u64, name: &str, digest: &str) -> Vec<u8> {
    let [name, digest] = [name, digest].map(|text| Sha256::digest(text.as_bytes()));
    [&experiment.to_be_bytes(), name.as_slice(), digest.as_slice()].concat()
}

/// The beginning of the keys of a model's versions; names hold no control characters.
pub(super) fn versions_prefix(model: &str) -> Vec<u8> {
    [model.as_bytes(), &[0]].concat()
}

/// The key of a model version.
pub(super) fn version_key(model: &str, version: u32) -> Vec<u8> {
    [model.as_bytes(), &[0], &version.to_be_bytes()].concat()
}

/// The beginning of the keys of a model's releases.
pub(super) fn releases_prefix(model: &str) -> Vec<u8> {
    versions_prefix(model)
}

/// The key of a model's release: a later one sorts before it.
pub(super) fn release_key(model: &str, number: u32) -> Vec<u8> {
    version_key(model, u32::MAX - number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_lower_case_hex_digits_are_a_run_id() {
        assert!(run_key("0123456789abcdef0123456789abcdef").is_ok());
        for wrong in
            ["", "abc", "0123456789ABCDEF0123456789abcdef", "+123456789abcdef0123456789abcdef"]
        {
            assert!(run_key(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_prefix_of_any_length_spans_its_runs() {
        let (first, last) = run_prefix("abc").unwrap();
        assert_eq!((first[0], first[1], first[15]), (0xab, 0xc0, 0));
        assert_eq!((last[0], last[1], last[15]), (0xab, 0xcf, 0xff));
        assert!(run_prefix("swift-otter").is_none());
    }

    #[test]
    fn versions_sort_by_number_and_models_do_not_mix() {
        assert!(version_key("a", 9) < version_key("a", 10));
        assert!(!version_key("ab", 1).starts_with(&versions_prefix("a")));
    }
}
