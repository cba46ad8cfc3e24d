//! How right a version is on slices of a split: those of its features, those that are named, and the worst
//! ones that a search finds.

use serde_json::{Value, json};

use super::{
    Book,
    asked_split::{AskedSplit, check_usable, named_columns},
    errors_output::percent,
};
use crate::{
    error::{Error, ErrorKind, Result},
    evaluate::{
        Evaluation, FoundSlice, RowFeatures, Slice, SliceFeature, SliceMetrics, SliceVerdict,
        SlicedPredictions, answer_on, control_discoveries, evaluate_answers, find_slices,
    },
    figure,
    output::{Align, Output, Table},
    registry::ModelVersion,
};

/// Decides which half of the rows is searched for slices.
const SEED: u64 = 42;
/// Fewer rows than so many times the smallest slice leave no halves to search.
const MIN_SLICES_TO_SEARCH: usize = 4;

/// The slices to look at.
#[derive(Debug, Clone)]
pub struct SlicesRequest {
    /// The version, as for [`Book::version`].
    pub model: String,
    /// The dataset; none for the one that the version was trained on.
    pub dataset: Option<String>,
    /// The split. Default `test`.
    pub split: String,
    /// The features whose slices are measured and searched; every one that there is if none is named.
    pub by: Vec<SliceFeature>,
    /// Further slices that are measured.
    pub slices: Vec<Slice>,
    /// Rows that a slice of a feature, or one that is searched, has at least. Default 50.
    pub min_rows: usize,
}

/// A version on the slices of a split.
#[derive(Debug, Clone)]
pub struct SliceAnalysis {
    /// The version.
    pub model: ModelVersion,
    /// The dataset.
    pub dataset: String,
    /// The split of it.
    pub split: String,
    /// The quality on the whole split.
    pub evaluation: Evaluation,
    /// Rows that a slice has at least, unless it was named.
    pub min_rows: usize,
    /// The slices, those first that are worst beside the rest.
    pub slices: Vec<SliceMetrics>,
    /// Slices that a search found and that are worse on rows that had no part in it, too.
    pub found: Vec<FoundSlice>,
    /// Slices that the search proposed and that were not confirmed.
    pub n_unconfirmed: usize,
    /// Whatever else there is to know.
    pub notes: Vec<String>,
}

impl SlicesRequest {
    /// Every slice of `model` on the test split of the dataset that it was trained on.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            dataset: None,
            split: "test".to_owned(),
            by: Vec::new(),
            slices: Vec::new(),
            min_rows: 50,
        }
    }
}

impl Book {
    /// The accuracy of a version on the slices of a split, each beside the other rows. The p values of all
    /// slices that are looked at, those that a search proposed among them, are corrected together for
    /// their number.
    ///
    /// # Errors
    /// Unknown version, dataset, split or column, other classes than the model's, and a smallest slice of
    /// no rows. A named slice without a row is in the notes.
    ///
    /// ```no_run
    /// # use trialbook_library as trialbook;
    /// # fn main() -> trialbook::Result<()> {
    /// use trialbook::{Book, book::SlicesRequest};
    /// let request = SlicesRequest {
    ///     by: vec!["genre".parse()?],
    ///     slices: vec!["negation and length:q4".parse()?],
    ///     ..SlicesRequest::new("SentimentClassifier/1")
    /// };
    /// let worst = &Book::open_default()?.slices(&request)?.slices[0];
    /// println!("{} {:.3}", worst.slice, worst.accuracy);
    /// # Ok(())
    /// # }
    /// ```
    pub fn slices(&self, request: &SlicesRequest) -> Result<SliceAnalysis> {
        if request.min_rows == 0 {
            return Err(Error::invalid("the smallest slice has 0 rows: must be >= 1"));
        }
        let model = self.version(&request.model)?;
        let asked = self.asked_split(&model, request.dataset.as_deref(), &request.split)?;
        let AskedSplit { dataset, split } = &asked;
        let manifest = self.datasets().get(dataset)?;
        let named = named_columns(&manifest, &request.slices, &request.by)?;
        let columns: Vec<&str> = match request.by.is_empty() {
            true => manifest.columns.iter().map(|column| column.name.as_str()).collect(),
            false => named.clone(),
        };
        let classifier = self.load(&model)?;
        let (answers, known_shares) = answer_on(classifier.as_ref(), split)?;
        let evaluation = evaluate_answers(&split.labels, &answers, &split.classes)?;
        let (features, unusable) =
            self.row_features(dataset, split, known_shares.as_deref(), &columns)?;
        check_usable(&unusable, &named)?;
        let by = match request.by.is_empty() {
            true => SliceFeature::all(&features),
            false => request.by.clone(),
        };
        let mut notes: Vec<String> = Vec::new();
        notes.extend(asked.note(&model));
        notes.extend(unusable.iter().map(|column| {
            format!("{column} is left out: its values are neither numbers nor text")
        }));
        if !features.has_unknown() {
            let name = classifier.name();
            notes.push(format!("unknown words cannot be told: a {name} has no vocabulary"));
        }
        let predictions =
            SlicedPredictions::new(&split.labels, &answers.predicted, &split.classes)?;
        let mut analysis = SliceAnalysis {
            dataset: dataset.clone(),
            split: split.name.clone(),
            model,
            evaluation,
            min_rows: request.min_rows,
            slices: Vec::new(),
            found: Vec::new(),
            n_unconfirmed: 0,
            notes,
        };
        analysis.look_at(&predictions, &features, &by, &request.slices, &asked)?;
        Ok(analysis)
    }
}

