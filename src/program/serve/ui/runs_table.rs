//! The rows of the table of runs, one by one or in groups of one value of a param.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trialbook::{
    book::now_ms,
    figure,
    registry::{Experiment, Run},
};

use super::{
    column::{Column, MAX_CHARS, is_long},
    part::{duration, reference_link, run_link, status, time},
    query::Query,
};

/// The address of the table.
pub(super) const PATH: &str = "/ui/runs";
/// The most runs that are shown of a group.
const GROUP_ROWS: usize = 20;
/// Widths of columns, in the pixels of a browser: of what stands on both sides of a cell, of a character,
/// and of what has the same length in every row.
const PAD: usize = 24;
const CHAR: usize = 9;
const PICK: usize = 34;
const STATUS: usize = 108;
const STARTED: usize = 172;
const DURATION: usize = 104;
/// The most rows that are looked at for the widths.
const MAX_MEASURED: usize = 200;

/// The parts that every row of a table needs.
pub(super) struct View<'a> {
    pub(super) query: &'a Query,
    pub(super) columns: &'a [Column],
    pub(super) registered: &'a BTreeMap<String, String>,
    pub(super) experiments: &'a [Experiment],
}

impl View<'_> {
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

    pub(super) fn row(&self, run: &Run) -> Markup {
        html! {
            tr {
                td.pick {
                    input type="checkbox" name="run" value=(run.run_id)
                        aria-label=(format!("Select {}", run.name));
                }
                th scope="row" .cut[is_long(&run.name)] title=[is_long(&run.name).then_some(&run.name)] {
                    (run_link(&run.run_id, &run.name))
                }
                td { (status(run.status)) }
                td.nowrap { (time(run.start_ms)) }
                td.number { (duration(run, now_ms())) }
                @match self.registered.get(&run.run_id) {
                    Some(version) => td .cut[is_long(version)] { (reference_link(version)) },
                    None => td {},
                }
                @for column in self.columns { (column.cell(run)) }
            }
        }
    }
}

/// The width of each column by the longest text in it.
fn widths(view: &View<'_>, runs: &[Run]) -> Vec<usize> {
    let runs = &runs[..runs.len().min(MAX_MEASURED)];
    let width = |head: &str, length: &dyn Fn(&Run) -> usize| {
        // A head may have an arrow.
        let n_chars = runs.iter().map(length).chain([head.chars().count() + 2]).max();
        PAD + CHAR * n_chars.unwrap_or_default().min(MAX_CHARS)
    };
    let n_chars = |text: Option<&String>| text.map_or(0, |text| text.chars().take(99).count());
    let mut widths = vec![PICK, width("Run", &|run| n_chars(Some(&run.name)).max(8))];
    widths.extend([STATUS, STARTED, DURATION]);
    widths.push(width("Version", &|run| n_chars(view.registered.get(&run.run_id))));
    widths.extend(view.columns.iter().map(|column| match column {
        Column::Param(key) => width(key, &|run| n_chars(run.params.get(key))),
        Column::Metric(key) => {
            width(key, &|run| run.metrics.get(key).map_or(0, |v| figure::metric(*v).len()))
        }
    }));
    widths
}

/// The table of `rows`, of which the first of `runs` say how wide each column has to be.
pub(super) fn table(view: &View<'_>, first: Option<&str>, runs: &[Run], rows: Markup) -> Markup {
    let widths = widths(view, runs);
    html! {
        div.scroll.tall tabindex="0" role="region" aria-label="Runs" {
            // Widths are attributes: a style would be inline, and a browser that has to look into every
            // cell for the width of its column paints later.
            table.grid.wide width=(widths.iter().sum::<usize>()) {
                @for width in &widths { col width=(width); }
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
pub(super) fn groups(view: &View<'_>, by: &Column, runs: &[Run]) -> Markup {
    let mut order: Vec<Option<&String>> = Vec::new();
    let mut of_value: BTreeMap<Option<&String>, Vec<&Run>> = BTreeMap::new();
    for run in runs {
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
        (table(view, Some("Run"), runs, rows))
    }
}
