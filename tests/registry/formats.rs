//! Old stores stay readable: a backup that each schema wrote, with a record of every kind.

use std::{collections::BTreeMap, fs, ops::Deref, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use trialbook::{
    gate,
    registry::{
        AuditAction, AuditQuery, NewKey, NewRelease, Registry, ReleaseBounds, ReleaseKind,
        ReleaseState, ReleaseStep, RunStatus, Scope, SplitKey, Stage, restore,
    },
    store::Store,
};

use super::{Fixture, judge, metrics, new_run, new_version, tags};

/// Writes the fixture of the present schema. To make one for a new schema, and keep the old ones:
/// `TRIALBOOK_TEST_JOB=$'fixture\ntests/fixtures/registry_v6.tar' cargo test --test integration registry::child::worker`
pub(crate) fn write_fixture(file: &Path) {
    let f = Fixture::new();
    let registry = &f.registry;
    let experiment_id = registry.experiment("ablation").unwrap().experiment_id;
    let mut new = new_run("swift-otter-417");
    new.experiment_id = experiment_id;
    new.params.insert("model".into(), "tfidf".into());
    new.tags.insert("note".into(), "größer".into());
    let batch = metrics(&[
        ("f1", 0.91, 3),
        ("f1", 0.5, 1),
        ("nan", f64::NAN, 0),
        ("inf", f64::INFINITY, -1),
    ]);
    let run = registry.create_run(new).unwrap().run_id;
    registry.log(&run, &batch).unwrap();
    registry.finish_run(&run, RunStatus::Finished, 1_700_000_009_000).unwrap();
    registry.log(&run, &tags(&[("late", "yes")])).unwrap();
    let artifact = registry.log_artifact(&run, "model/weights.bin", b"weights").unwrap();
    for _ in 0..2 {
        registry.create_version(new_version("M", &run, artifact.clone())).unwrap();
    }
    for (version, who) in [(1, "alice"), (2, "bob")] {
        judge(registry, "M", version).unwrap();
        gate::promote(registry, "M", version, Stage::Production, None, who).unwrap();
    }
    registry.set_alias("M", "champion", Some(2)).unwrap();
    registry.tag_model("M", None, "owner", Some("alice")).unwrap();
    registry.tag_model("M", Some(1), "old", Some("true")).unwrap();
    let deleted = f.run("deleted").run_id;
    registry.delete_run(&deleted).unwrap();
    for name in ["web", "gone"] {
        let new = NewKey { name: name.into(), scope: Scope::Admin, expires_ms: Some(FAR_MS) };
        registry.add_key(new).unwrap();
    }
    registry.revoke_key("gone").unwrap();
    let new = NewRelease {
        model: "M".into(),
        candidate: 1,
        kind: ReleaseKind::Canary,
        steps: ReleaseStep::parse_list("1%:10m,50%").unwrap(),
        split_by: SplitKey::Header("x-user".into()),
        bounds: ReleaseBounds { min_agreement: Some(0.9), ..ReleaseBounds::default() },
        overruled: None,
    };
    gate::start_release(registry, new, None).unwrap();
    gate::stop_release(registry, "M", "ada", "a test", serde_json::Value::Null).unwrap();
    fs::create_dir_all(f.store().data_dir().join("tiny")).unwrap();
    fs::write(f.store().data_dir().join("tiny/manifest.json"), "{}").unwrap();
    registry.backup(file).unwrap();
}

/// When the fixture's keys expire.
const FAR_MS: i64 = 32_000_000_000_000;

#[test]
fn a_store_of_schema_1_is_read_whole() {
    let registry = restored("registry_v1.tar");
    assert!(registry.keys().unwrap().is_empty());
    check(&registry, Written::Before);
}

#[test]
fn a_store_of_schema_2_is_read_whole() {
    let registry = restored("registry_v2.tar");
    check_keys_and_trail(&registry, Written::Before);
    check(&registry, Written::Before);
}

#[test]
fn a_store_of_schema_3_is_read_whole() {
    let registry = restored("registry_v3.tar");
    check_keys_and_trail(&registry, Written::Before);
    check(&registry, Written::Before);
}

#[test]
fn a_store_of_schema_4_is_read_whole() {
    let registry = restored("registry_v4.tar");
    check_keys_and_trail(&registry, Written::WithoutReleases);
    check(&registry, Written::WithoutReleases);
    assert_eq!(registry.releases("M").unwrap(), []);
}

#[test]
fn a_store_of_schema_5_is_read_whole() {
    let registry = restored("registry_v5.tar");
    check_keys_and_trail(&registry, Written::Now);
    check(&registry, Written::Now);
    check_release(&registry);
}

/// What came with schema 5.
fn check_release(registry: &Registry) {
    let release = registry.release("M").unwrap().unwrap();
    assert_eq!((release.number, release.candidate, release.production), (1, 1, 2));
    assert_eq!(release.split_by, SplitKey::Header("x-user".into()));
    assert_eq!(release.bounds.min_agreement, Some(0.9));
    assert_eq!((release.steps[0].share, release.steps[0].bake_ms), (0.01, Some(600_000)));
    assert_eq!(
        (release.state, release.reason.as_str()),
        (ReleaseState::Stopped, "ada stopped it: a test")
    );
}

/// The store in a fixture.
fn restored(fixture: &str) -> Restored {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let summary = restore(&store, &file).unwrap();
    assert_eq!((summary.n_runs, summary.n_versions), (2, 2));
    assert_eq!((summary.n_artifacts, summary.n_datasets), (1, 1));
    Restored { registry: Registry::open(&store).unwrap(), _folder: folder }
}

/// A restored store's registry.
struct Restored {
    registry: Registry,
    _folder: TempDir,
}

impl Deref for Restored {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

#[test]
fn the_present_schema_writes_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar");
    write_fixture(&file);
    let store = Store::new(folder.path().join("restored"));
    restore(&store, &file).unwrap();
    let registry = Registry::open(&store).unwrap();
    check_keys_and_trail(&registry, Written::Now);
    check(&registry, Written::Now);
    check_release(&registry);
}

/// The time when a store was written: before aliases had events, and while moves went past the gate; before
/// releases; or now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Before,
    WithoutReleases,
    Now,
}

