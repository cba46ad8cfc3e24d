//! The weights of tokens beside captum's, and what completeness promises, for each kind of net.

use super::*;
use crate::model::neural::net::{AvgNetConfig, NetConfig, fixtures::*};

/// The embeddings of `ids`, from a baseline of zeros, or of the id `padding` where a token may change.
fn path(net: &Net, ids: &[u32], padding: Option<u32>) -> StraightPath {
    let width = net.values().get(net.embedding()).dims()[1];
    let rows = |ids: &[u32]| -> Vec<f32> {
        let device = net.device().burn();
        Pass::predict(net.values(), device, Precision::F32).peek_embedded(net.embedding(), ids)
    };
    let baseline = match padding {
        None => vec![0.0; ids.len() * width],
        Some(padding) => {
            let inner = 1..ids.len() - 1;
            let ids: Vec<u32> = ids
                .iter()
                .enumerate()
                .map(|(idx, id)| if inner.contains(&idx) { padding } else { *id })
                .collect();
            rows(&ids)
        }
    };
    StraightPath { baseline, text: rows(ids), n_tokens: ids.len() }
}

fn target(net: &Net, ids: &[u32]) -> (usize, DecisionTarget) {
    DecisionTarget::of(&net.forward(&Batch::new(&[ids], 0).unwrap()).unwrap())
}

#[test]
fn the_rule_integrates_polynomials_exactly() {
    for n in [1, 2, 3, 16, 512] {
        let nodes = nodes(n);
        for power in 0..(2 * n).min(12) {
            let sum: f64 = nodes.iter().map(|(x, weight)| weight * x.powi(power as i32)).sum();
            assert!((sum - 1.0 / (power as f64 + 1.0)).abs() < 1e-12, "{n} {power}: {sum}");
        }
    }
}

#[test]
fn weights_are_captums() {
    let expected = json("attributions_expected.json");
    let n_steps = expected["n_steps"].as_u64().unwrap() as usize;
    for device in devices() {
        let mut nets = pytorch_nets(&device);
        let distilbert = NetConfig::DistilBert(tiny_distilbert());
        let weights = tensors("tiny-distilbert/model.safetensors", "");
        let distilbert = Net::load(distilbert, &weights, &device).unwrap();
        nets.push(("distilbert".to_owned(), distilbert, serde_json::Value::Null));
        let mut n_compared = 0;
        for (name, net, _) in nets {
            for case in expected[&name].as_array().unwrap() {
                let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
                let padding = case["padding"].as_u64().map(|id| id as u32);
                let path = path(&net, &ids, padding);
                let (class_idx, target) = target(&net, &ids);
                assert_eq!(case["class"].as_u64(), Some(class_idx as u64), "{name} {ids:?}");
                let found = integrate(&net, &path, &target, n_steps).unwrap();
                let weights = floats(&case["weights"]);
                let close = |found: f64, expected: f64, tolerance: f64, what: &str| {
                    let difference = (found - expected).abs();
                    assert!(
                        difference <= tolerance,
                        "{device} {name} {ids:?} {what}: {found} {expected}"
                    );
                };
                close(found.decision, case["decision"].as_f64().unwrap(), 1e-4, "decision");
                close(found.base, case["base"].as_f64().unwrap(), 1e-4, "base");
                assert_eq!(weights.len(), found.weights.len());
                for (found, expected) in found.weights.iter().zip(&weights) {
                    close(*found, f64::from(*expected), 2e-4, "weight");
                }
                n_compared += 1;
                // As many steps as it takes give the same but for what captum's own sum leaves out.
                let complete = attribute(&net, &path, &target).unwrap();
                assert!(complete.is_complete(), "{name} {ids:?}: {}", complete.gap());
            }
        }
        assert_eq!(n_compared, 18);
    }
}

#[test]
fn a_sum_is_complete_for_every_net_whatever_the_pass_holds() {
    for config in tiny_configs(40, 2) {
        let padding = config.max_length().map(|_| 0);
        let net = Net::new(config, 5, &cpu()).unwrap();
        for n_tokens in [3_u32, 9, 30] {
            let ids: Vec<u32> = (0..n_tokens).map(|idx| 2 + idx * 7 % 30).collect();
            let (_, target) = target(&net, &ids);
            let found = attribute(&net, &path(&net, &ids, padding), &target).unwrap();
            let difference = found.decision - found.base;
            let gap = found.gap().abs();
            assert!(gap <= (0.01 * difference.abs()).max(1e-3), "{}: {gap}", net.config().name());
            // The tokens that are the same in both add nothing.
            if padding.is_some() {
                assert_eq!((found.weights[0], found.weights[ids.len() - 1]), (0.0, 0.0));
            }
            assert!(found.weights.iter().any(|weight| *weight != 0.0));
        }
    }
}

#[test]
fn a_large_net_and_a_long_text_are_worth_fewer_steps() {
    let [_, _, _, tiny] = tiny_configs(40, 2);
    let tiny = Net::new(tiny, 5, &cpu()).unwrap();
    assert_eq!(most_steps(&tiny, 30), 4096);
    let sizes =
        AvgNetConfig { vocab_size: 3, embedding_dim: 8000, hidden_dim: 1000, ..Default::default() };
    let large = Net::new(NetConfig::AvgNet(sizes), 5, &cpu()).unwrap();
    let steps = [30, 100, 512].map(|n_tokens| most_steps(&large, n_tokens));
    assert!(steps.is_sorted_by(|one, next| one > next || *next == 128), "{steps:?}");
    assert!((1600..1700).contains(&steps[0]), "{steps:?}");
    assert_eq!(most_steps(&large, 1_000_000), 128);
}

#[test]
fn a_net_of_no_numbers_is_refused() {
    let [config, ..] = tiny_configs(40, 2);
    let net = Net::new(config, 5, &cpu()).unwrap();
    let ids = [3, 4, 5];
    let mut path = path(&net, &ids, None);
    path.text[4] = f32::NAN;
    let error = attribute(&net, &path, &DecisionTarget(vec![-1.0, 1.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("its gradients are not numbers"), "{error}");
}
