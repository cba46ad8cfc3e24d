//! The answer of a command: blocks a person reads and one JSON value a program reads. It never
//! prints; each front end shows an [`Output`] its own way, and spells the commands that it names.

mod align;
mod fit;
mod weighed;

use std::{borrow::Cow, fmt, sync::Arc};

use serde::Serialize;
use serde_json::Value;

pub use align::Align;
pub use weighed::WeighedText;

use crate::hint::{Hint, Spelling};

/// The outcome of what was asked for. A blocked gate is a full answer, yet not a success: the
/// command line exits with 3, the kernel reports an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Done as asked.
    #[default]
    Done,
    /// A gate's policy said no.
    Blocked,
}

/// The answer of one command.
#[derive(Debug, Clone, Default)]
pub struct Output {
    blocks: Vec<Block>,
    json: Value,
    outcome: Outcome,
}

/// One piece of what a person reads.
#[derive(Debug, Clone)]
pub enum Block {
    /// Lines of text, without a trailing newline.
    Text(String),
    /// Lines that name commands, without a trailing newline.
    Hint(Hint),
    /// Rows and columns.
    Table(Table),
    /// A finished picture.
    Plot(Plot),
    /// A text whose words weigh something.
    Weighed(WeighedText),
}

/// True if text may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Letters alone.
    Plain,
    /// ANSI sequences too.
    Coloured,
}

/// A finished picture in every form that a front end may want.
#[derive(Clone)]
pub struct Plot {
    /// The title, shown by front ends that cannot draw.
    pub title: String,
    /// A complete SVG document.
    pub svg: String,
    /// The same as a Vega-Lite 5 specification with its data.
    pub vega_lite: Value,
    sketch: Arc<dyn Fn(Option<u16>) -> String + Send + Sync>,
}

/// A table of finished text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    title: Option<String>,
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    /// Cells that name commands, by their row and column.
    hints: Vec<(usize, usize, Hint)>,
    overflow: Overflow,
}

/// The treatment of columns for which a terminal has no room.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Overflow {
    /// They are left out and named below the table: these heads first, in this order, then from the
    /// last but one on.
    LeftOut(Vec<String>),
    /// The table is continued below itself, each part with the first column.
    Continued,
}

impl Default for Overflow {
    fn default() -> Self {
        Self::LeftOut(Vec::new())
    }
}

impl Output {
    /// An answer whose machine-readable form is `json`; add what a person reads with
    /// [`Output::text`], [`Output::table`] and [`Output::plot`].
    ///
    /// # Panics
    /// If `json` cannot be serialised, which a type with string keys always can.
    pub fn new(json: impl Serialize) -> Self {
        let json = serde_json::to_value(json).expect("answers have string keys and plain values");
        Self { json, ..Self::default() }
    }

