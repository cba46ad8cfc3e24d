//! MLflow's REST API on the store that everything else uses, so that its clients track and register here.
//! It translates: what a run, a version or a filter is stays the registry's business. Floors, each on
//! those before it: `wire` (how answers and refusals read), `fields` (what a request says), `call`, a
//! file for each group of endpoints, and the table of them.

mod artifacts;
mod call;
mod experiments;
mod fields;
mod inputs;
mod logged_models;
mod metrics;
mod models;
mod paths;
mod place;
mod proxy;
mod routes;
mod runs;
mod shapes;
mod source;
mod stages;
mod table;
mod token;
mod versions;
mod wire;

pub(super) use routes::{access, is_tracking, router};
pub(super) use wire::body_of;

/// The version of MLflow whose protocol this is.
pub(super) const MLFLOW_VERSION: &str = "3.17.2";
