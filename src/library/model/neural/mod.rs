//! Neural classifiers on Burn: DistilBERT, BiLSTM, CNN and AvgNet. No type of Burn leaves this
//! room; outside it they are a [`Fit`](super::Fit) and a [`Classifier`](super::Classifier) like any
//! other.

#[cfg(test)]
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod accelerator_tests;
mod attribution;
mod backprop;
pub mod checkpoint;
mod classifier;
mod config;
#[cfg(any(feature = "cuda", test))]
mod cuda_driver;
pub mod device;
mod embedding;
pub mod encoder;
mod encoder_graph;
mod engine;
mod explainer;
mod files;
mod fit;
mod header;
mod host_memory;
mod hugging_face;
mod import;
pub mod net;
#[cfg(test)]
#[cfg(feature = "wgpu")]
mod operation_tests;
pub mod quantized;
pub mod remote;
mod simd;
pub mod tensors;
mod tokenizer;
mod tokenizer_config;
pub mod training;
#[cfg(feature = "wgpu")]
mod wgpu_adapters;

pub use classifier::Neural;
pub use config::NeuralConfig;
pub use fit::StateKeeping;
pub use hugging_face::net_of_checkpoint;
pub use import::{import, max_length};
pub use net::Precision;
pub use training::TrainSettings;

pub(super) use files::load;
pub(super) use header::INT8_NAME;
pub use quantized::INT8_FILE;
