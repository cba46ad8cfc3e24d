//! The nets' numbers against PyTorch's, and what no batch may change.

use super::{fixtures::*, *};
use crate::model::neural::tensors::FileTensor;

/// Logits differ from PyTorch's by the order of sums only.
const TOLERANCE: f32 = 1e-4;

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{what}: {found} against {expected}");
    }
}

fn batch(rows: &[Vec<u32>]) -> Batch {
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    Batch::new(&rows, 0).unwrap()
}

/// Texts of 1 to 9 tokens.
fn texts() -> Vec<Vec<u32>> {
    [9, 1, 4, 6, 2, 9].iter().map(|n| (0..*n).map(|idx| (idx * 7 + n) % 30).collect()).collect()
}

#[test]
fn distilbert_gives_pytorchs_logits() {
    for device in devices() {
        let config = NetConfig::DistilBert(tiny_distilbert());
        let weights = tensors("tiny-distilbert/model.safetensors", "");
        let net = Net::load(config, &weights, &device).unwrap();
        let reference = json("tiny-distilbert/reference.json");
        for sequence in reference["sequences"].as_array().unwrap() {
            let ids: Vec<u32> = serde_json::from_value(sequence["input_ids"].clone()).unwrap();
            let logits = net.forward(&batch(&[ids])).unwrap();
            assert_close(&logits, &floats(&sequence["logits"]), TOLERANCE, &device.to_string());
        }
        let padded = &reference["padded_batch"];
        let masks = rows(&padded["attention_mask"]);
        let ids = rows(&padded["input_ids"]).into_iter().zip(masks).map(|(mut ids, mask)| {
            ids.truncate(mask.iter().sum::<u32>() as usize);
            ids
        });
        let logits = net.forward(&batch(&ids.collect::<Vec<_>>())).unwrap();
        assert_close(&logits, &floats(&padded["logits"]), TOLERANCE, &device.to_string());
    }
}

#[test]
fn avgnet_cnn_and_lstm_give_pytorchs_logits() {
    let sequences = rows(&json("nets/reference.json")["sequences"]);
    for device in devices() {
        for (name, net, reference) in pytorch_nets(&device) {
            let logits = net.forward(&batch(&sequences)).unwrap();
            let what = format!("{name} on {device}");
            assert_close(&logits, &floats(&reference["logits"]), TOLERANCE, &what);
        }
    }
}

#[test]
fn what_is_not_a_number_inside_a_net_reaches_its_logits() {
    for device in devices() {
        for config in tiny_configs(40, 3) {
            let mut net = Net::new(config.clone(), 5, &device).unwrap();
            // Before the ReLU of each net.
            let name = match &config {
                NetConfig::DistilBert(_) => "pre_classifier.weight",
                NetConfig::AvgNet(_) => "dense1.weight",
                NetConfig::Cnn(_) => "convs.1.weight",
                NetConfig::Lstm(_) => "lstm.weight_hh_l1",
            };
            let mut parameters = net.parameters();
            let tensor = parameters.get(name).unwrap();
            let mut values = tensor.values().unwrap().to_vec();
            values[0] = f32::NAN;
            let tensor = FileTensor::new(tensor.shape().to_vec(), values);
            parameters.insert(name, tensor);
            net.set_parameters(&parameters).unwrap();
            let logits = net.forward(&batch(&texts())).unwrap();
            assert!(logits.iter().any(|logit| logit.is_nan()), "{} on {device}", config.name());
        }
    }
}

#[test]
fn padding_never_changes_a_prediction() {
    for device in devices() {
        for config in tiny_configs(40, 3) {
            let net = Net::new(config, 5, &device).unwrap();
            for text in texts() {
                let bare = net.forward(&batch(std::slice::from_ref(&text))).unwrap();
                for (length, padding_id) in [(10, 0), (23, 7), (32, 39)] {
                    let padded = Batch::padded_to(&[&text], length, padding_id).unwrap();
                    let logits = net.forward(&padded).unwrap();
                    assert_close(&logits, &bare, 1e-5, &format!("{} {text:?}", net.config.name()));
                }
            }
        }
    }
}

