//! Since when a version's traffic has drifted, and whether somebody was told: a small file beside the log, so
//! that the same alert is not news every few minutes.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::report::{AlertNote, DriftReport};
use crate::{error::Result, evaluate::SignalLevel, store::write_atomically};

/// The file in the folder of logs.
const ALERTS_FILE: &str = "drift.json";
/// The time after which a lasting alert is news again.
const COOL_DOWN_MS: i64 = 24 * 60 * 60_000;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct LastingAlert {
    since_ms: i64,
    told_ms: i64,
}

/// Takes note of a report in the folder of logs `dir`: the alert it is, if it is one. What the file says that
/// cannot be read is forgotten; a version that is well again is too.
///
/// # Errors
/// When the file cannot be written.
pub fn note_alert(dir: &Path, report: &DriftReport, now_ms: i64) -> Result<Option<AlertNote>> {
    let path = dir.join(ALERTS_FILE);
    let bytes = fs::read(&path).unwrap_or_default();
    let mut alerts: BTreeMap<String, LastingAlert> =
        serde_json::from_slice(&bytes).unwrap_or_default();
    let before = alerts.get(&report.model).copied();
    let note = match (report.verdict, before) {
        (SignalLevel::Alert, None) => Some(AlertNote { since_ms: now_ms, is_new: true }),
        (SignalLevel::Alert, Some(before)) => {
            let away_ms = now_ms.saturating_sub(before.told_ms);
            // A clock that went back makes no alert of every report.
            let is_new = away_ms >= COOL_DOWN_MS;
            Some(AlertNote { since_ms: before.since_ms.min(now_ms), is_new })
        }
        (_, None) => return Ok(None),
        (_, Some(_)) => None,
    };
    match note {
        None => {
            alerts.remove(&report.model);
        }
        Some(AlertNote { is_new: false, .. }) => return Ok(note),
        Some(AlertNote { since_ms, .. }) => {
            alerts.insert(report.model.clone(), LastingAlert { since_ms, told_ms: now_ms });
        }
    }
    let json = serde_json::to_vec(&alerts).expect("names and times serialise");
    write_atomically(&path, &json)?;
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{ProfileRows, ReferenceProfile};

    #[test]
    fn an_alert_is_news_once_a_day_and_after_it_was_over() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let profile = ReferenceProfile::of(&ProfileRows {
            name: "d.test",
            fingerprint: "",
            classes: &classes,
            texts: &[],
            predicted: &[],
            confidences: &[],
            known_shares: None,
            embeddings: None,
        });
        let folder = tempfile::tempdir().unwrap();
        let mut report = DriftReport { model: "M/1".to_owned(), ..DriftReport::of(&profile) };
        let mut note = |verdict, at_ms| {
            report.verdict = verdict;
            note_alert(folder.path(), &report, at_ms).unwrap()
        };
        let alert = |since_ms, is_new| Some(AlertNote { since_ms, is_new });
        let day = COOL_DOWN_MS;
        assert_eq!(note(SignalLevel::Warn, 1), None);
        assert_eq!(note(SignalLevel::Alert, 10), alert(10, true));
        assert_eq!(note(SignalLevel::Alert, day), alert(10, false));
        assert_eq!(note(SignalLevel::Alert, 5), alert(5, false), "the clock went back");
        assert_eq!(note(SignalLevel::Alert, day + 10), alert(10, true));
        assert_eq!(note(SignalLevel::Alert, day + 11), alert(10, false));
        assert_eq!(note(SignalLevel::Ok, day + 12), None);
        assert_eq!(note(SignalLevel::Alert, day + 13), alert(day + 13, true));
        fs::write(folder.path().join(ALERTS_FILE), "{").unwrap();
        assert_eq!(note(SignalLevel::Alert, day + 14), alert(day + 14, true));
    }
}
