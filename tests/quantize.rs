//! Versions in 8 bits: made of others, judged like others, and refused where only numbers in 32 bits do.

use std::{fs, path::Path};

use serde_json::{Value, json};
use trialbook::{
    Book, ErrorKind,
    model::{self, Device, ModelFiles},
};

use crate::cli::Trialbook;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-distilbert");
const NAME: &str = "tiny";

/// A store with the sample, the fixture's checkpoint as version 1 and the same in 8 bits as version 2.
fn quantized() -> (Trialbook, Value) {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    book.json(&["models", "import", TINY, "--name", NAME, "--data", "sample"]);
    let quantized = book.json(&["models", "quantize", NAME, "1"]);
    (book, quantized)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The probability of the positive class.
fn positive(book: &Trialbook, version: &str, text: &str) -> f64 {
    number(&book.json(&["predict", "--model", version, text])["probability"])
}

#[test]
fn a_version_in_8_bits_names_its_origin_and_answers_nearly_the_same() {
    let (book, quantized) = quantized();
    assert_eq!(
        (&quantized["version"], &quantized["derived_from"], &quantized["weights"]),
        (&json!(2), &json!("tiny/1"), &json!("int8"))
    );
    let agreement = &quantized["agreement"];
    // The fixture's weights are random: its probabilities lie about one half, where labels turn over most.
    let share = number(&agreement["n_same_label"]) / number(&agreement["n_texts"]);
    assert!((0.97..=1.0).contains(&share), "{quantized:#}");
    let difference = number(&agreement["largest_difference"]);
    assert!(difference > 0.0 && difference < 0.08, "{quantized:#}");
    let memory = number(&quantized["memory_bytes"]) / number(&quantized["memory_bytes_before"]);
    assert!(memory < 0.5, "{memory} of the memory, of a model that is mostly norms");
    let first = book.json(&["models", "show", NAME, "1"]);
    let accuracy = |version: &Value| number(&version["metrics"]["accuracy"]);
    assert!((accuracy(&first) - accuracy(&quantized)).abs() < 0.02, "{quantized:#}");
    let shown = book.json(&["models", "show", NAME, "2"]);
    assert_eq!((&shown["weights"], &shown["derived_from"]), (&json!("int8"), &json!("tiny/1")));
    let said = book.call(&["models", "show", NAME, "2"]).stdout;
    assert!(said.contains("int8"), "{said}");
    let run = book.json(&["runs", "show", shown["run_id"].as_str().unwrap()]);
    assert_eq!(run["params"]["model"], "distilbert-int8");
    assert_eq!(run["tags"]["trialbook.derived_from"], "tiny/1");

    for text in ["a superb film", "a dull bad boring script", "never", "wonderful, and weak"] {
        let [whole, quantized] = ["tiny/1", "tiny/2"].map(|version| positive(&book, version, text));
        assert!((whole - quantized).abs() < 0.08, "{text}: {quantized}, not {whole}");
        assert_ne!(whole, quantized, "{text}: the same weights");
    }
    let said = book.call(&["models", "quantize", NAME, "1"]).stdout;
    for expected in
        ["tiny/3 is tiny/1 in 8 bits", "memory: ", "test texts have the same", "gate tiny 3"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_version_in_8_bits_is_judged_asked_and_decided_like_any() {
    let (book, quantized) = quantized();
    let evaluated = book.json(&["evaluate", NAME, "2", "--data", "sample"]);
    assert_eq!(evaluated["metrics"]["f1"], quantized["metrics"]["f1"], "{evaluated:#}");
    let found = book.json(&["errors", "tiny/2", "--data", "sample", "-n", "1"]);
    if found["n_errors"] != 0 {
        assert!(found["errors"][0].get("terms").is_none(), "{found}");
        let notes = found["notes"].to_string();
        assert!(notes.contains("this distilbert-int8 cannot be explained"), "{found}");
    }
    let verdict = book.json(&["gate", NAME, "2", "--min", "0.1"]);
    assert_eq!((&verdict["version"], &verdict["passed"]), (&json!(2), &json!(true)), "{verdict:#}");
    // Another threshold, and it stays in 8 bits.
    let derived = book.json(&["models", "threshold", NAME, "2", "0.25"]);
    assert_eq!(derived["derived_from"], "tiny/2");
    let shown = book.json(&["models", "show", NAME, "3"]);
    assert_eq!((&shown["weights"], number(&shown["threshold"])), (&json!("int8"), 0.25));
    let text = "a superb film";
    assert_eq!(positive(&book, "tiny/2", text), positive(&book, "tiny/3", text));
    // And a threshold stays where the weights become fewer bits.
    let derived = book.json(&["models", "threshold", NAME, "1", "0.25"]);
    let quantized = book.json(&["models", "quantize", &format!("tiny/{}", derived["version"])]);
    let version = quantized["version"].to_string();
    let shown = book.json(&["models", "show", NAME, &version]);
    assert_eq!((&shown["weights"], number(&shown["threshold"])), (&json!("int8"), 0.25));
    let files = Book::open(book.store());
    let version = files.version(&format!("tiny/{version}")).unwrap();
    let loaded = files.load(&version).unwrap();
    assert_eq!(loaded.decision().threshold(), 0.25);
}

#[test]
fn what_only_numbers_in_32_bits_do_is_refused_in_one_sentence() {
    let (book, _) = quantized();
    let refuses = |arguments: &[&str], expected: &str| {
        let refused = book.fails(1, arguments);
        assert!(refused.contains(expected), "{arguments:?}: {refused}");
    };
    refuses(&["models", "quantize", "tiny/2"], "this distilbert-int8 is in 8 bits already");
    refuses(
        &["explain", "tiny/2", "a superb film"],
        "the version that it was quantised from explains",
    );
    let out = book.store().join("out");
    let out = out.to_str().unwrap();
    refuses(
        &["models", "export", "tiny/2", out],
        "tiny/2 is in 8 bits, which no other program reads",
    );
    refuses(&["models", "export", "tiny/2", out], "models show tiny/2");
    assert!(!Path::new(out).exists());
    book.json(&["train", "tfidf", "--data", "sample", "--model", "words"]);
    refuses(&["models", "quantize", "words"], "tfidf models are not quantised: only a distilbert");
    let avgnet = ["train", "avgnet", "--data", "sample", "--epochs", "1", "--model", "net"];
    book.json(&avgnet);
    refuses(&["models", "quantize", "net/1"], "avgnet models are not quantised: only a distilbert");
    refuses(&["models", "quantize", "nobody"], "nobody");
    let models = book.json(&["models", "list"]);
    for model in models.as_array().unwrap() {
        let expected = if model["name"] == NAME { 2 } else { 1 };
        assert_eq!(model["n_versions"], expected, "{models:#}");
    }
}

/// The files of version 2 in a folder of their own.
fn folder(book: &Trialbook) -> tempfile::TempDir {
    let store = Book::open(book.store());
    let version = store.version("tiny/2").unwrap();
    let files = store.tracker().unwrap().model_files(&version).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (name, path) in files.iter() {
        let target = dir.path().join(name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
    dir
}

#[test]
fn files_that_do_not_fit_are_one_clear_error() {
    let (book, _) = quantized();
    let dir = folder(&book);
    let names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|name| name == "MLmodel" || name == "model.safetensors"),
        "{names:?}"
    );
    let error = |device| {
        model::load_on(&ModelFiles::in_dir(dir.path()).unwrap(), device).err().map(|error| {
            (error.kind(), error.to_string(), error.hint().map(|hint| hint.to_string()))
        })
    };
    assert_eq!(error(Device::Cpu), None);
    assert_eq!(error(Device::Auto), None);
    for device in [Device::Cuda(0), Device::Wgpu(1)] {
        let (kind, message, hint) = error(device).unwrap();
        assert_eq!(kind, ErrorKind::Unavailable);
        let expected = format!("a distilbert-int8 computes on the CPU: found device {device}");
        assert_eq!(message, expected);
        assert!(hint.unwrap().contains("--device cpu"));
    }

    let path = dir.path().join("weights.int8");
    let whole = fs::read(&path).unwrap();
    let is_damaged = |expected: &str| {
        let (kind, message, _) = error(Device::Cpu).unwrap();
        assert_eq!(kind, ErrorKind::Corrupt, "{message}");
        assert!(message.contains("is damaged") && message.contains(expected), "{message}");
    };
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&path, &damaged).unwrap();
    is_damaged("\"weights.int8\" is damaged: checksum");
    fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    is_damaged("\"weights.int8\" is damaged: checksum");
    fs::write(&path, []).unwrap();
    is_damaged("0 bytes are too few");
    fs::write(&path, &whole).unwrap();
    // Sizes of another model.
    let config = dir.path().join("config.json");
    let told = fs::read_to_string(&config).unwrap();
    let mut other: Value = serde_json::from_str(&told).unwrap();
    other["n_layers"] = json!(other["n_layers"].as_u64().unwrap() + 1);
    fs::write(&config, other.to_string()).unwrap();
    is_damaged("its sizes are not those in \"model.json\"");
    fs::write(&config, &told).unwrap();
    assert_eq!(error(Device::Cpu), None);
    fs::remove_file(&path).unwrap();
    let (kind, message, _) = error(Device::Cpu).unwrap();
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("\"weights.int8\" is missing"), "{message}");
}
