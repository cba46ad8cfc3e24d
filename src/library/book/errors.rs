//! The rows of a split that a version predicts wrong, with the words that decided: shown, and written
//! to a file.

use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame};
use serde::Serialize;
use serde_json::json;

use super::Book;
use crate::{
    data::{RowsFormat, RowsWriter, Split, exists},
    error::{Error, ErrorKind, Result},
    evaluate::{
        Confusion, Evaluation, Mistake, confusions, evaluate_answers, mistakes, predict_on,
    },
    figure,
    model::{Classifier, Contribution, excerpt},
    output::{Align, Output, Table},
    registry::ModelVersion,
};

/// Characters of a text that a table shows.
const EXCERPT_CHARS: usize = 120;
/// Words that a row names, at most.
const MAX_TERMS: usize = 4;
/// Confusions that are listed, at most, and examples of each.
const MAX_CONFUSIONS: usize = 10;
const MAX_EXAMPLES: usize = 3;

/// The errors to look at.
#[derive(Debug, Clone)]
pub struct ErrorsRequest {
    /// The version, as for [`Book::version`].
    pub model: String,
    /// The dataset; none for the one that the version was trained on.
    pub dataset: Option<String>,
    /// The split. Default `test`.
    pub split: String,
    /// Only rows of this class, as they are labelled; none for all.
    pub class: Option<String>,
    /// Errors that are listed, at most. Default 20.
    pub n_errors: usize,
    /// A file for all of them: CSV, TSV, JSON lines or Parquet, as its extension says.
    pub output: Option<PathBuf>,
    /// True if the file may take the place of another one.
    pub replace: bool,
}

/// A version's errors on a split.
#[derive(Debug, Clone)]
pub struct ErrorAnalysis {
    /// The version.
    pub model: ModelVersion,
    /// The dataset.
    pub dataset: String,
    /// The split of it.
    pub split: String,
    /// The class that the rows are of, if not all.
    pub class: Option<String>,
    /// The quality on the whole split.
    pub evaluation: Evaluation,
    /// Rows that were asked about: those of the class, or all.
    pub n_rows: usize,
    /// Those that are predicted wrong.
    pub n_errors: usize,
    /// The most confident of them first, as many as were asked for.
    pub errors: Vec<PredictionError>,
    /// The classes that are taken for others, the most frequent first.
    pub confusions: Vec<ConfusedClasses>,
    /// Whatever else there is to know.
    pub notes: Vec<String>,
}

/// A row that is predicted wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictionError {
    /// Its row in the split, from 0.
    pub row: usize,
    /// Its class.
    pub label: String,
    /// The predicted one.
    pub predicted: String,
    /// The probability of the predicted class.
    pub confidence: f64,
    /// The terms that speak most for the predicted class; none for a model that cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Vec<Contribution>>,
    /// The part of the text that weighs most, on one line.
    pub excerpt: String,
    /// The text.
    pub text: String,
}

/// A class that is taken for another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfusedClasses {
    /// The class.
    pub label: String,
    /// The predicted one.
    pub predicted: String,
    /// Rows of the first that are predicted as the second.
    pub n_rows: usize,
    /// Their share of the first class's rows.
    pub share: f64,
    /// The most confident of them.
    pub examples: Vec<PredictionError>,
}

impl ErrorsRequest {
    /// All errors of `model` on the test split of the dataset that it was trained on.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            dataset: None,
            split: "test".to_owned(),
            class: None,
            n_errors: 20,
            output: None,
            replace: false,
        }
    }
}

impl Book {
    /// The rows that a version predicts wrong, the most confident first.
    ///
    /// # Errors
    /// Unknown version, dataset, split or class, other classes than the model's, and an output that
    /// cannot be written.
    pub fn errors(&self, request: &ErrorsRequest) -> Result<ErrorAnalysis> {
        if let Some(path) = &request.output {
            check_output(path, request.replace)?;
        }
        let model = self.version(&request.model)?;
        let dataset = match &request.dataset {
            Some(dataset) => dataset.clone(),
            None => trained_on(&model)?.to_owned(),
        };
        let split = self.datasets().split(&dataset, &request.split)?;
        let class_idx = request.class.as_deref().map(|class| class_idx(&split, &dataset, class));
        let class_idx = class_idx.transpose()?;
        let classifier = self.load(&model)?;
        let answers = predict_on(classifier.as_ref(), &split)?;
        let evaluation = evaluate_answers(&split.labels, &answers, &split.classes)?;
        let is_asked = |label: usize| class_idx.is_none_or(|class_idx| class_idx == label);
        let mut wrong = mistakes(&split.labels, &answers, split.classes.len());
        wrong.retain(|mistake| is_asked(mistake.label));
        let explainer = Explainer { classifier: classifier.as_ref(), split: &split };
        let mut notes = Vec::new();
        if let Some(path) = &request.output {
            let errors = explainer.rows(wrong.iter())?;
            RowsWriter::write_frame(path, frame(&errors)?, request.replace)?;
            notes.push(format!(
                "{} written to {path:?}",
                figure::counted(wrong.len() as u64, "row")
            ));
        }
        let errors = explainer.rows(wrong.iter().take(request.n_errors))?;
        if !wrong.is_empty() && wrong.len() < request.n_errors {
            let them =
                if wrong.len() == 1 { "this is the only one" } else { "these are all of them" };
            notes.push(format!(
                "{} asked for, and {them}",
                figure::counted(request.n_errors as u64, "error")
            ));
        }
        if errors.iter().any(|error| error.terms.is_none()) {
            notes.push(format!(
                "the words that decided are not told: a {} cannot be explained yet",
                classifier.name()
            ));
        }
        let expected = &model.lineage.test_fingerprint;
        if request.dataset.is_none()
            && request.split == "test"
            && split.fingerprint.sha256 != *expected
        {
            notes.push(format!("the test split of {dataset} is another one than at the training"));
        }
        let confused = confusions(evaluation.confusion()).into_iter();
        let confused = confused.filter(|confusion| is_asked(confusion.label)).take(MAX_CONFUSIONS);
        let confusions: Result<Vec<_>> =
            confused.map(|confusion| explainer.confusion(&confusion, &wrong)).collect();
        Ok(ErrorAnalysis {
            n_rows: match class_idx {
                Some(class_idx) => evaluation.confusion().support(class_idx),
                None => split.texts.len(),
            },
            n_errors: wrong.len(),
            class: request.class.clone(),
            split: request.split.clone(),
            confusions: confusions?,
            model,
            dataset,
            evaluation,
            errors,
            notes,
        })
    }
}

