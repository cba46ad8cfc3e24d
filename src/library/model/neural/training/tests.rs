//! Training as a whole: gradients against PyTorch's, learning, and runs that stop and go on.

use super::{
    loss::{Objective, gradients, gradients_by_operations},
    *,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::{
        ClassWeight,
        neural::{
            device::Resolved,
            net::{
                Batch, EncodedExample, Net, NetConfig, Precision,
                fixtures::*,
                parameters::{DeviceTensor, host},
            },
            tensors::Tensors,
        },
    },
    progress::{Interrupt, Monitor},
    random::Random,
};

/// Keeps what it is given; asks for a stop at a step.
#[derive(Default)]
struct Recorder {
    metrics: Vec<(String, f64, u64)>,
    states: Vec<TrainState>,
    stop_at: Option<u64>,
    interrupt: Interrupt,
}

impl Observer for Recorder {
    fn metric(&mut self, key: &str, value: f64, step: u64) -> Result<()> {
        self.metrics.push((key.to_owned(), value, step));
        if self.stop_at.is_some_and(|at| at == step) {
            self.interrupt.raise();
        }
        Ok(())
    }

    fn checkpoint(&mut self, state: &TrainState) -> Result<()> {
        // Through bytes, as a real one goes.
        self.states.push(TrainState::from_bytes(&state.to_bytes()?)?);
        Ok(())
    }
}

/// Texts of random words; word 1 makes class 1, word 2 class 2 where there are three.
fn examples(n: usize, n_classes: usize, seed: u64) -> Vec<EncodedExample> {
    let mut random = Random::new(seed);
    let example = |_| {
        let length = 3 + random.below(12);
        let mut ids: Vec<u32> = (0..length).map(|_| 3 + random.below(37) as u32).collect();
        let label = random.below(n_classes);
        if label > 0 {
            let place = random.below(length);
            ids[place] = label as u32;
        }
        EncodedExample { ids, label }
    };
    (0..n).map(example).collect()
}

fn run(
    config: NetConfig,
    settings: &TrainSettings,
    recorder: &mut Recorder,
    resume: Option<&TrainState>,
    device: &Resolved,
) -> Result<TrainingOutcome> {
    let n_classes = config.n_classes();
    let (train_set, valid) = (examples(300, n_classes, 1), examples(80, n_classes, 2));
    let job = TrainingJob { settings, train: &train_set, valid: &valid, resume };
    let monitor = Monitor { interrupt: recorder.interrupt.clone(), ..Monitor::silent() };
    train(Net::new(config, settings.seed, device)?, &job, &monitor, recorder)
}

/// The largest difference, in units of the largest expected value or of `floor`.
fn relative(found: &[f32], expected: &[f32], floor: f32) -> f32 {
    let largest = expected.iter().fold(floor, |largest, value| largest.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

fn assert_gradients(
    net: &Net,
    batch: &Batch,
    labels: &[usize],
    (smoothing, class_weights): (f64, &[f64]),
    loss: f64,
    expected: &Tensors,
) {
    let objective = Objective {
        label_smoothing: smoothing,
        class_weights,
        precision: Precision::F32,
        total_weight: labels.iter().map(|label| class_weights[*label]).sum(),
        seed: 1,
    };
    let found = gradients(net, batch, labels, objective).unwrap();
    assert_gradients_are(net, found, loss, expected);
    let found = gradients_by_operations(net, batch, labels, objective).unwrap();
    assert_gradients_are(net, found, loss, expected);
}

fn assert_gradients_are(
    net: &Net,
    (found_loss, found): (f64, Vec<DeviceTensor<2>>),
    loss: f64,
    expected: &Tensors,
) {
    assert!((found_loss - loss).abs() < 1e-5, "loss {found_loss} against {loss}");
    assert_eq!(found.len(), expected.iter().len());
    // What is 0 but for rounding (a key's bias: the softmax does not see it) is measured against the
    // net's largest gradient.
    let values = expected.iter().flat_map(|(_, tensor)| tensor.values().unwrap().to_vec());
    let floor = 1e-2 * values.fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (spec, gradient) in net.specs().iter().zip(found) {
        let expected = expected.values(&spec.name).unwrap();
        let difference = relative(&spec.outward(host(gradient)), &expected, floor);
        assert!(difference < 1e-3, "{} on {}: {difference}", spec.name, net.device());
    }
}

#[test]
fn a_batch_has_the_same_gradients_on_any_number_of_threads() {
    let device = cpu();
    let examples = examples(19, 3, 5);
    let texts: Vec<&[u32]> = examples.iter().map(|example| example.ids.as_slice()).collect();
    let labels: Vec<usize> = examples.iter().map(|example| example.label).collect();
    let objective = Objective {
        label_smoothing: 0.1,
        class_weights: &[1.0; 3],
        precision: Precision::F32,
        total_weight: 19.0,
        seed: 7,
    };
    for config in tiny_configs(40, 3) {
        let net = Net::new(config, 3, &device).unwrap();
        let compute = |n_threads: usize| -> (f64, Vec<Vec<f32>>) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| {
                let batch = Batch::new(&texts, 0).unwrap();
                let (loss, found) = gradients(&net, &batch, &labels, objective).unwrap();
                (loss, found.into_iter().map(host).collect())
            })
        };
        let alone = compute(1);
        for n_threads in 2..6 {
            let name = net.config().name();
            assert_eq!(compute(n_threads), alone, "{name}, {n_threads} threads");
        }
    }
}

