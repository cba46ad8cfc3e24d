//! The neural nets as their users meet them: trained, interrupted, continued, imported, exported.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use safetensors::SafeTensors;
use serde_json::Value;
use trialbook::{
    Book, ErrorKind, Result,
    book::TrainRequest,
    data::{AddRequest, DatasetSource},
    model::neural::{
        NeuralConfig, TrainSettings,
        net::{AvgNetConfig, CnnConfig, DistilBertConfig, LstmConfig, NetConfig},
    },
    progress::{Monitor, Progress},
    registry::{ModelVersion, PROCESS_TAG, RunBatch, RunStatus},
};

use crate::cli::Trialbook;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn sample(folder: &Path) -> Book {
    let book = Book::open(folder);
    let request = AddRequest::new(DatasetSource::Sample { seed: AddRequest::DEFAULT_SEED });
    book.datasets().add("sample", &request, &Monitor::silent()).unwrap();
    book
}

/// Sizes that learn the sample in seconds.
fn small(net: NetConfig, epochs: u64, learning_rate: f64) -> NeuralConfig {
    NeuralConfig {
        net,
        max_length: 64,
        training: TrainSettings { epochs, learning_rate, ..TrainSettings::default() },
        ..NeuralConfig::avgnet()
    }
}

fn avgnet() -> NeuralConfig {
    let net = AvgNetConfig { embedding_dim: 32, hidden_dim: 32, ..AvgNetConfig::default() };
    small(NetConfig::AvgNet(net), 4, 1e-2)
}

fn tiny_distilbert() -> NeuralConfig {
    let sizes = DistilBertConfig {
        vocab_size: 2000,
        dim: 48,
        hidden_dim: 96,
        n_layers: 1,
        n_heads: 4,
        max_position_embeddings: 64,
        ..DistilBertConfig::default()
    };
    small(NetConfig::DistilBert(sizes), 4, 3e-3)
}

#[track_caller]
fn learns_the_sample(config: &NeuralConfig) {
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    let trained = book.train(config, &TrainRequest::new("sample"), &Monitor::silent()).unwrap();
    let metrics: BTreeMap<String, f64> = trained.evaluation.metrics().into_iter().collect();
    assert!(metrics["f1"] >= 0.85, "{metrics:?}");
    assert_eq!(trained.run.status, RunStatus::Finished);
    assert!(trained.run.metrics.contains_key("valid_f1"), "{:?}", trained.run.metrics);
    // What was saved is what was measured.
    let version = trained.version.unwrap();
    let again = book.evaluate(&version, "sample", "test").unwrap();
    assert!(
        (again.metrics().into_iter().collect::<BTreeMap<_, _>>()["f1"] - metrics["f1"]).abs()
            < 5e-3
    );
    assert!(!book.store().checkpoints_dir().join(&trained.run.run_id).exists());
}

#[test]
fn avgnet_learns_the_sample() {
    learns_the_sample(&avgnet());
}

#[test]
fn a_cnn_learns_the_sample() {
    let net = CnnConfig { embedding_dim: 32, n_filters: 16, ..CnnConfig::default() };
    learns_the_sample(&small(NetConfig::Cnn(net), 3, 3e-3));
}

#[test]
fn an_lstm_learns_the_sample() {
    let net = LstmConfig {
        embedding_dim: 32,
        hidden_dim: 24,
        n_layers: 1,
        dropout: 0.2,
        ..LstmConfig::default()
    };
    learns_the_sample(&small(NetConfig::Lstm(net), 3, 1e-2));
}

#[test]
fn a_distilbert_without_a_checkpoint_learns_the_sample() {
    // From random weights it wants more time than the others, and smaller steps.
    let mut config = tiny_distilbert();
    (config.training.epochs, config.training.learning_rate) = (6, 1e-3);
    learns_the_sample(&config);
}

