//! Rows of numbers as bytes with a scale each.

use crate::error::{Error, Result};

/// The largest quantised number; -128 is not used, so that every number has its opposite.
const LARGEST: f32 = 127.0;
/// The numbers of a row that are all smaller are zeros.
const LEAST: f32 = 1e-30;

/// A matrix in 8 bits: a number is its byte times the scale of its row.
#[derive(Debug, PartialEq)]
pub(super) struct QuantizedMatrix {
    /// Row-major, between -127 and 127.
    pub(super) values: Vec<i8>,
    /// One a row.
    pub(super) scales: Vec<f32>,
}

impl QuantizedMatrix {
    /// Every row over its largest number, in 127ths, rounded half to even.
    ///
    /// # Shapes
    /// `values` is `[n_rows, n_columns]`, row-major.
    ///
    /// # Errors
    /// A number that is not finite.
    pub(super) fn of(values: &[f32], n_columns: usize) -> Result<Self> {
        let mut bytes = Vec::with_capacity(values.len());
        let mut scales = Vec::with_capacity(values.len() / n_columns.max(1));
        for (row_idx, row) in values.chunks_exact(n_columns).enumerate() {
            if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                return Err(Error::invalid(format!("row {row_idx} has {value}, no usable number")));
            }
            let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let inverse = if largest > LEAST { LARGEST / largest } else { 0.0 };
            bytes.extend(row.iter().map(|value| (value * inverse).round_ties_even() as i8));
            scales.push(largest / LARGEST);
        }
        Ok(Self { values: bytes, scales })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_byte_times_its_rows_scale_to_half_a_step() {
        let values = [0.5, -1.0, 0.25, 0.003, 0.0, 0.0, 0.0, 0.0, 300.0, -2.0, 1.2, 299.0];
        let QuantizedMatrix { values: bytes, scales } = QuantizedMatrix::of(&values, 4).unwrap();
        assert_eq!(bytes[..4], [64, -127, 32, 0]);
        assert_eq!((&bytes[4..8], scales[1]), (&[0; 4][..], 0.0));
        for (idx, (value, byte)) in values.iter().zip(&bytes).enumerate() {
            let scale = scales[idx / 4];
            let error = (value - f32::from(*byte) * scale).abs();
            assert!(error <= 0.5001 * scale, "{value} is {byte} times {scale}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_quantised() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = QuantizedMatrix::of(&[1.0, 2.0, 3.0, value], 2).unwrap_err();
            assert!(error.to_string().starts_with("row 1 has "), "{error}");
        }
        // Smaller than one over the largest number can tell: zeros, not infinities.
        let tiny = QuantizedMatrix::of(&[1e-40, -1e-39], 2).unwrap();
        assert_eq!(tiny.values, [0, 0]);
    }
}
