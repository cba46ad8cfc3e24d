//! Every endpoint of MLflow's that is answered here: its method, its path below `/api/2.0/mlflow`, what a
//! key has to open, and who answers.

use axum::http::Method;
use trialbook::registry::Scope;

use super::{
    artifacts,
    call::{CallAnswer, RestCall},
    experiments, inputs, logged_models, metrics, models, runs, stages, versions,
};

/// One endpoint. Paths have the form of axum's.
pub(super) struct TrackingEndpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) scope: Scope,
    pub(super) answer: fn(&mut RestCall) -> CallAnswer,
}

const fn read(
    method: Method,
    path: &'static str,
    answer: fn(&mut RestCall) -> CallAnswer,
) -> TrackingEndpoint {
    TrackingEndpoint { method, path, scope: Scope::Read, answer }
}

const fn write(
    method: Method,
    path: &'static str,
    answer: fn(&mut RestCall) -> CallAnswer,
) -> TrackingEndpoint {
    TrackingEndpoint { method, path, scope: Scope::Write, answer }
}

/// An endpoint that changes which version serves, or removes one.
const fn admin(
    method: Method,
    path: &'static str,
    answer: fn(&mut RestCall) -> CallAnswer,
) -> TrackingEndpoint {
    TrackingEndpoint { method, path, scope: Scope::Admin, answer }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// All of them.
pub(super) const ENDPOINTS: &[TrackingEndpoint] = &[
    write(POST, "/experiments/create", experiments::create),
    read(GET, "/experiments/get", experiments::get),
    read(GET, "/experiments/get-by-name", experiments::get_by_name),
    read(POST, "/experiments/search", experiments::search),
    read(GET, "/experiments/search", experiments::search),
    write(POST, "/experiments/delete", experiments::delete),
    write(POST, "/experiments/restore", experiments::restore),
    write(POST, "/experiments/update", experiments::update),
    write(POST, "/experiments/set-experiment-tag", experiments::set_tag),
    write(POST, "/experiments/delete-experiment-tag", experiments::delete_tag),
    read(POST, "/experiments/search-datasets", experiments::search_datasets),
    write(POST, "/runs/create", runs::create),
    write(POST, "/runs/update", runs::update),
    write(POST, "/runs/delete", runs::delete),
    write(POST, "/runs/restore", runs::restore),
    read(GET, "/runs/get", runs::get),
    read(POST, "/runs/search", runs::search),
    write(POST, "/runs/log-metric", runs::log_metric),
    write(POST, "/runs/log-parameter", runs::log_param),
    write(POST, "/runs/set-tag", runs::set_tag),
    write(POST, "/runs/delete-tag", runs::delete_tag),
    write(POST, "/runs/log-batch", runs::log_batch),
    write(POST, "/runs/log-model", runs::log_model),
    write(POST, "/runs/log-inputs", inputs::log_inputs),
    write(POST, "/runs/outputs", inputs::log_outputs),
    read(GET, "/metrics/get-history", metrics::get_history),
    read(GET, "/metrics/get-history-bulk", metrics::get_history_bulk),
    read(GET, "/metrics/get-history-bulk-interval", metrics::get_history_bulk_interval),
    read(GET, "/artifacts/list", artifacts::list),
    write(POST, "/logged-models", logged_models::create),
    read(POST, "/logged-models/search", logged_models::search),
    read(GET, "/logged-models/{model_id}", logged_models::get),
    write(PATCH, "/logged-models/{model_id}", logged_models::finalize),
    write(DELETE, "/logged-models/{model_id}", logged_models::delete),
    write(PATCH, "/logged-models/{model_id}/tags", logged_models::set_tags),
    write(DELETE, "/logged-models/{model_id}/tags/{tag_key}", logged_models::delete_tag),
    write(POST, "/logged-models/{model_id}/params", logged_models::log_params),
    read(GET, "/logged-models/{model_id}/artifacts/directories", logged_models::list_artifacts),
    write(POST, "/registered-models/create", models::create),
    admin(POST, "/registered-models/rename", models::rename),
    write(PATCH, "/registered-models/update", models::update),
    admin(DELETE, "/registered-models/delete", models::delete),
    read(GET, "/registered-models/get", models::get),
    read(GET, "/registered-models/search", models::search),
    read(POST, "/registered-models/get-latest-versions", models::get_latest_versions),
    read(GET, "/registered-models/get-latest-versions", models::get_latest_versions),
    write(POST, "/registered-models/set-tag", models::set_tag),
    write(DELETE, "/registered-models/delete-tag", models::delete_tag),
    write(POST, "/registered-models/alias", models::set_alias),
    read(GET, "/registered-models/alias", models::get_by_alias),
    write(DELETE, "/registered-models/alias", models::delete_alias),
    write(POST, "/model-versions/create", versions::create),
    write(PATCH, "/model-versions/update", versions::update),
    admin(DELETE, "/model-versions/delete", versions::delete),
    read(GET, "/model-versions/get", versions::get),
    read(GET, "/model-versions/search", versions::search),
    read(GET, "/model-versions/get-download-uri", versions::get_download_uri),
    write(POST, "/model-versions/set-tag", versions::set_tag),
    write(DELETE, "/model-versions/delete-tag", versions::delete_tag),
    admin(POST, "/model-versions/transition-stage", stages::transition),
];
