//! The integration tests, one binary: linking polars once is enough.