impl SliceAnalysis {
    fn look_at(
        &mut self,
        predictions: &SlicedPredictions<'_>,
        features: &RowFeatures<'_>,
        by: &[SliceFeature],
        named: &[Slice],
        asked: &AskedSplit,
    ) -> Result<()> {
        let (mut slices, mut n_left_out) = predictions.measure_by(by, features, self.min_rows)?;
        let n_measured = slices.len();
        // Nearly all rows beside a few others are no slice to look at.
        slices.retain(|metrics| features.n_rows() - metrics.n_rows >= self.min_rows);
        n_left_out += n_measured - slices.len();
        for slice in named {
            if !features.rows(slice)?.contains(&true) {
                let reference = asked.reference();
                self.notes.push(format!("no row of {reference} is in the slice {slice}"));
                continue;
            }
            let measured =
                predictions.measure(slice, features).map_err(|error| match error.kind() {
                    ErrorKind::Invalid => error.with_context(asked.reference()),
                    _ => error,
                })?;
            slices.retain(|other| other.slice != *slice);
            slices.push(measured);
        }
        let n_needed = MIN_SLICES_TO_SEARCH.saturating_mul(self.min_rows);
        let mut proposed = match features.n_rows() >= n_needed {
            true => find_slices(predictions, by, features, self.min_rows, SEED)?,
            false => {
                self.notes.push(format!(
                    "{} are too few to search for slices of {}: {} are needed",
                    figure::counted(features.n_rows(), "row"),
                    figure::count(self.min_rows),
                    figure::count(n_needed)
                ));
                Vec::new()
            }
        };
        let looked_at = slices.iter_mut().chain(proposed.iter_mut().map(|one| &mut one.held_out));
        control_discoveries(looked_at)?;
        let n_proposed = proposed.len();
        proposed.retain(|one| one.held_out.verdict() == SliceVerdict::Worse);
        self.n_unconfirmed = n_proposed - proposed.len();
        let difference =
            |metrics: &SliceMetrics| metrics.beside_rest.map_or(0.0, |beside| beside.difference);
        slices.sort_by(|one, other| difference(one).total_cmp(&difference(other)));
        proposed.sort_by(|one, other| {
            difference(&one.held_out).total_cmp(&difference(&other.held_out))
        });
        let single: Vec<String> = slices
            .iter()
            .filter_map(|metrics| {
                Some(format!("{} ({})", metrics.slice, metrics.only_class.as_ref()?))
            })
            .collect();
        if !single.is_empty() {
            self.notes.push(format!("rows of one class have no F1: {}", single.join(", ")));
        }
        if n_left_out > 0 {
            self.notes.push(format!(
                "left out: {} of fewer than {}, or with fewer beside them",
                figure::counted(n_left_out, "slice"),
                figure::counted(self.min_rows, "row")
            ));
        }
        self.slices = slices;
        self.found = proposed;
        Ok(())
    }

    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { model, dataset, split, evaluation, .. } = self;
        let n_rows = evaluation.n_examples();
        let metric = |name: &str| evaluation.metric(name);
        let json = json!({
            "model": model.model,
            "version": model.version,
            "dataset": dataset,
            "split": split,
            "n_rows": n_rows,
            "accuracy": metric("accuracy"),
            "f1": metric("f1"),
            "min_rows": self.min_rows,
            "slices": self.slices.iter().map(|one| told(one, None)).collect::<Vec<_>>(),
            "found": self
                .found
                .iter()
                .map(|one| told(&one.held_out, Some(one.n_rows)))
                .collect::<Vec<_>>(),
            "n_unconfirmed": self.n_unconfirmed,
            "notes": self.notes,
        });
        let mut output = Output::new(json).text(format!(
            "{} on {dataset}.{split}: {}, accuracy {}, {} {}\n",
            model.reference(),
            figure::counted(n_rows, "row"),
            figure::metric_or_dash(metric("accuracy")),
            evaluation.title("f1"),
            figure::metric_or_dash(metric("f1"))
        ));
        if !self.slices.is_empty() {
            let rows = self.slices.iter().map(|one| (one, None));
            output = output.table(table("Slices", rows)).text("");
        }
        if !self.found.is_empty() {
            let rows = self.found.iter().map(|one| (&one.held_out, Some(one.n_rows)));
            let title =
                "Found by a search, and measured on the half of the rows that had no part in it";
            output = output.table(table(title, rows)).text("");
        }
        output.text(self.sentences().join("\n"))
    }

    fn sentences(&self) -> Vec<String> {
        let all = self.slices.iter().chain(self.found.iter().map(|one| &one.held_out));
        let n_worse = all.clone().filter(|one| one.verdict() == SliceVerdict::Worse).count();
        let n_tested = all.filter(|one| one.q_value.is_some()).count() + self.n_unconfirmed;
        let worse = match n_worse {
            0 => "none is worse than the rest by more than chance".to_owned(),
            1 => "1 is worse than the rest by more than chance".to_owned(),
            n => format!("{} are worse than the rest by more than chance", figure::count(n)),
        };
        let unconfirmed = match self.n_unconfirmed {
            0 => String::new(),
            n => format!(" ({} proposed by the search not confirmed)", figure::counted(n, "slice")),
        };
        let mut sentences = vec![format!(
            "{} looked at: {worse}, p corrected for their number (Benjamini and Hochberg, 0.05){unconfirmed}",
            figure::counted(n_tested, "slice")
        )];
        sentences.extend(self.notes.iter().cloned());
        sentences
    }
}

