//! Sweeps: settings on the same folds, sweeps that are killed and go on, and the best one registered.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use serde_json::Value;
use trialbook::{
    Book,
    book::{
        TrainRequest,
        sweep::{SweepFolds, SweepRequest, Swept},
    },
    data::{AddRequest, DatasetSource},
    error::{Error, ErrorKind},
    model::{FitCandidate, TfidfConfig},
    progress::Monitor,
    registry::{RunQuery, RunStatus},
    text::{TextFrequency, Vectorizer},
};

use crate::cli::Trialbook;

/// A book with the built-in sample.
fn sampled(store: &Path) -> Book {
    let book = Book::open(store);
    let request = AddRequest::new(DatasetSource::Sample { seed: AddRequest::DEFAULT_SEED });
    book.datasets().add("sample", &request, &Monitor::silent()).unwrap();
    book
}

fn candidates() -> Vec<FitCandidate> {
    let mut candidates = Vec::new();
    for ngram_max in [1, 2] {
        for c in [0.1, 1.0, 10.0] {
            let vectorizer =
                Vectorizer { ngram_max, min_df: TextFrequency::Count(2), ..Vectorizer::default() };
            candidates.push(FitCandidate::Tfidf(TfidfConfig {
                vectorizer,
                c,
                ..TfidfConfig::default()
            }));
        }
    }
    candidates
}

fn means(swept: &Swept) -> Vec<(usize, f64)> {
    swept.settings.iter().map(|setting| (setting.setting, setting.mean["f1"])).collect()
}

#[test]
fn a_setting_scores_as_a_cross_validation_of_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let book = sampled(folder.path());
    let request = SweepRequest::new("sample");
    let swept = book.sweep(&candidates(), &request, &Monitor::silent(), &mut |_| Ok(())).unwrap();
    assert_eq!((swept.settings.len(), swept.n_folds, swept.n_left), (6, 5, 0));
    for place in [0, 5] {
        let setting = &swept.settings[place];
        let alone = TrainRequest { model: None, ..TrainRequest::new("sample") };
        let config = candidates();
        let (_, expected) = book
            .cross_validate(config[setting.setting].fit(), &alone, 5, &Monitor::silent())
            .unwrap();
        for key in ["f1", "accuracy", "log_loss", "roc_auc"] {
            // Rows are rounded to single precision where many are predicted at once.
            let (found, expected) = (setting.mean[key], expected.mean[key]);
            assert!((found - expected).abs() < 1e-5, "{key} {found}, expected {expected}");
        }
    }
    let scores: Vec<f64> = swept.settings.iter().map(|setting| setting.mean["f1"]).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other), "{scores:?}");
    assert_eq!(swept.run.metrics["f1"], scores[0]);
    let registry = book.registry().unwrap();
    let nested = RunQuery {
        filter: Some(format!("tags.`mlflow.parentRunId` = '{}'", swept.run.run_id)),
        ..RunQuery::default()
    };
    let runs = registry.search_runs(&nested).unwrap();
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run.status == RunStatus::Finished && run.params["cv"] == "5"));
    let by_fold = registry.metric_history(&runs[0].run_id, "fold_f1").unwrap();
    assert_eq!(by_fold.iter().map(|metric| metric.step).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(registry.models().unwrap().is_empty(), "a sweep registers nothing");
}

#[test]
fn a_stopped_sweep_goes_on_and_ends_as_one_that_was_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let book = sampled(folder.path());
    for halving in [None, Some(2)] {
        let request = SweepRequest {
            halving,
            folds: SweepFolds::Stratified(3),
            ..SweepRequest::new("sample")
        };
        let mut n_heard = 0;
        let stopped = book
            .sweep(&candidates(), &request, &Monitor::silent(), &mut |_| {
                n_heard += 1;
                match n_heard {
                    4 => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
                    _ => Ok(()),
                }
            })
            .unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Interrupted);
        let mut n_new = 0;
        let continued = book
            .sweep(&candidates(), &request, &Monitor::silent(), &mut |_| {
                n_new += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(continued.n_continued, 4, "{halving:?}");
        let fresh = SweepRequest { is_fresh: true, ..request };
        let whole = book.sweep(&candidates(), &fresh, &Monitor::silent(), &mut |_| Ok(())).unwrap();
        assert_eq!((whole.n_continued, means(&whole)), (0, means(&continued)));
        let n_measured = if halving.is_some() { 6 + 3 + 2 } else { 6 };
        assert_eq!(n_new + 4, n_measured, "{halving:?}");
    }
}