/// The best epoch is chosen by the rows that were held out, and by no others.
#[test]
fn a_net_chooses_its_epoch_by_what_was_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    let request =
        TrainRequest { validation_size: Some(0.25), model: None, ..TrainRequest::new("sample") };
    let trained = book.train(&avgnet(), &request, &Monitor::silent()).unwrap();
    let fit = &trained.model["fit"];
    assert_eq!((&fit["n_train"], &fit["n_valid"]), (&1500.into(), &500.into()), "{fit}");
    let held_out = trained.held_out.unwrap();
    assert_eq!((held_out.n_train, held_out.n_validation), (1500, 500));
    // What the epochs were measured by is what the run is measured by.
    let metrics = &trained.run.metrics;
    let best = fit["valid_f1"].as_f64().unwrap();
    assert!((metrics["validation_f1"] - best).abs() < 5e-3, "{fit} {metrics:?}");
    assert!(!metrics.contains_key("f1") && trained.version.is_none());
}

/// SHA-256 of every file of a version.
fn checksums(version: &ModelVersion) -> BTreeMap<&str, &str> {
    version.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str())).collect()
}

/// Raises the interrupt once so many examples are learnt.
struct StopAfter {
    left: std::sync::atomic::AtomicI64,
    interrupt: trialbook::progress::Interrupt,
}

impl Progress for StopAfter {
    fn begin(&self, _stage: &str, _total: Option<u64>) {}
    fn advance(&self, n_steps: u64) {
        let before = self.left.fetch_sub(n_steps as i64, std::sync::atomic::Ordering::Relaxed);
        if before - n_steps as i64 <= 0 {
            self.interrupt.raise();
        }
    }
    fn note(&self, _remark: &str) {}
    fn end(&self) {}
}

#[track_caller]
fn resumes_to_the_same_weights(config: &NeuralConfig, validation_size: Option<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    let request = TrainRequest { validation_size, ..TrainRequest::new("sample") };
    let whole = book.train(config, &request, &Monitor::silent()).unwrap();

    let mut monitor = Monitor::silent();
    let left = 2500.into();
    monitor.progress =
        std::sync::Arc::new(StopAfter { left, interrupt: monitor.interrupt.clone() });
    let request = TrainRequest { run_name: Some("cut".to_owned()), ..request };
    let error = book.train(config, &request, &monitor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let run = book.registry().unwrap().run("cut").unwrap();
    assert_eq!(run.status, RunStatus::Killed);

    let resumed = book.resume("cut", &Monitor::silent()).unwrap();
    assert_eq!(resumed.run.run_id, run.run_id);
    assert_eq!(resumed.run.status, RunStatus::Finished);
    assert!(!resumed.run.tags.contains_key("trialbook.error"));
    let (whole, resumed) = (whole.version.unwrap(), resumed.version.unwrap());
    assert_eq!(checksums(&whole)["model.safetensors"], checksums(&resumed)["model.safetensors"]);

    let error = book.resume("cut", &Monitor::silent()).unwrap_err();
    assert!(error.to_string().contains("is finished"), "{error}");
}

#[test]
fn an_interrupted_avgnet_ends_with_the_same_weights() {
    resumes_to_the_same_weights(&avgnet(), None);
}

#[test]
fn an_interrupted_distilbert_ends_with_the_same_weights() {
    resumes_to_the_same_weights(&tiny_distilbert(), Some(0.2));
}

/// A run of `config` that was interrupted after `n_examples`.
fn interrupted(book: &Book, config: &NeuralConfig, n_examples: i64) {
    let mut monitor = Monitor::silent();
    let (left, interrupt) = (n_examples.into(), monitor.interrupt.clone());
    monitor.progress = std::sync::Arc::new(StopAfter { left, interrupt });
    let request = TrainRequest { run_name: Some("cut".to_owned()), ..TrainRequest::new("sample") };
    assert_eq!(book.train(config, &request, &monitor).unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn a_run_does_not_go_on_with_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    interrupted(&book, &avgnet(), 500);
    book.datasets().remove("sample").unwrap();
    let other = AddRequest::new(DatasetSource::Sample { seed: AddRequest::DEFAULT_SEED + 1 });
    book.datasets().add("sample", &other, &Monitor::silent()).unwrap();
    let error = book.resume("cut", &Monitor::silent()).unwrap_err();
    assert!(error.to_string().contains("sample.train has the fingerprint"), "{error}");
    let run = book.registry().unwrap().run("cut").unwrap();
    assert_eq!(run.status, RunStatus::Killed, "the run is left as it was");
}

#[test]
fn a_run_goes_on_without_the_checkpoint_that_it_began_with() {
    let snapshot = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("tiny-distilbert")).unwrap().flatten() {
        fs::copy(entry.path(), snapshot.path().join(entry.file_name())).unwrap();
    }
    let checkpoint = Some(snapshot.path().to_owned());
    let mut config = NeuralConfig::distilbert(DistilBertConfig::default(), checkpoint);
    (config.max_length, config.training.epochs) = (32, 1);
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    interrupted(&book, &config, 500);
    drop(snapshot);
    let resumed = book.resume("cut", &Monitor::silent()).unwrap();
    let origin = resumed.model["fit"]["initialized_from"].as_str().unwrap();
    assert!(origin.ends_with("with its head"), "{origin}");
}

#[test]
fn a_training_that_diverges_fails_and_registers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    let mut distilbert =
        NeuralConfig::distilbert(DistilBertConfig::default(), Some(fixture("tiny-distilbert")));
    distilbert.max_length = 32;
    for config in [avgnet(), distilbert] {
        let mut config = config;
        // One step, whose loss is still a number.
        let training =
            TrainSettings { batch_size: 5000, epochs: 1, learning_rate: 1e30, ..config.training };
        config.training = training;
        let request = TrainRequest {
            run_name: Some(config.net.name().to_owned()),
            ..TrainRequest::new("sample")
        };
        let error = book.train(&config, &request, &Monitor::silent()).unwrap_err();
        assert!(
            error.to_string().contains("training diverged: the loss of the validation"),
            "{error}"
        );
        let run = book.registry().unwrap().run(config.net.name()).unwrap();
        assert_eq!(run.status, RunStatus::Failed);
    }
    assert!(book.registry().unwrap().versions("SentimentClassifier").is_err());
}

