//! MLflow's tracking API, shape by shape: what each endpoint takes and answers, and how it refuses. The real
//! clients are asked in `tests/tracking`.

use std::cell::Cell;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use trialbook::{registry::Registry, store::Store};
use trialbook_program::serve::{self, ServeConfig, ServerState};

const API: &str = "/api/2.0/mlflow";
const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";
const NOBODY: &str = "00000000000000000000000000000000";

/// A server that only tracks, on a store of its own.
struct Tracking {
    state: ServerState,
    n_asked: Cell<usize>,
    _folder: TempDir,
}

impl Tracking {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            ServeConfig { serves: false, log: None, ..ServeConfig::new(Store::new(folder.path())) };
        Self { state: config.load().unwrap(), n_asked: Cell::new(0), _folder: folder }
    }

    async fn raw(&self, request: Request<Body>) -> (u16, String, Vec<u8>) {
        self.n_asked.set(self.n_asked.get() + 1);
        let response = serve::app(self.state.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let media_type = parts.headers.get("content-type").map(|value| value.to_str().unwrap());
        let media_type = media_type.unwrap_or_default().to_owned();
        (parts.status.as_u16(), media_type, to_bytes(body, usize::MAX).await.unwrap().to_vec())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let path = if path.starts_with("/api") || path.starts_with("/ajax") {
            path.to_owned()
        } else {
            format!("{API}{path}")
        };
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("content-type", "application/json")
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
            .unwrap();
        let (status, media_type, bytes) = self.raw(request).await;
        assert_eq!(media_type, "application/json", "{method} {path}");
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, json) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {json}");
        json
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.done("POST", path, body).await
    }

    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, json) = self.ask(method, path, body.clone()).await;
        assert_eq!(status, 200, "{method} {path} {body}: {json}");
        json
    }

    /// Asks what has to be refused; the message.
    async fn refused(&self, method: &str, path: &str, body: Value, code: &str) -> String {
        let (status, json) = self.ask(method, path, body.clone()).await;
        assert_eq!(json["error_code"], code, "{method} {path} {body}: {status} {json}");
        assert!(status >= 400 && !matches!(status, 500 | 502 | 503 | 504), "{status} {json}");
        json["message"].as_str().unwrap().to_owned()
    }

    async fn run(&self) -> String {
        let made = self.post("/runs/create", json!({"experiment_id": "0"})).await;
        made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    }

    async fn put(&self, path: &str, bytes: &'static [u8]) -> u16 {
        let request = Request::put(path).header("content-type", "text/plain");
        self.raw(request.body(Body::from(bytes)).unwrap()).await.0
    }

    async fn fetch(&self, path: &str) -> (u16, Vec<u8>) {
        let (status, _, bytes) = self.raw(Request::get(path).body(Body::empty()).unwrap()).await;
        (status, bytes)
    }
}

const INVALID: &str = "INVALID_PARAMETER_VALUE";
const MISSING: &str = "RESOURCE_DOES_NOT_EXIST";
const EXISTS: &str = "RESOURCE_ALREADY_EXISTS";