/// A slice for programs; `n_all_rows` is given for one that was measured on a half.
fn told(metrics: &SliceMetrics, n_all_rows: Option<usize>) -> Value {
    let mut value = json!(metrics);
    if let Value::Object(fields) = &mut value {
        let verdict = match metrics.verdict() {
            SliceVerdict::Worse => "worse",
            SliceVerdict::Better => "better",
            SliceVerdict::Even => "even",
        };
        fields.insert("verdict".to_owned(), json!(verdict));
        if let Some(n_all_rows) = n_all_rows {
            fields.insert("n_all_rows".to_owned(), json!(n_all_rows));
        }
    }
    value
}

fn table<'a>(
    title: &str,
    slices: impl Iterator<Item = (&'a SliceMetrics, Option<usize>)>,
) -> Table {
    let mut table = Table::new([
        ("slice", Align::Left),
        ("rows", Align::Right),
        ("errors", Align::Right),
        ("accuracy", Align::Right),
        ("95 % from", Align::Right),
        ("to", Align::Right),
        ("f1", Align::Right),
        ("beside rest", Align::Right),
        ("p", Align::Right),
        ("corrected", Align::Right),
        ("", Align::Left),
    ])
    .with_title(title)
    .with_dispensable(["f1", "p", "95 % from", "to", "errors"]);
    for (metrics, n_all_rows) in slices {
        let n_rows = figure::count(metrics.n_rows);
        let beside = metrics.beside_rest;
        table.push([
            metrics.slice.to_string(),
            match n_all_rows {
                Some(n_all_rows) => format!("{n_rows} of {}", figure::count(n_all_rows)),
                None => n_rows,
            },
            figure::count(metrics.n_errors),
            percent(metrics.accuracy),
            percent(metrics.accuracy_lower),
            percent(metrics.accuracy_upper),
            figure::metric_or_dash(metrics.f1),
            beside.map_or_else(|| "-".to_owned(), |beside| points(beside.difference)),
            figure::metric_or_dash(beside.map(|beside| beside.p_value)),
            figure::metric_or_dash(metrics.q_value),
            metrics.verdict().as_str().to_owned(),
        ]);
    }
    table
}

/// A difference of shares in points of a hundred, with its sign.
fn points(difference: f64) -> String {
    format!("{:+.1}", difference * 100.0)
}
