//! A DistilBERT with its classification head as an ONNX graph. Inputs, output and the names of the weights
//! are those of Optimum's exporter, so that its `ORTModelForSequenceClassification` opens it.

use super::{
    checkpoint::{Activation, Checkpoint, EncoderConfig, POSITION_TABLE, TOKEN_TABLE},
    tensors::Tensors,
};
use crate::model::onnx::{
    GraphBuilder, OnnxModel, Weight,
    message::{AttributeProto, DimensionSize, ElementType},
};

/// The version of ONNX's operators that has LayerNormalization, and that of the format that came with it.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;
/// ONNX's "to the end".
const END: i64 = i64::MAX;

/// The model that computes `checkpoint`'s logits, divided by `temperature`: their softmax is what this
/// program answers with.
pub(super) fn encoder_model(checkpoint: &Checkpoint, temperature: f64) -> OnnxModel<'_> {
    let Checkpoint { config, tensors, .. } = checkpoint;
    let mut writer = EncoderGraph {
        config,
        tensors,
        graph: GraphBuilder::new("distilbert"),
        weights: Vec::new(),
    };
    writer.write(temperature);
    let EncoderGraph { graph, weights, .. } = writer;
    OnnxModel {
        graph: graph.finish(),
        weights,
        ir_version: IR_VERSION,
        opsets: vec![("", OPSET)],
        metadata: Vec::new(),
    }
}

/// The graph so far.
struct EncoderGraph<'a> {
    config: &'a EncoderConfig,
    tensors: &'a Tensors,
    graph: GraphBuilder,
    weights: Vec<Weight<'a>>,
}

impl<'a> EncoderGraph<'a> {
    fn write(&mut self, temperature: f64) {
        let sizes = ["batch_size", "sequence_length"].map(DimensionSize::named);
        for input in ["input_ids", "attention_mask"] {
            self.graph.input(input, ElementType::Int64, &sizes);
        }
        let n_labels = DimensionSize::Fixed(self.config.n_labels() as i64);
        let [batch_size, _] = sizes;
        self.graph.output("logits", ElementType::Float, &[batch_size, n_labels]);
        let mask = self.mask();
        let shape = self.head_shape();
        let mut states = self.embeddings();
        for layer_idx in 0..self.config.n_layers {
            states = self.layer(layer_idx, &states, &mask, &shape);
        }
        self.head(&states, temperature);
    }

    fn op(&mut self, name: &'static str, inputs: &[&str]) -> String {
        self.graph.node(name, inputs, Vec::new())
    }

    /// Numbers that go into the file under their own name.
    fn weight(&mut self, name: &str) -> String {
        let shape = self.tensors.get(name).map_or_else(|_| Vec::new(), |it| it.shape().to_vec());
        let (tensors, owned) = (self.tensors, name.to_owned());
        let read = Box::new(move || {
            let values = tensors.values(&owned)?.to_vec();
            tensors.get(&owned)?.release();
            Ok(values)
        });
        self.weights.push(Weight { name: name.to_owned(), shape, read });
        name.to_owned()
    }

    /// The weight of a product, `[n_in, n_out]` as MatMul takes it.
    fn transposed(&mut self, name: &str) -> String {
        let stored = self.tensors.get(name).map_or_else(|_| Vec::new(), |it| it.shape().to_vec());
        let [n_out, n_in] = stored[..] else { return self.weight(name) };
        let (tensors, owned) = (self.tensors, name.to_owned());
        let read = Box::new(move || {
            let transposed = transpose(&tensors.values(&owned)?, n_in);
            tensors.get(&owned)?.release();
            Ok(transposed)
        });
        let name = format!("{name}.transposed");
        self.weights.push(Weight { name: name.clone(), shape: vec![n_in, n_out], read });
        name
    }

    /// `x · Wᵀ + b` for the states of all tokens.
    fn linear(&mut self, name: &str, states: &str) -> String {
        let weight = self.transposed(&format!("{name}.weight"));
        let bias = self.weight(&format!("{name}.bias"));
        let product = self.op("MatMul", &[states, &weight]);
        self.op("Add", &[&bias, &product])
    }

