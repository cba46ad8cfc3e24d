//! The table of runs: which columns, in which order, which runs, in which groups. All of it is in the URL.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde_json::json;
use trialbook::{
    book::now_ms,
    error::ErrorKind,
    figure,
    hint::Spelling,
    registry::{Experiment, Listing, Registry, Run, RunQuery, RunStatus},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{duration, kept, pager, reference_link, run_link, status, time},
    query::Query,
    shell::Tab,
};

const PATH: &str = "/ui/runs";
const PAGE_ROWS: usize = 100;
const MAX_PAGE_ROWS: usize = 1_000;
/// So few runs may lack columns that others have.
const FEW_RUNS: usize = 20;
/// The most runs that are grouped.
const MAX_GROUPED: usize = 5_000;
/// The most runs that are shown of a group.
const GROUP_ROWS: usize = 20;
/// Columns where none are picked.
const N_PARAMS: usize = 3;
const N_METRICS: usize = 5;
/// Metrics that people look at first.
const FIRST: [&str; 8] = [
    "f1",
    "accuracy",
    "validation_f1",
    "validation_accuracy",
    "roc_auc",
    "log_loss",
    "loss",
    "val_loss",
];
/// How often a table is asked for again, while a run goes on and else.
const BUSY_MS: u32 = 2_000;
const IDLE_MS: u32 = 10_000;

/// A column: `params.KEY` or `metrics.KEY`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Param(String),
    Metric(String),
}

impl Column {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('.')? {
            ("params", key) if !key.is_empty() => Some(Self::Param(key.to_owned())),
            ("metrics", key) if !key.is_empty() => Some(Self::Metric(key.to_owned())),
            _ => None,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Param(key) | Self::Metric(key) => key,
        }
    }

    fn is_missing(&self, run: &Run) -> bool {
        match self {
            Self::Param(key) => !run.params.contains_key(key),
            Self::Metric(key) => !run.metrics.contains_key(key),
        }
    }

    /// As URLs and filters name it.
    fn name(&self) -> String {
        match self {
            Self::Param(key) => format!("params.{key}"),
            Self::Metric(key) => format!("metrics.{key}"),
        }
    }

    fn cell(&self, run: &Run) -> Markup {
        match self {
            Self::Param(key) => html! { td { (run.params.get(key).map_or("", String::as_str)) } },
            Self::Metric(key) => {
                html! { td.number { (run.metrics.get(key).map(|v| figure::metric(*v)).unwrap_or_default()) } }
            }
        }
    }
}

/// What was found.
struct FoundRuns {
    runs: Vec<Run>,
    has_next: bool,
    /// Why the filter or the order cannot be read.
    problem: Option<Problem>,
}

struct Problem {
    said: String,
    hint: Option<String>,
    /// From where on the filter could not be read, counted in characters from 1.
    position: Option<usize>,
}

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
            None => Ok(Answer::Json(json!({"runs": found.runs, "has_next": found.has_next}))),
        };
    }
    let known = known(registry, &found.runs)?;
    let columns = columns(query, &known, &found.runs);
    let is_busy = found.runs.iter().any(|run| run.status == RunStatus::Running);
    let experiments = registry.experiments()?;
    let registered = registry.versions_by_run()?;
    let view =
        View { query, columns: &columns, registered: &registered, experiments: &experiments };
    let body = html! {
        h1 { "Runs" }
        (tools(&view, &known, found.problem.as_ref()))
        form method="get" action="/ui/compare" #pick {
            div.bar {
                button type="submit" data-needs="2" { "Compare" }
                span.quiet #picked data-none="Select two runs or more to compare them." {
                    "Select two runs or more to compare them."
                }
            }
            div #rows-live data-part="" {
                @if found.problem.is_some() {
                    p.quiet { "The filter has to be mended first." }
                } @else if found.runs.is_empty() {
                    (nothing(query.get("filter").is_some()))
                } @else if let Some(group) = group.and_then(Column::parse) {
                    (groups(&view, &group, &found))
                } @else {
                    (table(&view, None, html! { tbody { @for run in &found.runs { (view.row(run)) } } }))
                    (pager(query, PATH, page_number(query), found.has_next))
                }
            }
        }
    };
    let every_ms = if is_busy { BUSY_MS } else { IDLE_MS };
    Ok(Answer::Page(PageFrame::new(Tab::Runs, "Runs", body).live(every_ms)))
}

