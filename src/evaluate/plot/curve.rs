//! The pictures with axes: ROC curve, precision-recall curve, calibration curve.

use super::{
    frame::{HEIGHT, WIDTH, at, draw_axes, length},
    sketch::Sketch,
    svg::{Anchor, Role, Svg, shortened},
};
use crate::{
    evaluate::{Evaluation, Forecast},
    output::Plot,
};

/// The most lines one picture has; of more classes the first ones are drawn.
const MAX_LINES: usize = 6;

/// One line of data with its name in the legend.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// The ROC curve of the positive class, or of each class against the rest. `None` where it is
/// undefined.
pub fn roc_plot(evaluation: &Evaluation) -> Option<Plot> {
    let lines: Vec<Line> = evaluation
        .roc()
        .iter()
        .map(|curve| Line {
            name: format!("{}: area {:.4}", shortened(&curve.class, 16), curve.auc),
            points: zip(&curve.false_positive_rates, &curve.true_positive_rates),
        })
        .collect();
    let guessing = [(0.0, 0.0), (1.0, 1.0)];
    draw("ROC curve", "false positive rate", "true positive rate", &lines, &guessing, Corner::Right)
}

/// The precision-recall curve of the positive class, or of each class against the rest. `None`
/// where it is undefined.
pub fn precision_recall_plot(evaluation: &Evaluation) -> Option<Plot> {
    let curves = evaluation.precision_recall();
    // Many long names would cover the curves.
    let area = if curves.len() == 1 { "average precision" } else { "AP" };
    let lines: Vec<Line> = curves
        .iter()
        .map(|curve| Line {
            name: format!("{}: {area} {:.4}", shortened(&curve.class, 16), curve.average_precision),
            points: zip(&curve.recalls, &curve.precisions),
        })
        .collect();
    // What guessing would give is one line only where there is one class to guess.
    let guessing: Vec<(f64, f64)> = match curves {
        [curve] => vec![(0.0, curve.prevalence), (1.0, curve.prevalence)],
        _ => Vec::new(),
    };
    draw("Precision-recall curve", "recall", "precision", &lines, &guessing, Corner::Left)
}

/// Forecast against observed frequency, with the share of the examples in each bin below.
pub fn calibration_plot(evaluation: &Evaluation) -> Plot {
    let curve = evaluation.calibration();
    let (x_name, y_name) = match curve.forecast {
        Forecast::PositiveProbability => {
            let positive = shortened(&evaluation.confusion().classes()[1], 16);
            (format!("mean probability of {positive}"), format!("share of {positive}"))
        }
        Forecast::Confidence => ("mean confidence".to_owned(), "accuracy".to_owned()),
    };
    let ece = evaluation.metric("ece").expect("evaluate always computes it");
    let title = format!("Calibration, expected error {ece:.4}");
    let points: Vec<(f64, f64)> =
        curve.bins.iter().map(|bin| (bin.mean_forecast, bin.observed_frequency)).collect();

    let mut svg = Svg::new(&title, WIDTH, HEIGHT);
    draw_axes(&mut svg, &x_name, &y_name);
    for bin in &curve.bins {
        let share = bin.n_examples as f64 / evaluation.n_examples() as f64;
        let (x, y) = at(bin.lower, share);
        let width = length(bin.upper - bin.lower);
        svg.rect(Role::Dim, 0.28, (x + 1.0, y), (width - 2.0, length(share)));
    }
    svg.reference(at(0.0, 0.0), at(1.0, 1.0));
    svg.polyline(Role::Series(0), points.iter().map(|(x, y)| at(*x, *y)));
    for (x, y) in &points {
        svg.dot(Role::Series(0), at(*x, *y), 3.5);
    }
    let (x, y) = at(0.03, 0.93);
    svg.text(x, y, Anchor::Start, Role::Dim, 11.0, "bars: share of examples");

    let mut sketch = Sketch::new();
    sketch.polyline(points.into_iter());
    Plot { svg: svg.finish(), text: sketch.to_text(&title, &x_name, &y_name), title }
}

