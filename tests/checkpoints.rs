//! Hugging Face checkpoints as they come: cut, sharded, cached, named in other words.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::Trialbook;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-distilbert")
}

/// A copy of the fixture.
fn checkpoint() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(dir.path());
    dir
}

fn copy(folder: &Path) {
    for entry in fs::read_dir(fixture()).unwrap().flatten() {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
}

/// Changes the keys of a JSON file; `null` takes one away.
fn edit(path: &Path, changes: &Value) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let keys = value.as_object_mut().unwrap();
    for (key, change) in changes.as_object().unwrap() {
        if change.is_null() {
            keys.remove(key);
        } else {
            keys.insert(key.clone(), change.clone());
        }
    }
    fs::write(path, value.to_string()).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

// All 64 positions were read where the file said 16, from the wrong end: another label with 0.96
// confidence, and `truncated: false`.
#[test]
fn texts_are_cut_as_the_checkpoint_says_wherever_they_are_read() {
    let book = Trialbook::new();
    let import = |folder: &Path, name: &str| {
        book.json(&["models", "import", text(folder), "--name", name]);
    };
    let ask = |name: &str, question: &str| book.json(&["predict", "--model", name, question]);
    let first = "a superb film with a wonderful story and lovely acting which is";
    let last = "a dull bad boring script with terrible music and a weak end too";
    let long = format!("{first} {last} {last}");
    import(&fixture(), "whole");
    assert_eq!(ask("whole/1", &long)["truncated"], false);
    // 16 tokens are 14 words between [CLS] and [SEP].
    let words: Vec<&str> = long.split(' ').collect();
    for (side, kept) in [
        (json!("left"), &words[words.len() - 14..]),
        (json!("right"), &words[..14]),
        (json!(null), &words[..14]),
    ] {
        let folder = checkpoint();
        let changes =
            json!({"model_max_length": 16, "truncation_side": side, "padding_side": "left"});
        edit(&folder.path().join("tokenizer_config.json"), &changes);
        let name = format!("cut-{}", side.as_str().unwrap_or("default"));
        import(folder.path(), &name);
        let version = format!("{name}/1");
        let (answer, expected) = (ask(&version, &long), ask("whole/1", &kept.join(" ")));
        assert_eq!(answer["truncated"], true, "{name}");
        let said = book.call(&["predict", "--model", &version, &long]).stdout;
        assert!(said.contains("longer than the model reads: a part of it was predicted"), "{said}");
        assert_eq!(answer["probability"], expected["probability"], "{name}");
        assert_eq!(ask(&version, &kept.join(" "))["truncated"], false, "{name}");

        // And so it goes out, for Transformers and for us.
        let out = book.store().join(&name);
        book.json(&["models", "export", &version, text(&out)]);
        let said: Value =
            serde_json::from_slice(&fs::read(out.join("tokenizer_config.json")).unwrap()).unwrap();
        assert_eq!(said["model_max_length"], 16);
        assert_eq!(said["truncation_side"], side.as_str().unwrap_or("right"));
        assert_eq!(said.get("padding_side"), None, "a padded text would have other positions");
        import(&out, &format!("{name}-again"));
        assert_eq!(ask(&format!("{name}-again/1"), &long)["probability"], answer["probability"]);
    }
}

#[test]
fn a_training_reads_what_its_checkpoint_says() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let folder = checkpoint();
    let changes = json!({"model_max_length": 12, "truncation_side": "left"});
    edit(&folder.path().join("tokenizer_config.json"), &changes);
    let train = ["train", "distilbert", "--data", "sample", "--epochs", "1", "--checkpoint"];
    let train = [&train[..], &[text(folder.path())]].concat();
    let trained = book.json(&[&train[..], &["--model", "own"]].concat());
    let run = book.json(&["runs", "show", trained["run_id"].as_str().unwrap()]);
    assert_eq!(run["params"]["max_length"], "12", "{run:#}");
    let ask = |question: &str| book.json(&["predict", "--model", "own/1", question]);
    let long = "a good film and the story was superb so never a boring time for me";
    let kept: Vec<&str> = long.split(' ').rev().take(10).collect();
    let kept = kept.into_iter().rev().collect::<Vec<_>>().join(" ");
    assert_eq!(ask(long)["truncated"], true);
    assert_eq!(ask(long)["probability"], ask(&kept)["probability"]);
    // What is asked for counts more, up to what the model can read.
    let trained = book.json(&[&train[..], &["--max-len", "40", "--no-register"]].concat());
    assert_eq!(trained["classifier"]["sizes"]["max_length"], 40);
}

