//! The picture of a learning curve: what was measured, the law, and its interval at twice the rows.

use crate::{
    evaluate::LearningCurve,
    plot::{Chart, Series},
};

/// The metric over the rows learnt, with the law beyond them where there is one.
pub fn learning_curve_plot(curve: &LearningCurve) -> Chart {
    let n_repeats = curve.points.first().map_or(0, |point| point.values.len());
    let measured = curve.points.iter().map(|point| (point.n_rows, point.mean)).collect();
    let mut lines = vec![Series::new(format!("mean of {n_repeats}"), measured)];
    if let Some(found) = &curve.extrapolation {
        let last = 2.0 * found.n_rows;
        lines.push(Series::new("power law", found.law.clone()));
        let ends = [found.now + found.lower, found.now + found.upper];
        lines.push(Series::new("95 % interval", ends.map(|end| (last, end)).to_vec()));
    }
    let chart = Chart::lines(lines)
        .with_whole_x()
        .title("Learning curve")
        .axes("rows learnt", curve.metric.clone());
    chart.note(match &curve.extrapolation {
        Some(found) => format!(
            "twice the rows: {:+.4}, 95 % interval {:+.4} to {:+.4}",
            found.gain, found.lower, found.upper
        ),
        None => "what twice the rows would bring cannot be told".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::CurvePoint;

    #[test]
    fn the_law_is_drawn_beyond_what_was_measured() {
        let point = |n: f64| {
            let value = 0.92 - 1.5 * n.powf(-0.35);
            CurvePoint::new(n / 8000.0, n, vec![value - 0.001, value + 0.001, value])
        };
        let points: Vec<CurvePoint> = [1000.0, 2000.0, 4000.0, 8000.0].map(point).to_vec();
        let plot = learning_curve_plot(&LearningCurve::of("f1", points.clone(), 8000, 1)).draw();
        for name in
            ["mean of 3", "power law", "95 % interval", "rows learnt", "twice the rows: +0."]
        {
            assert!(plot.svg.contains(name), "{name}: {}", plot.svg);
        }
        assert!(plot.text(None).contains("power law"), "{}", plot.text(None));
        let short = LearningCurve::of("f1", points[..2].to_vec(), 8000, 1);
        let plot = learning_curve_plot(&short).draw();
        assert!(!plot.svg.contains("power law") && plot.svg.contains("cannot be told"));
    }
}