#[test]
fn a_training_that_was_killed_goes_on_from_its_last_checkpoint() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let train = "train avgnet --data sample --run-name killed --epochs 60 --checkpoint-every 5";
    let mut child = book
        .command()
        .args(train.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoints = book.store().join("checkpoints");
    let has_state = || {
        fs::read_dir(&checkpoints).is_ok_and(|runs| {
            runs.flatten().any(|run| run.path().join("train_state.safetensors").exists())
        })
    };
    let started = Instant::now();
    while !has_state() {
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint appears");
        std::thread::sleep(Duration::from_millis(20));
    }
    let early = book.call(&["train", "--resume", "killed"]);
    assert!(early.stderr.contains("is still running"), "{}", early.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
    // As a container leaves it that is gone, whose process number says nothing here.
    let opened = Book::open(book.store());
    let registry = opened.registry().unwrap();
    let run = registry.run("killed").unwrap();
    let tags = vec![(PROCESS_TAG.to_owned(), "1@elsewhere".to_owned())];
    registry.log(&run.run_id, &RunBatch { tags, ..RunBatch::default() }).unwrap();
    let resumed = book.json(&["train", "--resume", "killed"]);
    assert!(resumed["metrics"]["f1"].as_f64().unwrap() > 0.85, "{resumed:#}");
    assert_eq!(book.json(&["runs", "show", "killed"])["status"], "FINISHED");
    assert!(!has_state());
}

#[test]
fn what_cannot_be_continued_says_why() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["train", "tfidf", "--data", "sample", "--run-name", "done"]);
    for (args, expected) in [
        (&["train", "--resume", "done"][..], "is finished"),
        (&["train", "--resume", "nobody"], "nobody"),
        (&["train"], "Usage"),
        (
            &["train", "avgnet", "--data", "sample", "--precision", "bf16", "--device", "cpu"],
            "GPUs only",
        ),
        (&["train", "avgnet", "--data", "sample", "--device", "gpu"], "expected auto, cpu"),
        (&["train", "avgnet", "--data", "sample", "--device", "wgpu:97"], "wgpu:97 "),
        (&["train", "cnn", "--data", "sample", "--epochs", "0"], "epochs must be at least 1"),
        (
            &["train", "lstm", "--data", "sample", "--validation-size", "1.5"],
            "validation size must be a share",
        ),
        (&["train", "avgnet", "--data", "sample", "--min-freq", "99999999"], "--min-freq 1"),
        (
            &["train", "avgnet", "--data", "sample", "--vocab-size", "2"],
            "vocab_size must be at least 3, found 2",
        ),
        (
            &["train", "avgnet", "--data", "sample", "--hidden", "2000000000"],
            "training needs about",
        ),
        (
            &["train", "lstm", "--data", "sample", "--layers", "2000000000"],
            "n_layers must be between 1 and 1000",
        ),
        (
            &["train", "cnn", "--data", "sample", "--widths", "9223372036854775807"],
            "a width must be between 1 and 2147483647",
        ),
        (&["train", "distilbert", "--data", "sample", "--checkpoint", "/nowhere"], "/nowhere"),
    ] {
        let answer = book.call(args);
        assert_ne!(answer.code, 0, "{args:?}");
        assert!(answer.stderr.contains(expected), "{args:?}: {}", answer.stderr);
        assert!(!answer.stderr.contains("panicked"), "{args:?}: {}", answer.stderr);
    }
}

