//! Finding the weights of a graph: which constant is added as which bias, and what it is added to.

use std::collections::{BTreeMap, HashMap};

use crate::{
    error::{Error, Result},
    model::onnx::message::{GraphProto, NodeProto, TensorProto},
};

/// Operators that compute with weights in 8 bits.
const INTEGER_OPERATORS: [&str; 5] = [
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearMatMul",
    "QuantizeLinear",
];

/// How a weight lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WeightLayout {
    /// As PyTorch has it.
    AsNamed,
    /// A product's, as `[n_in, n_out]`.
    Turned,
}

/// A graph in which values can be looked up.
pub(super) struct WeightGraph {
    nodes: Vec<NodeProto>,
    constants: HashMap<String, TensorProto>,
    /// The node that each value comes from.
    producers: HashMap<String, usize>,
    /// The nodes that take each value.
    consumers: HashMap<String, Vec<usize>>,
}

impl WeightGraph {
    /// # Errors
    /// A graph whose weights are not those that were exported.
    pub(super) fn new(graph: GraphProto) -> Result<Self> {
        let GraphProto { node: nodes, initializer, .. } = graph;
        if let Some(node) = nodes.iter().find(|node| is_rewritten(node)) {
            let domain = node.domain.as_deref().filter(|domain| !domain.is_empty());
            return Err(Error::invalid(format!(
                "its operator {}{} is none of a DistilBERT as it is exported",
                node.op_type(),
                domain.map(|domain| format!(" of {domain}")).unwrap_or_default()
            ))
            .with_hint("export it without --optimize and without quantisation"));
        }
        let mut constants: HashMap<String, TensorProto> = initializer
            .into_iter()
            .filter_map(|tensor| Some((tensor.name.clone()?, tensor)))
            .collect();
        let mut producers = HashMap::new();
        let mut consumers: HashMap<String, Vec<usize>> = HashMap::new();
        for (node_idx, node) in nodes.iter().enumerate() {
            for output in &node.output {
                producers.insert(output.clone(), node_idx);
            }
            for input in &node.input {
                consumers.entry(input.clone()).or_default().push(node_idx);
            }
            if let ("Constant", [output], [value]) =
                (node.op_type(), &node.output[..], &node.attribute[..])
                && let Some(tensor) = &value.t
            {
                constants.insert(output.clone(), tensor.as_ref().clone());
            }
        }
        Ok(Self { nodes, constants, producers, consumers })
    }

    /// Every weight with PyTorch's name for it.
    pub(super) fn weights(&self) -> Vec<(String, &TensorProto, WeightLayout)> {
        let names = self.constants.keys().chain(self.producers.keys());
        let named = names.filter(|name| name.ends_with(".weight") || name.ends_with(".bias"));
        let mut weights: BTreeMap<String, (&TensorProto, WeightLayout)> = named
            .filter_map(|name| Some((name.clone(), (self.constant(name)?, WeightLayout::AsNamed))))
            .collect();
        let biases: Vec<String> =
            weights.keys().filter(|name| name.ends_with(".bias")).cloned().collect();
        for bias in &biases {
            let takers = self.consumers.get(bias).into_iter().flatten();
            let found = takers.filter_map(|node_idx| self.nodes.get(*node_idx));
            if let Some(weight) = found.filter_map(|node| self.weight_beside(bias, node)).next() {
                let stem = bias.strip_suffix(".bias").unwrap_or(bias);
                weights.insert(format!("{stem}.weight"), weight);
            }
        }
        weights.into_iter().map(|(name, (tensor, layout))| (name, tensor, layout)).collect()
    }

    /// The weight of the product that `node` adds `bias` to.
    fn weight_beside(&self, bias: &str, node: &NodeProto) -> Option<(&TensorProto, WeightLayout)> {
        match (node.op_type(), &node.input[..]) {
            ("Gemm", [_, weight, _]) => {
                let turn = node.attribute.iter().find(|attribute| attribute.name() == "transB");
                let is_named = turn.is_some_and(|turn| turn.i() != 0);
                self.factor(weight, is_named)
            }
            ("Add", [one, other]) => {
                let sum = if one == bias { other } else { one };
                let product = self.producer(sum).filter(|node| node.op_type() == "MatMul")?;
                self.factor(product.input.get(1)?, false)
            }
            _ => None,
        }
    }

    /// The constant `value`, or the one that it is turned from.
    fn factor(&self, value: &str, is_named: bool) -> Option<(&TensorProto, WeightLayout)> {
        let layout = |is_named| if is_named { WeightLayout::AsNamed } else { WeightLayout::Turned };
        if let Some(constant) = self.constant(value) {
            return Some((constant, layout(is_named)));
        }
        let turn = self.producer(value).filter(|node| node.op_type() == "Transpose")?;
        let is_turn = turn.attribute.iter().all(|it| it.name() != "perm" || it.ints == [1, 0]);
        let constant = self.constant(turn.input.first()?)?;
        is_turn.then_some((constant, layout(!is_named)))
    }

    /// The constant that `value` is, be it by another name.
    fn constant(&self, value: &str) -> Option<&TensorProto> {
        self.constants.get(self.original(value))
    }

    fn producer(&self, value: &str) -> Option<&NodeProto> {
        self.nodes.get(*self.producers.get(self.original(value))?)
    }

    /// The value that `value` is another name for: an exporter keeps equal constants once.
    fn original<'a>(&'a self, value: &'a str) -> &'a str {
        let mut name = value;
        // As often as there are nodes: a graph that goes round has no end.
        for _ in 0..self.nodes.len() {
            let node = self.producers.get(name).and_then(|node_idx| self.nodes.get(*node_idx));
            match node.map(|node| (node.op_type(), &node.input[..])) {
                Some(("Identity", [input])) => name = input,
                _ => break,
            }
        }
        name
    }
}

/// True for a node that stands only in graphs that were quantised or rewritten for ONNX Runtime.
fn is_rewritten(node: &NodeProto) -> bool {
    !["", "ai.onnx"].contains(&node.domain()) || INTEGER_OPERATORS.contains(&node.op_type())
}
