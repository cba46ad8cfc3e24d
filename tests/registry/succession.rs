//! A store that an older version wrote is moved whole, also while that version writes to it, whoever
//! is killed meanwhile, and an older version refuses it from then on.
//!
//! The older version is `tests/older`: its way with a registry, here on the present redb. Against the
//! redb 4.4 that it had: `tests/older/run.sh`.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redb::{Builder, ConcurrencyMode, ReadableDatabase as _};
use tempfile::TempDir;
use trialbook::{
    registry::{AuditQuery, Registry, RunQuery, RunStatus, Stage, restore},
    store::Store,
};

use super::{
    child::{acks, limited, n_kills, random_moment, spawn, spawn_as_nobody},
    older::OLDER,
};

/// A store as version 0.1.0 wrote it, with redb 4.4 and schema 2, by
/// `tests/fixtures/make_store_v2.sh`, and what it said of it.
struct OlderStore {
    folder: TempDir,
    store: Store,
}

impl OlderStore {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let packed = fs::File::open(fixtures.join("store_v2.tar.zst")).unwrap();
        let tar = zstd::Decoder::new(packed).unwrap();
        tar::Archive::new(tar).unpack(folder.path()).unwrap();
        Self { folder, store }
    }

    /// What lies at the name that older versions know.
    fn older_path(&self) -> std::path::PathBuf {
        self.store.root().join("registry.redb")
    }

    fn older_version(&self) -> Child {
        let Some(program) = std::env::var_os("TRIALBOOK_TEST_OLDER") else {
            return spawn(&["older", self.store.root().to_str().unwrap()]);
        };
        let mut command = Command::new(program);
        command.arg(self.store.root()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    fn mover(&self) -> Child {
        spawn(&["move", self.store.root().to_str().unwrap()])
    }

    /// Whether what is to become the registry waits for its name.
    fn is_half_moved(&self) -> bool {
        self.store.root().join("registry-v3.redb.new").exists()
    }

    /// Returns once it is so, or the registry has been moved; waits no longer than `at_most`.
    fn wait_for_half(&self, at_most: Duration) {
        let from = Instant::now();
        let is_moved = || self.is_half_moved() || self.store.registry_path().exists();
        while from.elapsed() < at_most && !is_moved() {
            thread::sleep(Duration::from_micros(20));
        }
    }

    fn backups(&self) -> Vec<String> {
        let names = fs::read_dir(self.store.root()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut backups: Vec<String> = names.filter(|name| name.contains("backup")).collect();
        backups.sort();
        backups
    }
}

/// Everything that the fixture holds.
fn check(registry: &Registry) {
    let verification = registry.verify().unwrap();
    assert!(verification.is_valid(), "{verification:?}");
    assert_eq!(verification.n_valid, N_ARTIFACTS);
    let runs = registry.search_runs(&RunQuery::default()).unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(runs.iter().all(|run| run.status == RunStatus::Finished));
    assert!(runs.iter().all(|run| run.metrics.contains_key("f1")), "{runs:?}");
    let versions = registry.versions(MODEL).unwrap();
    let stages: Vec<(u32, Stage)> = versions.iter().map(|v| (v.version, v.stage)).collect();
    assert_eq!(stages, [(1, Stage::Archived), (2, Stage::Production)]);
    for version in &versions {
        registry.model_files(version).unwrap();
    }
    let keys = registry.keys().unwrap();
    assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["web"]);
    let trail = registry.audit(&AuditQuery::default()).unwrap();
    assert!(trail.len() >= 3, "{trail:?}");
}

const MODEL: &str = "sentiment";
const N_ARTIFACTS: usize = 19;

#[test]
fn a_store_of_an_older_version_is_moved_whole_and_a_backup_is_kept() {
    let s = OlderStore::new();
    let before = fs::read(s.older_path()).unwrap();
    let registry = Registry::open(&s.store).unwrap();
    check(&registry);
    assert_eq!(s.backups(), ["registry-v2-backup.redb"]);
    assert_eq!(fs::read(s.store.root().join(&s.backups()[0])).unwrap(), before, "as it was");
    // It is a registry like any other.
    let run = registry.create_run(super::new_run("after")).unwrap().run_id;
    drop(registry);
    let registry = Registry::open(&s.store).unwrap();
    assert_eq!(registry.run(&run).unwrap().name, "after");
    let file = s.folder.path().join("backup.tar");
    registry.backup(&file).unwrap();
    let restored = Store::new(s.folder.path().join("restored"));
    restore(&restored, &file).unwrap();
    assert_eq!(Registry::open(&restored).unwrap().run(&run).unwrap().name, "after");
    registry.gc(false).unwrap();
    assert_eq!(s.backups().len(), 1, "collecting leaves it alone");

    // Both are refused to an older version, also the one that was made by restoring.
    for store in [&s.store, &restored] {
        let older = OlderStore { folder: tempfile::tempdir().unwrap(), store: store.clone() };
        assert_eq!(refusals(older.older_version()), [REFUSED]);
    }

    // Going back is putting the backup in the marker's place.
    fs::copy(s.store.root().join(&s.backups()[0]), s.older_path()).unwrap();
    let problems = registry.verify().unwrap().problems;
    assert!(problems.len() == 1 && problems[0].contains("another registry"), "{problems:?}");
}

/// What an older version says of a store that it must not use.
const REFUSED: &str = "refused the registry has schema 3, this build reads 1 to 2";

/// What it says that it did, to its end.
fn refusals(mut older: Child) -> Vec<String> {
    let acks: Vec<String> = acks(older.stdout.take().unwrap()).collect();
    assert!(older.wait().unwrap().success());
    acks
}

#[test]
fn a_new_store_is_refused_to_older_versions() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    drop(Registry::open(&store).unwrap());
    let older = OlderStore { folder, store };
    assert_eq!(refusals(older.older_version()), [REFUSED]);
    assert!(Registry::open(&older.store).unwrap().verify().unwrap().is_valid());
    assert!(older.backups().is_empty());
}

