//! Many processes on one store at once, some of them killed at random moments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use trialbook::{
    registry::{Registry, RunStatus, Stage},
    store::Store,
};

use super::{
    Fixture,
    child::{acks, n_kills, random_moment, spawn, store_of},
};

#[test]
fn eight_processes_with_500_writes_each_lose_nothing() {
    const N_PROCESSES: usize = 8;
    const N_WRITES: usize = 500;
    let f = Fixture::new();
    let shared = f.run("shared").run_id;
    let n_writes = N_WRITES.to_string();
    let store = store_of(&f);
    let mut children: Vec<_> =
        (0..N_PROCESSES).map(|_| spawn(&["write", &store, &shared, &n_writes])).collect();
    let mut keys = BTreeSet::new();
    for child in &mut children {
        let acks: Vec<String> = acks(child.stdout.take().unwrap()).collect();
        assert!(child.wait().unwrap().success());
        let (own, key) = acks[0].split_once(' ').unwrap();
        let steps = |run: &str| {
            let history = f.registry.metric_history(run, key).unwrap();
            history.into_iter().map(|metric| metric.step).collect::<Vec<_>>()
        };
        let n_logged = N_WRITES as i64 - 2;
        assert_eq!(steps(own), (0..n_logged).step_by(2).collect::<Vec<_>>());
        assert_eq!(steps(&shared), (1..n_logged).step_by(2).collect::<Vec<_>>());
        assert_eq!(f.registry.run(own).unwrap().status, RunStatus::Finished);
        keys.insert(key.to_owned());
    }
    let run = f.registry.run(&shared).unwrap();
    assert_eq!(run.metrics.into_keys().collect::<BTreeSet<_>>(), keys);
    assert!(f.registry.verify().unwrap().is_valid());
}

/// What was acknowledged, by kind.
#[derive(Default)]
struct Acknowledged {
    n_acks: usize,
    /// Model and version to run.
    versions: BTreeMap<(String, u32), String>,
    metrics: BTreeMap<String, i64>,
    finished: BTreeSet<String>,
}

impl Acknowledged {
    fn add(&mut self, model: &str, ack: &str) {
        self.n_acks += 1;
        match ack.split(' ').collect::<Vec<_>>().as_slice() {
            ["version", version, run] => {
                let key = (model.to_owned(), version.parse().unwrap());
                let twice = self.versions.insert(key, (*run).to_owned());
                assert_eq!(twice, None, "two processes were given the same version");
            }
            ["metric", run, step] => {
                self.metrics.insert((*run).to_owned(), step.parse().unwrap());
            }
            ["finished", run] => {
                self.finished.insert((*run).to_owned());
            }
            ["ready"] => {}
            other => panic!("unexpected {other:?}"),
        }
    }

    fn check(&self, registry: &Registry, model: &str) {
        for ((model, version), run) in &self.versions {
            let version = registry.version(model, *version).unwrap();
            assert_eq!(version.run_id, *run);
            let files = registry.model_files(&version).unwrap();
            let content = fs::read(files.path("weights.bin").unwrap()).unwrap();
            assert_eq!(content, format!("weights of {run}").into_bytes());
        }
        for (run, step) in &self.metrics {
            assert_eq!(registry.metric_history(run, "f1").unwrap()[0].step, *step);
        }
        for run in &self.finished {
            assert_eq!(registry.run(run).unwrap().status, RunStatus::Finished);
        }
        // What was not acknowledged may be there or not, but never in part.
        let Ok(versions) = registry.versions(model) else { return };
        let in_production = |version: &&_| {
            let version: &trialbook::registry::ModelVersion = version;
            version.stage == Stage::Production
        };
        assert!(versions.iter().filter(in_production).count() <= 1);
        for version in &versions {
            registry.model_files(version).unwrap();
        }
    }
}

/// What a round of kills aims at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Whatever is being done.
    Anything,
    /// The store that is being made.
    Making,
    /// The file that has just grown, before the commit it grew for.
    Growth,
}

