//! How a version's errors are shown: for people as tables, for programs as JSON.

use serde_json::json;

use super::errors::{ConfusedClasses, ErrorAnalysis, PredictionError, told};
use crate::{
    figure,
    output::{Align, Output, Table},
};

impl ErrorAnalysis {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { model, dataset, split, evaluation, errors, confusions, .. } = self;
        let json = json!({
            "model": model.model,
            "version": model.version,
            "dataset": dataset,
            "split": split,
            "class": self.class,
            "slice": self.slice,
            "n_rows": self.n_rows,
            "n_errors": self.n_errors,
            "threshold": evaluation.threshold(),
            "errors": errors,
            "confusions": confusions,
            "report": evaluation.report_json(),
            "notes": self.notes,
        });
        let mut output = Output::new(json).text(self.headline());
        if !errors.is_empty() {
            output = output.table(errors_table(errors)).text("");
        }
        if !confusions.is_empty() {
            output = output.table(confusions_table(confusions)).text("");
        }
        output = output.table(evaluation.report());
        match self.notes.is_empty() {
            true => output,
            false => output.text(format!("\n{}", self.notes.join("\n"))),
        }
    }

    fn headline(&self) -> String {
        let Self { model, dataset, split, n_rows, n_errors, .. } = self;
        let of_class =
            self.class.as_ref().map(|class| format!(" labelled {class}")).unwrap_or_default();
        let in_slice =
            self.slice.as_ref().map(|slice| format!(" in the slice {slice}")).unwrap_or_default();
        let of_class = in_slice + &of_class;
        let rows = format!("{}{of_class}", figure::counted(*n_rows as u64, "row"));
        let what = match (*n_rows, *n_errors) {
            (0, _) => format!("there are no rows{of_class}"),
            (_, 0) => format!("{rows}, and none is predicted wrong"),
            _ => format!(
                "{} of {rows} predicted wrong ({:.1} %)",
                figure::count(*n_errors as u64),
                100.0 * *n_errors as f64 / *n_rows as f64
            ),
        };
        let own = self.evaluation.own_threshold();
        let own = own.map(|said| format!(", {said}")).unwrap_or_default();
        format!("{} on {dataset}.{split}{own}: {what}\n", model.reference())
    }
}

fn errors_table(errors: &[PredictionError]) -> Table {
    let has_terms = errors.iter().any(|error| error.terms.is_some());
    let mut heads = vec![
        ("row", Align::Right),
        ("label", Align::Left),
        ("predicted", Align::Left),
        ("confidence", Align::Right),
        ("text", Align::Left),
    ];
    if has_terms {
        heads.insert(4, ("words that decided", Align::Left));
    }
    let mut table = Table::new(heads);
    for error in errors {
        let mut row = vec![
            error.row.to_string(),
            error.label.clone(),
            error.predicted.clone(),
            percent(error.confidence),
            error.excerpt.clone(),
        ];
        if has_terms {
            row.insert(4, told(error));
        }
        table.push(row);
    }
    table
}

fn confusions_table(confusions: &[ConfusedClasses]) -> Table {
    let mut table = Table::new([
        ("label", Align::Left),
        ("predicted as", Align::Left),
        ("rows", Align::Right),
        ("of the label", Align::Right),
        ("for example", Align::Left),
    ])
    .with_title("Largest confusions");
    for confusion in confusions {
        table.push([
            confusion.label.clone(),
            confusion.predicted.clone(),
            figure::count(confusion.n_rows as u64),
            percent(confusion.share),
            confusion.examples.first().map(|error| error.excerpt.clone()).unwrap_or_default(),
        ]);
    }
    table
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
