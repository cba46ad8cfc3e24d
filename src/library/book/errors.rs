//! The rows of a split that a version predicts wrong, with the words that decided: shown, and written
//! to a file.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use polars::prelude::{Column, DataFrame};
use serde::Serialize;

use super::{
    Book,
    asked_split::{AskedSplit, check_usable, named_columns},
};
use crate::{
    data::{RowsFormat, RowsWriter, Split, check_new},
    error::{Error, ErrorKind, Result},
    evaluate::{
        Confusion, Evaluation, Mistake, Slice, SplitAnswers, answer_on, confusions,
        evaluate_answers, mistakes, predict_on,
    },
    figure,
    model::{Classifier, Contribution, Explanation, excerpt},
    registry::ModelVersion,
};

/// Characters of a text that a table shows.
pub(super) const EXCERPT_CHARS: usize = 120;
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
    /// Only rows of this slice; none for all.
    pub slice: Option<Slice>,
    /// Errors that are listed, at most. Default 20.
    pub n_errors: usize,
    /// Listed errors whose words are looked for, at most; none for all of them. A file has the words of
    /// the other rows too where the model tells them at once: a net does not.
    pub n_explained: Option<usize>,
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
    /// The slice that the rows are of, if not all.
    pub slice: Option<Slice>,
    /// The quality on the slice, or on the whole split.
    pub evaluation: Evaluation,
    /// Rows that were asked about: those of class and slice, or all.
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
    /// The terms that speak most for the predicted class; none where they were not looked for, and for
    /// a model that cannot tell.
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
            slice: None,
            n_errors: 20,
            n_explained: None,
            output: None,
            replace: false,
        }
    }
}

impl Book {
    /// The rows that a version predicts wrong, the most confident first.
    ///
    /// # Errors
    /// Unknown version, dataset, split, class or column of a slice, a slice without a row, other
    /// classes than the model's, and an output that cannot be written.
    pub fn errors(&self, request: &ErrorsRequest) -> Result<ErrorAnalysis> {
        if let Some(path) = &request.output {
            check_output(path, request.replace)?;
        }
        let model = self.version(&request.model)?;
        let asked = self.asked_split(&model, request.dataset.as_deref(), &request.split)?;
        let AskedSplit { dataset, split } = &asked;
        let class_idx = request.class.as_deref().map(|class| class_idx(split, dataset, class));
        let class_idx = class_idx.transpose()?;
        let classifier = self.load(&model)?;
        let (answers, rows) =
            self.asked_rows(classifier.as_ref(), &asked, request.slice.as_ref())?;
        let evaluation = evaluate_rows(split, &answers, &rows)?;
        let is_asked = |label: usize| class_idx.is_none_or(|class_idx| class_idx == label);
        let mut wrong = mistakes(&split.labels, &answers, split.classes.len());
        wrong.retain(|mistake| is_asked(mistake.label) && rows[mistake.row]);
        let n_explained = request.n_explained.unwrap_or(usize::MAX).min(request.n_errors);
        let explained = wrong.iter().take(n_explained).map(|mistake| mistake.row).collect();
        let explains_at_once = classifier.explains_at_once() && request.n_explained.is_none();
        let explainer = Explainer {
            classifier: classifier.as_ref(),
            split,
            explained: (!explains_at_once).then_some(&explained),
            found: RefCell::default(),
        };
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
        let n_told = errors.iter().filter(|error| error.terms.is_some()).count();
        if n_told < errors.len().min(n_explained) {
            notes.push(format!(
                "the words that decided are not told: this {} cannot be explained: {}",
                classifier.name(),
                classifier.unexplained_because()
            ));
        } else if request.output.is_some() && !explains_at_once && n_told < wrong.len() {
            notes.push(format!(
                "the file has the words of {}: -n and --explain look for more",
                figure::counted(n_told as u64, "row")
            ));
        }
        if request.dataset.is_none() {
            notes.extend(asked.note(&model));
        }
        notes.extend(single_class(&evaluation).filter(|_| request.slice.is_some()));
        let confused = confusions(evaluation.confusion()).into_iter();
        let confused = confused.filter(|confusion| is_asked(confusion.label)).take(MAX_CONFUSIONS);
        let confusions: Result<Vec<_>> =
            confused.map(|confusion| explainer.confusion(&confusion, &wrong)).collect();
        Ok(ErrorAnalysis {
            n_rows: match class_idx {
                Some(class_idx) => evaluation.confusion().support(class_idx),
                None => evaluation.n_examples(),
            },
            n_errors: wrong.len(),
            class: request.class.clone(),
            slice: request.slice.clone(),
            split: request.split.clone(),
            confusions: confusions?,
            model,
            dataset: dataset.clone(),
            evaluation,
            errors,
            notes,
        })
    }
}

