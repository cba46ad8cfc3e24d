//! A measured performance as people and programs read it.

use super::{
    Arm, MeasuredMetric, PerformanceReport, VersionPerformance, WindowPerformance,
    measured::MIN_INTERVAL_LABELS,
};
use crate::{
    evaluate::EstimatedMetric,
    figure,
    hint::Hint,
    output::{Align, Output, Table},
    plot::{Chart, Series},
};

impl PerformanceReport {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let mut output = Output::new(self);
        if self.versions.is_empty() {
            output =
                output.hint(Hint::from("no prediction fits; ").run("serve").say(" logs each one"));
        }
        for (idx, version) in self.versions.iter().enumerate() {
            let gap = if idx > 0 { "\n" } else { "" };
            output = output.text(format!("{gap}{}\n", version.heading())).table(version.table());
            if version.windows.len() > 1 {
                output = output.text("").table(version.windows_table());
                if let Some(chart) = version.chart() {
                    output = output.text("").plot(chart.draw()).text("");
                }
            }
            for line in version.overall.remarks() {
                output = output.text(line);
            }
        }
        let notes = self.notes();
        if notes.is_empty() {
            return output;
        }
        output.text("").text(notes.join("\n"))
    }

    /// The same of one version of a model alone.
    #[must_use]
    pub fn only(mut self, version: u32) -> Self {
        self.versions.retain(|line| line.version == version);
        let ending = format!("/{version}");
        self.left_out.retain(|reference, _| reference.ends_with(&ending));
        self
    }

    /// What else there is to know.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |n: usize, text: &str| {
            if n > 0 {
                notes.push(format!("note: {} {text}", figure::counted(n, "label")));
            }
        };
        note(
            self.n_unmatched,
            "without a prediction in the log: kept, and counted once it is found",
        );
        note(self.n_no_class, "that are no class of the version that predicted: not counted");
        note(self.n_disputed, "on which sources disagree: the latest counts");
        for (version, reason) in &self.left_out {
            notes.push(format!("note: {version} is left out: {reason}"));
        }
        if self.n_without_window > 0 {
            notes.push(format!(
                "note: {} of the oldest windows are in the whole alone: there are too many windows; name longer \
                 ones with --window",
                figure::counted(self.n_without_window, "prediction")
            ));
        }
        if self.n_unreadable > 0 {
            notes.push(format!(
                "note: {} unreadable in the logs",
                figure::counted(self.n_unreadable, "line")
            ));
        }
        notes
    }
}

impl VersionPerformance {
    /// Model, version and the part that it had.
    pub fn heading(&self) -> String {
        let part = match self.arm {
            Arm::Production => "",
            Arm::Candidate => " as candidate",
            Arm::Shadow => " as shadow",
        };
        format!("{}/{}{part}", self.model, self.version)
    }

    /// The metrics of all predictions: measured, expected of all, and how far both are apart on the labelled
    /// ones.
    pub fn table(&self) -> Table {
        let all = &self.overall;
        let mut table = Table::new([
            ("metric", Align::Left),
            ("measured", Align::Right),
            ("95 % interval", Align::Left),
            ("estimated without labels", Align::Right),
            ("its interval", Align::Left),
        ]);
        let of = |name: &str| match self.classes.as_slice() {
            [_, positive] => format!("{name} of {positive}"),
            _ => format!("{name} (macro average)"),
        };
        let measured = all.measured.as_ref();
        let estimated = all.estimated.as_ref();
        for (name, measured, estimated) in [
            (of("f1"), measured.map(|m| m.f1), estimated.map(|e| e.f1)),
            ("accuracy".to_owned(), measured.map(|m| m.accuracy), estimated.map(|e| e.accuracy)),
            (of("precision"), measured.map(|m| m.precision), estimated.map(|e| e.precision)),
            (of("recall"), measured.map(|m| m.recall), estimated.map(|e| e.recall)),
            ("ece".to_owned(), measured.and_then(|m| m.ece), None),
            ("brier".to_owned(), measured.and_then(|m| m.brier), None),
        ] {
            let [value, interval] = measured_cells(measured);
            let [estimate, room] = estimated_cells(estimated);
            table.push([name, value, interval, estimate, room]);
        }
        table
    }

