//! HTTP as far as it needs no model to be spoken: connections and their encryption, who gets in, what a
//! request says of itself, and how a refusal reads. The ground floor of the server: it refuses to know
//! models, the server's state and any path. The one home of hyper, rustls and the client.

pub(super) mod accept;
pub(super) mod access;
pub(super) mod admitted;
pub(super) mod channel;
pub mod client;
pub(super) mod connection;
pub(super) mod cors;
pub(super) mod error;
pub(super) mod guard;
pub(super) mod hosts;
mod in_place;
pub(super) mod limits;
pub(super) mod lines;
mod linger;
pub(super) mod media;
pub(super) mod otlp;
pub(super) mod peer;
mod pinned;
mod rates;
pub(super) mod request_id;
pub(super) mod security;
pub(super) mod shown;
mod stall;
pub(super) mod tls;
pub(super) mod trace;
pub(super) mod waiting;
