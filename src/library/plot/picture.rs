//! A chart as SVG.

use super::{
    bars,
    chart::Chart,
    frame::Frame,
    marks::{Bin, Marks, Series, is_drawable},
    scales::{right_scale, scales},
    svg::ShapeRole,
};

/// Lines of so few points show them.
const MAX_DOTTED: usize = 30;

/// The SVG document of `chart`.
pub(super) fn svg(chart: &Chart) -> String {
    let (x, y) = match &chart.marks {
        Marks::Bars { names, series } => return bars::svg(chart, names, series),
        _ => scales(chart, (6, 5)),
    };
    let mut frame = Frame::new(chart, x, y, right_scale(chart, 5));
    if let Some((_, bins)) = &chart.backdrop {
        draw_columns(&mut frame, ShapeRole::Dim, 0.28, bins);
    }
    if let Some([from, to]) = chart.reference {
        let (from, to) = (frame.at(from), frame.at(to));
        frame.svg.reference(from, to);
    }
    match &chart.marks {
        Marks::Bars { .. } => {}
        Marks::Columns(bins) => draw_columns(&mut frame, ShapeRole::Series(0), 1.0, bins),
        Marks::Lines(series) => {
            for (idx, series) in series.iter().enumerate() {
                draw_line(&mut frame, ShapeRole::Series(idx), series, chart.is_right(idx));
            }
        }
        Marks::Points(series) => {
            for (idx, series) in series.iter().enumerate() {
                let n_points = series.points.len();
                let (radius, opacity) = if n_points > 500 { (2.0, 0.45) } else { (3.2, 0.75) };
                for point in series.points.iter().filter(|point| is_drawable(point.1)) {
                    let at = frame.at(*point);
                    frame.svg.dot_with(ShapeRole::Series(idx), opacity, at, radius);
                }
            }
        }
    }
    frame.svg.finish()
}

/// The stretches of a line between values that cannot be drawn.
pub(super) fn stretches(series: &Series) -> impl Iterator<Item = &[(f64, f64)]> {
    series.points.split(|(_, y)| !is_drawable(*y)).filter(|stretch| !stretch.is_empty())
}

fn draw_line(frame: &mut Frame, role: ShapeRole, series: &Series, is_right: bool) {
    let n_points = series.points.len();
    for stretch in stretches(series) {
        let points: Vec<(f64, f64)> = stretch
            .iter()
            .map(|point| if is_right { frame.at_right(*point) } else { frame.at(*point) })
            .collect();
        if points.len() > 1 {
            frame.svg.polyline(role, points.iter().copied());
        }
        if n_points <= MAX_DOTTED || points.len() == 1 {
            for point in points {
                frame.svg.dot(role, point, 3.5);
            }
        }
    }
}

fn draw_columns(frame: &mut Frame, role: ShapeRole, opacity: f64, bins: &[Bin]) {
    for bin in bins {
        frame.column(role, opacity, (bin.lower, bin.upper), bin.height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_interrupts_a_line() {
        let points = vec![(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 2.0)];
        let svg = svg(&Chart::lines(vec![Series::new("y", points)]));
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn every_chart_is_drawn_whatever_the_values() {
        for chart in [
            Chart::histogram("n", &[]),
            Chart::histogram("n", &[None, Some(f64::NAN)]),
            Chart::histogram("n", &[Some(1e300), Some(-1e300)]),
            Chart::lines(Vec::new()),
            Chart::lines(vec![Series::new("a", vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)])]),
            Chart::scatter(vec![Series::new("a", vec![(1.0, 1.0)])]),
            Chart::bars(Vec::new(), Vec::new()),
            Chart::bars(vec!["a".into()], vec![("s".into(), vec![f64::NAN])]),
        ] {
            let plot = chart.draw();
            for wrong in ["NaN", "inf"] {
                assert!(!plot.svg.contains(wrong), "{chart:?}: {}", plot.svg);
                assert!(!plot.vega_lite.to_string().contains(wrong), "{chart:?}");
            }
            assert!(!plot.text(None).is_empty());
        }
    }
}
