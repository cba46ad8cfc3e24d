//! The program as a script sees it: answers on stdout, errors on stderr, exit codes.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program with a store of its own.
pub(crate) struct Trialbook {
    store: TempDir,
}

/// What one call printed and how it ended.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Runs `command` to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Trialbook {
    pub(crate) fn new() -> Self {
        Self { store: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn store(&self) -> &Path {
        self.store.path()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialbook"));
        command.arg("--store").arg(self.store.path()).env_remove("TRIALBOOK_STORE");
        command.env_remove("TRIALBOOK_REGISTRY");
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Answer {
        Answer::of(self.command().args(args))
    }

    /// Calls with `--json` and expects success.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let answer = self.call(&[args, &["--json"]].concat());
        assert_eq!(
            answer.code, 0,
            "{args:?}\nstdout: {}\nstderr: {}",
            answer.stdout, answer.stderr
        );
        serde_json::from_str(&answer.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}\nstdout: {}", answer.stdout))
    }

    /// Starts `serve` on a free port: the process, and the address it says it listens on.
    pub(crate) fn serve(&self, args: &[&str]) -> (Child, String) {
        let mut child = self
            .command()
            .args(["serve", "--port", "0", "--json"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        (child, said["url"].as_str().unwrap().to_owned())
    }

    /// Expects the exit code and returns stderr.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let answer = self.call(args);
        assert_eq!(
            answer.code, code,
            "{args:?}\nstdout: {}\nstderr: {}",
            answer.stdout, answer.stderr
        );
        answer.stderr
    }
}

/// `1` is how every other switch is turned on there.
#[test]
fn a_switch_in_the_environment_may_be_1() {
    let book = Trialbook::new();
    for switch in ["TRIALBOOK_NO_LOG", "TRIALBOOK_NO_AUTH"] {
        let answer = Answer::of(book.command().args(["serve", "--stop"]).env(switch, "1"));
        assert_eq!(answer.code, 1, "{switch}: {}", answer.stderr);
        assert!(answer.stderr.contains("needs a session"), "{switch}: {}", answer.stderr);
    }
}

#[test]
fn health_asks_where_serve_listens() {
    let book = Trialbook::new();
    let asked = |port: &str, args: &[&str]| {
        let mut command = book.command();
        let answer = Answer::of(command.env("TRIALBOOK_PORT", port).args(args));
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        answer.stderr
    };
    // Nobody serves on port 9.
    let refused = asked("9", &["health"]);
    assert!(refused.contains("http://127.0.0.1:9/health"), "{refused}");
    let refused = asked("9", &["health", "--url", "http://127.0.0.1:7"]);
    assert!(refused.contains("http://127.0.0.1:7/health"), "{refused}");
}

#[test]
fn the_lifecycle_runs_from_the_command_line() {
    let book = Trialbook::new();
    assert_eq!(book.json(&["data", "sample"])["outcome"], "created");
    assert_eq!(book.json(&["data", "sample"])["outcome"], "unchanged");

    let counts = book.json(&[
        "sql",
        "select label, count(*) as n from sample.train group by label order by label",
    ]);
    assert_eq!(counts[0]["label"], "negative");
    assert_eq!(
        counts[0]["n"].as_u64().unwrap() + counts[1]["n"].as_u64().unwrap(),
        2000,
        "{counts}"
    );

    let first = book.json(&["train", "tfidf", "--data", "sample", "--deploy"]);
    assert_eq!((first["version"].as_u64(), first["stage"].as_str()), (Some(1), Some("Production")));
    let f1 = first["metrics"]["f1"].as_f64().unwrap();
    assert!((0.88..=0.97).contains(&f1), "the sample is learnable but not trivial: f1 {f1}");
    assert!(first["timings"]["total_s"].as_f64().unwrap() > 0.0);

    let worse = ["train", "tfidf", "--data", "sample", "--ngram", "1", "--max-features", "20"];
    let blocked = book.call(&[&worse[..], &["--deploy", "--json"]].concat());
    assert_eq!(blocked.code, 3, "{}", blocked.stderr);
    let blocked: Value = serde_json::from_str(&blocked.stdout).unwrap();
    assert_eq!(blocked["stage"], "None");
    assert_eq!(blocked["verdict"]["passed"], false);
    book.fails(3, &["gate", "SentimentClassifier", "2"]);
    let refused = book.fails(3, &["promote", "SentimentClassifier", "2"]);
    assert!(refused.contains("hint: "), "{refused}");

    let forced = ["promote", "SentimentClassifier", "2", "--force", "--reason", "a drill"];
    assert_eq!(book.json(&forced)["to"], "Production");
    let back = book.json(&["rollback", "SentimentClassifier"]);
    assert_eq!((&back["to"], &back["from"]), (&1.into(), &2.into()));

    let answer = book.json(&["predict", "An utterly wonderful film."]);
    assert_eq!(answer["model"]["version"], 1);
    assert_eq!(answer["sentiment"], "positive");
    let confidence = answer["confidence"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&confidence), "{answer}");
    assert_eq!(book.json(&["predict", "Wonderful.", "Awful."]).as_array().unwrap().len(), 2);

    let runs = book.json(&["runs", "list", "--order", "metrics.f1 desc"]);
    assert_eq!(runs[0]["run_id"], first["run_id"]);
    assert_eq!(runs[0]["status"], "FINISHED");
    let filter = "metrics.f1 > 0.88 and params.model = 'tfidf'";
    assert_eq!(book.json(&["runs", "list", "--filter", filter]).as_array().unwrap().len(), 1);
    let from_sql = book.json(&["sql", "select count(*) as n from runs"]);
    assert_eq!(from_sql[0]["n"], 2);

    let again = book.json(&["evaluate", "SentimentClassifier/1", "--data", "sample"]);
    assert_eq!(again["metrics"], first["metrics"]);
    let sound = book.json(&["store", "verify"]);
    assert_eq!(sound["corrupt"].as_array().unwrap().len(), 0);
    assert_eq!(sound["database_valid"], true);
}

#[test]
fn promote_gates_first_when_asked() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let file = book.store().join("version");
    let trained = ["train", "tfidf", "--data", "sample", "--version-file", file.to_str().unwrap()];
    book.json(&trained);
    let version = std::fs::read_to_string(&file).unwrap();
    assert_eq!(version, "1");
    let promote = ["promote", "SentimentClassifier", &version, "--gate"];
    let blocked = book.call(&[&promote[..], &["--min", "0.999", "--json"]].concat());
    assert_eq!(blocked.code, 3, "{}", blocked.stderr);
    let blocked: Value = serde_json::from_str(&blocked.stdout).unwrap();
    assert_eq!(
        (&blocked["verdict"]["passed"], &blocked["promotion"]),
        (&false.into(), &Value::Null)
    );
    let passed = book.json(&promote);
    assert_eq!(
        (&passed["verdict"]["passed"], &passed["promotion"]["to"]),
        (&true.into(), &"Production".into())
    );
    for wrong in [&["--min", "0.5"][..], &["--gate", "--force", "--reason", "x"]] {
        book.fails(2, &[&["promote", "SentimentClassifier", "1"], wrong].concat());
    }
}