/// The corner at the lower edge where the curve is not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Corner {
    Left,
    Right,
}

fn draw(
    title: &str,
    x_name: &str,
    y_name: &str,
    lines: &[Line],
    guessing: &[(f64, f64)],
    legend: Corner,
) -> Option<Plot> {
    if lines.is_empty() {
        return None;
    }
    let drawn = &lines[..lines.len().min(MAX_LINES)];
    let mut svg = Svg::new(title, WIDTH, HEIGHT);
    draw_axes(&mut svg, x_name, y_name);
    if let [from, to] = *guessing {
        svg.reference(at(from.0, from.1), at(to.0, to.1));
    }
    let mut sketch = Sketch::new();
    for (line_idx, line) in drawn.iter().enumerate() {
        svg.polyline(Role::Series(line_idx), line.points.iter().map(|(x, y)| at(*x, *y)));
        sketch.polyline(line.points.iter().copied());
    }

    let mut entries: Vec<(Role, String)> = drawn
        .iter()
        .enumerate()
        .map(|(line_idx, line)| (Role::Series(line_idx), line.name.clone()))
        .collect();
    if lines.len() > drawn.len() {
        entries.push((Role::Dim, format!("and {} more classes", lines.len() - drawn.len())));
    }
    for (entry_idx, (role, name)) in entries.iter().rev().enumerate() {
        let height = 0.035 + 0.055 * entry_idx as f64;
        let (x, y, anchor) = match legend {
            Corner::Left => (0.03, height, Anchor::Start),
            Corner::Right => (0.97, height, Anchor::End),
        };
        let (x, y) = at(x, y);
        svg.text(x, y, anchor, *role, 13.0, name);
    }
    let names: Vec<&str> = entries.iter().map(|(_, name)| name.as_str()).collect();
    let text = sketch.to_text(&format!("{title}, {}", names.join(", ")), x_name, y_name);
    Some(Plot { title: title.to_owned(), svg: svg.finish(), text })
}

fn zip(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::evaluate;

    fn evaluation(labels: &[u32], rows: &[f64], n_classes: usize) -> Evaluation {
        let classes: Vec<String> = (0..n_classes).map(|idx| format!("<class {idx}>")).collect();
        evaluate(labels, rows, &classes).unwrap()
    }

    #[test]
    fn a_curve_that_is_undefined_has_no_picture() {
        let one_class = evaluation(&[0, 0], &[0.9, 0.1, 0.2, 0.8], 2);
        assert_eq!((roc_plot(&one_class), precision_recall_plot(&one_class)), (None, None));
        assert!(calibration_plot(&one_class).svg.contains(">mean probability of &lt;class 1&gt;<"));
    }

    #[test]
    fn every_class_has_its_line_and_its_name() {
        let rows = [0.8, 0.1, 0.1, 0.2, 0.7, 0.1, 0.4, 0.3, 0.3];
        let plot = roc_plot(&evaluation(&[0, 1, 2], &rows, 3)).unwrap();
        assert_eq!(plot.svg.matches("<polyline").count(), 3);
        assert!(plot.svg.contains("&lt;class 2&gt;: area"), "{}", plot.svg);
        assert!(plot.text.contains("<class 2>: area"), "{}", plot.text);
    }

    #[test]
    fn of_many_classes_the_first_are_drawn_and_the_rest_counted() {
        let rows: Vec<f64> = (0..10)
            .flat_map(|row| (0..10).map(move |col| f64::from(u8::from(row == col))))
            .collect();
        let labels: Vec<u32> = (0..10).collect();
        let plot = precision_recall_plot(&evaluation(&labels, &rows, 10)).unwrap();
        assert_eq!(plot.svg.matches("<polyline").count(), MAX_LINES);
        assert!(plot.svg.contains("and 4 more classes"), "{}", plot.svg);
    }
}
