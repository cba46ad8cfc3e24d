//! Experiments, runs, params, metrics, tags, artifacts and searching.

use std::{fs, thread};

use trialbook::{
    ErrorKind,
    registry::{DEFAULT_EXPERIMENT, Lifecycle, Registry, RunQuery, RunStatus, RunUpdate},
};

use super::{Fixture, metrics, new_run, params, tags};

#[test]
fn experiments_are_numbered_from_the_default_one_and_found_by_id_or_name() {
    let f = Fixture::new();
    assert_eq!(f.registry.experiment(DEFAULT_EXPERIMENT).unwrap().experiment_id, "0");
    let other = f.registry.experiment("ablation").unwrap();
    assert_eq!(other.experiment_id, "1");
    assert_eq!(f.registry.experiment("ablation").unwrap(), other);
    assert_eq!(f.registry.find_experiment("1").unwrap(), other);
    assert_eq!(f.registry.find_experiment("ablation").unwrap(), other);
    let error = f.registry.find_experiment("nope").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.hint().map(ToString::to_string).as_deref(),
        Some("there are: sentiment-analysis, ablation")
    );
    assert_eq!(f.registry.experiments().unwrap().len(), 2);
}

#[test]
fn a_run_keeps_what_was_logged_also_after_reopening() {
    let f = Fixture::new();
    let run = f.run("first");
    assert_eq!((run.status, run.run_id.len()), (RunStatus::Running, 32));
    f.registry.log(&run.run_id, &params(&[("model", "tfidf")])).unwrap();
    f.registry.log(&run.run_id, &tags(&[("note", "a")])).unwrap();
    f.registry.log(&run.run_id, &tags(&[("note", "b")])).unwrap();
    f.registry.log(&run.run_id, &metrics(&[("f1", 0.8, 0), ("f1", 0.9, 1)])).unwrap();
    f.registry.finish_run(&run.run_id, RunStatus::Finished, 1_700_000_005_000).unwrap();

    let store = f.store().clone();
    let Fixture { folder, registry } = f;
    drop(registry);
    let run = Registry::open(&store).unwrap().run(&run.run_id).unwrap();
    assert_eq!(run.params["model"], "tfidf");
    assert_eq!(run.tags["note"], "b");
    assert_eq!(run.metrics["f1"], 0.9);
    assert_eq!((run.status, run.end_ms), (RunStatus::Finished, Some(1_700_000_005_000)));
    drop(folder);
}

#[test]
fn params_are_written_once_and_a_refused_batch_changes_nothing() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    f.registry.log(&run, &params(&[("c", "10")])).unwrap();
    f.registry.log(&run, &params(&[("c", "10")])).unwrap();
    let mut batch = params(&[("new", "1"), ("c", "11")]);
    batch.tags = vec![("t".into(), "x".into())];
    let error = f.registry.log(&run, &batch).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "param \"c\" is \"10\" already, it cannot become \"11\"");
    let run = f.registry.run(&run).unwrap();
    assert_eq!((run.params.len(), run.tags.len()), (1, 0));
}

#[test]
fn the_newest_metric_is_that_of_the_highest_step_then_timestamp_then_value() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let log = |key: &str, value: f64, step: i64, timestamp_ms: i64| {
        let mut batch = metrics(&[(key, value, step)]);
        batch.metrics[0].timestamp_ms = timestamp_ms;
        f.registry.log(&run, &batch).unwrap();
        f.registry.run(&run).unwrap().metrics[key]
    };
    assert_eq!(log("f1", 0.5, 3, 10), 0.5);
    assert_eq!(log("f1", 0.9, 2, 99), 0.5, "an earlier step is not newer");
    assert_eq!(log("f1", 0.4, 3, 11), 0.4, "a later timestamp is newer");
    assert_eq!(log("f1", 0.3, 3, 11), 0.4, "a smaller value at the same point is not newer");
    assert_eq!(log("f1", 0.6, 3, 11), 0.6);
    let history = f.registry.metric_history(&run, "f1").unwrap();
    let steps: Vec<(i64, f64)> = history.iter().map(|m| (m.step, m.value)).collect();
    assert_eq!(steps, [(2, 0.9), (3, 0.5), (3, 0.4), (3, 0.3), (3, 0.6)]);
    assert!(f.registry.metric_history(&run, "nope").unwrap().is_empty());
}

#[test]
fn nan_and_the_infinities_survive_everywhere() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    f.registry
        .log(&run, &metrics(&[("a", values[0], 0), ("b", values[1], 0), ("c", values[2], 0)]))
        .unwrap();
    let run = f.registry.run(&run).unwrap();
    assert!(run.metrics["a"].is_nan());
    assert_eq!((run.metrics["b"], run.metrics["c"]), (values[1], values[2]));
    assert!(f.registry.metric_history(&run.run_id, "a").unwrap()[0].value.is_nan());
    let json = serde_json::to_value(&run).unwrap();
    assert_eq!(json["metrics"]["a"], "NaN");
    assert_eq!(json["metrics"]["c"], "-Infinity");
    let read: trialbook::registry::Run = serde_json::from_value(json).unwrap();
    assert!(read.metrics["a"].is_nan());
    assert_eq!(f.search("metrics.b > 1", &[]), ["r"]);
}

