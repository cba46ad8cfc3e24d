//! A chart in plain text: braille patterns, two by four dots a character, for lines, points and
//! columns; blocks for bars. As wide as there is room.

use std::fmt::Write as _;

use super::{
    chart::Chart,
    marks::{Marks, Series, is_drawable},
    picture::stretches,
    scale::{AxisScale, Tick, value_label},
    scales::{right_scale, scales},
};

/// The width without a terminal.
const DEFAULT_WIDTH: usize = 72;
const MIN_WIDTH: usize = 24;
const MAX_WIDTH: usize = 120;
const N_ROWS: usize = 14;

/// The sketch of `chart`, no wider than `width` columns where that is possible at all.
pub(super) fn text(chart: &Chart, width: Option<u16>) -> String {
    let width = width.map_or(DEFAULT_WIDTH, usize::from).clamp(MIN_WIDTH, MAX_WIDTH);
    let mut text = String::new();
    for line in [Some(&chart.title), chart.note.as_ref()].into_iter().flatten() {
        if !line.is_empty() {
            let _ = writeln!(text, "{}", cut(line, width));
        }
    }
    match &chart.marks {
        Marks::Bars { names, series } => push_bars(&mut text, chart, names, series, width),
        _ => push_axes(&mut text, chart, width),
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

fn cut(text: &str, width: usize) -> String {
    super::svg::shortened(text, width)
}

fn push_axes(text: &mut String, chart: &Chart, width: usize) {
    let (x, y) = scales(chart, (5, 4));
    let right_y = right_scale(chart, 4);
    let left = y.ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
    // The names of several lines stand at their ends; a single one is in the title or the axis.
    let names: Vec<String> =
        chart.legend().iter().map(|name| cut(name, (width / 3).min(24))).collect();
    let beside = names.iter().map(|name| name.chars().count() + 1).max().unwrap_or(0);
    let has_room = left + beside + 20 <= width;
    let right = if has_room { beside } else { 0 };
    let mut canvas = Canvas::new(width.saturating_sub(left + 2 + right).max(10));
    let mut ends: Vec<(usize, &str)> = Vec::new();

    match &chart.marks {
        Marks::Bars { .. } => {}
        Marks::Columns(bins) => {
            for bin in bins {
                let (from, to) = (x.share(bin.lower), x.share(bin.upper));
                canvas.column(from, to, y.share(bin.height), bin.height > 0.0);
            }
        }
        Marks::Lines(series) => {
            for (idx, series) in series.iter().enumerate() {
                let y = right_y.as_ref().filter(|_| chart.is_right(idx)).unwrap_or(&y);
                for stretch in stretches(series) {
                    canvas.polyline(stretch.iter().map(|(at, to)| (x.share(*at), y.share(*to))));
                }
                ends.extend(end_of(series, y, names.get(idx)));
            }
        }
        Marks::Points(series) => {
            for (idx, series) in series.iter().enumerate() {
                for (at, to) in series.points.iter().filter(|point| is_drawable(point.1)) {
                    canvas.dot(x.share(*at), y.share(*to));
                }
                ends.extend(end_of(series, &y, names.get(idx)));
            }
        }
    }
    if !has_room && !names.is_empty() {
        let _ = writeln!(text, "{}", names.join(", "));
    }
    if !chart.y.name.is_empty() {
        let _ = writeln!(text, "{}", cut(&chart.y.name, width));
    }
    if let (Some((axis, _)), Some(scale)) = (&chart.right, &right_y)
        && let (Some(first), Some(last)) = (scale.ticks.first(), scale.ticks.last())
    {
        let range = format!("right axis: {}, {} to {}", axis.name, first.label, last.label);
        let _ = writeln!(text, "{}", cut(&range, width));
    }
    let labels = if has_room { placed(ends) } else { Vec::new() };
    for (row_idx, row) in canvas.rows().enumerate() {
        let tick = y.ticks.iter().find(|tick| row_of(y.share(tick.at)) == row_idx);
        let (label, side) = tick.map_or(("", '│'), |tick| (tick.label.as_str(), '┤'));
        let beside = labels.iter().find(|(row, _)| *row == row_idx).map_or("", |(_, name)| *name);
        let line = format!("{label:>left$} {side}{row} {beside}");
        let _ = writeln!(text, "{}", line.trim_end_matches([' ', '⠀']));
    }
    let (axis, labels) = x_axis(&x, canvas.n_columns);
    let _ = writeln!(text, "{:left$} └{axis}", "");
    let _ = writeln!(text, "{:left$}  {labels}", "");
    let middle = left + 2 + canvas.n_columns / 2;
    let name = cut(&chart.x.name, width);
    let indent = middle.saturating_sub(name.chars().count() / 2);
    let _ = writeln!(text, "{:indent$}{name}", "");
}

fn row_of(share: f64) -> usize {
    ((1.0 - share) * (N_ROWS - 1) as f64).round() as usize
}

/// The row in which a series ends, and its name.
fn end_of<'a>(
    series: &Series,
    y: &AxisScale,
    name: Option<&'a String>,
) -> Option<(usize, &'a str)> {
    let (_, last) = series.points.iter().rev().find(|(_, y)| is_drawable(*y))?;
    Some((row_of(y.share(*last)), name?.as_str()))
}

/// Names moved apart so that each has a row of its own.
fn placed(mut ends: Vec<(usize, &str)>) -> Vec<(usize, &str)> {
    ends.sort_by_key(|(row, _)| *row);
    let n_ends = ends.len();
    let mut next = 0;
    for (idx, (row, _)) in ends.iter_mut().enumerate() {
        // Those that follow need a row each, too.
        *row = (*row).max(next).min(N_ROWS - (n_ends - idx).min(N_ROWS));
        next = *row + 1;
    }
    ends
}

/// The horizontal axis with its ticks, and the labels below them that have room.
fn x_axis(x: &AxisScale, n_columns: usize) -> (String, String) {
    let mut axis = vec!['─'; n_columns];
    let mut labels = String::new();
    let mut n_written = 0;
    for Tick { at, label } in &x.ticks {
        let column = (x.share(*at) * (n_columns - 1) as f64).round() as usize;
        let length = label.chars().count();
        let begin = column.saturating_sub(length / 2).min(n_columns.saturating_sub(length));
        if n_written > 0 && begin < n_written + 2 {
            continue;
        }
        axis[column.min(n_columns - 1)] = '┬';
        let _ = write!(labels, "{:indent$}{label}", "", indent = begin - n_written);
        n_written = begin + length;
    }
    (axis.into_iter().collect(), labels)
}

fn push_bars(
    text: &mut String,
    chart: &Chart,
    names: &[String],
    series: &[(String, Vec<f64>)],
    width: usize,
) {
    let scale = scales(chart, (5, 5)).1;
    let has_groups = series.len() > 1;
    let heads: Vec<String> = match has_groups {
        true => series.iter().map(|(name, _)| format!("  {name}")).collect(),
        false => names.to_vec(),
    };
    let n_head = heads.iter().map(|head| head.chars().count()).max().unwrap_or(0).min(width / 3);
    let label = |value: f64| value_label(value, chart.y.is_whole);
    let values = || series.iter().flat_map(|(_, values)| values);
    let n_label = values().map(|value| label(*value).len()).max().unwrap_or(0);
    let n_columns = width.saturating_sub(n_head + n_label + 2).max(4);
    if names.is_empty() {
        text.push_str("nothing to draw");
        return;
    }
    if !chart.y.name.is_empty() {
        let _ = writeln!(text, "{}", cut(&chart.y.name, width));
    }
    for (name_idx, name) in names.iter().enumerate() {
        if has_groups {
            let _ = writeln!(text, "{}", cut(name, width));
        }
        for (series_idx, (_, values)) in series.iter().enumerate() {
            let value = values[name_idx];
            let head = cut(&heads[if has_groups { series_idx } else { name_idx }], n_head);
            let bar = bar(scale.share(0.0), scale.share(value), n_columns);
            let _ = writeln!(text, "{head:n_head$} {bar} {}", label(value));
        }
    }
}

/// A bar from `zero` to `share` on `n_columns` characters, in eighths where it grows to the right.
fn bar(zero: f64, share: f64, n_columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if !share.is_finite() {
        return String::new();
    }
    let begin = (zero.min(share) * n_columns as f64).round() as usize;
    if share < zero {
        let end = (zero * n_columns as f64).round() as usize;
        return " ".repeat(begin) + &"█".repeat(end - begin);
    }
    let n_eighths = ((share - zero) * n_columns as f64 * 8.0).round() as usize;
    " ".repeat(begin) + &"█".repeat(n_eighths / 8) + EIGHTHS[n_eighths % 8]
}

/// A grid of dots; (0, 0) is the lower left corner, (1, 1) the upper right one.
struct Canvas {
    n_columns: usize,
    cells: Vec<u8>,
}

impl Canvas {
    fn new(n_columns: usize) -> Self {
        Self { n_columns, cells: vec![0; n_columns * N_ROWS] }
    }

    /// Joins neighbouring points by straight lines.
    fn polyline(&mut self, points: impl Iterator<Item = (f64, f64)>) {
        let mut previous: Option<(f64, f64)> = None;
        for (x, y) in points {
            let (from_x, from_y) = previous.unwrap_or((x, y));
            let n_steps = ((x - from_x).abs() * (2 * self.n_columns) as f64)
                .max((y - from_y).abs() * (4 * N_ROWS) as f64)
                .ceil()
                .clamp(1.0, 1000.0) as usize;
            for step in 0..=n_steps {
                let share = step as f64 / n_steps as f64;
                self.dot(from_x + (x - from_x) * share, from_y + (y - from_y) * share);
            }
            previous = Some((x, y));
        }
    }

    /// A filled column; one that is not empty has at least one row of dots.
    fn column(&mut self, from: f64, to: f64, height: f64, is_visible: bool) {
        let n_dots = (2 * self.n_columns) as f64;
        let begin = (from * n_dots).round() as usize;
        let end = ((to * n_dots).round() as usize).max(begin + 1).min(2 * self.n_columns);
        let n_rows = (height * (4 * N_ROWS) as f64).round().max(f64::from(u8::from(is_visible)));
        for column in begin..end {
            for row in 0..(n_rows as usize).min(4 * N_ROWS) {
                self.set(column, 4 * N_ROWS - 1 - row);
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = String> {
        self.cells.chunks_exact(self.n_columns).map(|row| {
            let drawn = row.iter().map(|dots| {
                char::from_u32(0x2800 + u32::from(*dots)).expect("a braille pattern: 8 bits")
            });
            drawn.collect()
        })
    }

    fn dot(&mut self, x: f64, y: f64) {
        if !(0.0..=1.0).contains(&x) || !(0.0..=1.0).contains(&y) {
            return;
        }
        let column = (x * (2 * self.n_columns - 1) as f64).round() as usize;
        self.set(column, ((1.0 - y) * (4 * N_ROWS - 1) as f64).round() as usize);
    }

    fn set(&mut self, column: usize, row: usize) {
        // Dots are numbered down the left column, then down the right one, but the lowest pair,
        // added later to the script, has the two highest bits.
        let bit = match (column % 2, row % 4) {
            (0, 3) => 6,
            (_, 3) => 7,
            (side, height) => 3 * side + height,
        };
        self.cells[row / 4 * self.n_columns + column / 2] |= 1 << bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagonal_joins_the_corners() {
        let diagonal = Series::new("y", vec![(0.0, 0.0), (1.0, 1.0)]);
        let chart = Chart::lines(vec![diagonal]).title("title").axes("x", "y").of_shares();
        let text = text(&chart, Some(40));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), N_ROWS + 5, "{text}");
        assert!(lines[2].starts_with("1.0 ┤⠀") && lines[2].ends_with('⠊'), "{text}");
        assert!(
            lines[N_ROWS + 1].starts_with("0.0 ┤") && !lines[N_ROWS + 1].contains("┤⠀"),
            "{text}"
        );
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn points_outside_are_not_drawn() {
        let mut canvas = Canvas::new(10);
        canvas.polyline([(-1.0, 0.5), (2.0, f64::NAN)].into_iter());
        assert!(canvas.cells.iter().all(|dots| *dots == 0));
    }

    #[test]
    fn bars_have_eighths_and_values() {
        let names = vec!["neg".to_owned(), "positive".to_owned()];
        let chart = Chart::bars(names, vec![("rows".into(), vec![100.0, 50.0])]);
        let text = text(&chart.axes("label", "rows"), Some(33));
        assert_eq!(text, "rows\nneg      ████████████████████ 100\npositive ██████████ 50");
        assert_eq!(bar(0.0, 0.55, 10), "█████▌");
        assert_eq!(bar(0.5, 0.25, 8), "  ██");
        assert_eq!(bar(0.5, 0.75, 8), "    ██");
        assert_eq!(bar(0.0, f64::NAN, 8), "");
    }

    #[test]
    fn names_at_the_ends_of_lines_have_rows_of_their_own() {
        assert_eq!(placed(vec![(3, "a"), (3, "b"), (1, "c")]), [(1, "c"), (3, "a"), (4, "b")]);
        let last = N_ROWS - 1;
        assert_eq!(placed(vec![(last, "a"), (last, "b")]), [(last - 1, "a"), (last, "b")]);
    }
}
