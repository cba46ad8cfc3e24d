//! Verifying, collecting, backing up and restoring, also while others write.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use trialbook::{
    ErrorKind, gate,
    registry::{Registry, RunQuery, Stage, restore},
    store::Store,
};

use super::{
    Fixture,
    child::{acks, spawn, store_of},
    metrics, new_version, promote,
};

#[test]
fn gc_removes_deleted_runs_and_orphans_and_nothing_else() {
    let f = Fixture::new();
    let kept = f.version("M", "kept");
    let (gone, lineage) = (f.run("gone").run_id, f.run("lineage").run_id);
    f.registry.log(&gone, &metrics(&[("f1", 0.5, 0)])).unwrap();
    f.registry.log_artifact(&gone, "big", b"0123456789").unwrap();
    f.registry.log_artifact(&gone, "shared", b"kept").unwrap();
    let artifact = f.registry.log_artifact(&lineage, "w", b"other").unwrap();
    f.registry.create_version(new_version("M", &lineage, artifact)).unwrap();
    f.registry.delete_run("gone").unwrap();
    f.registry.delete_run("lineage").unwrap();
    let orphan = f.store().artifacts_dir().join("ab").join("ab".repeat(32));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, b"12345").unwrap();
    fs::write(f.store().artifacts_dir().join("README"), b"not ours").unwrap();
    let fresh = f.store().artifacts_dir().join(".trialbook-fresh");
    let stale = f.store().artifacts_dir().join(".trialbook-stale");
    fs::write(&fresh, b"being written").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7_200);
    fs::File::create(&stale).unwrap().set_modified(old).unwrap();

    assert_eq!(f.registry.verify().unwrap().orphaned, ["ab".repeat(32)]);
    let planned = f.registry.gc(true).unwrap();
    assert!(orphan.exists() && f.registry.run(&gone).is_ok(), "a dry run removes nothing");
    let done = f.registry.gc(false).unwrap();
    assert_eq!(done, planned);
    assert_eq!((done.n_runs, done.n_artifacts, done.n_bytes), (1, 2, 15));
    assert!(!orphan.exists() && !stale.exists() && fresh.exists());
    assert_eq!(f.registry.run(&gone).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(f.registry.run(&lineage).is_ok(), "a version came from it");
    f.registry.model_files(&kept).unwrap();
    assert!(f.registry.verify().unwrap().is_valid());
    assert_eq!(f.registry.gc(false).unwrap().n_artifacts, 0);
}

#[test]
fn gc_never_removes_what_another_is_about_to_name() {
    let f = Fixture::new();
    let (n_collected, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let write = |idx| {
        // The same few contents again and again: what one deletes, another names.
        let run = f.run("r").run_id;
        let content = [(idx % 3) as u8];
        let artifact = f.registry.log_artifact(&run, "a", &content).unwrap();
        assert_eq!(f.registry.read_artifact(&artifact).unwrap(), content);
        f.registry.delete_run(&run).unwrap();
    };
    // As often as it takes the collector to find something between two of them.
    let goes_on = |idx: &usize| *idx < 40 || n_collected.load(Ordering::Relaxed) <= 3;
    let writer = || (0..5_000).take_while(goes_on).for_each(write);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let n_artifacts = f.registry.gc(false).unwrap().n_artifacts;
                n_collected.fetch_add(n_artifacts, Ordering::Relaxed);
            }
        });
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(writer)).collect();
        let outcomes: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok));
        collector.join().unwrap();
    });
    assert!(n_collected.into_inner() > 3);
    assert!(f.registry.verify().unwrap().is_valid());
}

