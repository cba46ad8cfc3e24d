//! Sweeps for engines of a cluster: what is compiled is run here as Katib and Kubeflow would run it, with a server that
//! keeps the registry. Their SDKs read the same files in `deploy/check.sh`.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use trialbook::store::Store;
use trialbook_program::serve::{ServeConfig, Server};

use crate::cli::{Answer, Trialbook};

/// A server that keeps a registry in `folder`.
fn central(folder: &Path) -> Server {
    let config =
        ServeConfig { serves: false, log: None, port: 0, ..ServeConfig::new(Store::new(folder)) };
    Server::start(&config).unwrap()
}

const SWEEP: [&str; 15] = [
    "sweep",
    "tfidf",
    "--data",
    "sample",
    "--ngram",
    "1,2",
    "--min-df",
    "2,3",
    "--c",
    "10",
    "--cv",
    "3",
    "--tag",
    "team=a b'c$HOME",
    "--sublinear",
];

fn compiled(book: &Trialbook, url: &str, engine: &str, more: &[&str]) -> Value {
    book.json(&[&["--registry", url], &SWEEP[..], &["--compile", engine], more].concat())
}

/// The words with the volume's folder where the store here lies.
fn here<'a>(book: &'a Trialbook, word: &'a str) -> &'a str {
    if word == "/store" { book.store().to_str().unwrap() } else { word }
}

/// What Katib's collector reads of a log: each line of its form, for the metric that is asked for.
fn collected(log: &str, metric: &str) -> Vec<f64> {
    let of_line = |line: &str| -> Option<f64> {
        let (name, rest) = line.split_once(char::is_whitespace)?;
        let value = rest.split_whitespace().next()?.parse().ok()?;
        (name == metric).then_some(value)
    };
    log.lines().filter_map(of_line).collect()
}

#[test]
fn a_trial_of_katib_trains_tracks_and_says_its_metric() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let server = central(elsewhere.path());
    let url = server.url();
    book.json(&["data", "sample"]);
    let answer = compiled(&book, &url, "katib", &[]);
    assert_eq!((&answer["name"], &answer["n_settings"]), (&json!("sweep-tfidf-sample"), &json!(4)));
    let spec = &answer["experiment"]["spec"];
    assert_eq!(
        spec["objective"],
        json!({
            "type": "maximize",
            "objectiveMetricName": "f1",
            "metricStrategies": [{"name": "f1", "value": "latest"}],
        })
    );
    assert_eq!(spec["algorithm"], json!({"algorithmName": "grid"}));
    assert_eq!(
        spec["parameters"],
        json!([
            {"name": "ngram", "parameterType": "discrete", "feasibleSpace": {"list": ["1", "2"]}},
            {"name": "min_df", "parameterType": "discrete", "feasibleSpace": {"list": ["2", "3"]}},
        ])
    );
    let template = &spec["trialTemplate"];
    let container = &template["trialSpec"]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["/usr/local/bin/trialbook"]));

    // Katib fills the values in, Kubernetes takes $$ for $, and Katib's webhook makes a line of all words.
    let fill = |word: &Value| {
        let word = word.as_str().unwrap();
        let filled = [("ngram", "2"), ("min_df", "3"), ("trial_name", "sweep-tfidf-sample-x1")]
            .iter()
            .fold(word.to_owned(), |word, (name, value)| {
                word.replace(&format!("${{trialParameters.{name}}}"), value)
            });
        assert!(!filled.contains("trialParameters"), "{filled}");
        here(&book, &filled.replace("$$", "$")).to_owned()
    };
    let words: Vec<String> = container["args"].as_array().unwrap().iter().map(fill).collect();
    let log = book.store().join("metrics.log");
    let line = format!(
        "{} {} 1>{} 2>&1 && echo completed",
        env!("CARGO_BIN_EXE_trialbook"),
        words.join(" "),
        log.display()
    );
    let trial = Answer::of(Command::new("sh").args(["-c", &line]));
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(trial.stdout, "completed\n", "{line}\n{log}");
    let found = collected(&log, "f1");
    assert_eq!(found.len(), 1, "{log}");

    let runs = book.json(&["--registry", &url, "runs", "list"]);
    let runs = runs.as_array().unwrap();
    let run = runs.iter().find(|run| run["name"] == "sweep-tfidf-sample-x1");
    let run = run.unwrap_or_else(|| panic!("{runs:#?}"));
    assert!((run["metrics"]["f1"].as_f64().unwrap() - found[0]).abs() < 5.1e-5, "{run}");
    for (key, value) in [("ngram_max", "2"), ("min_df", "3"), ("sublinear_tf", "true"), ("cv", "3")]
    {
        assert_eq!(run["params"][key], value, "{key}");
    }
    assert_eq!(run["tags"]["team"], "a b'c$HOME");
    assert_eq!(run["tags"]["sweep"], "sweep-tfidf-sample");
}

