//! The other process: this test binary, started again to do one job on a store and to say on its
//! standard output what it was told is done.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use trialbook::{
    ErrorKind, gate,
    registry::{Registry, RunQuery, RunStatus, Stage},
    store::Store,
};

use super::{Fixture, metrics, new_run, promote, version_of};

const JOB: &str = "TRIALBOOK_TEST_JOB";

/// What a line begins with that says something is done.
const ACK: &str = "ack ";

/// Does the job that the environment names; an ordinary run of the tests names none.
#[test]
fn worker() {
    let Ok(job) = std::env::var(JOB) else { return };
    let words: Vec<&str> = job.split('\n').collect();
    match words.as_slice() {
        ["write", store, shared, n_writes] => write(store, shared, n_writes.parse().unwrap()),
        ["churn", store, model] => churn(store, model),
        ["fill", store] => fill_until_refused(store),
        ["read-only", store, run] => use_read_only(store, run),
        ["read-older", store] => read_older(store),
        ["move", store] => move_here(store),
        #[cfg(unix)]
        ["older", store] => super::older::write_until_refused(Path::new(store)),
        ["fixture", file] => super::formats::write_fixture(Path::new(file)),
        ["tracked", file] => super::tracked::write_fixture(Path::new(file)),
        _ => panic!("no such job: {job}"),
    }
}