#[tokio::test]
async fn experiments_are_made_found_changed_and_brought_back() {
    let t = Tracking::new();
    let tags = json!([{"key": "a", "value": "1"}]);
    let made = t.post("/experiments/create", json!({"name": "e", "tags": tags})).await;
    assert_eq!(made, json!({"experiment_id": "1"}));
    let found = t.get("/experiments/get?experiment_id=1").await["experiment"].clone();
    let created = found["creation_time"].as_i64().unwrap();
    let expected = json!({
        "experiment_id": "1", "name": "e", "artifact_location": "mlflow-artifacts:/1",
        "lifecycle_stage": "active", "creation_time": created, "last_update_time": created,
        "tags": tags,
    });
    assert_eq!(found, expected);
    assert_eq!(t.get("/experiments/get-by-name?experiment_name=e").await["experiment"], expected);
    t.post(
        "/experiments/set-experiment-tag",
        json!({"experiment_id": "1", "key": "b", "value": ""}),
    )
    .await;
    t.post("/experiments/delete-experiment-tag", json!({"experiment_id": "1", "key": "a"})).await;
    t.post("/experiments/update", json!({"experiment_id": "1", "new_name": "f"})).await;
    t.post("/experiments/delete", json!({"experiment_id": "1"})).await;
    let deleted = json!({"max_results": 5, "view_type": "DELETED_ONLY"});
    let found = t.post("/experiments/search", deleted).await;
    assert_eq!(found["experiments"][0]["name"], "f");
    assert_eq!(found["experiments"][0]["tags"], json!([{"key": "b", "value": ""}]));
    t.post("/experiments/restore", json!({"experiment_id": "1"})).await;
    let found = t.get("/experiments/search?max_results=1&filter=name%20%3D%20'f'").await;
    assert_eq!(found["experiments"].as_array().unwrap().len(), 1);

    for (path, body, code) in [
        ("/experiments/create", json!({}), INVALID),
        ("/experiments/create", json!({"name": 31}), INVALID),
        ("/experiments/create", json!({"name": "f"}), EXISTS),
        ("/experiments/create", json!({"name": "Default"}), EXISTS),
        ("/experiments/create", json!({"name": "x".repeat(501)}), INVALID),
        ("/experiments/create", json!({"name": "g", "artifact_location": "s3://b/../c"}), INVALID),
        ("/experiments/update", json!({"experiment_id": "9", "new_name": "g"}), MISSING),
        ("/experiments/delete", json!({"experiment_id": "9"}), MISSING),
        ("/experiments/restore", json!({"experiment_id": "1"}), INVALID),
        ("/experiments/search", json!({}), INVALID),
        ("/experiments/search", json!({"max_results": 50_001}), INVALID),
        ("/experiments/search", json!({"max_results": 5, "filter": "nme = 'f'"}), INVALID),
        ("/experiments/search", json!({"max_results": 5, "page_token": "x"}), INVALID),
        ("/experiments/search", json!({"max_results": 5, "view_type": "SOME"}), INVALID),
        (
            "/experiments/set-experiment-tag",
            json!({"experiment_id": "1", "key": "k", "value": "x".repeat(20_001)}),
            INVALID,
        ),
        ("/experiments/delete-experiment-tag", json!({"experiment_id": "1", "key": "a"}), MISSING),
    ] {
        t.refused("POST", path, body, code).await;
    }
    t.refused("GET", "/experiments/get?experiment_id=9", Value::Null, MISSING).await;
    t.refused("GET", "/experiments/get?experiment_id=abc", Value::Null, INVALID).await;
    t.refused("GET", "/experiments/get-by-name?experiment_name=g", Value::Null, MISSING).await;
    let message = t.refused("GET", "/experiments/get", Value::Null, INVALID).await;
    assert!(message.starts_with("Missing value for required parameter 'experiment_id'."));
}

#[tokio::test]
async fn a_run_answers_all_that_was_logged_to_it() {
    let t = Tracking::new();
    let made = t
        .post(
            "/runs/create",
            json!({
                "experiment_id": "0", "user_id": "ada", "run_name": "r", "start_time": 7,
                "tags": [{"key": "k", "value": "v"}],
            }),
        )
        .await["run"]
        .clone();
    let run_id = made["info"]["run_id"].as_str().unwrap();
    assert_eq!(
        made["info"],
        json!({
            "run_id": run_id, "run_uuid": run_id, "run_name": "r", "experiment_id": "0",
            "user_id": "ada", "status": "RUNNING", "start_time": 7, "lifecycle_stage": "active",
            "artifact_uri": format!("mlflow-artifacts:/0/{run_id}/artifacts"),
        })
    );
    let with = |mut body: Value| {
        body["run_id"] = run_id.into();
        body
    };
    t.post("/runs/log-metric", with(json!({"key": "m", "value": 0.5, "timestamp": 1, "step": 2})))
        .await;
    t.post(
        "/runs/log-metric",
        json!({"run_uuid": run_id, "key": "inf", "value": "-Infinity", "timestamp": "3"}),
    )
    .await;
    t.post("/runs/log-parameter", with(json!({"key": "p", "value": "1"}))).await;
    t.post("/runs/set-tag", with(json!({"key": "t", "value": "x"}))).await;
    t.post("/runs/delete-tag", with(json!({"key": "k"}))).await;
    t.post(
        "/runs/log-batch",
        with(json!({
            "metrics": [
                {"key": "m", "value": "NaN", "timestamp": 5, "step": 3},
                {"key": "m", "value": 0.25, "timestamp": 4, "step": 1},
            ],
            "params": [{"key": "q", "value": ""}],
            "tags": [{"key": "mlflow.runName", "value": "renamed"}],
        })),
    )
    .await;
    let ended = t.post("/runs/update", with(json!({"status": "FINISHED", "end_time": 9}))).await;
    assert_eq!(
        (&ended["run_info"]["status"], &ended["run_info"]["end_time"]),
        (&json!("FINISHED"), &json!(9))
    );
    let run = t.get(&format!("/runs/get?run_id={run_id}")).await["run"].clone();
    assert_eq!(run["info"]["run_name"], "renamed");
    assert_eq!(
        run["data"],
        json!({
            "metrics": [
                {"key": "inf", "value": "-Infinity", "timestamp": 3, "step": 0},
                {"key": "m", "value": "NaN", "timestamp": 5, "step": 3},
            ],
            "params": [{"key": "p", "value": "1"}, {"key": "q", "value": ""}],
            "tags": [{"key": "t", "value": "x"}, {"key": "mlflow.runName", "value": "renamed"}],
        })
    );
    let history = t.get(&format!("/metrics/get-history?run_id={run_id}&metric_key=m")).await;
    let points = history["metrics"].as_array().unwrap();
    let steps: Vec<i64> = points.iter().map(|point| point["step"].as_i64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3]);
    assert_eq!(
        t.get(&format!("/metrics/get-history?run_id={run_id}&metric_key=no")).await,
        json!({})
    );
    let bulk = t.get(&format!("/metrics/get-history-bulk?run_id={run_id}&metric_key=m")).await;
    assert_eq!(bulk["metrics"][0]["run_id"], run_id);
    let path = format!(
        "/metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=m&start_step=2&end_step=3"
    );
    assert_eq!(t.get(&path).await["metrics"].as_array().unwrap().len(), 2);
    let searched = json!({"experiment_ids": ["0"], "filter": "metrics.inf < 0 and params.p = '1'"});
    assert_eq!(t.post("/runs/search", searched).await["runs"][0], run);
    assert_eq!(t.post("/runs/search", json!({"experiment_ids": ["999"]})).await, json!({}));
}

