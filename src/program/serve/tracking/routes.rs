//! The way from a path to its endpoint, and what each request goes through: the host's name, the body, a thread
//! that may wait for the disk. What leads nowhere is MLflow's error, never a page.

use std::net::IpAddr;

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, RawPathParams, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, any, get, on},
};
use serde_json::json;
use tokio::time::timeout;
use trialbook::registry::{Registry, Scope};

use crate::serve::{
    http::{access::Access, admitted::Admitted, channel::frame, peer::Peer},
    state::ServerState,
};

use super::{
    MLFLOW_VERSION, artifacts,
    call::RestCall,
    fields::Fields,
    proxy,
    table::{ENDPOINTS, TrackingEndpoint},
    wire::{Code, WireRefusal, answer},
};

/// The places where MLflow's clients and its pages look for an endpoint.
const PREFIXES: [&str; 4] =
    ["/api/2.0/mlflow", "/api/3.0/mlflow", "/ajax-api/2.0/mlflow", "/ajax-api/3.0/mlflow"];
const PROXIES: [&str; 2] = ["/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts"];
const REST: &str = "/{*rest}";

const VERSION: &str = "/version";
const GET_ARTIFACT: &str = "/get-artifact";
const GET_VERSION_ARTIFACT: &str = "/model-versions/get-artifact";

/// Longest JSON body: a dataset's profile may have 16 MB.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The endpoints as part of the server.
pub(in crate::serve) fn router(state: &ServerState) -> Router<ServerState> {
    let mut router = Router::new()
        .route(VERSION, get(|| async { version() }))
        .route(GET_ARTIFACT, get(get_artifact))
        .route(GET_VERSION_ARTIFACT, get(get_version_artifact));
    for prefix in PREFIXES {
        for endpoint in ENDPOINTS {
            let filter = filter(&endpoint.method);
            let path = format!("{prefix}{}", endpoint.path);
            router = router.route(&path, on(filter, respond));
        }
        router = router
            .route(&format!("{prefix}/server-info"), get(|| async { server_info() }))
            .route(&format!("{prefix}{REST}"), any(nowhere));
    }
    for prefix in PROXIES {
        let file = on(MethodFilter::GET.or(MethodFilter::PUT).or(MethodFilter::DELETE), artifact);
        router = router
            .route(&format!("{prefix}/artifacts"), get(list_artifacts))
            .route(&format!("{prefix}/artifacts{REST}"), file)
            .route(&format!("{prefix}/mpu{REST}"), any(not_implemented))
            .route(&format!("{prefix}/presigned{REST}"), any(not_implemented))
            .route(&format!("{prefix}{REST}"), any(nowhere));
    }
    router.layer(middleware::from_fn_with_state(state.clone(), check_host))
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::GET => MethodFilter::GET,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::POST,
    }
}

