//! Two versions on the same rows: who is right where the other is wrong, in both directions, and how sure
//! the difference is.

use std::path::PathBuf;

use polars::prelude::{Column, DataFrame};
use serde::Serialize;
use serde_json::json;

use super::{
    Book,
    asked_split::AskedSplit,
    errors::{EXCERPT_CHARS, check_output},
    errors_output::percent,
};
use crate::{
    data::{RowsWriter, Split},
    error::{Error, ErrorKind, Result},
    evaluate::{PairedDifference, SplitAnswers, predict_on},
    figure,
    gate::{Evidence, MARGIN, Thresholds},
    model::excerpt,
    output::{Align, Output, Table},
    registry::ModelVersion,
};

/// The versions to compare.
#[derive(Debug, Clone)]
pub struct CompareRequest {
    /// The first version, as for [`Book::version`].
    pub first: String,
    /// The second one.
    pub second: String,
    /// The dataset; none for the one that the first version was trained on.
    pub dataset: Option<String>,
    /// The split. Default `test`.
    pub split: String,
    /// Rows of each direction that are listed, at most. Default 10.
    pub n_rows: usize,
    /// A file for all of them: CSV, TSV, JSON lines or Parquet, as its extension says.
    pub output: Option<PathBuf>,
    /// True if the file may take the place of another one.
    pub replace: bool,
}

/// Two versions on the rows of a split.
#[derive(Debug, Clone)]
pub struct ModelComparison {
    /// The first version.
    pub first: ModelVersion,
    /// The second one.
    pub second: ModelVersion,
    /// The dataset.
    pub dataset: String,
    /// The split of it.
    pub split: String,
    /// The accuracy of each on it.
    pub accuracies: [f64; 2],
    /// Rows that both predict right.
    pub n_both_right: usize,
    /// Rows that both predict wrong.
    pub n_both_wrong: usize,
    /// The first minus the second with intervals, McNemar's test, agreement and power.
    pub evidence: Evidence,
    /// Rows that only the first predicts right, those first of which the second is most sure.
    pub only_first: Vec<ComparedRow>,
    /// Rows that only the second predicts right, those first of which the first is most sure.
    pub only_second: Vec<ComparedRow>,
    /// Whatever else there is to know.
    pub notes: Vec<String>,
}

/// A row that exactly one of two versions predicts right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedRow {
    /// Its row in the split, from 0.
    pub row: usize,
    /// Its class.
    pub label: String,
    /// The class that the first version predicts.
    pub first: String,
    /// Its probability.
    pub first_confidence: f64,
    /// The class that the second version predicts.
    pub second: String,
    /// Its probability.
    pub second_confidence: f64,
    /// The beginning of the text, on one line.
    pub excerpt: String,
    /// The text.
    pub text: String,
}

/// The predicted class of each row, with its probability.
struct SureAnswers {
    predicted: Vec<u32>,
    confidences: Vec<f64>,
    /// None for more than two classes.
    threshold: Option<f64>,
}

impl CompareRequest {
    /// `first` beside `second` on the test split of the dataset that the first was trained on.
    pub fn new(first: impl Into<String>, second: impl Into<String>) -> Self {
        Self {
            first: first.into(),
            second: second.into(),
            dataset: None,
            split: "test".to_owned(),
            n_rows: 10,
            output: None,
            replace: false,
        }
    }
}