#[test]
fn distilberts_gradients_are_pytorchs() {
    let reference = &json("tiny-distilbert/reference.json")["padded_batch"];
    let masks = rows(&reference["attention_mask"]);
    let ids: Vec<Vec<u32>> = rows(&reference["input_ids"])
        .into_iter()
        .zip(masks)
        .map(|(ids, mask)| ids[..mask.iter().sum::<u32>() as usize].to_vec())
        .collect();
    let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let labels: Vec<usize> = serde_json::from_value(reference["labels"].clone()).unwrap();
    let expected = tensors("tiny-distilbert/gradients.safetensors", "");
    for device in devices() {
        let weights = tensors("tiny-distilbert/model.safetensors", "");
        let config = NetConfig::DistilBert(tiny_distilbert());
        let net = Net::load(config, &weights, &device).unwrap();
        let loss = reference["loss"].as_f64().unwrap();
        assert_gradients(
            &net,
            &Batch::new(&texts, 0).unwrap(),
            &labels,
            (0.0, &[1.0; 2]),
            loss,
            &expected,
        );
    }
}

#[test]
fn avgnets_cnns_and_lstms_gradients_are_pytorchs() {
    let reference = json("nets/reference.json");
    let ids = rows(&reference["sequences"]);
    let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let labels: Vec<usize> = serde_json::from_value(reference["labels"].clone()).unwrap();
    let smoothing = reference["label_smoothing"].as_f64().unwrap();
    let weights: Vec<f64> = serde_json::from_value(reference["class_weights"].clone()).unwrap();
    for device in devices() {
        for (name, net, entry) in pytorch_nets(&device) {
            let batch = Batch::new(&texts, 0).unwrap();
            for (key, gradient, weights) in
                [("loss", "gradient/", &[1.0; 3][..]), ("weighted_loss", "weighted/", &weights)]
            {
                let expected = tensors(&format!("nets/{name}.safetensors"), gradient);
                let loss = entry[key].as_f64().unwrap();
                let objective = (smoothing, weights);
                assert_gradients(&net, &batch, &labels, objective, loss, &expected);
            }
        }
    }
}

#[test]
fn texts_of_one_token_have_the_gradients_of_the_operations() {
    let texts: [&[u32]; 3] = [&[4], &[7], &[9]];
    let (batch, labels) = (Batch::new(&texts, 0).unwrap(), [0, 1, 2]);
    for (name, net, _) in pytorch_nets(&cpu()) {
        let objective = || Objective {
            label_smoothing: 0.0,
            class_weights: &[1.0; 3],
            precision: Precision::F32,
            total_weight: 3.0,
            seed: 1,
        };
        let (loss, found) = gradients(&net, &batch, &labels, objective()).unwrap();
        let (expected_loss, expected) =
            gradients_by_operations(&net, &batch, &labels, objective()).unwrap();
        assert!((loss - expected_loss).abs() < 1e-5, "{name}: {loss} against {expected_loss}");
        for (found, expected) in found.into_iter().zip(expected) {
            let difference = relative(&host(found), &host(expected), 1e-3);
            assert!(difference < 1e-3, "{name}: {difference}");
        }
    }
}