#[test]
fn cross_validation_is_a_run_without_a_version() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let answer = book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--cv", "3"]);
    assert_eq!(answer["cross_validation"]["folds"].as_array().unwrap().len(), 3);
    let mean = answer["cross_validation"]["mean"]["f1"].as_f64().unwrap();
    assert!(mean > 0.8, "{mean}");
    let run = book.json(&["runs", "show", answer["run_id"].as_str().unwrap()]);
    assert_eq!((&run["metrics"]["f1"], &run["params"]["cv"]), (&mean.into(), &"3".into()));
    assert_eq!(run["metrics"]["std_f1"], answer["cross_validation"]["std"]["f1"]);
    assert_eq!(book.json(&["models", "list"]).as_array().unwrap().len(), 0);

    // Each fold is a run that says which one it is and what it belongs to.
    let runs = book.json(&["runs", "list"]);
    assert_eq!(runs.as_array().unwrap().len(), 4, "{runs}");
    assert!(runs.as_array().unwrap().iter().all(|run| run["status"] == "FINISHED"), "{runs}");
    let name = answer["run_name"].as_str().unwrap();
    for fold in 1..=3 {
        let own = book.json(&["runs", "show", &format!("{name}-fold-{fold}")]);
        assert_eq!(own["run_id"], answer["fold_runs"][fold - 1]["run_id"]);
        assert_eq!(own["tags"]["mlflow.parentRunId"], answer["run_id"]);
        assert_eq!(own["params"]["fold"], fold.to_string());
        assert_eq!(own["metrics"]["f1"], answer["cross_validation"]["folds"][fold - 1]["f1"]);
        // What a training logs while it learns.
        assert!(own["metrics"]["loss"].as_f64().is_some(), "{own}");
    }
    let listed = book.call(&["runs", "list"]).stdout;
    assert!(listed.contains("3 folds") && listed.contains("fold 2 of 3"), "{listed}");
    let means = "select avg(f1) as f1, count(*) as n from runs where fold is not null";
    let means = book.json(&["sql", means]);
    assert_eq!(means[0]["n"], 3);
    assert!((means[0]["f1"].as_f64().unwrap() - mean).abs() < 1e-12, "{means}");
    let nested = format!("tags.mlflow.parentRunId = '{}'", answer["run_id"].as_str().unwrap());
    let nested = book.json(&["runs", "list", "--filter", &nested]);
    assert_eq!(nested.as_array().unwrap().len(), 3);
    let folds = [1, 2].map(|fold| format!("{name}-fold-{fold}"));
    let compared = book.call(&["runs", "compare", name, &folds[0], &folds[1]]);
    assert!(compared.stdout.contains("(measured on) *"), "{}{}", compared.stdout, compared.stderr);
    let plotted = book.json(&["plot", "compare", &folds[0], &folds[1], "--metric", "f1"]);
    assert!(plotted.to_string().contains("-fold-1"), "{plotted}");
}

/// Whoever chose settings by the metrics of a run chose them by the test split.
#[test]
fn rows_held_out_to_choose_by_keep_the_test_split_out_of_it() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let train = ["train", "tfidf", "--data", "sample", "--ngram", "1", "--validation-size", "0.2"];
    let trained = book.json(&train);
    assert_eq!(trained["measured_on"], "validation");
    let held_out = &trained["held_out"];
    assert_eq!((&held_out["n_train"], &held_out["n_validation"]), (&1600.into(), &400.into()));
    let run = book.json(&["runs", "show", trained["run_id"].as_str().unwrap()]);
    let (metrics, params) = (run["metrics"].as_object().unwrap(), &run["params"]);
    assert_eq!(metrics["validation_f1"], trained["metrics"]["validation_f1"]);
    assert!(!metrics.contains_key("f1"), "the test split's is no metric of the run: {run}");
    assert_eq!(params["validation_size"], "0.2");
    let listed = book.call(&["runs", "list"]).stdout;
    assert!(listed.contains("validation"), "{listed}");

    // The version has the test split's, as evaluate finds it, and goes through the gate.
    let version = book.json(&["models", "show", "SentimentClassifier/1"]);
    let evaluated = book.json(&["evaluate", "--data", "sample"]);
    assert_eq!(version["metrics"], evaluated["metrics"]);
    assert_ne!(version["metrics"]["f1"], metrics["validation_f1"]);
    assert_eq!(book.json(&["gate"])["passed"], true);
    assert_eq!(book.json(&["gate", "1"])["version"], 1);

    // The same rows for the same seed, others for another one.
    let f1 = |more: &[&str]| {
        let only = [&train[..], &["--no-register"], more].concat();
        book.json(&only)["metrics"]["validation_f1"].as_f64().unwrap()
    };
    assert_eq!(f1(&[]), metrics["validation_f1"].as_f64().unwrap());
    let losses = |more: &[&str]| {
        let only = [&train[..], &["--no-register"], more].concat();
        book.json(&only)["metrics"]["validation_log_loss"].as_f64().unwrap()
    };
    assert_ne!(losses(&["--seed", "7"]), losses(&[]));
    for share in ["0", "1", "1.5", "-0.1"] {
        let size = format!("--validation-size={share}");
        let said = book.fails(1, &["train", "tfidf", "--data", "sample", &size]);
        assert!(said.contains("validation size must be a share"), "{said}");
    }
    book.fails(2, &[&train[..], &["--cv", "3"]].concat());
}

