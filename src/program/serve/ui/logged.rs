//! Logged models: models that runs made, with what was measured of them and the files they consist of.

use maud::{Markup, html};
use serde_json::{Value, json};
use trialbook::{
    figure::{self, short},
    registry::{
        Artifact, ArtifactOwner, LoggedMetric, LoggedModel, ModelStatus, ModelVersion, Page, Query,
        Registry, json_number,
    },
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{experiment_url, logged_url, pager, pairs, run_link, time, version_url},
    query::coded,
    shell::Tab,
};

pub(super) const PATH: &str = "/ui/logged-models";
const PAGE_ROWS: usize = 50;

/// `GET /ui/logged-models`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let query = &asked.query;
    let experiment_ids: Vec<String> = match query.get("experiment") {
        Some(id) => vec![registry.experiment_by_id(id)?.experiment_id],
        None => registry.experiments()?.into_iter().map(|found| found.experiment_id).collect(),
    };
    let number = query.number("page", 1, 10_000).max(1);
    let part = Page { limit: PAGE_ROWS, after: None, skip: (number - 1) * PAGE_ROWS };
    let found = registry.search_logged_models(&Query::default(), &experiment_ids, &[], &part)?;
    if asked.json {
        let models: Vec<Value> = found.items.iter().map(told).collect();
        let has_next = found.next.is_some();
        return Ok(Answer::Json(
            json!({"models": models, "has_next": has_next, "n_models": found.n_items}),
        ));
    }
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } }
        h1 { "Logged models" }
        @if found.items.is_empty() {
            div.card.empty { p { "No run has logged a model here." } }
        } @else {
            (table(&found.items))
            p.quiet { (figure::counted(found.n_items, "logged model")) }
            (pager(query, PATH, number, found.next.is_some()))
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, "Logged models", body)))
}

