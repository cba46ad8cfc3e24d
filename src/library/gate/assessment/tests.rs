//! Each check just below, at and above its line, and without what it needs.

use std::collections::BTreeMap;

use super::{super::examination::Leakage, *};

fn metrics(values: &[(&str, f64)]) -> BTreeMap<String, f64> {
    values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

fn own() -> BTreeMap<String, f64> {
    metrics(&[("f1", 0.9), ("recall_a", 0.8), ("recall_b", 0.95), ("ece", 0.03), ("brier", 0.1)])
}

/// Version 2 beside Production version 1, examined on 1,000 rows of which the candidate has 50
/// wrong and Production 60, 10 of them in common.
fn examined() -> (Candidate, Baseline, Examination) {
    let candidate = Candidate { version: 2, test_fingerprint: "aa".to_owned(), metrics: own() };
    let baseline = Baseline {
        version: 1,
        test_fingerprint: "aa".to_owned(),
        metrics: metrics(&[("f1", 0.9), ("ece", 0.02), ("brier", 0.1)]),
        reevaluated: false,
    };
    let labels: Vec<u32> = (0..1000).map(|idx| idx % 2).collect();
    let wrong = |rows: std::ops::Range<u32>| -> Vec<u32> {
        (0..1000).map(|idx| if rows.contains(&idx) { 1 - idx % 2 } else { idx % 2 }).collect()
    };
    let evidence = Evidence::of(&labels, &wrong(0..50), &wrong(40..100), 2, 0.002).unwrap();
    let examination = Examination {
        threshold: Some(0.5),
        candidate: own(),
        production: Some(Ok(baseline.metrics.clone())),
        evidence: Some(evidence),
        leakage: Some(Ok(Leakage { n_leaked: 3, n_test: 1000, n_near: None })),
        costs: None,
        slices: None,
        behaviour: None,
    };
    (candidate, baseline, examination)
}

/// The outcome of the one check of a policy, and its reason.
fn outcome(text: &str, change: impl FnOnce(&mut VersionFacts<'_>)) -> (CheckOutcome, String) {
    let (candidate, baseline, examination) = examined();
    let mut facts = VersionFacts {
        candidate: &candidate,
        production: Some(&baseline),
        examination: Ok(&examination),
        n_bytes: 1000,
        n_verdicts: 5,
        approvals: &[],
    };
    change(&mut facts);
    let judgement = assess(&PolicyChecks::parse(text).unwrap(), &facts);
    let [check] = judgement.checks.as_slice() else { panic!("{judgement:?}") };
    assert_eq!(judgement.passed, check.outcome() != CheckOutcome::Blocked);
    (check.outcome(), check.reason.clone().unwrap())
}

fn check(text: &str, expected: CheckOutcome, said: &str) {
    let (found, reason) = outcome(text, |_| {});
    assert_eq!(found, expected, "{text}: {reason}");
    assert!(reason.contains(said), "{text}: {reason}");
}

#[test]
fn each_check_holds_its_line() {
    use CheckOutcome::{Blocked, Passed, Warned};
    let (_, _, examination) = examined();
    let lower = examination.evidence.unwrap().bootstrap.f1.lower;
    assert!(lower < 0.0);
    check("[strict]", Passed, "f1 0.9000 is at least 0.9000");
    let margin = |margin: f64| format!("[non_inferior]\nmargin = {margin}");
    check(&margin(-lower + 1e-6), Passed, "is above -0.0");
    check(&margin(-lower), Blocked, "is not above -0.0");
    check("[significant]", Blocked, "only this version is right in 50 rows, only Production in 40");
    check("[significant]\nalpha = 0.5", Passed, "p = 0.3");
    check("[agreement]\nmin = 0.91", Passed, "91.0 % of 1,000 test rows");
    check("[agreement]\nmin = 0.911", Blocked, "91.0 %");
    check("[leakage]\nmax_share = 0.003", Passed, "3 of 1,000 test rows are in the training");
    check("[leakage]\nlevel = \"warn\"", Warned, "3 of 1,000 test rows");
    check("[size]\nmax_bytes = 1000", Passed, "1.0 kB");
    check("[size]\nmax_bytes = 999", Blocked, "999 B are allowed");
    check("[verdicts]\nmax = 5", Passed, "5 verdicts asked");
    check("[verdicts]\nmax = 4", Warned, "5 verdicts asked");
    check("[reproducible]", Passed, "the stored files give the stored metrics");
    check("[approval]\nkeys = [\"a\", \"b\"]", Blocked, "nobody approved it with the key a or b");
}

#[test]
fn approvals_and_metrics_that_changed_are_seen() {
    let approvals: &'static [String] = Box::leak(Box::new(["b".to_owned()]));
    let policy = "[approval]\nkeys = [\"a\", \"b\"]";
    let (found, reason) = outcome(policy, |facts| facts.approvals = approvals);
    assert_eq!((found, reason.as_str()), (CheckOutcome::Passed, "approved with the key b"));
    for (value, expected) in [
        (0.9 + 1e-10, CheckOutcome::Passed),
        (0.9 + 1e-8, CheckOutcome::Blocked),
        (f64::NAN, CheckOutcome::Blocked),
    ] {
        let (_, _, mut examination) = examined();
        examination.candidate.insert("f1".to_owned(), value);
        let (candidate, ..) = examined();
        let check = ReproducibleCheck { tolerance: 1e-9, level: Level::Block };
        let facts = VersionFacts {
            candidate: &candidate,
            production: None,
            examination: Ok(&examination),
            n_bytes: 0,
            n_verdicts: 1,
            approvals: &[],
        };
        let found = reproducible(&check, &facts).into_check(check.level);
        assert_eq!(found.outcome(), expected, "{value}: {found:?}");
    }
}

#[test]
fn rows_that_are_nearly_the_same_count_where_that_is_asked() {
    let near = |max_share: &str| {
        let text = format!("[leakage]\nmax_share = {max_share}\nnear = 0.8");
        let (candidate, _, mut examination) = examined();
        examination.leakage = Some(Ok(Leakage { n_leaked: 3, n_test: 1000, n_near: Some(8) }));
        let facts = VersionFacts {
            candidate: &candidate,
            production: None,
            examination: Ok(&examination),
            n_bytes: 0,
            n_verdicts: 1,
            approvals: &[],
        };
        assess(&PolicyChecks::parse(&text).unwrap(), &facts).checks.remove(0)
    };
    let found = near("0.008");
    assert!(found.passed, "{found:?}");
    let expected = "3 of 1,000 test rows are in the training split too, and 5 more are nearly the same as a row there";
    assert_eq!(found.reason.as_deref(), Some(expected));
    assert!(!near("0.007").passed);
}

#[test]
fn without_the_models_what_needs_them_is_not_met() {
    for text in [
        "[non_inferior]",
        "[significant]",
        "[agreement]\nmin = 0.1",
        "[leakage]",
        "[reproducible]",
        "[slice_floor]\nmin = 0.1\nby = [\"length\"]",
    ] {
        let (found, reason) = outcome(text, |facts| facts.examination = Err("no such dataset"));
        assert_eq!(found, CheckOutcome::Blocked, "{text}");
        assert!(reason.ends_with("cannot be judged: no such dataset"), "{text}: {reason}");
    }
}

#[test]
fn without_production_comparisons_ask_for_the_minimum_once() {
    let all = "min_f1 = 0.91\n[strict]\nlevel = \"warn\"\n[non_inferior]\n[significant]";
    let (found, reason) = outcome(all, |facts| facts.production = None);
    assert_eq!(found, CheckOutcome::Blocked, "the strictest level counts");
    assert_eq!(reason, "f1 0.9000 is below 0.9100 (no Production version to beat)");
    let (found, reason) = outcome("[agreement]\nmin = 0.9", |facts| facts.production = None);
    let expected = "no other Production version to compare with";
    assert_eq!((found, reason.as_str()), (CheckOutcome::Passed, expected));
}

#[test]
fn calibration_and_classes_have_a_check_each() {
    let judged = |text: &str, fingerprint: &str| -> Vec<(String, bool)> {
        let (candidate, mut baseline, examination) = examined();
        baseline.test_fingerprint = fingerprint.to_owned();
        let facts = VersionFacts {
            candidate: &candidate,
            production: Some(&baseline),
            examination: Ok(&examination),
            n_bytes: 0,
            n_verdicts: 1,
            approvals: &[],
        };
        let checks = assess(&PolicyChecks::parse(text).unwrap(), &facts).checks;
        checks.into_iter().map(|check| (check.name, check.passed)).collect()
    };
    let named = |found: &[(&str, bool)]| -> Vec<(String, bool)> {
        found.iter().map(|(name, passed)| ((*name).to_owned(), *passed)).collect()
    };
    let calibration = "[calibration]\nmax_ece_rise = 0.009\nmax_brier_rise = 0.0";
    let expected = named(&[("rise of ece <= 0.009", false), ("rise of brier <= 0", true)]);
    assert_eq!(judged(calibration, "aa"), expected);
    assert!(judged(calibration, "bb").iter().all(|(_, passed)| !passed), "another split");
    let floors = "[class_floor]\nmin = 0.95\nclasses = { a = 0.8, z = 0.1 }";
    let expected = named(&[
        ("recall of a >= 0.8", true),
        ("recall of b >= 0.95", true),
        ("recall of z", false),
    ]);
    assert_eq!(judged(floors, "aa"), expected);
    assert!(!judged("[class_floor]\nmin = 0.951", "aa")[1].1);
}
