//! A chart: what is to be drawn, as numbers and names. How it looks is its neighbours' business.

use super::{
    histogram,
    marks::{Axis, Bin, Marks, Series, is_drawable},
    scale::value_label,
};
use crate::{
    figure,
    output::{Align, Table},
};

/// The most points of a series that are drawn; more would make a picture of megabytes in which
/// nobody sees a difference.
const MAX_POINTS: usize = 4_000;
/// The most lines of one chart: colours beyond these repeat.
pub(crate) const MAX_SERIES: usize = 6;
/// The most bars of one series.
const MAX_BARS: usize = 40;

/// A chart that can be given names, drawn and saved. Values that are not finite are left out.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::plot::{Chart, Series};
/// let curve = Series::new("loss", vec![(1.0, 0.7), (2.0, 0.4), (3.0, 0.35)]);
/// let chart = Chart::lines(vec![curve]).title("Training").axes("epoch", "loss");
/// assert!(chart.draw().svg.contains("Training"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub(super) title: String,
    pub(super) note: Option<String>,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// A second vertical axis, on the right, and the indices of the lines that belong to it.
    pub(super) right: Option<(Axis, Vec<usize>)>,
    pub(super) marks: Marks,
    /// The line that guessing or perfection would give.
    pub(super) reference: Option<[(f64, f64); 2]>,
    /// Pale columns behind the marks, such as the share of examples in a bin.
    pub(super) backdrop: Option<(String, Vec<Bin>)>,
    pub(super) is_square: bool,
}

impl Chart {
    /// A histogram of the values. `None` among them is counted and mentioned.
    pub fn histogram(name: &str, values: &[Option<f64>]) -> Self {
        let known: Vec<f64> =
            values.iter().flatten().copied().filter(|x| is_drawable(*x)).collect();
        let mut chart = Self::new(Marks::Columns(histogram::bins(&known)));
        chart.x.is_whole = known.iter().all(|value| value.fract() == 0.0);
        chart.y.is_whole = true;
        chart = chart.title(format!("{name} of {}", figure::counted(known.len(), "row")));
        if known.len() < values.len() {
            let n_missing = values.len() - known.len();
            let are = if n_missing == 1 { "is" } else { "are" };
            let rows = figure::counted(n_missing, "row");
            chart = chart.note(format!("{rows} without a value {are} left out"));
        }
        chart.axes(name, "rows")
    }

    /// One bar a name and series; every series has one value a name.
    pub fn bars(mut names: Vec<String>, mut series: Vec<(String, Vec<f64>)>) -> Self {
        let n_names = names.len();
        names.truncate(MAX_BARS);
        series.truncate(MAX_SERIES);
        for (_, values) in &mut series {
            values.resize(names.len(), f64::NAN);
        }
        let values = || series.iter().flat_map(|(_, values)| values);
        let is_whole = values().all(|value| !value.is_finite() || value.fract() == 0.0);
        let mut chart = Self::new(Marks::Bars { names, series });
        chart.y.is_whole = is_whole;
        if n_names > MAX_BARS {
            chart.note = Some(format!("the first {MAX_BARS} of {}", figure::count(n_names)));
        }
        chart
    }

    /// Points joined by lines.
    pub fn lines(series: Vec<Series>) -> Self {
        let (series, note) = drawn(series, envelope);
        Self { note, ..Self::new(Marks::Lines(series)) }
    }

    /// Points alone.
    pub fn scatter(series: Vec<Series>) -> Self {
        let (series, note) = drawn(series, every_nth);
        Self { note, ..Self::new(Marks::Points(series)) }
    }

    fn new(marks: Marks) -> Self {
        Self {
            title: String::new(),
            note: None,
            x: Axis::default(),
            y: Axis::default(),
            right: None,
            marks,
            reference: None,
            backdrop: None,
            is_square: false,
        }
    }

    /// Another title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The title.
    pub fn name(&self) -> &str {
        &self.title
    }

    /// The quantities on the axes, with units.
    #[must_use]
    pub fn axes(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        self.x.name = x.into();
        self.y.name = y.into();
        self
    }

    /// A remark below the title.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Both axes from 0 to 1, on a square.
    #[must_use]
    pub(crate) fn of_shares(mut self) -> Self {
        self.x.domain = Some((0.0, 1.0));
        self.y.domain = Some((0.0, 1.0));
        self.is_square = true;
        self
    }

    /// A dashed line nobody measures anything at.
    #[must_use]
    pub(crate) fn with_reference(mut self, from: (f64, f64), to: (f64, f64)) -> Self {
        self.reference = Some([from, to]);
        self
    }