/// Older versions write, and one of them is killed, as are processes that move the registry.
#[test]
fn moving_a_store_under_older_versions_that_write_loses_nothing_they_were_told() {
    const N_WRITERS: usize = 3;
    const N_MOVERS: u64 = 4;
    let from = Instant::now();
    let n_rounds = (n_kills(24) / N_MOVERS).max(1);
    let (mut n_killed, mut n_half_moved, mut n_written, mut n_unclear) = (0, 0, 0, 0);
    for round in 0..n_rounds {
        let s = OlderStore::new();
        let writers: Vec<_> = (0..N_WRITERS).map(|_| s.older_version()).collect();
        let ids: Vec<u64> = writers.iter().map(|writer| writer.id().into()).collect();
        let told: Vec<Vec<String>> = thread::scope(|scope| {
            let told: Vec<_> = writers
                .into_iter()
                .enumerate()
                .map(|(idx, mut writer)| {
                    let mut acks = acks(writer.stdout.take().unwrap());
                    // It has the registry open, and has written to it.
                    let mut told = vec![acks.next().unwrap(), acks.next().unwrap()];
                    scope.spawn(move || {
                        if idx == 0 {
                            thread::sleep(random_moment(round, Duration::from_millis(300)));
                            writer.kill().unwrap();
                        }
                        writer.wait().unwrap()
                    });
                    scope.spawn(move || {
                        told.extend(acks);
                        told
                    })
                })
                .collect();
            // Two at once, killed at any moment; two more, killed once a successor waits;
            // then one that is let finish.
            for pair in 0..N_MOVERS / 2 {
                let mut movers = [s.mover(), s.mover()];
                let mut said = movers.each_mut().map(|mover| acks(mover.stdout.take().unwrap()));
                said.iter_mut().for_each(|said| assert_eq!(said.next().unwrap(), "ready"));
                match pair {
                    0 => thread::sleep(random_moment(round, Duration::from_millis(60))),
                    _ => {
                        s.wait_for_half(Duration::from_millis(500));
                        thread::sleep(random_moment(round, Duration::from_millis(5)));
                    }
                }
                movers.iter_mut().for_each(|mover| mover.kill().unwrap());
                for mover in &mut movers {
                    mover.wait().unwrap();
                }
                n_killed += said
                    .into_iter()
                    .filter_map(|mut said| said.next().is_none().then_some(1))
                    .sum::<u64>();
                n_half_moved += u64::from(s.is_half_moved());
            }
            Registry::open(&s.store).unwrap();
            told.into_iter().map(|told| told.join().unwrap()).collect()
        });

        let registry = Registry::open(&s.store).unwrap();
        check(&registry);
        let mut builder = Builder::new();
        let database = builder
            .set_concurrency_mode(ConcurrencyMode::MultiWriter)
            .open(s.store.registry_path())
            .unwrap();
        let txn = database.begin_read().unwrap();
        let table = txn.open_table(OLDER).unwrap();
        for (idx, (id, told)) in ids.into_iter().zip(told).enumerate() {
            let (written, refused): (Vec<&String>, Vec<&String>) =
                told.iter().partition(|told| told.parse::<u64>().is_ok());
            let last: u64 = written.last().unwrap().parse().unwrap();
            let found = table.get(id).unwrap().unwrap().value().0;
            n_written += last;
            match refused.as_slice() {
                // It may have been killed before it could say that it has written once more.
                [] if idx == 0 => assert!([last, last + 1].contains(&found), "{last}, {found}"),
                [refused] => {
                    assert_eq!(found, last, "it was told {last}");
                    // Where a process was killed between taking the old file out of use and putting
                    // the marker there, an older version finds nothing that it knows, and stops all
                    // the same.
                    let is_clear = *refused == REFUSED;
                    assert!(is_clear || refused.contains("magic number"), "{refused}");
                    n_unclear += u64::from(!is_clear);
                }
                _ => panic!("it goes on: {told:?}"),
            }
        }
        assert_eq!(refusals(s.older_version()), [REFUSED], "and it stays refused");
        for backup in s.backups() {
            let path = s.store.root().join(&backup);
            assert!(Builder::new().open(path).is_ok(), "{backup}");
        }
    }
    println!(
        "{n_killed} of {} killed before they were done, {n_half_moved} times half way; {n_written} writes acknowledged to {N_WRITERS} older versions at once in {:.0} s; \
         {n_unclear} times refused in other words",
        n_rounds * N_MOVERS,
        from.elapsed().as_secs_f64(),
    );
    assert!(n_killed > 0, "every process was done before it was to be killed");
}

