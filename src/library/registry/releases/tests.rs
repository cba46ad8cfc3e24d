use std::collections::BTreeMap;

use super::*;
use crate::{
    registry::{
        AuditQuery, Grounds, Lineage, NewRun, NewVersion, ReleaseBounds, ReleaseKind, ReleaseStep,
        SplitKey, restore,
    },
    store::Store,
};

/// A store with the model `M`, three versions of it, and the first in Production.
fn registry(folder: &std::path::Path) -> Registry {
    let registry = Registry::open(&Store::new(folder.join("store"))).unwrap();
    let new = NewRun { experiment_id: "0".to_owned(), ..NewRun::default() };
    let run_id = registry.create_run(new).unwrap().run_id;
    let file = registry.log_artifact(&run_id, "w", b"abc").unwrap();
    for created_ms in 0..3 {
        let new = NewVersion {
            model: "M".to_owned(),
            run_id: run_id.clone(),
            files: vec![file.clone()],
            lineage: Lineage::default(),
            metrics: BTreeMap::new(),
            created_ms,
        };
        registry.create_version(new).unwrap();
    }
    promote(&registry, 1);
    registry
}

fn promote(registry: &Registry, version: u32) {
    let grounds = Grounds { note: "a test".to_owned(), overruled: None };
    registry.set_stage("M", version, Stage::Production, |_, _| Ok(grounds)).unwrap();
}

fn canary(candidate: u32) -> NewRelease {
    NewRelease {
        model: "M".to_owned(),
        candidate,
        kind: ReleaseKind::Canary,
        steps: ReleaseStep::parse_list("1%:1m,10%:1m,50%").unwrap(),
        split_by: SplitKey::Header("x-user".to_owned()),
        bounds: ReleaseBounds { max_p95_ms: Some(20.0), ..ReleaseBounds::default() },
        overruled: None,
    }
}

fn stop(registry: &Registry, reason: &str) -> Result<Release> {
    let (state, reason) = (ReleaseState::Stopped, reason.to_owned());
    registry.finish_release("M", None, ReleaseEnd { state, reason, evidence: None })
}

#[test]
fn no_two_servers_take_the_same_step_and_a_stop_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let one = registry(folder.path());
    let other = Registry::open(one.store()).unwrap();
    let id = one.begin_release(canary(2)).unwrap().id;
    let step = |registry: &Registry, from| registry.step_release("M", &id, from, json!({"n": 7}));
    assert_eq!(step(&one, 0).unwrap().step_idx, 1);
    assert_eq!(step(&other, 0).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(step(&other, 1).unwrap().step().share, 0.5);
    assert_eq!(step(&one, 2).unwrap_err().kind(), ErrorKind::Conflict, "there is no fourth step");

    stop(&one, "ada says so").unwrap();
    for late in [step(&other, 2), stop(&other, "too late")] {
        let error = late.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.to_string(), "release 1 of model \"M\" is over, stopped: ada says so");
    }
    let release = other.release("M").unwrap().unwrap();
    assert_eq!(release.evidence, Some(json!({"n": 7})), "kept from the last step");
    let trail = one.audit(&AuditQuery { limit: Some(4), since_ms: None }).unwrap();
    let actions: Vec<&str> = trail.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["end_release", "advance_release", "advance_release", "start_release"]);
    assert!(trail.iter().all(|event| event.subject == "M/2"));
}

/// Every one of many threads tries every step, and each is taken once.
#[test]
fn steps_are_taken_once_by_however_many_servers() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let id = registry.begin_release(canary(2)).unwrap().id;
    let n_taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let (registry, id) = (Registry::open(registry.store()).unwrap(), id.clone());
                scope.spawn(move || {
                    let taken = [0, 1]
                        .map(|from| registry.step_release("M", &id, from, Value::Null).is_ok());
                    taken.into_iter().filter(|taken| *taken).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((n_taken, registry.release("M").unwrap().unwrap().step_idx), (2, 2));
}

#[test]
fn a_model_has_one_running_release_beside_production() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let refused = |new: NewRelease| registry.begin_release(new).unwrap_err().kind();
    assert_eq!(refused(canary(1)), ErrorKind::Conflict, "it is in Production");
    assert_eq!(refused(canary(9)), ErrorKind::NotFound);
    assert_eq!(refused(NewRelease { model: "N".to_owned(), ..canary(2) }), ErrorKind::NotFound);
    let bounds = ReleaseBounds { max_error_rate: 2.0, ..ReleaseBounds::default() };
    assert_eq!(refused(NewRelease { bounds, ..canary(2) }), ErrorKind::Invalid);
    assert_eq!(stop(&registry, "").unwrap_err().kind(), ErrorKind::NotFound);

    registry.begin_release(canary(2)).unwrap();
    assert_eq!(refused(canary(3)), ErrorKind::Conflict);
    let error = registry.delete_model("M", Some(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    stop(&registry, "over").unwrap();
    registry.begin_release(canary(3)).unwrap();
    let numbers: Vec<u32> =
        registry.releases("M").unwrap().iter().map(|release| release.number).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn a_promotion_ends_a_release_in_its_own_transaction() {
    for (version, state) in [(2, ReleaseState::Promoted), (3, ReleaseState::Stopped)] {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path());
        registry.begin_release(canary(2)).unwrap();
        promote(&registry, version);
        let release = registry.release("M").unwrap().unwrap();
        assert_eq!(release.state, state, "{}", release.reason);
        // A rollback is one as well.
        let started = registry.begin_release(canary(if version == 2 { 3 } else { 2 })).unwrap();
        assert_eq!(started.production, version);
        registry.rollback("M", "a test").unwrap();
        assert_eq!(registry.release("M").unwrap().unwrap().state, ReleaseState::Stopped);
        assert!(registry.verify().unwrap().is_valid());
    }
}

#[test]
fn releases_go_along_with_a_backup_a_rename_and_a_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let begun = registry.begin_release(canary(2)).unwrap();
    let file = folder.path().join("backup.tar");
    registry.backup(&file).unwrap();
    let copy = Store::new(folder.path().join("copy"));
    restore(&copy, &file).unwrap();
    let copy = Registry::open(&copy).unwrap();
    assert_eq!(copy.release("M").unwrap().unwrap(), begun);

    copy.rename_model("M", "New").unwrap();
    assert_eq!(copy.release("M").unwrap(), None);
    let renamed = copy.release("New").unwrap().unwrap();
    assert_eq!((renamed.id, renamed.model.as_str()), (begun.id, "New"));
    assert!(copy.verify().unwrap().is_valid());
    let grounds = Grounds { note: "a test".to_owned(), overruled: None };
    copy.set_stage("New", 1, Stage::Archived, |_, _| Ok(grounds)).unwrap();
    copy.delete_model("New", None).unwrap();
    assert_eq!(copy.releases("New").unwrap(), []);
    assert!(copy.verify().unwrap().is_valid());
}