#[tokio::test]
async fn what_a_run_cannot_take_changes_nothing() {
    let t = Tracking::new();
    let run_id = t.run().await;
    let param = |value: &str| json!({"run_id": run_id, "key": "p", "value": value});
    t.post("/runs/log-parameter", param("1")).await;
    t.post("/runs/log-parameter", param("1")).await;
    let message = t.refused("POST", "/runs/log-parameter", param("2"), INVALID).await;
    assert!(message.starts_with("Changing param values is not allowed."), "{message}");
    let point = |n: usize| json!({"key": format!("m{n}"), "value": n, "timestamp": 1});
    let points = |n: usize| (0..n).map(point).collect::<Vec<_>>();
    let pairs = |n: usize| -> Vec<Value> {
        (0..n).map(|n| json!({"key": format!("k{n}"), "value": "v"})).collect()
    };
    for (body, limit) in [
        (json!({"metrics": points(1001)}), "1000"),
        (json!({"params": pairs(101)}), "100"),
        (json!({"tags": pairs(101)}), "100"),
        (json!({"metrics": points(950), "params": pairs(60)}), "1000"),
        (json!({"tags": [{"key": "k", "value": "x".repeat(1_000_001)}]}), "1000000"),
        (json!({"tags": [{"key": "k", "value": "x".repeat(8_001)}]}), "8000"),
        (json!({"metrics": [{"key": "a=b", "value": 1, "timestamp": 1}]}), "letters"),
        (json!({"metrics": [{"key": "a", "value": "one", "timestamp": 1}]}), "value"),
        (json!({"metrics": [{"key": "a", "value": 1}]}), "timestamp"),
        (json!({"metrics": [point(1)], "params": [{"key": "p", "value": "other"}]}), "other"),
    ] {
        let mut body = body;
        body["run_id"] = run_id.clone().into();
        let message = t.refused("POST", "/runs/log-batch", body, INVALID).await;
        assert!(message.contains(limit), "{limit}: {message}");
    }
    let run = t.get(&format!("/runs/get?run_id={run_id}")).await["run"].clone();
    assert_eq!(
        (&run["data"]["metrics"], &run["data"]["params"]),
        (&json!([]), &json!([{"key": "p", "value": "1"}]))
    );

    for (path, body, code) in [
        ("/runs/create", json!({"experiment_id": "9"}), MISSING),
        ("/runs/create", json!({"experiment_id": 0}), INVALID),
        ("/runs/update", json!({"run_id": NOBODY, "status": "FINISHED"}), MISSING),
        ("/runs/update", json!({"run_id": run_id, "status": "DONE"}), INVALID),
        ("/runs/delete", json!({"run_id": NOBODY}), MISSING),
        ("/runs/restore", json!({"run_id": NOBODY}), MISSING),
        ("/runs/log-metric", json!({"run_id": run_id, "key": "m", "timestamp": 1}), INVALID),
        ("/runs/log-metric", json!({"key": "m", "value": 1, "timestamp": 1}), INVALID),
        ("/runs/log-parameter", json!({"run_id": NOBODY, "key": "p", "value": "1"}), MISSING),
        ("/runs/set-tag", json!({"run_id": run_id}), INVALID),
        ("/runs/delete-tag", json!({"run_id": run_id, "key": "no"}), MISSING),
        ("/runs/log-model", json!({"run_id": run_id, "model_json": "{"}), INVALID),
        ("/runs/log-model", json!({"run_id": run_id, "model_json": "{}"}), INVALID),
        ("/runs/search", json!({"experiment_ids": ["0"], "max_results": 0}), INVALID),
        ("/runs/search", json!({"experiment_ids": ["0"], "filter": "a = 1 or b = 2"}), INVALID),
        ("/runs/search", json!({"experiment_ids": ["0"], "order_by": ["metrics.m up"]}), INVALID),
        ("/runs/search", json!({"experiment_ids": ["abc"]}), INVALID),
        ("/runs/log-inputs", json!({"run_id": run_id, "datasets": [{"tags": []}]}), INVALID),
        ("/runs/log-inputs", json!({"run_id": run_id, "models": [{"model_id": "m-x"}]}), INVALID),
        ("/runs/outputs", json!({"run_id": run_id, "models": [{}]}), INVALID),
    ] {
        t.refused("POST", path, body, code).await;
    }
    for (path, code) in [
        ("/runs/get".to_owned(), INVALID),
        (format!("/runs/get?run_id={NOBODY}"), MISSING),
        ("/runs/get?run_id=../x".to_owned(), INVALID),
        (format!("/metrics/get-history?run_id={run_id}"), INVALID),
        (format!("/metrics/get-history?run_id={NOBODY}&metric_key=m"), MISSING),
        ("/metrics/get-history-bulk?metric_key=m".to_owned(), INVALID),
        (
            format!(
                "/metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=m&start_step=2&end_step=1"
            ),
            INVALID,
        ),
    ] {
        t.refused("GET", &path, Value::Null, code).await;
    }
    t.post("/runs/delete", json!({"run_id": run_id})).await;
    let tag = json!({"run_id": run_id, "key": "t", "value": "x"});
    let message = t.refused("POST", "/runs/set-tag", tag, INVALID).await;
    assert!(message.contains("must be in the 'active' state"), "{message}");
    t.post("/runs/restore", json!({"run_id": run_id})).await;
}

