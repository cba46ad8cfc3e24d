//! One version: where it stands, what the gate said, where it came from; and two versions beside each other.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    figure::{self, short},
    gate::{CheckOutcome, Verdict},
    registry::{ModelVersion, Registry, Stage},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    models::{asked_version, verdict_state},
    part::{logged_url, model_url, pairs, run_link, stage, time, version_url},
    query::Query,
    shell::Tab,
};

/// The version that the path names.
pub(super) fn find(registry: &Registry, asked: &PageRequest) -> Result<ModelVersion, PageFailure> {
    let (name, text) = (asked.param("name"), asked.param("version"));
    let number = text.parse().map_err(|_| {
        registry.model(name).map_or_else(PageFailure::from, |_| {
            PageFailure::new(
                axum::http::StatusCode::NOT_FOUND,
                "not_found",
                format!("{text:?} is no version of model {name:?}"),
            )
            .hint("a version is a number, such as 1")
        })
    })?;
    Ok(registry.version(name, number)?)
}

/// `GET /ui/models/{name}/{version}`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = find(registry, asked)?;
    if asked.json {
        return Ok(Answer::Json(json!(version)));
    }
    let model = registry.model(&version.model)?;
    let aliases = model.aliases.iter().filter(|(_, number)| **number == version.version);
    let url = version_url(&version.model, version.version);
    let title = format!("{} version {}", version.model, version.version);
    let metrics: BTreeMap<String, String> =
        version.metrics.iter().map(|(key, value)| (key.clone(), figure::metric(*value))).collect();
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } " / " a href=(model_url(&version.model)) { (version.model) } }
        h1 { (title) }
        dl.facts {
            div { dt { "Stage" } dd { (stage(version.stage)) } }
            div { dt { "Verdict" } dd { (verdict_state(&version)) } }
            div { dt { "Registered (UTC)" } dd { (time(version.created_ms)) } }
            div { dt { "Run" } dd { (run_link(&version.run_id, short(&version.run_id))) } }
            @if let Some(id) = version.registration.as_ref().and_then(|told| told.model_id.as_deref()) {
                div { dt { "Logged model" } dd { a href=(logged_url(id)) { (short(id)) } } }
            }
            @for (alias, _) in aliases { div { dt { "Alias" } dd { span.tag { "@" (alias) } } } }
        }
        div.bar {
            @if version.stage != Stage::Production {
                a.button.main href=(format!("{url}/promote")) { "Promote…" }
            } @else {
                a.button href=(format!("{}/rollback", model_url(&version.model))) { "Roll back…" }
            }
            @if !version.lineage.dataset.is_empty() {
                a.button href=(format!("{url}/errors")) { "Errors" }
                a.button href=(format!("{url}/slices")) { "Slices" }
                a.button href=(format!("{url}/explain")) { "Explain" }
            }
        }
        (verdict(&version))
        div.columns {
            section { h2 { "Metrics on the test split" } (pairs("metrics", &metrics)) }
            section { h2 { "Lineage" } (pairs("lineage", &lineage(&version))) }
        }
        section {
            h2 { "History" }
            @if version.history.is_empty() { p.quiet { "It was registered, and never moved." } }
            @else {
                div.scroll tabindex="0" role="region" aria-label="History" {
                    table.grid {
                        thead { tr { th scope="col" { "When (UTC)" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Who and why" } } }
                        tbody {
                            @for change in version.history.iter().rev() {
                                tr {
                                    td.nowrap { (time(change.at_ms)) } td { (stage(change.from)) }
                                    td { (stage(change.to)) } td { (change.note) }
                                }
                            }
                        }
                    }
                }
            }
        }
        section {
            h2 { "Files" }
            div.scroll tabindex="0" role="region" aria-label="Files" {
                table.grid {
                    thead { tr { th scope="col" { "File" } th.number scope="col" { "Size" } th scope="col" { "SHA-256" } } }
                    tbody {
                        @for file in &version.files {
                            tr { th scope="row" { (file.path) } td.number { (figure::bytes(file.size_bytes)) } td { code { (short(&file.sha256)) } } }
                        }
                    }
                }
            }
        }
        @if !version.tags.is_empty() { h2 { "Tags" } (pairs("tags", &version.tags)) }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, title, body)))
}

