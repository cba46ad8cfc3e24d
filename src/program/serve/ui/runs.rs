//! The page of runs: what the URL asks for is found here and told by its neighbours, `runs_tools` above the
//! table and `runs_table` in it.

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    error::ErrorKind,
    figure,
    hint::Spelling,
    registry::{Lifecycle, Listing, Page, Registry, Run, RunQuery, RunStatus},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    column::{Column, columns, known, order},
    failure::PageFailure,
    part::pager,
    query::Query,
    runs_table::{PATH, View, groups, table},
    runs_tools::{PAGE_ROWS, Problem, lifecycle, tools},
    shell::Tab,
};

const MAX_PAGE_ROWS: usize = 1_000;
/// The most runs that are grouped.
const MAX_GROUPED: usize = 5_000;
/// The interval at which a table is asked for again, while a run goes on and else.
const BUSY_MS: u32 = 2_000;
const IDLE_MS: u32 = 10_000;

/// The runs that were found.
#[derive(Default)]
struct FoundRuns {
    runs: Vec<Run>,
    has_next: bool,
    /// The number of runs on all pages.
    n_runs: usize,
    problem: Option<Problem>,
}

/// `GET /ui/runs`.
pub(super) fn page(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let query = &asked.query;
    let group = query.get("group");
    let found = find(registry, query, group.is_some())?;
    if asked.json {
        return match found.problem {
            Some(Problem { said, hint, .. }) => {
                let failure = PageFailure::invalid(said);
                Err(match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                })
            }
            None => Ok(Answer::Json(json!({
                "runs": found.runs, "has_next": found.has_next, "n_runs": found.n_runs,
            }))),
        };
    }
    let known = known(registry, &found.runs)?;
    let columns = columns(query, &known, &found.runs);
    let is_busy = found.runs.iter().any(|run| run.status == RunStatus::Running);
    let experiments = registry.experiments()?;
    let registered = registry.versions_by_run()?;
    let view =
        View { query, columns: &columns, registered: &registered, experiments: &experiments };
    let is_live = lifecycle(query) == Lifecycle::Live;
    let body = html! {
        h1 { @if is_live { "Runs" } @else { "Deleted runs" } }
        (tools(&view, n_rows(query), &known, found.problem.as_ref()))
        form method="get" action="/ui/compare" #pick {
            div.bar {
                button type="submit" data-needs="2" { "Compare" }
                @if is_live {
                    button type="submit" data-needs="1" formaction="/ui/delete" { "Delete…" }
                } @else {
                    button type="submit" data-needs="1" formaction="/ui/restore" { "Restore…" }
                }
                span.quiet #picked data-none="Select two runs or more to compare them." {
                    "Select two runs or more to compare them."
                }
                span.quiet.end #total data-part="" {
                    @if found.problem.is_none() && group.is_none() { (shown(query, &found)) }
                }
            }
            div #rows-live data-part="" {
                @if found.problem.is_some() {
                    p.quiet { "The filter has to be mended first." }
                } @else if found.runs.is_empty() {
                    (nothing(is_live, query.get("filter").is_some()))
                } @else if let Some(group) = group.and_then(Column::parse) {
                    (groups(&view, &group, &found.runs))
                    p.quiet {
                        @if found.has_next {
                            "The first " (figure::count(MAX_GROUPED)) " of " (figure::count(found.n_runs))
                            " runs are grouped: a filter narrows them."
                        } @else { (figure::counted(found.n_runs, "run")) }
                    }
                } @else {
                    (table(&view, None, &found.runs,
                        html! { tbody { @for run in &found.runs { (view.row(run)) } } }))
                    (pager(query, PATH, page_number(query), found.has_next))
                }
            }
        }
    };
    let every_ms = if is_busy { BUSY_MS } else { IDLE_MS };
    Ok(Answer::Page(PageFrame::new(Tab::Runs, "Runs", body).told(every_ms)))
}

/// The runs that are shown, and the number of all.
fn shown(query: &Query, found: &FoundRuns) -> Markup {
    let first = (page_number(query) - 1) * n_rows(query) + 1;
    let last = first + found.runs.len().saturating_sub(1);
    html! {
        @if found.runs.is_empty() || found.runs.len() == found.n_runs { (figure::counted(found.n_runs, "run")) }
        @else {
            (figure::count(first)) " to " (figure::count(last)) " of "
            (figure::counted(found.n_runs, "run"))
        }
    }
}

fn page_number(query: &Query) -> usize {
    query.number("page", 1, 100_000).max(1)
}

fn n_rows(query: &Query) -> usize {
    query.number("rows", PAGE_ROWS, MAX_PAGE_ROWS).max(1)
}

fn find(registry: &Registry, query: &Query, is_grouped: bool) -> Result<FoundRuns, PageFailure> {
    let n_rows = n_rows(query);
    let skipped = if is_grouped { 0 } else { (page_number(query) - 1) * n_rows };
    let n_shown = if is_grouped { MAX_GROUPED } else { n_rows };
    let wanted = RunQuery {
        experiment_ids: query.get("experiment").map(str::to_owned).into_iter().collect(),
        filter: query.get("filter").map(str::to_owned),
        order: order(query).into_iter().collect(),
        lifecycle: lifecycle(query),
        ..RunQuery::default()
    };
    let part = Page { limit: n_shown, after: None, skip: skipped };
    match registry.search_runs_page(&wanted, &part) {
        Ok(Listing { items, next, n_items }) => {
            Ok(FoundRuns { runs: items, has_next: next.is_some(), n_runs: n_items, problem: None })
        }
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let said = error.to_string();
            let position = said
                .split(" at position ")
                .nth(1)
                .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            let hint = error.hint().map(|hint| hint.spelled(Spelling::Program));
            let problem = Some(Problem { said, hint, position });
            Ok(FoundRuns { problem, ..FoundRuns::default() })
        }
        Err(error) => Err(error.into()),
    }
}

fn nothing(is_live: bool, is_narrowed: bool) -> Markup {
    html! {
        div.card.empty {
            @if is_narrowed {
                p { "No run fits." }
            } @else if !is_live {
                p { "No run was deleted." }
            } @else {
                p { "No runs yet. Train one:" }
                pre tabindex="0" { code { "trialbook train tfidf --data NAME" } }
            }
        }
    }
}
