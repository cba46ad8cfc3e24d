//! Files of `make_views` in `tests/fixtures/make_checkpoints.py`, and damaged ones.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/pytorch-views").join(name)
}

// A transposed matrix was read as if its numbers lay in the order of their indices: other weights,
// without a word.
#[test]
fn views_hold_the_numbers_that_pytorch_sees() {
    let expected = fs::read_to_string(fixture("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let expected = expected.as_object().unwrap();
    for file in ["archive.bin", "legacy.bin", "protocol4.bin"] {
        let tensors = read(&fixture(file)).unwrap();
        let names: Vec<&str> = tensors.iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected.keys().map(String::as_str).collect::<Vec<_>>(), "{file}");
        for (name, tensor) in tensors.iter() {
            let shape: Vec<usize> =
                serde_json::from_value(expected[name]["shape"].clone()).unwrap();
            assert_eq!(tensor.shape(), shape, "{file}: {name}");
            match expected[name].get("dtype") {
                Some(dtype) => assert_eq!(tensor.dtype(), *dtype, "{file}: {name}"),
                None => {
                    let numbers: Vec<f32> =
                        serde_json::from_value(expected[name]["numbers"].clone()).unwrap();
                    assert_eq!(tensor.values().unwrap()[..], numbers, "{file}: {name}");
                }
            }
        }
    }
}

#[test]
fn a_view_that_repeats_numbers_is_refused() {
    let error = read(&fixture("expanded.bin")).unwrap_err();
    assert!(error.chain().contains("tensor expanded: shape [4, 3], strides [0, 1]"), "{error:?}");
}

#[test]
fn a_file_that_is_no_pickle_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pytorch_model.bin");
    for bytes in [b"not weights".as_slice(), b"", &LEGACY, b"PK\x03\x04"] {
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("as PyTorch weights"), "{error}");
    }
}

/// Errors are fine, panics are not.
#[test]
fn cut_off_and_changed_files_are_survived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pytorch_model.bin");
    for file in ["archive.bin", "legacy.bin"] {
        let whole = fs::read(fixture(file)).unwrap();
        for at in (0..whole.len()).step_by(3) {
            fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path).is_err(), "{file} cut off at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 0x15;
            fs::write(&path, changed).unwrap();
            let _ = read(&path);
        }
    }
}
