//! Registered models, and the versions of one.

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    figure,
    gate::Verdict,
    registry::{ModelVersion, RegisteredModel, Registry, Stage},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    logged,
    part::{model_url, pairs, run_link, stage, time, version_url},
    query::Query,
    release,
    shell::Tab,
};

/// The metrics of a version that a list shows.
const SHOWN: [&str; 3] = ["f1", "accuracy", "roc_auc"];

/// `GET /ui/models`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let models = registry.models()?;
    let mut rows = Vec::new();
    for model in models {
        let versions = registry.versions(&model.name)?;
        rows.push((model, versions));
    }
    if asked.json {
        let models: Vec<_> = rows
            .iter()
            .map(|(model, versions)| json!({"model": model, "n_versions": versions.len()}))
            .collect();
        return Ok(Answer::Json(json!({"models": models})));
    }
    let body = html! {
        h1 { "Models" }
        p.crumbs { a href=(logged::PATH) { "Logged models" } }
        @if rows.is_empty() {
            div.card.empty {
                p { "No registered models yet. Train one that goes into production:" }
                pre tabindex="0" { code { "trialbook train tfidf --data NAME --deploy" } }
            }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Models" {
                table.grid {
                    thead { tr {
                        th scope="col" { "Model" } th.number scope="col" { "Versions" }
                        th scope="col" { "Production" } th scope="col" { "Staging" }
                        th scope="col" { "Aliases" } th scope="col" { "Changed (UTC)" }
                    } }
                    tbody {
                        @for (model, versions) in &rows {
                            tr {
                                th scope="row" { a href=(model_url(&model.name)) { (model.name) } }
                                td.number { (versions.len()) }
                                td { (in_stage(versions, Stage::Production)) }
                                td { (in_stage(versions, Stage::Staging)) }
                                td { (aliases(model)) }
                                td.nowrap { (time(model.updated_ms)) }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, "Models", body).told(10_000)))
}

fn in_stage(versions: &[ModelVersion], wanted: Stage) -> Markup {
    let found = versions.iter().filter(|version| version.stage == wanted);
    html! {
        @for version in found {
            a href=(version_url(&version.model, version.version)) { "version " (version.version) } " "
        }
    }
}

fn aliases(model: &RegisteredModel) -> Markup {
    html! {
        @for (alias, number) in &model.aliases {
            a.tag href=(version_url(&model.name, *number)) { "@" (alias) " → " (number) } " "
        }
    }
}

/// `GET /ui/models/{name}`.
pub(super) fn model(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let model = registry.model(asked.param("name"))?;
    let mut versions = registry.versions(&model.name)?;
    versions.sort_by_key(|version| std::cmp::Reverse(version.version));
    if asked.json {
        return Ok(Answer::Json(json!({"model": model, "versions": versions})));
    }
    let can_go_back = versions.iter().any(|version| version.stage == Stage::Production);
    let url = model_url(&model.name);
    let release = release::panel(registry, &model.name)?;
    let body = html! {
        p.crumbs { a href="/ui/models" { "Models" } }
        h1 { (model.name) }
        div.bar {
            @if can_go_back { a.button href=(format!("{url}/rollback")) { "Roll back…" } }
            @if versions.len() > 1 { (diff_form(&url, &versions)) }
        }
        div.scroll tabindex="0" role="region" aria-label="Versions" {
            table.grid {
                thead { tr {
                    th scope="col" { "Version" } th scope="col" { "Stage" } th scope="col" { "Aliases" }
                    th scope="col" { "Verdict" }
                    @for metric in SHOWN { th.number scope="col" { (metric) } }
                    th scope="col" { "Dataset" } th scope="col" { "Run" }
                    th scope="col" { "Registered (UTC)" } th scope="col" { "Last change" }
                } }
                tbody { @for version in &versions { (row(&model, version)) } }
            }
        }
        (release)
        @if !model.tags.is_empty() { h2 { "Tags" } (pairs("tags", &model.tags)) }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, model.name.clone(), body)))
}

fn row(model: &RegisteredModel, version: &ModelVersion) -> Markup {
    let of_version = model.aliases.iter().filter(|(_, number)| **number == version.version);
    html! {
        tr {
            th scope="row" { a href=(version_url(&model.name, version.version)) { "Version " (version.version) } }
            td { (stage(version.stage)) }
            td { @for (alias, _) in of_version { span.tag { "@" (alias) } " " } }
            td { (verdict_state(version)) }
            @for metric in SHOWN {
                td.number { (version.metrics.get(metric).map(|v| figure::metric(*v)).unwrap_or_default()) }
            }
            td { (version.lineage.dataset) }
            td { (run_link(&version.run_id, figure::short(&version.run_id))) }
            td.nowrap { (time(version.created_ms)) }
            td { @if let Some(change) = version.history.last() { (change.note) } }
        }
    }
}

/// One word on a version's verdict.
pub(super) fn verdict_state(version: &ModelVersion) -> Markup {
    html! {
        @match Verdict::of(version) {
            Ok(Some(verdict)) if verdict.passed => span.state data-state="FINISHED" { "passed" },
            Ok(Some(_)) => span.state data-state="FAILED" { "blocked" },
            Ok(None) => span.quiet { "not gated" },
            Err(_) => span.quiet { "unreadable" },
        }
    }
}

fn diff_form(url: &str, versions: &[ModelVersion]) -> Markup {
    let choice = |name: &str, title: &str, chosen: usize| {
        html! {
            label { (title)
                select name=(name) {
                    @for (idx, version) in versions.iter().enumerate() {
                        option value=(version.version) selected[idx == chosen] { (version.version) }
                    }
                }
            }
        }
    };
    html! {
        form.inline method="get" action=(format!("{url}/diff")) {
            (choice("a", "Compare version", 1)) (choice("b", "with", 0))
            button type="submit" { "Compare" }
        }
    }
}

/// The version that a query names under `name`.
pub(super) fn asked_version(
    registry: &Registry,
    model: &str,
    query: &Query,
    name: &str,
) -> Result<ModelVersion, PageFailure> {
    let text = query.get(name).unwrap_or_default();
    let number = text.parse().map_err(|_| {
        PageFailure::invalid(format!("{text:?} is no version number"))
            .hint(format!("the query names a version under {name}, such as ?{name}=1"))
    })?;
    Ok(registry.version(model, number)?)
}
