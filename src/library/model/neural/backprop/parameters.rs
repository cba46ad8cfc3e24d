//! Parameters by their numbers: their values and their gradients, and what is drawn beside them.

/// The values of the parameters, each by its number.
pub(in crate::model::neural) trait ParameterSource: Sync {
    /// A matrix `[n_in, n_out]` or a vector, row-major.
    fn values(&self, key: usize) -> &[f32];
}

/// The shares that are dropped, and the seed that alone decides what.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::neural) struct DropoutRates {
    pub(in crate::model::neural) states: f64,
    pub(in crate::model::neural) attention: f64,
    pub(in crate::model::neural) hidden: f64,
    pub(in crate::model::neural) seed: u64,
}

/// The gradients of everything that was used.
#[derive(Debug, Default)]
pub(in crate::model::neural) struct NetGradients {
    /// Of parameters, by their numbers; none where only the embeddings' were asked for.
    pub(in crate::model::neural) parameters: Vec<(usize, Vec<f32>)>,
    /// Of the sum of word and position embedding of each token, `[n_tokens, width]`, row-major.
    pub(in crate::model::neural) embedded: Vec<f32>,
}
