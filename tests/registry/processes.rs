//! Many processes on one store at once, some of them killed at random moments.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use trialbook::{
    registry::{Registry, RunStatus, Stage},
    store::Store,
};

use super::{
    Fixture,
    child::{acks, spawn, store_of},
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
            let content = std::fs::read(files.path("weights.bin").unwrap()).unwrap();
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

#[test]
fn processes_killed_at_random_moments_lose_nothing_acknowledged() {
    const N_ROUNDS: u64 = 52;
    const N_PROCESSES: u64 = 4;
    let f = Fixture::new();
    let mut n_killed = 0;
    let mut n_acks = 0;
    for round in 0..N_ROUNDS {
        // Now and then a store that does not exist yet: killed also while it is being made.
        let is_fresh = round % 13 == 0;
        let store = match is_fresh {
            true => f.folder.path().join(format!("fresh-{round}")).display().to_string(),
            false => store_of(&f),
        };
        let model = format!("m{round}");
        let collected: Vec<(u64, Vec<String>)> = thread::scope(|scope| {
            let killers: Vec<_> = (0..N_PROCESSES)
                .map(|idx| {
                    let (store, model) = (&store, &model);
                    scope.spawn(move || kill_one(store, model, round * N_PROCESSES + idx, is_fresh))
                })
                .collect();
            killers.into_iter().map(|killer| killer.join().unwrap()).collect()
        });
        let mut acknowledged = Acknowledged::default();
        for (killed, acks) in collected {
            n_killed += killed;
            acks.iter().for_each(|ack| acknowledged.add(&model, ack));
        }
        n_acks += acknowledged.n_acks;
        let registry = Registry::open(&Store::new(store)).unwrap();
        acknowledged.check(&registry, &model);
        if is_fresh || round + 1 == N_ROUNDS {
            let verification = registry.verify().unwrap();
            assert!(verification.is_valid(), "{verification:?}");
        }
    }
    assert_eq!(n_killed, N_ROUNDS * N_PROCESSES);
    assert!(n_acks > N_ROUNDS as usize, "the processes were killed before they did anything");
}

/// Starts a process, kills it at a moment that `seed` chooses, and returns what it acknowledged.
fn kill_one(store: &str, model: &str, seed: u64, at_once: bool) -> (u64, Vec<String>) {
    let mut child = spawn(&["churn", store, model]);
    let mut acks = acks(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    if !at_once {
        acknowledged.extend(acks.next());
    }
    // splitmix64: any spread of moments will do.
    let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let moment = Duration::from_micros((random >> 20) % 50_000);
    let from = Instant::now();
    let killer = thread::spawn(move || {
        thread::sleep(moment.saturating_sub(from.elapsed()));
        child.kill().unwrap();
        child.wait().unwrap()
    });
    acknowledged.extend(acks);
    let status = killer.join().unwrap();
    (u64::from(was_killed(status)), acknowledged)
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
