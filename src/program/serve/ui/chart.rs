//! A picture of the library inside a page. Its colours come from the page's style sheet, which knows the
//! same roles: a picture's own style would be inline.

use maud::{Markup, PreEscaped, html};
use trialbook::plot::{Chart, Series};

/// One point of a curve: step, moment in milliseconds, value.
pub(super) type Point = (i64, i64, f64);

/// The chart as part of a page.
pub(super) fn chart(chart: &Chart) -> Markup {
    svg(&chart.draw().svg)
}

/// A picture that the library drew, as part of a page.
pub(super) fn svg(svg: &str) -> Markup {
    html! { div.chart { (PreEscaped(without_style(svg))) } }
}

/// `svg` without its style sheet.
fn without_style(svg: &str) -> String {
    match (svg.split_once("<style>"), svg.split_once("</style>")) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => svg.to_owned(),
    }
}

/// The drawing of curves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drawing {
    /// Over time in seconds since the first point; else over steps.
    pub(super) over_time: bool,
    /// Share of what went before in each smoothed value, below 1.
    pub(super) smoothing: f64,
    pub(super) is_log: bool,
}

/// Curves of the metric `name`, one a run.
pub(super) fn curves(name: &str, runs: &[(String, Vec<Point>)], drawing: Drawing) -> Chart {
    let series = runs.iter().map(|(run, points)| {
        let start_ms = points.iter().map(|(_, at_ms, _)| *at_ms).min().unwrap_or_default();
        let mut smoothed = None;
        let points = points.iter().map(|(step, at_ms, value)| {
            let x = match drawing.over_time {
                true => (at_ms - start_ms) as f64 / 1e3,
                false => *step as f64,
            };
            (x, drawing.height(&mut smoothed, *value))
        });
        Series::new(run.clone(), points.collect())
    });
    let y = if drawing.is_log { format!("log10 of {name}") } else { name.to_owned() };
    let chart = Chart::lines(series.collect())
        .title(name)
        .axes(if drawing.over_time { "seconds" } else { "step" }, y);
    if drawing.over_time { chart } else { chart.with_whole_x() }
}

impl Drawing {
    /// The place of a value. One that is not positive has none on a logarithmic scale.
    fn height(self, smoothed: &mut Option<f64>, value: f64) -> f64 {
        let value = match *smoothed {
            Some(before) if value.is_finite() => {
                before * self.smoothing + value * (1.0 - self.smoothing)
            }
            _ => value,
        };
        if value.is_finite() {
            *smoothed = Some(value);
        }
        match self.is_log {
            true if value > 0.0 => value.log10(),
            true => f64::NAN,
            false => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSS: &str = include_str!("asset/ui.css");

    #[test]
    fn every_role_of_a_picture_has_its_colour_in_the_style_sheet() {
        let lines = (0..6).map(|idx| Series::new(idx.to_string(), vec![(0.0, 1.0), (1.0, 2.0)]));
        let svg = Chart::lines(lines.collect()).title("t").draw().svg;
        let classes: Vec<&str> =
            svg.split(" .").skip(1).filter_map(|c| c.split(' ').next()).collect();
        assert!(classes.len() >= 24, "{classes:?}");
        for class in classes {
            assert!(CSS.contains(&format!(".{class} ")), "{class}");
        }
        let inline = chart(&Chart::lines(vec![Series::new("<b>", vec![(0.0, 1.0)])]).axes("", ""));
        let inline = inline.into_string();
        assert!(!inline.contains("<style") && !inline.contains("<b>"), "{inline}");
    }

    #[test]
    fn smoothing_and_logarithms_leave_gaps_where_there_is_no_value() {
        let drawing = Drawing { over_time: false, smoothing: 0.5, is_log: false };
        let mut smoothed = None;
        let heights = [1.0, 3.0, f64::NAN, 4.0].map(|value| drawing.height(&mut smoothed, value));
        assert_eq!((heights[0], heights[1], heights[3]), (1.0, 2.0, 3.0));
        assert!(heights[2].is_nan());
        let log = Drawing { is_log: true, smoothing: 0.0, ..drawing };
        assert_eq!(log.height(&mut None, 100.0), 2.0);
        assert!(log.height(&mut None, 0.0).is_nan());
    }
}
