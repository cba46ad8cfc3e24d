//! Where the pages are found, who may ask for them, and what each request goes through: a thread that may
//! wait for the disk, and for what changes something, proof that a page of this server sent it.

use axum::{
    Router,
    body::to_bytes,
    extract::{RawPathParams, Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post},
};
use trialbook::registry::{Registry, Scope};

use super::{
    analysis,
    answer::{Answer, PageRequest, respond, see},
    artifact, asset, audit, compare, data, deletion, drift, edit, entry, events, experiment_edit,
    experiments,
    failure::PageFailure,
    labelling, logged, models, performance, predictions,
    query::{Query, coded},
    release, run, runs,
    shell::EVENTS,
    stages, version,
};
use crate::serve::{
    http::{
        accept::wants_page, access::Access, admitted::Admitted, error::ApiError,
        hosts::AllowedHosts, peer::Peer, shown::Shown, waiting::waiting,
    },
    state::ServerState,
};

/// The scope that reading a page needs, where keys are asked for.
const READ: Scope = Scope::Read;
/// The scope that a change needs.
const CHANGE: Scope = Scope::Admin;

/// Longest form, and longest one with a note or tags in it.
const MAX_FORM_BYTES: usize = 64 * 1024;
const MAX_TEXT_FORM_BYTES: usize = 512 * 1024;

const ROOT: &str = "/ui";
const LOGIN: &str = "/ui/login";
const LOGOUT: &str = "/ui/logout";
const ASSET: &str = "/ui/assets/{name}";

/// The function that answers a request.
type Work = fn(&Registry, &PageRequest) -> Result<Answer, PageFailure>;

/// Pages that show something.
const SHOWN: [(&str, Work); 31] = [
    ("/ui/runs", runs::page),
    ("/ui/runs/{id}", run::page),
    ("/ui/runs/{id}/file", artifact::page),
    ("/ui/runs/{id}/raw", artifact::raw),
    ("/ui/compare", compare::page),
    ("/ui/delete", deletion::confirm_delete),
    ("/ui/restore", deletion::confirm_restore),
    ("/ui/experiments", experiments::page),
    ("/ui/experiments/{id}", experiments::experiment),
    ("/ui/experiments/{id}/delete", experiment_edit::confirm_delete),
    ("/ui/experiments/{id}/restore", experiment_edit::confirm_restore),
    ("/ui/logged-models", logged::page),
    ("/ui/logged-models/{model}", logged::model),
    ("/ui/logged-models/{model}/file", artifact::page),
    ("/ui/logged-models/{model}/raw", artifact::raw),
    ("/ui/models", models::page),
    ("/ui/models/{name}", models::model),
    ("/ui/models/{name}/diff", version::diff),
    ("/ui/models/{name}/rollback", stages::confirm_rollback),
    ("/ui/models/{name}/{version}", version::page),
    ("/ui/models/{name}/{version}/promote", stages::confirm_promotion),
    ("/ui/models/{name}/{version}/errors", analysis::errors),
    ("/ui/models/{name}/{version}/explain", analysis::explain),
    ("/ui/models/{name}/{version}/slices", analysis::slices),
    ("/ui/models/{name}/{version}/compare", analysis::compare),
    ("/ui/models/{name}/{version}/drift", drift::page),
    ("/ui/data", data::page),
    ("/ui/data/{name}", data::dataset),
    ("/ui/data/{name}/issues", analysis::issues),
    ("/ui/predictions", predictions::page),
    ("/ui/audit", audit::page),
];

/// Forms that change something, and how long each may be.
const CHANGED: [(&str, usize, Work); 13] = [
    ("/ui/runs/{id}/name", MAX_FORM_BYTES, edit::set_name),
    ("/ui/runs/{id}/note", MAX_TEXT_FORM_BYTES, edit::set_note),
    ("/ui/runs/{id}/tags", MAX_TEXT_FORM_BYTES, edit::set_tags),
    ("/ui/delete", MAX_FORM_BYTES, deletion::delete),
    ("/ui/restore", MAX_FORM_BYTES, deletion::restore),
    ("/ui/experiments", MAX_FORM_BYTES, experiment_edit::create),
    ("/ui/experiments/{id}/name", MAX_FORM_BYTES, experiment_edit::set_name),
    ("/ui/experiments/{id}/note", MAX_TEXT_FORM_BYTES, experiment_edit::set_note),
    ("/ui/experiments/{id}/delete", MAX_FORM_BYTES, experiment_edit::delete),
    ("/ui/experiments/{id}/restore", MAX_FORM_BYTES, experiment_edit::restore),
    ("/ui/models/{name}/rollback", MAX_FORM_BYTES, stages::roll_back),
    ("/ui/models/{name}/stop-release", MAX_FORM_BYTES, release::stop),
    ("/ui/models/{name}/{version}/promote", MAX_FORM_BYTES, stages::promote),
];

