//! The scales of a chart, from all that is drawn in it.

use super::{
    chart::Chart,
    marks::{Marks, is_drawable},
    scale::AxisScale,
};

/// Both scales of a chart with axes of numbers; counts begin at 0.
pub(super) fn scales(chart: &Chart, (n_x, n_y): (usize, usize)) -> (AxisScale, AxisScale) {
    let (xs, ys): (Vec<f64>, Vec<f64>) = match &chart.marks {
        Marks::Columns(bins) => (
            bins.iter().flat_map(|bin| [bin.lower, bin.upper]).collect(),
            bins.iter().map(|bin| bin.height).chain([0.0]).collect(),
        ),
        Marks::Lines(series) | Marks::Points(series) => {
            let (xs, ys): (Vec<f64>, Vec<Option<f64>>) = series
                .iter()
                .enumerate()
                .flat_map(|(idx, series)| series.points.iter().map(move |point| (idx, point)))
                .filter(|(_, (_, y))| is_drawable(*y))
                .map(|(idx, (x, y))| (*x, (!chart.is_right(idx)).then_some(*y)))
                .unzip();
            (xs, ys.into_iter().flatten().collect())
        }
        Marks::Bars { series, .. } => (
            Vec::new(),
            series.iter().flat_map(|(_, values)| values).copied().chain([0.0]).collect(),
        ),
    };
    (AxisScale::new(&chart.x, xs.into_iter(), n_x), AxisScale::new(&chart.y, ys.into_iter(), n_y))
}

/// The scale of the axis on the right, where the chart has one.
pub(super) fn right_scale(chart: &Chart, n_ticks: usize) -> Option<AxisScale> {
    let (axis, idxs) = chart.right.as_ref()?;
    let Marks::Lines(series) = &chart.marks else { return None };
    let points = idxs.iter().filter_map(|idx| series.get(*idx)).flat_map(|one| &one.points);
    Some(AxisScale::new(axis, points.map(|(_, y)| *y).filter(|y| is_drawable(*y)), n_ticks))
}
