//! The messages of ONNX that are written or read here, with the numbers of
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>. Fields that nobody here needs are left out: a
//! decoder passes over them.

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

/// A model: a graph, and the versions of the operators that it is made of.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct ModelProto {
    #[prost(int64, optional, tag = "1")]
    pub(in crate::model) ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::model) producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(in crate::model) producer_version: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub(in crate::model) graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::model) opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    pub(in crate::model) metadata_props: Vec<StringStringEntryProto>,
}

/// The version of one domain's operators.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct OperatorSetIdProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::model) domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub(in crate::model) version: Option<i64>,
}

/// A key with its value.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct StringStringEntryProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::model) key: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::model) value: Option<String>,
}

/// Nodes in an order in which they can be computed.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::model) node: Vec<NodeProto>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::model) name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::model) initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub(in crate::model) input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::model) output: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::model) value_info: Vec<ValueInfoProto>,
}

/// One call of an operator: values by their names.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::model) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(in crate::model) output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub(in crate::model) name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(in crate::model) op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::model) attribute: Vec<AttributeProto>,
    #[prost(string, optional, tag = "7")]
    pub(in crate::model) domain: Option<String>,
}

/// A setting of a node.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct AttributeProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::model) name: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(in crate::model) f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub(in crate::model) i: Option<i64>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(in crate::model) s: Option<Bytes>,
    #[prost(message, optional, boxed, tag = "5")]
    pub(in crate::model) t: Option<Box<TensorProto>>,
    #[prost(message, optional, boxed, tag = "6")]
    pub(in crate::model) g: Option<Box<GraphProto>>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(in crate::model) ints: Vec<i64>,
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub(in crate::model) strings: Vec<Bytes>,
    #[prost(enumeration = "AttributeType", optional, tag = "20")]
    pub(in crate::model) r#type: Option<i32>,
}

/// The field of an attribute that holds its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(in crate::model) enum AttributeType {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Ints = 7,
    Strings = 8,
}

/// A tensor with its numbers: in `raw_data`, in a field of their type, or in another file.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(in crate::model) dims: Vec<i64>,
    #[prost(enumeration = "ElementType", optional, tag = "2")]
    pub(in crate::model) data_type: Option<i32>,
    #[prost(float, repeated, tag = "4")]
    pub(in crate::model) float_data: Vec<f32>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(in crate::model) string_data: Vec<Bytes>,
    #[prost(string, optional, tag = "8")]
    pub(in crate::model) name: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub(in crate::model) raw_data: Option<Bytes>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::model) external_data: Vec<StringStringEntryProto>,
    #[prost(enumeration = "DataLocation", optional, tag = "14")]
    pub(in crate::model) data_location: Option<i32>,
}

/// The place of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(in crate::model) enum DataLocation {
    Default = 0,
    External = 1,
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(in crate::model) enum ElementType {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Bfloat16 = 16,
}

/// A named input or output.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct ValueInfoProto {
    #[prost(string, optional, tag = "1")]
    pub(in crate::model) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::model) r#type: Option<TypeProto>,
}

/// The type of a value; all of those here are tensors.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub(in crate::model) tensor_type: Option<TensorTypeProto>,
}

/// The elements and the shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct TensorTypeProto {
    #[prost(enumeration = "ElementType", optional, tag = "1")]
    pub(in crate::model) elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::model) shape: Option<TensorShapeProto>,
}

/// The sizes of a tensor, outermost first.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::model) dim: Vec<DimensionProto>,
}

/// One size of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(in crate::model) struct DimensionProto {
    #[prost(oneof = "DimensionSize", tags = "1, 2")]
    pub(in crate::model) value: Option<DimensionSize>,
}

/// A size that is fixed, or one with a name that each call chooses anew.
#[derive(Clone, PartialEq, Oneof)]
pub(in crate::model) enum DimensionSize {
    #[prost(int64, tag = "1")]
    Fixed(i64),
    #[prost(string, tag = "2")]
    Named(String),
}