/// Every tensor of a safetensors file, to the bit.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        (name, (view.shape().to_vec(), view.data().to_vec()))
    };
    tensors.tensors().into_iter().map(owned).collect()
}

#[test]
fn a_checkpoint_goes_in_predicts_and_comes_out_with_the_same_bits() {
    let book = Trialbook::new();
    let folder = fixture("tiny-distilbert");
    let imported = book.json(&["models", "import", folder.to_str().unwrap(), "--name", "Tiny"]);
    assert_eq!(imported["version"], 1);
    let answer = book.json(&["predict", "--model", "Tiny/1", "an utterly wonderful film"]);
    assert!((0.5..=1.0).contains(&answer["confidence"].as_f64().unwrap()), "{answer}");

    let out = book.store().join("out");
    book.json(&["models", "export", "Tiny/1", out.to_str().unwrap()]);
    assert_eq!(tensors(&out.join("model.safetensors")), tensors(&folder.join("model.safetensors")));
    let config: Value =
        serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"][0], "DistilBertForSequenceClassification");
    let again = book.json(&["models", "import", out.to_str().unwrap(), "--name", "Again"]);
    assert_eq!(again["version"], 1);
    let same = book.json(&["predict", "--model", "Again/1", "an utterly wonderful film"]);
    assert_eq!(same["probability"], answer["probability"]);

    let taken = book.call(&["models", "export", "Tiny/1", out.to_str().unwrap()]);
    assert!(taken.stderr.contains("there already"), "{}", taken.stderr);
}

/// As the hub's cache holds a snapshot.
#[cfg(unix)]
#[test]
fn a_snapshot_of_links_is_a_checkpoint() {
    let snapshot = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("tiny-distilbert")).unwrap().flatten() {
        let link = snapshot.path().join(entry.file_name());
        std::os::unix::fs::symlink(entry.path(), link).unwrap();
    }
    let book = Trialbook::new();
    let answer = book.json(&["models", "import", snapshot.path().to_str().unwrap()]);
    assert_eq!(answer["version"], 1);
}

#[test]
fn a_checkpoint_is_fine_tuned_and_a_bert_becomes_a_distilbert() {
    for name in ["tiny-distilbert", "tiny-bert"] {
        let folder = tempfile::tempdir().unwrap();
        let book = sample(folder.path());
        let mut config = NeuralConfig::distilbert(DistilBertConfig::default(), Some(fixture(name)));
        config.max_length = 32;
        config.training.epochs = 1;
        config.training.learning_rate = 1e-3;
        let trained =
            book.train(&config, &TrainRequest::new("sample"), &Monitor::silent()).unwrap();
        let version = trained.version.unwrap();
        let predicted = book.predict("SentimentClassifier/1", &["a good film", "bad"]).unwrap();
        assert_eq!((predicted.predictions.len(), predicted.model.version), (2, version.version));
    }
}

