//! The layers round every answer: who may ask at all, the request's id, the security headers, errors
//! as JSON, and one line in the log. The log gets no text of the user: no bodies, no query strings.

use std::{
    sync::Arc,
    thread,
    time::{Instant, SystemTime},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, Version, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{
    http::{
        admitted::Admitted,
        cors,
        error::ApiError,
        otlp::Span,
        peer::Peer,
        request_id::{RequestId, X_REQUEST_ID},
        trace::TraceContext,
    },
    route::table,
    state::ServerState,
    tracking, ui,
};

/// The rights of an answer that is no page in a browser: none.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// The time that a browser comes back encrypted only.
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Wraps every route and fallback.
pub(crate) async fn wrap(
    State(state): State<ServerState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let in_flight = state.metrics().request();
    let request_id = RequestId::of(request.headers());
    request.extensions_mut().insert(request_id.clone());
    let mut exchange = Exchange {
        state: &state,
        started,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        trace: TraceContext::of(request.headers(), state.exporter().is_some()),
        request_id,
        key: None,
        is_over: false,
    };

    let refused = ui::Refused::of(&request);
    let granted = state.guard().cors().granted(request.headers());
    let is_encrypted = state.tls().is_some();
    let is_local_name = is_encrypted && is_local_name(request.headers());
    let peer = request.extensions().get::<Peer>().copied();
    let mut response =
        if granted.is_some() && cors::is_preflight(&exchange.method, request.headers()) {
            cors::preflight()
        } else if peer.is_some() && !names_one_host(&request) {
            ApiError::invalid_host().into_response()
        } else {
            let route = exchange.route.as_ref().map(MatchedPath::as_str);
            ui::show_key(&exchange.path, request.headers_mut());
            let access = tracking::access(&exchange.method, route)
                .or_else(|| ui::access(&exchange.method, route));
            match state.guard().admit(
                access.unwrap_or_else(|| table::access(route)),
                request.headers(),
                peer,
            ) {
                Ok(admitted) => {
                    request.extensions_mut().insert(Admitted(admitted.clone()));
                    exchange.key = admitted;
                    next.run(request).await
                }
                Err(refusal) => refusal.into_response(),
            }
        };
    drop(in_flight);
    let error = response.extensions_mut().remove::<ApiError>();
    let error_type = error.as_ref().map(ApiError::error_type);
    let page = refused.zip(error.as_ref()).and_then(|(refused, error)| ui::refuse(&refused, error));
    if let Some(page) = page {
        response = page;
    } else if let Some(error) = error {
        let body = match exchange.is_tracking() {
            true => tracking::body_of(&error),
            false => error.body(exchange.request_id.as_str()),
        };
        *response.body_mut() = Body::from(body);
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        // The body took the place of an empty one, whose length axum may have noted.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    secure(response.headers_mut());
    if is_encrypted && !is_local_name {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, FOR_A_YEAR);
    }
    state.guard().cors().say(granted, response.headers_mut());
    let id = HeaderValue::from_str(exchange.request_id.as_str()).expect("ids are plain ASCII");
    response.headers_mut().insert(X_REQUEST_ID, id);
    exchange.end(response.status().as_u16(), error_type);
    response
}

/// One request until it is over: counted and logged once, also when its client leaves first.
struct Exchange<'a> {
    state: &'a ServerState,
    started: Instant,
    method: Method,
    path: String,
    route: Option<MatchedPath>,
    trace: Option<TraceContext>,
    request_id: RequestId,
    key: Option<Arc<str>>,
    is_over: bool,
}

impl Exchange<'_> {
    /// Of a request whose client did not wait for the answer, as nginx has it.
    const CLIENT_LEFT: u16 = 499;

    /// True if its client speaks MLflow's protocol.
    fn is_tracking(&self) -> bool {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        self.state.allowed_hosts().is_some() && route.is_some_and(tracking::is_tracking)
    }

    fn end(&mut self, status: u16, error_type: Option<&str>) {
        self.is_over = true;
        let Self { state, started, method, path, trace, request_id, key, .. } = self;
        // Paths that lead nowhere are one series, however many there are.
        let route = self.route.as_ref().map_or("other", MatchedPath::as_str);
        state.metrics().answered(route, status, error_type);
        tracing::info!(
            %method,
            path,
            status,
            latency_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            request_id = request_id.as_str(),
            key = key.as_deref(),
            trace_id = trace.as_ref().map(|trace| trace.trace_id.as_str()),
            span_id = trace.as_ref().map(|trace| trace.span_id.as_str()),
            "request"
        );
        if let (Some(exporter), Some(context)) = (state.exporter(), trace.take())
            && context.is_sampled
        {
            exporter.push(Span {
                context,
                method: method.to_string(),
                route: route.to_owned(),
                status,
                request_id: request_id.as_str().to_owned(),
                ended: SystemTime::now(),
                took: started.elapsed(),
            });
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let status = if thread::panicking() { 500 } else { Self::CLIENT_LEFT };
            self.end(status, None);
        }
    }
}

/// True if the request names its host as it has to (RFC 9112, 3.2).
fn names_one_host(request: &Request) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    let is_named = named.next().is_some() || request.version() < Version::HTTP_11;
    is_named && named.next().is_none()
}

/// True if the client knows this server as `localhost`: a browser that is told to come back encrypted
/// would keep to it on every port of the machine.
fn is_local_name(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Adds what the handler did not set itself.
fn secure(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
}