impl Book {
    /// The rows that exactly one of two versions predicts right, in both directions, with the paired
    /// difference, its interval and McNemar's test, as the gate has them.
    ///
    /// # Errors
    /// Unknown versions, dataset or split, one version named twice, other classes than those of a model,
    /// and an output that cannot be written.
    pub fn compare(&self, request: &CompareRequest) -> Result<ModelComparison> {
        if let Some(path) = &request.output {
            check_output(path, request.replace)?;
        }
        let (first, second) = (self.version(&request.first)?, self.version(&request.second)?);
        if (&first.model, first.version) == (&second.model, second.version) {
            return Err(Error::invalid(format!(
                "{} and {} are the same version, {}",
                request.first,
                request.second,
                first.reference()
            ))
            .with_hint("name two versions, such as NAME/1 NAME/2"));
        }
        let asked = self.asked_split(&first, request.dataset.as_deref(), &request.split)?;
        let AskedSplit { dataset, split } = &asked;
        let [own, other] = [self.sure_answers(&first, split)?, self.sure_answers(&second, split)?];
        let evidence = Evidence {
            thresholds: Thresholds::of(own.threshold, other.threshold),
            ..Evidence::of(
                &split.labels,
                &own.predicted,
                &other.predicted,
                split.classes.len(),
                MARGIN,
            )?
        };
        let (only_first, only_second) =
            (only_right(split, [&own, &other], 0), only_right(split, [&own, &other], 1));
        let n_both_right = n_right(split, &own) - only_first.len();
        let mut notes: Vec<String> = Vec::new();
        notes.extend(asked.note(&first));
        if !second.lineage.dataset.is_empty() && second.lineage.dataset != *dataset {
            notes.push(format!(
                "{} was trained on {}, and is asked about {} all the same",
                second.reference(),
                second.lineage.dataset,
                asked.reference()
            ));
        }
        if let Some(path) = &request.output {
            RowsWriter::write_frame(path, frame(&only_first, &only_second)?, request.replace)?;
            let n_written = only_first.len() + only_second.len();
            notes.push(format!("{} written to {path:?}", figure::counted(n_written, "row")));
        }
        let n_rows = split.labels.len();
        let accuracy = |answers: &SureAnswers| n_right(split, answers) as f64 / n_rows as f64;
        let n_one_right = only_first.len() + only_second.len();
        let listed = |mut rows: Vec<ComparedRow>| {
            rows.truncate(request.n_rows);
            rows
        };
        Ok(ModelComparison {
            dataset: dataset.clone(),
            split: split.name.clone(),
            accuracies: [accuracy(&own), accuracy(&other)],
            n_both_right,
            n_both_wrong: n_rows - n_both_right - n_one_right,
            evidence,
            only_first: listed(only_first),
            only_second: listed(only_second),
            first,
            second,
            notes,
        })
    }

    fn sure_answers(&self, version: &ModelVersion, split: &Split) -> Result<SureAnswers> {
        let classifier = self.load(version)?;
        let SplitAnswers { probabilities, predicted, .. } = predict_on(classifier.as_ref(), split)
            .map_err(|error| error.with_context(version.reference().to_string()))?;
        let rows = probabilities.chunks_exact(split.classes.len());
        let confidences = rows.zip(&predicted).map(|(row, class)| row[*class as usize]);
        let threshold = (split.classes.len() == 2).then(|| classifier.decision().threshold());
        Ok(SureAnswers { confidences: confidences.collect(), predicted, threshold })
    }
}

fn n_right(split: &Split, answers: &SureAnswers) -> usize {
    split.labels.iter().zip(&answers.predicted).filter(|(label, guess)| label == guess).count()
}

/// The rows that of `answers` only those of `side` have right, the ones first that the other side is
/// most sure of.
fn only_right(split: &Split, answers: [&SureAnswers; 2], side: usize) -> Vec<ComparedRow> {
    let is_right = |side: usize, row: usize| answers[side].predicted[row] == split.labels[row];
    let mut rows: Vec<usize> = (0..split.labels.len())
        .filter(|row| is_right(side, *row) && !is_right(1 - side, *row))
        .collect();
    let sure = &answers[1 - side].confidences;
    rows.sort_by(|one, other| sure[*other].total_cmp(&sure[*one]));
    let class = |class: u32| split.classes[class as usize].clone();
    rows.into_iter()
        .map(|row| ComparedRow {
            row,
            label: class(split.labels[row]),
            first: class(answers[0].predicted[row]),
            first_confidence: answers[0].confidences[row],
            second: class(answers[1].predicted[row]),
            second_confidence: answers[1].confidences[row],
            excerpt: excerpt(&split.texts[row], &[], EXCERPT_CHARS),
            text: split.texts[row].clone(),
        })
        .collect()
}

/// All rows that exactly one version predicts right, as a file has them.
fn frame(only_first: &[ComparedRow], only_second: &[ComparedRow]) -> Result<DataFrame> {
    let rows = || only_first.iter().chain(only_second);
    let texts = |name: &str, value: fn(&ComparedRow) -> &str| {
        Column::new(name.into(), rows().map(value).collect::<Vec<&str>>())
    };
    let numbers = |name: &str, value: fn(&ComparedRow) -> f64| {
        Column::new(name.into(), rows().map(value).collect::<Vec<_>>())
    };
    let right: Vec<&str> =
        only_first.iter().map(|_| "first").chain(only_second.iter().map(|_| "second")).collect();
    let columns = vec![
        Column::new("row".into(), rows().map(|row| row.row as u64).collect::<Vec<_>>()),
        texts("text", |row| &row.text),
        texts("label", |row| &row.label),
        Column::new("right".into(), right),
        texts("first", |row| &row.first),
        numbers("first_confidence", |row| row.first_confidence),
        texts("second", |row| &row.second),
        numbers("second_confidence", |row| row.second_confidence),
    ];
    DataFrame::new(only_first.len() + only_second.len(), columns).map_err(|source| {
        Error::new(ErrorKind::Internal, "compared rows make no frame").with_source(source)
    })
}

