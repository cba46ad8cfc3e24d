//! The curves of an evaluation: ROC, precision-recall, calibration.

use crate::{
    evaluate::{CalibrationCurve, Forecast, PrecisionRecallCurve, RocCurve},
    plot::{Bin, Chart, MAX_SERIES, Series},
};

/// The ROC curve of the positive class, or of each class against the rest. `None` where it is
/// undefined.
pub fn roc_plot(curves: &[RocCurve]) -> Option<Chart> {
    let lines = weakest_first(curves, |curve| curve.auc).into_iter().map(|curve| {
        let name = format!("{}: area {:.4}", curve.class, curve.auc);
        Series::new(name, zip(&curve.false_positive_rates, &curve.true_positive_rates))
    });
    (!curves.is_empty()).then(|| {
        lines_of_classes(lines.collect())
            .of_shares()
            .title("ROC curve")
            .axes("false positive rate", "true positive rate")
            .with_reference((0.0, 0.0), (1.0, 1.0))
    })
}

/// The precision-recall curve of the positive class, or of each class against the rest. `None`
/// where it is undefined.
pub fn precision_recall_plot(curves: &[PrecisionRecallCurve]) -> Option<Chart> {
    // Many long names would fill the legend.
    let area = if curves.len() == 1 { "average precision" } else { "AP" };
    let weakest = weakest_first(curves, |curve| curve.average_precision);
    let lines = weakest.into_iter().map(|curve| {
        let name = format!("{}: {area} {:.4}", curve.class, curve.average_precision);
        Series::new(name, zip(&curve.recalls, &curve.precisions))
    });
    let chart = lines_of_classes(lines.collect())
        .of_shares()
        .title("Precision-recall curve")
        .axes("recall", "precision");
    match curves {
        [] => None,
        // What guessing would give is one line only where there is one class to guess.
        [only] => Some(chart.with_reference((0.0, only.prevalence), (1.0, only.prevalence))),
        _ => Some(chart),
    }
}

/// Forecast against observed frequency, with the share of the examples in each bin behind.
/// `positive` is the class that probabilities are of.
pub fn calibration_plot(curve: &CalibrationCurve, positive: &str, ece: f64) -> Chart {
    let (x_name, y_name) = match curve.forecast {
        Forecast::PositiveProbability => {
            (format!("mean probability of {positive}"), format!("share of {positive}"))
        }
        Forecast::Confidence => ("mean confidence".to_owned(), "accuracy".to_owned()),
    };
    let n_examples: usize = curve.bins.iter().map(|bin| bin.n_examples).sum();
    let share = |n_in_bin: usize| n_in_bin as f64 / n_examples.max(1) as f64;
    let backdrop = curve.bins.iter().map(|bin| Bin {
        lower: bin.lower,
        upper: bin.upper,
        height: share(bin.n_examples),
    });
    let points = curve.bins.iter().map(|bin| (bin.mean_forecast, bin.observed_frequency)).collect();
    Chart::lines(vec![Series::new("", points)])
        .of_shares()
        .title(format!("Calibration, expected error {ece:.4}"))
        .axes(x_name, y_name)
        .with_reference((0.0, 0.0), (1.0, 1.0))
        .with_backdrop("share of examples", backdrop.collect())
}

/// The curves in the order of their classes; where not all of them are drawn the weakest first, since
/// those are what somebody looks for.
fn weakest_first<T>(curves: &[T], area: impl Fn(&T) -> f64) -> Vec<&T> {
    let mut curves: Vec<&T> = curves.iter().collect();
    if curves.len() > MAX_SERIES {
        curves.sort_by(|a, b| area(a).total_cmp(&area(b)));
    }
    curves
}

fn lines_of_classes(lines: Vec<Series>) -> Chart {
    let n_classes = lines.len();
    let chart = Chart::lines(lines);
    match n_classes > MAX_SERIES {
        true => chart.note(format!("the weakest {MAX_SERIES} of {n_classes} classes")),
        false => chart,
    }
}

fn zip(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    x.iter().copied().zip(y.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use crate::evaluate::{Evaluation, evaluate};

    fn evaluation(labels: &[u32], rows: &[f64], n_classes: usize) -> Evaluation {
        let classes: Vec<String> = (0..n_classes).map(|idx| format!("<class {idx}>")).collect();
        evaluate(labels, rows, &classes).unwrap()
    }

    #[test]
    fn a_curve_that_is_undefined_has_no_picture() {
        let one_class = evaluation(&[0, 0], &[0.9, 0.1, 0.2, 0.8], 2);
        assert_eq!((one_class.roc_plot(), one_class.precision_recall_plot()), (None, None));
        let svg = one_class.calibration_plot().draw().svg;
        assert!(svg.contains(">mean probability of &lt;class 1&gt;<"), "{svg}");
        assert!(svg.contains("columns: share of examples"), "{svg}");
    }

    #[test]
    fn every_class_has_its_line_and_its_name() {
        let rows = [0.8, 0.1, 0.1, 0.2, 0.7, 0.1, 0.4, 0.3, 0.3];
        let plot = evaluation(&[0, 1, 2], &rows, 3).roc_plot().unwrap().draw();
        assert_eq!(plot.svg.matches("<polyline").count(), 3);
        assert!(plot.svg.contains("&lt;class 2&gt;: area"), "{}", plot.svg);
        assert!(plot.text(None).contains("<class 2>: area"), "{}", plot.text(None));
    }

    #[test]
    fn of_many_classes_the_weakest_are_drawn_and_the_rest_counted() {
        let rows: Vec<f64> = (0..10)
            .flat_map(|row| {
                // Class 7 is never found.
                let guess = if row == 7 { 3 } else { row };
                (0..10).map(move |col| f64::from(u8::from(guess == col)))
            })
            .collect();
        let labels: Vec<u32> = (0..10).collect();
        let plot = evaluation(&labels, &rows, 10).precision_recall_plot().unwrap().draw();
        assert_eq!(plot.svg.matches("<polyline").count(), 6);
        assert!(plot.svg.contains("the weakest 6 of 10 classes"), "{}", plot.svg);
        assert!(plot.svg.contains("&lt;class 7&gt;: AP 0.1000"), "{}", plot.svg);
        assert!(!plot.svg.contains("&lt;class 9&gt;"), "{}", plot.svg);
    }
}
