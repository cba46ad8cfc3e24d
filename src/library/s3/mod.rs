//! S3-compatible storage: objects by URL, streamed up in parts and down in pieces, and what a server
//! that refuses says. It knows bytes and names, not what they mean: registry and datasets do.
//!
//! Endpoint, region and credentials come from the usual environment; nothing here ever shows them.

mod bucket;
mod connection;
mod object;
mod refusal;
mod url;
mod wait;

pub(crate) use bucket::Bucket;
pub(crate) use object::{fetch, listed, occupied, send};
pub use url::S3Url;