/// The dataset that a version was trained on.
///
/// # Errors
/// For one that was imported or logged by another program: it names none.
pub(super) fn trained_on(model: &ModelVersion) -> Result<&str> {
    match model.lineage.dataset.as_str() {
        "" => Err(Error::invalid(format!(
            "{} names no dataset that it was trained on",
            model.reference()
        ))
        .with_hint("name one with --data")),
        dataset => Ok(dataset),
    }
}

fn check_output(path: &Path, replace: bool) -> Result<()> {
    RowsFormat::of_output(path)?;
    if !replace && path.exists() { Err(exists(path)) } else { Ok(()) }
}

fn class_idx(split: &Split, dataset: &str, class: &str) -> Result<usize> {
    split.classes.iter().position(|known| known == class).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("{dataset} has no class {class:?}: found {}", split.classes.join(", ")),
        )
    })
}

/// The reason of a mistake.
#[derive(Clone, Copy)]
struct Explainer<'a> {
    classifier: &'a dyn Classifier,
    split: &'a Split,
}

impl Explainer<'_> {
    fn rows<'m>(self, mistakes: impl Iterator<Item = &'m Mistake>) -> Result<Vec<PredictionError>> {
        mistakes.map(|mistake| self.row(mistake)).collect()
    }

    fn row(self, mistake: &Mistake) -> Result<PredictionError> {
        let text = &self.split.texts[mistake.row];
        let predicted = &self.split.classes[mistake.predicted];
        let explanation = self.classifier.explain(text, None, usize::MAX)?;
        let words = explanation.as_ref().map_or(&[][..], |explanation| &explanation.words);
        Ok(PredictionError {
            row: mistake.row,
            label: self.split.classes[mistake.label].clone(),
            predicted: predicted.clone(),
            confidence: mistake.confidence,
            excerpt: excerpt(text, words, EXCERPT_CHARS),
            terms: explanation.as_ref().map(|explanation| {
                explanation.terms_for(predicted).into_iter().take(MAX_TERMS).collect()
            }),
            text: text.clone(),
        })
    }

    /// `confusion` with the first of `mistakes` that are of its kind.
    fn confusion(self, confusion: &Confusion, mistakes: &[Mistake]) -> Result<ConfusedClasses> {
        let Confusion { label, predicted, n_examples, share } = *confusion;
        let is_of_kind =
            |mistake: &&Mistake| (mistake.label, mistake.predicted) == (label, predicted);
        Ok(ConfusedClasses {
            label: self.split.classes[label].clone(),
            predicted: self.split.classes[predicted].clone(),
            n_rows: n_examples,
            share,
            examples: self.rows(mistakes.iter().filter(is_of_kind).take(MAX_EXAMPLES))?,
        })
    }
}

/// `errors` as a file has them.
fn frame(errors: &[PredictionError]) -> Result<DataFrame> {
    let texts =
        |value: fn(&PredictionError) -> String| errors.iter().map(value).collect::<Vec<_>>();
    let mut columns = vec![
        Column::new("row".into(), errors.iter().map(|error| error.row as u64).collect::<Vec<_>>()),
        Column::new("text".into(), texts(|error| error.text.clone())),
        Column::new("label".into(), texts(|error| error.label.clone())),
        Column::new("predicted".into(), texts(|error| error.predicted.clone())),
        Column::new(
            "confidence".into(),
            errors.iter().map(|error| error.confidence).collect::<Vec<_>>(),
        ),
    ];
    if errors.iter().any(|error| error.terms.is_some()) {
        columns.push(Column::new("terms".into(), texts(told)));
    }
    DataFrame::new(errors.len(), columns).map_err(|source| {
        Error::new(ErrorKind::Internal, "errors make no frame").with_source(source)
    })
}

/// The words that decided, each with its weight.
fn told(error: &PredictionError) -> String {
    let terms = error.terms.iter().flatten();
    let terms = terms.map(|term| format!("{} {:+.2}", term.term, term.weight));
    terms.collect::<Vec<_>>().join(", ")
}

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
        let own = self.evaluation.own_threshold();
        let own = own.map(|said| format!(", {said}")).unwrap_or_default();
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

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
