//! The integration tests, one binary: linking polars once is enough.

/// The HTTP server, asked directly and over real sockets.
mod serve;
/// Metrics and curves against scikit-learn.
// Metrics and curves against scikit-learn.
mod evaluate;
// Gate, promotion and rollback on a real registry.
mod gate;
// Tracking store and model registry, with crashes and damage.
mod registry;
/// Datasets end to end: sources, errors, the store's layout, SQL.
mod data;
mod model; // the baseline from texts to saved files
