//! Gate, promotion and rollback on a real registry: every rule just below, at and above its line,
//! and what a refusal leaves behind.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::collections::BTreeMap;

use tempfile::TempDir;
use trialbook::{
    Error, ErrorKind, Result,
    gate::{Policy, Promotion, Verdict, promote, rollback, run},
    output::Outcome,
    registry::{Lineage, ModelVersion, NewRun, NewVersion, Registry, Stage},
    store::Store,
};

const MODEL: &str = "SentimentClassifier";

/// A registry in its own folder.
struct Bench {
    registry: Registry,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let registry = Registry::open(&Store::new(folder.path())).unwrap();
        Self { registry, _folder: folder }
    }

    /// A new version with `f1`, measured on the test split `split`.
    fn register(&self, f1: Option<f64>, split: &str) -> u32 {
        let registry = &self.registry;
        let experiment_id = registry.experiment("gate").unwrap().experiment_id;
        let run = registry.create_run(NewRun { experiment_id, ..NewRun::default() }).unwrap();
        let file = registry.log_artifact(&run.run_id, "model/model.json", b"{}").unwrap();
        let metrics = f1.map(|f1| ("f1".to_owned(), f1)).into_iter().collect();
        let lineage = Lineage { test_fingerprint: split.to_owned(), ..Lineage::default() };
        let files = vec![file];
        let new = NewVersion {
            model: MODEL.to_owned(),
            run_id: run.run_id,
            files,
            lineage,
            metrics,
            created_ms: 1,
        };
        registry.create_version(new).unwrap().version
    }

    /// Gates where nothing needs to be measured anew.
    fn gate(&self, version: u32) -> Verdict {
        let mut never = |_: &ModelVersion, _: &ModelVersion| -> Result<BTreeMap<String, f64>> {
            panic!("the test splits are the same")
        };
        run(&self.registry, MODEL, version, &Policy::default(), &mut never, 5, "ada").unwrap()
    }

    fn promote(&self, version: u32, force: Option<&str>) -> Result<Promotion> {
        promote(&self.registry, MODEL, version, Stage::Production, force, "ada")
    }

    fn version(&self, version: u32) -> ModelVersion {
        self.registry.version(MODEL, version).unwrap()
    }

    /// The remark on the version's newest change of stage.
    fn note(&self, version: u32) -> String {
        self.version(version).history.last().unwrap().note.clone()
    }

    fn production(&self) -> Option<u32> {
        self.registry.production(MODEL).unwrap().map(|version| version.version)
    }

    /// A first version with `f1` on the split `a`, gated and promoted.
    fn with_production(f1: f64) -> Self {
        let bench = Self::new();
        let version = bench.register(Some(f1), "a");
        assert!(bench.gate(version).passed);
        bench.promote(version, None).unwrap();
        bench
    }
}

#[test]
fn the_minimum_guards_the_first_version() {
    for (f1, expected) in [(0.85 - 1e-9, false), (0.85, true), (0.85 + 1e-9, true)] {
        let bench = Bench::new();
        let version = bench.register(Some(f1), "a");
        assert_eq!(bench.gate(version).passed, expected, "{f1}");
        let promoted = bench.promote(version, None);
        assert_eq!(promoted.is_ok(), expected, "{promoted:?}");
        assert_eq!(bench.production(), expected.then_some(version));
    }
}

#[test]
fn production_is_replaced_only_by_what_is_at_least_as_good() {
    for (f1, expected) in [(0.9 - 1e-9, false), (0.9, true), (0.9 + 1e-9, true)] {
        let bench = Bench::with_production(0.9);
        let version = bench.register(Some(f1), "a");
        let verdict = bench.gate(version);
        assert_eq!(verdict.passed, expected, "{f1}");
        let outcome = if expected { Outcome::Done } else { Outcome::Blocked };
        assert_eq!(verdict.to_output().outcome(), outcome);
        match bench.promote(version, None) {
            Ok(promotion) => {
                assert_eq!((promotion.archived, promotion.overruled), (Some(1), None));
                assert_eq!(bench.version(1).stage, Stage::Archived);
                let note = bench.note(version);
                assert!(note.starts_with("ada: gate passed, f1 0.9"), "{note}");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Blocked),
        }
        assert_eq!(bench.production(), Some(if expected { version } else { 1 }));
    }
}

#[test]
fn the_verdict_is_stored_whole_and_the_newest_counts() {
    let bench = Bench::new();
    let version = bench.register(Some(0.8), "a");
    let strict = bench.gate(version);
    assert!(!strict.passed);
    assert_eq!(Verdict::of(&bench.version(version)).unwrap(), Some(strict));
    let lenient = Policy { min_f1: 0.8 };
    let mut never = |_: &ModelVersion, _: &ModelVersion| unreachable!();
    let verdict = run(&bench.registry, MODEL, version, &lenient, &mut never, 9, "bob").unwrap();
    assert!(verdict.passed);
    assert_eq!(Verdict::of(&bench.version(version)).unwrap(), Some(verdict));
    bench.promote(version, None).unwrap();
}

#[test]
fn a_missing_or_nan_metric_blocks() {
    for f1 in [None, Some(f64::NAN)] {
        let bench = Bench::with_production(0.9);
        // Another split: what cannot pass is not worth measuring Production for.
        let version = bench.register(f1, "b");
        let verdict = bench.gate(version);
        assert!(!verdict.passed);
        assert!(verdict.reasons[0].starts_with("f1 of version 2 is"), "{:?}", verdict.reasons);
        let error = bench.promote(version, None).unwrap_err();
        assert!(error.to_string().contains("the gate blocked it: f1 of version 2"), "{error}");
    }
}