fn page_number(query: &Query) -> usize {
    query.number("page", 1, 100_000).max(1)
}

fn find(registry: &Registry, query: &Query, is_grouped: bool) -> Result<FoundRuns, PageFailure> {
    let n_rows = query.number("rows", PAGE_ROWS, MAX_PAGE_ROWS).max(1);
    let skipped = if is_grouped { 0 } else { (page_number(query) - 1) * n_rows };
    let n_shown = if is_grouped { MAX_GROUPED } else { n_rows };
    let wanted = RunQuery {
        experiment_ids: query.get("experiment").map(str::to_owned).into_iter().collect(),
        filter: query.get("filter").map(str::to_owned),
        order: order(query).into_iter().collect(),
        ..RunQuery::default()
    };
    let part = trialbook::registry::Page { limit: n_shown, after: None, skip: skipped };
    match registry.search_runs_page(&wanted, &part) {
        Ok(Listing { items, next }) => {
            Ok(FoundRuns { runs: items, has_next: next.is_some(), problem: None })
        }
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let said = error.to_string();
            let position = said
                .split(" at position ")
                .nth(1)
                .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            let hint = error.hint().map(|hint| hint.spelled(Spelling::Program));
            let problem = Some(Problem { said, hint, position });
            Ok(FoundRuns { runs: Vec::new(), has_next: false, problem })
        }
        Err(error) => Err(error.into()),
    }
}

/// The order that the query names, as the registry reads it.
fn order(query: &Query) -> Option<String> {
    let sort = query.get("sort")?;
    let entity = match Column::parse(sort) {
        Some(column) => {
            let kind = if matches!(column, Column::Param(_)) { "params" } else { "metrics" };
            format!("{kind}.`{}`", column.key().replace('`', "``"))
        }
        None => sort.to_owned(),
    };
    let direction = if query.get("dir") == Some("asc") { "ASC" } else { "DESC" };
    Some(format!("{entity} {direction}"))
}

/// The columns there are: of the runs that are shown and, where these are few, of the newest.
fn known(registry: &Registry, shown: &[Run]) -> Result<BTreeSet<Column>, PageFailure> {
    let of_run = |run: &Run| {
        let params = run.params.keys().cloned().map(Column::Param);
        params.chain(run.metrics.keys().cloned().map(Column::Metric)).collect::<Vec<_>>()
    };
    let mut known: BTreeSet<Column> = shown.iter().flat_map(of_run).collect();
    if shown.len() < FEW_RUNS {
        let newest = RunQuery { limit: Some(PAGE_ROWS), ..RunQuery::default() };
        known.extend(registry.search_runs(&newest)?.iter().flat_map(of_run));
    }
    Ok(known)
}

/// The columns that are shown: those that are picked, else what differs and what people look at first.
fn columns(query: &Query, known: &BTreeSet<Column>, runs: &[Run]) -> Vec<Column> {
    if query.get("col").is_some() {
        return query.all("col").filter_map(Column::parse).collect();
    }
    let differs = |key: &str| {
        let mut values = runs.iter().map(|run| run.params.get(key));
        let first = values.next().flatten();
        values.any(|value| value != first)
    };
    // What most runs have comes before what few have.
    let n_without = |column: &Column| {
        runs.iter().filter(|run| column.is_missing(run)).count() * 10 / runs.len().max(1)
    };
    let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
    let (mut params, mut metrics): (Vec<&Column>, Vec<&Column>) =
        known.iter().partition(|column| matches!(column, Column::Param(_)));
    params.retain(|column| runs.len() < 2 || differs(column.key()));
    params.sort_by_key(|column| (n_without(column), column.key() != "model"));
    metrics.sort_by_key(|column| (n_without(column), rank(column.key())));
    let params = params.into_iter().take(N_PARAMS);
    params.chain(metrics.into_iter().take(N_METRICS)).cloned().collect()
}

fn nothing(is_narrowed: bool) -> Markup {
    html! {
        div.card.empty {
            @if is_narrowed {
                p { "No run fits." }
            } @else {
                p { "No runs yet. Train one:" }
                pre tabindex="0" { code { "trialbook train tfidf --data NAME" } }
            }
        }
    }
}

