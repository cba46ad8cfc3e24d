//! Experiments: the list with the number of runs in each, and the page of one. What changes them is
//! `experiment_edit`'s business.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    figure,
    registry::{Experiment, Lifecycle, LoggedModel, Page, Registry, Run, RunQuery},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    edit::{self, NOTE_TAG},
    failure::PageFailure,
    logged,
    part::{experiment_url, pairs, run_link, status, time},
    query::Query,
    runs_tools::lifecycle,
    shell::Tab,
};

const PATH: &str = "/ui/experiments";
/// The newest runs and logged models that an experiment's page shows.
const N_NEWEST: usize = 10;

/// `GET /ui/experiments`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let lifecycle = lifecycle(&asked.query);
    let experiments = registry.experiments_among(lifecycle)?;
    // The runs of a deleted experiment are deleted with it.
    let counts = registry.run_counts(lifecycle)?;
    let n_runs =
        |experiment: &Experiment| counts.get(&experiment.experiment_id).copied().unwrap_or(0);
    if asked.json {
        let told = experiments
            .iter()
            .map(|experiment| json!({"experiment": experiment, "n_runs": n_runs(experiment)}));
        return Ok(Answer::Json(json!({"experiments": told.collect::<Vec<_>>()})));
    }
    let is_live = lifecycle == Lifecycle::Live;
    let body = html! {
        h1 { @if is_live { "Experiments" } @else { "Deleted experiments" } }
        (other_list(is_live))
        @if experiments.is_empty() {
            div.card.empty { p { @if is_live { "No experiments." } @else { "No experiment was deleted." } } }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Experiments" {
                table.grid {
                    thead { tr {
                        th scope="col" { "Experiment" } th.number scope="col" { "Id" }
                        th.number scope="col" { "Runs" } th scope="col" { "Made (UTC)" } th scope="col" { "Note" }
                    } }
                    tbody {
                        @for experiment in &experiments {
                            tr {
                                th scope="row" { a href=(experiment_url(&experiment.experiment_id)) { (experiment.name) } }
                                td.number { (experiment.experiment_id) }
                                td.number { (figure::count(n_runs(experiment))) }
                                td.nowrap { (time(experiment.created_ms)) }
                                td { (first_line(experiment)) }
                            }
                        }
                    }
                }
            }
        }
        @if is_live { (new_form()) }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Experiments, "Experiments", body)))
}

fn other_list(is_live: bool) -> Markup {
    html! {
        p.crumbs {
            @if is_live { a href=(Query::default().with("show", "deleted").on(PATH)) { "Deleted experiments" } }
            @else { a href=(PATH) { "Experiments" } }
        }
    }
}

fn new_form() -> Markup {
    html! {
        details.edit {
            summary { "New experiment" }
            form.card method="post" action=(PATH) {
                label for="new-name" { "Name" }
                input #new-name type="text" name="name" required maxlength="500" autocomplete="off";
                p.actions { button.main type="submit" { "Create" } }
            }
        }
    }
}

/// The beginning of a note.
fn first_line(experiment: &Experiment) -> String {
    let note = experiment.tags.get(NOTE_TAG).map_or("", String::as_str);
    let line = note.lines().map(|line| line.trim_start_matches(['#', ' '])).find(|l| !l.is_empty());
    line.unwrap_or_default().chars().take(120).collect()
}

/// `GET /ui/experiments/{id}`.
pub(super) fn experiment(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let found = registry.experiment_by_id(asked.param("id"))?;
    let id = found.experiment_id.as_str();
    let wanted = RunQuery {
        experiment_ids: vec![id.to_owned()],
        lifecycle: if found.deleted { Lifecycle::Any } else { Lifecycle::Live },
        ..RunQuery::default()
    };
    let newest = Page { limit: N_NEWEST, ..Page::default() };
    let runs = registry.search_runs_page(&wanted, &newest)?;
    let models = registry.search_logged_models(
        &trialbook::registry::Query::default(),
        &[id.to_owned()],
        &[],
        &newest,
    )?;
    if asked.json {
        return Ok(Answer::Json(json!({
            "experiment": found, "n_runs": runs.n_items, "newest_runs": runs.items,
            "n_logged_models": models.n_items,
        })));
    }
    let url = experiment_url(id);
    let note = found.tags.get(NOTE_TAG).map(String::as_str);
    let tags = found.tags.iter().filter(|(key, _)| *key != NOTE_TAG);
    let tags: BTreeMap<String, String> = tags.map(|(k, v)| (k.clone(), v.clone())).collect();
    let body = html! {
        p.crumbs { a href=(PATH) { "Experiments" } }
        h1 { (found.name) }
        (facts(&found))
        p.actions {
            @if found.deleted {
                a.button.main href=(format!("{url}/restore")) { "Restore…" }
            } @else {
                a.button.main href=(Query::default().with("experiment", id).on("/ui/runs")) { "All runs" }
                a.button href=(format!("{url}/delete")) { "Delete…" }
            }
        }
        @if !found.deleted { (edit::rename(&url, &found.name)) }
        (edit::note(&url, note, !found.deleted))
        section aria-labelledby="runs" {
            h2 #runs { "Newest runs" }
            div #runs-live data-part="" { (newest_runs(&runs.items, runs.n_items)) }
        }
        @if !models.items.is_empty() {
            section aria-labelledby="logged" {
                h2 #logged { "Newest logged models" }
                (newest_models(&models.items, models.n_items, id))
            }
        }
        @if !tags.is_empty() { section { h2 { "Tags" } (pairs("tags", &tags)) } }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Experiments, found.name.clone(), body).told(10_000)))
}

fn facts(experiment: &Experiment) -> Markup {
    html! {
        dl.facts {
            @if experiment.deleted { div { dt { "State" } dd { "deleted" } } }
            div { dt { "Id" } dd { (experiment.experiment_id) } }
            div { dt { "Made (UTC)" } dd { (time(experiment.created_ms)) } }
            @if let Some(location) = &experiment.artifact_location {
                div { dt { "Artifacts" } dd { (location) } }
            }
        }
    }
}

fn newest_runs(runs: &[Run], n_runs: usize) -> Markup {
    html! {
        @if runs.is_empty() { p.quiet { "No runs." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Newest runs" {
                table.grid {
                    thead { tr { th scope="col" { "Run" } th scope="col" { "Status" } th scope="col" { "Started (UTC)" } th.number scope="col" { "F1" } } }
                    tbody {
                        @for run in runs {
                            tr {
                                th scope="row" { (run_link(&run.run_id, &run.name)) }
                                td { (status(run.status)) }
                                td.nowrap { (time(run.start_ms)) }
                                td.number { (run.metrics.get("f1").map(|v| figure::metric(*v)).unwrap_or_default()) }
                            }
                        }
                    }
                }
            }
            p.quiet { "of " (figure::counted(n_runs, "run")) }
        }
    }
}

fn newest_models(models: &[LoggedModel], n_models: usize, experiment_id: &str) -> Markup {
    html! {
        (logged::table(models))
        p.quiet {
            a href=(Query::default().with("experiment", experiment_id).on(logged::PATH)) {
                (figure::counted(n_models, "logged model"))
            }
        }
    }
}
