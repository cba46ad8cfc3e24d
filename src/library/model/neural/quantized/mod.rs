//! An encoder's weights in 8 bits: how numbers become bytes, and the file that holds them. It computes no
//! answers.

mod file;
mod matrix;

pub use file::{INT8_FILE, QuantizedFile};
