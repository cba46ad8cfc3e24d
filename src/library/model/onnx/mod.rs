//! ONNX, the format of <https://github.com/onnx/onnx/blob/main/docs/IR.md>: its messages, a model that is put
//! together node by node, and its file. Which graph computes a model's answers is known where the model is.
//!
//! The crates that know ONNX whole (ort, burn-onnx, tract) run or translate models. What is needed here is
//! some of its messages, so they are written down, and prost encodes and decodes them.

mod file;
mod graph;
pub(super) mod message;

pub(super) use file::{OnnxModel, Weight};
pub(super) use graph::{GraphBuilder, Operator};

/// The name of an ONNX model's file, which Optimum opens too.
pub(super) const ONNX_FILE: &str = "model.onnx";