#[test]
fn a_batch_gives_what_each_text_gives_alone() {
    for device in devices() {
        for config in tiny_configs(40, 3) {
            let net = Net::new(config, 6, &device).unwrap();
            let together = net.forward(&batch(&texts())).unwrap();
            let alone = texts().into_iter().flat_map(|text| net.forward(&batch(&[text])).unwrap());
            let alone: Vec<f32> = alone.collect();
            assert_close(&together, &alone, 1e-5, net.config.name());
            assert_ne!(alone[..3], alone[3..6], "different texts give different logits");
        }
    }
}

#[test]
fn parameters_out_and_in_give_the_same_bits() {
    for device in devices() {
        for config in tiny_configs(40, 2) {
            let net = Net::new(config.clone(), 7, &device).unwrap();
            let parameters = net.parameters();
            let mut again = Net::new(config.clone(), 8, &device).unwrap();
            assert_ne!(again.parameters(), parameters);
            again.set_parameters(&parameters).unwrap();
            assert_eq!(again.parameters(), parameters);
            let logits = again.forward(&batch(&texts())).unwrap();
            assert_eq!(logits, net.forward(&batch(&texts())).unwrap());
            let expected = Net::expected(&config).unwrap();
            assert_eq!(parameters.iter().len(), expected.len());
            for (name, shape) in expected {
                assert_eq!(parameters.get(&name).unwrap().shape(), shape);
            }
        }
    }
}

#[test]
fn names_are_hugging_faces() {
    let stored = tensors("tiny-distilbert/model.safetensors", "");
    let expected: Vec<&str> = stored.iter().map(|(name, _)| name).collect();
    let mut found: Vec<String> = Net::expected(&NetConfig::DistilBert(tiny_distilbert()))
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let device = cpu();
    let [config, ..] = tiny_configs(40, 2);
    let mut parameters = Net::new(config.clone(), 1, &device).unwrap().parameters();
    parameters.remove("dense1.bias").unwrap();
    parameters.insert("embedding.weight", FileTensor::new(vec![2, 320], vec![0.0; 640]));
    parameters.insert("pooler", FileTensor::new(vec![1], vec![0.0]));
    let error = Net::load(config, &parameters, &device).unwrap_err().to_string();
    for part in [
        "dense1.bias is missing",
        "embedding.weight has shape [2, 320], expected [40, 16]",
        "pooler is not a parameter",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn ids_and_lengths_the_net_cannot_read_are_refused() {
    let device = cpu();
    for config in tiny_configs(40, 2) {
        let net = Net::new(config, 1, &device).unwrap();
        let error = net.forward(&batch(&[vec![3, 40]])).unwrap_err();
        assert!(error.to_string().contains("token id 40"), "{error}");
        let long = net.forward(&batch(&[vec![1; 2_000]]));
        assert_eq!(long.is_err(), net.config.max_length().is_some());
    }
}

#[test]
fn half_precision_gives_the_logits_but_for_its_rounding() {
    let device = cpu();
    for config in tiny_configs(40, 3) {
        let net = Net::new(config, 6, &device).unwrap();
        let exact = net.forward(&batch(&texts())).unwrap();
        let largest = exact.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        // A few products after each other, of 8 and of 11 bits.
        for (precision, bits) in [(Precision::Bf16, 8), (Precision::F16, 11)] {
            let rounded = net.clone().predicting_in(precision);
            let logits = rounded.forward(&batch(&texts())).unwrap();
            let tolerance = largest * 8.0 / (1 << bits) as f32;
            assert_close(&logits, &exact, tolerance, net.config.name());
            assert_ne!(logits, exact, "{} in {}", net.config.name(), precision.name());
        }
    }
}