/// What came with schema 2.
fn check_keys_and_trail(registry: &Registry, written: Written) {
    let keys = registry.keys().unwrap();
    assert_eq!([&keys[0].name, &keys[1].name], ["gone", "web"]);
    assert!(keys.iter().all(|key| key.scope == Scope::Admin && key.expires_ms == Some(FAR_MS)));
    assert!(keys[0].revoked_ms.is_some() && keys[1].revoked_ms.is_none());
    let mut trail = registry.audit(&AuditQuery::default()).unwrap();
    trail.reverse();
    let told: Vec<(&str, &str)> =
        trail.iter().map(|event| (event.action.as_str(), event.subject.as_str())).collect();
    let promotions: &[(&str, &str)] = match written {
        Written::Before => {
            &[("promote", "M/1"), ("archive", "M/1"), ("promote", "M/2"), ("gate", "M/2")]
        }
        Written::WithoutReleases | Written::Now => &[
            ("gate", "M/1"),
            ("promote", "M/1"),
            ("gate", "M/2"),
            ("archive", "M/1"),
            ("promote", "M/2"),
            ("set_alias", "M@champion"),
            ("update", "M"),
            ("update", "M/1"),
        ],
    };
    let (first, later) = told.split_at(promotions.len());
    assert_eq!(first, promotions);
    assert_eq!(later[0].0, "delete");
    assert_eq!(later[1..4], [("add_key", "web"), ("add_key", "gone"), ("revoke_key", "gone")]);
    let releases: &[(&str, &str)] = match written {
        Written::Now => &[("start_release", "M/1"), ("end_release", "M/1")],
        Written::Before | Written::WithoutReleases => &[],
    };
    assert_eq!(later[4..later.len() - 1], *releases);
    assert_eq!(later[later.len() - 1], ("restore", "store"));
    let archived = trail.iter().find(|event| event.action == AuditAction::Archive).unwrap();
    let note = archived.details["note"].as_str().unwrap();
    assert!(note.starts_with("version 2 took its place: bob"), "{note}");
    let gated = trail.iter().rfind(|event| event.action == AuditAction::Gate).unwrap();
    assert!(is_verdict(&gated.details, written), "{}", gated.details);
}