    fn norm(&mut self, name: &str, states: &str) -> String {
        let scale = self.weight(&format!("{name}.weight"));
        let shift = self.weight(&format!("{name}.bias"));
        let attributes = vec![
            AttributeProto::int("axis", -1),
            AttributeProto::float("epsilon", self.config.layer_norm_eps as f32),
        ];
        self.graph.node("LayerNormalization", &[states, &scale, &shift], attributes)
    }

    /// What is added to attention's scores: nothing, or so little that the token gets no weight.
    fn mask(&mut self) -> String {
        let to_float = AttributeProto::int("to", i32::from(ElementType::Float).into());
        let mask = self.graph.node("Cast", &["attention_mask"], vec![to_float]);
        let (one, lowest) = (self.graph.float(1.0), self.graph.float(f32::MIN));
        let masked = self.op("Sub", &[&one, &mask]);
        let masked = self.op("Mul", &[&masked, &lowest]);
        let axes = self.graph.ints(&[1, 2]);
        self.op("Unsqueeze", &[&masked, &axes])
    }

    /// `[batch, sequence, heads, width of a head]`, where 0 is the size that is there.
    fn head_shape(&mut self) -> String {
        let EncoderConfig { n_heads, width, .. } = *self.config;
        self.graph.ints(&[0, 0, n_heads as i64, (width / n_heads) as i64])
    }

    fn embeddings(&mut self) -> String {
        let table = self.weight(TOKEN_TABLE);
        let words = self.op("Gather", &[&table, "input_ids"]);
        let shape = self.op("Shape", &["input_ids"]);
        let [zero, one, end] = [0, 1, END].map(|value| self.graph.ints(&[value]));
        let length = self.op("Slice", &[&shape, &one, &end]);
        let table = self.weight(POSITION_TABLE);
        let positions = self.op("Slice", &[&table, &zero, &length]);
        let sum = self.op("Add", &[&words, &positions]);
        self.norm("distilbert.embeddings.LayerNorm", &sum)
    }

    fn layer(&mut self, layer_idx: usize, states: &str, mask: &str, shape: &str) -> String {
        let name = |part: &str| format!("distilbert.transformer.layer.{layer_idx}.{part}");
        let attended = self.attention(&name("attention"), states, mask, shape);
        let sum = self.op("Add", &[&attended, states]);
        let states = self.norm(&name("sa_layer_norm"), &sum);
        let hidden = self.linear(&name("ffn.lin1"), &states);
        let hidden = self.activation(&hidden);
        let output = self.linear(&name("ffn.lin2"), &hidden);
        let sum = self.op("Add", &[&output, &states]);
        self.norm(&name("output_layer_norm"), &sum)
    }

    fn attention(&mut self, name: &str, states: &str, mask: &str, shape: &str) -> String {
        let mut heads = |part: &str, order: [i64; 4]| {
            let projected = self.linear(&format!("{name}.{part}"), states);
            let split = self.op("Reshape", &[&projected, shape]);
            self.graph.node("Transpose", &[&split], vec![AttributeProto::ints("perm", order)])
        };
        let queries = heads("q_lin", [0, 2, 1, 3]);
        let keys = heads("k_lin", [0, 2, 3, 1]);
        let values = heads("v_lin", [0, 2, 1, 3]);
        let head_width = (self.config.width / self.config.n_heads) as f32;
        let scale = self.graph.float(head_width.sqrt().recip());
        let scores = self.op("MatMul", &[&queries, &keys]);
        let scores = self.op("Mul", &[&scores, &scale]);
        let scores = self.op("Add", &[&scores, mask]);
        let axis = vec![AttributeProto::int("axis", -1)];
        let shares = self.graph.node("Softmax", &[&scores], axis);
        let context = self.op("MatMul", &[&shares, &values]);
        let order = vec![AttributeProto::ints("perm", [0, 2, 1, 3])];
        let context = self.graph.node("Transpose", &[&context], order);
        let joined = self.graph.ints(&[0, 0, self.config.width as i64]);
        let context = self.op("Reshape", &[&context, &joined]);
        self.linear(&format!("{name}.out_lin"), &context)
    }