#[tokio::test]
async fn pages_end_exactly_with_the_last_run() {
    let t = Tracking::new();
    for _ in 0..4 {
        t.run().await;
    }
    let mut seen = Vec::new();
    let mut token = Value::Null;
    loop {
        let body = json!({"experiment_ids": ["0"], "max_results": 2, "page_token": token});
        let page = t.post("/runs/search", body).await;
        seen.extend(
            page["runs"].as_array().unwrap().iter().map(|run| run["info"]["run_id"].clone()),
        );
        token = page["next_page_token"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), 4, "a full last page names no next one");
}

#[tokio::test]
async fn datasets_and_logged_models_belong_to_their_runs() {
    let t = Tracking::new();
    let run_id = t.run().await;
    let made = t
        .post(
            "/logged-models",
            json!({
                "experiment_id": "0", "name": "net", "model_type": "Classifier",
                "source_run_id": run_id, "params": [{"key": "depth", "value": "2"}],
                "tags": [{"key": "t", "value": "1"}],
            }),
        )
        .await["model"]
        .clone();
    let model_id = made["info"]["model_id"].as_str().unwrap();
    assert!(model_id.starts_with("m-") && model_id.len() == 34);
    assert_eq!(made["info"]["status"], "LOGGED_MODEL_PENDING");
    assert_eq!(
        made["info"]["artifact_uri"],
        format!("mlflow-artifacts:/0/models/{model_id}/artifacts")
    );
    let at = format!("/logged-models/{model_id}");
    t.done("PATCH", &at, json!({"status": "LOGGED_MODEL_READY"})).await;
    t.done("PATCH", &format!("{at}/tags"), json!({"tags": [{"key": "u", "value": "2"}]})).await;
    t.done("DELETE", &format!("{at}/tags/t"), Value::Null).await;
    t.post(&format!("{at}/params"), json!({"params": [{"key": "lr", "value": "0.1"}]})).await;
    let dataset = json!({
        "name": "d", "digest": "x", "source_type": "local", "source": "{}", "profile": "{\"n\": 2}",
    });
    let inputs = json!({
        "run_id": run_id, "models": [{"model_id": model_id}],
        "datasets": [{"tags": [{"key": "mlflow.data.context", "value": "test"}], "dataset": dataset}],
    });
    t.post("/runs/log-inputs", inputs).await;
    t.post(
        "/runs/outputs",
        json!({"run_id": run_id, "models": [{"model_id": model_id, "step": 3}]}),
    )
    .await;
    t.post(
        "/runs/log-metric",
        json!({
            "run_id": run_id, "key": "f1", "value": 0.5, "timestamp": 1, "step": 3,
            "model_id": model_id, "dataset_name": "d", "dataset_digest": "x",
        }),
    )
    .await;
    let run = t.get(&format!("/runs/get?run_id={run_id}")).await["run"].clone();
    assert_eq!(run["inputs"]["dataset_inputs"][0]["dataset"], dataset);
    assert_eq!(run["inputs"]["model_inputs"], json!([{"model_id": model_id}]));
    assert_eq!(run["outputs"]["model_outputs"], json!([{"model_id": model_id, "step": 3}]));
    let found = t.get(&at).await["model"].clone();
    assert_eq!(found["info"]["status"], "LOGGED_MODEL_READY");
    assert_eq!(found["info"]["tags"], json!([{"key": "u", "value": "2"}]));
    assert_eq!(found["data"]["params"].as_array().unwrap().len(), 2);
    assert_eq!(found["data"]["metrics"][0]["dataset_name"], "d");
    let query = json!({
        "experiment_ids": ["0"], "filter": "metrics.f1 >= 0.5 AND name = 'net'",
        "datasets": [{"dataset_name": "d"}],
        "order_by": [{"field_name": "creation_timestamp", "ascending": false}],
    });
    assert_eq!(t.post("/logged-models/search", query).await["models"][0], found);
    let summaries = t.post("/experiments/search-datasets", json!({"experiment_ids": ["0"]})).await;
    assert_eq!(
        summaries["dataset_summaries"],
        json!([{"experiment_id": "0", "name": "d", "digest": "x", "context": "test"}])
    );
    let proxy = format!("{PROXY}/0/models/{model_id}/artifacts/MLmodel");
    assert_eq!(t.put(&proxy, b"flavors: {}").await, 200);
    let listed = t.get(&format!("{at}/artifacts/directories")).await;
    assert_eq!(listed["files"], json!([{"path": "MLmodel", "is_dir": false, "file_size": 11}]));

    for (method, path, body, code) in [
        ("POST", "/logged-models".to_owned(), json!({}), INVALID),
        ("POST", "/logged-models".to_owned(), json!({"experiment_id": "9"}), MISSING),
        (
            "POST",
            "/logged-models".to_owned(),
            json!({"experiment_id": "0", "name": "a/b"}),
            INVALID,
        ),
        ("GET", format!("/logged-models/m-{NOBODY}"), Value::Null, MISSING),
        ("GET", "/logged-models/abc".to_owned(), Value::Null, INVALID),
        ("PATCH", at.clone(), json!({"status": "DONE"}), INVALID),
        ("PATCH", format!("{at}/tags"), json!({"tags": [{"value": "1"}]}), INVALID),
        ("DELETE", format!("{at}/tags/no"), Value::Null, MISSING),
        ("POST", format!("{at}/params"), json!({"params": [{"key": "lr", "value": "1"}]}), INVALID),
        ("POST", "/logged-models/search".to_owned(), json!({"max_results": 5000}), INVALID),
        ("POST", "/logged-models/search".to_owned(), json!({"filter": "nme = 'x'"}), INVALID),
    ] {
        t.refused(method, &path, body, code).await;
    }
    t.done("DELETE", &at, Value::Null).await;
    t.refused("GET", &at, Value::Null, MISSING).await;
}