#[test]
fn a_models_folder_in_the_hubs_cache_is_a_checkpoint() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("models--org--tiny");
    let snapshot = folder.join("snapshots/0a1b2c");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(folder.join("snapshots/older")).unwrap();
    fs::create_dir_all(folder.join("blobs")).unwrap();
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), "0a1b2c").unwrap();
    copy(&folder.join("blobs"));
    for entry in fs::read_dir(folder.join("blobs")).unwrap().flatten() {
        let target = snapshot.join(entry.file_name());
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../../blobs").join(entry.file_name()), target)
            .unwrap();
        #[cfg(not(unix))]
        fs::copy(entry.path(), target).unwrap();
    }
    let book = Trialbook::new();
    let version = book.json(&["models", "import", text(&folder), "--name", "tiny"]);
    let run = book.json(&["runs", "show", version["run_id"].as_str().unwrap()]);
    let from = run["params"]["imported_from"].as_str().unwrap();
    assert!(from.ends_with("0a1b2c"), "{from}");
    book.json(&["data", "sample"]);
    let trained = book.json(&[
        "train",
        "distilbert",
        "--data",
        "sample",
        "--epochs",
        "1",
        "--max-len",
        "16",
        "--checkpoint",
        text(&folder),
    ]);
    let origin = trained["classifier"]["fit"]["initialized_from"].as_str().unwrap();
    assert!(origin.contains("0a1b2c"), "{origin}");
    fs::write(folder.join("refs/main"), "gone").unwrap();
    let answer = book.call(&["models", "import", text(&folder), "--name", "tiny"]);
    assert!(answer.stderr.contains("refs/main names the snapshot \"gone\""), "{}", answer.stderr);
}

#[test]
fn labels_in_other_letters_or_numbers_are_the_datasets_classes() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let folder = checkpoint();
    let config = folder.path().join("config.json");
    let import = |name: &str, more: &[&str]| {
        let import = ["models", "import", text(folder.path()), "--name", name, "--data", "sample"];
        book.call(&[&import[..], more, &["--json"]].concat())
    };
    let f1 = |name: &str, more: &[&str]| -> f64 {
        let answer = import(name, more);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let version: Value = serde_json::from_str(&answer.stdout).unwrap();
        let notes = version["notes"].to_string();
        assert_eq!(notes.contains("are sample's"), name.starts_with("upper"), "{notes}");
        let answer = book.json(&["predict", "--model", &format!("{name}/1"), "a good film"]);
        assert!(["negative", "positive"].contains(&answer["label"].as_str().unwrap()), "{answer}");
        version["metrics"]["f1"].as_f64().unwrap()
    };
    let named = |names: Value| edit(&config, &json!({"id2label": names, "label2id": null}));
    let expected = f1("same", &[]);
    named(json!({"0": "NEGATIVE", "1": "POSITIVE"}));
    assert_eq!(f1("upper", &[]), expected);
    assert_eq!(f1("upper-given", &["--classes", "Negative,Positive"]), expected);
    named(json!({"0": 0, "1": 1}));
    let answer = import("numbers", &[]);
    assert!(answer.stderr.contains("knows the classes 0, 1"), "{}", answer.stderr);
    assert!(answer.stderr.contains("--classes negative,positive"), "{}", answer.stderr);
    assert_eq!(f1("numbers", &["--classes", "negative,positive"]), expected);
    named(json!({"0": "a", "1": "b"}));
    assert!(import("others", &[]).stderr.contains("--classes negative,positive"));
}

#[test]
fn what_transformers_does_otherwise_is_said_on_import() {
    let folder = checkpoint();
    let cased = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&cased).unwrap()).unwrap();
    tokenizer["normalizer"]["lowercase"] = json!(false);
    fs::write(&cased, tokenizer.to_string()).unwrap();
    fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    let book = Trialbook::new();
    let answer = book.call(&["models", "import", text(folder.path()), "--name", "cased"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let told = answer.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("(case kept, accents kept); Transformers 5 takes only"), "{told}");
    // What is written says how texts are cleaned: nothing is left to say.
    let out = book.store().join("out");
    book.json(&["models", "export", "cased/1", text(&out)]);
    let again = book.json(&["models", "import", text(&out), "--name", "again"]);
    assert_eq!(again["notes"], json!([]));
}