/// The gate's verdict, with its numbers.
pub(super) fn verdict(version: &ModelVersion) -> Markup {
    let verdict = match Verdict::of(version) {
        Ok(Some(verdict)) => verdict,
        Ok(None) => {
            return html! {
                section {
                    h2 { "Verdict" }
                    p.quiet { "It was never gated: " code { "trialbook gate " (version.model) " " (version.version) } " judges it." }
                }
            };
        }
        Err(error) => return html! { section { h2 { "Verdict" } p.ill { (error) } } },
    };
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figure::metric);
    html! {
        section {
            h2 { "Verdict" }
            p { (verdict_state(version)) " at " (time(verdict.at_ms)) " UTC, asked for by " (verdict.who) }
            @if let Some(record) = &verdict.policy_record { p.quiet { "Judged by policy " code { (short(&record.sha256)) } } }
            ul { @for reason in &verdict.reasons { li { (reason) } } }
            div.scroll tabindex="0" role="region" aria-label="Checks" {
                table.grid {
                    thead { tr { th scope="col" { "Check" } th.number scope="col" { "This version" } th.number scope="col" { "Required" } th scope="col" { "Met" } } }
                    tbody {
                        @for check in &verdict.checks {
                            tr {
                                th scope="row" { (check.name) }
                                td.number { (number(check.candidate)) } td.number { (number(check.required)) }
                                td {
                                    @match check.outcome() {
                                        CheckOutcome::Passed => span.well { "yes" },
                                        CheckOutcome::Warned => span { "no: a warning" },
                                        CheckOutcome::Blocked => span.ill { "no" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @let lines = verdict.evidence_lines();
            @if !lines.is_empty() { ul { @for line in lines { li { (line) } } } }
        }
    }
}

fn lineage(version: &ModelVersion) -> BTreeMap<String, String> {
    let from = &version.lineage;
    let pairs = [
        ("dataset", from.dataset.clone()),
        ("train fingerprint", from.train_fingerprint.clone()),
        ("test fingerprint", from.test_fingerprint.clone()),
        ("code version", from.code_version.clone()),
        ("seed", from.seed.to_string()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// `GET /ui/models/{name}/diff?a=1&b=2`.
pub(super) fn diff(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let name = registry.model(asked.param("name"))?.name;
    let a = asked_version(registry, &name, &asked.query, "a")?;
    let b = asked_version(registry, &name, &asked.query, "b")?;
    let params = |version: &ModelVersion| {
        registry.run(&version.run_id).map(|run| run.params).unwrap_or_default()
    };
    let files = |version: &ModelVersion| -> BTreeMap<String, String> {
        let files = version.files.iter();
        files.map(|file| (file.path.clone(), short(&file.sha256).to_owned())).collect()
    };
    let texts = [
        ("Lineage", lineage(&a), lineage(&b)),
        ("Params", params(&a), params(&b)),
        ("Files", files(&a), files(&b)),
        ("Tags", a.tags.clone(), b.tags.clone()),
    ];
    if asked.json {
        let differing: BTreeMap<&str, _> = texts
            .iter()
            .map(|(title, left, right)| {
                let rows = rows(left, right).into_iter().filter(|(_, left, right)| left != right);
                let rows: BTreeMap<_, _> =
                    rows.map(|(key, a, b)| (key, json!({"a": a, "b": b}))).collect();
                (*title, rows)
            })
            .collect();
        let json = json!({"model": name, "a": a.version, "b": b.version,
            "metrics": {"a": a.metrics, "b": b.metrics}, "differences": differing});
        return Ok(Answer::Json(json));
    }
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } " / " a href=(model_url(&name)) { (name) } }
        h1 { "Version " (a.version) " and version " (b.version) }
        @if a.version != b.version && !a.lineage.dataset.is_empty() {
            @let compare = Query::default().with("with", b.reference());
            p.actions { a.button href=(compare.on(&format!("{}/compare", version_url(&a.model, a.version)))) { "Who is right where the other is wrong" } }
        }
        section { h2 { "Metrics" } (metrics(&a, &b)) }
        @for (title, left, right) in &texts {
            section { h2 { (title) } (differences(&a, &b, left, right)) }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, "Compare versions", body)))
}

fn rows<'a>(
    left: &'a BTreeMap<String, String>,
    right: &'a BTreeMap<String, String>,
) -> Vec<(&'a str, Option<&'a String>, Option<&'a String>)> {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    keys.into_iter().map(|key| (key.as_str(), left.get(key), right.get(key))).collect()
}

fn head(what: &str, a: &ModelVersion, b: &ModelVersion) -> Markup {
    html! {
        th scope="col" { (what) }
        @for version in [a, b] {
            th scope="col" { a href=(version_url(&version.model, version.version)) { "Version " (version.version) } " " (stage(version.stage)) }
        }
    }
}

fn metrics(a: &ModelVersion, b: &ModelVersion) -> Markup {
    let keys: BTreeSet<&String> = a.metrics.keys().chain(b.metrics.keys()).collect();
    let cell =
        |value: Option<&f64>| value.map_or_else(|| "–".to_owned(), |value| figure::metric(*value));
    html! {
        div.scroll tabindex="0" role="region" aria-label="Metrics" {
            table.grid {
                thead { tr { (head("Metric", a, b)) th.number scope="col" { "Difference" } } }
                tbody {
                    @for key in keys {
                        @let (left, right) = (a.metrics.get(key), b.metrics.get(key));
                        tr {
                            th scope="row" { (key) } td { (cell(left)) } td { (cell(right)) }
                            td.number {
                                @if let (Some(left), Some(right)) = (left, right) { (format!("{:+.4}", right - left)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn differences(
    a: &ModelVersion,
    b: &ModelVersion,
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
) -> Markup {
    let rows = rows(left, right);
    let n_same = rows.iter().filter(|(_, left, right)| left == right).count();
    html! {
        @if n_same == rows.len() { p.quiet { "No difference in " (figure::counted(n_same, "value")) "." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Differences" {
                table.grid {
                    thead { tr { (head("Name", a, b)) } }
                    tbody {
                        @for (key, left, right) in rows.iter().filter(|(_, left, right)| left != right) {
                            tr {
                                th scope="row" { (key) }
                                td { (left.map_or("–", |text| text.as_str())) }
                                td { (right.map_or("–", |text| text.as_str())) }
                            }
                        }
                    }
                }
            }
            @if n_same > 0 { p.quiet { (figure::counted(n_same, "other value")) " the same." } }
        }
    }
}