#[test]
fn runs_are_found_by_id_unique_prefix_or_unique_name() {
    let f = Fixture::new();
    let (a, b) = (f.run("a"), f.run("b"));
    f.run("twin");
    f.run("twin");
    assert_eq!(f.registry.run(&a.run_id).unwrap(), a);
    assert_eq!(f.registry.run(&b.run_id[..12]).unwrap(), b);
    assert_eq!(f.registry.run(&b.run_id[..12].to_uppercase()).unwrap(), b);
    assert_eq!(f.registry.run("b").unwrap(), b);
    let error = f.registry.run("twin").err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().starts_with("\"twin\" matches 2 runs: "), "{error}");
    assert_eq!(f.registry.run(&a.run_id[..3]).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(f.registry.run("nope").err().unwrap().kind(), ErrorKind::NotFound);
}

#[test]
fn a_run_without_a_name_gets_one() {
    let f = Fixture::new();
    let mut new = new_run("x");
    new.name = None;
    let name = f.registry.create_run(new).unwrap().name;
    assert_eq!(name.split('-').count(), 3, "{name}");
}

#[test]
fn deleted_runs_are_invisible_and_can_be_restored() {
    let f = Fixture::new();
    let run = f.run("gone");
    f.run("kept");
    f.registry.delete_run("gone").unwrap();
    assert_eq!(f.search("", &[]), ["kept"]);
    let deleted = RunQuery { lifecycle: Lifecycle::Deleted, ..RunQuery::default() };
    assert_eq!(f.registry.search_runs(&deleted).unwrap()[0].name, "gone");
    assert!(f.registry.run(&run.run_id).unwrap().deleted);
    assert_eq!(f.registry.run("gone").err().unwrap().kind(), ErrorKind::NotFound);
    for refused in [
        f.registry.log(&run.run_id, &tags(&[("a", "b")])),
        f.registry.finish_run(&run.run_id, RunStatus::Finished, 1),
        f.registry.delete_run(&run.run_id),
        f.registry.log_artifact(&run.run_id, "a", b"x").map(drop),
    ] {
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::Conflict);
    }
    f.registry.restore_run("gone").unwrap();
    assert_eq!(f.search("", &["run_name"]), ["gone", "kept"]);
    assert_eq!(f.registry.restore_run(&run.run_id).err().unwrap().kind(), ErrorKind::Conflict);
}

#[test]
fn runs_are_searched_filtered_and_ordered() {
    let f = Fixture::new();
    let other = f.registry.experiment("other").unwrap().experiment_id;
    for (name, f1, model, start_ms) in [
        ("a", Some(0.7), "tfidf", 3),
        ("b", Some(0.9), "cnn", 2),
        ("c", None, "tfidf", 1),
        ("d", Some(f64::NAN), "cnn", 0),
    ] {
        let mut new = new_run(name);
        new.start_ms = start_ms;
        new.params.insert("model".into(), model.into());
        if name == "c" {
            new.experiment_id.clone_from(&other);
        }
        let run = f.registry.create_run(new).unwrap().run_id;
        if let Some(f1) = f1 {
            f.registry.log(&run, &metrics(&[("f1", f1, 0)])).unwrap();
        }
    }
    assert_eq!(f.search("", &[]), ["a", "b", "c", "d"], "newest first");
    assert_eq!(f.search("", &["start_time asc"]), ["d", "c", "b", "a"]);
    assert_eq!(f.search("", &["metrics.f1 desc"]), ["b", "a", "d", "c"]);
    assert_eq!(f.search("", &["metrics.f1"]), ["a", "b", "d", "c"]);
    assert_eq!(f.search("", &["params.model", "metrics.f1 desc"]), ["b", "d", "a", "c"]);
    assert_eq!(f.search("metrics.f1 > 0.8", &[]), ["b"]);
    assert_eq!(f.search("params.model = 'tfidf' and status = 'RUNNING'", &[]), ["a", "c"]);
    let query = RunQuery { experiment_ids: vec![other], ..RunQuery::default() };
    assert_eq!(f.registry.search_runs(&query).unwrap()[0].name, "c");
    let query =
        RunQuery { limit: Some(1), order: vec!["metrics.f1 desc".into()], ..RunQuery::default() };
    assert_eq!(f.registry.search_runs(&query).unwrap()[0].name, "b");
    let wrong = RunQuery { filter: Some("f1 > 0".into()), ..RunQuery::default() };
    assert_eq!(f.registry.search_runs(&wrong).err().unwrap().kind(), ErrorKind::Invalid);
}