/// Every dataset landed in the experiment sentiment-analysis and the model SentimentClassifier.
#[test]
fn names_follow_the_dataset_and_the_only_model_in_production_is_meant() {
    let book = Trialbook::new();
    let file = book.store().join("tickets.csv");
    let mut rows = String::from("text,label\n");
    for row in 0..60 {
        let (text, label) =
            [("the printer jams", "paper"), ("the screen is dark", "screen")][row % 2];
        rows.push_str(&format!("{text} again {},{label}\n", row / 2));
    }
    std::fs::write(&file, rows).unwrap();
    book.json(&["data", "add", "tickets", file.to_str().unwrap()]);
    book.json(&["data", "sample"]);
    let nothing = book.fails(1, &["predict", "the printer"]);
    assert!(nothing.contains("no model yet") && nothing.contains("--deploy"), "{nothing}");

    let trained = book.call(&["train", "tfidf", "--data", "tickets"]);
    assert!(trained.stdout.contains("of experiment tickets"), "{}", trained.stdout);
    assert!(trained.stdout.contains("registered tickets/1"), "{}", trained.stdout);
    let newest = book.json(&["predict", "the printer jams"])["model"].clone();
    assert_eq!((&newest["version"], &newest["stage"]), (&json!(1), &json!("None")));
    let named = book.json(&["evaluate", "--data", "tickets"]);
    assert_eq!(named["model"], "tickets");
    assert_eq!(book.json(&["evaluate", "tickets/1"]), named, "the dataset that it was trained on");
    assert_eq!(book.json(&["evaluate", "--split", "train"])["split"], "train");
    for verb in ["explain", "compare"] {
        let help = book.call(&[verb, "--help"]).stdout;
        assert!(help.contains("NAME/2") && !help.contains("NAME 2 is"), "{help}");
    }
    assert_eq!(book.json(&["gate"])["model"], "tickets");
    assert_eq!(book.json(&["promote", "1"])["to"], "Production");
    assert_eq!(book.json(&["predict", "the printer jams"])["model"]["name"], "tickets");
    assert_eq!(
        book.json(&["runs", "list", "--experiment", "tickets"]).as_array().unwrap().len(),
        1
    );

    // A second model that is not in production changes nothing; one that is has to be told apart.
    let sentiment = ["train", "tfidf", "--data", "sample", "--ngram", "1"];
    assert_eq!(book.json(&sentiment)["model"], "SentimentClassifier");
    assert_eq!(book.json(&["predict", "the screen is dark"])["model"]["name"], "tickets");
    book.json(&["promote", "SentimentClassifier", "1", "--gate"]);
    for command in [
        &["predict", "good"][..],
        &["evaluate", "--data", "sample"],
        &["gate"],
        &["gate", "1"],
        &["rollback"],
        &["serve", "--port", "0"],
    ] {
        let said = book.fails(1, command);
        assert!(said.contains("SentimentClassifier, tickets") && said.contains("hint: "), "{said}");
    }
    let named = book.json(&["predict", "good", "--model", "SentimentClassifier"]);
    assert_eq!(named["model"]["name"], "SentimentClassifier");
}