/// A store with runs, versions and a dataset.
fn filled() -> Fixture {
    let f = Fixture::new();
    f.version("M", "one");
    f.version("M", "two");
    promote(&f.registry, "M", 1, Stage::Production, "test").unwrap();
    promote(&f.registry, "M", 2, Stage::Production, "test").unwrap();
    let dataset = f.store().data_dir().join("imdb");
    fs::create_dir_all(&dataset).unwrap();
    fs::write(dataset.join("train.parquet"), b"PAR1 train").unwrap();
    fs::write(dataset.join("manifest.json"), b"{}").unwrap();
    fs::create_dir_all(f.store().data_dir().join(".being-added")).unwrap();
    fs::create_dir_all(f.store().logs_dir()).unwrap();
    // Two labels, and what a killed process left of a third.
    fs::write(f.store().labels_path(), format!("{LABELS}{{\"request_id\":\"r3\",\"la")).unwrap();
    fs::write(f.store().logs_dir().join("predictions.jsonl"), "{}\n").unwrap();
    f
}

const LABELS: &str = "{\"request_id\":\"r1\",\"label\":\"pos\",\"source\":\"user\",\"timestamp_ms\":1}\n\
    {\"request_id\":\"r2\",\"label\":\"neg\",\"source\":\"user\",\"timestamp_ms\":2}\n";

#[test]
fn a_backup_brings_everything_back() {
    let f = filled();
    let file = f.folder.path().join("backup.tar");
    let made = f.registry.backup(&file).unwrap();
    assert_eq!((made.n_runs, made.n_versions, made.n_artifacts, made.n_datasets), (2, 2, 2, 1));
    assert_eq!(made.n_labels, 2);
    assert_eq!(made.n_bytes, fs::metadata(&file).unwrap().len());

    // A store folder as it lies in git: nothing but a README.
    let store = Store::new(f.folder.path().join("other"));
    fs::create_dir_all(store.root()).unwrap();
    fs::write(store.root().join("README.md"), "what lives here").unwrap();
    assert_eq!(restore(&store, &file).unwrap(), made);
    let restored = Registry::open(&store).unwrap();
    let all = RunQuery::default();
    assert_eq!(restored.search_runs(&all).unwrap(), f.registry.search_runs(&all).unwrap());
    assert_eq!(restored.versions("M").unwrap(), f.registry.versions("M").unwrap());
    assert_eq!(fs::read(store.data_dir().join("imdb/train.parquet")).unwrap(), b"PAR1 train");
    assert!(!store.data_dir().join(".being-added").exists());
    assert!(restored.verify().unwrap().is_valid());
    assert_eq!(gate::rollback(&restored, "M", "bob", "").unwrap().to, 1);
    let names: Vec<_> =
        fs::read_dir(store.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 7, "no staging folder is left: {names:?}");

    assert_eq!(fs::read_to_string(store.labels_path()).unwrap(), LABELS, "whole lines");
    let logs: Vec<_> =
        fs::read_dir(store.logs_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(logs, ["labels.jsonl"], "predictions are no part of a backup");

    let error = restore(&store, &file).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    f.registry.backup(&file).unwrap();
}

#[test]
fn labels_are_restored_beside_predictions_and_never_over_others() {
    let f = filled();
    let file = f.folder.path().join("backup.tar");
    f.registry.backup(&file).unwrap();
    let store = Store::new(f.folder.path().join("served"));
    fs::create_dir_all(store.logs_dir()).unwrap();
    let predictions = store.logs_dir().join("predictions.jsonl");
    fs::write(&predictions, "mine\n").unwrap();
    fs::write(store.labels_path(), "mine too\n").unwrap();
    let error = restore(&store, &file).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(fs::read_to_string(store.labels_path()).unwrap(), "mine too\n");
    fs::remove_file(store.labels_path()).unwrap();
    restore(&store, &file).unwrap();
    assert_eq!(fs::read_to_string(store.labels_path()).unwrap(), LABELS);
    assert_eq!(fs::read_to_string(&predictions).unwrap(), "mine\n");
}

#[test]
fn a_damaged_backup_is_refused_and_the_store_stays_as_it_was() {
    let f = filled();
    let file = f.folder.path().join("backup.tar");
    f.registry.backup(&file).unwrap();
    let bytes = fs::read(&file).unwrap();
    let store = Store::new(f.folder.path().join("other"));
    let expected = f.registry.versions("M").unwrap();
    let check = |damaged: &[u8], what: &str| {
        fs::write(&file, damaged).unwrap();
        match restore(&store, &file) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}");
                assert!(!store.root().exists(), "{what} left something behind");
                true
            }
            // Padding between entries is nobody's data.
            Ok(_) => {
                let restored = Registry::open(&store).unwrap();
                assert_eq!(restored.versions("M").unwrap(), expected, "{what}");
                assert!(restored.verify().unwrap().is_valid(), "{what}");
                drop(restored);
                fs::remove_dir_all(store.root()).unwrap();
                false
            }
        }
    };
    let used: Vec<usize> = (0..bytes.len()).filter(|idx| bytes[*idx] != 0).collect();
    for idx in used.iter().copied().step_by(41) {
        let mut damaged = bytes.clone();
        damaged[idx] ^= 1 << (idx % 8);
        // A leading zero of a tar header's own checksum may become a blank, which says the same.
        let is_spelling = (148..156).contains(&(idx % 512));
        let is_noticed = check(&damaged, &format!("byte {idx}"));
        assert!(is_noticed || is_spelling, "byte {idx} was not noticed");
    }
    for idx in (0..bytes.len()).filter(|idx| bytes[*idx] == 0).step_by(499) {
        let mut damaged = bytes.clone();
        damaged[idx] = b'x';
        check(&damaged, &format!("zero at {idx}"));
    }
    for len in [0, 511, 512, 1024, bytes.len() / 2, bytes.len() - 2048] {
        assert!(check(&bytes[..len], &format!("cut to {len} bytes")), "cut to {len}");
    }
    assert!(check(b"not a tar file at all", "another file"));
    assert!(!check(&bytes, "the backup as it was"));
    let absent = restore(&store, Path::new("nowhere.tar")).err().unwrap();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}