/// What is above the table: which runs, which columns, which groups.
fn tools(view: &View<'_>, known: &BTreeSet<Column>, problem: Option<&Problem>) -> Markup {
    let View { query, columns, .. } = view;
    let filter = query.get("filter").unwrap_or_default();
    let names: Vec<String> = known.iter().map(|column| view.quoted(column)).collect();
    html! {
        form.bar #tools method="get" action=(PATH) {
            (kept(query, &["filter", "experiment", "col", "group", "page"]))
            div.grow {
                label for="filter" { "Filter" }
                div.complete {
                    input #filter name="filter" type="text" value=(filter) spellcheck="false"
                        autocomplete="off" placeholder="metrics.f1 > 0.85 and params.model = 'tfidf'"
                        data-words=(names.join("\n"))
                        aria-invalid=[problem.map(|_| "true")] aria-describedby="filter-said";
                }
            }
            @if view.experiments.len() > 1 || query.get("experiment").is_some() {
                label { "Experiment"
                    select name="experiment" {
                        option value="" { "all" }
                        @for experiment in view.experiments {
                            option value=(experiment.experiment_id)
                                selected[query.get("experiment") == Some(&experiment.experiment_id)] {
                                (experiment.name)
                            }
                        }
                    }
                }
            }
            label { "Group by"
                select name="group" {
                    option value="" { "nothing" }
                    @for column in known.iter().filter(|column| matches!(column, Column::Param(_))) {
                        @let name = column.name();
                        option value=(name) selected[query.get("group") == Some(&name)] { (column.key()) }
                    }
                }
            }
            details.menu {
                summary { "Columns" }
                div.sheet {
                    fieldset { legend { "Metrics" }
                        @for column in known.iter().filter(|c| matches!(c, Column::Metric(_))) {
                            (pick(column, columns))
                        }
                    }
                    fieldset { legend { "Params" }
                        @for column in known.iter().filter(|c| matches!(c, Column::Param(_))) {
                            (pick(column, columns))
                        }
                    }
                }
            }
            button.main type="submit" { "Show" }
            div.under #filter-said role="status" {
                @if let Some(problem) = problem {
                    @if let Some(position) = problem.position {
                        pre.place { (mark(filter, position)) }
                    }
                    p.ill { (problem.said) }
                    @if let Some(hint) = &problem.hint { p.quiet { (hint) } }
                }
            }
        }
    }
}

/// The filter with the place from which on it could not be read.
fn mark(filter: &str, position: usize) -> Markup {
    let at =
        filter.char_indices().nth(position.saturating_sub(1)).map_or(filter.len(), |(at, _)| at);
    let (before, rest) = filter.split_at(at);
    html! { (before) mark { (if rest.is_empty() { " " } else { rest }) } }
}

fn pick(column: &Column, shown: &[Column]) -> Markup {
    html! {
        label.check {
            input type="checkbox" name="col" value=(column.name()) checked[shown.contains(column)];
            " " (column.key())
        }
    }
}

/// What every row of a table needs.
struct View<'a> {
    query: &'a Query,
    columns: &'a [Column],
    registered: &'a BTreeMap<String, String>,
    experiments: &'a [Experiment],
}

