//! The HTTP server: predictions from the production model, its health, and a page to try it on.
//! It decides nothing about models: which version answers is the registry's business. The one home
//! of axum.
//!
//! Its floors, each of which uses those before it: `http`, then `model`, then `config` and `state`,
//! then `route`, `tracking` and `ui`, and on top `middleware`, `app`, `releases` and the
//! judging of them, `follow` and `server`. Nothing here is part of a circle.
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

mod app;
mod changes;
mod config;
mod follow;
mod http;
mod middleware;
mod model;
mod outage;
mod release_exchange;
mod release_judge;
mod release_logs;
mod releases;
mod route;
mod server;
mod shutdown;
mod state;
mod tracking;
mod ui;

pub use app::app;
pub use config::ServeConfig;
pub(crate) use http::guard::key_of;
pub use http::{
    client::{self, Credentials},
    hosts::AllowedHosts,
    limits::Limits,
    security::{Origin, RateLimit, Security, TlsFiles},
};
pub use model::served::{ModelInfo, ServedModel};
pub use route::health::{HealthReport, HealthStatus, ModelHealth, health_check};
pub use server::{Server, bind, bind_for, run, start, start_with};
pub use shutdown::Signals;
pub use state::ServerState;