    /// Adds a field to what a program reads.
    ///
    /// # Panics
    /// If that is no object, or `value` cannot be serialised, which a type with string keys can.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("answers have string keys");
        self.json.as_object_mut().expect("an answer with fields").insert(name.to_owned(), value);
        self
    }

    /// Appends lines of text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// Appends lines that name commands.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.blocks.push(Block::Hint(hint.into()));
        self
    }

    /// Appends a table.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// Appends a picture.
    #[must_use]
    pub fn plot(mut self, plot: Plot) -> Self {
        self.blocks.push(Block::Plot(plot));
        self
    }

    /// Appends a text whose words weigh something.
    #[must_use]
    pub fn weighed(mut self, text: WeighedText) -> Self {
        self.blocks.push(Block::Weighed(text));
        self
    }

    /// Marks the answer as a gate's no.
    #[must_use]
    pub fn blocked(mut self) -> Self {
        self.outcome = Outcome::Blocked;
        self
    }

    /// The same answer with its commands spelled, as text like any other.
    #[must_use]
    pub fn spelled(mut self, spelling: Spelling) -> Self {
        for block in &mut self.blocks {
            match block {
                Block::Hint(hint) => *block = Block::Text(hint.spelled(spelling)),
                Block::Table(table) => table.spell(spelling),
                Block::Text(_) | Block::Plot(_) | Block::Weighed(_) => {}
            }
        }
        self
    }

    /// The parts that a person reads, in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The value that a program reads.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The outcome of what was asked for.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// All blocks as plain text no wider than `width` columns where tables can be wrapped.
    pub fn to_text(&self, width: Option<u16>) -> String {
        self.to_text_in(width, Ink::Plain)
    }

    /// As [`Output::to_text`], coloured where `ink` allows it.
    pub fn to_text_in(&self, width: Option<u16>, ink: Ink) -> String {
        let parts: Vec<String> = self
            .blocks
            .iter()
            .map(|block| match block {
                Block::Text(text) => text.clone(),
                Block::Hint(hint) => hint.to_string(),
                Block::Table(table) => table.to_text(width),
                Block::Plot(plot) => plot.text(width),
                Block::Weighed(text) => match ink {
                    Ink::Plain => text.to_plain(),
                    Ink::Coloured => text.to_coloured(),
                },
            })
            .collect();
        parts.join("\n")
    }
}

impl Plot {
    /// A picture; `sketch` draws it in plain text for a width in columns.
    pub fn new(
        title: impl Into<String>,
        svg: String,
        vega_lite: Value,
        sketch: impl Fn(Option<u16>) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { title: title.into(), svg, vega_lite, sketch: Arc::new(sketch) }
    }

    /// A plain-text sketch of the picture, no wider than `width` columns where that is possible.
    pub fn text(&self, width: Option<u16>) -> String {
        (self.sketch)(width)
    }
}

impl fmt::Debug for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plot").field("title", &self.title).finish_non_exhaustive()
    }
}

