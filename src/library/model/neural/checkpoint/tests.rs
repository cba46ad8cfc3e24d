//! Reading and writing the fixtures of `tests/fixtures/make_checkpoints.py`, and damaged ones.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::model::neural::tensors::Tensor;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

fn open(dir: &Path, head: Head) -> Result<Checkpoint> {
    Checkpoint::open(&ModelFiles::in_dir(dir)?, head)
}

/// A copy of a fixture's configuration and weights, to be damaged.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in [CONFIG_FILE, WEIGHTS_FILE] {
        fs::copy(folder(name).join(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// Writes the tensors of a fixture after `change` has been at them, without any check.
fn rewrite(name: &str, change: impl Fn(&mut Tensors)) -> tempfile::TempDir {
    let dir = copy(name);
    let mut stored = open(&folder(name), Head::Required).unwrap();
    change(&mut stored.tensors);
    stored.tensors.save(&dir.path().join(WEIGHTS_FILE)).unwrap();
    dir
}

#[test]
fn a_distilbert_survives_being_read_and_written_bit_by_bit() {
    let read = open(&folder("tiny-distilbert"), Head::Required).unwrap();
    assert!(read.has_head && read.report == LoadReport::default());
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &read.config, &read.tensors).unwrap();
    let original = fs::read(folder("tiny-distilbert").join(WEIGHTS_FILE)).unwrap();
    let written = fs::read(dir.path().join(WEIGHTS_FILE)).unwrap();
    let original = safetensors::SafeTensors::deserialize(&original).unwrap();
    let written = safetensors::SafeTensors::deserialize(&written).unwrap();
    assert_eq!(original.len(), written.len());
    for (name, tensor) in original.iter() {
        assert_eq!(written.tensor(name).unwrap(), tensor, "{name}");
    }
    let again = EncoderConfig::read(&dir.path().join(CONFIG_FILE)).unwrap();
    assert_eq!(again, read.config);
}

#[test]
fn a_bert_leaves_pooler_and_pretraining_heads_aside() {
    let read = open(&folder("tiny-bert"), Head::Required).unwrap();
    assert_eq!(read.config.family, Family::Bert);
    assert_eq!(read.report.unused, Vec::<String>::new());
    assert!(read.report.note().unwrap().contains("bert.pooler.dense.weight"));
    assert!(read.report.dropped.contains(&"bert.embeddings.position_ids".to_owned()));
    let names: Vec<&str> = read.tensors.iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name.contains("token_type")), "{names:?}");
}

#[test]
fn pytorchs_own_format_holds_the_same_numbers() {
    let files = ["config.json", PYTORCH_FILE]
        .map(|name| (name.to_owned(), folder("tiny-distilbert").join(name)));
    let read = Checkpoint::open(&ModelFiles::new(files.into()), Head::Required).unwrap();
    let expected = open(&folder("tiny-distilbert"), Head::Required).unwrap();
    for (name, tensor) in expected.tensors.iter() {
        let found = read.tensors.values(name).unwrap();
        assert_eq!(found[..], tensor.values().unwrap()[..], "{name}");
    }
}

#[test]
fn half_precision_is_widened_exactly() {
    let numbers: Vec<f32> = vec![1.0, -0.5, 3.140625, 65280.0];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half.safetensors");
    let f16: Vec<half::f16> = numbers.iter().map(|x| half::f16::from_f32(*x)).collect();
    let bf16: Vec<half::bf16> = numbers.iter().map(|x| half::bf16::from_f32(*x)).collect();
    let bytes =
        |halves: &[u16]| -> Vec<u8> { halves.iter().flat_map(|h| h.to_le_bytes()).collect() };
    let f16 = bytes(&f16.iter().map(|h| h.to_bits()).collect::<Vec<_>>());
    let bf16 = bytes(&bf16.iter().map(|h| h.to_bits()).collect::<Vec<_>>());
    let view = |dtype, bytes| safetensors::tensor::TensorView::new(dtype, vec![4], bytes).unwrap();
    let views = [
        ("f16", view(safetensors::Dtype::F16, &f16)),
        ("bf16", view(safetensors::Dtype::BF16, &bf16)),
    ];
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let tensors = Tensors::map(&path).unwrap();
    assert_eq!(tensors.values("f16").unwrap()[..], numbers[..]);
    assert_eq!(tensors.values("bf16").unwrap()[..3], numbers[..3]);
}