/// `TRIALBOOK_TEST_KILLS=1000` kills so many.
#[test]
fn processes_killed_at_random_moments_lose_nothing_acknowledged() {
    const N_PROCESSES: u64 = 4;
    let n_rounds = n_kills(52 * N_PROCESSES).div_ceil(N_PROCESSES);
    let f = Fixture::new();
    let (mut n_killed, mut n_acks, mut n_grown) = (0, 0, 0);
    let from = Instant::now();
    for round in 0..n_rounds {
        let (aim, store) = match round % 13 {
            0 => (Aim::Making, f.folder.path().join(format!("fresh-{round}"))),
            // Small ones, whose file grows often: it shrinks whenever it is closed.
            3 | 6 | 9 => (Aim::Growth, f.folder.path().join(format!("growing-{}", round / 13))),
            _ => (Aim::Anything, f.store().root().to_owned()),
        };
        let model = format!("m{round}");
        let collected: Vec<Killed> = thread::scope(|scope| {
            let killers: Vec<_> = (0..N_PROCESSES)
                .map(|idx| {
                    let store = Store::new(&store);
                    let (model, seed) = (&model, round * N_PROCESSES + idx);
                    scope.spawn(move || kill_one(&store, model, seed, aim))
                })
                .collect();
            killers.into_iter().map(|killer| killer.join().unwrap()).collect()
        });
        let mut acknowledged = Acknowledged::default();
        for killed in collected {
            n_killed += u64::from(killed.by_us);
            n_grown += u64::from(killed.at_growth);
            killed.acks.iter().for_each(|ack| acknowledged.add(&model, ack));
        }
        n_acks += acknowledged.n_acks;
        let registry = Registry::open(&Store::new(store)).unwrap();
        acknowledged.check(&registry, &model);
        if aim != Aim::Anything || round + 1 == n_rounds {
            let verification = registry.verify().unwrap();
            assert!(verification.is_valid(), "{verification:?}");
        }
    }
    println!(
        "{n_killed} killed, {n_grown} of them as the file grew; {n_acks} writes acknowledged by \
         {N_PROCESSES} at once in {:.0} s",
        from.elapsed().as_secs_f64()
    );
    assert_eq!(n_killed, n_rounds * N_PROCESSES);
    assert!(n_acks > n_rounds as usize, "the processes were killed before they did anything");
    assert!(n_grown > 0 || n_rounds < 13, "no file grew");
}

/// What is known of a process that was killed.
struct Killed {
    by_us: bool,
    at_growth: bool,
    acks: Vec<String>,
}

/// Starts a process, kills it at a moment that `seed` chooses, and returns what it acknowledged.
fn kill_one(store: &Store, model: &str, seed: u64, aim: Aim) -> Killed {
    let path = store.registry_path();
    let mut child = spawn(&["churn", store.root().to_str().unwrap(), model]);
    let mut acks = acks(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    if aim != Aim::Making {
        acknowledged.extend(acks.next());
    }
    let moment = random_moment(seed, Duration::from_millis(50));
    let killer = thread::spawn(move || {
        let at_growth = match aim {
            Aim::Growth => wait_for_growth(&path, Duration::from_millis(250)),
            Aim::Anything | Aim::Making => {
                thread::sleep(moment);
                false
            }
        };
        child.kill().unwrap();
        (child.wait().unwrap(), at_growth)
    });
    acknowledged.extend(acks);
    let (status, at_growth) = killer.join().unwrap();
    Killed { by_us: was_killed(status), at_growth, acks: acknowledged }
}

/// Returns as soon as the file at `path` is longer than it was, and whether it is; looks no longer
/// than `at_most`.
fn wait_for_growth(path: &Path, at_most: Duration) -> bool {
    let len = || fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (from, mut least) = (Instant::now(), len());
    while from.elapsed() < at_most {
        let now = len();
        if now > least {
            return true;
        }
        least = now;
        // Those that write need the processor too.
        thread::sleep(Duration::from_micros(20));
    }
    false
}

#[cfg(unix)]
fn was_killed(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(9)
}

#[cfg(not(unix))]
fn was_killed(status: std::process::ExitStatus) -> bool {
    !status.success()
}