/// What makes an answer that takes more than the registry.
type StateWork = fn(&ServerState, &Registry, &PageRequest) -> Result<Answer, PageFailure>;

/// Pages that show what the server itself knows, and the form that brings labels.
const OF_SERVER: [(&str, StateWork); 2] =
    [(labelling::PATH, labelling::page), ("/ui/performance", performance::page)];

/// The pages as part of the server.
pub(in crate::serve) fn router() -> Router<ServerState> {
    let mut router = Router::new()
        .route(ROOT, get(|| async { see("/ui/runs", None) }))
        .route(ASSET, get(asset::asset))
        .route(EVENTS, get(follow))
        .route(LOGIN, get(login).post(enter))
        .route(LOGOUT, post(leave));
    for (path, work) in SHOWN {
        router = router.route(
            path,
            shown(move |_: &ServerState, registry: &Registry, asked: &PageRequest| {
                work(registry, asked)
            }),
        );
    }
    for (path, max_bytes, work) in CHANGED {
        let work =
            move |_: &ServerState, registry: &Registry, asked: &PageRequest| work(registry, asked);
        router = router.route(path, changed(max_bytes, work));
    }
    for (path, work) in OF_SERVER {
        router = router.route(path, shown(work));
    }
    router.route(labelling::PATH, changed(MAX_FORM_BYTES, labelling::label))
}

/// The scope that this path and method need; none for what is no page.
pub(in crate::serve) fn access(method: &Method, route: Option<&str>) -> Option<Access> {
    let route = route.filter(|route| is_ui(route))?;
    Some(match route {
        ROOT | ASSET | LOGIN | LOGOUT => Access::Open,
        labelling::PATH if *method == Method::POST => Access::Tracking(Scope::Write),
        _ if *method == Method::POST => Access::Tracking(CHANGE),
        _ => Access::Tracking(READ),
    })
}