#[tokio::test]
async fn artifacts_go_up_are_listed_and_come_down() {
    let t = Tracking::new();
    let run_id = t.run().await;
    let root = format!("{PROXY}/0/{run_id}/artifacts");
    for (name, bytes) in
        [("a.txt", &b"alpha"[..]), ("model/w.bin", b"\0\x01"), ("k%2Bs+3.png", b"p")]
    {
        assert_eq!(t.put(&format!("{root}/{name}"), bytes).await, 200, "{name}");
    }
    assert_eq!(t.fetch(&format!("{root}/a.txt")).await, (200, b"alpha".to_vec()));
    assert_eq!(t.fetch(&format!("{root}/k+s+3.png")).await, (200, b"p".to_vec()));
    let listed = t.get(&format!("{PROXY}?path=0/{run_id}/artifacts")).await;
    assert_eq!(
        listed["files"],
        json!([
            {"path": "a.txt", "is_dir": false, "file_size": 5},
            {"path": "k+s+3.png", "is_dir": false, "file_size": 1},
            {"path": "model", "is_dir": true},
        ])
    );
    assert_eq!(t.get(&format!("{PROXY}?path=0/{run_id}/artifacts/a.txt")).await, json!({}));
    assert_eq!(t.get(&format!("{PROXY}?path=0/{run_id}/artifacts/no")).await, json!({}));
    let listed = t.get(&format!("/artifacts/list?run_id={run_id}&path=model")).await;
    assert_eq!(listed["root_uri"], format!("mlflow-artifacts:/0/{run_id}/artifacts"));
    assert_eq!(listed["files"], json!([{"path": "model/w.bin", "is_dir": false, "file_size": 2}]));
    let got = t.fetch(&format!("/get-artifact?run_uuid={run_id}&path=model/w.bin")).await;
    assert_eq!(got, (200, b"\0\x01".to_vec()));
    let removed = Request::delete(format!("{root}/model")).body(Body::empty()).unwrap();
    assert_eq!(t.raw(removed).await.0, 200);

    for (path, expected) in [
        (format!("{root}/model/w.bin"), 404),
        (format!("{root}/../x"), 400),
        (format!("{root}/%2e%2e/%2e%2e/x"), 400),
        (format!("{PROXY}/1/{run_id}/artifacts/a.txt"), 404),
        (format!("{PROXY}/0/{NOBODY}/artifacts/a.txt"), 404),
        ("/get-artifact?path=a.txt".to_owned(), 400),
        (format!("/get-artifact?run_uuid={run_id}&path=../a"), 400),
        (format!("/get-artifact?run_uuid={run_id}&path=no"), 404),
    ] {
        assert_eq!(t.fetch(&path).await.0, expected, "{path}");
    }
    for (path, expected) in [
        (format!("{root}/a.txt/below"), 400),
        (format!("{root}/..%2fx"), 400),
        (format!("{PROXY}/loose.txt"), 400),
        (format!("{PROXY}/0/{NOBODY}/artifacts/x"), 404),
        (format!("{PROXY}/registered/M/1/x"), 400),
    ] {
        assert_eq!(t.put(&path, b"x").await, expected, "{path}");
    }
    t.refused("GET", "/artifacts/list?run_id=abc", Value::Null, INVALID).await;
    let climbing = format!("/artifacts/list?run_id={run_id}&path=%252e%252e/x");
    t.refused("GET", &climbing, Value::Null, INVALID).await;
    for path in ["mpu/create/x", "presigned/x"] {
        let (status, json) =
            t.ask("POST", &format!("/api/2.0/mlflow-artifacts/{path}"), json!({})).await;
        assert_eq!((status, &json["error_code"]), (501, &json!("NOT_IMPLEMENTED")));
    }
    t.post("/runs/delete", json!({"run_id": run_id})).await;
    assert_eq!(t.put(&format!("{root}/late.txt"), b"x").await, 400, "the run is deleted");
}