impl ModelComparison {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { first, second, dataset, split, evidence, .. } = self;
        let names = [first, second].map(|version| version.reference().to_string());
        let json = json!({
            "first": {"model": first.model, "version": first.version, "accuracy": self.accuracies[0]},
            "second": {"model": second.model, "version": second.version, "accuracy": self.accuracies[1]},
            "dataset": dataset,
            "split": split,
            "n_rows": evidence.n_examples,
            "n_both_right": self.n_both_right,
            "n_only_first": evidence.mcnemar.n_only_first,
            "n_only_second": evidence.mcnemar.n_only_second,
            "n_both_wrong": self.n_both_wrong,
            "evidence": evidence,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "notes": self.notes,
        });
        let mut output = Output::new(json)
            .text(format!(
                "{} beside {} on {dataset}.{split}, {}\n",
                names[0],
                names[1],
                figure::counted(evidence.n_examples, "row")
            ))
            .table(self.counts(&names))
            .text(format!("\n{}", self.sentences(&names).join("\n")));
        for (name, rows) in [(&names[0], &self.only_first), (&names[1], &self.only_second)] {
            if !rows.is_empty() {
                output = output.text("").table(rows_table(
                    &format!("Only {name} is right"),
                    &names,
                    rows,
                ));
            }
        }
        match self.notes.is_empty() {
            true => output,
            false => output.text(format!("\n{}", self.notes.join("\n"))),
        }
    }

    /// The numbers of rows on which each version is right.
    fn counts(&self, names: &[String; 2]) -> Table {
        let heads = [format!("{} right", names[1]), format!("{} wrong", names[1])];
        let mut table = Table::new([
            ("", Align::Left),
            (heads[0].as_str(), Align::Right),
            (heads[1].as_str(), Align::Right),
            ("accuracy", Align::Right),
        ]);
        let test = self.evidence.mcnemar;
        for (head, counts, accuracy) in [
            ("right", [self.n_both_right, test.n_only_first], Some(self.accuracies[0])),
            ("wrong", [test.n_only_second, self.n_both_wrong], None),
        ] {
            table.push([
                format!("{} {head}", names[0]),
                figure::count(counts[0]),
                figure::count(counts[1]),
                accuracy.map(percent).unwrap_or_default(),
            ]);
        }
        table.push([
            "accuracy".to_owned(),
            percent(self.accuracies[1]),
            String::new(),
            String::new(),
        ]);
        table
    }

    fn sentences(&self, names: &[String; 2]) -> Vec<String> {
        let Evidence { bootstrap, mcnemar, agreement, power, thresholds, .. } = &self.evidence;
        let told = |name: &str, found: &PairedDifference| {
            let PairedDifference { difference, lower, upper } = found;
            format!("{name} {difference:+.4}, 95 % interval {lower:+.4} to {upper:+.4}")
        };
        let meaning = match (mcnemar.is_significant(), mcnemar.n_only_first > mcnemar.n_only_second)
        {
            (false, _) => "chance alone may explain the difference".to_owned(),
            (true, is_first) => {
                format!("more than chance, for {}", names[usize::from(!is_first)])
            }
        };
        let mut sentences = vec![
            format!(
                "{} minus {}: {}; {}",
                names[0],
                names[1],
                told("accuracy", &bootstrap.accuracy),
                told("f1", &bootstrap.f1)
            ),
            format!("McNemar's exact p = {}: {meaning}", figure::metric(mcnemar.p_value)),
            format!("the two agree on {}; {}", percent(*agreement), power.told()),
        ];
        sentences.extend(thresholds.map(|thresholds| thresholds.told_of(&names[0], &names[1])));
        sentences
    }
}

fn rows_table(title: &str, names: &[String; 2], rows: &[ComparedRow]) -> Table {
    let mut table = Table::new([
        ("row", Align::Right),
        ("label", Align::Left),
        (names[0].as_str(), Align::Left),
        (names[1].as_str(), Align::Left),
        ("text", Align::Left),
    ])
    .with_title(title);
    for row in rows {
        table.push([
            row.row.to_string(),
            row.label.clone(),
            format!("{} {}", row.first, percent(row.first_confidence)),
            format!("{} {}", row.second, percent(row.second_confidence)),
            row.excerpt.clone(),
        ]);
    }
    table
}
