//! The web interface as browsers and programs ask it: statuses, escaping, what changes something, and who
//! may.

use std::collections::BTreeMap;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;
use trialbook::{
    gate,
    registry::{
        ArtifactOwner, Lineage, LoggedMetric, Metric, NewKey, NewLoggedModel, NewRun, NewVersion,
        Registry, RunBatch, RunStatus, Scope, Stage,
    },
    store::Store,
};
use trialbook_program::serve::{self, ServeConfig, ServerState};

pub(super) const HOSTILE: &str = "<script>alert(1)</script>";
pub(super) const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// A store with runs whose every text is hostile, and a model of two versions.
pub(super) struct Shown {
    _folder: TempDir,
    pub(super) registry: Registry,
    pub(super) state: ServerState,
    pub(super) runs: Vec<String>,
    pub(super) logged: String,
}

pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn run(registry: &Registry, idx: i64) -> String {
    let pairs = |value: &str| BTreeMap::from([("k".to_owned(), format!("{value}{idx}"))]);
    let mut tags = pairs(HOSTILE);
    tags.insert("mlflow.note.content".to_owned(), format!("# note\n\n{HOSTILE} [x](javascript:a)"));
    let new = NewRun {
        experiment_id: registry.experiment("sentiment-analysis").unwrap().experiment_id,
        name: Some(format!("{HOSTILE}{idx}")),
        start_ms: 1_700_000_000_000 + idx,
        params: pairs(HOSTILE),
        tags,
        ..NewRun::default()
    };
    let run_id = registry.create_run(new).unwrap().run_id;
    let metrics = (0..3).map(|step| Metric {
        key: "f1".to_owned(),
        value: 0.5 + 0.1 * step as f64 + 0.01 * idx as f64,
        step,
        timestamp_ms: 1_700_000_000_000 + step,
    });
    registry.log(&run_id, &RunBatch { metrics: metrics.collect(), ..RunBatch::default() }).unwrap();
    let json = format!("{{\"{HOSTILE}\": \"{HOSTILE}\"}}");
    registry.log_artifact(&run_id, "a.json", json.as_bytes()).unwrap();
    registry.log_artifact(&run_id, "b.svg", format!("<svg>{HOSTILE}</svg>").as_bytes()).unwrap();
    registry.log_artifact(&run_id, "c.html", HOSTILE.as_bytes()).unwrap();
    registry.log_artifact(&run_id, "d.csv", format!("a,b\n{HOSTILE},2\n").as_bytes()).unwrap();
    registry.log_artifact(&run_id, "e.md", HOSTILE.as_bytes()).unwrap();
    registry.finish_run(&run_id, RunStatus::Finished, 1_700_000_009_000).unwrap();
    run_id
}

/// A logged model whose every text is hostile.
fn logged(registry: &Registry, run_id: &str) -> String {
    let pairs = BTreeMap::from([("k".to_owned(), HOSTILE.to_owned())]);
    let experiment_id = registry.run(run_id).unwrap().experiment_id;
    let new = NewLoggedModel {
        experiment_id: experiment_id.clone(),
        name: Some("<b>logged<b>".to_owned()),
        model_type: Some(HOSTILE.to_owned()),
        source_run_id: Some(run_id.to_owned()),
        params: pairs.clone(),
        tags: pairs,
    };
    let model_id = registry.create_logged_model(new).unwrap().model_id;
    let measured = LoggedMetric {
        key: "f1".to_owned(),
        value: f64::NAN,
        step: 0,
        timestamp_ms: 1,
        run_id: run_id.to_owned(),
        dataset: Some((HOSTILE.to_owned(), "d".to_owned())),
    };
    let of_models = BTreeMap::from([(model_id.clone(), vec![measured])]);
    registry.log_measured(run_id, &RunBatch::default(), &of_models).unwrap();
    let owner = ArtifactOwner::Model(model_id.clone());
    let mut upload = registry.begin_upload(owner, "model/a.html").unwrap();
    upload.write(HOSTILE.as_bytes()).unwrap();
    registry.finish_upload(upload).unwrap();
    registry.tag_experiment(&experiment_id, "mlflow.note.content", Some(HOSTILE)).unwrap();
    model_id
}