#[test]
fn everything_that_does_not_fit_is_in_one_error() {
    let dir = rewrite("tiny-distilbert", |tensors| {
        tensors.remove("distilbert.transformer.layer.1.ffn.lin2.bias").unwrap();
        let attention = "distilbert.transformer.layer.0.attention";
        tensors.insert(
            format!("{attention}.q_lin.weight"),
            Tensor::new(vec![16, 64], vec![0.5; 16 * 64]),
        );
        let renamed = tensors.remove(&format!("{attention}.k_lin.weight")).unwrap();
        tensors.insert(format!("{attention}.extra.weight"), renamed);
    });
    let message = open(dir.path(), Head::Required).unwrap_err().to_string();
    for part in [
        "2 missing, 1 of another shape",
        "layer.1.ffn.lin2.bias [32] is missing",
        "layer.0.attention.k_lin.weight [32, 32] is missing",
        "q_lin.weight: expected [32, 32] of F32, F16 or BF16, found [16, 64] of F32",
        "not used: distilbert.transformer.layer.0.attention.extra.weight",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn only_a_checkpoint_to_fine_tune_may_lack_its_head() {
    let dir = rewrite("tiny-distilbert", |tensors| {
        for part in ["weight", "bias"] {
            tensors.remove(&format!("pre_classifier.{part}")).unwrap();
        }
    });
    let error = open(dir.path(), Head::Required).unwrap_err();
    assert!(error.to_string().contains("pre_classifier.weight [32, 32] is missing"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("--checkpoint DIR"), "{error}");
    let read = open(dir.path(), Head::Optional).unwrap();
    assert!(!read.has_head);
    // Half a head is taken for none.
    assert_eq!(read.report.dropped, ["classifier.weight", "classifier.bias"]);
    assert!(read.tensors.get("classifier.weight").is_err());
}

// Its classifier was said to lack a pre_classifier, as if the files did not belong together.
#[test]
fn a_berts_own_classifier_is_refused_for_what_it_is() {
    let dir = rewrite("tiny-bert", |tensors| {
        for part in ["weight", "bias"] {
            tensors.remove(&format!("pre_classifier.{part}")).unwrap();
        }
        for (name, tensor) in std::mem::take(tensors) {
            let layer = name.strip_prefix("distilbert.transformer.layer.");
            let name = match layer.and_then(|rest| rest.split_once('.')) {
                Some((layer_idx, part)) => {
                    let part = part
                        .replace("attention.q_lin", "attention.self.query")
                        .replace("attention.k_lin", "attention.self.key")
                        .replace("attention.v_lin", "attention.self.value")
                        .replace("attention.out_lin", "attention.output.dense")
                        .replace("sa_layer_norm", "attention.output.LayerNorm")
                        .replace("ffn.lin1", "intermediate.dense")
                        .replace("ffn.lin2", "output.dense")
                        .replace("output_layer_norm", "output.LayerNorm");
                    format!("bert.encoder.layer.{layer_idx}.{part}")
                }
                None => name.replace("distilbert.", "bert."),
            };
            tensors.insert(name, tensor);
        }
    });
    let error = open(dir.path(), Head::Required).unwrap_err();
    assert!(error.to_string().contains("needs the BERT's pooler"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("--checkpoint DIR"), "{error}");
    assert!(!open(dir.path(), Head::Optional).unwrap().has_head);
}

#[test]
fn damaged_files_are_clear_errors() {
    let dir = copy("tiny-distilbert");
    let path = dir.path().join(WEIGHTS_FILE);
    let whole = fs::read(&path).unwrap();
    for (bytes, case) in [
        (&whole[..whole.len() - 1], "cut off in the weights"),
        (&whole[..100], "cut off in the header"),
        (&whole[..3], "cut off in the length"),
        (b"version https://git-lfs.github.com/spec/v1".as_slice(), "a pointer"),
        (b"".as_slice(), "empty"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = open(dir.path(), Head::Required).unwrap_err();
        assert!(error.to_string().contains("is not a whole safetensors file"), "{case}: {error}");
    }
    fs::remove_file(&path).unwrap();
    let error = open(dir.path(), Head::Required).unwrap_err();
    assert!(error.to_string().contains("\"model.safetensors\" is missing"), "{error}");
}

/// A copy of a fixture whose weights are cut into two files, as `save_pretrained` does it.
fn sharded(name: &str) -> tempfile::TempDir {
    let dir = copy(name);
    fs::remove_file(dir.path().join(WEIGHTS_FILE)).unwrap();
    let mut shards = [Tensors::default(), Tensors::default()];
    let mut weight_map = serde_json::Map::new();
    let stored = Tensors::map(&folder(name).join(WEIGHTS_FILE)).unwrap();
    for (tensor_idx, (tensor, values)) in stored.into_iter().enumerate() {
        let shard = tensor_idx % 2;
        weight_map.insert(tensor.clone(), shard_name(shard).into());
        shards[shard].insert(tensor, values);
    }
    for (shard, tensors) in shards.iter().enumerate() {
        tensors.save(&dir.path().join(shard_name(shard))).unwrap();
    }
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": weight_map});
    fs::write(dir.path().join(INDEX), index.to_string()).unwrap();
    dir
}

const INDEX: &str = "model.safetensors.index.json";

fn shard_name(shard: usize) -> String {
    format!("model-0000{}-of-00002.safetensors", shard + 1)
}

#[test]
fn weights_in_several_files_are_those_of_one() {
    let expected = open(&folder("tiny-distilbert"), Head::Required).unwrap();
    let dir = sharded("tiny-distilbert");
    assert_eq!(open(dir.path(), Head::Required).unwrap().tensors, expected.tensors);
    let mut files = BTreeMap::from([
        (CONFIG_FILE.to_owned(), folder("tiny-distilbert").join(CONFIG_FILE)),
        ("all.bin".to_owned(), folder("tiny-distilbert").join(PYTORCH_FILE)),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let names = Tensors::map(&folder("tiny-distilbert").join(WEIGHTS_FILE)).unwrap();
    let map: serde_json::Map<_, _> =
        names.iter().map(|(name, _)| (name.to_owned(), "all.bin".into())).collect();
    let index = dir.path().join("index");
    fs::write(&index, serde_json::json!({"weight_map": map}).to_string()).unwrap();
    files.insert(format!("{PYTORCH_FILE}.index.json"), index);
    let read = Checkpoint::open(&ModelFiles::new(files), Head::Required).unwrap();
    assert_eq!(read.tensors, expected.tensors);
}

#[test]
fn what_an_index_lacks_is_named() {
    let says = |change: &dyn Fn(&Path), expected: &str| {
        let dir = sharded("tiny-distilbert");
        change(dir.path());
        let error = open(dir.path(), Head::Required).unwrap_err();
        assert!(error.chain().contains(expected), "{}", error.chain());
        assert!(error.chain().contains(INDEX), "{}", error.chain());
    };
    says(
        &|dir| fs::remove_file(dir.join(shard_name(1))).unwrap(),
        "1 of the 2 files of weights are missing: model-00002-of-00002.safetensors",
    );
    says(
        &|dir| {
            fs::copy(dir.join(shard_name(1)), dir.join(shard_name(0))).unwrap();
        },
        "is not in model-00001-of-00002.safetensors",
    );
    says(&|dir| fs::write(dir.join(INDEX), "{}").unwrap(), "not an index of weights");
    says(
        &|dir| {
            let text = fs::read_to_string(dir.join(INDEX)).unwrap();
            fs::write(dir.join(INDEX), text.replace(&shard_name(0), "../x")).unwrap();
        },
        "are missing: ../x",
    );
    says(
        &|dir| fs::write(dir.join(shard_name(0)), "version https://git-lfs").unwrap(),
        "not a whole safetensors file",
    );
}

#[test]
fn another_number_type_is_named() {
    let dir = copy("tiny-distilbert");
    let path = dir.path().join(WEIGHTS_FILE);
    let bytes = fs::read(&path).unwrap();
    // The header of this file has the same length with the name of a type of the same size.
    let at = bytes.windows(5).position(|window| window == b"\"F32\"").unwrap();
    let mut changed = bytes.clone();
    changed[at..at + 5].copy_from_slice(b"\"I32\"");
    fs::write(&path, changed).unwrap();
    let error = open(dir.path(), Head::Required).unwrap_err();
    assert!(error.to_string().contains("of I32"), "{error}");
}
