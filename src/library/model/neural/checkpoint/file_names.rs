//! The names of a checkpoint's files.

/// The name of the file with sizes and labels.
pub const CONFIG_FILE: &str = "config.json";
/// The name of the weights' file that is preferred and written.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The name of the weights' file in PyTorch's own format, read when the other is missing.
pub const PYTORCH_FILE: &str = "pytorch_model.bin";