#[test]
fn a_run_can_be_renamed_resumed_and_untagged() {
    let f = Fixture::new();
    let run = f.run("old").run_id;
    f.registry.log(&run, &tags(&[("a", "1")])).unwrap();
    f.registry.finish_run(&run, RunStatus::Failed, 5).unwrap();
    let update =
        RunUpdate { name: Some("new".into()), status: Some(RunStatus::Running), end_ms: None };
    f.registry.update_run(&run, update).unwrap();
    f.registry.delete_run_tag(&run, "a").unwrap();
    let run = f.registry.run("new").unwrap();
    assert_eq!((run.status, run.end_ms, run.tags.len()), (RunStatus::Running, None, 0));
    let error = f.registry.finish_run(&run.run_id, RunStatus::Running, 5).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn statuses_and_stages_are_read_in_any_case_and_others_refused() {
    use trialbook::registry::Stage;
    for status in RunStatus::ALL {
        assert_eq!(status.to_string().to_lowercase().parse::<RunStatus>().unwrap(), status);
    }
    for stage in Stage::ALL {
        assert_eq!(stage.to_string().to_uppercase().parse::<Stage>().unwrap(), stage);
    }
    let error = "prod".parse::<Stage>().err().unwrap();
    assert_eq!(error.to_string(), "unknown stage \"prod\"");
    assert_eq!(
        error.hint().map(ToString::to_string).as_deref(),
        Some("one of None, Staging, Production, Archived")
    );
}

#[test]
fn artifacts_are_kept_by_content_and_a_whole_folder_goes_in_at_once() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let dir = f.folder.path().join("out");
    fs::create_dir_all(dir.join("curves")).unwrap();
    fs::write(dir.join("metrics.json"), "{}").unwrap();
    fs::write(dir.join("curves/roc.svg"), "<svg/>").unwrap();
    let artifacts = f.registry.log_artifacts(&run, &dir, "eval").unwrap();
    let paths: Vec<&str> = artifacts.iter().map(|a| a.path.as_str()).collect();
    assert_eq!(paths, ["eval/curves/roc.svg", "eval/metrics.json"]);
    let same = f.registry.log_artifact(&run, "copy.json", b"{}").unwrap();
    assert_eq!(same.sha256, artifacts[1].sha256);
    let listed = f.registry.artifacts(&run).unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(f.registry.read_artifact(&listed[0]).unwrap(), b"{}");
    assert_eq!(fs::read(f.registry.artifact_path(&artifacts[0]).unwrap()).unwrap(), b"<svg/>");

    f.registry.log_artifact(&run, "copy.json", b"[]").unwrap();
    let listed = f.registry.artifacts(&run).unwrap();
    assert_eq!(f.registry.read_artifact(&listed[0]).unwrap(), b"[]", "the newer one counts");
    for path in ["../x", "/x", "", "eval", "copy.json/x"] {
        assert!(f.registry.log_artifact(&run, path, b"x").is_err(), "{path:?}");
    }
    let nobody = "0".repeat(32);
    assert_eq!(
        f.registry.log_artifact(&nobody, "x", b"lost").err().unwrap().kind(),
        ErrorKind::NotFound
    );
    assert!(f.registry.verify().unwrap().orphaned.is_empty(), "a refusal leaves no file behind");
}

#[cfg(unix)]
#[test]
fn other_users_may_read_what_the_umask_lets_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let artifact = f.registry.log_artifact(&run, "a", b"x").unwrap();
    let plain = f.folder.path().join("plain");
    fs::write(&plain, "x").unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&f.registry.artifact_path(&artifact).unwrap()), mode(&plain));
    assert_eq!(mode(&f.store().registry_path()), mode(&plain));
}

#[test]
fn threads_of_one_process_share_a_registry_opened_once_or_many_times() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    thread::scope(|scope| {
        for idx in 0..4 {
            let (run, store, shared) = (&run, f.store(), &f.registry);
            scope.spawn(move || {
                let own = Registry::open(store).unwrap();
                for step in 0..25 {
                    let registry = if step % 2 == 0 { &own } else { shared };
                    registry.log(run, &metrics(&[(&format!("m{idx}"), 1.0, step)])).unwrap();
                }
            });
        }
    });
    for idx in 0..4 {
        assert_eq!(f.registry.metric_history(&run, &format!("m{idx}")).unwrap().len(), 25);
    }
}

#[test]
fn a_registry_in_a_folder_made_anew_is_a_new_one() {
    let f = Fixture::new();
    f.run("old");
    fs::remove_dir_all(f.store().root()).unwrap();
    let fresh = Registry::open(f.store()).unwrap();
    assert!(fresh.search_runs(&RunQuery::default()).unwrap().is_empty());
}

#[test]
fn limits_are_refused_with_the_number_that_holds() {
    let f = Fixture::new();
    let run = f.run("r").run_id;
    let long = "x".repeat(6_001);
    for refused in [
        f.registry.log(&run, &params(&[("p", &long)])),
        f.registry.log(&run, &metrics(&[(&long, 1.0, 0)])),
        f.registry.log(&run, &tags(&[("", "x")])),
        f.registry.create_run(new_run(&long)).map(drop),
        f.registry.experiment(&long).map(drop),
    ] {
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::Invalid);
    }
    let mut new = new_run("r");
    new.experiment_id = "7".into();
    assert_eq!(f.registry.create_run(new).err().unwrap().kind(), ErrorKind::NotFound);
}
