use std::fs;

use super::*;
use crate::{
    monitor::{PREDICTIONS_FILE, PredictionRecord, TrueLabel},
    registry::{ReleaseBounds, ReleaseState, ReleaseStep, SplitKey},
    store::LABELS_FILE,
};

const MODEL: &str = "M";

fn release(kind: ReleaseKind) -> Release {
    Release {
        id: "0".repeat(32),
        model: MODEL.to_owned(),
        number: 1,
        candidate: 2,
        production: 1,
        kind,
        steps: ReleaseStep::parse_list("50%").unwrap(),
        step_idx: 0,
        step_since_ms: 1_000,
        split_by: SplitKey::Request,
        bounds: ReleaseBounds::default(),
        overruled: None,
        state: ReleaseState::Running,
        reason: String::new(),
        evidence: None,
        started_by: "ada".to_owned(),
        started_ms: 1_000,
        ended_by: None,
        ended_ms: None,
    }
}

/// Time, part, version, label that was predicted, true label, and how the text was picked.
type LabelledRow<'a> = (i64, Arm, u32, &'a str, &'a str, Option<SampleBy>);

fn logs(dir: &Path, rows: &[LabelledRow<'_>]) {
    let (mut predictions, mut labels) = (String::new(), String::new());
    for (n, (timestamp_ms, arm, version, label, truth, sampled_by)) in rows.iter().enumerate() {
        let record = PredictionRecord {
            timestamp_ms: *timestamp_ms,
            request_id: format!("r{n}"),
            arm: *arm,
            model: MODEL.to_owned(),
            version: *version,
            label: (*label).to_owned(),
            ..PredictionRecord::default()
        };
        predictions += &(serde_json::to_string(&record).unwrap() + "\n");
        let truth = TrueLabel {
            request_id: format!("r{n}"),
            index: 0,
            label: Some((*truth).to_owned()),
            source: "user".to_owned(),
            timestamp_ms: *timestamp_ms,
            sampled_by: *sampled_by,
        };
        labels += &(serde_json::to_string(&truth).unwrap() + "\n");
    }
    fs::write(dir.join(PREDICTIONS_FILE), predictions).unwrap();
    fs::write(dir.join(LABELS_FILE), labels).unwrap();
}

#[test]
fn each_side_has_its_own_answers_since_the_release_began() {
    let folder = tempfile::tempdir().unwrap();
    let classes = ["neg".to_owned(), "pos".to_owned()];
    let read = |kind: ReleaseKind| {
        read_release_labels(folder.path(), &release(kind), &classes, u64::MAX).unwrap()
    };
    let none = RightAnswers { n_right: 0, n_rows: 0 };
    assert_eq!(read(ReleaseKind::Ab).candidate, none);
    let (random, hard) = (Some(SampleBy::Random), Some(SampleBy::Uncertainty));
    logs(
        folder.path(),
        &[
            (999, Arm::Candidate, 2, "pos", "pos", None),
            (1_000, Arm::Candidate, 2, "pos", "pos", None),
            (1_001, Arm::Candidate, 2, "pos", "neg", random),
            (1_002, Arm::Candidate, 2, "neg", "pos", hard),
            (1_003, Arm::Candidate, 2, "pos", "unheard of", None),
            (1_004, Arm::Production, 1, "neg", "neg", None),
            (1_005, Arm::Production, 3, "neg", "neg", None),
            (1_006, Arm::Candidate, 3, "neg", "neg", None),
            (1_007, Arm::Shadow, 2, "neg", "neg", None),
        ],
    );
    let found = read(ReleaseKind::Ab);
    assert_eq!(found.production, RightAnswers { n_right: 1, n_rows: 1 });
    assert_eq!(found.candidate, RightAnswers { n_right: 1, n_rows: 4 });
    assert_eq!(found.confusion.counts(), [[0, 1], [0, 1]], "hard texts are left out");
    // A shadow has predictions that nobody got.
    let shadow = read(ReleaseKind::Shadow);
    assert_eq!(shadow.confusion.counts(), [[1, 1], [0, 1]]);
    let ended = Release { ended_ms: Some(1_000), ..release(ReleaseKind::Ab) };
    let found = read_release_labels(folder.path(), &ended, &classes, u64::MAX).unwrap();
    assert_eq!((found.candidate.n_rows, found.production.n_rows), (1, 0));
}
