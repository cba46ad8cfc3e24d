//! Fixtures of this folder's tests and its neighbours': PyTorch's weights, gradients and numbers,
//! and one tiny net of each kind.

use std::path::PathBuf;

use serde_json::Value;

use super::{AvgNetConfig, CnnConfig, DistilBertConfig, LstmConfig, Net, NetConfig};
use crate::model::{
    Device,
    neural::{device::Resolved, tensors::Tensors},
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// The tensors of a file whose names start with `prefix`, without it.
pub(crate) fn tensors(name: &str, prefix: &str) -> Tensors {
    let stored = Tensors::map(&path(name)).unwrap().into_iter();
    stored
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
        .collect()
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// The backend that `cpu` means.
pub(crate) fn cpu() -> Resolved {
    Device::Cpu.resolve().unwrap()
}

/// The CPU, and [`accelerators`].
pub(crate) fn devices() -> Vec<Resolved> {
    std::iter::once(cpu()).chain(accelerators()).collect()
}

/// The GPU that `TRIALBOOK_DEVICE` names; where it names none, the first of wgpu's if that is built in.
///
/// # Panics
/// When it is not there: a test of a GPU without one would say nothing.
pub(crate) fn accelerators() -> Vec<Resolved> {
    let named = Some(Device::from_env().unwrap()).filter(|device| device.is_gpu());
    let wanted = named.or_else(|| cfg!(feature = "wgpu").then_some(Device::Wgpu(0)));
    let resolve = |device: Device| {
        device.resolve().unwrap_or_else(|error| {
            let hint = error.hint().map(ToString::to_string).unwrap_or_default();
            panic!("these tests need a GPU or a driver that stands in for one: {error}; {hint}")
        })
    };
    wanted.map(resolve).into_iter().collect()
}

pub(crate) fn rows(value: &Value) -> Vec<Vec<u32>> {
    serde_json::from_value(value.clone()).unwrap()
}

pub(crate) fn floats(value: &Value) -> Vec<f32> {
    match value.as_array() {
        Some(values) => values.iter().flat_map(floats).collect(),
        None => vec![value.as_f64().unwrap() as f32],
    }
}

/// Hugging Face's tiny DistilBERT without dropout.
pub(crate) fn tiny_distilbert() -> DistilBertConfig {
    let config = json("tiny-distilbert/config.json");
    let size = |name: &str| config[name].as_u64().unwrap() as usize;
    DistilBertConfig {
        vocab_size: size("vocab_size"),
        n_classes: 2,
        dim: size("dim"),
        hidden_dim: size("hidden_dim"),
        n_layers: size("n_layers"),
        n_heads: size("n_heads"),
        max_position_embeddings: size("max_position_embeddings"),
        dropout: 0.0,
        attention_dropout: 0.0,
        seq_classif_dropout: 0.0,
        initializer_range: 0.02,
    }
}

/// A tiny net of each kind, with dropout.
pub(crate) fn tiny_configs(vocab_size: usize, n_classes: usize) -> [NetConfig; 4] {
    [
        NetConfig::AvgNet(AvgNetConfig {
            vocab_size,
            n_classes,
            embedding_dim: 16,
            hidden_dim: 16,
            dropout: 0.2,
        }),
        NetConfig::Cnn(CnnConfig {
            vocab_size,
            n_classes,
            embedding_dim: 12,
            widths: vec![2, 3],
            n_filters: 16,
            dropout: 0.2,
        }),
        NetConfig::Lstm(LstmConfig {
            vocab_size,
            n_classes,
            embedding_dim: 12,
            hidden_dim: 16,
            n_layers: 2,
            dropout: 0.2,
        }),
        NetConfig::DistilBert(DistilBertConfig {
            vocab_size,
            n_classes,
            dim: 16,
            hidden_dim: 32,
            n_layers: 2,
            n_heads: 2,
            max_position_embeddings: 32,
            initializer_range: 0.1,
            ..Default::default()
        }),
    ]
}

/// The nets of `make_nets.py`: name, net without dropout, and PyTorch's logits and loss.
pub(crate) fn pytorch_nets(device: &Resolved) -> Vec<(String, Net, Value)> {
    let reference = json("nets/reference.json");
    let nets = reference["nets"].as_array().unwrap().iter().map(|entry| {
        let mut config = entry["config"].clone();
        config["dropout"] = 0.0.into();
        let config: NetConfig = serde_json::from_value(config).unwrap();
        let name = config.name().to_owned();
        let weights = tensors(&format!("nets/{name}.safetensors"), "weight/");
        (name, Net::load(config, &weights, device).unwrap(), entry.clone())
    });
    nets.collect()
}
