//! One run: what it is, how it went, where it came from, what it left.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    book::{measured_on, now_ms},
    figure::{self, short},
    registry::{Artifact, PARENT_RUN_TAG, Registry, Run, RunStatus, json_number},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    edit::{self, NOTE_TAG},
    failure::PageFailure,
    history, nested,
    part::{duration, experiment_url, logged_url, pairs, reference_link, run_link, status, time},
    query::{Query, coded},
    shell::Tab,
};

/// Tags that say where a run came from.
const ORIGIN: [&str; 3] = ["trialbook.", "mlflow.source.", "mlflow.user"];
/// The prefix of MLflow's other tags, which are for its clients.
const HIDDEN: &str = "mlflow.";

pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let run = registry.run(asked.param("id"))?;
    let artifacts = registry.artifacts(&run.run_id)?;
    if asked.json {
        let histories = registry.histories(&run.run_id)?;
        let mut by_metric: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
        for point in &histories {
            by_metric.entry(&point.key).or_default().push(json!({
                "value": json_number(point.value), "step": point.step, "timestamp_ms": point.timestamp_ms,
            }));
        }
        let json = json!({"run": run, "artifacts": artifacts, "metric_history": by_metric});
        return Ok(Answer::Json(json));
    }
    let by_metric = history::of_runs(registry, std::slice::from_ref(&run))?;
    let version = registry.versions_by_run()?.remove(&run.run_id);
    let url = format!("/ui/runs/{}", run.run_id);
    let of_run = |page: &str| Query::default().with("run", &run.run_id).on(page);
    let free = free_tags(&run);
    let body = html! {
        p.crumbs { a href="/ui/runs" { "Runs" } }
        h1 { (run.name) }
        div #summary-live data-part="" { (summary(registry, &run, version.as_deref())) }
        p.actions {
            @if run.deleted { a.button.main href=(of_run("/ui/restore")) { "Restore…" } }
            @else { a.button href=(of_run("/ui/delete")) { "Delete…" } }
        }
        @if !run.deleted { (edit::rename(&url, &run.name)) }
        (edit::note(&url, run.tags.get(NOTE_TAG).map(String::as_str), !run.deleted))
        div.columns {
            section aria-labelledby="metrics" {
                h2 #metrics { "Metrics" }
                div #metrics-live data-part="" { (metrics(&run)) }
            }
            section aria-labelledby="params" {
                h2 #params { "Params" }
                (pairs("params", &run.params))
            }
        }
        div #nested-live data-part="" { (nested::section(registry, &run)?) }
        (history::section(&asked.query, &url, &by_metric))
        div.columns {
            section aria-labelledby="lineage" {
                h2 #lineage { "Environment and lineage" }
                (pairs("lineage", &lineage(registry, &run, version.as_deref())))
                (models(&run))
            }
            section aria-labelledby="tags" {
                h2 #tags { "Tags" }
                (pairs("tags", &free))
                @if !run.deleted { (edit::tags(&run, &free)) }
            }
        }
        section aria-labelledby="artifacts" {
            h2 #artifacts { "Artifacts" }
            div #artifacts-live data-part="" { (files(&run, &artifacts)) }
        }
    };
    let page = PageFrame::new(Tab::Runs, run.name.clone(), body);
    Ok(Answer::Page(if run.status == RunStatus::Running { page.told(2_000) } else { page }))
}

fn summary(registry: &Registry, run: &Run, version: Option<&str>) -> Markup {
    let experiment = registry.experiment_by_id(&run.experiment_id).ok();
    html! {
        dl.facts {
            div { dt { "Status" } dd { (status(run.status)) @if run.deleted { " deleted" } } }
            div { dt { "Started (UTC)" } dd { (time(run.start_ms)) } }
            div { dt { "Duration" } dd { (duration(run, now_ms())) } }
            @if let Some(experiment) = experiment {
                div { dt { "Experiment" }
                    dd { a href=(experiment_url(&run.experiment_id)) { (experiment.name) } }
                }
            }
            @if let Some(measured) = measured_on(run) { div { dt { "Measured on" } dd { (measured) } } }
            @if let Some(version) = version { div { dt { "Version" } dd { (reference_link(version)) } } }
            @if let Some(parent) = run.tags.get(PARENT_RUN_TAG) {
                div { dt { "Part of" } dd { (run_link(parent, short(parent))) } }
            }
            @if !run.who().is_empty() { div { dt { "By" } dd { (run.who()) } } }
            div { dt { "Run id" } dd { code { (run.run_id) } } }
        }
        @if let Some(error) = run.tags.get("trialbook.error") {
            p.card.error { (error) }
        }
    }
}

