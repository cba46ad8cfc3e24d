//! Runs deleted and brought back: first a page that says what will happen, then a form that does it. A
//! deleted run is hidden; `store gc` removes it for good.

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    figure,
    registry::{Registry, Run},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{run_link, status, time},
    query::{Query, coded},
    shell::Tab,
};

/// The most runs of one form.
const MAX_RUNS: usize = 1_000;

/// `GET /ui/delete?run=…`.
pub(super) fn confirm_delete(
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    confirm(registry, asked, true)
}

/// `GET /ui/restore?run=…`.
pub(super) fn confirm_restore(
    registry: &Registry,
    asked: &PageRequest,
) -> Result<Answer, PageFailure> {
    confirm(registry, asked, false)
}

/// `POST /ui/delete`.
pub(super) fn delete(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    change(registry, asked, true)
}

/// `POST /ui/restore`.
pub(super) fn restore(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    change(registry, asked, false)
}

fn named_runs(registry: &Registry, query: &Query) -> Result<Vec<Run>, PageFailure> {
    let ids: Vec<&str> = query.all("run").take(MAX_RUNS + 1).collect();
    if ids.is_empty() {
        return Err(
            PageFailure::invalid("no run is named").hint("select runs in the table of runs")
        );
    }
    if ids.len() > MAX_RUNS {
        return Err(PageFailure::invalid(format!("more than {MAX_RUNS} runs are named")));
    }
    Ok(ids.into_iter().map(|id| registry.run_by_id(id)).collect::<Result<Vec<Run>, _>>()?)
}

fn confirm(registry: &Registry, asked: &PageRequest, deletes: bool) -> Result<Answer, PageFailure> {
    let runs = named_runs(registry, &asked.query)?;
    let changed: Vec<&Run> = runs.iter().filter(|run| run.deleted != deletes).collect();
    if asked.json {
        let ids: Vec<&str> = changed.iter().map(|run| run.run_id.as_str()).collect();
        return Ok(Answer::Json(json!({"deletes": deletes, "runs": ids})));
    }
    let registered = registry.versions_by_run()?;
    let verb = if deletes { "Delete" } else { "Restore" };
    let back = match &runs[..] {
        [run] => format!("/ui/runs/{}", run.run_id),
        _ if deletes => "/ui/runs".to_owned(),
        _ => "/ui/runs?show=deleted".to_owned(),
    };
    let body = html! {
        p.crumbs { a href="/ui/runs" { "Runs" } }
        h1 { (verb) " " (figure::counted(changed.len(), "run")) }
        @if changed.is_empty() {
            p { @if deletes { "They are deleted already." } @else { "None of them is deleted." } }
            p.actions { a.button href=(back) { "Back" } }
        } @else {
            form.card method="post" action=(if deletes { "/ui/delete" } else { "/ui/restore" }) {
                p #effect { (effect(deletes, changed.iter().filter(|run| registered.contains_key(&run.run_id)).count())) }
                @for run in &changed { input type="hidden" name="run" value=(run.run_id); }
                p.actions { button.main type="submit" { (verb) } a.button href=(back) { "Cancel" } }
            }
            (table(&changed))
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Runs, format!("{verb} runs"), body)))
}

/// The effect, in words.
fn effect(deletes: bool, n_registered: usize) -> Markup {
    html! {
        @if deletes {
            "They are hidden from lists and searches, and can be brought back until "
            code { "trialbook store gc" } " removes them for good."
            @if n_registered > 0 {
                " Versions that came from " (figure::counted(n_registered, "run")) " among them stay."
            }
        } @else { "They appear in lists and searches again." }
    }
}

fn table(runs: &[&Run]) -> Markup {
    html! {
        h2 { "The runs" }
        div.scroll.tall tabindex="0" role="region" aria-label="Runs" {
            table.grid {
                thead { tr { th scope="col" { "Run" } th scope="col" { "Status" } th scope="col" { "Started (UTC)" } } }
                tbody {
                    @for run in runs {
                        tr {
                            th scope="row" { (run_link(&run.run_id, &run.name)) }
                            td { (status(run.status)) }
                            td.nowrap { (time(run.start_ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn change(registry: &Registry, asked: &PageRequest, deletes: bool) -> Result<Answer, PageFailure> {
    let runs = named_runs(registry, &asked.form)?;
    let mut changed = Vec::new();
    for run in runs.iter().filter(|run| run.deleted != deletes) {
        if deletes {
            registry.delete_run(&run.run_id)?;
        } else {
            registry.restore_run(&run.run_id)?;
        }
        changed.push(run.run_id.as_str());
    }
    if asked.json {
        return Ok(Answer::Json(json!({"deletes": deletes, "runs": changed})));
    }
    let url = match &runs[..] {
        [run] => format!("/ui/runs/{}", coded(&run.run_id)),
        _ if deletes => "/ui/runs?show=deleted".to_owned(),
        _ => "/ui/runs".to_owned(),
    };
    Ok(Answer::See { url, cookie: None })
}