    /// Pale columns behind the marks and what they are.
    #[must_use]
    pub(crate) fn with_backdrop(mut self, name: &str, bins: Vec<Bin>) -> Self {
        self.backdrop = Some((name.to_owned(), bins));
        self
    }

    /// The horizontal axis counts steps, epochs or the like.
    #[must_use]
    pub fn with_whole_x(mut self) -> Self {
        self.x.is_whole = true;
        self
    }

    /// The horizontal axis is time in milliseconds since 1970.
    #[must_use]
    pub(crate) fn with_time_x(mut self) -> Self {
        self.x.is_time = true;
        self
    }

    /// Gives the lines of these names an axis of their own, on the right: their numbers are of
    /// another size. Without other lines there is nothing to keep apart.
    #[must_use]
    pub fn with_right_axis(mut self, is_right: impl Fn(&str) -> bool) -> Self {
        let Marks::Lines(series) = &mut self.marks else { return self };
        let idxs: Vec<usize> =
            (0..series.len()).filter(|idx| is_right(&series[*idx].name)).collect();
        if idxs.is_empty() || idxs.len() == series.len() {
            return self;
        }
        let names: Vec<String> = idxs.iter().map(|idx| series[*idx].name.clone()).collect();
        for idx in &idxs {
            series[*idx].name.push_str(" (right axis)");
        }
        self.right = Some((Axis { name: names.join(", "), ..Axis::default() }, idxs));
        self
    }

    /// True if the line belongs to the axis on the right.
    pub(super) fn is_right(&self, series_idx: usize) -> bool {
        self.right.as_ref().is_some_and(|(_, idxs)| idxs.contains(&series_idx))
    }

    /// The remark below the title: the note, and the columns behind the marks.
    pub(super) fn remark(&self) -> Option<String> {
        let backdrop = self.backdrop.as_ref().map(|(name, _)| format!("columns: {name}"));
        let remarks: Vec<String> = self.note.iter().cloned().chain(backdrop).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    /// The series with what they are called in the legend; none when there is nothing to tell
    /// apart.
    pub(super) fn legend(&self) -> Vec<&str> {
        let names: Vec<&str> = match &self.marks {
            Marks::Columns(_) => Vec::new(),
            Marks::Bars { series, .. } => series.iter().map(|(name, _)| name.as_str()).collect(),
            Marks::Lines(series) | Marks::Points(series) => {
                series.iter().map(|series| series.name.as_str()).collect()
            }
        };
        match names[..] {
            [only] if only.is_empty() || only == self.y.name => Vec::new(),
            _ => names,
        }
    }

    /// The numbers as a table, for people who read rather than look.
    pub fn table(&self) -> Table {
        let number = |axis: &Axis, value: f64| value_label(value, axis.is_whole);
        match &self.marks {
            Marks::Columns(bins) => {
                let mut table = Table::new([
                    (self.x.name.as_str(), Align::Left),
                    (self.y.name.as_str(), Align::Right),
                ]);
                for bin in bins {
                    let bounds = format!("{} to {}", bin.lower, bin.upper);
                    table.push([bounds, figure::count(bin.height as u64)]);
                }
                table
            }
            Marks::Bars { names, series } => {
                let heads = series.iter().map(|(name, _)| (name.as_str(), Align::Right));
                let mut table =
                    Table::new([(self.x.name.as_str(), Align::Left)].into_iter().chain(heads));
                for (idx, name) in names.iter().enumerate() {
                    let values = series.iter().map(|(_, values)| number(&self.y, values[idx]));
                    table.push([name.clone()].into_iter().chain(values));
                }
                table
            }
            Marks::Lines(series) | Marks::Points(series) => {
                let mut table = Table::new([
                    ("series", Align::Left),
                    (self.x.name.as_str(), Align::Right),
                    (self.y.name.as_str(), Align::Right),
                ]);
                for series in series {
                    for (x, y) in &series.points {
                        table.push([series.name.clone(), number(&self.x, *x), number(&self.y, *y)]);
                    }
                }
                table
            }
        }
    }
}

/// A way to thin points beyond [`MAX_POINTS`].
type Thin = fn(&[(f64, f64)]) -> Vec<(f64, f64)>;

/// The series that are drawn, and a remark when something is left out.
fn drawn(mut series: Vec<Series>, thinned: Thin) -> (Vec<Series>, Option<String>) {
    let mut notes = Vec::new();
    if series.len() > MAX_SERIES {
        notes.push(format!("the first {MAX_SERIES} of {} series", figure::count(series.len())));
        series.truncate(MAX_SERIES);
    }
    let (mut n_found, mut n_drawn) = (0, 0);
    for series in &mut series {
        series.points.retain(|(x, _)| is_drawable(*x));
        n_found += series.points.len();
        if series.points.len() > MAX_POINTS {
            series.points = thinned(&series.points);
        }
        n_drawn += series.points.len();
    }
    if n_drawn < n_found {
        let (n_drawn, n_found) = (figure::count(n_drawn), figure::count(n_found));
        notes.push(format!("{n_drawn} of {n_found} points are drawn"));
    }
    (series, (!notes.is_empty()).then(|| notes.join(", ")))
}

fn every_nth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().step_by(points.len().div_ceil(MAX_POINTS)).copied().collect()
}

