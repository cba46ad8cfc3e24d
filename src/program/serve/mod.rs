//! The HTTP server: predictions from the production model, its health, and a page to try it on.
//! It decides nothing about models: which version answers is the registry's business. The one home
//! of axum.
//!
//! ```no_run
//! use trialbook::store::Store;
//! use trialbook_program::serve::{ServeConfig, Server};
//!
//! let server = Server::start(&ServeConfig { port: 0, ..ServeConfig::new(Store::from_env()?) })?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! server.stop()?;
//! # Ok::<(), trialbook::Error>(())
//! ```

mod accept;
mod access;
mod app;
mod ask;
mod body;
mod channel;
mod choice;
mod chunk;
pub mod client;
mod config;
mod connection;
mod cors;
mod endpoint;
mod engine;
mod envelope;
mod error;
mod follow;
// Tests look at it in every build; only one with CUDA shows it.
#[cfg(any(feature = "cuda", test))]
mod gpu;
mod guard;
mod health;
mod info;
mod limits;
mod lines;
mod linger;
mod media;
mod metrics;
mod models;
mod object;
mod openapi;
mod otlp;
mod page;
mod peer;
mod pinned;
mod predict;
mod rates;
mod request_id;
mod scrape;
mod security;
mod served;
mod server;
mod shown;
mod shutdown;
mod slot;
mod source;
mod stall;
mod state;
mod stream;
mod table;
mod tls;
mod trace;
mod turn;
mod watch;

pub use app::app;
pub use client::Credentials;
pub use config::ServeConfig;
pub use health::{HealthReport, HealthStatus, ModelHealth, health_check};
pub use limits::Limits;
pub use security::{Origin, RateLimit, Security, TlsFiles};
pub use served::{ModelInfo, ServedModel};
pub use server::{Server, bind, bind_for, run, start, start_with};
pub use shutdown::Signals;
pub use state::ServerState;
