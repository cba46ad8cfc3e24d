//! The way of a net on an accelerator: trained from texts, asked, explained, kept and loaded again, beside
//! the CPU.

use super::{
    NeuralConfig, Precision,
    net::{Batch, Net, NetConfig, fixtures::*},
    training::TrainSettings,
};
use crate::{
    data::{Fingerprint, Split},
    error::ErrorKind,
    model::{Classifier, Device, ModelFiles, load_on},
    progress::Monitor,
};

/// Reviews that one of two words decides.
fn reviews() -> Split {
    let labels: Vec<u32> = (0..96).map(|idx| idx * 7 / 3 % 2).collect();
    let text = |(idx, label): (usize, &u32)| {
        let word = ["dreadful", "wonderful"][*label as usize];
        let rest = ["film", "plot", "cast", "music", "and", "a", "the", "it was"];
        let rest: Vec<&str> = (0..2 + idx % 5).map(|n| rest[(idx + n * n) % rest.len()]).collect();
        format!("{} {word} {}", rest[..1].join(" "), rest[1..].join(" "))
    };
    Split {
        name: "train".into(),
        texts: labels.iter().enumerate().map(text).collect(),
        labels,
        classes: vec!["negative".into(), "positive".into()],
        fingerprint: Fingerprint { sha256: String::new(), n_rows: 96, class_counts: vec![] },
    }
}

/// A tiny net of each kind that learns [`reviews`] on `device`.
fn configs(device: Device) -> Vec<NeuralConfig> {
    let rates = [3e-2, 2e-2, 3e-2, 5e-3];
    let configs = tiny_configs(200, 2).into_iter().zip(rates);
    configs
        .map(|(net, learning_rate)| NeuralConfig {
            net,
            min_freq: 1,
            max_length: 16,
            device,
            training: TrainSettings {
                epochs: 6,
                batch_size: 16,
                learning_rate,
                ..TrainSettings::default()
            },
            ..NeuralConfig::avgnet()
        })
        .collect()
}

#[test]
fn each_kind_of_net_is_trained_asked_explained_and_loaded_again() {
    let split = reviews();
    let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
    for device in accelerators() {
        for config in configs(device.device()) {
            let what = format!("{} on {device}", config.net.name());
            let model = config.train(&split, &Monitor::silent(), &mut |_, _, _| Ok(()), None);
            let model = model.unwrap_or_else(|error| panic!("{what}: {error}"));
            let asked = model.predict(&texts).unwrap();
            let rows = asked.rows().zip(&split.labels);
            let n_right = rows.filter(|(row, label)| (row[1] > 0.5) == (**label == 1)).count();
            assert!(n_right >= 91, "{what}: {n_right} of 96 are right");

            let explained = model.explain(texts[0], None, 3).unwrap();
            assert!(explained.is_some(), "{what}");

            let folder = tempfile::tempdir().unwrap();
            model.save(folder.path()).unwrap();
            let files = ModelFiles::in_dir(folder.path()).unwrap();
            for other in [device.device(), Device::Cpu] {
                let again = load_on(&files, other).unwrap().predict(&texts).unwrap();
                for (again, asked) in again.rows().zip(asked.rows()) {
                    let difference = (again[1] - asked[1]).abs();
                    assert!(difference < 1e-4, "{what}, loaded on {other}: {difference}");
                }
            }
        }
    }
}

#[test]
fn predictions_in_half_precision_are_those_in_full_but_for_its_rounding() {
    let texts: [&[u32]; 3] = [&[9, 1, 4, 6], &[2], &[3, 3, 39, 20, 21, 22, 1]];
    let batch = Batch::new(&texts, 0).unwrap();
    for device in accelerators() {
        for precision in [Precision::F16, Precision::Bf16] {
            if let Err(error) = precision.check(&device) {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.to_string().contains(precision.name()), "{error}");
                continue;
            }
            for config in tiny_configs(40, 3) {
                let net = Net::new(config, 6, &device).unwrap();
                let exact = net.forward(&batch).unwrap();
                let rounded = net.clone().predicting_in(precision).forward(&batch).unwrap();
                let largest = exact.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                for (exact, rounded) in exact.iter().zip(&rounded) {
                    let difference = (exact - rounded).abs() / largest;
                    assert!(difference < 0.04, "{} {difference}", net.config().name());
                }
                assert_ne!(exact, rounded, "{} was computed in f32", net.config().name());
            }
        }
    }
}

#[test]
fn dropout_is_decided_by_the_seed_of_a_step() {
    let split = reviews();
    for device in accelerators() {
        let config = configs(device.device()).swap_remove(0);
        assert!(matches!(config.net, NetConfig::AvgNet(_)));
        let weights = |seed: u64| {
            let training = TrainSettings { epochs: 1, seed, ..config.training.clone() };
            let config = NeuralConfig { training, ..config.clone() };
            let model = config.train(&split, &Monitor::silent(), &mut |_, _, _| Ok(()), None);
            let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
            model.unwrap().logits(&texts).unwrap()
        };
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close(&weights(3), &weights(3)), "{device}");
        assert!(!close(&weights(3), &weights(4)), "{device}");
    }
}
