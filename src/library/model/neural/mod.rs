//! Neural classifiers on Burn: DistilBERT, BiLSTM, CNN and AvgNet. No type of Burn leaves this
//! room; outside it they are a [`Fit`](super::Fit) and a [`Classifier`](super::Classifier) like any
//! other.

pub mod checkpoint;
mod classifier;
mod config;
#[cfg(any(feature = "cuda", test))]
mod cuda_driver;
pub mod device;
pub mod encoder;
mod files;
mod fit;
mod host_memory;
mod hugging_face;
pub mod net;
mod simd;
pub mod tensors;
mod tokenizer;
mod tokenizer_config;
pub mod training;

pub use classifier::Neural;
pub use config::NeuralConfig;
pub use hugging_face::{import, max_length, net_of_checkpoint};
pub use net::Precision;
pub use training::TrainSettings;

pub(super) use files::load;
