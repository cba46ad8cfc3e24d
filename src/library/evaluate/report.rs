//! The report of each class and of all of them, as scikit-learn's users know it.

use serde_json::{Value, json};

use super::{Averages, Evaluation};
use crate::{
    figure,
    output::{Align, Table},
};

impl Evaluation {
    /// Precision, recall, F1 and number of examples (support) of each class, then the accuracy, and
    /// their plain and their weighted mean, as scikit-learn's `classification_report` has them. The
    /// micro average is the accuracy: every example has one label and one prediction.
    pub fn report(&self) -> Table {
        let heads = ["precision", "recall", "f1", "support"].map(|head| (head, Align::Right));
        let mut table = Table::new([("class", Align::Left)].into_iter().chain(heads));
        let mut push = |name: &str, rates: [String; 3], support: usize| {
            table.push([name.to_owned()].into_iter().chain(rates).chain([figure::count(support)]));
        };
        let rates = |averages: Averages| {
            [averages.precision, averages.recall, averages.f1].map(figure::metric)
        };
        let confusion = self.confusion();
        for (class_idx, class) in confusion.classes().iter().enumerate() {
            push(class, rates(confusion.of_class(class_idx)), confusion.support(class_idx));
        }
        let accuracy = figure::metric(confusion.accuracy());
        push("accuracy", [String::new(), String::new(), accuracy], self.n_examples());
        push("macro average", rates(confusion.macro_average()), self.n_examples());
        push("weighted average", rates(confusion.weighted_average()), self.n_examples());
        table
    }

    /// [`Evaluation::report`] for programs: `classes` in label order, `accuracy`, `micro_average` (which
    /// is the accuracy three times), `macro_average` and `weighted_average`.
    pub fn report_json(&self) -> Value {
        let confusion = self.confusion();
        let classes = confusion.classes().iter().enumerate().map(|(class_idx, class)| {
            let Averages { precision, recall, f1 } = confusion.of_class(class_idx);
            let support = confusion.support(class_idx);
            json!({
                "class": class, "precision": precision, "recall": recall, "f1": f1, "support": support,
            })
        });
        let accuracy = confusion.accuracy();
        json!({
            "classes": classes.collect::<Vec<_>>(),
            "accuracy": accuracy,
            "micro_average": Averages { precision: accuracy, recall: accuracy, f1: accuracy },
            "macro_average": confusion.macro_average(),
            "weighted_average": confusion.weighted_average(),
            "support": self.n_examples(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::evaluate;

    /// The rows are those of scikit-learn 1.7's `classification_report(labels, predicted, digits=4)`.
    #[test]
    fn the_report_has_every_class_and_both_averages() {
        let row = |class: usize| [0, 1, 2].map(|other| if other == class { 0.8 } else { 0.1 });
        let labels = [0, 0, 0, 1, 1, 2];
        let rows: Vec<f64> = [0, 0, 1, 1, 1, 2].into_iter().flat_map(row).collect();
        let report = evaluate(&labels, &rows, &["a", "b", "c"].map(str::to_owned)).unwrap();
        let expected = "\
class             precision  recall      f1  support
────────────────────────────────────────────────────
a                    1.0000  0.6667  0.8000        3
b                    0.6667  1.0000  0.8000        2
c                    1.0000  1.0000  1.0000        1
accuracy                             0.8333        6
macro average        0.8889  0.8889  0.8667        6
weighted average     0.8889  0.8333  0.8333        6";
        assert_eq!(report.report().to_text(Some(80)), expected);
        let json = report.report_json();
        assert_eq!(json["classes"][1]["support"], 2);
        assert_eq!(json["accuracy"], 5.0 / 6.0);
        assert_eq!(json["micro_average"]["f1"], json["accuracy"]);
        assert_eq!(json["weighted_average"]["recall"], json["accuracy"]);
    }
}