#[test]
fn half_precision_products_stay_near_full_ones() {
    // The settings refuse this on a CPU; the code is the GPU's.
    let device = cpu();
    let texts: Vec<Vec<u32>> = examples(8, 2, 3).into_iter().map(|example| example.ids).collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let batch = Batch::new(&texts, 0).unwrap();
    let labels = [0, 1, 0, 1, 1, 0, 0, 1];
    for config in tiny_configs(40, 2) {
        let net = Net::new(config, 3, &device).unwrap();
        let compute = |precision| {
            let objective = Objective {
                label_smoothing: 0.0,
                class_weights: &[1.0; 2],
                precision,
                total_weight: labels.len() as f64,
                seed: 1,
            };
            // By the same operations, which drop the same.
            gradients_by_operations(&net, &batch, &labels, objective).unwrap()
        };
        let (loss, full) = compute(Precision::F32);
        for precision in [Precision::Bf16, Precision::F16] {
            let (half_loss, half) = compute(precision);
            assert!((half_loss - loss).abs() < 0.02, "{half_loss} against {loss}");
            assert_ne!(half_loss, loss, "{} was computed in f32", net.config().name());
            for (half, full) in half.into_iter().zip(full.clone()) {
                let difference = relative(&host(half), &host(full), 1e-2);
                assert!(
                    difference < 0.1,
                    "{} {}: {difference}",
                    net.config().name(),
                    precision.name()
                );
            }
        }
    }
}

#[test]
fn every_net_learns_which_words_decide() {
    for (config, learning_rate) in tiny_configs(40, 3).into_iter().zip([2e-2, 1e-2, 2e-2, 3e-3]) {
        let settings =
            TrainSettings { epochs: 12, batch_size: 16, learning_rate, ..Default::default() };
        let name = config.name();
        let device = cpu();
        let outcome = run(config, &settings, &mut Recorder::default(), None, &device).unwrap();
        assert!(outcome.best_f1 > 0.95, "{name}: {:?}", outcome.epochs);
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let settings = TrainSettings {
        epochs: 2,
        batch_size: 16,
        accumulation: 2,
        learning_rate: 5e-3,
        label_smoothing: 0.05,
        class_weight: ClassWeight::Balanced,
        ..Default::default()
    };
    // An accelerator adds in an order of its own.
    for device in devices().into_iter().filter(Resolved::is_cpu) {
        for config in tiny_configs(40, 2) {
            let whole = run(config.clone(), &settings, &mut Recorder::default(), None, &device);
            let whole = whole.unwrap().net.parameters();
            // 10 steps an epoch: stop within the first, and within the second.
            for stop_at in [4, 13] {
                let mut recorder = Recorder { stop_at: Some(stop_at), ..Default::default() };
                let stopped = run(config.clone(), &settings, &mut recorder, None, &device);
                assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
                let state = recorder.states.pop().unwrap();
                assert_eq!(state.position.step, stop_at);
                let mut recorder = Recorder::default();
                let resumed =
                    run(config.clone(), &settings, &mut recorder, Some(&state), &device).unwrap();
                assert_eq!(resumed.n_steps, 20);
                assert!(resumed.net.parameters() == whole, "{} on {device}", config.name());
            }
        }
    }
}

#[test]
fn two_runs_side_by_side_do_not_disturb_each_other() {
    let settings = TrainSettings { epochs: 1, batch_size: 16, ..Default::default() };
    let device = cpu();
    let [config, ..] = tiny_configs(40, 2);
    let train_one = || {
        run(config.clone(), &settings, &mut Recorder::default(), None, &device)
            .unwrap()
            .net
            .parameters()
    };
    let alone = train_one();
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(train_one)).collect();
        for other in others {
            assert!(other.join().unwrap() == alone);
        }
    });
}