/// Whether it is the verdict on version 2.
fn is_verdict(verdict: &Value, written: Written) -> bool {
    match written {
        Written::Before => *verdict == json!({"passed": true, "f1": 0.91}),
        Written::WithoutReleases | Written::Now => {
            verdict["passed"] == true
                && verdict["version"] == 2
                && verdict["candidate"]["metrics"]["f1"] == 0.9
        }
    }
}

/// Every record of the fixture, of every kind.
fn check(registry: &Registry, written: Written) {
    let experiment = registry.find_experiment("ablation").unwrap();
    assert_eq!(experiment.experiment_id, "1");
    assert!(experiment.created_ms > 0);
    assert_eq!(registry.experiment("another").unwrap().experiment_id, "2", "counters went along");

    let run = registry.run("swift-otter-417").unwrap();
    assert_eq!(run.experiment_id, "1");
    assert_eq!(run.status, RunStatus::Finished);
    assert_eq!((run.start_ms, run.end_ms), (1_700_000_000_000, Some(1_700_000_009_000)));
    assert_eq!(run.params, BTreeMap::from([("model".into(), "tfidf".into())]));
    assert_eq!((run.tags["note"].as_str(), run.tags["late"].as_str()), ("größer", "yes"));
    assert_eq!((run.metrics["f1"], run.metrics["inf"]), (0.91, f64::INFINITY));
    assert!(run.metrics["nan"].is_nan());
    let history = registry.metric_history(&run.run_id, "f1").unwrap();
    let points: Vec<(i64, f64, i64)> =
        history.iter().map(|m| (m.step, m.value, m.timestamp_ms)).collect();
    assert_eq!(points, [(1, 0.5, 1_700_000_000_001), (3, 0.91, 1_700_000_000_003)]);
    let artifacts = registry.artifacts(&run.run_id).unwrap();
    assert_eq!(artifacts[0].path, "model/weights.bin");
    assert_eq!(registry.read_artifact(&artifacts[0]).unwrap(), b"weights");
    registry.restore_run("deleted").unwrap();

    let model = registry.model("M").unwrap();
    assert_eq!((model.tags["owner"].as_str(), model.aliases["champion"]), ("alice", 2));
    let version = registry.production("M").unwrap().unwrap();
    assert_eq!((version.version, version.run_id.as_str()), (2, run.run_id.as_str()));
    assert!(version.verdict.is_some_and(|verdict| is_verdict(&verdict, written)));
    assert_eq!((version.lineage.dataset.as_str(), version.lineage.seed), ("imdb", 42));
    assert_eq!(version.metrics, BTreeMap::from([("f1".into(), 0.9)]));
    let note = version.history[0].note.as_str();
    match written {
        Written::Before => assert_eq!(note, "bob"),
        Written::WithoutReleases | Written::Now => {
            assert!(note.starts_with("bob: gate passed, f1 0.9000"), "{note}")
        }
    }
    let champion = registry.resolve(&"M@champion".parse().unwrap()).unwrap();
    assert_eq!(champion.version, 2);
    registry.model_files(&champion).unwrap();
    let former = registry.version("M", 1).unwrap();
    assert_eq!((former.stage, former.tags["old"].as_str()), (Stage::Archived, "true"));
    assert_eq!(gate::rollback(registry, "M", "carol", "").unwrap().to, 1);
    assert!(registry.verify().unwrap().is_valid());
}