impl Table {
    /// An empty table with the given column heads.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(head, align)| (head.to_owned(), align)).collect();
        Self { columns, ..Self::default() }
    }

    /// Puts a title above the table.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Says which columns a narrow terminal can do without: these heads go first, in this order.
    #[must_use]
    pub fn with_dispensable<'a>(mut self, heads: impl IntoIterator<Item = &'a str>) -> Self {
        self.overflow = Overflow::LeftOut(heads.into_iter().map(str::to_owned).collect());
        self
    }

    /// Shows every column in a narrow terminal too: those that do not fit follow below, each part
    /// with the first column. For tables with one column a class, of which none may be missing.
    #[must_use]
    pub fn continued(mut self) -> Self {
        self.overflow = Overflow::Continued;
        self
    }

    /// Appends one row; missing cells stay empty, surplus cells are dropped.
    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> =
            cells.into_iter().take(self.columns.len()).map(Into::into).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Puts `hint` into a column of the last row; where there is no such cell, nowhere.
    pub fn hint(&mut self, column_idx: usize, hint: impl Into<Hint>) {
        let Some(row_idx) = self.rows.len().checked_sub(1) else { return };
        if let Some(cell) = self.rows[row_idx].get_mut(column_idx) {
            let hint = hint.into();
            *cell = hint.to_string();
            self.hints.push((row_idx, column_idx, hint));
        }
    }

    fn spell(&mut self, spelling: Spelling) {
        for (row_idx, column_idx, hint) in self.hints.drain(..) {
            self.rows[row_idx][column_idx] = hint.spelled(spelling);
        }
    }

    /// The title, where there is one.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Column heads with their alignment.
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// The rows, each as long as [`Table::columns`].
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// The table in plain text: heads underlined, columns two spaces apart. Where `width` (columns
    /// of the terminal) is given, free text is wrapped, and the columns for which there is no room
    /// follow below or are named there.
    pub fn to_text(&self, width: Option<u16>) -> String {
        let title = self.title.as_ref().map(|title| format!("{title}\n")).unwrap_or_default();
        if self.columns.is_empty() {
            return title;
        }
        let everything: Vec<usize> = (0..self.columns.len()).collect();
        let Some(room) = width.map(usize::from) else {
            return title + &self.drawn(&everything, None);
        };
        match &self.overflow {
            Overflow::Continued => {
                let parts = fit::parts(&self.columns, &self.rows, room);
                let part = |shown: &Vec<usize>| {
                    let fitted = fit::fit(&self.columns, &self.rows, shown, &[], room);
                    self.drawn(&fitted.shown, Some(&fitted.widths))
                };
                title + &parts.iter().map(part).collect::<Vec<_>>().join("\n\n")
            }
            Overflow::LeftOut(heads) => {
                let idx = |head: &String| self.columns.iter().position(|(other, _)| other == head);
                let first: Vec<usize> = heads.iter().filter_map(idx).collect();
                let fitted = fit::fit(&self.columns, &self.rows, &everything, &first, room);
                let text = title + &self.drawn(&fitted.shown, Some(&fitted.widths));
                let left_out: Vec<&str> = everything
                    .iter()
                    .filter(|idx| !fitted.shown.contains(idx))
                    .map(|idx| self.columns[*idx].0.as_str())
                    .collect();
                if left_out.is_empty() {
                    return text;
                }
                let left_out = left_out.join(", ");
                let said = format!("(no room for {left_out}: a wider terminal or JSON has more)");
                format!("{text}\n{}", fit::wrap(&said, room))
            }
        }
    }

    /// The columns `shown`, each wrapped at its width where widths are given.
    fn drawn(&self, shown: &[usize], widths: Option<&[usize]>) -> String {
        let mut drawn = comfy_table::Table::new();
        drawn.load_preset(comfy_table::presets::NOTHING);
        drawn.set_style(comfy_table::TableComponent::HeaderLines, '─');
        drawn.set_style(comfy_table::TableComponent::MiddleHeaderIntersections, '─');
        // The cells are wrapped by then: its own way breaks words wherever a line ends.
        drawn.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
        drawn.set_header(shown.iter().map(|idx| visible(&self.columns[*idx].0)));
        for row in &self.rows {
            let cells = shown.iter().map(|idx| visible(&row[*idx]));
            match widths {
                Some(widths) => {
                    drawn.add_row(cells.zip(widths).map(|(cell, width)| fit::wrap(&cell, *width)))
                }
                None => drawn.add_row(cells),
            };
        }
        for (column, idx) in drawn.column_iter_mut().zip(shown) {
            column.set_padding((0, 1));
            column.set_cell_alignment(match self.columns[*idx].1 {
                Align::Left => comfy_table::CellAlignment::Left,
                Align::Right => comfy_table::CellAlignment::Right,
            });
        }
        let lines: Vec<String> = drawn
            .lines()
            // comfy-table pads the last column to its width; nobody wants trailing blanks.
            .map(|line| line.strip_suffix("─").unwrap_or(&line).trim_end().to_owned())
            .collect();
        lines.join("\n")
    }
}