/// A version is named in one word or two, a split in the name or by a flag, a stage as a word or a
/// flag; everywhere.
#[test]
fn every_command_takes_names_in_the_same_forms() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    for ngram in ["1", "2"] {
        book.json(&["train", "tfidf", "--data", "sample", "--ngram", ngram]);
    }
    let name = "SentimentClassifier";
    let second = format!("{name}/2");
    for (args, stage) in [
        (&[name, "2", "Staging"][..], "Staging"),
        (&[&second, "Archived"], "Archived"),
        (&[&second, "--stage", "staging"], "Staging"),
        (&[name, "Staging", "None"], "None"),
        (&[name, "2", "--stage", "Staging"], "Staging"),
        (&[name, "2", "--gate"], "Production"),
    ] {
        book.json(&[&["promote"], args].concat());
        assert_eq!(book.json(&["models", "show", &second])["stage"], stage, "{args:?}");
    }
    let split = |args: &[&str]| {
        let answer = book.json(&[&["evaluate"], args].concat());
        format!(
            "{}/{} {}.{}",
            answer["model"], answer["version"], answer["dataset"], answer["split"]
        )
        .replace('"', "")
    };
    for (args, expected) in [
        (&[name, "--data", "sample"][..], "2 sample.test"),
        (&[name, "1", "--data", "sample.train"], "1 sample.train"),
        (&["1", "--data", "sample", "--split", "train"], "1 sample.train"),
        (&[name, "Production", "--data", "sample.test", "--split", "test"], "2 sample.test"),
        (&["--data", "sample.test"], "2 sample.test"),
    ] {
        assert_eq!(split(args), format!("{name}/{expected}"), "{args:?}");
    }
    let version = |args: &[&str]| book.json(args)["version"].clone();
    assert_eq!(version(&["models", "show", name, "1"]), 1);
    assert_eq!(version(&["models", "show", name, "latest"]), 2);
    assert_eq!(version(&["models", "tag", name, "1", "owner=ada"]), 1);
    assert_eq!(version(&["models", "tag", &second, "owner=ada"]), 2);
    assert_eq!(version(&["models", "alias", name, "best", "2"]), 2);
    assert_eq!(version(&["models", "alias", name, "1", "old"]), 1);
    assert_eq!(version(&["models", "alias", &second, "new"]), 2);
    assert_eq!(version(&["models", "alias", name, "1", "3"]), 1);
    assert_eq!(version(&["models", "alias", name, "3", "--delete"]), Value::Null);
    assert_eq!(book.json(&["models", "show", name, "1"])["aliases"], json!(["old"]));
    assert_eq!(version(&["models", "show", &format!("models:/{name}@new")]), 2);
    assert!(book.call(&["models", "show", &second]).stdout.contains("best, new"));
    assert!(book.call(&["models", "list"]).stdout.contains("best → 2, new → 2, old → 1"));
    let aliases = book.json(&["sql", "select aliases from versions order by version"]);
    assert_eq!(aliases, json!([{"aliases": "old"}, {"aliases": "best, new"}]));
    assert!(book.call(&["audit"]).stdout.contains("no version → version 2"));
    assert_eq!(version(&["gate", name, "latest"]), 2);
    assert_eq!(book.json(&["predict", "good", "--model", "1"])["model"]["version"], 1);
    let folder = book.store().join("out");
    assert_eq!(version(&["models", "export", name, "1", folder.to_str().unwrap()]), 1);
    assert_eq!(version(&["models", "delete", name, "1"]), 1);
    for (args, expected) in [
        (&["promote", name, "Staging"][..], "which version of SentimentClassifier?"),
        (&["gate", name], "which version of SentimentClassifier?"),
        (&["models", "alias", name, "stray"], "which version of SentimentClassifier?"),
        (&["models", "alias", name, "best", "new", "--delete"], "takes the alias alone"),
        (&["models", "alias", &second, "best", "--delete"], "is a version"),
        (&["models", "alias", name, "stray", "--delete"], "has no alias \"stray\""),
        (&["models", "show", "A/3/4"], "unexpected '/' at character 4"),
        (&["serve", "--model", "A/Staging"], "a server cannot follow A/Staging"),
        (&["serve", "--model", "A/2", "--pin", "3"], "A/2 is served, and version 3 too"),
        (&["promote", &second, "Staging", "--stage", "None"], "two stages"),
        (&["evaluate", &second, "1", "--data", "sample"], "names a version, and 1 another"),
        (&["evaluate", "--data", "sample.test", "--split", "train"], "names a split"),
        (&["data", "show", "sample.test"], "is one split"),
        (&["train", "tfidf", "--data", "sample.train"], "is one split"),
    ] {
        let said = book.fails(1, args);
        assert!(said.contains(expected) && said.contains("hint: "), "{args:?}: {said}");
    }
    let counted = book.json(&["data", "counts", "sample.test", "label"]);
    assert_eq!(counted, book.json(&["data", "counts", "sample", "label", "--split", "test"]));
    assert_eq!(counted[0]["count"], 500);
    assert_eq!(
        book.json(&["data", "head", "sample.test"]),
        book.json(&["data", "head", "sample", "--split", "test"])
    );
    let said = book.fails(1, &["data", "counts", "sample", "lable"]);
    assert!(said.contains("\"lable\" does not exist") && said.contains("label"), "{said}");
    for args in [&["words", "--by", "label"][..], &["label", "--by", "split"]] {
        let plot = book.json(&[&["plot", "sample"], args].concat());
        assert!(plot["title"].as_str().unwrap().ends_with(args[2]), "{plot}");
    }
    assert!(book.fails(1, &["plot", "run", "x", "--by", "label"]).contains("--by label"));
}

/// "zzz qqq" was answered with 0.53 confidence, and nothing said that it meant nothing.
#[test]
fn a_text_without_a_known_word_is_answered_with_a_warning() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy"]);
    let answers = book.json(&["predict", "A wonderful film.", "zzz qqq", "wonderful zzz qqq xxx"]);
    let share = |idx: usize| answers[idx]["known_share"].as_f64().unwrap();
    assert_eq!([share(0), share(1), share(2)], [1.0, 0.0, 0.25]);
    let told = book.call(&["predict", "A wonderful film.", "zzz qqq"]).stdout;
    assert_eq!(told.matches("warning: ").count(), 1, "{told}");
    assert!(told.contains("\"zzz qqq\": the model knows no word of it"), "{told}");

    let (input, output) = (book.store().join("in.csv"), book.store().join("out.csv"));
    std::fs::write(&input, "text\nA wonderful film.\nzzz qqq\n\u{4f60}\u{597d}\n").unwrap();
    let file = ["predict", "--in", input.to_str().unwrap(), "--out", output.to_str().unwrap()];
    let told = book.call(&file);
    assert!(told.stdout.contains("2 rows have no word that the model knows"), "{}", told.stdout);
    let again = [&file[..], &["--force"]].concat();
    assert_eq!(book.json(&again)["n_unknown"], 2);
    let one = book.store().join("one.csv");
    std::fs::write(&one, "text\nzzz qqq\n").unwrap();
    let told = book.call(&["predict", "--in", one.to_str().unwrap(), "--out", "-"]);
    let said = format!("{}{}", told.stdout, told.stderr);
    assert!(said.contains("\n1 row by "), "{said}");
    let grammar = "1 row has no word that the model knows: its prediction says nothing about it";
    assert!(said.contains(grammar), "{said}");
    let written = std::fs::read_to_string(&output).unwrap();
    let header = written.lines().next().unwrap();
    assert_eq!(header, "text,label,confidence,score_negative,score_positive");
}

