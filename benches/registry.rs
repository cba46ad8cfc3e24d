//! The registry's speed: recording runs durably, listing many, opening; at last, on standard output, the
//! most memory that it took, in one line of JSON. Beside MLflow on SQLite:
//! `benches/peers/mlflow_tracking.py` does the same work.

#![allow(missing_docs, reason = "criterion's macro makes a public function without any")]

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use trialbook::{
    registry::{Metric, NewRun, Registry, RunBatch, RunQuery, RunStatus},
    store::Store,
};

const START_MS: i64 = 1_700_000_000_000;

fn pairs(n_pairs: usize, prefix: &str) -> BTreeMap<String, String> {
    (0..n_pairs).map(|idx| (format!("{prefix}{idx}"), idx.to_string())).collect()
}

fn new_run(n_params: usize, n_tags: usize) -> NewRun {
    NewRun {
        experiment_id: "0".to_owned(),
        start_ms: START_MS,
        params: pairs(n_params, "p"),
        tags: pairs(n_tags, "t"),
        ..NewRun::default()
    }
}

/// 50 values of one metric, as a training of 50 epochs logs them.
fn batch(value: f64) -> RunBatch {
    let metrics = (0..50).map(|step| Metric {
        key: "f1".to_owned(),
        value,
        step,
        timestamp_ms: START_MS + step,
    });
    RunBatch { metrics: metrics.collect(), ..RunBatch::default() }
}

/// A finished run as `search_runs` meets it: five metrics, ten params, two tags.
fn record_listed_run(registry: &Registry, idx: usize) {
    let keys = ["accuracy", "f1", "loss", "precision", "recall"];
    let metrics = keys.into_iter().enumerate().map(|(key_idx, key)| Metric {
        key: key.to_owned(),
        value: ((idx * 7_919 + key_idx * 104_729) % 10_007) as f64 / 10_007.0,
        step: 0,
        timestamp_ms: START_MS,
    });
    let batch = RunBatch { metrics: metrics.collect(), ..RunBatch::default() };
    record_run(registry, new_run(10, 2), &batch);
}

/// A run's life, in three durable commits.
fn record_run(registry: &Registry, new: NewRun, batch: &RunBatch) {
    let run = registry.create_run(new).expect("valid").run_id;
    registry.log(&run, batch).expect("valid");
    registry.finish_run(&run, RunStatus::Finished, START_MS + 50).expect("valid");
}

fn recording(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("the system gives a temporary folder");
    let registry = Registry::open(&Store::new(folder.path())).expect("a new store opens");
    let mut group = c.benchmark_group("run with 50 metrics, 10 params, 2 tags");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("live: create, log, finish (3 durable commits)", |b| {
        b.iter_batched(
            || (new_run(10, 2), batch(0.9)),
            |(new, batch)| record_run(&registry, new, &batch),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn listing(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("the system gives a temporary folder");
    let store = Store::new(folder.path());
    let registry = Registry::open(&store).expect("a new store opens");
    (0..10_000).for_each(|idx| record_listed_run(&registry, idx));
    let all = RunQuery { order: vec!["metrics.f1 desc".to_owned()], ..RunQuery::default() };
    let best = RunQuery {
        filter: Some("metrics.f1 > 0.5 and params.p1 = '1'".to_owned()),
        limit: Some(100),
        ..all.clone()
    };
    let mut group = c.benchmark_group("10,000 runs");
    group.sample_size(20);
    group.bench_function("list all by metric", |b| {
        b.iter(|| black_box(registry.search_runs(&all).expect("valid")).len());
    });
    group.bench_function("filter, best 100", |b| {
        b.iter(|| black_box(registry.search_runs(&best).expect("valid")).len());
    });
    let run = registry.search_runs(&best).expect("valid").remove(0).run_id;
    drop(registry);
    group.bench_function("open the store and read one run", |b| {
        // Closing is the process's last act and is not waited for by who reads the answer.
        b.iter_custom(|n_rounds| {
            (0..n_rounds)
                .map(|_| {
                    let clock = Instant::now();
                    let registry = Registry::open(&store).expect("valid");
                    black_box(registry.run(&run).expect("valid"));
                    clock.elapsed()
                })
                .sum()
        });
    });
    group.finish();
}

/// A hundred thousand runs: a page of them as MLflow's clients ask for it, and all.
fn listing_many(c: &mut Criterion) {
    const N_WRITERS: usize = 8;
    let folder = tempfile::tempdir().expect("the system gives a temporary folder");
    let registry = Registry::open(&Store::new(folder.path())).expect("a new store opens");
    std::thread::scope(|scope| {
        for writer in 0..N_WRITERS {
            let registry = registry.clone();
            scope.spawn(move || {
                (writer..100_000)
                    .step_by(N_WRITERS)
                    .for_each(|idx| record_listed_run(&registry, idx));
            });
        }
    });
    let all = RunQuery { order: vec!["metrics.f1 desc".to_owned()], ..RunQuery::default() };
    let page = RunQuery { limit: Some(1000), ..all.clone() };
    let best = RunQuery {
        filter: Some("metrics.f1 > 0.5 and params.p1 = '1'".to_owned()),
        limit: Some(100),
        ..all.clone()
    };
    let mut group = c.benchmark_group("100,000 runs");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function("100,000: list by metric, first 1,000", |b| {
        b.iter(|| black_box(registry.search_runs(&page).expect("valid")).len());
    });
    group.bench_function("100,000: filter, best 100", |b| {
        b.iter(|| black_box(registry.search_runs(&best).expect("valid")).len());
    });
    say_peak("peak_mb_of_pages");
    group.bench_function("100,000: list all by metric", |b| {
        b.iter(|| black_box(registry.search_runs(&all).expect("valid")).len());
    });
    group.finish();
    say_peak("peak_mb");
}

/// The most memory that this process has taken so far, where the system tells.
#[allow(clippy::print_stdout, reason = "what a benchmark measures is printed")]
fn say_peak(name: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        peak.and_then(|peak| peak.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    println!(
        "{{\"{name}\": {}}}",
        kilobytes.map_or("null".to_owned(), |kb| format!("{:.0}", kb / 1e3))
    );
}

criterion_group!(benches, recording, listing, listing_many);
criterion_main!(benches);
