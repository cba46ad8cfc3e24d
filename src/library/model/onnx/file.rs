//! An ONNX model and its file. Weights are written one after the other, so that no second copy of them is in
//! memory.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use prost::{Message as _, encode_length_delimiter, length_delimiter_len};

use super::message::{
    ElementType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
};
use crate::error::{Error, ErrorKind, Result};

/// The bytes that announce `ModelProto.graph`, `GraphProto.initializer` and `TensorProto.raw_data`: field
/// numbers 7, 5 and 9, each of a length that follows.
const GRAPH: u8 = 7 << 3 | 2;
const INITIALIZER: u8 = 5 << 3 | 2;
const RAW_DATA: u8 = 9 << 3 | 2;
/// Readers of Protocol Buffers take no larger message.
const MAX_BYTES: u64 = i32::MAX as u64;

/// A model that is ready to be written.
pub(in crate::model) struct OnnxModel<'a> {
    /// The graph without the weights that follow.
    pub(in crate::model) graph: GraphProto,
    pub(in crate::model) weights: Vec<Weight<'a>>,
    /// The version of the format, which has to know the operators.
    pub(in crate::model) ir_version: i64,
    /// The version of each domain's operators.
    pub(in crate::model) opsets: Vec<(&'static str, i64)>,
    /// What a program finds beside the graph, by keys.
    pub(in crate::model) metadata: Vec<(&'static str, String)>,
}

/// Numbers in 32 bits that are read when they are written.
pub(in crate::model) struct Weight<'a> {
    pub(in crate::model) name: String,
    pub(in crate::model) shape: Vec<usize>,
    /// The numbers, row-major: as many as the shape says.
    pub(in crate::model) read: Box<dyn Fn() -> Result<Vec<f32>> + 'a>,
}

impl Weight<'_> {
    fn n_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// The message but for its numbers.
    fn header(&self) -> Vec<u8> {
        let header = TensorProto {
            dims: self.shape.iter().map(|size| *size as i64).collect(),
            data_type: Some(ElementType::Float.into()),
            name: Some(self.name.clone()),
            ..TensorProto::default()
        };
        header.encode_to_vec()
    }

    fn n_bytes(&self, header: &[u8]) -> usize {
        header.len() + n_delimited(4 * self.n_values())
    }

    fn write(&self, out: &mut impl Write) -> Result<io::Result<()>> {
        let header = self.header();
        let values = (self.read)()?;
        if values.len() != self.n_values() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{}: {} numbers for {:?}", self.name, values.len(), self.shape),
            ));
        }
        let mut write = || {
            announce(out, INITIALIZER, self.n_bytes(&header))?;
            out.write_all(&header)?;
            announce(out, RAW_DATA, 4 * values.len())?;
            values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
        };
        Ok(write())
    }
}