impl Book {
    /// The probabilities of all rows, and for each row whether it is in `slice`.
    fn asked_rows(
        &self,
        classifier: &dyn Classifier,
        asked: &AskedSplit,
        slice: Option<&Slice>,
    ) -> Result<(SplitAnswers, Vec<bool>)> {
        let AskedSplit { dataset, split } = asked;
        let Some(slice) = slice else {
            return Ok((predict_on(classifier, split)?, vec![true; split.texts.len()]));
        };
        let manifest = self.datasets().get(dataset)?;
        let columns = named_columns(&manifest, std::slice::from_ref(slice), &[])?;
        let (answers, known_shares) = match slice.needs_vocabulary() {
            true => answer_on(classifier, split)?,
            false => (predict_on(classifier, split)?, None),
        };
        let known_shares = known_shares.as_deref();
        let (features, unusable) = self.row_features(dataset, split, known_shares, &columns)?;
        check_usable(&unusable, &columns)?;
        let rows = features.rows(slice)?;
        if !rows.contains(&true) {
            let reference = asked.reference();
            return Err(Error::invalid(format!("no row of {reference} is in the slice {slice}"))
                .with_hint("look for another value, or for a wider one"));
        }
        Ok((answers, rows))
    }
}

/// The quality on those rows of `split` that are asked about.
fn evaluate_rows(split: &Split, answers: &SplitAnswers, rows: &[bool]) -> Result<Evaluation> {
    let asked = split.labels.iter().zip(rows).filter(|(_, is_asked)| **is_asked);
    let labels: Vec<u32> = asked.map(|(label, _)| *label).collect();
    evaluate_answers(&labels, &answers.of_rows(rows, split.classes.len()), &split.classes)
}

/// That all rows are of one class, so that the numbers of the others say nothing.
fn single_class(evaluation: &Evaluation) -> Option<String> {
    let confusion = evaluation.confusion();
    let found = confusion.classes().iter().enumerate();
    let mut found = found.filter(|(class_idx, _)| confusion.support(*class_idx) > 0);
    match (found.next(), found.next()) {
        (Some((_, class)), None) => Some(format!(
            "all rows of the slice are labelled {class}: accuracy and its recall are the same, and the \
             numbers of other classes say nothing"
        )),
        _ => None,
    }
}

pub(super) fn check_output(path: &Path, replace: bool) -> Result<()> {
    RowsFormat::of_output(path)?;
    check_new(path, replace)
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
struct Explainer<'a> {
    classifier: &'a dyn Classifier,
    split: &'a Split,
    /// The rows that are explained; none for all.
    explained: Option<&'a BTreeSet<usize>>,
    /// The findings on them: a row may be in a list, in a file and an example.
    found: RefCell<BTreeMap<usize, Option<Explanation>>>,
}

impl Explainer<'_> {
    fn rows<'m>(
        &self,
        mistakes: impl Iterator<Item = &'m Mistake>,
    ) -> Result<Vec<PredictionError>> {
        mistakes.map(|mistake| self.row(mistake)).collect()
    }

    fn row(&self, mistake: &Mistake) -> Result<PredictionError> {
        let text = &self.split.texts[mistake.row];
        let predicted = &self.split.classes[mistake.predicted];
        let explanation = self.explanation(mistake.row, text)?;
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

    fn explanation(&self, row: usize, text: &str) -> Result<Option<Explanation>> {
        match self.explained {
            None => return self.classifier.explain(text, None, usize::MAX),
            Some(explained) if !explained.contains(&row) => return Ok(None),
            Some(_) => {}
        }
        if let Some(found) = self.found.borrow().get(&row) {
            return Ok(found.clone());
        }
        let found = self.classifier.explain(text, None, usize::MAX)?;
        self.found.borrow_mut().insert(row, found.clone());
        Ok(found)
    }

    /// `confusion` with the first of `mistakes` that are of its kind.
    fn confusion(&self, confusion: &Confusion, mistakes: &[Mistake]) -> Result<ConfusedClasses> {
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
pub(super) fn told(error: &PredictionError) -> String {
    let terms = error.terms.iter().flatten();
    let terms = terms.map(|term| format!("{} {:+.2}", term.term, term.weight));
    terms.collect::<Vec<_>>().join(", ")
}
