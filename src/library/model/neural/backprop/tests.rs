//! Gradients against differences of the forward pass, with dropout as it fell.

use super::*;
use crate::random::Random;

const WIDTH: usize = 10;
const WIDE: usize = 14;
const N_CLASSES: usize = 3;
const LENGTHS: [usize; 4] = [5, 37, 1, 30];

struct Owned(Vec<Vec<f32>>);

impl ParameterSource for Owned {
    fn values(&self, key: usize) -> &[f32] {
        &self.0[key]
    }
}

fn numbers(n: usize, scale: f32, random: &mut Random) -> Vec<f32> {
    (0..n).map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * scale).collect()
}

/// A net of two layers with its weights, and embedded tokens.
fn net(random: &mut Random) -> (Transformer, Owned, Vec<f32>) {
    let mut values = Vec::new();
    let mut linear = |n_in: usize, n_out: usize| {
        values.push(numbers(n_in * n_out, 0.6, random));
        values.push(numbers(n_out, 0.3, random));
        LinearKeys { weight: values.len() - 2, bias: values.len() - 1 }
    };
    let mut linears = Vec::new();
    for _ in 0..2 {
        for (n_in, n_out) in [
            (WIDTH, WIDTH),
            (WIDTH, WIDTH),
            (WIDTH, WIDTH),
            (WIDTH, WIDTH),
            (WIDTH, WIDE),
            (WIDE, WIDTH),
        ] {
            linears.push(linear(n_in, n_out));
        }
    }
    let (pre_classifier, classifier) = (linear(WIDTH, WIDTH), linear(WIDTH, N_CLASSES));
    let mut norm = || {
        values.push(numbers(WIDTH, 0.5, random).iter().map(|value| 1.0 + value).collect());
        values.push(numbers(WIDTH, 0.3, random));
        NormKeys { weight: values.len() - 2, bias: values.len() - 1 }
    };
    let layers = linears.chunks_exact(6).map(|linears| LayerKeys {
        query: linears[0],
        key: linears[1],
        value: linears[2],
        out: linears[3],
        attention_norm: norm(),
        widen: linears[4],
        narrow: linears[5],
        output_norm: norm(),
    });
    let layers = layers.collect();
    let net =
        Transformer { n_heads: 2, eps: 1e-12, norm: norm(), layers, pre_classifier, classifier };
    let embedded = numbers(LENGTHS.iter().sum::<usize>() * WIDTH, 1.0, random);
    (net, Owned(values), embedded)
}

fn rates(rate: f64) -> Option<DropoutRates> {
    Some(DropoutRates { states: rate, attention: rate, hidden: rate, seed: 5 })
}

#[test]
fn gradients_are_the_differences_of_the_forward_pass() {
    for dropout in [None, rates(0.2)] {
        let mut random = Random::new(3);
        let (net, mut values, mut embedded) = net(&mut random);
        let factors = numbers(LENGTHS.len() * N_CLASSES, 1.0, &mut random);
        let loss = |values: &Owned, embedded: &[f32]| -> f64 {
            let (logits, _) = net.forward(values, embedded, &LENGTHS, dropout, false);
            let pairs = logits.iter().zip(&factors);
            pairs.map(|(logit, factor)| f64::from(*logit) * f64::from(*factor)).sum()
        };
        let (_, trace) = net.forward(&values, &embedded, &LENGTHS, dropout, true);
        let found = net.backward(&values, trace.unwrap(), &factors, true);
        let step = 4e-3_f32;
        let check = |what: String, found: f32, nearby: [f64; 2]| {
            let expected = (nearby[0] - nearby[1]) / f64::from(2.0 * step);
            let error = (f64::from(found) - expected).abs();
            assert!(error < 2e-2 * expected.abs().max(1.0), "{what}: {found}, not {expected}");
        };
        let mut keys: Vec<usize> = found.parameters.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!(keys, (0..values.0.len()).collect::<Vec<_>>());
        for (key, gradient) in &found.parameters {
            assert_eq!(gradient.len(), values.0[*key].len());
            for idx in (0..gradient.len()).step_by((gradient.len() / 2).max(1)) {
                let held = values.0[*key][idx];
                let nearby = [held + step, held - step].map(|value| {
                    values.0[*key][idx] = value;
                    loss(&values, &embedded)
                });
                values.0[*key][idx] = held;
                check(format!("{dropout:?} {key} {idx}"), gradient[idx], nearby);
            }
        }
        for idx in (0..embedded.len()).step_by(71) {
            let held = embedded[idx];
            let nearby = [held + step, held - step].map(|value| {
                embedded[idx] = value;
                loss(&values, &embedded)
            });
            embedded[idx] = held;
            check(format!("embedded {idx}"), found.embedded[idx], nearby);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (net, values, embedded) = net(&mut Random::new(4));
    let factors = vec![0.5; LENGTHS.len() * N_CLASSES];
    let compute = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let (logits, trace) = net.forward(&values, &embedded, &LENGTHS, rates(0.1), true);
            let found = net.backward(&values, trace.unwrap(), &factors, true);
            (logits, found.parameters, found.embedded)
        })
    };
    let alone = compute(1);
    assert!(alone.0.iter().all(|logit| logit.is_finite()));
    for n_threads in 2..6 {
        assert_eq!(compute(n_threads), alone, "{n_threads} threads");
    }
}

#[test]
fn the_embeddings_gradient_comes_alone_where_it_is_all_that_is_asked_for() {
    let (net, values, embedded) = net(&mut Random::new(6));
    let factors = vec![0.5; LENGTHS.len() * N_CLASSES];
    let compute = |all: bool| {
        let (_, trace) = net.forward(&values, &embedded, &LENGTHS, None, true);
        net.backward(&values, trace.unwrap(), &factors, all)
    };
    let alone = compute(false);
    assert!(alone.parameters.is_empty());
    assert_eq!(alone.embedded, compute(true).embedded);
}

#[test]
fn what_is_not_a_number_reaches_the_logits() {
    let (net, mut values, embedded) = net(&mut Random::new(7));
    values.0[net.pre_classifier.bias][0] = f32::NAN;
    let (logits, _) = net.forward(&values, &embedded, &LENGTHS, None, false);
    assert!(logits.iter().all(|logit| logit.is_nan()), "{logits:?}");
}
