//! A full disk and a store that may not be written are clear errors that lose nothing.

use std::fs;

use super::{
    Fixture,
    child::{acks, limited, spawn, spawn_as_nobody, store_of},
    metrics,
};

#[cfg(unix)]
#[test]
fn a_full_disk_is_a_clear_error_and_loses_nothing() {
    let f = Fixture::new();
    let acks = limited("4096", &["fill", &store_of(&f)]);
    let (runs, refused): (Vec<&String>, Vec<&String>) =
        acks.iter().partition(|ack| ack.starts_with("run "));
    assert!(runs.len() > 10, "{acks:?}");
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("refused Io: cannot use the registry"), "{}", refused[0]);
    assert!(refused[0].contains("nothing was changed"), "{}", refused[0]);
    assert!(refused[1].starts_with("refused Io: cannot write an artifact"), "{}", refused[1]);

    for run in runs {
        f.registry.run(&run["run ".len()..]).unwrap();
    }
    f.run("there is room again");
    let verification = f.registry.verify().unwrap();
    assert!(verification.is_valid(), "{verification:?}");
    let n_files = fs::read_dir(f.store().root()).unwrap().count();
    // The registry and its log, what keeps older versions away, and the artifacts.
    assert!(n_files <= 4, "temporary files were left behind");
}

/// A store whose permissions forbid writing, used by a process without the rights to ignore them.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_store_can_be_read_and_refuses_writes_clearly() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    f.registry.log(&run, &metrics(&[("f1", 0.9, 0)])).unwrap();
    f.registry.log_artifact(&run, "a", b"x").unwrap();
    let acks = spawn_as_nobody(f.folder.path(), &["read-only", &store_of(&f), &run]);
    assert_eq!(acks, ["refused all"]);
}

/// redb opens such a file only to repair it, which who may only read cannot.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_store_is_read_also_where_every_writer_was_killed() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    f.registry.log(&run, &metrics(&[("f1", 0.9, 0)])).unwrap();
    f.registry.log_artifact(&run, "a", b"x").unwrap();
    let (store, path) = (store_of(&f), f.store().registry_path());
    let Fixture { folder, registry } = f;
    drop(registry);
    let mut writer = spawn(&["churn", &store, "M"]);
    let done = acks(writer.stdout.take().unwrap()).find(|ack| ack.starts_with("finished "));
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(done.is_some());
    let mut builder = redb::Builder::new();
    let opened =
        builder.set_concurrency_mode(redb::ConcurrencyMode::MultiWriter).open_read_only(&path);
    assert!(matches!(opened, Err(redb::DatabaseError::RepairAborted)), "nothing is tried here");

    let before = fs::read(&path).unwrap();
    let acks = spawn_as_nobody(folder.path(), &["read-only", &store, &run]);
    assert_eq!(acks, ["refused all"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}
