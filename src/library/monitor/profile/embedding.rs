//! The texts of a profile as a net sees them: projected embeddings, their mean and covariance, and some of
//! them whole, which a test of two samples needs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    model::{EMBEDDING_DIMS, TextEmbedding},
};

/// Rows that a profile keeps.
const MAX_SAMPLE: usize = 300;

/// What a profile keeps of the embeddings of its texts; numbers are little-endian `f32` in base64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingProfile {
    /// Texts that were long enough to have an embedding.
    pub n: usize,
    /// The mean: `[EMBEDDING_DIMS]`.
    pub mean: String,
    /// The covariance: `[EMBEDDING_DIMS, EMBEDDING_DIMS]`, row-major.
    pub covariance: String,
    /// Some of them: `[n_rows, EMBEDDING_DIMS]`, row-major.
    pub sample: String,
}

impl EmbeddingProfile {
    /// The profile of `rows`; none for fewer than two.
    pub fn of(rows: &[TextEmbedding]) -> Option<Self> {
        if rows.len() < 2 {
            return None;
        }
        let n = rows.len() as f64;
        let mut mean = vec![0.0_f64; EMBEDDING_DIMS];
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value) / n);
        }
        let mut covariance = vec![0.0_f64; EMBEDDING_DIMS * EMBEDDING_DIMS];
        for row in rows {
            for (one, line) in covariance.chunks_exact_mut(EMBEDDING_DIMS).enumerate() {
                let away = f64::from(row[one]) - mean[one];
                for (other, sum) in line.iter_mut().enumerate() {
                    *sum += away * (f64::from(row[other]) - mean[other]) / (n - 1.0);
                }
            }
        }
        let single =
            |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        let n_kept = rows.len().min(MAX_SAMPLE);
        let sample: Vec<f32> =
            (0..n_kept).flat_map(|idx| rows[idx * rows.len() / n_kept]).collect();
        Some(Self {
            n: rows.len(),
            mean: encoded(&single(&mean)),
            covariance: encoded(&single(&covariance)),
            sample: encoded(&sample),
        })
    }

    /// The rows that are kept.
    ///
    /// # Errors
    /// Text that is no such rows.
    pub fn rows(&self) -> Result<Vec<TextEmbedding>> {
        decoded_rows(&self.sample)
    }
}

/// Numbers as text.
fn encoded(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// An embedding as it is logged.
pub fn encoded_embedding(embedding: &TextEmbedding) -> String {
    encoded(embedding)
}

/// Rows as [`encoded`] wrote them.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for any other text.
pub(crate) fn decoded_rows(text: &str) -> Result<Vec<TextEmbedding>> {
    let fail = || Error::new(ErrorKind::Corrupt, "embeddings are no rows of numbers in base64");
    let bytes = STANDARD.decode(text).map_err(|_| fail())?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (rows, short) = values.as_chunks::<EMBEDDING_DIMS>();
    match rest.is_empty() && short.is_empty() && values.iter().all(|value| value.is_finite()) {
        true => Ok(rows.to_vec()),
        false => Err(fail()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_and_damage_is_told() {
        let rows: Vec<TextEmbedding> =
            (0..700).map(|row| std::array::from_fn(|idx| (row * idx) as f32)).collect();
        let profile = EmbeddingProfile::of(&rows).unwrap();
        let kept = profile.rows().unwrap();
        assert_eq!((kept.len(), profile.n), (MAX_SAMPLE, 700));
        assert!(kept.iter().all(|row| rows.contains(row)));
        assert!(decoded_rows("").unwrap().is_empty());
        for damaged in ["x", "AAAA", &encoded(&[f32::NAN; EMBEDDING_DIMS]), &encoded(&[1.0; 5])] {
            assert_eq!(decoded_rows(damaged).unwrap_err().kind(), ErrorKind::Corrupt, "{damaged}");
        }
        assert_eq!(EmbeddingProfile::of(&rows[..1]), None);
    }
}