#[test]
fn a_loop_of_kubeflow_trains_each_setting_and_ranks_them() {
    let (book, elsewhere) = (Trialbook::new(), tempfile::tempdir().unwrap());
    let server = central(elsewhere.path());
    let url = server.url();
    book.json(&["data", "sample"]);
    let file = book.store().join("sweep.yaml");
    let answer =
        compiled(&book, &url, "kubeflow", &["--jobs", "7", "--out", file.to_str().unwrap()]);
    let text = fs::read_to_string(&file).unwrap();
    let again = ["--registry", &url, "sweep", "tfidf", "--data", "sample", "--c", "1,2"];
    let again = [&again[..], &["--compile", "kubeflow", "--out", file.to_str().unwrap()]].concat();
    let refused = book.fails(1, &again);
    assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "what is refused changes nothing");
    book.json(&[&again[..], &["--force"]].concat());
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(text.matches("image: trialbook:latest\n").count(), 2, "{text}");
    let spec = &answer["pipeline_spec"];
    let tasks = &spec["root"]["dag"]["tasks"];
    assert_eq!(tasks["settings"]["iteratorPolicy"]["parallelismLimit"], 7);
    let items = tasks["settings"]["parameterIterator"]["items"]["raw"].as_str().unwrap();
    let items: Vec<Value> = serde_json::from_str(items).unwrap();
    assert_eq!(items.len(), 4);
    assert_eq!(items[3], json!({"ngram": "2", "min_df": "3"}));
    let run = |executor: &str, item: &Value| {
        let container = &spec["deploymentSpec"]["executors"][executor]["container"];
        let mut values = vec![("registry".to_owned(), url.clone())];
        let own = item.as_object().into_iter().flatten();
        values.extend(own.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
        let fill = |word: &Value| {
            let filled =
                values.iter().fold(word.as_str().unwrap().to_owned(), |word, (name, value)| {
                    word.replace(&format!("{{{{$.inputs.parameters['{name}']}}}}"), value)
                });
            here(&book, &filled).to_owned()
        };
        let args: Vec<String> = container["args"].as_array().unwrap().iter().map(fill).collect();
        assert!(!args.concat().contains("{{"), "{args:?}");
        let answer =
            Answer::of(Command::new(env!("CARGO_BIN_EXE_trialbook")).args(&args).arg("--json"));
        assert_eq!(answer.code, 0, "{args:?}: {}", answer.stderr);
        serde_json::from_str::<Value>(&answer.stdout).unwrap()
    };
    for item in &items[2..] {
        run("exec-train-setting", item);
    }
    let ranked = run("exec-rank-settings", &Value::Null);
    let scores: Vec<f64> = ranked
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["metrics"]["f1"].as_f64().unwrap())
        .collect();
    // Two settings, without the runs of their folds, the best first.
    assert_eq!(scores.len(), 2, "{ranked:#}");
    assert!(scores[0] >= scores[1], "{scores:?}");
}

#[test]
fn ranges_are_drawn_by_katib_and_here_for_kubeflow() {
    let book = Trialbook::new();
    let random = |engine: &str| {
        book.json(&[
            "--registry",
            "http://registry.example.org:5000",
            "sweep",
            "avgnet",
            "--data",
            "My Reviews",
            "--learning-rate",
            "1e-4..1e-2:log",
            "--embedding",
            "50..200",
            "--class-weight",
            "uniform,balanced",
            "--random",
            "9",
            "--seed",
            "7",
            "--metric",
            "log_loss",
            "--compile",
            engine,
        ])
    };
    let experiment = &random("katib")["experiment"];
    assert_eq!(experiment["metadata"]["name"], "sweep-avgnet-my-reviews");
    let spec = &experiment["spec"];
    assert_eq!(
        (&spec["objective"]["type"], &spec["maxTrialCount"]),
        (&json!("minimize"), &json!(9))
    );
    assert_eq!(
        spec["algorithm"],
        json!({
            "algorithmName": "random",
            "algorithmSettings": [{"name": "random_state", "value": "7"}],
        })
    );
    let space = |name: &str| {
        let parameters = spec["parameters"].as_array().unwrap();
        parameters.iter().find(|parameter| parameter["name"] == name).unwrap().clone()
    };
    assert_eq!(
        space("learning_rate"),
        json!({
            "name": "learning_rate",
            "parameterType": "double",
            "feasibleSpace": {"min": "0.0001", "max": "0.01", "distribution": "logUniform"},
        })
    );
    assert_eq!(
        space("embedding"),
        json!({"name": "embedding", "parameterType": "int", "feasibleSpace": {"min": "50", "max": "200"}})
    );
    assert_eq!(space("class_weight")["parameterType"], "categorical");
    let drawn = random("kubeflow");
    assert_eq!((&drawn["n_settings"], &drawn), (&json!(9), &random("kubeflow")));
}

#[test]
fn a_sweep_that_no_engine_can_run_is_refused_in_one_sentence() {
    let book = Trialbook::new();
    let sweep = ["sweep", "tfidf", "--data", "d", "--compile", "katib"];
    let registry = ["--registry", "http://user:secret@registry.example.org:5000"];
    let alone = book.fails(1, &[&sweep[..], &["--c", "1,2"]].concat());
    assert!(alone.contains("need a registry that all of them reach"), "{alone}");
    for (code, more, expected) in [
        (1, &["--c", "1"][..], "no option varies"),
        (1, &["--c", "1,2", "--metric", "f1_very good"], "letters, digits and _ alone"),
        (1, &["--c", "1,2", "--tag", "a={{x}}"], "marks by which engines fill in values"),
        (1, &["--c", "1,2", "--image", "no image"], "is not the name of an image"),
        (2, &["--c", "1,2", "--halving"], "--halving"),
        (2, &["--c", "1,2", "--register"], "--register"),
        (1, &["--c", "1,2", "--out", "/nowhere/at/all.yaml"], "/nowhere/at"),
        (1, &["--ngram", "0,1"], "n-grams"),
    ] {
        let answer = book.fails(code, &[&registry[..], &sweep, more].concat());
        assert!(answer.contains(expected), "{more:?}: {answer}");
    }
    let missing = book.fails(2, &["sweep", "tfidf", "--data", "d", "--c", "1,2", "--out", "x"]);
    assert!(missing.contains("--compile"), "{missing}");
    // What opens the registry is the cluster's secret, and stands in no file.
    let shown = book.call(&[&registry[..], &sweep, &["--c", "1,2"]].concat()).stdout;
    assert!(shown.contains("--registry") && !shown.contains("secret@"), "{shown}");
}