/// True if the path is one of these.
pub(in crate::serve) fn is_ui(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes the key of a browser out of its cookie, for these paths alone.
pub(in crate::serve) fn show_key(path: &str, headers: &mut HeaderMap) {
    if is_ui(path) {
        entry::show_key(headers);
    }
}

/// The answer to a request that was not let in, or leads nowhere.
pub(in crate::serve) fn refuse(request: &Refused, error: &ApiError) -> Option<Response> {
    if !request.wants_page {
        return None;
    }
    if error.status() == StatusCode::UNAUTHORIZED {
        return Some(see(&format!("{LOGIN}?next={}", coded(&request.url)), None));
    }
    let failure = PageFailure::new(error.status(), error.error_type(), error.sentence());
    let asked = PageRequest {
        params: Vec::new(),
        query: Query::default(),
        form: Query::default(),
        json: false,
        is_keyed: false,
        who: String::new(),
        mark: None,
    };
    Some(respond(&asked, Err(failure)))
}

/// The part of a request for a page that is remembered, should it be refused.
pub(in crate::serve) struct Refused {
    wants_page: bool,
    url: String,
}

impl Refused {
    pub(in crate::serve) fn of(request: &Request) -> Option<Self> {
        is_ui(request.uri().path()).then(|| Self {
            wants_page: wants_page(request.headers()),
            url: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        })
    }
}

fn shown<W>(work: W) -> MethodRouter<ServerState>
where
    W: Fn(&ServerState, &Registry, &PageRequest) -> Result<Answer, PageFailure>
        + Copy
        + Send
        + Sync
        + 'static,
{
    get(
        move |State(state): State<ServerState>, params: RawPathParams, request: Request| async move {
            let asked = asked(&params, &request);
            if let Err(failure) = check_host(&state, &request) {
                return respond(&asked, Err(failure));
            }
            run_page(state, asked, work).await
        },
    )
}

fn changed<W>(max_bytes: usize, work: W) -> MethodRouter<ServerState>
where
    W: Fn(&ServerState, &Registry, &PageRequest) -> Result<Answer, PageFailure>
        + Copy
        + Send
        + Sync
        + 'static,
{
    post(
        move |State(state): State<ServerState>, params: RawPathParams, request: Request| async move {
            let mut asked = asked(&params, &request);
            if !entry::is_own(request.headers()) {
                return respond(&asked, Err(PageFailure::foreign()));
            }
            if let Err(failure) = check_host(&state, &request) {
                return respond(&asked, Err(failure));
            }
            match form(request, max_bytes).await {
                Ok(form) => asked.form = form,
                Err(failure) => return respond(&asked, Err(failure)),
            }
            run_page(state, asked, work).await
        },
    )
}

/// True if the request knows this server by one of its names, where no key let it in: a page of another
/// site that makes its own name point here must not read or change anything.
fn check_host(state: &ServerState, request: &Request) -> Result<(), PageFailure> {
    if matches!(request.extensions().get(), Some(Admitted(Some(_)))) {
        return Ok(());
    }
    let otherwise = AllowedHosts::default();
    let hosts = state.allowed_hosts().unwrap_or(&otherwise);
    hosts
        .check(request.method(), request.headers())
        .map_err(|message| PageFailure::new(StatusCode::FORBIDDEN, "invalid_host", message))
}

/// `GET /ui/events`.
async fn follow(State(state): State<ServerState>, request: Request) -> Response {
    let begun = check_host(&state, &request)
        .and_then(|()| events::respond(&state, Shown::of(request.headers())));
    begun.unwrap_or_else(|failure| respond(&asked_of(Vec::new(), &request), Err(failure)))
}

async fn login(State(_): State<ServerState>, request: Request) -> Response {
    let asked = asked_of(Vec::new(), &request);
    let page = entry::form(&asked.query, None);
    respond(&asked, Ok(Answer::Page(page)))
}

async fn enter(State(state): State<ServerState>, request: Request) -> Response {
    let asked = asked_of(Vec::new(), &request);
    if !entry::is_own(request.headers()) {
        return respond(&asked, Err(PageFailure::foreign()));
    }
    let peer = request.extensions().get().copied();
    let form = match form(request, MAX_FORM_BYTES).await {
        Ok(form) => form,
        Err(failure) => return respond(&asked, Err(failure)),
    };
    let key = form.get("key").unwrap_or_default().trim();
    let mut headers = HeaderMap::new();
    if let Ok(value) = key.parse() {
        headers.insert("x-api-key", value);
    }
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    match state.guard().admit(Access::Tracking(READ), &headers, peer) {
        Ok(_) if is_plain => respond(&asked, Ok(entry::enter(key, &form, state.tls().is_some()))),
        Ok(_) => respond(&asked, Ok(Answer::Page(entry::form(&form, Some("This is no API key."))))),
        Err(error) => {
            let page = entry::form(&form, Some(&error.sentence()));
            let mut response = respond(&asked, Ok(Answer::Page(page)));
            *response.status_mut() = error.status();
            response
        }
    }
}

async fn leave(request: Request) -> Response {
    let asked = asked_of(Vec::new(), &request);
    match entry::is_own(request.headers()) {
        true => respond(&asked, Ok(entry::leave())),
        false => respond(&asked, Err(PageFailure::foreign())),
    }
}

fn asked(params: &RawPathParams, request: &Request) -> PageRequest {
    let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    asked_of(params.collect(), request)
}

fn asked_of(params: Vec<(String, String)>, request: &Request) -> PageRequest {
    let Admitted(key) = request.extensions().get().cloned().unwrap_or(Admitted(None));
    PageRequest {
        params,
        query: Query::of(request.uri().query().unwrap_or_default()),
        form: Query::default(),
        json: !wants_page(request.headers()),
        is_keyed: key.is_some(),
        who: match (key, request.extensions().get::<Peer>()) {
            (Some(key), _) => key.to_string(),
            (None, Some(Peer(address))) => format!("anonymous@{}", address.to_canonical()),
            (None, None) => "anonymous".to_owned(),
        },
        mark: None,
    }
}

async fn form(request: Request, max_bytes: usize) -> Result<Query, PageFailure> {
    let bytes = to_bytes(request.into_body(), max_bytes).await.map_err(|_| {
        PageFailure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("the form is longer than {max_bytes} bytes"),
        )
    })?;
    Ok(Query::of_form(&String::from_utf8_lossy(&bytes)))
}

/// Runs `work` where it may wait for the disk.
async fn run_page(
    state: ServerState,
    mut asked: PageRequest,
    work: impl Fn(&ServerState, &Registry, &PageRequest) -> Result<Answer, PageFailure> + Send + 'static,
) -> Response {
    let done = waiting(move || {
        asked.mark = state.changes().mark();
        let outcome = match state.registry() {
            Some(registry) => work(&state, &registry.acting_as(&asked.who), &asked),
            None => Err(PageFailure::without_store()),
        };
        respond(&asked, outcome)
    });
    done.await.unwrap_or_else(|_| ApiError::internal().into_response())
}
