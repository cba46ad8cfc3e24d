//! What Optimum wrote of `tiny-distilbert` (`tests/fixtures/make_optimum.py`), graphs of other exporters, and
//! damaged files.

use std::{fs, path::PathBuf};

use prost::Message as _;

use super::{super::*, *};
use crate::model::{
    ModelFiles,
    onnx::{
        ONNX_FILE,
        message::{
            AttributeProto, DataLocation, ElementType, GraphProto, ModelProto, NodeProto,
            StringStringEntryProto, TensorProto,
        },
    },
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

fn optimum() -> ModelProto {
    let bytes = fs::read(folder("optimum-distilbert").join(ONNX_FILE)).unwrap();
    ModelProto::decode(bytes.as_slice()).unwrap()
}

/// The checkpoint with these bytes as its `model.onnx`, beside these other files.
fn opened(bytes: &[u8], others: &[(&str, &[u8])]) -> Result<Checkpoint> {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(folder("optimum-distilbert").join(CONFIG_FILE), dir.path().join(CONFIG_FILE)).unwrap();
    for (name, bytes) in [(ONNX_FILE, bytes)].iter().chain(others) {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    Checkpoint::open(&ModelFiles::in_dir(dir.path())?, MissingHead::Required)
}

/// The error of Optimum's model after `change`.
fn refused(change: impl Fn(&mut ModelProto)) -> String {
    let mut model = optimum();
    change(&mut model);
    opened(&model.encode_to_vec(), &[]).unwrap_err().to_string()
}

fn expected() -> Tensors {
    let files = ModelFiles::in_dir(&folder("tiny-distilbert")).unwrap();
    Checkpoint::open(&files, MissingHead::Required).unwrap().tensors
}

#[test]
fn optimums_weights_are_those_of_the_checkpoint_bit_by_bit() {
    let files = ModelFiles::in_dir(&folder("optimum-distilbert")).unwrap();
    let read = Checkpoint::open(&files, MissingHead::Required).unwrap();
    assert_eq!(read.tensors, expected());
    assert_eq!(read.report, LoadReport::default());
}

#[test]
fn weights_are_found_however_an_exporter_spells_the_product() {
    let q_lin = "distilbert.transformer.layer.0.attention.q_lin";
    let check = |change: &dyn Fn(&mut GraphProto)| {
        let mut model = optimum();
        change(model.graph.as_mut().unwrap());
        let read = opened(&model.encode_to_vec(), &[]).unwrap();
        assert_eq!(read.tensors, expected());
    };
    let product = |graph: &GraphProto| {
        let is_sum = |node: &&NodeProto| node.input.contains(&format!("{q_lin}.bias"));
        let sum = graph.node.iter().find(is_sum).unwrap();
        let of = sum.input.iter().find(|input| !input.ends_with(".bias")).unwrap().clone();
        graph.node.iter().position(|node| node.output == [of.clone()]).unwrap()
    };
    // The bias last.
    check(&|graph| {
        for node in graph.node.iter_mut().filter(|node| node.op_type() == "Add") {
            node.input.reverse();
        }
    });
    // The weight by its name, turned by a node, as PyTorch's newer exporter has it.
    check(&|graph| {
        let node_idx = product(graph);
        let stored = graph.node[node_idx].input[1].clone();
        let tensor = graph.initializer.iter_mut().find(|it| it.name() == stored).unwrap();
        let [n_in, n_out] = [tensor.dims[0] as usize, tensor.dims[1] as usize];
        let bytes = tensor.raw_data.clone().unwrap();
        let number = |row: usize, column: usize| {
            let start = 4 * (row * n_out + column);
            bytes[start..start + 4].to_vec()
        };
        let numbers = (0..n_out).flat_map(|column| (0..n_in).map(move |row| (row, column)));
        tensor.raw_data =
            Some(numbers.flat_map(|(row, column)| number(row, column)).collect::<Vec<u8>>().into());
        tensor.dims.reverse();
        tensor.name = Some(format!("{q_lin}.weight"));
        graph.node[node_idx].input[1] = "turned".to_owned();
        graph.node.push(NodeProto {
            input: vec![format!("{q_lin}.weight")],
            output: vec!["turned".to_owned()],
            op_type: Some("Transpose".to_owned()),
            attribute: vec![AttributeProto::ints("perm", [1, 0])],
            ..NodeProto::default()
        });
    });
    // Equal constants kept once, with another name for the second.
    check(&|graph| {
        for name in [format!("{q_lin}.bias"), "distilbert.embeddings.LayerNorm.weight".to_owned()] {
            let tensor = graph.initializer.iter_mut().find(|it| it.name() == name).unwrap();
            tensor.name = Some(format!("onnx::{name}"));
            graph.node.push(NodeProto {
                input: vec![format!("onnx::{name}")],
                output: vec![name],
                op_type: Some("Identity".to_owned()),
                ..NodeProto::default()
            });
        }
    });
    // Numbers in the field of their type, and constants that are nodes.
    check(&|graph| {
        for tensor in &mut graph.initializer {
            if tensor.data_type() == ElementType::Float {
                let bytes = tensor.raw_data.take().unwrap();
                let numbers = bytes.chunks_exact(4).map(|four| four.try_into().unwrap());
                tensor.float_data = numbers.map(f32::from_le_bytes).collect();
            }
        }
        let last = graph.initializer.pop().unwrap();
        graph.node.push(NodeProto {
            output: vec![last.name.clone().unwrap()],
            op_type: Some("Constant".to_owned()),
            attribute: vec![AttributeProto {
                name: Some("value".to_owned()),
                t: Some(Box::new(last)),
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        });
    });
}

#[test]
fn weights_beside_the_model_are_read_from_their_file() {
    let mut model = optimum();
    let mut apart = vec![0; 24];
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        let bytes = tensor.raw_data.take().unwrap();
        tensor.external_data = vec![
            entry("location", "weights.data".to_owned()),
            entry("offset", apart.len().to_string()),
            entry("length", bytes.len().to_string()),
        ];
        tensor.data_location = Some(DataLocation::External.into());
        apart.extend_from_slice(&bytes);
    }
    let bytes = model.encode_to_vec();
    assert_eq!(opened(&bytes, &[("weights.data", &apart)]).unwrap().tensors, expected());
    let missing = opened(&bytes, &[]).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("\"weights.data\" is missing"), "{missing}");
    let cut = opened(&bytes, &[("weights.data", &apart[..apart.len() / 2])]).unwrap_err();
    assert!(cut.to_string().contains("are not in weights.data"), "{cut}");
    // A file elsewhere is none of the model's.
    for place in ["../weights.data", "/etc/passwd", ""] {
        let mut model = model.clone();
        for tensor in &mut model.graph.as_mut().unwrap().initializer {
            tensor.external_data[0].value = Some(place.to_owned());
        }
        let error = opened(&model.encode_to_vec(), &[("weights.data", &apart)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{place}: {error}");
    }
}

#[test]
fn what_is_no_exported_distilbert_is_said_in_one_error() {
    let check = |found: String, part: &str| assert!(found.contains(part), "{found}");
    let first = |model: &mut ModelProto, change: &dyn Fn(&mut NodeProto)| {
        change(&mut model.graph.as_mut().unwrap().node[0]);
    };
    check(
        refused(|model| first(model, &|node| node.domain = Some("com.microsoft".to_owned()))),
        "of com.microsoft is none of a DistilBERT as it is exported",
    );
    check(
        refused(|model| first(model, &|node| node.op_type = Some("MatMulInteger".to_owned()))),
        "its operator MatMulInteger is none of",
    );
    check(refused(|model| model.opset_import[0].version = Some(6)), "with version 6 of ONNX's");
    check(refused(|model| model.opset_import.clear()), "with no version of ONNX's operators");
    check(refused(|model| model.graph = None), "are not a whole ONNX model");
    check(
        refused(|model| model.graph.as_mut().unwrap().node.clear()),
        "distilbert.transformer.layer.0.attention.q_lin.weight [32, 32] is missing",
    );
    let tensor = |change: &dyn Fn(&mut TensorProto)| {
        refused(|model| change(&mut model.graph.as_mut().unwrap().initializer[0]))
    };
    check(tensor(&|tensor| tensor.dims = vec![108, -32]), "its shape is [108, -32]");
    check(tensor(&|tensor| tensor.dims = vec![i64::MAX, i64::MAX]), "its shape is [");
    check(tensor(&|tensor| tensor.dims = vec![108, 31]), "13824 bytes for [108, 31] of F32");
    check(tensor(&|tensor| tensor.raw_data = None), "0 bytes for [108, 32] of F32");
    check(
        tensor(&|tensor| tensor.data_type = Some(ElementType::Double.into())),
        "found [108, 32] of Double",
    );
    check(tensor(&|tensor| tensor.data_type = Some(99)), "found [108, 32] of Undefined");
}

#[test]
fn graphs_that_go_round_are_passed_over() {
    let error = refused(|model| {
        let graph = model.graph.as_mut().unwrap();
        let node = |input: &str, output: &str| NodeProto {
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            op_type: Some("Identity".to_owned()),
            ..NodeProto::default()
        };
        graph.initializer.retain(|tensor| tensor.name() != "classifier.bias");
        graph.node.push(node("round", "classifier.bias"));
        graph.node.push(node("classifier.bias", "round"));
    });
    assert!(error.contains("classifier.bias [2] is missing"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let whole = fs::read(folder("optimum-distilbert").join(ONNX_FILE)).unwrap();
    for length in (0..whole.len()).step_by(1499) {
        let error = opened(&whole[..length], &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}");
    }
    for place in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xff;
        // A changed weight is a weight: all that is asked is an answer.
        let _ = opened(&damaged, &[]);
    }
    assert!(opened(b"version https://git-lfs.github.com/spec/v1\n", &[]).is_err());
}
