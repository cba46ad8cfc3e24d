//! A graph that is put together node by node. It gives every value a name and refuses to know what the
//! operators compute.

use bytes::Bytes;

use super::message::{
    AttributeProto, AttributeType, DimensionProto, DimensionSize, ElementType, GraphProto,
    NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// An operator: one of ONNX itself, or of another domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Operator {
    Standard(&'static str),
    /// `ai.onnx.ml`: those of classical models, which ONNX defines too.
    Classical(&'static str),
    /// `com.microsoft`: ONNX Runtime's own.
    Microsoft(&'static str),
}

impl Operator {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Standard(name) => ("", name),
            Self::Classical(name) => ("ai.onnx.ml", name),
            Self::Microsoft(name) => ("com.microsoft", name),
        }
    }
}

impl From<&'static str> for Operator {
    fn from(name: &'static str) -> Self {
        Self::Standard(name)
    }
}

/// Nodes and constants of one graph.
#[derive(Debug, Default)]
pub(in crate::model) struct GraphBuilder {
    /// The beginning of every value's name, which no other graph of the model has.
    prefix: &'static str,
    graph: GraphProto,
    n_values: usize,
}

impl GraphBuilder {
    /// An empty graph whose values' names begin with `prefix`.
    pub(in crate::model) fn new(prefix: &'static str) -> Self {
        let graph = GraphProto { name: Some(prefix.to_owned()), ..GraphProto::default() };
        Self { prefix, graph, n_values: 0 }
    }

    /// A value's name that is not taken yet.
    fn fresh(&mut self, of: &str) -> String {
        self.n_values += 1;
        format!("{}_{of}_{}", self.prefix, self.n_values)
    }

    /// Adds a node; returns the name of its only output.
    pub(in crate::model) fn node(
        &mut self,
        operator: impl Into<Operator>,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let operator = operator.into();
        let output = self.fresh(operator.parts().1);
        self.named(operator, inputs, attributes, &[&output]);
        output
    }

    /// Adds a node whose outputs have these names.
    pub(in crate::model) fn named(
        &mut self,
        operator: impl Into<Operator>,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        outputs: &[&str],
    ) {
        let (domain, op_type) = operator.into().parts();
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.graph.node.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: Some(format!("{}_node_{}", self.prefix, self.graph.node.len())),
            op_type: Some(op_type.to_owned()),
            attribute: attributes,
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
        });
    }

    /// Adds a constant; returns its name.
    fn constant(&mut self, mut tensor: TensorProto) -> String {
        let name = self.fresh("constant");
        tensor.name = Some(name.clone());
        self.graph.initializer.push(tensor);
        name
    }

    fn raw(&mut self, of: ElementType, dims: &[usize], bytes: Vec<u8>) -> String {
        self.constant(TensorProto {
            dims: dims.iter().map(|size| *size as i64).collect(),
            data_type: Some(of.into()),
            raw_data: Some(bytes.into()),
            ..TensorProto::default()
        })
    }

    /// A list of whole numbers.
    pub(in crate::model) fn ints(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(ElementType::Int64, &[values.len()], bytes)
    }

    /// A whole number.
    pub(in crate::model) fn int(&mut self, value: i64) -> String {
        self.raw(ElementType::Int64, &[], value.to_le_bytes().to_vec())
    }

    /// A number in 32 bits.
    pub(in crate::model) fn float(&mut self, value: f32) -> String {
        self.raw(ElementType::Float, &[], value.to_le_bytes().to_vec())
    }

    /// Numbers in 64 bits, row-major.
    pub(in crate::model) fn doubles(&mut self, dims: &[usize], values: &[f64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(ElementType::Double, dims, bytes)
    }

    /// A number in 64 bits.
    pub(in crate::model) fn double(&mut self, value: f64) -> String {
        self.doubles(&[], &[value])
    }

    /// A truth value, or a list of them.
    pub(in crate::model) fn bools(&mut self, dims: &[usize], values: &[bool]) -> String {
        let bytes = values.iter().map(|value| u8::from(*value)).collect();
        self.raw(ElementType::Bool, dims, bytes)
    }

    /// A list of strings.
    pub(in crate::model) fn strings<S: AsRef<str>>(&mut self, values: &[S]) -> String {
        self.constant(TensorProto {
            dims: vec![values.len() as i64],
            data_type: Some(ElementType::String.into()),
            string_data: bytes_of(values),
            ..TensorProto::default()
        })
    }

    /// Declares an input; a size is a number, or a name where each call chooses it.
    pub(in crate::model) fn input(&mut self, name: &str, of: ElementType, dims: &[DimensionSize]) {
        self.graph.input.push(value(name, of, dims));
    }

    /// Declares an output, as [`GraphBuilder::input`].
    pub(in crate::model) fn output(&mut self, name: &str, of: ElementType, dims: &[DimensionSize]) {
        self.graph.output.push(value(name, of, dims));
    }

    /// Says the type of a value that ONNX cannot tell, as [`GraphBuilder::input`]: one of an operator of
    /// another domain.
    pub(in crate::model) fn typed(&mut self, name: &str, of: ElementType, dims: &[DimensionSize]) {
        self.graph.value_info.push(value(name, of, dims));
    }

    /// The graph.
    pub(in crate::model) fn finish(self) -> GraphProto {
        self.graph
    }
}

impl DimensionSize {
    /// A size with a name.
    pub(in crate::model) fn named(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

fn value(name: &str, of: ElementType, dims: &[DimensionSize]) -> ValueInfoProto {
    let dim = dims.iter().map(|size| DimensionProto { value: Some(size.clone()) }).collect();
    let tensor_type =
        TensorTypeProto { elem_type: Some(of.into()), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
    }
}

fn bytes_of<S: AsRef<str>>(values: &[S]) -> Vec<Bytes> {
    values.iter().map(|value| Bytes::copy_from_slice(value.as_ref().as_bytes())).collect()
}

impl AttributeProto {
    fn of(name: &str, of: AttributeType) -> Self {
        Self { name: Some(name.to_owned()), r#type: Some(of.into()), ..Self::default() }
    }

    /// A whole number.
    pub(in crate::model) fn int(name: &str, value: i64) -> Self {
        Self { i: Some(value), ..Self::of(name, AttributeType::Int) }
    }

    /// A number.
    pub(in crate::model) fn float(name: &str, value: f32) -> Self {
        Self { f: Some(value), ..Self::of(name, AttributeType::Float) }
    }

    /// Whole numbers.
    pub(in crate::model) fn ints(name: &str, values: impl IntoIterator<Item = i64>) -> Self {
        Self { ints: values.into_iter().collect(), ..Self::of(name, AttributeType::Ints) }
    }

    /// A text.
    pub(in crate::model) fn text(name: &str, value: &str) -> Self {
        let s = Some(Bytes::copy_from_slice(value.as_bytes()));
        Self { s, ..Self::of(name, AttributeType::String) }
    }

    /// Texts.
    pub(in crate::model) fn texts<S: AsRef<str>>(name: &str, values: &[S]) -> Self {
        Self { strings: bytes_of(values), ..Self::of(name, AttributeType::Strings) }
    }

    /// A graph, such as the body of a loop.
    pub(in crate::model) fn graph(name: &str, graph: GraphProto) -> Self {
        Self { g: Some(Box::new(graph)), ..Self::of(name, AttributeType::Graph) }
    }
}