    /// F1 of each window.
    pub fn windows_table(&self) -> Table {
        let mut table = Table::new([
            ("from (UTC)", Align::Left),
            ("predictions", Align::Right),
            ("labelled", Align::Right),
            ("f1", Align::Right),
            ("95 % interval", Align::Left),
            ("estimated", Align::Right),
            ("its interval", Align::Left),
            ("apart", Align::Right),
            ("held", Align::Left),
        ])
        .with_dispensable(["its interval", "held"]);
        for window in &self.windows {
            let [value, interval] = measured_cells(window.measured.as_ref().map(|m| m.f1));
            let [estimate, room] = estimated_cells(window.estimated.as_ref().map(|e| e.f1));
            let beside = window.beside.as_ref();
            table.push([
                figure::time(window.from_ms),
                figure::count(window.n_predictions),
                figure::count(window.n_labelled),
                value,
                interval,
                estimate,
                room,
                beside.map_or_else(empty, |beside| format!("{:+.3}", beside.f1_apart)),
                beside.map_or_else(empty, |beside| {
                    if beside.f1_held { "yes" } else { "no" }.to_owned()
                }),
            ]);
        }
        table
    }

    /// F1 over the windows: measured, and estimated without labels; none without either.
    pub fn chart(&self) -> Option<Chart> {
        let points = |value: &dyn Fn(&WindowPerformance) -> Option<f64>| -> Vec<(f64, f64)> {
            let point = |(idx, window): (usize, &WindowPerformance)| {
                Some(((idx + 1) as f64, value(window)?))
            };
            self.windows.iter().enumerate().filter_map(point).collect()
        };
        let mut series = Vec::new();
        for (name, found) in [
            ("measured", points(&|window| window.measured.as_ref().map(|m| m.f1.value))),
            (
                "estimated without labels",
                points(&|window| window.estimated.as_ref().map(|e| e.f1.estimate)),
            ),
        ] {
            if !found.is_empty() {
                series.push(Series::new(name, found));
            }
        }
        (!series.is_empty()).then(|| {
            Chart::lines(series)
                .with_whole_x()
                .title(format!("F1 of {}, from the first window to the last", self.heading()))
                .axes("window", "f1")
        })
    }
}

impl WindowPerformance {
    /// What has to be said of these numbers, in sentences.
    pub fn remarks(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} of {} labelled",
            figure::count(self.n_labelled),
            figure::counted(self.n_predictions, "prediction")
        )];
        if let Some(beside) = &self.beside {
            let held = match beside.f1_held {
                true => "its interval held it",
                false => {
                    "its interval did not hold it: the probabilities are not calibrated on these texts, or the \
                          labelled ones are no random sample"
                }
            };
            lines.push(format!(
                "on the labelled ones F1 is {:+.4} from the {} that was expected without labels ({} to {}): {held}",
                beside.f1_apart,
                figure::metric(beside.f1.estimate),
                figure::metric(beside.f1.lower),
                figure::metric(beside.f1.upper)
            ));
        }
        if self.n_labelled > 0 && self.n_labelled < MIN_INTERVAL_LABELS {
            lines.push(format!(
                "fewer than {MIN_INTERVAL_LABELS} labels say little: nothing but the accuracy has an interval"
            ));
        }
        let n_chosen = self.n_labelled - self.n_random.min(self.n_labelled);
        if n_chosen > 0 {
            lines.push(format!(
                "{} not picked by `monitor sample --by random`: they are no random sample of what was predicted, and \
                 what is measured on them need not hold for the rest",
                match n_chosen == self.n_labelled {
                    true => "the labelled ones were".to_owned(),
                    false => format!("{} of them were", figure::count(n_chosen)),
                }
            ));
        }
        lines
    }
}

fn measured_cells(metric: Option<MeasuredMetric>) -> [String; 2] {
    cells(metric.map(|MeasuredMetric { value, lower, upper }| (value, lower.zip(upper))))
}

fn estimated_cells(metric: Option<EstimatedMetric>) -> [String; 2] {
    cells(metric.map(|EstimatedMetric { estimate, lower, upper }| (estimate, Some((lower, upper)))))
}

fn cells(metric: Option<(f64, Option<(f64, f64)>)>) -> [String; 2] {
    let interval = metric
        .and_then(|(_, interval)| interval)
        .map(|(lower, upper)| format!("{} to {}", figure::metric(lower), figure::metric(upper)));
    [figure::metric_or_dash(metric.map(|(value, _)| value)), interval.unwrap_or_else(empty)]
}

/// A cell for what is not known, as [`figure::metric_or_dash`] spells it.
fn empty() -> String {
    figure::metric_or_dash(None)
}
