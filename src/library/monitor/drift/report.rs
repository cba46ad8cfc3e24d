//! A comparison as people and programs read it: the verdict, every signal, the words that tell, and pictures.

use serde::Serialize;

use super::signal::{DriftSignal, SignalName, WordShift};
use crate::{
    evaluate::SignalLevel,
    figure,
    monitor::profile::ReferenceProfile,
    output::{Align, Output, Table},
    plot::Chart,
};

/// An alert, and whether it is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AlertNote {
    /// The time of the first report of it, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// True for an alert that nobody was told in the last 24 hours.
    pub is_new: bool,
}

/// How far the predictions of a window are from a reference profile.
#[derive(Debug, Clone, Serialize)]
pub struct DriftReport {
    /// The worst level of a signal.
    pub verdict: SignalLevel,
    /// Every signal that both sides have.
    pub signals: Vec<DriftSignal>,
    /// The version, as `NAME/3`.
    pub model: String,
    /// Where the window comes from: `log`, or the name of a file or a split.
    pub source: String,
    /// The number of predictions in the window.
    pub n: u64,
    /// The number that it takes to say something.
    pub min_n: u64,
    /// False where there were too few to say anything: the verdict is ok then, for want of a reason.
    pub is_enough: bool,
    /// The first prediction's time, in milliseconds since the Unix epoch; none of a file.
    pub from_ms: Option<i64>,
    /// The last one's.
    pub to_ms: Option<i64>,
    /// The rows that the profile is of, such as `imdb.test`.
    pub reference: String,
    /// The number of them that were counted.
    pub n_reference: u64,
    /// Predictions of the same model by other versions, which are not in the window.
    pub n_other_versions: u64,
    /// Lines of the log that are damaged.
    pub n_unreadable: u64,
    /// The time when it was compared, in milliseconds since the Unix epoch; 0 of a comparison that nobody asked
    /// a book for.
    pub computed_ms: i64,
    /// Since when the alert lasts and whether it is news; none without an alert.
    pub alert: Option<AlertNote>,
    /// What people should know of it.
    pub notes: Vec<String>,
    /// The pictures.
    #[serde(skip)]
    pub charts: Vec<Chart>,
}

impl DriftReport {
    /// Nothing compared with `profile` yet.
    pub(crate) fn of(profile: &ReferenceProfile) -> Self {
        Self {
            verdict: SignalLevel::Ok,
            signals: Vec::new(),
            model: String::new(),
            source: "log".to_owned(),
            n: 0,
            min_n: 0,
            is_enough: false,
            from_ms: None,
            to_ms: None,
            reference: profile.rows.clone(),
            n_reference: profile.n as u64,
            n_other_versions: 0,
            n_unreadable: 0,
            computed_ms: 0,
            alert: None,
            notes: Vec::new(),
            charts: Vec::new(),
        }
    }

    /// As commands, notebooks and pages show it. An alert is marked as a gate's no.
    pub fn to_output(&self) -> Output {
        let mut output = Output::new(self).text(self.headline());
        if !self.signals.is_empty() {
            output = output.text("").table(self.table());
        }
        // Words of what has not changed are chance.
        for signal in self.signals.iter().filter(|signal| signal.level != SignalLevel::Ok) {
            let sides = [("came", &signal.came), ("went", &signal.went)];
            for (what, words) in sides.into_iter().filter(|(_, words)| !words.is_empty()) {
                output = output.text("").table(words_table(signal.name, what, words));
            }
        }
        if !self.notes.is_empty() {
            let notes: Vec<String> =
                self.notes.iter().map(|note| format!("note: {note}")).collect();
            output = output.text(format!("\n{}", notes.join("\n")));
        }
        for chart in &self.charts {
            output = output.text("").plot(chart.draw());
        }
        if self.verdict == SignalLevel::Alert { output.blocked() } else { output }
    }

    /// What there is too little of to be judged, for [`DriftReport::notes`].
    pub(crate) fn too_few(&self) -> Option<String> {
        if !self.is_enough {
            return Some(format!(
                "nothing was judged: the verdict is {} for want of a reason",
                self.verdict
            ));
        }
        let few = self.signals.iter().filter(|signal| !signal.is_enough);
        let few: Vec<String> = few
            .map(|signal| {
                format!("{} ({})", signal.name, signal.reason.as_deref().unwrap_or_default())
            })
            .collect();
        (!few.is_empty()).then(|| format!("not judged, for too few texts: {}", few.join("; ")))
    }

    fn headline(&self) -> String {
        let Self { verdict, model, reference, .. } = self;
        let n = figure::counted(self.n, "prediction");
        let of = match (self.source.as_str(), self.from_ms, self.to_ms) {
            ("log", Some(from_ms), Some(to_ms)) => {
                format!("{n} from {} to {} (UTC)", figure::time(from_ms), figure::time(to_ms))
            }
            ("log", ..) => format!("{n} in the log"),
            (source, ..) => format!("{n} of {source}"),
        };
        let n_reference = figure::counted(self.n_reference, "row");
        let said = match self.is_enough {
            true => format!("{verdict}: {model}, {of}, compared with {n_reference} of {reference}"),
            false => format!(
                "too few to tell: {model}, {of}, compared with {n_reference} of {reference}: it takes {} of both",
                figure::count(self.min_n)
            ),
        };
        match self.alert {
            Some(alert) if !alert.is_new => {
                format!("{said}\nan alert since {} (UTC)", figure::time(alert.since_ms))
            }
            _ => said,
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            ("signal", Align::Left),
            ("level", Align::Left),
            ("method", Align::Left),
            ("effect", Align::Right),
            ("warn", Align::Right),
            ("alert", Align::Right),
            ("p", Align::Right),
            ("n", Align::Right),
        ])
        .with_dispensable(["alert", "warn", "n"]);
        for signal in &self.signals {
            let p_value = match signal.corrected_p_value.or(signal.p_value) {
                Some(p_value) if p_value < 0.0001 => "<0.0001".to_owned(),
                Some(p_value) => format!("{p_value:.4}"),
                None => "-".to_owned(),
            };
            let level = match signal.is_enough {
                true => signal.level.to_string(),
                false => "too few".to_owned(),
            };
            table.push([
                signal.name.to_string(),
                level,
                signal.method.replace('_', "-"),
                figure::metric(signal.effect),
                signal.thresholds.warn.to_string(),
                signal.thresholds.alert.to_string(),
                p_value,
                figure::count(signal.n_current),
            ]);
        }
        table
    }
}

fn words_table(signal: SignalName, what: &str, words: &[WordShift]) -> Table {
    let mut table =
        Table::new([("word", Align::Left), ("reference", Align::Right), ("now", Align::Right)])
            .with_title(match signal {
                SignalName::Domain if what == "came" => "words that give new texts away".to_owned(),
                SignalName::Domain => "words that give reference texts away".to_owned(),
                SignalName::OneWord => "the word whose share of texts has moved most".to_owned(),
                _ => format!("words that {what}, by their share of texts"),
            });
    for WordShift { word, reference_share, current_share } in words {
        let percent = |share: &f64| format!("{:.1} %", share * 100.0);
        table.push([word.clone(), percent(reference_share), percent(current_share)]);
    }
    table
}