#[test]
fn accumulated_batches_make_the_step_of_one_large_batch() {
    let device = cpu();
    let mut parts = Vec::new();
    for (batch_size, accumulation) in [(64, 1), (16, 4)] {
        let settings = TrainSettings { epochs: 1, batch_size, accumulation, ..Default::default() };
        let mut config = tiny_configs(40, 2)[0].clone();
        if let NetConfig::AvgNet(config) = &mut config {
            config.dropout = 0.0;
        }
        let train_set = examples(64, 2, 1);
        let job =
            TrainingJob { settings: &settings, train: &train_set, valid: &train_set, resume: None };
        let net = Net::new(config, 1, &device).unwrap();
        let mut recorder = Recorder::default();
        let outcome = train(net, &job, &Monitor::silent(), &mut recorder).unwrap();
        assert_eq!(outcome.n_steps, 1);
        parts.push(outcome.net.parameters());
    }
    for (name, one) in parts[0].iter() {
        let four = parts[1].values(name).unwrap();
        let difference = relative(&four, &one.values().unwrap(), 1e-6);
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn a_run_that_diverges_stops_and_keeps_its_last_checkpoint() {
    let device = cpu();
    let [config, ..] = tiny_configs(40, 2);
    let settings = TrainSettings {
        epochs: 50,
        batch_size: 16,
        learning_rate: 1e30,
        checkpoint_every: Some(1),
        ..Default::default()
    };
    let mut recorder = Recorder::default();
    let error = run(config, &settings, &mut recorder, None, &device).unwrap_err();
    assert!(error.to_string().contains("diverged"), "{error}");
    let state = recorder.states.last().unwrap();
    for (name, tensor) in state.weights.iter() {
        assert!(tensor.values().unwrap().iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn patience_ends_a_run_and_the_best_epoch_is_kept() {
    let device = cpu();
    let [config, ..] = tiny_configs(40, 2);
    let settings = TrainSettings {
        epochs: 30,
        batch_size: 16,
        learning_rate: 1e-7,
        patience: Some(2),
        ..Default::default()
    };
    let mut recorder = Recorder::default();
    let outcome = run(config, &settings, &mut recorder, None, &device).unwrap();
    assert!(outcome.stopped_early);
    assert_eq!(outcome.epochs.len() as u64, outcome.best_epoch + 2);
    let best = outcome.epochs[outcome.best_epoch as usize - 1];
    let valid = examples(80, 2, 2);
    let again = evaluate(&outcome.net, &valid, 7, &Monitor::silent()).unwrap();
    assert_eq!(again.f1, best.valid.f1);
    assert!((again.loss - best.valid.loss).abs() < 1e-6);
    assert_eq!(recorder.states.len(), outcome.epochs.len());
}

#[test]
fn a_state_survives_its_file_and_a_cut_file_is_refused() {
    let device = cpu();
    let [config, ..] = tiny_configs(40, 2);
    let settings = TrainSettings { epochs: 1, batch_size: 64, ..Default::default() };
    let mut recorder = Recorder::default();
    run(config, &settings, &mut recorder, None, &device).unwrap();
    let state = recorder.states.pop().unwrap();
    assert!(state.best.is_some());
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(TrainState::from_files(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
    state.to_files(dir.path()).unwrap();
    assert_eq!(TrainState::from_files(dir.path()).unwrap(), state);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    let bytes = state.to_bytes().unwrap();
    for length in [0, 7, 100, bytes.len() - 1] {
        let error = TrainState::from_bytes(&bytes[..length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}");
    }
}

#[test]
fn a_run_is_continued_with_its_own_settings_and_data_only() {
    let device = cpu();
    let [config, ..] = tiny_configs(40, 2);
    let settings = TrainSettings { epochs: 1, batch_size: 64, ..Default::default() };
    let mut recorder = Recorder::default();
    run(config.clone(), &settings, &mut recorder, None, &device).unwrap();
    let state = recorder.states.pop().unwrap();
    let other = TrainSettings { seed: 7, ..settings.clone() };
    let error =
        run(config.clone(), &other, &mut Recorder::default(), Some(&state), &device).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let mut train_set = examples(300, 2, 1);
    train_set[5].ids[0] = 9;
    let job = TrainingJob {
        settings: &settings,
        train: &train_set,
        valid: &train_set,
        resume: Some(&state),
    };
    let net = Net::new(config, 1, &device).unwrap();
    let error = train(net, &job, &Monitor::silent(), &mut Recorder::default()).unwrap_err();
    assert!(error.to_string().contains("training examples"), "{error}");
}

#[test]
fn examples_the_net_cannot_use_are_refused_by_their_place() {
    let device = cpu();
    let settings = TrainSettings::default();
    let good = EncodedExample { ids: vec![1], label: 0 };
    let check = |bad: Vec<EncodedExample>, part: &str| {
        let [config, ..] = tiny_configs(40, 2);
        let net = Net::new(config, 1, &device).unwrap();
        let job = TrainingJob {
            settings: &settings,
            train: &bad,
            valid: std::slice::from_ref(&good),
            resume: None,
        };
        let result = train(net, &job, &Monitor::silent(), &mut Recorder::default());
        let error: Error = result.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    check(vec![], "no training examples");
    check(
        vec![good.clone(), EncodedExample { ids: vec![], label: 0 }],
        "training example 1 has no token",
    );
    check(vec![EncodedExample { ids: vec![1], label: 2 }], "has label 2, the net has 2 classes");
    check(vec![EncodedExample { ids: vec![40], label: 0 }], "outside the vocabulary of 40");
}