#[test]
fn a_backup_of_a_damaged_store_is_refused() {
    let f = filled();
    let file = f.folder.path().join("backup.tar");
    f.registry.backup(&file).unwrap();
    let good = fs::read(&file).unwrap();
    let artifact = f.registry.version("M", 1).unwrap().files[0].clone();
    let path = f.registry.artifact_path(&artifact).unwrap();
    fs::write(path, b"0ne").unwrap();
    assert_eq!(f.registry.backup(&file).err().unwrap().kind(), ErrorKind::Corrupt);
    assert_eq!(fs::read(&file).unwrap(), good, "the older backup is still there");
    assert_eq!(fs::read_dir(f.folder.path()).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn backups_made_while_other_processes_write_are_consistent() {
    let f = Fixture::new();
    let shared = f.run("shared").run_id;
    let store = store_of(&f);
    let mut children: Vec<_> = (0..2).map(|_| spawn(&["churn", &store, "M"])).collect();
    let mut ready: Vec<_> =
        children.iter_mut().map(|child| acks(child.stdout.take().unwrap())).collect();
    let mut last = (0, 0);
    for idx in 0..6 {
        // Each has done something more: no backup is of the same state.
        for acks in &mut ready {
            acks.take(8).for_each(drop);
        }
        let file = f.folder.path().join(format!("backup-{idx}.tar"));
        f.registry.backup(&file).unwrap();
        let copy = Store::new(f.folder.path().join(format!("copy-{idx}")));
        let summary = restore(&copy, &file).unwrap();
        let restored = Registry::open(&copy).unwrap();
        assert!(restored.verify().unwrap().is_valid());
        assert!(restored.run(&shared).is_ok());
        let runs = restored.search_runs(&RunQuery::default()).unwrap();
        let now = (runs.len(), restored.versions("M").unwrap().len());
        assert_eq!((summary.n_runs, summary.n_versions), now);
        assert!(now.0 > last.0 && now.1 > last.1, "{last:?} -> {now:?}");
        last = now;
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