/// `cell` without characters that a terminal obeys, and on one line: what a user wrote into a name or a value
/// must not move the cursor or break the table. Line breaks of ours stay.
fn visible(cell: &str) -> Cow<'_, str> {
    match cell.contains(|letter: char| letter.is_control() && letter != '\n') {
        false => Cow::Borrowed(cell),
        true => Cow::Owned(
            cell.chars()
                .map(|letter| match letter.is_control() && letter != '\n' {
                    true => '\u{fffd}',
                    false => letter,
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_underlines_heads_and_aligns_numbers() {
        let mut table = Table::new([("name", Align::Left), ("rows", Align::Right)]);
        table.push(["imdb", "25,000"]);
        table.push(["sample", "2,000"]);
        let expected = "name      rows\n──────────────\nimdb    25,000\nsample   2,000";
        assert_eq!(table.to_text(None), expected);
    }

    #[test]
    fn a_table_says_nothing_to_the_terminal() {
        let mut table = Table::new([("na\u{1b}[31mme", Align::Left)]);
        table.push(["a\u{7}b\tc\u{9b}d"]);
        let text = table.to_text(None);
        assert!(!text.contains(|letter: char| letter.is_control() && letter != '\n'), "{text:?}");
        assert!(text.contains("a\u{fffd}b\u{fffd}c\u{fffd}d"), "{text:?}");
    }

    #[test]
    fn commands_are_spelled_and_what_looks_like_one_is_not() {
        let mut table = Table::new([("state", Align::Left), ("what", Align::Left)]);
        table.push(["`trialbook data`", ""]);
        table.hint(1, Hint::new().say("run ").run("data list"));
        let output = Output::new(())
            .text("a row with `trialbook data`")
            .table(table)
            .hint(Hint::new().run("runs list").say(" shows `trialbook data`"));
        for (spelling, data, runs) in [
            (Spelling::Program, "run `trialbook data list`", "`trialbook runs list`"),
            (Spelling::Cell, "run `:data list`", "`:runs list`"),
        ] {
            let text = output.clone().spelled(spelling).to_text(None);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], "a row with `trialbook data`");
            assert_eq!(lines[3], format!("`trialbook data`  {data}"));
            assert_eq!(lines[4], format!("{runs} shows `trialbook data`"));
        }
    }

    #[test]
    fn what_does_not_fit_is_wrapped_at_blanks_or_left_out_and_named() {
        let mut table = Table::new([
            ("run", Align::Left),
            ("note", Align::Left),
            ("accuracy", Align::Right),
            ("f1", Align::Right),
        ]);
        table.push(["09153043", "rolled back from version 2", "0.9064", "0.9071"]);
        let expected = "\
run       note                f1
────────────────────────────────
09153043  rolled back     0.9071
          from version 2
(no room for accuracy: a wider
terminal or JSON has more)";
        assert_eq!(table.to_text(Some(32)), expected);
        assert!(table.to_text(None).contains("rolled back from version 2"));
    }

    #[test]
    fn a_continued_table_shows_every_column_below_itself() {
        let heads = ["true", "acq", "crude", "earn", "grain"];
        let mut table = Table::new(heads.map(|head| (head, Align::Left))).continued();
        table.push(["acq", "691", "1", "4", "0"]);
        table.push(["crude", "3", "117", "1", "0"]);
        let expected = "\
true   acq  crude
─────────────────
acq    691  1
crude  3    117

true   earn  grain
──────────────────
acq    4     0
crude  1     0";
        assert_eq!(table.to_text(Some(18)), expected);
        assert_eq!(table.to_text(Some(31)), table.to_text(None));
        // Too narrow for anything: one column a part, and none is missing.
        let narrow = table.to_text(Some(1));
        assert!(heads.iter().all(|head| narrow.contains(head)), "{narrow}");
    }

    #[test]
    fn dispensable_columns_go_first_and_in_their_order() {
        let heads = ["run", "started", "model", "f1"];
        let mut table =
            Table::new(heads.map(|head| (head, Align::Left))).with_dispensable(["started", "run"]);
        table.push(["0123", "2026-11-27", "tfidf", "0.91"]);
        let shown = |width| {
            let text = table.to_text(Some(width));
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(80), "run started model f1");
        assert_eq!(shown(24), "run model f1");
        assert_eq!(shown(14), "model f1");
    }

    #[test]
    fn a_short_row_is_filled_and_a_long_one_cut() {
        let mut table = Table::new([("a", Align::Left), ("b", Align::Left)]);
        table.push(["1"]);
        table.push(["1", "2", "3"]);
        assert_eq!(
            table.rows(),
            [vec!["1".to_owned(), String::new()], vec!["1".into(), "2".into()]]
        );
    }
}