#[test]
fn a_killed_sweep_goes_on_and_its_best_setting_is_registered() {
    let program = Trialbook::new();
    program.json(&["data", "sample"]);
    let sweep = [
        "sweep",
        "tfidf",
        "--data",
        "sample",
        "--ngram",
        "1,2",
        "--min-df",
        "1,2,3,4",
        "--c",
        "1,10",
        "--cv",
        "4",
        "--register",
    ];
    let mut child =
        program.command().args(sweep).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // A line for each setting that is measured and kept.
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let measured = lines.map(Result::unwrap).find(|line| line.starts_with("2 of 16: "));
    child.kill().unwrap();
    assert!(measured.is_some(), "the sweep said nothing of its second setting");
    assert!(!child.wait().unwrap().success(), "the sweep was over before it could be killed");
    let finished = program.json(&["runs", "list", "--filter", "attributes.status = 'FINISHED'"]);
    let n_before = finished.as_array().unwrap().len();
    assert!((2..16).contains(&n_before), "{n_before} settings were kept");

    let swept = program.json(&sweep);
    assert_eq!(swept["n_continued"], n_before);
    assert_eq!(swept["settings"].as_array().unwrap().len(), 16);
    let best = &swept["best"];
    let trained = &swept["trained"];
    assert_eq!(trained["version"], 1);
    let run = program.json(&["runs", "show", trained["run_id"].as_str().unwrap()]);
    let param = |key: &str| run["params"][key].as_str().map(str::to_owned);
    let chosen = |key: &str| best[key].as_str().map(str::to_owned);
    assert_eq!(param("ngram_max"), chosen("ngram"));
    let number = |value: Option<String>| value.and_then(|value| value.parse::<f64>().ok());
    assert_eq!(number(param("c")), number(chosen("c")));
    assert_eq!(run["tags"]["mlflow.parentRunId"], swept["run_id"]);
    // The refit is exact, whatever the candidates were.
    assert_eq!(number(param("tol")), Some(1e-6));
}

#[test]
fn a_sweep_that_cannot_be_is_refused_in_one_sentence() {
    let program = Trialbook::new();
    program.json(&["data", "sample"]);
    for (more, expected) in [
        (&["--metric", "beauty"][..], "metric \"beauty\" is not measured; there are accuracy"),
        (&["--cv", "1"], "cross-validation needs 2 folds or more: 1"),
        (&["--c", "10..1"], "has to rise"),
        (&["--ngram", "1..9999,2"], "n-grams"),
        (&["--c", "1..20000"], "at most 10000 are tried"),
        (&["--random", "0"], "0 random settings: expected 1 to 10000"),
        (&["--deploy"], "--deploy is about the version that is registered"),
        (&["--validation-size", "0.1"], "a sweep chooses by cross-validation"),
        (&["--budget", "soon"], "expected a time such as 90s, 10m or 2h"),
        (&["--folds", "/nowhere/folds.txt"], "/nowhere/folds.txt"),
    ] {
        let answer = program.call(&[&["sweep", "tfidf", "--data", "sample"], more].concat());
        assert!(answer.code == 1 || answer.code == 2, "{more:?}: {}", answer.code);
        assert!(answer.stderr.contains(expected), "{more:?}: {}", answer.stderr);
    }
    let folds = program.store().join("folds.txt");
    for (text, expected) in
        [("0\n1\n", "2 folds are given for the 2000 rows"), ("0\none\n", "line 2: \"one\" found")]
    {
        std::fs::write(&folds, text).unwrap();
        let path = folds.to_str().unwrap();
        let answer = program.call(&["sweep", "tfidf", "--data", "sample", "--folds", path]);
        assert!(answer.stderr.contains(expected), "{}", answer.stderr);
    }
    std::fs::write(&folds, "0\n2\n".repeat(1000)).unwrap();
    let path = folds.to_str().unwrap();
    let answer = program.call(&["sweep", "tfidf", "--data", "sample", "--folds", path]);
    assert!(answer.stderr.contains("expected 0, 1 and so on"), "{}", answer.stderr);
    std::fs::write(&folds, "0\n1\n".repeat(1000)).unwrap();
    let swept: Value = program.json(&["sweep", "tfidf", "--data", "sample", "--folds", path]);
    assert_eq!(swept["n_folds"], 2);
}

#[test]
fn a_budget_leaves_the_rest_for_later() {
    let program = Trialbook::new();
    program.json(&["data", "sample"]);
    let sweep = ["sweep", "tfidf", "--data", "sample", "--ngram", "1..6", "--cv", "20"];
    let cut = program.json(&[&sweep[..], &["--budget", "1s"]].concat());
    let n_measured = cut["settings"].as_array().unwrap().len();
    assert_eq!(n_measured as u64 + cut["n_left"].as_u64().unwrap(), 6);
    assert!(n_measured >= 1);
}
