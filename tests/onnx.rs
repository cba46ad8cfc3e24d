//! Versions as ONNX, out and in again, and what is refused. ONNX Runtime itself is asked by `tests/onnx`.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::cli::Trialbook;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn import(book: &Trialbook, folder: &Path, name: &str) {
    book.json(&["models", "import", folder.to_str().unwrap(), "--name", name]);
}

fn fixture(book: &Trialbook, folder: &str, name: &str) {
    import(book, &Path::new(FIXTURES).join(folder), name);
}

fn export(book: &Trialbook, version: &str, folder: &Path) -> Value {
    book.json(&["models", "export", version, folder.to_str().unwrap(), "--format", "onnx"])
}

fn positive(book: &Trialbook, version: &str, text: &str) -> Value {
    book.json(&["predict", "--model", version, text])["probability"].clone()
}

#[test]
fn a_distilbert_goes_out_as_onnx_and_comes_back_with_the_same_answers() {
    let book = Trialbook::new();
    fixture(&book, "tiny-distilbert", "tiny");
    let out = book.store().join("out");
    let written = export(&book, "tiny/1", &out);
    let files = ["config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!((&written["files"], &written["notes"]), (&json!(files), &json!([])));
    import(&book, &out, "back");
    fixture(&book, "optimum-distilbert", "optimum");
    for text in ["superb", "The film was wonderful, really moving!", "a dull story"] {
        let expected = positive(&book, "tiny/1", text);
        for version in ["back/1", "optimum/1"] {
            assert_eq!(positive(&book, version, text), expected, "{version}: {text}");
        }
    }
    let taken =
        book.fails(1, &["models", "export", "tiny/1", out.to_str().unwrap(), "--format", "onnx"]);
    assert!(taken.contains("there already"), "{taken}");
}

#[test]
fn what_logits_do_not_hold_is_said() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let tiny = format!("{FIXTURES}/tiny-distilbert");
    book.json(&["models", "import", &tiny, "--name", "tiny", "--data", "sample"]);
    book.json(&["models", "threshold", "tiny/1", "0.25"]);
    let notes = export(&book, "tiny/2", &book.store().join("out"))["notes"].to_string();
    assert!(notes.contains("its threshold 0.25 is not in the file"), "{notes}");
}

#[test]
fn what_onnx_does_not_hold_is_refused_in_one_sentence() {
    let book = Trialbook::new();
    book.json(&["data", "sample"]);
    let tiny = format!("{FIXTURES}/tiny-distilbert");
    book.json(&["models", "import", &tiny, "--name", "tiny", "--data", "sample"]);
    book.json(&["models", "quantize", "tiny/1"]);
    book.json(&["train", "avgnet", "--data", "sample", "--epochs", "1", "--model", "net"]);
    let out = book.store().join("out");
    for (version, expected) in [
        ("tiny/2", "tiny/2 is in 8 bits, which no other program reads"),
        (
            "net/1",
            "net/1: avgnet models are not written as ONNX: only a tfidf and a distilbert are",
        ),
    ] {
        let refused = book
            .fails(1, &["models", "export", version, out.to_str().unwrap(), "--format", "onnx"]);
        assert!(refused.contains(expected), "{refused}");
        assert!(!out.exists(), "{version} left a folder");
    }
    // A model of another kind, and one that is cut off.
    let optimum = Path::new(FIXTURES).join("optimum-distilbert");
    let model = fs::read(optimum.join("model.onnx")).unwrap();
    let config = fs::read_to_string(optimum.join("config.json")).unwrap();
    let other = config.replace("\"model_type\": \"distilbert\"", "\"model_type\": \"roberta\"");
    for (config, model, expected) in [
        (&other, &model[..], "model_type \"roberta\" is not supported"),
        (&config, &model[..model.len() / 2], "are not a whole ONNX model"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(optimum.join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        fs::write(folder.path().join("model.onnx"), model).unwrap();
        let import = ["models", "import", folder.path().to_str().unwrap(), "--name", "other"];
        let refused = book.fails(1, &import);
        assert!(refused.contains(expected), "{refused}");
    }
}