#[tokio::test]
async fn models_and_versions_are_registered_and_change() {
    let t = Tracking::new();
    let run_id = t.run().await;
    let root = format!("mlflow-artifacts:/0/{run_id}/artifacts");
    t.put(&format!("{PROXY}/0/{run_id}/artifacts/model/w"), b"weights").await;
    let made = t
        .post(
            "/registered-models/create",
            json!({"name": "M", "description": "d", "tags": [{"key": "k", "value": "v"}]}),
        )
        .await["registered_model"]
        .clone();
    assert_eq!((&made["name"], &made["description"]), (&json!("M"), &json!("d")));
    let version = json!({
        "name": "M", "source": format!("{root}/model"), "run_id": run_id, "description": "one",
        "run_link": "http://elsewhere", "tags": [{"key": "a", "value": "b"}],
    });
    let made = t.post("/model-versions/create", version.clone()).await["model_version"].clone();
    let created = made["creation_timestamp"].clone();
    assert_eq!(
        made,
        json!({
            "name": "M", "version": "1", "creation_timestamp": created,
            "last_updated_timestamp": created, "current_stage": "None", "description": "one",
            "source": format!("{root}/model"), "run_id": run_id, "status": "READY",
            "run_link": "http://elsewhere", "tags": [{"key": "a", "value": "b"}], "aliases": [],
        })
    );
    t.post("/model-versions/create", version).await;
    t.post("/registered-models/alias", json!({"name": "M", "alias": "best", "version": "2"})).await;
    let best = t.get("/registered-models/alias?name=M&alias=best").await;
    assert_eq!(
        (&best["model_version"]["version"], &best["model_version"]["aliases"]),
        (&json!("2"), &json!(["best"]))
    );
    t.post("/registered-models/set-tag", json!({"name": "M", "key": "x", "value": "y"})).await;
    t.done("DELETE", "/registered-models/delete-tag", json!({"name": "M", "key": "k"})).await;
    t.post(
        "/model-versions/set-tag",
        json!({"name": "M", "version": "1", "key": "c", "value": "d"}),
    )
    .await;
    t.done(
        "DELETE",
        "/model-versions/delete-tag",
        json!({"name": "M", "version": "1", "key": "a"}),
    )
    .await;
    t.done(
        "PATCH",
        "/model-versions/update",
        json!({"name": "M", "version": "1", "description": "e"}),
    )
    .await;
    t.done("PATCH", "/registered-models/update", json!({"name": "M", "description": "f"})).await;
    t.post("/registered-models/rename", json!({"name": "M", "new_name": "N"})).await;
    let model = t.get("/registered-models/get?name=N").await["registered_model"].clone();
    assert_eq!(model["tags"], json!([{"key": "x", "value": "y"}]));
    assert_eq!(model["aliases"], json!([{"alias": "best", "version": "2"}]));
    assert_eq!(
        (&model["description"], &model["latest_versions"][0]["version"]),
        (&json!("f"), &json!("2"))
    );
    let version = t.get("/model-versions/get?name=N&version=1").await["model_version"].clone();
    assert_eq!(
        (&version["description"], &version["tags"]),
        (&json!("e"), &json!([{"key": "c", "value": "d"}]))
    );
    let uri = t.get("/model-versions/get-download-uri?name=N&version=1").await;
    assert_eq!(uri["artifact_uri"], "mlflow-artifacts:/registered/N/1");
    let got = t.fetch("/model-versions/get-artifact?name=N&version=1&path=w").await;
    assert_eq!(got, (200, b"weights".to_vec()));
    assert_eq!(t.fetch(&format!("{PROXY}/registered/N/1/w")).await.0, 200);
    let staging = json!({"name": "N", "version": "1", "stage": "staging"});
    let moved = t.post("/model-versions/transition-stage", staging).await;
    assert_eq!(moved["model_version"]["current_stage"], "Staging");
    let latest = t.post(
        "/registered-models/get-latest-versions",
        json!({"name": "N", "stages": ["Staging"]}),
    );
    assert_eq!(latest.await["model_versions"][0]["version"], "1");
    assert_eq!(
        t.get("/registered-models/get-latest-versions?name=N").await["model_versions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // What every listing of MLflow's clients asks.
    let path =
        "/registered-models/search?filter=tag.%60mlflow.prompt.is_prompt%60%20!%3D%20%27true%27";
    assert_eq!(t.get(path).await["registered_models"].as_array().unwrap().len(), 1);
    let found =
        t.get("/model-versions/search?filter=name%3D%27N%27&order_by=version_number%20ASC").await;
    assert_eq!(found["model_versions"][0]["version"], "1");

    for (method, path, body, code) in [
        ("POST", "/registered-models/create", json!({"name": "N"}), EXISTS),
        ("POST", "/registered-models/create", json!({"name": "a/b"}), INVALID),
        ("POST", "/registered-models/create", json!({"name": "a:b"}), INVALID),
        ("POST", "/registered-models/rename", json!({"name": "no", "new_name": "x"}), MISSING),
        ("PATCH", "/registered-models/update", json!({"name": "no", "description": "x"}), MISSING),
        ("DELETE", "/registered-models/delete", json!({"name": "N"}), INVALID),
        ("DELETE", "/registered-models/delete-tag", json!({"name": "no", "key": "k"}), MISSING),
        ("POST", "/registered-models/set-tag", json!({"name": "N"}), INVALID),
        (
            "POST",
            "/registered-models/alias",
            json!({"name": "N", "alias": "v1", "version": "1"}),
            INVALID,
        ),
        (
            "POST",
            "/registered-models/alias",
            json!({"name": "N", "alias": "a", "version": "7"}),
            MISSING,
        ),
        ("DELETE", "/registered-models/alias", json!({"name": "no", "alias": "a"}), MISSING),
        (
            "POST",
            "/registered-models/get-latest-versions",
            json!({"name": "N", "stages": ["x"]}),
            INVALID,
        ),
        ("POST", "/model-versions/create", json!({"name": "no", "source": root}), MISSING),
        ("POST", "/model-versions/create", json!({"name": "N"}), INVALID),
        ("POST", "/model-versions/create", json!({"name": "N", "source": "/etc"}), INVALID),
        (
            "POST",
            "/model-versions/create",
            json!({"name": "N", "source": format!("{root}/%2e%2e")}),
            INVALID,
        ),
        (
            "POST",
            "/model-versions/create",
            json!({"name": "N", "source": root, "run_id": NOBODY}),
            INVALID,
        ),
        ("PATCH", "/model-versions/update", json!({"name": "N", "version": "x"}), INVALID),
        ("DELETE", "/model-versions/delete", json!({"name": "N", "version": "1"}), INVALID),
        (
            "POST",
            "/model-versions/set-tag",
            json!({"name": "N", "version": "9", "key": "k"}),
            MISSING,
        ),
        ("DELETE", "/model-versions/delete-tag", json!({"name": "N", "key": "k"}), INVALID),
        (
            "POST",
            "/model-versions/transition-stage",
            json!({"name": "N", "version": "2", "stage": "x"}),
            INVALID,
        ),
        (
            "POST",
            "/model-versions/transition-stage",
            json!({"name": "N", "version": "2", "stage": "Production"}),
            "RESOURCE_CONFLICT",
        ),
        ("GET", "/registered-models/get?name=no", Value::Null, MISSING),
        ("GET", "/registered-models/search?filter=nme%3D%27x%27", Value::Null, INVALID),
        ("GET", "/registered-models/alias?name=N&alias=no", Value::Null, INVALID),
        ("GET", "/model-versions/get?name=N&version=9", Value::Null, MISSING),
        ("GET", "/model-versions/get-download-uri?name=N", Value::Null, INVALID),
        ("GET", "/model-versions/search?max_results=0", Value::Null, INVALID),
    ] {
        t.refused(method, path, body, code).await;
    }
    t.done("DELETE", "/registered-models/alias", json!({"name": "N", "alias": "best"})).await;
    t.done("DELETE", "/model-versions/delete", json!({"name": "N", "version": "2"})).await;
}

#[tokio::test]
async fn what_is_no_request_of_mlflows_is_told_so_in_its_json() {
    let t = Tracking::new();
    for (method, path) in [
        ("POST", "/api/3.0/mlflow/traces/search"),
        ("GET", "/api/2.0/mlflow/nothing"),
        ("GET", "/ajax-api/2.0/mlflow/gateway"),
        ("GET", "/api/2.0/mlflow-artifacts/nothing"),
        ("GET", "/api/2.0/mlflow/runs/create"),
    ] {
        t.refused(method, path, Value::Null, "ENDPOINT_NOT_FOUND").await;
    }
    let malformed = |body: &'static str| {
        let request = Request::post(format!("{API}/runs/create"));
        request.header("content-type", "application/json").body(Body::from(body)).unwrap()
    };
    for body in ["{", "[1]", "{\"experiment_id\": NaN}"] {
        let (status, _, bytes) = t.raw(malformed(body)).await;
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((status, &json["error_code"]), (400, &json!("BAD_REQUEST")), "{body}");
        assert!(json["message"].as_str().unwrap().contains("JSON"), "{json}");
    }
    let untyped = Request::post(format!("{API}/runs/create")).body(Body::from("{}")).unwrap();
    let (status, _, bytes) = t.raw(untyped).await;
    assert_eq!(status, 400);
    assert!(String::from_utf8(bytes).unwrap().contains("Content-Type header is missing."));
    // The same endpoints, where pages and later clients look for them.
    for prefix in ["/api/3.0/mlflow", "/ajax-api/2.0/mlflow", "/ajax-api/3.0/mlflow"] {
        t.get(&format!("{prefix}/experiments/get?experiment_id=0")).await;
    }
    let info = t.get("/api/3.0/mlflow/server-info").await;
    assert_eq!(info["multipart_uploads_enabled"], false);
    let (status, bytes) = t.fetch("/version").await;
    assert_eq!((status, bytes), (200, b"3.17.2".to_vec()));
    assert_eq!(t.fetch("/health").await.0, 200, "without a model it is well");
}

#[tokio::test]
async fn requests_at_once_are_all_kept() {
    let t = Tracking::new();
    let run_id = t.run().await;
    let tasks = (0..64).map(|n| {
        let (state, run_id) = (t.state.clone(), run_id.clone());
        tokio::spawn(async move {
            let body = json!({"run_id": run_id, "key": "m", "value": n, "timestamp": n, "step": n});
            let request = Request::post(format!("{API}/runs/log-metric"))
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
            serve::app(state).oneshot(request).await.unwrap().status().as_u16()
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), 200);
    }
    let history = t.get(&format!("/metrics/get-history?run_id={run_id}&metric_key=m")).await;
    assert_eq!(history["metrics"].as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn what_changes_is_in_the_audit_trail_with_who() {
    let t = Tracking::new();
    let run_id = t.run().await;
    t.post("/experiments/create", json!({"name": "e"})).await;
    t.post("/runs/delete", json!({"run_id": run_id})).await;
    t.post("/registered-models/create", json!({"name": "M"})).await;
    t.post("/model-versions/create", json!({"name": "M", "source": "s3://bucket/model"})).await;
    t.post("/registered-models/rename", json!({"name": "M", "new_name": "N"})).await;
    let registry = Registry::open(&Store::new(t._folder.path())).unwrap();
    let events = registry.audit(&Default::default()).unwrap();
    let told: Vec<_> =
        events.iter().rev().map(|event| (event.action.as_str(), event.subject.as_str())).collect();
    assert_eq!(
        told,
        [
            ("create", run_id.as_str()),
            ("create", "1"),
            ("delete", run_id.as_str()),
            ("create", "M"),
            ("register", "M/1"),
            ("rename", "N"),
        ]
    );
    assert!(events.iter().all(|event| event.who == "anonymous"), "asked without a connection");
}
