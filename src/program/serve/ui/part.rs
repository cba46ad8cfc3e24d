//! Parts that several pages have: a time, a state, a list of names with values, a way through a long list.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trialbook::{
    figure::{self, short},
    registry::{Run, RunStatus, Stage},
};

use super::query::{Query, coded};

/// A moment, in UTC.
pub(super) fn time(at_ms: i64) -> Markup {
    let text = figure::time(at_ms);
    html! { time datetime=(text.replace(' ', "T") + "Z") title=(format!("{text} UTC")) { (text) } }
}

/// The time that a run took, or takes so far.
pub(super) fn duration(run: &Run, now_ms: i64) -> String {
    let end_ms = match run.status {
        RunStatus::Running => now_ms,
        _ => run.end_ms.unwrap_or(run.start_ms),
    };
    let span_ms = end_ms.saturating_sub(run.start_ms).max(0);
    match span_ms / 3_600_000 {
        0 => figure::seconds(span_ms as f64 / 1e3),
        n_hours @ 1..48 => format!("{n_hours} h {:02} min", span_ms / 60_000 % 60),
        n_hours => format!("{} days", figure::count((n_hours / 24).unsigned_abs())),
    }
}

/// A run's status.
pub(super) fn status(status: RunStatus) -> Markup {
    html! { span.state data-state=(status.as_str()) { (status.as_str().to_lowercase()) } }
}

/// A version's stage.
pub(super) fn stage(stage: Stage) -> Markup {
    html! { span.state data-state=(stage.as_str()) { (stage.as_str()) } }
}

/// A link to a run.
pub(super) fn run_link(run_id: &str, name: &str) -> Markup {
    html! { a href=(format!("/ui/runs/{}", coded(run_id))) { (named(run_id, name)) } }
}

/// A run's name; its id for one without.
pub(super) fn named<'a>(run_id: &'a str, name: &'a str) -> &'a str {
    if name.trim().is_empty() { short(run_id) } else { name }
}

/// The URL of a registered model.
pub(super) fn model_url(name: &str) -> String {
    format!("/ui/models/{}", coded(name))
}

/// The URL of a version.
pub(super) fn version_url(name: &str, version: u32) -> String {
    format!("{}/{version}", model_url(name))
}

/// The URL of an experiment.
pub(super) fn experiment_url(experiment_id: &str) -> String {
    format!("/ui/experiments/{}", coded(experiment_id))
}

/// The URL of a logged model.
pub(super) fn logged_url(model_id: &str) -> String {
    format!("/ui/logged-models/{}", coded(model_id))
}

/// A link to a version by its name, such as `Reviews/3`.
pub(super) fn reference_link(reference: &str) -> Markup {
    match reference.rsplit_once('/') {
        Some((name, number)) => {
            html! { a href=(format!("{}/{}", model_url(name), coded(number))) { (reference) } }
        }
        None => html! { (reference) },
    }
}

/// Names with values, a row each.
pub(super) fn pairs(caption: &str, pairs: &BTreeMap<String, String>) -> Markup {
    html! {
        @if pairs.is_empty() {
            p.quiet { "No " (caption) "." }
        } @else {
            table.pairs {
                @for (key, value) in pairs {
                    tr { th scope="row" { (key) } td { (value) } }
                }
            }
        }
    }
}

/// Links to the pages before and after this one.
pub(super) fn pager(query: &Query, path: &str, page: usize, has_next: bool) -> Markup {
    html! {
        @if page > 1 || has_next {
            nav.pager aria-label="Parts of the list" {
                @if page > 1 {
                    a rel="prev" href=(query.with("page", page - 1).on(path)) { "← Previous" }
                }
                span { "page " (page) }
                @if has_next {
                    a rel="next" href=(query.with("page", page + 1).on(path)) { "Next →" }
                }
            }
        }
    }
}

/// Fields of a form that keep what else the URL says.
pub(super) fn kept(query: &Query, but: &[&str]) -> Markup {
    html! {
        @for (name, value) in query.but(but) { input type="hidden" name=(name) value=(value); }
    }
}