#[test]
fn a_failed_training_is_a_failed_run_that_says_why() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let said = book.fails(1, &["train", "tfidf", "--data", "sample", "--min-df", "100000"]);
    assert!(said.contains("min_df"), "{said}");
    let runs = book.json(&["runs", "list"]);
    assert_eq!(runs[0]["status"], "FAILED");
    assert!(runs[0]["tags"]["trialbook.error"].as_str().unwrap().contains("min_df"), "{runs}");
}

#[test]
fn a_run_whose_process_was_killed_is_settled_by_gc() {
    let book = Trialbook::new();
    let file = book.store().join("long.csv");
    let mut rows = String::from("text,label\n");
    for row in 0..20_000 {
        let words: Vec<String> =
            (0..40).map(|word| format!("w{}", (row * 31 + word * word * 7) % 40_000)).collect();
        rows.push_str(&format!(
            "{} x{row},{}\n",
            words.join(" "),
            if row % 2 == 0 { "pos" } else { "neg" }
        ));
    }
    std::fs::write(&file, rows).unwrap();
    book.json(&["data", "add", "long", file.to_str().unwrap()]);
    let mut child = book
        .command()
        .args(["train", "tfidf", "--data", "long", "--ngram", "3", "--min-df", "1"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while book.json(&["runs", "list"]).as_array().unwrap().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "training ended before it was seen");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(book.json(&["store", "gc"])["n_settled"], 0, "a live run is left alone");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(book.json(&["runs", "list"])[0]["status"], "RUNNING");
    assert_eq!(book.json(&["store", "gc"])["n_settled"], 1);
    assert_eq!(book.json(&["runs", "list"])[0]["status"], "FAILED");
}

#[test]
fn a_deleted_run_comes_back_by_the_id_that_was_shown() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let trained =
        book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--no-register"]);
    let short = &trained["run_id"].as_str().unwrap()[..8];
    book.json(&["runs", "delete", short]);
    assert_eq!(book.json(&["runs", "list"]).as_array().unwrap().len(), 0);
    book.json(&["runs", "restore", short]);
    assert_eq!(book.json(&["runs", "list"])[0]["run_id"], trained["run_id"]);
}

#[test]
fn errors_name_the_thing_and_the_next_step() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let inside = book.store().join("backup.tar");
    let missing = book.store().join("mistyped");
    for (code, args, expected) in [
        (1, &["data", "describe", "nothing"][..], &["\"nothing\"", "hint: "][..]),
        (1, &["train", "tfidf", "--data", "nothing"], &["\"nothing\"", "hint: "]),
        (1, &["predict", "text"], &["no model yet", "hint: "]),
        (1, &["runs", "show", "abcd1234"], &["abcd1234"]),
        (1, &["gate", "Nobody", "1"], &["Nobody"]),
        (1, &["gate", "Nobody", "1", "--min", "1.5"], &["1.5", "hint: "]),
        (1, &["sql", "select * from nowhere"], &["nowhere"]),
        (1, &["runs", "list", "--filter", "metrics.f1 >"], &["filter"]),
        (1, &["health", "--url", "http://127.0.0.1:9"], &["127.0.0.1:9", "hint: "]),
        (1, &["store", "backup", inside.to_str().unwrap()], &["inside the store", "hint: "]),
        (1, &["--store", missing.to_str().unwrap(), "runs", "list"], &["mistyped", "hint: "]),
        (1, &["train", "tfidf", "--data", "sample", "--model", "a@b"], &["a@b", "hint: "]),
        (1, &["train", "tfidf", "--data", "sample", "--c", "1e300"], &["1e300", "hint: "]),
        (2, &["train", "tfidf"], &["--data"]),
        (2, &["promote", "A", "1", "--force"], &["--reason"]),
        (2, &["promote", "A", "1", "--stage", "Live"], &["Live"]),
        (2, &["frobnicate"], &["frobnicate"]),
    ] {
        let said = book.fails(code, args);
        for part in expected {
            assert!(said.contains(part), "{args:?}: {said:?} lacks {part:?}");
        }
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn an_error_in_json_is_one_object_with_kind_and_hint() {
    let book = Trialbook::new();
    let said = book.fails(1, &["--json", "data", "show", "nothing"]);
    let error: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(error["kind"], "not_found");
    assert!(error["error"].as_str().unwrap().contains("nothing"));
    assert!(error["hint"].is_string());
}

#[test]
fn what_is_mistyped_is_told_what_would_do() {
    let book = Trialbook::new();
    for (code, args, expected) in [
        (2, &["promote", "A", "v2"][..], &["\"v2\"", "hint: ", "write 2"][..]),
        (2, &["promote", "A", "1", "--stage", "prod"], &["hint: one of None, Staging, Production"]),
        (2, &["audit", "--since", "yesterday"], &["hint: write 2027-01-31, or 90d"]),
        (2, &["keys", "add", "x", "--expires", "never"], &["hint: write 2027-01-31, or 90d"]),
        (2, &["monitor", "stats", "--last", "7x"], &["hint: write 2027-01-31, or 90d"]),
        (2, &["predict"], &["<TEXT|--in <FILE>>"]),
        (1, &["gate", "A"], &["which version of A?", "hint: ", "A/2"]),
        (1, &["gate", "A/1", "1"], &["\"A/1\" names a version", "hint: "]),
    ] {
        let said = book.fails(code, args);
        for part in expected {
            assert!(said.contains(part), "{args:?}: {said:?} lacks {part:?}");
        }
    }
    for (args, error, hint) in [
        (&["promote", "A", "1", "--stage", "prod"][..], "unknown stage \"prod\"", "one of None"),
        (&["runs", "list", "--filtr", "x"], "'--filtr'", "'--filter'"),
        (&["predict"], "were not provided: <TEXT|--in <FILE>>", "usage: trialbook predict"),
    ] {
        let said = book.fails(2, &[args, &["--json"]].concat());
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["kind"], "invalid");
        assert!(said["error"].as_str().unwrap().contains(error), "{said}");
        assert!(said["hint"].as_str().unwrap().contains(hint), "{said}");
    }
}

