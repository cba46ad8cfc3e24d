//! The parts of a chart: its marks with their numbers, and what an axis measures.

/// The marks that carry the data.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Marks {
    /// Columns that touch, from the lower to the upper bound of each bin.
    Columns(Vec<Bin>),
    /// One group of bars a name, one bar a series.
    Bars { names: Vec<String>, series: Vec<(String, Vec<f64>)> },
    /// Points joined in their order.
    Lines(Vec<Series>),
    /// Points alone.
    Points(Vec<Series>),
}

/// The direction of an axis' numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Axis {
    /// The quantity, with its unit.
    pub(super) name: String,
    /// From where to where; from the data when absent.
    pub(super) domain: Option<(f64, f64)>,
    /// Only whole numbers make sense.
    pub(super) is_whole: bool,
    /// Numbers are milliseconds since 1970.
    pub(super) is_time: bool,
}

/// A line or a cloud of points with its name in the legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name.
    pub name: String,
    /// x and y. A y that is not finite interrupts a line.
    pub points: Vec<(f64, f64)>,
}

/// One column: an interval and how much lies in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Its lower end.
    pub lower: f64,
    /// Its upper end; this value belongs to the next bin.
    pub upper: f64,
    /// Its height.
    pub height: f64,
}

impl Series {
    /// A series.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }
}

/// True if a number can be placed: beyond this the difference of two may not be a number.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() <= 1e300
}
