//! Changes from the pages: notes, names and tags, runs and experiments deleted and restored. By
//! forms of this server's pages alone, each with an event of it.

use std::collections::BTreeMap;

use trialbook::registry::{AuditAction, AuditQuery, Lifecycle, NewKey, Scope};
use trialbook_program::serve::ServeConfig;

use super::ui::{HOSTILE, Shown, shown};

const OWN: [(&str, &str); 2] = [("host", "localhost:5000"), ("origin", "http://localhost:5000")];

/// The forms that there are, with what each changes in `shown`.
fn forms(shown: &Shown) -> Vec<(String, String)> {
    let run = &shown.runs[0];
    let mut forms: Vec<(String, String)> = [
        ("/ui/runs/RUN/name", "name=other"),
        ("/ui/runs/RUN/note", "note=other"),
        ("/ui/runs/RUN/tags", "key=other&value=1"),
        ("/ui/delete", "run=RUN"),
        ("/ui/restore", "run=RUN"),
        ("/ui/experiments", "name=other"),
        ("/ui/experiments/0/name", "name=renamed"),
        ("/ui/experiments/0/note", "note=other"),
        ("/ui/experiments/0/delete", ""),
        ("/ui/experiments/0/restore", ""),
    ]
    .map(|(path, form)| (path.replace("RUN", run), form.replace("RUN", run)))
    .into();
    forms.push((format!("/ui/runs/{run}/tags"), "tag.k=1&remove=k".to_owned()));
    forms
}

