//! The tools above the table of runs: a form that says which runs, which columns, which groups and how many
//! rows. All of it goes into the URL.

use std::collections::BTreeSet;

use maud::{Markup, html};
use trialbook::registry::Lifecycle;

use super::{
    column::Column,
    part::kept,
    query::Query,
    runs_table::{PATH, View},
};

/// Rows where none are asked for: as many as a window shows. A browser paints 100 in twice the time.
pub(super) const PAGE_ROWS: usize = 25;
/// Numbers of rows that are offered.
const ROWS: [usize; 4] = [PAGE_ROWS, 50, 100, 500];

/// The reason why a filter or an order cannot be read.
pub(super) struct Problem {
    pub(super) said: String,
    pub(super) hint: Option<String>,
    /// From where on the filter could not be read, counted in characters from 1.
    pub(super) position: Option<usize>,
}

/// The runs that the query is about: those that are there, or those that were deleted.
pub(super) fn lifecycle(query: &Query) -> Lifecycle {
    if query.get("show") == Some("deleted") { Lifecycle::Deleted } else { Lifecycle::Live }
}

/// The numbers that are offered, with the one that the URL has.
fn row_choices(asked: usize) -> BTreeSet<usize> {
    ROWS.into_iter().chain([asked]).collect()
}

/// The form, with the place of a mistake.
pub(super) fn tools(
    view: &View<'_>,
    rows: usize,
    known: &BTreeSet<Column>,
    problem: Option<&Problem>,
) -> Markup {
    let View { query, columns, .. } = view;
    let filter = query.get("filter").unwrap_or_default();
    let names: Vec<String> = known.iter().map(quoted).collect();
    html! {
        form.bar #tools method="get" action=(PATH) {
            (kept(query, &["filter", "experiment", "col", "group", "page", "rows", "show"]))
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
            label { "Show"
                select name="show" {
                    option value="" { "runs" }
                    option value="deleted" selected[lifecycle(query) == Lifecycle::Deleted] { "deleted runs" }
                }
            }
            label { "Rows"
                select name="rows" {
                    @for n_rows in row_choices(rows) {
                        option value=(if n_rows == PAGE_ROWS { String::new() } else { n_rows.to_string() })
                            selected[n_rows == rows] { (n_rows) }
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

/// A column as a filter names it.
fn quoted(column: &Column) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_mistake_is_marked() {
        assert_eq!(mark("a < b", 3).into_string(), "a <mark>&lt; b</mark>");
        assert_eq!(mark("é <", 9).into_string(), "é &lt;<mark> </mark>");
    }

    #[test]
    fn a_key_with_a_blank_or_a_quote_stands_in_quotes() {
        for (key, expected) in [("a", "params.a"), ("a b", "params.`a b`"), ("`", "params.````")] {
            assert_eq!(quoted(&Column::Param(key.to_owned())), expected);
        }
    }
}
