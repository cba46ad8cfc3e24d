//! The encoder against PyTorch's numbers in `tests/fixtures`.

use std::{fs, path::Path};

use serde_json::Value;

use super::Encoder;
use crate::model::{
    ModelFiles,
    neural::{
        checkpoint::{Checkpoint, EncoderConfig, MissingHead, expected_tensors},
        simd::archs,
        tensors::{FileTensor, Tensors},
    },
};

/// Token ids and their logits.
type Example = (Vec<u32>, Vec<f32>);

fn fixture(name: &str) -> (Encoder, Vec<Example>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    let checkpoint =
        Checkpoint::open(&ModelFiles::in_dir(&dir).unwrap(), MissingHead::Required).unwrap();
    let encoder = Encoder::load(&checkpoint.config, &checkpoint.tensors).unwrap();
    let reference: Value =
        serde_json::from_str(&fs::read_to_string(dir.join("reference.json")).unwrap()).unwrap();
    let sequences = reference["sequences"].as_array().unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let expected = sequences.iter().map(|sequence| {
        let ids: Vec<u32> =
            numbers(&sequence["input_ids"]).into_iter().map(|id| id as u32).collect();
        let logits: Vec<f32> =
            numbers(&sequence["logits"]).into_iter().map(|logit| logit as f32).collect();
        (ids, logits)
    });
    let expected: Vec<_> = expected.collect();
    assert!(expected.iter().any(|(ids, _)| ids.len() == 1), "one token must be among them");
    (encoder, expected)
}

#[track_caller]
fn equals_pytorch(name: &str) {
    let (mut encoder, expected) = fixture(name);
    for arch in archs() {
        encoder.arch = arch;
        for (ids, logits) in &expected {
            let found = encoder.logits(&[ids]).unwrap();
            assert_eq!(found.len(), logits.len());
            for (found, logit) in found.iter().zip(logits) {
                let n_tokens = ids.len();
                assert!(
                    (found - logit).abs() < 1e-5,
                    "{arch:?}, {n_tokens} tokens: {found}, not {logit}"
                );
            }
        }
    }
}

#[test]
fn distilbert_logits_equal_pytorchs() {
    equals_pytorch("tiny-distilbert");
}

#[test]
fn folded_bert_logits_equal_pytorchs() {
    equals_pytorch("tiny-bert");
}

/// An encoder of odd sizes whose weights are all different.
fn odd_encoder() -> Encoder {
    let config = EncoderConfig::from_json(
        r#"{"model_type": "distilbert", "vocab_size": 50, "dim": 39, "n_layers": 2, "n_heads": 3,
        "hidden_dim": 200, "max_position_embeddings": 600, "activation": "gelu", "num_labels": 5}"#,
    )
    .unwrap();
    let mut seed = 1_u32;
    let tensors: Tensors = expected_tensors(&config)
        .into_iter()
        .map(|(name, shape)| {
            let values = (0..shape.iter().product::<usize>()).map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
            });
            (name, FileTensor::new(shape.clone(), values.collect()))
        })
        .collect();
    Encoder::load(&config, &tensors).unwrap()
}

/// Sequences of `[CLS]` and changing ids.
fn sequences(lengths: &[usize]) -> Vec<Vec<u32>> {
    let id = |n_tokens: usize, position: usize| ((n_tokens * 7 + position * position) % 50) as u32;
    lengths.iter().map(|len| (0..*len).map(|position| id(*len, position)).collect()).collect()
}

#[test]
fn a_texts_logits_depend_in_no_bit_on_the_batch_or_the_threads() {
    let mut encoder = odd_encoder();
    // Below and above every border: of a register, a block, a group, all threads, a pass.
    let lengths = [vec![1, 2, 15, 16, 17, 31, 32, 33, 128, 600], vec![20; 33], vec![256; 17]];
    for arch in archs() {
        encoder.arch = arch;
        for lengths in &lengths {
            let sequences = sequences(lengths);
            let batch: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
            let pools = [1, 2, 7].map(|n_threads| {
                rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap()
            });
            let single: Vec<f32> = batch
                .iter()
                .enumerate()
                .flat_map(|(idx, ids)| {
                    // The same text again costs nothing new to learn.
                    if idx > 0 && batch[idx - 1] == *ids { &pools[1] } else { &pools[0] }
                        .install(|| encoder.logits(&[ids]).unwrap())
                })
                .collect();
            for pool in &pools {
                let together = pool.install(|| encoder.logits(&batch).unwrap());
                assert_eq!(together, single, "{arch:?} {lengths:?} {pool:?}");
            }
        }
    }
}

#[test]
fn instruction_sets_agree() {
    let mut encoder = odd_encoder();
    let sequences = sequences(&[1, 40, 333]);
    let batch: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let expected = encoder.logits(&batch).unwrap();
    assert!(expected.iter().all(|logit| logit.is_finite()) && expected[0] != expected[5]);
    for arch in archs() {
        encoder.arch = arch;
        for (found, logit) in encoder.logits(&batch).unwrap().iter().zip(&expected) {
            assert!((found - logit).abs() < 1e-4, "{arch:?}: {found}, not {logit}");
        }
    }
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let encoder = odd_encoder();
    let refuses = |batch: &[&[u32]], expected: &str| {
        let error = encoder.logits(batch).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    refuses(&[&[1], &[]], "sequence 1: 0 tokens");
    refuses(&[&[0; 601]], "601 tokens: expected 1 to 600");
    refuses(&[&[3, 50]], "token id 50 is outside the vocabulary of 50");
    assert!(encoder.logits(&[]).unwrap().is_empty());
}