#[test]
fn a_version_is_named_in_one_word_or_two() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    for _ in 0..2 {
        book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1"]);
    }
    let name = "SentimentClassifier";
    assert_eq!(book.json(&["gate", "SentimentClassifier/1"])["version"], 1);
    assert_eq!(book.json(&["promote", "SentimentClassifier/1"])["to"], "Production");
    book.json(&["models", "alias", name, "next", "2"]);
    assert_eq!(book.json(&["gate", "SentimentClassifier@next"])["version"], 2);
    assert_eq!(book.json(&["promote", "SentimentClassifier@next"])["to"], "Production");
    let refused = book.fails(1, &["rollback", "SentimentClassifier/1"]);
    assert!(refused.contains("SentimentClassifier/1 is not in Production"), "{refused}");
    assert_eq!(book.json(&["rollback", "SentimentClassifier/2"])["to"], 1);
    let told = book.call(&["audit"]).stdout;
    assert!(told.contains("Archived → Production; rolled back from version 2\n"), "{told}");
    assert!(
        told.contains("Production → Archived; version 2 took its place: gate passed"),
        "{told}"
    );
    let runs = book.json(&["sql", "select started from runs"]);
    assert_eq!(runs[0]["started"].as_str().unwrap().len(), "2026-11-27 10:29:14".len(), "{runs}");
}

#[test]
fn a_backup_writes_over_nothing_unasked() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("victim.csv");
    std::fs::write(&file, "text,label\n").unwrap();
    let backup = ["store", "backup", file.to_str().unwrap()];
    let refused = book.fails(1, &backup);
    assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text,label\n");
    book.json(&[&backup[..], &["--force"]].concat());
    assert!(std::fs::metadata(&file).unwrap().len() > 1_000);
}

#[test]
fn a_store_that_is_a_file_is_refused_by_name() {
    let book = Trialbook::new();
    let file = book.store().join("afile");
    std::fs::write(&file, "x").unwrap();
    for args in [
        &["runs", "list"][..],
        &["data", "list"],
        &["data", "sample"],
        &["train", "tfidf", "--data", "sample"],
        &["serve", "--port", "0"],
    ] {
        let said = book.fails(1, &[&["--store", file.to_str().unwrap()], args].concat());
        assert!(said.contains("afile\" is a file, and a store is a folder"), "{args:?}: {said}");
        assert!(said.contains("--store DIR"), "{args:?}: {said}");
    }
}

#[test]
fn a_metric_says_of_which_class_it_is() {
    let book = Trialbook::new();
    let file = book.store().join("mail.csv");
    let rows: String = (0..60)
        .map(|row| match row % 2 {
            0 => format!("win money now n{row},fraud\n"),
            _ => format!("the invoice of the meeting n{row},legit\n"),
        })
        .collect();
    std::fs::write(&file, format!("review,label\n{rows}")).unwrap();
    let added = book.call(&["data", "add", "mail", file.to_str().unwrap()]).stdout;
    assert!(added.contains("text column \"review\" (guessed), kept as \"text\""), "{added}");
    assert!(added.contains("label column \"label\" (guessed)\n"), "{added}");
    assert!(added.contains("F1, precision and recall will be of legit"), "{added}");
    let trained = book.call(&["train", "tfidf", "--data", "mail", "--model", "Mail"]).stdout;
    assert!(trained.contains("f1 of legit"), "{trained}");
    let evaluated = book.call(&["evaluate", "Mail", "--data", "mail"]).stdout;
    assert!(evaluated.contains("recall of legit"), "{evaluated}");
    let judged = book.call(&["gate", "Mail", "1"]).stdout;
    assert!(judged.contains("f1 of legit >= minimum"), "{judged}");
}

#[test]
fn the_chosen_positive_class_is_the_one_that_everything_is_of() {
    let book = Trialbook::new();
    let file = book.store().join("mail.csv");
    let rows: String = (0..80)
        .map(|row| match row % 4 {
            0 => format!("win money now n{row},fraud,{row}\n"),
            // A mistake that makes the numbers of the two classes differ.
            1 if row % 8 == 1 => format!("win the meeting n{row},legit,{row}\n"),
            _ => format!("the invoice of the meeting n{row},legit,{row}\n"),
        })
        .collect();
    std::fs::write(&file, format!("text,label,id\n{rows}")).unwrap();
    let file = file.to_str().unwrap();
    let added = book.call(&["data", "add", "legit", file]).stdout;
    assert!(added.contains("will be of legit (for the other: --positive \"fraud\")"), "{added}");
    let added = book.call(&["data", "add", "fraud", file, "--positive", "fraud"]).stdout;
    assert!(added.contains("fraud is the positive class, as chosen"), "{added}");
    assert!(added.contains("kept for queries, not for training: id (i64)"), "{added}");
    let shown = book.call(&["data", "show", "fraud"]).stdout;
    assert!(shown.contains("positive class: fraud"), "{shown}");
    let trained =
        book.json(&["train", "tfidf", "--data", "legit", "--model", "Mail", "--c", "0.1"]);
    let trained = &trained["metrics"];
    assert_eq!(trained["f1"], trained["f1_legit"]);
    book.json(&["gate", "Mail", "1", "--min", "0"]);
    book.json(&["promote", "Mail", "1"]);
    let trained =
        book.json(&["train", "tfidf", "--data", "fraud", "--model", "Mail", "--c", "0.1"]);
    let trained = &trained["metrics"];
    assert_eq!(trained["f1"], trained["f1_fraud"]);
    assert_ne!(trained["f1"], trained["f1_legit"], "else this test would show nothing");
    // Both were measured on the same rows, but by F1 of another class: Production is measured anew.
    let judged = book.json(&["gate", "Mail", "2"]);
    assert_eq!(judged["baseline"]["reevaluated"], true, "{judged}");
    let metrics = &judged["baseline"]["metrics"];
    assert_eq!(metrics["f1"], metrics["f1_fraud"], "{judged}");
    assert_eq!(judged["passed"], true, "{judged}");
    let judged = book.call(&["gate", "Mail", "2"]).stdout;
    assert!(judged.contains("f1 of fraud >= Production version 1"), "{judged}");
    let evaluated = book.call(&["evaluate", "Mail/1", "--data", "fraud"]).stdout;
    assert!(evaluated.contains("f1 of fraud"), "{evaluated}");
    let answer = book.json(&["predict", "win money now", "--model", "Mail/2"]);
    assert_eq!(answer["probability"], answer["scores"]["fraud"], "{answer}");
    let rows = book.json(&["sql", "select count(*) as n, max(id) as high from fraud"]);
    assert_eq!(rows, serde_json::json!([{"n": 80, "high": 79}]));
    let refused = book.fails(1, &["data", "add", "x", file, "--columns", "colour"]);
    assert!(refused.contains("no column \"colour\" to keep"), "{refused}");
}