impl View<'_> {
    /// A column as a filter names it.
    fn quoted(&self, column: &Column) -> String {
        let is_plain = |c: char| c.is_alphanumeric() || "_./-:".contains(c);
        match column.key().chars().all(is_plain) {
            true => column.name(),
            false => {
                let kind = column.name();
                let kind = kind.split('.').next().unwrap_or_default();
                format!("{kind}.`{}`", column.key().replace('`', "``"))
            }
        }
    }

    /// A head that sorts.
    fn head(&self, title: &str, sort: &str, is_number: bool) -> Markup {
        let is_sorted = self.query.get("sort") == Some(sort);
        let is_ascending = self.query.get("dir") == Some("asc");
        // Numbers from the best down, names from A on; again the other way round.
        let next = match (is_sorted, is_ascending) {
            (true, true) => "desc",
            (true, false) => "asc",
            (false, _) => {
                if is_number {
                    "desc"
                } else {
                    "asc"
                }
            }
        };
        let url = self.query.without("page").with("sort", sort).with("dir", next).on(PATH);
        let order = is_sorted.then_some(if is_ascending { "ascending" } else { "descending" });
        html! {
            th scope="col" .number[is_number] aria-sort=[order] {
                a href=(url) { (title)
                    @if is_sorted { span aria-hidden="true" { (if is_ascending { " ↑" } else { " ↓" }) } }
                }
            }
        }
    }

    fn row(&self, run: &Run) -> Markup {
        html! {
            tr {
                td.pick {
                    input type="checkbox" name="run" value=(run.run_id)
                        aria-label=(format!("Select {}", run.name));
                }
                th scope="row" { (run_link(&run.run_id, &run.name)) }
                td { (status(run.status)) }
                td.nowrap { (time(run.start_ms)) }
                td.number { (duration(run, now_ms())) }
                td {
                    @if let Some(version) = self.registered.get(&run.run_id) { (reference_link(version)) }
                }
                @for column in self.columns { (column.cell(run)) }
            }
        }
    }
}

fn table(view: &View<'_>, first: Option<&str>, rows: Markup) -> Markup {
    html! {
        div.scroll.tall tabindex="0" role="region" aria-label="Runs" {
            table.grid.wide {
                thead {
                    tr {
                        td.pick {}
                        @if let Some(first) = first { th scope="col" { (first) } }
                        @else { (view.head("Run", "run_name", false)) }
                        (view.head("Status", "status", false))
                        (view.head("Started (UTC)", "start_time", true))
                        th.number scope="col" { "Duration" }
                        th scope="col" { "Version" }
                        @for column in view.columns {
                            (view.head(column.key(), &column.name(), matches!(column, Column::Metric(_))))
                        }
                    }
                }
                (rows)
            }
        }
    }
}

/// The runs in groups of one value of `by`: how many, the best and the mean of each metric.
fn groups(view: &View<'_>, by: &Column, found: &FoundRuns) -> Markup {
    let mut order: Vec<Option<&String>> = Vec::new();
    let mut of_value: BTreeMap<Option<&String>, Vec<&Run>> = BTreeMap::new();
    for run in &found.runs {
        let value = run.params.get(by.key());
        let group = of_value.entry(value).or_default();
        if group.is_empty() {
            order.push(value);
        }
        group.push(run);
    }
    let mean = |column: &Column, runs: &[&Run]| {
        let Column::Metric(key) = column else { return None };
        let values: Vec<f64> =
            runs.iter().filter_map(|run| run.metrics.get(key).copied()).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let rows = html! {
        @for value in order {
            @let runs = &of_value[&value];
            tbody {
                tr.group {
                    td.pick {}
                    th scope="rowgroup" colspan="5" {
                        (by.key()) " = " (value.map_or("(none)", String::as_str))
                        " " span.quiet { "· " (figure::counted(runs.len(), "run")) ", means" }
                    }
                    @for column in view.columns {
                        td.number { (mean(column, runs).map(figure::metric).unwrap_or_default()) }
                    }
                }
                @for run in runs.iter().take(GROUP_ROWS) { (view.row(run)) }
                @if runs.len() > GROUP_ROWS {
                    tr { td.pick {} td.quiet colspan=(5 + view.columns.len()) {
                        "and " (figure::counted(runs.len() - GROUP_ROWS, "more run"))
                    } }
                }
            }
        }
    };
    html! {
        (table(view, Some("Run"), rows))
        @if found.has_next {
            p.quiet { "The first " (figure::count(MAX_GROUPED)) " runs are grouped: a filter narrows them." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_any_key() {
        for (url, expected) in [
            ("sort=metrics.f1", Some("metrics.`f1` DESC")),
            ("sort=params.a b%60c&dir=asc", Some("params.`a b``c` ASC")),
            ("sort=start_time&dir=asc", Some("start_time ASC")),
            ("dir=asc", None),
        ] {
            assert_eq!(order(&Query::of(url)).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn the_place_of_a_mistake_is_marked() {
        assert_eq!(mark("a < b", 3).into_string(), "a <mark>&lt; b</mark>");
        assert_eq!(mark("é <", 9).into_string(), "é &lt;<mark> </mark>");
    }
}