impl OnnxModel<'_> {
    /// Writes the file `path`.
    ///
    /// # Errors
    /// Weights that cannot be read, a model of more than 2 GiB, and when the system refuses.
    pub(in crate::model) fn save(&self, path: &Path) -> Result<()> {
        let fail = |source| Error::io("write", path, source);
        let file = File::create(path).map_err(fail)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        self.write(&mut out)?.and_then(|()| out.flush()).map_err(fail)
    }

    /// Writes the model; the inner error is that of `out`.
    fn write(&self, out: &mut impl Write) -> Result<io::Result<()>> {
        let entry = |(key, value): &(&str, String)| StringStringEntryProto {
            key: Some((*key).to_owned()),
            value: Some(value.clone()),
        };
        let opset = |(domain, version): &(&str, i64)| OperatorSetIdProto {
            domain: Some((*domain).to_owned()),
            version: Some(*version),
        };
        let model = ModelProto {
            ir_version: Some(self.ir_version),
            producer_name: Some("trialbook".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: None,
            opset_import: self.opsets.iter().map(opset).collect(),
            metadata_props: self.metadata.iter().map(entry).collect(),
        };
        let model = model.encode_to_vec();
        let of_weight = |weight: &Weight<'_>| n_delimited(weight.n_bytes(&weight.header()));
        let n_graph = self.graph.encoded_len() + self.weights.iter().map(of_weight).sum::<usize>();
        let n_bytes = (model.len() + n_delimited(n_graph)) as u64;
        if n_bytes > MAX_BYTES {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("the model takes {n_bytes} bytes: an ONNX file has {MAX_BYTES} at most"),
            ));
        }
        let begin = |out: &mut dyn Write| {
            out.write_all(&model)?;
            announce(out, GRAPH, n_graph)?;
            out.write_all(&self.graph.encode_to_vec())
        };
        if let Err(error) = begin(out) {
            return Ok(Err(error));
        }
        for weight in &self.weights {
            if let Err(error) = weight.write(out)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// Bytes of a field of `n_bytes` whose number is below 16.
fn n_delimited(n_bytes: usize) -> usize {
    1 + length_delimiter_len(n_bytes) + n_bytes
}

/// Writes what stands before a field of `n_bytes`.
fn announce<W: Write + ?Sized>(out: &mut W, field: u8, n_bytes: usize) -> io::Result<()> {
    let mut head = vec![field];
    encode_length_delimiter(n_bytes, &mut head).map_err(io::Error::other)?;
    out.write_all(&head)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{
        super::{GraphBuilder, message::AttributeProto},
        *,
    };

    type Shaped = (String, Vec<usize>, Vec<f32>);

    fn weights() -> impl Strategy<Value = Vec<Shaped>> {
        let shape = vec(0_usize..5, 0..4);
        let weight = ("[a-z.]{0,20}", shape).prop_flat_map(|(name, shape)| {
            let n_values = shape.iter().product::<usize>();
            (Just(name), Just(shape), vec(any::<f32>(), n_values))
        });
        vec(weight, 0..40)
    }

    proptest! {
        // Weights are announced with their sizes before they are written.
        #[test]
        fn what_is_written_is_the_message_itself(
            weights in weights(),
            names in vec("\\PC{0,8}", 0..20),
            numbers in vec(any::<i64>(), 0..20),
        ) {
            let mut graph = GraphBuilder::new("test");
            graph.strings(&names);
            graph.ints(&numbers);
            let attributes = vec![
                AttributeProto::texts("names", &names),
                AttributeProto::ints("numbers", numbers),
                AttributeProto::float("zero", 0.0),
                AttributeProto::int("none", 0),
                AttributeProto::text("nothing", ""),
            ];
            graph.node("Identity", &["x", ""], attributes);
            let graph = graph.finish();
            let of = |(name, shape, values): &Shaped| {
                let values = values.clone();
                let read: Box<dyn Fn() -> Result<Vec<f32>>> = Box::new(move || Ok(values.clone()));
                Weight { name: name.clone(), shape: shape.clone(), read }
            };
            let model = OnnxModel {
                graph: graph.clone(),
                weights: weights.iter().map(of).collect(),
                ir_version: 8,
                opsets: vec![("", 17)],
                metadata: vec![("key", "value".to_owned())],
            };
            let mut bytes = Vec::new();
            model.write(&mut bytes).unwrap().unwrap();
            let read = ModelProto::decode(bytes.as_slice()).unwrap();
            let mut expected = graph;
            for (name, shape, values) in &weights {
                let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                expected.initializer.push(TensorProto {
                    dims: shape.iter().map(|size| *size as i64).collect(),
                    data_type: Some(ElementType::Float.into()),
                    name: Some(name.clone()),
                    raw_data: Some(raw.into()),
                    ..TensorProto::default()
                });
            }
            prop_assert_eq!(read.graph, Some(expected));
            prop_assert_eq!(read.opset_import.len(), 1);
            prop_assert_eq!(read.metadata_props[0].value(), "value");
            // As long as another encoder makes it.
            let again = ModelProto::decode(bytes.as_slice()).unwrap().encode_to_vec();
            prop_assert_eq!(again.len(), bytes.len());
        }
    }

    #[test]
    fn weights_that_are_not_what_was_announced_are_an_error_of_ours() {
        let model = |shape: Vec<usize>, n_values: usize| OnnxModel {
            graph: GraphProto::default(),
            weights: vec![Weight {
                name: "w".to_owned(),
                shape,
                read: Box::new(move || Ok(vec![0.0; n_values])),
            }],
            ir_version: 8,
            opsets: Vec::new(),
            metadata: Vec::new(),
        };
        let error = model(vec![2, 3], 5).write(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "w: 5 numbers for [2, 3]");
        // Nothing of it is written.
        let mut out = Vec::new();
        let error = model(vec![1 << 15, 1 << 15], 0).write(&mut out).unwrap_err();
        assert!(error.to_string().contains("an ONNX file has 2147483647 at most"), "{error}");
        assert!(out.is_empty());
    }
}
