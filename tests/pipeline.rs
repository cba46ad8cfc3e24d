//! The compiled pipeline: its command lines are this program's, and its steps do what they say when
//! they run one after the other as Kubeflow would run them.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Answer, Trialbook};

/// Kubeflow's part: it fills in what is asked for and runs what stands there.
struct Cluster {
    spec: Value,
    /// What started the run, over the pipeline's defaults.
    given: BTreeMap<String, Value>,
    /// Where steps put what they make.
    outputs: TempDir,
}

impl Cluster {
    fn new(store: &Path, given: &[(&str, Value)]) -> Self {
        let compiled = Trialbook::new().json(&["pipeline", "compile"]);
        let mut given: BTreeMap<String, Value> =
            given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        given.insert("store".to_owned(), store.to_str().unwrap().into());
        Self {
            spec: compiled["pipeline_spec"].clone(),
            given,
            outputs: tempfile::tempdir().unwrap(),
        }
    }

    fn tasks(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.spec["root"]["dag"]["tasks"].as_object().unwrap().iter()
    }

    fn output(&self, task: &str, name: &str) -> String {
        self.outputs.path().join(task).join(name).to_str().unwrap().to_owned()
    }

    /// The value of one of a task's inputs, as text.
    fn value(&self, source: &Value) -> String {
        if let Some(name) = source["componentInputParameter"].as_str() {
            let input = &self.spec["root"]["inputDefinitions"]["parameters"][name];
            let value = self.given.get(name).unwrap_or(&input["defaultValue"]);
            return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        }
        let made = &source["taskOutputParameter"];
        let (task, name) = (&made["producerTask"], &made["outputParameterKey"]);
        fs::read_to_string(self.output(task.as_str().unwrap(), name.as_str().unwrap())).unwrap()
    }

    /// The arguments of a task; what an earlier one makes is `value(source)`.
    fn args(&self, task: &str, entry: &Value, value: impl Fn(&Value) -> String) -> Vec<String> {
        let component = &self.spec["components"][entry["componentRef"]["name"].as_str().unwrap()];
        let executor = component["executorLabel"].as_str().unwrap();
        let container = &self.spec["deploymentSpec"]["executors"][executor]["container"];
        let mut replaced: Vec<(String, String)> = Vec::new();
        for (name, source) in entry["inputs"]["parameters"].as_object().unwrap() {
            replaced.push((format!("{{{{$.inputs.parameters['{name}']}}}}"), value(source)));
        }
        for (kind, end) in [("parameters", "output_file"), ("artifacts", "path")] {
            let outputs = component["outputDefinitions"][kind].as_object();
            for name in outputs.into_iter().flatten().map(|(name, _)| name) {
                let from = format!("{{{{$.outputs.{kind}['{name}'].{end}}}}}");
                replaced.push((from, self.output(task, name)));
            }
        }
        let fill = |arg: &Value| {
            replaced
                .iter()
                .fold(arg.as_str().unwrap().to_owned(), |arg, (from, to)| arg.replace(from, to))
        };
        container["args"].as_array().unwrap().iter().map(fill).collect()
    }

    /// Runs the tasks until one fails: their names and how they ended.
    fn run(&self) -> Vec<(String, Answer)> {
        let mut done: Vec<(String, Answer)> = Vec::new();
        for (task, entry) in self.tasks() {
            for before in entry["dependentTasks"].as_array().into_iter().flatten() {
                assert!(done.iter().any(|(name, _)| name == before), "{task} waits for {before}");
            }
            fs::create_dir(self.outputs.path().join(task)).unwrap();
            let args = self.args(task, entry, |source| self.value(source));
            let answer = Answer::of(Command::new(env!("CARGO_BIN_EXE_trialbook")).args(&args));
            let failed = answer.code != 0;
            done.push((task.clone(), answer));
            if failed {
                break;
            }
        }
        done
    }
}

/// The built-in sample's train split as a file, one that a shell would stumble over.
fn reviews(book: &Trialbook) -> String {
    book.json(&["data", "sample"]);
    let rows = book.json(&["sql", "select text, label from sample.train"]);
    let file = book.store().join("re views $(x) 'q'.jsonl");
    let lines: Vec<String> = rows.as_array().unwrap().iter().map(Value::to_string).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn every_step_is_a_command_line_of_this_program() {
    for trainer in ["tfidf", "avgnet", "cnn", "lstm", "distilbert"] {
        let given = [("data", "/store/x.csv".into()), ("trainer", trainer.into())];
        let cluster = Cluster::new(Path::new("/store"), &given);
        let mut n_steps = 0;
        for (task, entry) in cluster.tasks() {
            let args =
                cluster.args(task, entry, |source| match source.get("taskOutputParameter") {
                    Some(_) => "7".to_owned(),
                    None => cluster.value(source),
                });
            let line = ["trialbook".to_owned()].into_iter().chain(args.clone());
            if let Err(error) = trialbook_program::cli::parser().try_get_matches_from(line) {
                panic!("{task}: {args:?}\n{error}");
            }
            assert!(!args.concat().contains("{{"), "{task}: {args:?}");
            n_steps += 1;
        }
        assert_eq!(n_steps, 4);
    }
}

#[test]
fn a_run_puts_a_version_into_production_and_a_worse_one_stops_at_the_gate() {
    let book = Trialbook::new();
    let data = reviews(&book);
    let cluster = Cluster::new(book.store(), &[("data", data.as_str().into())]);
    for (task, answer) in cluster.run() {
        assert_eq!(answer.code, 0, "{task}: {}", answer.stderr);
    }
    let version = book.json(&["models", "show", "SentimentClassifier/Production"]);
    assert_eq!(version["version"], 1);
    let report = cluster.output("evaluate-model", "report");
    assert!(Path::new(&report).join("metrics.json").is_file());

    // The same again is as good, and as good passes.
    let given = [("data", data.as_str().into()), ("stage", "Staging".into())];
    assert!(Cluster::new(book.store(), &given).run().iter().all(|(_, answer)| answer.code == 0));
    let staged = book.json(&["models", "show", "SentimentClassifier/Staging"]);
    assert_eq!(staged["version"], 2);

    let given =
        [("data", data.as_str().into()), ("model", "Strict".into()), ("min_f1", 1.0.into())];
    let done = Cluster::new(book.store(), &given).run();
    let (last, answer) = done.last().unwrap();
    assert_eq!((last.as_str(), answer.code), ("deploy-model", 3), "{}", answer.stderr);
    assert!(answer.stdout.contains("BLOCKED"), "{}", answer.stdout);
    assert_eq!(book.json(&["models", "show", "Strict/1"])["stage"], "None");
}

#[test]
fn the_file_is_the_answer_and_the_same_each_time() {
    let book = Trialbook::new();
    let file = book.store().join("pipeline.yaml");
    let image = ["--image", "ghcr.io/acme/trialbook:main-1"];
    let compile = [&["pipeline", "compile"][..], &image].concat();
    let shown = book.call(&compile).stdout;
    let write = [&compile[..], &["--out", file.to_str().unwrap()]].concat();
    for force in [&[][..], &["--force"]] {
        book.json(&[&write[..], force].concat());
        assert_eq!(fs::read_to_string(&file).unwrap(), shown);
        let refused = book.fails(1, &write);
        assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
    }
    assert_eq!(shown.matches("image: ghcr.io/acme/trialbook:main-1\n").count(), 4);
    let refused = book.fails(1, &["pipeline", "compile", "--image", "no image"]);
    assert!(refused.contains("hint: "), "{refused}");
}
