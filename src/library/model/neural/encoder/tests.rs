//! The encoder against PyTorch's numbers in `tests/fixtures`.

use std::{fs, path::Path, sync::Arc};

use serde_json::Value;

use super::Encoder;
use crate::model::{
    ModelFiles,
    neural::{
        checkpoint::{Checkpoint, EncoderConfig, MissingHead, expected_tensors},
        quantized::QuantizedFile,
        simd::{archs, int8::path::IntegerPath},
        tensors::{FileTensor, Tensors},
    },
};

/// Token ids and their logits.
type Example = (Vec<u32>, Vec<f32>);

fn fixture(name: &str) -> (Encoder, Vec<Example>) {
    let (encoder, _, examples) = both(name);
    (encoder, examples)
}

/// An encoder and the same in 8 bits.
fn both(name: &str) -> (Encoder, Encoder, Vec<Example>) {
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
    (encoder, in_8_bits(&checkpoint.config, &checkpoint.tensors), expected)
}

fn in_8_bits(config: &EncoderConfig, tensors: &Tensors) -> Encoder {
    let file = QuantizedFile::quantize(config, tensors).unwrap();
    Encoder::load_int8(config, &Arc::new(file)).unwrap()
}

#[track_caller]
fn equals_pytorch(name: &str) {
    let (mut encoder, expected) = fixture(name);
    for arch in archs() {
        encoder.instructions.arch = arch;
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
    odd_encoders().0
}

/// That encoder and the same in 8 bits.
fn odd_encoders() -> (Encoder, Encoder) {
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
    (Encoder::load(&config, &tensors).unwrap(), in_8_bits(&config, &tensors))
}

/// Sequences of `[CLS]` and changing ids.
fn sequences(lengths: &[usize]) -> Vec<Vec<u32>> {
    let id = |n_tokens: usize, position: usize| ((n_tokens * 7 + position * position) % 50) as u32;
    lengths.iter().map(|len| (0..*len).map(|position| id(*len, position)).collect()).collect()
}

#[test]
fn a_texts_logits_depend_in_no_bit_on_the_batch_or_the_threads() {
    let (encoder, in_8_bits) = odd_encoders();
    is_the_same_in_any_batch(encoder);
    is_the_same_in_any_batch(in_8_bits);
}

#[track_caller]
fn is_the_same_in_any_batch(mut encoder: Encoder) {
    // Below and above every border: of a register, a block, a group, all threads, a pass.
    let lengths = [vec![1, 2, 15, 16, 17, 31, 32, 33, 128, 600], vec![20; 33], vec![256; 17]];
    for arch in archs() {
        encoder.instructions.arch = arch;
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
        encoder.instructions.arch = arch;
        for (found, logit) in encoder.logits(&batch).unwrap().iter().zip(&expected) {
            assert!((found - logit).abs() < 1e-4, "{arch:?}: {found}, not {logit}");
        }
    }
}

/// Softmax in f64.
fn probabilities(logits: &[f32]) -> Vec<f64> {
    let exponents: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp()).collect();
    let sum: f64 = exponents.iter().sum();
    exponents.iter().map(|exponent| exponent / sum).collect()
}

#[test]
fn in_8_bits_the_labels_are_pytorchs_and_the_probabilities_nearly() {
    const LARGEST_DIFFERENCE: f64 = 0.02;
    let mut n_clear = 0;
    for name in ["tiny-distilbert", "tiny-bert"] {
        let (_, mut encoder, examples) = both(name);
        for arch in archs() {
            encoder.instructions.arch = arch;
            for (ids, logits) in &examples {
                let found = probabilities(&encoder.logits(&[ids]).unwrap());
                let expected = probabilities(logits);
                let label = |row: &[f64]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
                // One of the fixtures' texts is within 0.01 of both classes.
                let is_clear =
                    expected.iter().all(|share| (share - 0.5).abs() > LARGEST_DIFFERENCE);
                assert!(
                    !is_clear || label(&found) == label(&expected),
                    "{name}: {found:?}, not {expected:?}"
                );
                n_clear += usize::from(is_clear);
                for (found, expected) in found.iter().zip(&expected) {
                    let error = (found - expected).abs();
                    assert!(error < LARGEST_DIFFERENCE, "{name}: {found}, not {expected}");
                }
            }
        }
    }
    assert!(n_clear >= 12, "{n_clear} labels were compared");
}

#[test]
fn in_8_bits_every_path_has_the_same_bits() {
    let (in_32_bits, mut encoder) = odd_encoders();
    let sequences = sequences(&[1, 7, 16, 40, 129, 333]);
    let batch: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let expected = encoder.logits(&batch).unwrap();
    for arch in archs() {
        for path in IntegerPath::available() {
            (encoder.instructions.arch, encoder.instructions.path) = (arch, path);
            let found = encoder.logits(&batch).unwrap();
            if matches!(arch, pulp::Arch::Scalar) {
                // Without a fused multiply-add, attention and norms round otherwise.
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 0.05, "{path:?}: {found}, not {expected}");
                }
            } else {
                assert_eq!(found, expected, "{arch:?} {path:?}");
            }
        }
    }
    let exact = in_32_bits.logits(&batch).unwrap();
    let largest = |errors: &mut dyn Iterator<Item = f32>| errors.fold(0.0_f32, f32::max);
    let error = largest(&mut exact.iter().zip(&expected).map(|(a, b)| (a - b).abs()));
    let spread = largest(&mut exact.iter().map(|logit| logit.abs()));
    assert!(error > 0.0 && error < 0.05 * spread, "{error} of {spread}");
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
