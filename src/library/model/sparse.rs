//! Sparse rows as linfa's records: linfa's own are dense arrays, which for a corpus with bigrams
//! would take a hundred gigabytes.

use linfa::dataset::Records;

use crate::text::TermMatrix;

/// One sparse row of features an example.
///
/// # Shapes
/// `[n_examples, n_features]`, compressed by rows or by columns.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRows(TermMatrix);

impl SparseRows {
    /// Wraps a matrix.
    pub fn new(matrix: TermMatrix) -> Self {
        Self(matrix)
    }

    /// The matrix itself.
    pub fn matrix(&self) -> &TermMatrix {
        &self.0
    }
}

impl Records for SparseRows {
    type Elem = f32;

    fn nsamples(&self) -> usize {
        self.0.rows()
    }

    fn nfeatures(&self) -> usize {
        self.0.cols()
    }
}