/// The things that forms could have changed.
fn state(shown: &Shown) -> String {
    let runs: Vec<_> =
        shown.runs.iter().map(|run| shown.registry.run_by_id(run).unwrap()).collect();
    let experiments = shown.registry.experiments_among(Lifecycle::Any).unwrap();
    format!("{runs:?} {experiments:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_form_of_this_server_changes_runs_and_experiments() {
    let shown = shown();
    let before = state(&shown);
    for (path, form) in forms(&shown) {
        for headers in [
            vec![],
            vec![OWN[0]],
            vec![OWN[0], ("origin", "http://evil.test")],
            vec![("host", "evil.test"), ("origin", "http://evil.test")],
        ] {
            assert_eq!(shown.post(&path, &headers, &form).await.status, 403, "{path} {headers:?}");
        }
        // By GET it is a page or nothing at all.
        let status = shown.page(&format!("{path}?{form}")).await.status;
        assert!(matches!(status, 200 | 405), "{path}: {status}");
        assert_eq!(state(&shown), before, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_runs_by_the_scope_that_moves_versions() {
    let mut shown = shown();
    let mut keys = BTreeMap::new();
    for scope in [Scope::Read, Scope::Write, Scope::Admin] {
        let new = NewKey { name: format!("{scope}-key"), scope, expires_ms: None };
        keys.insert(scope, shown.registry.add_key(new).unwrap().secret);
    }
    let config = ServeConfig {
        serves: false,
        log: None,
        ..ServeConfig::new(shown.registry.store().clone())
    };
    shown.state = config.load().unwrap();
    let path = format!("/ui/runs/{}/note", shown.runs[0]);
    for (scope, status) in [(Scope::Read, 403), (Scope::Write, 403), (Scope::Admin, 303)] {
        let cookie = format!("trialbook_key={}", keys[&scope]);
        let headers = [OWN[0], OWN[1], ("cookie", cookie.as_str())];
        let answer = shown.post(&path, &headers, "note=by+key").await;
        assert_eq!(answer.status, status, "{scope}");
    }
    let query = AuditQuery { limit: Some(1), ..AuditQuery::default() };
    assert_eq!(shown.registry.audit(&query).unwrap()[0].who, "admin-key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gets_a_note_a_name_and_tags() {
    let shown = shown();
    let run = shown.runs[0].clone();
    let url = format!("/ui/runs/{run}");
    let stored = || shown.registry.run_by_id(&run).unwrap();
    let field = |body: &str, start: &str| {
        let rest = body.split_once(start).map(|(_, rest)| rest.to_owned()).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let page = shown.page(&url).await.body;
    let seen = field(&page, "name=\"seen\" value=\"");

    let note = "%23+Why%0D%0A%0D%0A%3Cscript%3Ealert%281%29%3C%2Fscript%3E";
    let answer =
        shown.post(&format!("{url}/note"), &OWN, &format!("note={note}&seen={seen}")).await;
    assert_eq!((answer.status, answer.header("location")), (303, url.as_str()));
    assert_eq!(stored().tags["mlflow.note.content"], format!("# Why\n\n{HOSTILE}"));
    let page = shown.page(&url).await.body;
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"), "{page}");
    // Whoever opened the page before does not overwrite it.
    let stale = shown.post(&format!("{url}/note"), &OWN, &format!("note=x&seen={seen}")).await;
    assert_eq!(stale.status, 409);
    assert!(stale.body.contains("changed since this page was opened"), "{}", stale.body);
    assert_eq!(shown.post(&format!("{url}/note"), &OWN, "").await.status, 400);
    assert_eq!(shown.post(&format!("{url}/note"), &OWN, "note=+").await.status, 303);
    assert!(!stored().tags.contains_key("mlflow.note.content"));
    let long = format!("note={}", "x".repeat(8_001));
    assert_eq!(shown.post(&format!("{url}/note"), &OWN, &long).await.status, 400);
    // The longest note there may be, of letters that take nine bytes each on the way.
    let long = format!("note={}", "%E6%96%87".repeat(8_000));
    assert_eq!(shown.post(&format!("{url}/note"), &OWN, &long).await.status, 303);
    assert_eq!(stored().tags["mlflow.note.content"].chars().count(), 8_000);

    for (name, status) in [("", 400), ("%3Cb%3E", 303), (&"x".repeat(251), 400)] {
        let answer = shown.post(&format!("{url}/name"), &OWN, &format!("name={name}")).await;
        assert_eq!(answer.status, status, "{name}");
    }
    assert_eq!(stored().name, "<b>");

    let old = "%3Cscript%3Ealert%281%29%3C%2Fscript%3E0";
    for (form, status, expected) in [
        (format!("tag.k=new&seen.k={old}"), 303, Some("new")),
        ("tag.k=again&seen.k=old".to_owned(), 409, Some("new")),
        ("key=a%2F%2Fb&value=1".to_owned(), 400, Some("new")),
        ("key=mlflow.runName&value=1".to_owned(), 400, Some("new")),
        ("tag.k=new&seen.k=new&remove=k".to_owned(), 303, None),
        ("key=k&value=made".to_owned(), 303, Some("made")),
        ("key=k&value=other".to_owned(), 409, Some("made")),
    ] {
        let answer = shown.post(&format!("{url}/tags"), &OWN, &form).await;
        assert_eq!(answer.status, status, "{form}: {}", answer.body);
        assert_eq!(stored().tags.get("k").map(String::as_str), expected, "{form}");
    }
    let events = shown.registry.audit(&AuditQuery::default()).unwrap();
    let of_run = events.iter().filter(|event| event.subject == run);
    let of_run: Vec<_> = of_run.filter(|event| event.who.starts_with("anonymous")).collect();
    assert_eq!(of_run.iter().filter(|e| e.action == AuditAction::Update).count(), 6);
    assert_eq!(of_run.iter().filter(|e| e.action == AuditAction::Rename).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_deleted_and_brought_back() {
    let shown = shown();
    let [a, b] = [shown.runs[0].clone(), shown.runs[1].clone()];
    let both = format!("run={a}&run={b}");
    let n_runs = |query: &'static str| {
        let shown = &shown;
        async move { shown.json(&format!("/ui/runs{query}")).await.json()["n_runs"].clone() }
    };
    let page = shown.page(&format!("/ui/delete?{both}")).await.body;
    assert!(page.contains("Delete 2 runs"), "{page}");
    assert!(page.contains("came from 2 runs among them stay"), "{page}");
    assert_eq!(n_runs("").await, 2);
    let answer = shown.post("/ui/delete", &OWN, &both).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/ui/runs?show=deleted"));
    assert_eq!((n_runs("").await, n_runs("?show=deleted").await), (0.into(), 2.into()));
    // A deleted run is shown, and can be restored, not changed.
    let page = shown.page(&format!("/ui/runs/{a}")).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("/ui/restore?run=") && !page.body.contains("Edit note"));
    assert_eq!(shown.post(&format!("/ui/runs/{a}/note"), &OWN, "note=x").await.status, 409);
    // What is deleted already is left as it is.
    assert_eq!(shown.post("/ui/delete", &OWN, &both).await.status, 303);
    let answer = shown.post("/ui/restore", &OWN, &format!("run={a}")).await;
    assert_eq!((answer.status, answer.header("location")), (303, format!("/ui/runs/{a}").as_str()));
    assert_eq!((n_runs("").await, n_runs("?show=deleted").await), (1.into(), 1.into()));
    for form in ["", "run=abc", "run=ffffffffffffffffffffffffffffffff"] {
        assert!(matches!(shown.post("/ui/delete", &OWN, form).await.status, 400 | 404), "{form}");
    }
    let events = shown.registry.audit(&AuditQuery::default()).unwrap();
    let n = |action| events.iter().filter(|event| event.action == action).count();
    assert_eq!((n(AuditAction::Delete), n(AuditAction::Restore)), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn experiments_are_made_changed_deleted_and_brought_back() {
    let shown = shown();
    let answer = shown.post("/ui/experiments", &OWN, "name=+tickets+").await;
    let url = answer.header("location").to_owned();
    assert_eq!((answer.status, url.as_str()), (303, "/ui/experiments/1"));
    let named = || shown.registry.experiment_by_id("1").unwrap();
    assert_eq!(named().name, "tickets");
    for (path, form, status) in [
        ("/ui/experiments".to_owned(), "name=tickets", 409),
        ("/ui/experiments".to_owned(), "name=", 400),
        (format!("{url}/name"), "name=letters", 303),
        (format!("{url}/note"), "note=%2A%2AWhy%2A%2A", 303),
        (format!("{url}/note"), "note=x&seen=0", 409),
        ("/ui/experiments/9/note".to_owned(), "note=x", 404),
        ("/ui/experiments/9/delete".to_owned(), "", 404),
        ("/ui/experiments/0/restore".to_owned(), "", 409),
    ] {
        let answer = shown.post(&path, &OWN, form).await;
        assert_eq!(answer.status, status, "{path} {form}: {}", answer.body);
    }
    let page = shown.page(&url).await.body;
    assert!(page.contains("letters") && page.contains("<strong>Why</strong>"), "{page}");

    let list = shown.json("/ui/experiments").await.json();
    assert_eq!(list["experiments"][0]["n_runs"], 2, "{list}");
    let page = shown.page("/ui/experiments/0/delete").await.body;
    assert!(page.contains("together with its 2 runs"), "{page}");
    assert_eq!(shown.post("/ui/experiments/0/delete", &OWN, "").await.status, 303);
    assert_eq!(shown.json("/ui/runs").await.json()["n_runs"], 0);
    let list = shown.json("/ui/experiments?show=deleted").await.json();
    assert_eq!(list["experiments"][0]["n_runs"], 2, "{list}");
    assert!(shown.page("/ui/experiments/0").await.body.contains("Restore…"));
    assert_eq!(shown.post("/ui/experiments/0/note", &OWN, "note=x").await.status, 409);
    assert_eq!(shown.post("/ui/experiments/0/restore", &OWN, "").await.status, 303);
    assert_eq!(shown.json("/ui/runs").await.json()["n_runs"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logged_model_is_found_from_its_run_and_says_what_was_measured() {
    let shown = shown();
    let url = format!("/ui/logged-models/{}", shown.logged);
    let experiment = shown.page("/ui/experiments/0").await.body;
    assert!(experiment.contains(&url), "{experiment}");
    let twin = shown.json(&url).await.json();
    assert_eq!(twin["model"]["source_run_id"], shown.runs[0].as_str());
    assert_eq!(twin["model"]["metrics"][0]["value"], "NaN");
    assert_eq!(twin["artifacts"][0]["path"], "model/a.html");
    let raw = shown.page(&format!("{url}/raw?path=model%2Fa.html")).await;
    assert_eq!((raw.status, raw.body.as_str()), (200, HOSTILE));
    assert!(raw.header("content-disposition").starts_with("attachment"));
    assert_eq!(shown.page(&format!("{url}/raw?path=nope")).await.status, 404);
    let list = shown.json("/ui/logged-models?experiment=0").await.json();
    assert_eq!(list["n_models"], 1);
    shown.registry.delete_logged_model(&shown.logged).unwrap();
    assert_eq!(shown.page(&url).await.status, 404);
}