/// `models`, a row each.
pub(super) fn table(models: &[LoggedModel]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Logged models" {
            table.grid {
                thead { tr {
                    th scope="col" { "Model" } th scope="col" { "Status" } th scope="col" { "Kind" }
                    th scope="col" { "Made by" } th scope="col" { "Made (UTC)" }
                } }
                tbody {
                    @for model in models {
                        tr {
                            th scope="row" { a href=(logged_url(&model.model_id)) { (model.name) } }
                            td { (state(model.status)) }
                            td { (model.model_type.as_deref().unwrap_or_default()) }
                            td { @if let Some(run) = &model.source_run_id { (run_link(run, short(run))) } }
                            td.nowrap { (time(model.created_ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn state(status: ModelStatus) -> Markup {
    let colour = match status {
        ModelStatus::Ready => "FINISHED",
        ModelStatus::UploadFailed => "FAILED",
        ModelStatus::Pending => "RUNNING",
        ModelStatus::Unspecified => "",
    };
    html! { span.state data-state=(colour) { (status.short().to_lowercase()) } }
}

/// For programs.
fn told(model: &LoggedModel) -> Value {
    let metrics = model.metrics.iter().map(|metric| {
        let dataset =
            metric.dataset.as_ref().map(|(name, digest)| json!({"name": name, "digest": digest}));
        json!({"key": metric.key, "value": json_number(metric.value), "step": metric.step,
            "timestamp_ms": metric.timestamp_ms, "run_id": metric.run_id, "dataset": dataset})
    });
    json!({
        "model_id": model.model_id, "experiment_id": model.experiment_id, "name": model.name,
        "created_ms": model.created_ms, "updated_ms": model.updated_ms,
        "status": model.status.as_str(), "model_type": model.model_type,
        "source_run_id": model.source_run_id, "tags": model.tags, "params": model.params,
        "metrics": metrics.collect::<Vec<_>>(),
    })
}

/// `GET /ui/logged-models/{model}`.
pub(super) fn model(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let model = registry.logged_model(asked.param("model"))?;
    let owner = ArtifactOwner::Model(model.model_id.clone());
    let artifacts = registry.owned_artifacts(&owner)?;
    let versions = versions(registry, &model)?;
    if asked.json {
        let names: Vec<String> =
            versions.iter().map(|version| version.reference().to_string()).collect();
        let told = told(&model);
        return Ok(Answer::Json(json!({"model": told, "artifacts": artifacts, "versions": names})));
    }
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } " / " a href=(PATH) { "Logged models" } }
        h1 { (model.name) }
        (facts(registry, &model, &versions))
        section aria-labelledby="metrics" {
            h2 #metrics { "Metrics" }
            (metrics(&model.metrics))
        }
        div.columns {
            section aria-labelledby="params" { h2 #params { "Params" } (pairs("params", &model.params)) }
            section aria-labelledby="tags" { h2 #tags { "Tags" } (pairs("tags", &model.tags)) }
        }
        section aria-labelledby="artifacts" {
            h2 #artifacts { "Artifacts" }
            (files(&model, &artifacts))
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, model.name.clone(), body)))
}

/// Registered versions of this model.
fn versions(registry: &Registry, model: &LoggedModel) -> Result<Vec<ModelVersion>, PageFailure> {
    let mut found = Vec::new();
    for registered in registry.models()? {
        found.extend(registry.versions(&registered.name)?.into_iter().filter(|version| {
            let of = version.registration.as_ref().and_then(|r| r.model_id.as_deref());
            of == Some(model.model_id.as_str())
        }));
    }
    Ok(found)
}

fn facts(registry: &Registry, model: &LoggedModel, versions: &[ModelVersion]) -> Markup {
    let experiment = registry.experiment_by_id(&model.experiment_id).ok();
    html! {
        dl.facts {
            div { dt { "Status" } dd { (state(model.status)) } }
            @if let Some(kind) = &model.model_type { div { dt { "Kind" } dd { (kind) } } }
            div { dt { "Made (UTC)" } dd { (time(model.created_ms)) } }
            @if let Some(run) = &model.source_run_id {
                div { dt { "Made by" } dd { (run_link(run, short(run))) } }
            }
            @if let Some(experiment) = experiment {
                div { dt { "Experiment" } dd { a href=(experiment_url(&experiment.experiment_id)) { (experiment.name) } } }
            }
            @if !versions.is_empty() {
                div { dt { "Registered as" } dd {
                    @for version in versions {
                        a href=(version_url(&version.model, version.version)) { (version.reference()) } " "
                    }
                } }
            }
            div { dt { "Model id" } dd { code { (model.model_id) } } }
        }
    }
}

fn metrics(metrics: &[LoggedMetric]) -> Markup {
    html! {
        @if metrics.is_empty() { p.quiet { "No metrics." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Metrics" {
                table.grid {
                    thead { tr {
                        th scope="col" { "Metric" } th.number scope="col" { "Value" } th.number scope="col" { "Step" }
                        th scope="col" { "Dataset" } th scope="col" { "Measured by" }
                    } }
                    tbody {
                        @for metric in metrics {
                            tr {
                                th scope="row" { (metric.key) }
                                td.number title=(metric.value) { (figure::metric(metric.value)) }
                                td.number { (metric.step) }
                                td { @if let Some((name, digest)) = &metric.dataset { (name) " (digest " (digest) ")" } }
                                td { (run_link(&metric.run_id, short(&metric.run_id))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn files(model: &LoggedModel, artifacts: &[Artifact]) -> Markup {
    let url = |path: &str| format!("{}/file?path={}", logged_url(&model.model_id), coded(path));
    html! {
        @if artifacts.is_empty() { p.quiet { "No artifacts." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Artifacts" {
                table.grid {
                    thead { tr { th scope="col" { "File" } th.number scope="col" { "Size" } th scope="col" { "SHA-256" } } }
                    tbody {
                        @for artifact in artifacts {
                            tr {
                                th scope="row" { a href=(url(&artifact.path)) { (artifact.path) } }
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