    fn activation(&mut self, x: &str) -> String {
        match self.config.activation {
            Activation::Relu => self.op("Relu", &[x]),
            Activation::Gelu => {
                let root = self.graph.float(std::f32::consts::SQRT_2);
                let scaled = self.op("Div", &[x, &root]);
                let function = self.op("Erf", &[&scaled]);
                self.gelu_of(x, &function)
            }
            Activation::GeluTanh => {
                let (three, factor) = (self.graph.float(3.0), self.graph.float(0.044_715));
                let scale = self.graph.float((2.0 / std::f32::consts::PI).sqrt());
                let cube = self.op("Pow", &[x, &three]);
                let cube = self.op("Mul", &[&cube, &factor]);
                let sum = self.op("Add", &[x, &cube]);
                let sum = self.op("Mul", &[&sum, &scale]);
                let function = self.op("Tanh", &[&sum]);
                self.gelu_of(x, &function)
            }
        }
    }

    /// `x · (1 + function) / 2`, in the order in which ONNX Runtime knows a GELU.
    fn gelu_of(&mut self, x: &str, function: &str) -> String {
        let (one, half) = (self.graph.float(1.0), self.graph.float(0.5));
        let sum = self.op("Add", &[function, &one]);
        let product = self.op("Mul", &[x, &sum]);
        self.op("Mul", &[&product, &half])
    }

    fn head(&mut self, states: &str, temperature: f64) {
        let first = self.graph.int(0);
        let axis = vec![AttributeProto::int("axis", 1)];
        let first = self.graph.node("Gather", &[states, &first], axis);
        let weight = self.weight("pre_classifier.weight");
        let bias = self.weight("pre_classifier.bias");
        let turned = || vec![AttributeProto::int("transB", 1)];
        let hidden = self.graph.node("Gemm", &[&first, &weight, &bias], turned());
        let hidden = self.op("Relu", &[&hidden]);
        let weight = self.weight("classifier.weight");
        let bias = self.weight("classifier.bias");
        if temperature == 1.0 {
            self.graph.named("Gemm", &[&hidden, &weight, &bias], turned(), &["logits"]);
            return;
        }
        let logits = self.graph.node("Gemm", &[&hidden, &weight, &bias], turned());
        let temperature = self.graph.float(temperature as f32);
        self.graph.named("Div", &[&logits, &temperature], Vec::new(), &["logits"]);
    }
}

/// `values` in rows of `n_columns` as columns.
fn transpose(values: &[f32], n_columns: usize) -> Vec<f32> {
    let column = |idx: usize| values.iter().skip(idx).step_by(n_columns).copied();
    (0..n_columns).flat_map(column).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use prost::Message as _;

    use super::*;
    use crate::model::{
        ModelFiles,
        neural::checkpoint::MissingHead,
        onnx::{ONNX_FILE, message::ModelProto},
    };

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
    }

    fn read(dir: &Path) -> ModelProto {
        ModelProto::decode(fs::read(dir.join(ONNX_FILE)).unwrap().as_slice()).unwrap()
    }

    #[test]
    fn a_distilbert_is_laid_out_as_optimum_does_and_comes_back_bit_by_bit() {
        let files = ModelFiles::in_dir(&fixture("tiny-distilbert")).unwrap();
        let checkpoint = Checkpoint::open(&files, MissingHead::Required).unwrap();
        let dir = tempfile::tempdir().unwrap();
        crate::model::neural::checkpoint::write_config(dir.path(), &checkpoint.config).unwrap();
        encoder_model(&checkpoint, 1.0).save(&dir.path().join(ONNX_FILE)).unwrap();
        let (ours, theirs) = (read(dir.path()), read(&fixture("optimum-distilbert")));
        let (ours, theirs) = (ours.graph.unwrap(), theirs.graph.unwrap());
        let names = |values: &[crate::model::onnx::message::ValueInfoProto]| {
            values.iter().map(|value| value.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&ours.input), names(&theirs.input));
        assert_eq!(names(&ours.output), names(&theirs.output));
        let weights = |graph: &crate::model::onnx::message::GraphProto| {
            let named = graph
                .initializer
                .iter()
                .filter(|it| it.name().ends_with(".weight") || it.name().ends_with(".bias"));
            let named = named.map(|it| (it.name().to_owned(), it.dims.clone()));
            named.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(weights(&ours), weights(&theirs));
        let files = ModelFiles::in_dir(dir.path()).unwrap();
        let again = Checkpoint::open(&files, MissingHead::Required).unwrap();
        assert_eq!(again.tensors, checkpoint.tensors);
        assert!(again.report.note().is_none());
    }

    #[test]
    fn rows_become_columns() {
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
