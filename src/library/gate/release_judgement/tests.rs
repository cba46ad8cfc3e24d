use std::time::Duration;

use super::{
    super::{
        release_checks::{LOG_EVIDENCE, log_evidence},
        release_counts::StepCounts,
        release_evidence::{CandidateDrift, LoggedEvidence, ReleaseLabels},
    },
    *,
};
use crate::{
    evaluate::{ConfusionMatrix, RightAnswers, SignalLevel},
    random::Random,
    registry::{ReleaseBounds, ReleaseKind, ReleaseState, ReleaseStep, SplitKey},
};

pub(crate) fn release(bounds: ReleaseBounds) -> Release {
    let step = |share, bake_ms| ReleaseStep { share, bake_ms };
    Release {
        id: "0".repeat(32),
        model: "M".to_owned(),
        number: 1,
        candidate: 2,
        production: 1,
        kind: ReleaseKind::Canary,
        steps: vec![step(0.1, Some(1_000)), step(0.5, Some(1_000))],
        step_idx: 0,
        step_since_ms: 0,
        split_by: SplitKey::Request,
        bounds,
        overruled: None,
        state: ReleaseState::Running,
        reason: String::new(),
        evidence: None,
        started_by: "ada".to_owned(),
        started_ms: 0,
        ended_by: None,
        ended_ms: None,
    }
}

/// The counts of `n` requests, each in `took_ms`, of which `n_errors` failed.
fn counts(n: u64, n_errors: u64, took_ms: u64) -> StepCounts {
    let mut counts = StepCounts { baked_ms: 1_000, ..StepCounts::default() };
    (0..n - n_errors).for_each(|_| counts.candidate.answered(Duration::from_millis(took_ms)));
    (0..n_errors).for_each(|_| counts.candidate.failed());
    counts
}

fn judged(release: &Release, counts: &StepCounts) -> ReleaseJudgement {
    judge_release(release, StepEvidence { counts, logged: &LoggedEvidence::default() })
}

fn decision(release: &Release, counts: &StepCounts) -> ReleaseDecision {
    judged(release, counts).decision
}

#[test]
fn a_step_follows_when_its_time_its_requests_and_its_checks_are_there() {
    let bounds = ReleaseBounds { min_n: 100, ..ReleaseBounds::default() };
    let release = release(bounds);
    assert_eq!(decision(&release, &counts(100, 1, 1)), ReleaseDecision::Advance);
    assert_eq!(decision(&release, &counts(99, 0, 1)), ReleaseDecision::Stay);
    assert_eq!(decision(&release, &counts(100, 2, 1)), ReleaseDecision::Stay, "above, by chance");
    let early = StepCounts { baked_ms: 999, ..counts(100, 0, 1) };
    assert_eq!(decision(&release, &early), ReleaseDecision::Stay);
    let last = Release { step_idx: 1, ..release.clone() };
    assert_eq!(decision(&last, &counts(100, 0, 1)), ReleaseDecision::Ready);
    let ab = Release { kind: ReleaseKind::Ab, ..last };
    assert_eq!(decision(&ab, &counts(100, 0, 1)), ReleaseDecision::Stay);
}

#[test]
fn a_candidate_that_fails_is_taken_back_after_a_few_requests() {
    let release = release(ReleaseBounds::default());
    for (n, n_errors, expected) in [
        (1, 1, ReleaseDecision::Stay),
        (3, 3, ReleaseDecision::TakeBack),
        (20, 5, ReleaseDecision::TakeBack),
        (100, 2, ReleaseDecision::Stay),
        (1_000, 40, ReleaseDecision::TakeBack),
    ] {
        assert_eq!(decision(&release, &counts(n, n_errors, 1)), expected, "{n_errors} of {n}");
    }
    let judged = judged(&release, &counts(3, 3, 1));
    assert_eq!(judged.reason(), "error_rate: 3 of 3 requests failed, 100 %; at most 1 %");
    let never = Release {
        bounds: ReleaseBounds { max_error_rate: 0.0, ..release.bounds },
        ..release.clone()
    };
    assert_eq!(decision(&never, &counts(1_000, 1, 1)), ReleaseDecision::TakeBack);
}

#[test]
fn a_slow_candidate_and_one_of_other_labels_are_taken_back() {
    let slow = release(ReleaseBounds { max_p95_ms: Some(5.0), ..ReleaseBounds::default() });
    assert_eq!(decision(&slow, &counts(100, 0, 4)), ReleaseDecision::Advance);
    assert_eq!(decision(&slow, &counts(10, 0, 20)), ReleaseDecision::TakeBack);
    let strange = release(ReleaseBounds { min_agreement: Some(0.9), ..ReleaseBounds::default() });
    let mut compared = counts(100, 0, 1);
    assert_eq!(decision(&strange, &compared), ReleaseDecision::Stay, "nothing is compared yet");
    (compared.pairs.n_texts, compared.pairs.n_agreed) = (100, 90);
    assert_eq!(decision(&strange, &compared), ReleaseDecision::Advance);
    compared.pairs.n_agreed = 60;
    assert_eq!(decision(&strange, &compared), ReleaseDecision::TakeBack);
}

