//! `train MODEL --learning-curve`: what more training data would bring, for people and programs.

use serde_json::json;
use trialbook::{
    evaluate::{LearningCurve, learning_curve_plot},
    figure::{count, counted, metric, short},
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
    registry::Run,
};

/// The answer to it.
pub(super) fn answer(run: &Run, curve: &LearningCurve) -> Output {
    let name = curve.metric.as_str();
    let mut table = Table::new([
        ("rows learnt", Align::Right),
        ("share", Align::Right),
        (name, Align::Right),
        ("std", Align::Right),
        ("repeats", Align::Left),
    ]);
    for point in &curve.points {
        let values: Vec<String> = point.values.iter().map(|value| metric(*value)).collect();
        table.push([
            count(point.n_rows as u64),
            format!("{:.1} %", point.share * 100.0),
            metric(point.mean),
            metric(point.std),
            values.join("  "),
        ]);
    }
    let json = json!({
        "run_id": run.run_id,
        "run_name": run.name,
        "learning_curve": curve,
        "told": curve.told(),
    });
    let n_shares = counted(curve.points.len() as u64, "share");
    Output::new(json)
        .text(format!(
            "run {} ({}): {n_shares} of the training rows\n",
            run.name,
            short(&run.run_id)
        ))
        .table(table)
        .plot(learning_curve_plot(curve).draw())
        .text(format!("\n{}", curve.told()))
        .hint(
            Hint::from("see it again with ")
                .run(CommandLine::new("plot learning-curve").arg(short(&run.run_id))),
        )
}