#[test]
fn a_full_disk_leaves_the_older_store_as_it_was() {
    let s = OlderStore::new();
    let before = fs::read(s.older_path()).unwrap();
    // Half of the file that is copied.
    let n_kib = (before.len() / 2048).to_string();
    let acks = limited(&n_kib, &["move", s.store.root().to_str().unwrap()]);
    assert_eq!(acks[0], "ready");
    assert!(acks[1].starts_with("refused Io: cannot move the registry"), "{acks:?}");
    assert_eq!(fs::read(s.older_path()).unwrap(), before);
    assert!(s.backups().is_empty() && !s.store.registry_path().exists());
    let mut older = s.older_version();
    assert_eq!(super::child::acks(older.stdout.take().unwrap()).next().unwrap(), "1");
    older.kill().unwrap();
    older.wait().unwrap();
    check(&Registry::open(&s.store).unwrap());
}

/// Who may not write reads what is there; nothing is moved.
#[cfg(target_os = "linux")]
#[test]
fn an_older_store_that_is_read_only_is_read_and_stays_as_it_is() {
    let s = OlderStore::new();
    let before = fs::read(s.older_path()).unwrap();
    let root = s.store.root().to_str().unwrap();
    let acks = spawn_as_nobody(s.folder.path(), &["read-older", root]);
    assert_eq!(acks, ["read 2 runs", "refused Io"]);
    assert_eq!(fs::read(s.older_path()).unwrap(), before);
    assert!(!s.store.registry_path().exists());
}

/// A damaged older registry is not moved, and what is there is left for whoever repairs it.
#[test]
fn what_is_no_registry_of_an_older_version_is_refused_and_left_alone() {
    for (bytes, expected) in [
        (b"something else".as_slice(), "is not a registry"),
        (b"", "is not a registry"),
        (&fs::read(OlderStore::new().older_path()).unwrap()[..9_000], "is damaged"),
    ] {
        let s = OlderStore::new();
        fs::write(s.older_path(), bytes).unwrap();
        let error = Registry::open(&s.store).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("registry.redb") && error.hint().is_some(), "{error:?}");
        assert_eq!(fs::read(s.older_path()).unwrap(), bytes);
        assert!(s.backups().is_empty() && !s.store.registry_path().exists());
    }
}