/// What the logs say of labels and drift in the next test.
fn logged(n_right: usize, n_wrong: usize, drift: Option<(SignalLevel, u64)>) -> LoggedEvidence {
    let (classes, n) = (["neg".to_owned(), "pos".to_owned()], n_right + n_wrong);
    let predicted: Vec<u32> = (0..n).map(|idx| u32::from(idx < n_right)).collect();
    let confusion = ConfusionMatrix::count(&vec![1; n], &predicted, &classes).unwrap();
    let candidate = RightAnswers { n_right, n_rows: n };
    let production = RightAnswers { n_right: 5_000, n_rows: 10_000 };
    LoggedEvidence {
        labels: Some(ReleaseLabels { production, candidate, confusion }),
        drift: drift.map(|(level, n)| CandidateDrift {
            level,
            signals: vec!["length".to_owned()],
            n,
            min_n: 200,
        }),
    }
}

#[test]
fn labels_and_drift_hold_a_step_back_and_take_a_candidate_back() {
    let bounds = ReleaseBounds {
        min_f1: Some(0.8),
        max_drift: Some(SignalLevel::Alert),
        ..ReleaseBounds::default()
    };
    let (release, counts) = (release(bounds), counts(100, 0, 1));
    let judged =
        |logged: &LoggedEvidence| judge_release(&release, StepEvidence { counts: &counts, logged });
    let decided = |logged: &LoggedEvidence| judged(logged).decision;
    assert_eq!(decided(&LoggedEvidence::default()), ReleaseDecision::Stay, "nothing is known");
    let well = Some((SignalLevel::Warn, 200));
    assert_eq!(decided(&logged(90, 10, well)), ReleaseDecision::Advance);
    assert_eq!(decided(&logged(29, 0, well)), ReleaseDecision::Stay, "too few labels");
    assert_eq!(decided(&logged(0, 29, well)), ReleaseDecision::Stay, "complaints come first");
    assert_eq!(decided(&logged(70, 50, well)), ReleaseDecision::Stay, "below, by chance");
    let wrong = judged(&logged(10, 60, well));
    assert_eq!(wrong.decision, ReleaseDecision::TakeBack);
    assert!(wrong.reason().starts_with("f1: 0.2500 by 70 labels, "), "{}", wrong.reason());
    assert_eq!(decided(&logged(90, 10, None)), ReleaseDecision::Stay);
    let early = logged(90, 10, Some((SignalLevel::Ok, 199)));
    assert_eq!(decided(&early), ReleaseDecision::Stay);
    let drifted = judged(&logged(90, 10, Some((SignalLevel::Alert, 200))));
    assert_eq!(drifted.decision, ReleaseDecision::TakeBack);
    assert_eq!(drifted.reason(), "drift: alert of length on 200 predictions; taken back at alert");
}

#[test]
fn an_ab_test_ends_with_its_verdict_and_promotes_nothing() {
    let ab = Release {
        kind: ReleaseKind::Ab,
        steps: ReleaseStep::parse_list("50%").unwrap(),
        ..release(ReleaseBounds::default())
    };
    let counts = counts(100, 0, 1);
    let judged =
        |logged: &LoggedEvidence| judge_release(&ab, StepEvidence { counts: &counts, logged });
    // Production has 50 % right.
    for (n_right, n_wrong, expected) in [
        (0, 0, ReleaseDecision::Stay),
        (51, 49, ReleaseDecision::Stay),
        (900, 100, ReleaseDecision::Ready),
        (100, 900, ReleaseDecision::TakeBack),
    ] {
        let found = judged(&logged(n_right, n_wrong, None));
        assert_eq!(found.decision, expected, "{n_right} right, {n_wrong} wrong");
    }
    let lost = judged(&logged(100, 900, None));
    assert_eq!(
        lost.reason(),
        "verdict: Production is better: 10 % right of 1000 against 50 % of 10000"
    );
}

/// Looked at after every request, a candidate exactly at its bound is taken back in at most one of 1,000
/// releases; one at three times the bound in nearly all.
#[test]
fn looking_all_the_time_raises_no_false_alarms() {
    let n_taken_back = |share: f64, n_releases: u64, n_requests: u64| {
        (0..n_releases)
            .filter(|seed| {
                let mut random = Random::new(*seed);
                let mut k = 0;
                (1..=n_requests).any(|n| {
                    let drawn = random.next_u64() as f64 / u64::MAX as f64;
                    k += u64::from(drawn < share);
                    log_evidence(k, n, 0.05) >= LOG_EVIDENCE
                })
            })
            .count()
    };
    assert!(n_taken_back(0.05, 2_000, 500) <= 6);
    assert!(n_taken_back(0.15, 200, 500) >= 190);
}
