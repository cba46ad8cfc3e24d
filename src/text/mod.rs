//! From text to numbers: tokens, n-gram counts, TF-IDF.