// The default of 256 tokens was an error for a flag that nobody gave.
#[test]
fn texts_are_cut_to_what_a_short_checkpoint_can_read() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let checkpoint = fixture("tiny-distilbert");
    let train = ["train", "distilbert", "--data", "sample", "--epochs", "1", "--checkpoint"];
    let train = [&train[..], &[checkpoint.to_str().unwrap()]].concat();
    let trained = book.json(&train);
    let run = book.json(&["runs", "show", trained["run_id"].as_str().unwrap()]);
    assert_eq!(run["params"]["max_length"], "64", "{run:#}");
    let answer = book.call(&[&train[..], &["--max-len", "65"]].concat());
    assert!(
        answer.stderr.contains("--max-len 65: the checkpoint reads at most 64"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_checkpoint_with_something_wrong_is_one_clear_error() {
    let broken = |change: &dyn Fn(&Path)| -> String {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixture("tiny-distilbert")).unwrap().flatten() {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        change(folder.path());
        let book = Trialbook::new();
        let answer = book.call(&["models", "import", folder.path().to_str().unwrap()]);
        assert_ne!(answer.code, 0);
        assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
        assert!(!book.store().join("artifacts").exists(), "something was kept");
        answer.stderr
    };
    let says = |change: &dyn Fn(&Path), expected: &str| {
        let error = broken(change);
        assert!(error.contains(expected), "{error}");
    };
    says(
        &|folder| {
            let path = folder.join("model.safetensors");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        },
        "not a whole safetensors file",
    );
    says(&|folder| fs::write(folder.join("config.json"), "{").unwrap(), "not JSON");
    says(
        &|folder| {
            let path = folder.join("config.json");
            let text = fs::read_to_string(&path).unwrap().replace("\"gelu\"", "\"swish\"");
            fs::write(path, text).unwrap();
        },
        "swish",
    );
    says(
        &|folder| {
            fs::remove_file(folder.join("tokenizer.json")).unwrap();
            fs::remove_file(folder.join("vocab.txt")).unwrap();
        },
        "no tokenizer",
    );
    let in_config = |find: &'static str, replace: &'static str| {
        move |folder: &Path| {
            let path = folder.join("config.json");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(find), "{find} is not in {text}");
            fs::write(path, text.replace(find, replace)).unwrap();
        }
    };
    says(
        &in_config("\"1\": \"positive\"", "\"1\": \"negative\""),
        "has the same name as an earlier class",
    );
    says(
        &in_config("\"id2label\"", "\"problem_type\": \"regression\", \"id2label\""),
        "problem_type \"regression\" is not supported",
    );
    says(
        &|folder| {
            fs::remove_file(folder.join("model.safetensors")).unwrap();
            fs::remove_file(folder.join("pytorch_model.bin")).unwrap();
        },
        "model.safetensors",
    );
}

#[test]
fn odd_texts_are_predicted_and_a_batch_says_what_each_text_alone_says() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let book = sample(folder.path());
    for config in [avgnet(), tiny_distilbert()] {
        let config =
            NeuralConfig { training: TrainSettings { epochs: 1, ..config.training }, ..config };
        let trained = book.train(&config, &TrainRequest::new("sample"), &Monitor::silent())?;
        let classifier = book.load(&trained.version.unwrap())?;
        let long = "word ".repeat(100_000);
        let texts = [long.as_str(), "", "\u{0}\u{1f600} ß", "good", "A fine film, well made."];
        let together = classifier.predict(&texts)?;
        for (text, row) in texts.iter().zip(together.rows()) {
            let alone = classifier.predict(&[text])?;
            let pairs = alone.values().iter().zip(row);
            assert!(
                pairs.clone().all(|(one, other)| (one - other).abs() < 1e-6),
                "{alone:?} {row:?}"
            );
        }
    }
    Ok(())
}