#[test]
fn a_mistyped_model_is_told_of_when_a_server_starts() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1", "--model", "Reviews"]);
    let mut child = book
        .command()
        .args(["serve", "--port", "0", "--model", "Nope", "--model", "Reviews"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.next().unwrap();
    assert!(said.starts_with("there is no model Nope (there are Reviews): "), "{said}");
    let said = lines.next().unwrap();
    assert!(said.starts_with("Reviews has no Production version: "), "{said}");
    let listening = lines.next().unwrap();
    let url = listening.split(' ').nth(2).unwrap();
    let health =
        trialbook_program::serve::client::post(&format!("{url}/predict"), &serde_json::json!({}));
    assert!(health.is_err(), "it goes on: the model may come later");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_store_that_is_only_readable_can_be_served_without_a_log() {
    // Nobody makes folders there, whatever the user.
    let said = Trialbook::new().fails(1, &["--store", "/sys/kernel", "serve", "--port", "0"]);
    assert!(said.contains("/sys/kernel/logs") && said.contains("--no-log"), "{said}");
}

#[test]
fn what_does_not_speak_http_may_be_encrypted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let alert = std::thread::spawn(move || {
        let (mut asked, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = std::io::Read::read(&mut asked, &mut request).unwrap();
        // What a TLS server says to anything else: an alert, "unexpected message".
        std::io::Write::write_all(&mut asked, &[21, 3, 3, 0, 2, 2, 10]).unwrap();
    });
    let said = Trialbook::new().fails(1, &["health", "--url", &url]);
    assert!(said.contains("does not answer in HTTP") && said.contains("--tls-cert"), "{said}");
    alert.join().unwrap();
}

#[test]
fn looking_at_an_empty_store_creates_no_files() {
    let book = Trialbook::new();
    let missing = book.store().join("not-yet");
    let output = Command::new(env!("CARGO_BIN_EXE_trialbook"))
        .arg("--store")
        .arg(&missing)
        .args(["data", "list"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(!missing.exists());
}

#[test]
fn an_interrupt_ends_training_as_a_killed_run() {
    let book = Trialbook::new();
    // Enough text that the signal arrives long before the fit is over.
    let file = book.store().join("long.csv");
    let mut rows = String::from("text,label\n");
    for row in 0_u64..30_000 {
        let mut word = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for _ in 0..60 {
            word = word
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            rows.push_str(&format!("w{} ", (word >> 33) % 50_000));
        }
        rows.push_str(if row % 2 == 0 { ",pos\n" } else { ",neg\n" });
    }
    std::fs::write(&file, rows).unwrap();
    book.json(&["data", "add", "long", file.to_str().unwrap()]);
    let mut child = book
        .command()
        .args(["train", "tfidf", "--data", "long", "--ngram", "3", "--min-df", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while book.json(&["runs", "list"]).as_array().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the run never began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let runs = book.json(&["runs", "list"]);
    assert_eq!(runs[0]["status"], "KILLED");
    assert_eq!(runs[0]["params"]["model"], "tfidf");
    assert_eq!(book.json(&["models", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_server_without_a_production_model_starts_and_says_what_to_do() {
    let book = Trialbook::new();
    let (mut child, url) = book.serve(&[]);
    let url = url.as_str();
    let unhealthy = book.fails(1, &["health", "--url", url]);
    assert!(unhealthy.contains("Production") || unhealthy.contains("promote"), "{unhealthy}");
    let question = serde_json::json!({"text": "wonderful"});
    let refused =
        trialbook_program::serve::client::post(&format!("{url}/predict"), &question).unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_readme_lists_every_command_in_the_words_of_its_help() {
    let readme = include_str!("../README.md");
    let parser = trialbook_program::cli::parser();
    for command in parser.get_subcommands().filter(|command| command.get_name() != "help") {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let row = format!("| `{}` | {about} |", command.get_name());
        assert!(readme.contains(&row), "README.md lacks {row:?}");
    }
}

#[test]
fn the_demo_tells_the_whole_story_again_and_again() {
    let book = Trialbook::new();
    for _ in 0..2 {
        let told = book.json(&["demo"]);
        let f1 = |idx: usize| told["trained"][idx]["metrics"]["f1"].as_f64().unwrap();
        assert!(f1(1) > f1(0) && f1(0) > f1(2), "bigrams beat words, words beat twenty words");
        assert_eq!(told["passed"]["passed"], true);
        assert_eq!(told["blocked"]["passed"], false);
        assert_eq!(told["served"][0]["sentiment"], "positive");
        assert_eq!(told["served"][1]["sentiment"], "negative");
        assert_eq!(told["served"][0]["model"]["version"], 2);
        assert_eq!((&told["rollback"]["from"], &told["rollback"]["to"]), (&2.into(), &1.into()));
        assert_eq!(told["predicted"]["model"]["version"], 1);
    }
    std::fs::remove_file(book.store().join("demo/made-by-demo")).unwrap();
    let refused = book.fails(1, &["demo"]);
    assert!(refused.contains("was not made by a demo"), "{refused}");
}

#[test]
fn a_server_says_in_json_where_it_listens_and_stops_on_sigterm() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--deploy"]);
    let (mut child, url) = book.serve(&[]);
    let url = url.as_str();
    let health = book.json(&["health", "--url", url]);
    assert_eq!((&health["status"], &health["model"]["version"]), (&"ok".into(), &1.into()));
    let question = serde_json::json!({"text": "An utterly wonderful film."});
    let served =
        trialbook_program::serve::client::post(&format!("{url}/predict"), &question).unwrap();
    let printed = book.json(&["predict", "An utterly wonderful film."]);
    for key in ["sentiment", "confidence", "probability", "label", "scores", "model"] {
        assert_eq!(served[key], printed[key], "{key}: the server and the command line agree");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn options_come_from_a_file_after_the_command_line_and_the_environment() {
    let book = Trialbook::new();
    let file = book.store().join("settings.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let call = |args: &[&str]| {
        Answer::of(
            book.command().env("TRIALBOOK_CONFIG", &file).env("TRIALBOOK_PORT", "1").args(args),
        )
    };
    write("[serve]\nport = 2\nmodel = \"Toxicity\"\n[data.add]\nlabel = \"stars\"\n");
    let help = call(&["serve", "--help"]);
    assert_eq!(help.code, 0, "{}", help.stderr);
    assert!(help.stdout.contains("[default: Toxicity]"), "{}", help.stdout);
    assert!(help.stdout.contains("TRIALBOOK_PORT=1"), "{}", help.stdout);
    write("[serve]\nprot = 2\n");
    let refused = call(&["data", "list"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("there is no option serve.prot"), "{}", refused.stderr);
    assert!(refused.stderr.contains("settings.toml") && refused.stderr.contains("port"));
    let other = call(&["--config-file", "/nowhere/trialbook.toml", "data", "list"]);
    assert!(other.stderr.contains("/nowhere/trialbook.toml"), "{}", other.stderr);
}

/// What polars notices about a query is no part of the answer.
#[test]
fn a_query_prints_its_answer_alone() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let answer = book.call(&["sql", "select date '2024-01-05' as d from sample limit 1"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{}", answer.stdout);
    assert!(answer.stdout.contains("2024-01-05"), "{}", answer.stdout);
}

/// `--positive -1` was "unexpected argument '-1'", although a note had advised it.
#[test]
fn values_that_begin_with_a_dash_are_values() {
    let book = Trialbook::new();
    let csv = book.store().join("stance.csv");
    let rows = (0..20).map(|n| format!("text {n},{}\n", if n % 2 == 0 { "-1" } else { "1" }));
    std::fs::write(&csv, format!("-text,-label\n{}", rows.collect::<String>())).unwrap();
    let csv = csv.to_str().unwrap();
    let columns = ["--text", "-text", "--label", "-label"];
    let add = [&["data", "add", "stance", csv][..], &columns, &["--positive", "-1"]].concat();
    assert_eq!(book.json(&add)["dataset"]["classes"], serde_json::json!(["1", "-1"]));
    for (option, expected) in [
        ("--c", "c must lie between 1e-9 and 1e9, found -1.0"),
        ("--tol", "tol must be > 0 and finite, found -1"),
        ("--validation-size", "the validation size must be a share between 0 and 1, found -1"),
        ("--max-iter", "invalid value '-1' for '--max-iter <STEPS>'"),
        ("--min-df", "invalid value '-1' for '--min-df <COUNT|SHARE>'"),
        ("--ngram", "invalid value '-1' for '--ngram <N>'"),
        ("--cv", "invalid value '-1' for '--cv <K>'"),
        ("--seed", "invalid value '-1' for '--seed <SEED>'"),
    ] {
        let told = book.call(&["train", "tfidf", "--data", "stance", option, "-1"]);
        assert_ne!(told.code, 0, "{option}");
        assert!(told.stderr.contains(expected), "{option}: {}", told.stderr);
    }
    let told = book.call(&["train", "tfidf", "--data", "stance", "--model", ""]);
    assert!(told.code == 2 && told.stderr.contains("--model <NAME>"), "{}", told.stderr);
    let told = book.call(&["train", "tfidf", "--data", "stance", "--model", "by stance"]);
    assert!(told.stdout.contains("`trialbook gate 'by stance' 1`"), "{}", told.stdout);
}

/// `NAME` alone meant the newest version to `evaluate` and an error to `predict`.
#[test]
fn a_name_alone_means_the_same_version_everywhere() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    for _ in 0..2 {
        book.json(&["train", "tfidf", "--data", "sample", "--ngram", "1"]);
    }
    let name = "SentimentClassifier";
    let versions = |folder: &str| {
        let folder = book.store().join(folder);
        let predicted = book.json(&["predict", "good", "--model", name]);
        let evaluated = book.json(&["evaluate", name, "--data", "sample"]);
        let exported = book.json(&["models", "export", name, folder.to_str().unwrap()]);
        let of = trialbook::Book::open(book.store()).version(&format!("models:/{name}")).unwrap();
        let numbers = [&predicted["model"]["version"], &evaluated["version"], &exported["version"]];
        numbers.map(Value::as_u64).into_iter().chain([Some(of.version.into())]).collect::<Vec<_>>()
    };
    assert_eq!(versions("newest"), [Some(2); 4]);
    book.json(&["promote", name, "1", "--gate"]);
    assert_eq!(versions("production"), [Some(1); 4]);
}