/// The lowest and the highest point of every stretch: peaks stay.
fn envelope(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(MAX_POINTS / 2);
    let mut kept = Vec::with_capacity(MAX_POINTS);
    for part in points.chunks(stretch) {
        let indices = || 0..part.len();
        let low = indices().min_by(|a, b| part[*a].1.total_cmp(&part[*b].1));
        let high = indices().max_by(|a, b| part[*a].1.total_cmp(&part[*b].1));
        let (Some(low), Some(high)) = (low, high) else { continue };
        kept.push(part[low.min(high)]);
        if low != high {
            kept.push(part[low.max(high)]);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_are_thinned_and_say_so() {
        let points: Vec<(f64, f64)> =
            (0..100_000).map(|x| (f64::from(x), if x == 77_777 { 9.0 } else { 0.5 })).collect();
        let chart = Chart::lines(vec![Series::new("y", points.clone())]);
        let Marks::Lines(series) = &chart.marks else { panic!("lines") };
        assert!(series[0].points.len() <= MAX_POINTS);
        assert!(series[0].points.contains(&(77_777.0, 9.0)), "the peak stays");
        assert!(chart.note.unwrap().ends_with("of 100,000 points are drawn"));
        let Marks::Points(series) = Chart::scatter(vec![Series::new("y", points)]).marks else {
            panic!("points")
        };
        assert_eq!(series[0].points.len(), MAX_POINTS);
    }

    #[test]
    fn a_single_series_named_like_its_axis_needs_no_legend() {
        let chart = Chart::lines(vec![Series::new("loss", vec![(0.0, 1.0)])]);
        assert_eq!(chart.clone().axes("step", "loss").legend(), Vec::<&str>::new());
        assert_eq!(chart.axes("step", "value").legend(), ["loss"]);
    }

    /// Beside a loss of 0.7, a learning rate of 0.0003 was a line on the floor.
    #[test]
    fn lines_of_another_size_have_an_axis_of_their_own() {
        let line =
            |name: &str, scale: f64| Series::new(name, vec![(1.0, scale), (2.0, 2.0 * scale)]);
        let chart = Chart::lines(vec![line("loss", 0.5), line("learning_rate", 1e-4)])
            .axes("step", "value")
            .with_right_axis(|name| name == "learning_rate");
        let plot = chart.draw();
        assert!(plot.svg.contains("learning_rate (right axis)"), "{}", plot.svg);
        for tick in [">0.00010<", ">0.00020<", ">1.0<"] {
            assert!(plot.svg.contains(tick), "{tick}: {}", plot.svg);
        }
        assert_eq!(plot.vega_lite["resolve"]["scale"]["y"], "independent");
        assert_eq!(plot.vega_lite["layer"][1]["encoding"]["y"]["title"], "learning_rate");
        assert!(
            plot.text(None).contains("right axis: learning_rate, 0.00010 to 0.00020"),
            "{}",
            plot.text(None)
        );
        // Alone it needs none.
        let alone = Chart::lines(vec![line("learning_rate", 1e-4)]);
        assert_eq!(alone.clone().with_right_axis(|_| true), alone);
    }

    #[test]
    fn counts_have_no_decimals_in_a_table() {
        let chart = Chart::bars(vec!["earn".into()], vec![("rows".into(), vec![2840.0])]);
        assert_eq!(chart.table().rows(), [["earn", "2,840"]]);
    }

    #[test]
    fn missing_values_are_counted() {
        let chart = Chart::histogram("n", &[Some(1.0), None, Some(f64::NAN), Some(2.0)]);
        assert_eq!(chart.title, "n of 2 rows");
        assert_eq!(chart.note.as_deref(), Some("2 rows without a value are left out"));
    }
}