/// True if the path that the router writes so is one of these.
pub(in crate::serve) fn is_tracking(path: &str) -> bool {
    let is_below = |prefix: &&str| {
        path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    [VERSION, GET_ARTIFACT, GET_VERSION_ARTIFACT].contains(&path)
        || PREFIXES.iter().chain(&PROXIES).any(is_below)
}

/// The right that a request to one of these paths needs; none for other paths.
pub(in crate::serve) fn access(method: &Method, path: Option<&str>) -> Option<Access> {
    let path = path.filter(|path| is_tracking(path))?;
    if path == VERSION {
        return Some(Access::Health);
    }
    let found = endpoint(method, path).map(|(endpoint, _)| endpoint.scope);
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    let of_proxy = if changes { Scope::Write } else { Scope::Read };
    Some(Access::Tracking(found.unwrap_or(of_proxy)))
}

/// The endpoint at a path that the router writes so.
fn endpoint(method: &Method, path: &str) -> Option<(&'static TrackingEndpoint, &'static str)> {
    let (prefix, rest) =
        PREFIXES.iter().find_map(|prefix| Some((*prefix, path.strip_prefix(prefix)?)))?;
    // What GET answers, HEAD does.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let found = ENDPOINTS.iter().find(|known| known.path == rest && known.method == *method);
    found.map(|endpoint| (endpoint, prefix))
}

async fn check_host(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let checked = match state.allowed_hosts() {
        Some(hosts) => hosts.check(request.method(), request.headers()),
        None => Ok(()),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(message) => WireRefusal::new(Code::PermissionDenied, message).into_response(),
    }
}

/// The registry in the name of who asks: the key's, or else the address that a request comes from.
fn registry_of(state: &ServerState, request: &Request) -> Result<Registry, WireRefusal> {
    let Some(registry) = state.registry() else {
        return Err(WireRefusal::new(Code::NotImplemented, "this server has no store to track in"));
    };
    let key = request.extensions().get::<Admitted>().and_then(|Admitted(key)| key.clone());
    let actor = match (key, request.extensions().get::<Peer>()) {
        (Some(key), _) => key.to_string(),
        (None, Some(Peer(address))) => format!("anonymous@{}", canonical(*address)),
        (None, None) => "anonymous".to_owned(),
    };
    Ok(registry.acting_as(&actor))
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Answers one of the table's endpoints.
async fn respond(
    State(state): State<ServerState>,
    path: MatchedPath,
    params: RawPathParams,
    request: Request,
) -> Result<Response, WireRefusal> {
    let Some((endpoint, _)) = endpoint(request.method(), path.as_str()) else {
        return Err(WireRefusal::no_endpoint(request.method().as_str(), request.uri().path()));
    };
    let registry = registry_of(&state, &request)?;
    let path = params.iter().map(|(_, value)| value.to_owned()).collect();
    let (fields, n_body_bytes) = match *request.method() {
        Method::GET | Method::HEAD => {
            (Fields::of_query(request.uri().query().unwrap_or_default()), 0)
        }
        _ => {
            check_media_type(&request)?;
            let body = read(&state, request.into_body()).await?;
            (Fields::of_body(&body)?, body.len())
        }
    };
    let answered = endpoint.answer;
    let mut call = RestCall { registry, fields, path, n_body_bytes };
    proxy::beside(move || Ok(answer(&answered(&mut call)?))).await
}

/// A form that a page of another site sends has no JSON type (and needs no permission to be sent).
fn check_media_type(request: &Request) -> Result<(), WireRefusal> {
    let found = request.headers().get(header::CONTENT_TYPE);
    let Some(found) = found.and_then(|value| value.to_str().ok()) else {
        if *request.method() == Method::POST {
            let message = "Bad Request. Content-Type header is missing.";
            return Err(WireRefusal::new(Code::BadRequest, message));
        }
        return Ok(());
    };
    let media_type = found.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(WireRefusal::new(
        Code::BadRequest,
        format!("Bad Request. Content-Type {found:?} should be application/json"),
    ))
}

/// The whole body, if it is short enough and quick enough.
async fn read(state: &ServerState, mut body: Body) -> Result<Vec<u8>, WireRefusal> {
    let mut bytes = Vec::new();
    loop {
        match timeout(state.limits().body_wait, frame(&mut body)).await {
            Ok(None) => return Ok(bytes),
            Ok(Some(Ok(piece))) => {
                let piece = piece.into_data().unwrap_or_default();
                if bytes.len() + piece.len() > MAX_BODY_BYTES {
                    return Err(WireRefusal::invalid(format!(
                        "the request body is longer than {MAX_BODY_BYTES} bytes: send less at once"
                    )));
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(Some(Err(_))) => {
                let message = "the request body broke off: nothing was written";
                return Err(WireRefusal::new(Code::BadRequest, message));
            }
            Err(_) => {
                let message = "the request body did not arrive in time: nothing was written";
                return Err(WireRefusal::new(Code::BadRequest, message));
            }
        }
    }
}

async fn artifact(
    State(state): State<ServerState>,
    params: RawPathParams,
    request: Request,
) -> Result<Response, WireRefusal> {
    let registry = registry_of(&state, &request)?;
    let path = params.iter().next().map(|(_, value)| value.to_owned()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    proxy::serve(&state, registry, &parts.method, path, &parts.headers, body).await
}

async fn list_artifacts(
    State(state): State<ServerState>,
    request: Request,
) -> Result<Response, WireRefusal> {
    let registry = registry_of(&state, &request)?;
    let fields = Fields::of_query(request.uri().query().unwrap_or_default());
    proxy::beside(move || {
        proxy::list(&registry, fields.filled("path")?.unwrap_or_default().trim_end_matches('/'))
    })
    .await
}

async fn get_artifact(
    State(state): State<ServerState>,
    request: Request,
) -> Result<Response, WireRefusal> {
    let registry = registry_of(&state, &request)?;
    let fields = Fields::of_query(request.uri().query().unwrap_or_default());
    proxy::download(registry, move |registry| artifacts::of_run(registry, &fields)).await
}

async fn get_version_artifact(
    State(state): State<ServerState>,
    request: Request,
) -> Result<Response, WireRefusal> {
    let registry = registry_of(&state, &request)?;
    let fields = Fields::of_query(request.uri().query().unwrap_or_default());
    proxy::download(registry, move |registry| artifacts::of_version(registry, &fields)).await
}

async fn nowhere(request: Request) -> WireRefusal {
    WireRefusal::no_endpoint(request.method().as_str(), request.uri().path())
}

async fn not_implemented() -> WireRefusal {
    let message = "uploads in parts and presigned URLs are not offered, as server-info says: send \
                   the file as one PUT, of any length";
    WireRefusal::new(Code::NotImplemented, message)
}

fn version() -> Response {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    (StatusCode::OK, [(header::CONTENT_TYPE, text)], MLFLOW_VERSION).into_response()
}

/// The answer that clients ask for before they choose how to upload and download.
fn server_info() -> Response {
    answer(&json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": [],
    }))
}