/// The command that starts this binary as another process with one job.
pub(crate) fn command(program: &Path, job: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "registry::child::worker", "--nocapture", "--test-threads=1"])
        .env(JOB, job.join("\n"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Starts another process with one job.
pub(crate) fn spawn(job: &[&str]) -> Child {
    command(&std::env::current_exe().unwrap(), job).spawn().unwrap()
}

/// What a process says is done that does its job where the system refuses to let files grow beyond
/// `n_kib`, as on a full disk: a limit that needs no rights to set and cannot be missing.
#[cfg(unix)]
pub(crate) fn limited(n_kib: &str, job: &[&str]) -> Vec<String> {
    let job = command(&std::env::current_exe().unwrap(), job);
    let mut shell = Command::new("bash");
    // Without the trap the signal that comes with the refusal would end the process.
    let limit = format!("trap '' XFSZ; ulimit -f {n_kib}; exec \"$0\" \"$@\"");
    shell
        .args(["-c", &limit])
        .arg(job.get_program())
        .args(job.get_args())
        .envs(job.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let acks: Vec<String> = acks(child.stdout.take().unwrap()).collect();
    assert!(child.wait().unwrap().success(), "{acks:?}");
    acks
}

/// What a process says is done that may only read what lies in `dir`, and has no rights to ignore that.
#[cfg(target_os = "linux")]
pub(crate) fn spawn_as_nobody(dir: &Path, job: &[&str]) -> Vec<String> {
    use std::os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    };
    const NOBODY: u32 = 65534;
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let all = paths(dir);
    for path in &all {
        permit(path, if path.is_dir() { 0o555 } else { 0o444 });
    }
    // By this name a process can start its own program also where the way to it is barred.
    let mut reader = command(Path::new("/proc/self/exe"), job);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        reader.uid(NOBODY).gid(NOBODY);
    }
    let mut child = reader.current_dir("/").spawn().unwrap();
    let acks: Vec<String> = acks(child.stdout.take().unwrap()).collect();
    let status = child.wait().unwrap();
    for path in all {
        permit(&path, 0o755);
    }
    assert!(status.success(), "{acks:?}");
    acks
}

/// `dir` and everything below it.
#[cfg(target_os = "linux")]
fn paths(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(paths(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// How many processes a test kills: `usual`, or what `TRIALBOOK_TEST_KILLS` says.
pub(crate) fn n_kills(usual: u64) -> u64 {
    match std::env::var("TRIALBOOK_TEST_KILLS") {
        Ok(n_kills) => n_kills.parse().expect("TRIALBOOK_TEST_KILLS is a number"),
        Err(_) => usual,
    }
}

/// A moment below `most` that `seed` chooses.
pub(crate) fn random_moment(seed: u64, most: Duration) -> Duration {
    // splitmix64: any spread of moments will do.
    let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let most = u64::try_from(most.as_micros()).unwrap();
    Duration::from_micros((random >> 20) % most)
}

/// What the process says is done, line by line, until it ends.
pub(crate) fn acks(stdout: ChildStdout) -> impl Iterator<Item = String> {
    // A line that was cut by the kill was never acknowledged in full: it has no newline.
    let mut stdout = BufReader::new(stdout);
    std::iter::from_fn(move || {
        let mut line = String::new();
        let n_read = stdout.read_line(&mut line).unwrap_or(0);
        (n_read > 0 && line.ends_with('\n')).then_some(line)
    })
    .filter_map(|line| line.trim_end().split_once(ACK).map(|(_, ack)| ack.to_owned()))
}

fn ack(what: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{ACK}{what}").unwrap();
    stdout.flush().unwrap();
}

/// A run of its own: half of the writes go there, half into a run shared by all.
fn write(store: &str, shared: &str, n_writes: i64) {
    let registry = Registry::open(&Store::new(store)).unwrap();
    let own = registry.create_run(new_run("own")).unwrap().run_id;
    let key = std::process::id().to_string();
    for step in 0..n_writes - 2 {
        let run = if step % 2 == 0 { &own } else { shared };
        registry.log(run, &metrics(&[(&key, step as f64, step)])).unwrap();
    }
    registry.finish_run(&own, RunStatus::Finished, 1_700_000_009_000).unwrap();
    ack(&format!("{own} {key}"));
}

/// Logs, registers, promotes and rolls back until it is killed.
fn churn(store: &str, model: &str) {
    let registry = Registry::open(&Store::new(store)).unwrap();
    ack("ready");
    for round in 0.. {
        let mut new = new_run("churn");
        // Enough for the file to grow now and then.
        new.tags.insert("filler".to_owned(), "x".repeat(7_000));
        let run = registry.create_run(new).unwrap().run_id;
        registry.log(&run, &metrics(&[("f1", 0.5, round)])).unwrap();
        ack(&format!("metric {run} {round}"));
        let content = format!("weights of {run}");
        let version = version_of(&registry, &run, model, &content).version;
        ack(&format!("version {version} {run}"));
        // Another process may have promoted it away or rolled back meanwhile.
        match promote(&registry, model, version, Stage::Production, "churn") {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            outcome => drop(outcome.unwrap()),
        }
        if round % 2 == 1 {
            match gate::rollback(&registry, model, "alice", "churn") {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                outcome => drop(outcome.unwrap()),
            }
        }
        registry.finish_run(&run, RunStatus::Finished, 1_700_000_009_000).unwrap();
        ack(&format!("finished {run}"));
    }
}

/// Writes until the system refuses; says what was written and how it was refused.
fn fill_until_refused(store: &str) {
    let registry = Registry::open(&Store::new(store)).unwrap();
    let error = loop {
        let mut new = new_run("fill");
        new.tags.insert("filler".to_owned(), "x".repeat(7_000));
        match registry.create_run(new) {
            Ok(run) => ack(&format!("run {}", run.run_id)),
            Err(error) => break error,
        }
    };
    ack(&format!("refused {error:?}"));
    let run = registry.search_runs(&RunQuery::default()).unwrap().remove(0).run_id;
    let error = registry.log_artifact(&run, "big", &vec![7; 64 << 20]).err().unwrap();
    ack(&format!("refused {error:?}"));
}

/// Reads a store that it may not write, and tries to.
fn use_read_only(store: &str, run: &str) {
    let registry = Registry::open(&Store::new(store)).unwrap();
    assert_eq!(registry.run(run).unwrap().metrics["f1"], 0.9);
    let artifacts = registry.artifacts(run).unwrap();
    assert_eq!(registry.read_artifact(&artifacts[0]).unwrap(), b"x");
    assert!(registry.verify().unwrap().is_valid());
    let refused = [
        registry.log(run, &metrics(&[("f1", 1.0, 1)])),
        registry.create_run(new_run("new")).map(drop),
        registry.log_artifact(run, "b", b"other").map(drop),
        registry.gc(false).map(drop),
        Registry::open(&Store::new(format!("{store}/inner"))).map(drop),
    ];
    for (idx, refused) in refused.into_iter().enumerate() {
        let error = refused.err().unwrap_or_else(|| panic!("write {idx} was not refused"));
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        assert!(error.hint().unwrap().to_string().contains("--store DIR"), "{error:?}");
    }
    ack("refused all");
}

/// Opens a store that an older version wrote; says whether it could.
fn move_here(store: &str) {
    ack("ready");
    match Registry::open(&Store::new(store)) {
        Ok(_) => ack("moved"),
        Err(error) => ack(&format!("refused {error:?}")),
    }
}

/// Reads a store that an older version wrote and that may not be moved, and tries to write to it.
fn read_older(store: &str) {
    let registry = Registry::open(&Store::new(store)).unwrap();
    let runs = registry.search_runs(&RunQuery::default()).unwrap();
    assert!(registry.verify().unwrap().is_valid());
    assert_eq!(registry.keys().unwrap().len(), 1);
    ack(&format!("read {} runs", runs.len()));
    let error = registry.create_run(new_run("new")).err().unwrap();
    assert!(error.hint().unwrap().to_string().contains("--store DIR"), "{error:?}");
    ack(&format!("refused {:?}", error.kind()));
}

/// A store as this process would make it, for the jobs that need one.
pub(crate) fn store_of(f: &Fixture) -> String {
    f.store().root().to_str().unwrap().to_owned()
}