pub(super) fn shown() -> Shown {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let registry = Registry::open(&store).unwrap();
    let runs: Vec<String> = (0..2).map(|idx| run(&registry, idx)).collect();
    for run_id in &runs {
        let files = registry.artifacts(run_id).unwrap();
        let new = NewVersion {
            model: "Reviews".to_owned(),
            run_id: run_id.clone(),
            files,
            lineage: Lineage { dataset: HOSTILE.to_owned(), ..Lineage::default() },
            metrics: BTreeMap::from([("f1".to_owned(), 0.9)]),
            created_ms: 1,
        };
        registry.create_version(new).unwrap();
    }
    let logged = logged(&registry, &runs[0]);
    let config = ServeConfig { serves: false, log: None, ..ServeConfig::new(store) };
    Shown { _folder: folder, registry, state: config.load().unwrap(), runs, logged }
}

impl Shown {
    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = serve::app(self.state.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let body = String::from_utf8(body).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn page(&self, path: &str) -> Answer {
        self.ask(Request::get(path).header("accept", BROWSER).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn json(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let mut request = Request::post(path)
            .header("accept", BROWSER)
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    fn paths(&self) -> Vec<String> {
        let [a, b] = [&self.runs[0], &self.runs[1]];
        let mut paths: Vec<String> = [
            "/ui/runs",
            "/ui/runs?group=params.k&col=metrics.f1&sort=metrics.f1",
            "/ui/runs?show=deleted",
            "/ui/experiments",
            "/ui/experiments?show=deleted",
            "/ui/experiments/0",
            "/ui/experiments/0/delete",
            "/ui/experiments/0/restore",
            "/ui/logged-models",
            "/ui/logged-models?experiment=0",
            "/ui/models",
            "/ui/models/Reviews",
            "/ui/models/Reviews/1",
            "/ui/models/Reviews/1/promote",
            "/ui/models/Reviews/rollback",
            "/ui/models/Reviews/diff?a=1&b=2",
            "/ui/data",
            "/ui/predictions",
            "/ui/audit",
        ]
        .map(str::to_owned)
        .into();
        paths.push(format!("/ui/runs/{a}"));
        paths.push(format!("/ui/runs/{a}?x=time&smooth=0.5&log=1"));
        paths.push(format!("/ui/compare?run={a}&run={b}"));
        paths.push(format!("/ui/delete?run={a}&run={b}"));
        paths.push(format!("/ui/restore?run={a}"));
        paths.push(format!("/ui/logged-models/{}", self.logged));
        paths.push(format!("/ui/logged-models/{}/file?path=model%2Fa.html", self.logged));
        for file in ["a.json", "b.svg", "c.html", "d.csv", "e.md"] {
            paths.push(format!("/ui/runs/{a}/file?path={file}"));
        }
        paths
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_hostile_texts_as_texts_and_has_a_twin_in_json() {
    let shown = shown();
    for path in shown.paths() {
        let page = shown.page(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(!page.body.contains("<script>"), "{path}: {}", page.body);
        for inline in [" style=", "<style", " onclick=", "=\"javascript:"] {
            assert!(!page.body.contains(inline), "{path}: {inline}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let twin = shown.json(&path).await;
        assert_eq!(twin.status, 200, "{path}");
        assert!(twin.json().is_object(), "{path}");
        assert_eq!(twin.header("content-type"), "application/json", "{path}");
    }
    let runs = shown.page("/ui/runs").await;
    assert!(runs.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;1"), "{}", runs.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_file_does_nothing_by_itself() {
    let shown = shown();
    for (file, content_type) in [
        ("b.svg", "image/svg+xml"),
        ("c.html", "application/octet-stream"),
        ("a.json", "application/octet-stream"),
    ] {
        let raw = shown.page(&format!("/ui/runs/{}/raw?path={file}", shown.runs[0])).await;
        assert_eq!((raw.status, raw.header("content-type")), (200, content_type), "{file}");
        assert!(raw.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
        assert_eq!(raw.header("x-content-type-options"), "nosniff", "{file}");
        let is_attached = raw.header("content-disposition").starts_with("attachment");
        assert_eq!(is_attached, file != "b.svg", "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_cannot_be_read_says_so() {
    let shown = shown();
    let run = &shown.runs[0];
    for (path, status, words) in [
        ("/ui/runs/ffffffffffffffffffffffffffffffff".to_owned(), 404, "does not exist"),
        (format!("/ui/runs/{run}/file"), 400, "names no file"),
        (format!("/ui/runs/{run}/file?path=../../etc/passwd"), 404, "has no artifact"),
        ("/ui/compare".to_owned(), 400, "no runs to compare"),
        ("/ui/models/Nope".to_owned(), 404, "Nope"),
        ("/ui/models/Reviews/x".to_owned(), 404, "is no version"),
        ("/ui/models/Reviews/9".to_owned(), 404, "9"),
        ("/ui/models/Reviews/diff?a=1".to_owned(), 400, "is no version number"),
        ("/ui/data/nope".to_owned(), 404, "nope"),
        ("/ui/audit?action=nope".to_owned(), 400, "nope"),
        ("/ui/delete".to_owned(), 400, "no run is named"),
        ("/ui/restore?run=abc".to_owned(), 400, "abc"),
        ("/ui/experiments/77".to_owned(), 404, "77"),
        ("/ui/experiments/x".to_owned(), 400, "not a decimal number"),
        ("/ui/logged-models/m-1".to_owned(), 400, "m-1"),
        (format!("/ui/logged-models/m-{run}"), 404, run.as_str()),
        ("/ui/nowhere".to_owned(), 404, "nothing at this path"),
    ] {
        let page = shown.page(&path).await;
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.body.contains(words), "{path}: {}", page.body);
        let twin = shown.json(&path).await;
        assert_eq!(twin.status, status, "{path}");
        assert!(twin.json()["error"].as_str().unwrap().contains(words), "{path}: {}", twin.body);
    }
    // A filter with a mistake leaves the page as it is and says where.
    let page = shown.page("/ui/runs?filter=metrics.f1+%3E+%3Cb%3E").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("at position 14"), "{}", page.body);
    assert!(page.body.contains("metrics.f1 &gt; <mark>&lt;b&gt;</mark>"), "{}", page.body);
    assert_eq!(shown.json("/ui/runs?filter=metrics.f1+%3E+%3Cb%3E").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_says_which_runs_in_which_order() {
    let shown = shown();
    for (query, expected) in [
        ("", vec![1, 0]),
        ("?sort=metrics.f1&dir=asc", vec![0, 1]),
        ("?sort=metrics.f1&dir=desc", vec![1, 0]),
        ("?filter=metrics.f1+%3C+0.705", vec![0]),
        ("?rows=1", vec![1]),
        ("?rows=1&page=2", vec![0]),
        ("?rows=1&page=3", vec![]),
        ("?filter=metrics.f1+%3E+9", vec![]),
    ] {
        let json = shown.json(&format!("/ui/runs{query}")).await.json();
        let found: Vec<&str> = json["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["run_id"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> =
            expected.into_iter().map(|idx| shown.runs[idx].as_str()).collect();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_form_of_this_server_moves_a_version_and_the_gate_is_asked() {
    let shown = shown();
    let stage = || shown.registry.version("Reviews", 1).unwrap().stage;
    let path = "/ui/models/Reviews/1/promote";
    let own = [("host", "localhost:5000"), ("origin", "http://localhost:5000")];
    for headers in [
        vec![],
        vec![("host", "localhost:5000")],
        vec![("host", "localhost:5000"), ("origin", "http://evil.test")],
        vec![("host", "localhost:5000"), ("origin", "null")],
        vec![("host", "evil.test"), ("origin", "http://evil.test")],
    ] {
        let answer = shown.post(path, &headers, "stage=Staging").await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert_eq!(stage(), Stage::None, "{headers:?}");
    }
    // No page changes anything by being looked at.
    for asked in ["?stage=Staging", "?stage=Production&force=1&reason=x"] {
        assert_eq!(shown.page(&format!("{path}{asked}")).await.status, 200);
        assert_eq!(stage(), Stage::None);
    }
    for (form, status) in [
        ("stage=Production", 409),
        ("stage=Production&reason=because", 409),
        ("stage=Production&force=1", 400),
        ("stage=Nowhere", 400),
        ("", 400),
    ] {
        let answer = shown.post(path, &own, form).await;
        assert_eq!((answer.status, stage()), (status, Stage::None), "{form}: {}", answer.body);
    }
    let long = "x".repeat(70_000);
    assert_eq!(shown.post(path, &own, &long).await.status, 413);
    let answer = shown.post(path, &own, "stage=Production&force=1&reason=the+demo").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/ui/models/Reviews/1"));
    let version = shown.registry.version("Reviews", 1).unwrap();
    assert_eq!(version.stage, Stage::Production);
    assert!(version.history[0].note.contains("the demo"), "{:?}", version.history);
    assert!(version.history[0].note.contains("anonymous"), "{:?}", version.history);

    gate::promote(&shown.registry, "Reviews", 2, Stage::Production, Some("again"), "ada").unwrap();
    let page = shown.page("/ui/models/Reviews/rollback").await;
    assert!(page.body.contains("Version 2 is in Production"), "{}", page.body);
    let answer = shown.post("/ui/models/Reviews/rollback", &own, "reason=worse").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/ui/models/Reviews"));
    assert_eq!(stage(), Stage::Production);
    let events = shown.json("/ui/audit?q=reviews&action=rollback").await.json();
    assert!(events["events"][0]["who"].as_str().unwrap().starts_with("anonymous"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_the_pages_by_a_cookie_that_no_script_reads() {
    let mut shown = shown();
    let mut keys = BTreeMap::new();
    for scope in Scope::ALL {
        let new = NewKey { name: format!("{scope}-key"), scope, expires_ms: None };
        keys.insert(scope, shown.registry.add_key(new).unwrap());
    }
    let secret = |scope: Scope| keys[&scope].secret.clone();
    let config = ServeConfig {
        serves: false,
        log: None,
        ..ServeConfig::new(shown.registry.store().clone())
    };
    shown.state = config.load().unwrap();
    let shown = shown;
    let turned_away = shown.page("/ui/runs?filter=a%20b").await;
    assert_eq!(turned_away.status, 303);
    assert_eq!(turned_away.header("location"), "/ui/login?next=%2Fui%2Fruns%3Ffilter%3Da%2520b");
    assert_eq!(shown.json("/ui/runs").await.status, 401);
    for open in ["/ui/login", "/ui/assets/ui.css", "/ui/assets/links.js"] {
        assert_eq!(shown.page(open).await.status, 200, "{open}");
    }
    let own = [("host", "lab.example:1"), ("origin", "https://lab.example:1")];
    let enter = |scope: Scope| format!("key={}&next=%2Fui%2Fmodels", secret(scope));
    assert_eq!(shown.post("/ui/login", &own[..1], &enter(Scope::Read)).await.status, 403);
    assert_eq!(shown.post("/ui/login", &own, "key=tbk_wrong").await.status, 401);
    assert_eq!(shown.post("/ui/login", &own, &enter(Scope::Predict)).await.status, 403);
    let entered = shown.post("/ui/login", &own, &enter(Scope::Read)).await;
    assert_eq!((entered.status, entered.header("location")), (303, "/ui/models"));
    let cookie = entered.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/ui"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let with = |scope: Scope, path: &str| {
        let cookie = format!("trialbook_key={}", secret(scope));
        Request::get(path)
            .header("accept", BROWSER)
            .header("cookie", cookie)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(shown.ask(with(Scope::Read, "/ui/runs")).await.status, 200);
    assert_eq!(shown.ask(with(Scope::Predict, "/ui/runs")).await.status, 403);
    // The cookie opens pages alone: elsewhere another site's page could use it.
    assert_eq!(shown.ask(with(Scope::Admin, "/info")).await.status, 401);
    let move_it = |scope: Scope| {
        let cookie = format!("trialbook_key={}", secret(scope));
        let shown = &shown;
        async move {
            let headers = [own[0], own[1], ("cookie", cookie.as_str())];
            shown.post("/ui/models/Reviews/1/promote", &headers, "stage=Staging").await.status
        }
    };
    for scope in [Scope::Predict, Scope::Read, Scope::Write] {
        assert_eq!(move_it(scope).await, 403, "{scope}");
    }
    assert_eq!(move_it(Scope::Admin).await, 303);
    let version = shown.registry.version("Reviews", 1).unwrap();
    assert_eq!((version.stage, version.history[0].note.as_str()), (Stage::Staging, "admin-key"));
    let left = shown.post("/ui/logout", &own, "").await;
    assert!(left.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_model_leads_to_the_runs() {
    let shown = shown();
    for path in ["/", "/ui"] {
        let answer = shown.page(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/ui/runs"), "{path}");
    }
    let asset = shown.page("/ui/assets/ui.js").await;
    let request = Request::get("/ui/assets/ui.js").header("if-none-match", asset.header("etag"));
    assert_eq!(shown.ask(request.body(Body::empty()).unwrap()).await.status, 304);
    assert_eq!(shown.page("/ui/assets/../mod.rs").await.status, 404);
}
