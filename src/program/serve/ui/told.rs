//! What the library answers, inside a page: the same blocks that a terminal and a notebook show, so that an
//! analysis reads the same everywhere.

use maud::{Markup, html};
use trialbook::{
    hint::Spelling,
    output::{Align, Block, Output, Table, WeighedText},
};

use super::chart::svg;

/// The levels of colour behind a word, each a class of the style sheet.
const N_LEVELS: f64 = 5.0;
/// The most letters of a cell that stays on one line.
const LONG: usize = 28;

/// An answer. Its commands are spelled as in a terminal.
pub(super) fn output(output: &Output) -> Markup {
    html! {
        @for block in output.blocks() {
            @match block {
                Block::Text(text) => (lines(text)),
                Block::Hint(hint) => (lines(&hint.spelled(Spelling::Program))),
                Block::Table(found) => (table(found)),
                Block::Plot(plot) => (svg(&plot.svg)),
                Block::Weighed(text) => (weighed(text)),
            }
        }
    }
}

fn lines(text: &str) -> Markup {
    html! {
        @for paragraph in text.split('\n').map(str::trim).filter(|line| !line.is_empty()) { p.told { (paragraph) } }
    }
}

/// A table; one that is wider than the window moves inside its frame.
fn table(table: &Table) -> Markup {
    let heads = table.columns();
    let align = |idx: usize| heads.get(idx).is_some_and(|(_, align)| *align == Align::Right);
    let is_long = |cell: &str| cell.chars().nth(LONG).is_some();
    html! {
        @if let Some(title) = table.title() { h3 { (title) } }
        div.scroll tabindex="0" role="region" aria-label=(table.title().unwrap_or("Table")) {
            table.grid.told {
                thead { tr {
                    @for (idx, (head, _)) in heads.iter().enumerate() { th scope="col" .number[align(idx)] { (head) } }
                } }
                tbody {
                    @for row in table.rows() {
                        tr {
                            @for (idx, cell) in row.iter().enumerate() {
                                td .number[align(idx)] .long[is_long(cell)] {
                                    @match state(heads.get(idx).map_or("", |(head, _)| head), cell) {
                                        Some(state) => span.state data-state=(state) { (cell) },
                                        None => (cell),
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The state whose colour a cell of the column `head` has, for columns that say whether all is well.
fn state(head: &str, cell: &str) -> Option<&'static str> {
    if !["level", "verdict"].contains(&head) {
        return None;
    }
    match cell.to_ascii_lowercase().as_str() {
        "ok" | "passed" => Some("FINISHED"),
        "warn" | "warned" => Some("RUNNING"),
        "alert" | "blocked" => Some("FAILED"),
        _ => None,
    }
}

/// A text whose words lie on blue where they speak for a class and on orange, and underlined, where against
/// it: for those who see no difference between the two.
fn weighed(text: &WeighedText) -> Markup {
    html! {
        p.weighed {
            @for (piece, strength) in text.pieces() {
                @match class(strength) {
                    Some(class) => span class=(class) { (piece) },
                    None => (piece),
                }
            }
        }
        p.legend { span.for3 { "for " (text.towards()) } " " span.against3 { "against it" } }
    }
}

/// The class of a strength from -1 to 1; none for 0.
fn class(strength: f64) -> Option<String> {
    let level = (strength.abs() * N_LEVELS).ceil().clamp(1.0, N_LEVELS);
    let side = if strength > 0.0 { "for" } else { "against" };
    (strength != 0.0).then(|| format!("{side}{level:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSS: &str = include_str!("asset/ui.css");

    #[test]
    fn only_a_column_of_verdicts_is_coloured() {
        assert_eq!(state("level", "alert"), Some("FAILED"));
        assert_eq!(state("verdict", "BLOCKED"), Some("FAILED"));
        assert_eq!(state("level", "too few"), None);
        assert_eq!(state("alert", "alert"), None);
        let both = Output::new(1).table({
            let mut table = Table::new([("word", Align::Left), ("level", Align::Left)]);
            table.push(["ok".to_owned(), "ok".to_owned()]);
            table
        });
        assert_eq!(output(&both).into_string().matches("data-state=\"FINISHED\"").count(), 1);
    }

    #[test]
    fn every_strength_has_a_class_of_the_style_sheet() {
        assert_eq!(class(0.0), None);
        for (strength, expected) in [
            (1.0, "for5"),
            (0.81, "for5"),
            (0.2, "for1"),
            (0.01, "for1"),
            (-0.5, "against3"),
            (-1.0, "against5"),
        ] {
            let found = class(strength).unwrap();
            assert_eq!(found, expected);
            assert!(CSS.contains(&format!(".{found} ")), "{found}");
        }
    }

    #[test]
    fn what_a_user_wrote_stays_text() {
        let mut rows = Table::new([("<b>", Align::Left), ("n", Align::Right)]);
        rows.push(["<script>", "1"]);
        let told = Output::new(())
            .text("<i>\n\nsecond")
            .table(rows)
            .weighed(WeighedText::new("<pos>", vec![("<u>".to_owned(), 1.0)]));
        let page = output(&told).into_string();
        for tag in ["<b>", "<script>", "<i>", "<u>", "<pos>"] {
            assert!(!page.contains(tag), "{page}");
        }
        assert!(page.contains("<p class=\"told\">second</p>"), "{page}");
        assert!(page.contains("<td class=\"number\">1</td>"), "{page}");
        assert!(page.contains("<span class=\"for5\">&lt;u&gt;</span>"), "{page}");
    }
}