#[test]
fn on_another_test_split_production_is_measured_anew() {
    // Registered as 0.9 on split a; worth `anew` on split b.
    for (anew, expected) in [(0.8 - 1e-9, true), (0.8, true), (0.8 + 1e-9, false)] {
        let bench = Bench::with_production(0.9);
        let version = bench.register(Some(0.8), "b");
        let mut calls = Vec::new();
        let mut measure = |production: &ModelVersion, candidate: &ModelVersion| {
            calls.push((production.version, candidate.version));
            Ok(BTreeMap::from([("f1".to_owned(), anew)]))
        };
        let policy = Policy::default();
        let verdict =
            run(&bench.registry, MODEL, version, &policy, &mut measure, 5, "ada").unwrap();
        assert_eq!(calls, [(1, 2)]);
        assert_eq!(verdict.passed, expected, "{anew}");
        let baseline = verdict.baseline.unwrap();
        assert!(baseline.reevaluated && baseline.test_fingerprint == "b", "{baseline:?}");
        assert_eq!(bench.promote(version, None).is_ok(), expected);
    }
}

#[test]
fn a_gate_that_fails_stores_nothing() {
    let bench = Bench::with_production(0.9);
    let version = bench.register(Some(0.95), "b");
    let mut fail = |_: &ModelVersion, _: &ModelVersion| Err(Error::invalid("no such dataset"));
    let gate = |version: u32, policy: Policy, measure: &mut trialbook::gate::Reevaluate<'_>| {
        run(&bench.registry, MODEL, version, &policy, measure, 5, "ada").unwrap_err()
    };
    let error = gate(version, Policy::default(), &mut fail);
    assert!(error.to_string().starts_with("cannot measure Production version 1"), "{error}");
    assert_eq!(gate(version, Policy { min_f1: 85.0 }, &mut fail).kind(), ErrorKind::Invalid);
    assert_eq!(gate(99, Policy::default(), &mut fail).kind(), ErrorKind::NotFound);
    assert_eq!(bench.version(version).verdict, None);
    let error = bench.promote(version, None).unwrap_err();
    assert!(error.to_string().ends_with("it was never gated"), "{error}");
}

#[test]
fn a_verdict_against_a_former_production_does_not_count() {
    let bench = Bench::with_production(0.86);
    let (good, better) = (bench.register(Some(0.9), "a"), bench.register(Some(0.88), "a"));
    assert!(bench.gate(good).passed && bench.gate(better).passed);
    bench.promote(good, None).unwrap();
    let error = bench.promote(better, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked);
    assert!(error.to_string().contains("Production was version 1 then and is version 2 now"));
    assert!(!bench.gate(better).passed, "0.88 beats 0.86, not 0.9");
}

#[test]
fn force_needs_a_reason_and_leaves_a_trace() {
    let bench = Bench::with_production(0.9);
    let version = bench.register(Some(0.5), "a");
    assert!(!bench.gate(version).passed);
    assert_eq!(bench.promote(version, Some("  ")).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(bench.production(), Some(1));
    let promotion = bench.promote(version, Some("legal asked for it")).unwrap();
    assert!(promotion.overruled.unwrap().starts_with("the gate blocked it"));
    assert_eq!(bench.production(), Some(version));
    let note = bench.note(version);
    assert!(note.starts_with("ada: forced, legal asked for it (overruled: the gate"), "{note}");
}

#[test]
fn other_stages_need_no_verdict_and_repeating_changes_nothing() {
    let bench = Bench::new();
    let version = bench.register(None, "a");
    let move_to = |stage| promote(&bench.registry, MODEL, version, stage, None, "ada").unwrap();
    for stage in [Stage::Staging, Stage::Archived, Stage::None] {
        assert!(move_to(stage).changed);
        let n_changes = bench.version(version).history.len();
        assert!(!move_to(stage).changed);
        assert_eq!(bench.version(version).history.len(), n_changes);
        assert_eq!(bench.version(version).stage, stage);
    }
}

#[test]
fn production_gated_again_is_judged_by_the_minimum() {
    let bench = Bench::with_production(0.9);
    let verdict = bench.gate(1);
    assert!(verdict.passed && verdict.reasons[0].contains("the Production version itself"));
    assert!(!bench.promote(1, None).unwrap().changed);
}

#[test]
fn rollback_brings_the_former_production_back() {
    let bench = Bench::with_production(0.9);
    let version = bench.register(Some(0.95), "a");
    bench.gate(version);
    bench.promote(version, None).unwrap();
    let output = rollback(&bench.registry, MODEL, "ada", "complaints").unwrap();
    assert_eq!((output.from, output.to), (2, 1));
    assert_eq!((bench.production(), bench.version(2).stage), (Some(1), Stage::Archived));
    let note = bench.note(1);
    assert!(note.contains("ada: rollback, complaints"), "{note}");
    // Its verdict was made against version 1, which is Production again.
    bench.promote(version, None).unwrap();
    assert_eq!(bench.production(), Some(version));
}

#[test]
fn without_a_former_production_there_is_no_way_back() {
    let bench = Bench::with_production(0.9);
    assert!(rollback(&bench.registry, MODEL, "ada", "").is_err());
    assert_eq!(bench.production(), Some(1));
}
