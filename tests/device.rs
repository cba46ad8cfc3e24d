//! Trainings on the device of another process: `device serve` and `--device remote:…`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::cli::{Answer, Trialbook};

/// The sizes of a net whose epoch takes a moment.
const TINY: &str = "--max-len 16 --embedding 4 --hidden 4";

/// A server that lends its CPU, and what its clients need.
struct Lender {
    book: Trialbook,
    child: Child,
    remote: String,
    key: String,
}

impl Lender {
    fn start() -> Self {
        let book = Trialbook::new();
        let made = book.json(&["keys", "add", "laptop", "--scope", "write"]);
        let key = made["key"].as_str().unwrap().to_owned();
        let (child, remote) = lend(&book, "0");
        Self { book, child, remote, key }
    }

    fn command(&self, book: &Trialbook, words: &str) -> Command {
        let mut command = book.command();
        command.args(words.split(' ')).args(["--device", &self.remote]);
        command.env("TRIALBOOK_KEY", &self.key).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lend(book: &Trialbook, port: &str) -> (Child, String) {
    let mut command = book.command();
    command.args(["device", "serve", "--device", "cpu", "--port", port, "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    (child, said["remote"].as_str().unwrap().to_owned())
}

fn checksums(book: &Trialbook, run: &str) -> Value {
    let opened = trialbook::Book::open(book.store());
    let registry = opened.registry().unwrap();
    let run = registry.run(run).unwrap();
    let files = registry.artifacts(&run.run_id).unwrap();
    files
        .iter()
        .filter(|file| file.path.ends_with(".safetensors") || file.path.ends_with("model.json"))
        .map(|file| (file.path.clone(), Value::from(file.sha256.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn wait_for_state(book: &Trialbook) {
    let checkpoints = book.store().join("checkpoints");
    let started = Instant::now();
    while !fs::read_dir(&checkpoints).is_ok_and(|runs| {
        runs.flatten().any(|run| run.path().join("train_state.safetensors").exists())
    }) {
        assert!(started.elapsed() < Duration::from_secs(120), "no state comes back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nets_trained_elsewhere_have_the_weights_of_those_trained_here() {
    let (lender, book) = (Lender::start(), Trialbook::new());
    book.json(&["data", "sample"]);
    let checkpoint = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-distilbert");
    let distilbert = format!("distilbert --checkpoint {checkpoint} --max-len 16 --epochs 1");
    let cnn = "cnn --epochs 1 --max-len 16 --embedding 4 --filters 2";
    let lstm = "lstm --epochs 1 --max-len 8 --embedding 4 --hidden 4 --layers 1";
    for net in [&format!("avgnet --epochs 2 {TINY}"), cnn, lstm, &distilbert] {
        let name = net.split(' ').next().unwrap();
        let words = format!("train {net} --data sample --run-name");
        let here = format!("{words} {name}-here --device cpu");
        book.json(&here.split(' ').collect::<Vec<_>>());
        let answer = Answer::of(&mut lender.command(&book, &format!("{words} {name}-there")));
        assert_eq!(answer.code, 0, "{name}: {}", answer.stderr);
        let (here, there) = (format!("{name}-here"), format!("{name}-there"));
        let expected = checksums(&book, &here);
        assert!(expected.as_object().unwrap().len() >= 2, "{expected}");
        assert_eq!(checksums(&book, &there), expected, "{name}");
    }
}

#[test]
fn keys_and_addresses_that_do_not_hold_are_one_clear_error() {
    let (mut lender, book) = (Lender::start(), Trialbook::new());
    book.json(&["data", "sample"]);
    let train = "train avgnet --data sample";
    let refused = |lender: &Lender| {
        let answer = Answer::of(&mut lender.command(&book, train));
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        answer.stderr
    };
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().display().to_string();
    let distilbert = format!("train distilbert --data sample --checkpoint {folder}");
    let answer = Answer::of(&mut lender.command(&book, &distilbert));
    assert!(answer.stderr.contains(&format!("{folder}: ")), "{}", answer.stderr);
    lender.key = "tbk_wrong".to_owned();
    assert!(refused(&lender).contains("the API key does not hold"));
    lender.key = String::new();
    assert!(refused(&lender).contains("an API key is needed, none was given"));
    let small = lender.book.json(&["keys", "add", "web"]);
    lender.key = small["key"].as_str().unwrap().to_owned();
    assert!(refused(&lender).contains("expected one of scope write"));
    lender.child.kill().unwrap();
    lender.child.wait().unwrap();
    assert!(refused(&lender).contains("no server answers at ws://"));
    let nobody = Trialbook::new().fails(1, &["device", "serve", "--port", "0"]);
    assert!(nobody.contains("no API key that may train"), "{nobody}");
}

#[test]
fn a_killed_server_leaves_a_run_that_goes_on_here() {
    let (mut lender, book) = (Lender::start(), Trialbook::new());
    book.json(&["data", "sample"]);
    let words = format!(
        "train avgnet --data sample {TINY} --epochs 60 --patience 60 --checkpoint-every 5 --run-name"
    );
    book.json(&format!("{words} whole --device cpu").split(' ').collect::<Vec<_>>());
    let client = lender.command(&book, &format!("{words} cut")).spawn().unwrap();
    wait_for_state(&book);
    lender.child.kill().unwrap();
    let output = client.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the connection broke"), "{stderr}");
    book.json(&["train", "--resume", "cut", "--device", "cpu"]);
    assert_eq!(checksums(&book, "cut"), checksums(&book, "whole"));
}

#[test]
fn two_trainings_take_turns_and_an_interrupt_ends_the_one_that_runs() {
    let (lender, book, other) = (Lender::start(), Trialbook::new(), Trialbook::new());
    book.json(&["data", "sample"]);
    other.json(&["data", "sample"]);
    let long = format!(
        "train avgnet --data sample {TINY} --epochs 100000 --patience 100000 --checkpoint-every 5 \
         --run-name long"
    );
    let first = lender.command(&book, &long).spawn().unwrap();
    wait_for_state(&book);
    let second = lender
        .command(&other, &format!("train avgnet --data sample {TINY} --epochs 1 --run-name short"))
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let pid = first.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_environment_that_names_a_remote_device_trains_there_and_predicts_here() {
    let (mut lender, book) = (Lender::start(), Trialbook::new());
    book.json(&["data", "sample"]);
    let run = |lender: &Lender, words: &[&str]| {
        let mut command = book.command();
        command.args(words).env("TRIALBOOK_KEY", &lender.key);
        let answer = Answer::of(command.env("TRIALBOOK_DEVICE", &lender.remote));
        (answer.code, answer.stdout + &answer.stderr)
    };
    let train = format!("train avgnet --data sample {TINY} --epochs 1 --deploy");
    let train: Vec<&str> = train.split(' ').collect();
    let (code, said) = run(&lender, &train);
    // So small a net does not pass; what counts is that the gate could ask it.
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("f1 0."), "{said}");
    lender.child.kill().unwrap();
    lender.child.wait().unwrap();
    let (code, said) = run(&lender, &["predict", "SentimentClassifier/1", "a text"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&lender, &train);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no server answers at ws://"), "{said}");
    let (code, said) = run(&lender, &["device", "serve", "--port", "0"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("trains and does nothing else"), "{said}");
}
