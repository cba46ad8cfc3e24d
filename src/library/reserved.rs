//! Names that something else owns, so that nothing of the user's may be called so: the one list for
//! datasets and models. Where a name is made it is checked against this; what bears one already
//! stays as it is.

/// The tables that SQL has besides the datasets. Whoever lends SQL another one adds it here, else it
/// is refused.
pub(crate) const TABLES: [&str; 7] =
    ["runs", "metrics", "params", "models", "versions", "predictions", "audit"];

/// Characters that stand between the parts of a reference to a model, and what they separate.
pub(crate) const MODEL_SEPARATORS: [(char, &str); 3] =
    [('/', "`NAME/3`"), ('@', "`NAME@alias`"), (':', "`models:/NAME/3`")];

/// As [`MODEL_SEPARATORS`], where several names are given at once.
pub(crate) const LIST_SEPARATOR: (char, &str) = (',', "`--model A,B`");

/// Names of a URL's or a folder's parts that mean another place.
pub(crate) const PLACES: [&str; 2] = [".", ".."];

/// True if `word` reads like a version of a model: `3`, `v3`, `latest`. Stages do too, which the
/// registry knows.
pub(crate) fn is_version(word: &str) -> bool {
    let number = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number || word.eq_ignore_ascii_case("latest")
}