fn metrics(run: &Run) -> Markup {
    html! {
        @if run.metrics.is_empty() { p.quiet { "No metrics." } }
        @else {
            table.pairs {
                @for (key, value) in &run.metrics {
                    tr { th scope="row" { (key) } td.number title=(value) { (figure::metric(*value)) } }
                }
            }
        }
    }
}

/// The run's origin: the source that its version names, and its tags of that kind.
fn lineage(registry: &Registry, run: &Run, version: Option<&str>) -> BTreeMap<String, String> {
    let is_origin = |key: &str| ORIGIN.iter().any(|start| key.starts_with(start));
    let shown = |key: &String| is_origin(key) && key != "trialbook.error";
    let of_run = run.tags.iter().filter(|(key, _)| shown(key));
    let mut lineage: BTreeMap<String, String> =
        of_run.map(|(key, value)| (key.clone(), value.clone())).collect();
    for dataset in &run.flow.datasets {
        let context = dataset.tags.get("mlflow.data.context").map_or("read", String::as_str);
        let told = format!("{} (digest {}, {context})", dataset.name, dataset.digest);
        let name = format!("dataset {}", dataset.name);
        lineage.insert(name, told);
    }
    let version = version.and_then(|version| {
        let (name, number) = version.rsplit_once('/')?;
        registry.version(name, number.parse().ok()?).ok()
    });
    if let Some(version) = version {
        let from = &version.lineage;
        for (key, value) in [
            ("dataset", from.dataset.clone()),
            ("train fingerprint", from.train_fingerprint.clone()),
            ("test fingerprint", from.test_fingerprint.clone()),
            ("code version", from.code_version.clone()),
            ("seed", from.seed.to_string()),
        ] {
            if !value.is_empty() {
                lineage.insert(key.to_owned(), value);
            }
        }
    }
    lineage
}

/// The logged models that the run read and made.
fn models(run: &Run) -> Markup {
    let read: Vec<&str> = run.flow.model_inputs.iter().map(String::as_str).collect();
    let made: Vec<&str> = run.flow.model_outputs.iter().map(|(id, _)| id.as_str()).collect();
    html! {
        @for (title, ids) in [("Models read", read), ("Models made", made)] {
            @if !ids.is_empty() {
                h3 { (title) }
                ul { @for id in ids { li { a href=(logged_url(id)) { code { (id) } } } } }
            }
        }
    }
}

fn free_tags(run: &Run) -> BTreeMap<String, String> {
    let is_hidden =
        |key: &str| key.starts_with(HIDDEN) || ORIGIN.iter().any(|o| key.starts_with(o));
    let free = run.tags.iter().filter(|(key, _)| !is_hidden(key));
    free.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn files(run: &Run, artifacts: &[Artifact]) -> Markup {
    let url = |artifact: &Artifact, page: &str| {
        format!("/ui/runs/{}/{page}?path={}", run.run_id, coded(&artifact.path))
    };
    let pictures = artifacts.iter().filter(|artifact| artifact.path.ends_with(".svg"));
    html! {
        @if artifacts.is_empty() { p.quiet { "No artifacts." } }
        @else {
            div.charts {
                @for artifact in pictures.take(6) {
                    a.picture href=(url(artifact, "file")) {
                        img src=(url(artifact, "raw")) alt=(artifact.path) loading="lazy" width="600" height="400";
                    }
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Artifacts" {
                table.grid {
                    thead { tr { th scope="col" { "File" } th.number scope="col" { "Size" } th scope="col" { "SHA-256" } } }
                    tbody {
                        @for artifact in artifacts {
                            tr {
                                th scope="row" { a href=(url(artifact, "file")) { (artifact.path) } }
                                td.number { (figure::bytes(artifact.size_bytes)) }
                                td { code { (short(&artifact.sha256)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
