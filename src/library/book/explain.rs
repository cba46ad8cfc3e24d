//! Why a version answers a text as it does, and what it goes by in general.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Book, asked_split::trained_on, check_texts};
use crate::{
    error::{Error, ErrorKind, Result},
    figure,
    hint::{CommandLine, Hint},
    model::{
        Background, CalibrationMethod, Classifier, Explanation, Integration, StrongTerms,
        prediction::{BatchPrediction, Prediction},
    },
    output::{Align, Output, Table, WeighedText},
    registry::ModelVersion,
};

/// The origin that the weights of an explanation are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExplainBase {
    /// A text without a known term: the model's intercept.
    #[default]
    Intercept,
    /// The mean of the texts that the version was trained on, as SHAP's linear explainer does it.
    TrainingMean,
}

/// An answer with its reasons.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The version that answered.
    pub model: ModelVersion,
    /// The text.
    pub text: String,
    /// The answer.
    pub prediction: Prediction,
    /// True if the model reads only the beginning of the text.
    pub truncated: bool,
    /// The reasons.
    pub explanation: Explanation,
    /// Texts of the background, if there is one.
    pub n_background: Option<usize>,
    /// The calibration of the answer's probabilities; the explanation is of the model before that.
    pub calibration: Option<CalibrationMethod>,
}

/// The terms that a version goes by.
#[derive(Debug, Clone, Serialize)]
pub struct ModelTerms {
    /// The version.
    pub model: ModelVersion,
    /// Its strongest terms.
    #[serde(flatten)]
    pub terms: StrongTerms,
}

impl Book {
    /// The answer of a version to `text` and the `n_terms` terms that weigh most in it; `reference` is
    /// as for [`Book::version`].
    ///
    /// # Errors
    /// No such version, an empty text, a model that cannot be explained, one that has a baseline of its
    /// own where a background is asked for, and a background that is not in the store as it was learnt.
    pub fn explain(
        &self,
        reference: &str,
        text: &str,
        base: ExplainBase,
        n_terms: usize,
    ) -> Result<Explained> {
        check_texts(&[text])?;
        let model = self.version(reference)?;
        let classifier = self.load(&model)?;
        let BatchPrediction { mut predictions, truncated } =
            BatchPrediction::of(classifier.as_ref(), &[text])?;
        let prediction = predictions
            .pop()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the model gave no answer"))?;
        let truncated = truncated.contains(&true);
        let background = match base {
            ExplainBase::Intercept => None,
            ExplainBase::TrainingMean => Some(
                self.background(&model, classifier.as_ref())?
                    .ok_or_else(|| without_background(classifier.name()))?,
            ),
        };
        let explanation = classifier
            .explain(text, background.as_ref(), n_terms)?
            .ok_or_else(|| unexplained(classifier.as_ref()))?;
        let n_background = background.map(|background| background.n_texts());
        let calibration = classifier.decision().calibration.as_ref();
        let calibration = calibration.map(|calibration| calibration.method());
        let text = text.to_owned();
        Ok(Explained { model, text, prediction, truncated, explanation, n_background, calibration })
    }

    /// The `n_terms` terms that speak most for each class, whatever the text.
    ///
    /// # Errors
    /// No such version, and a model that cannot tell.
    pub fn strong_terms(&self, reference: &str, n_terms: usize) -> Result<ModelTerms> {
        let model = self.version(reference)?;
        let classifier = self.load(&model)?;
        let terms = classifier
            .strong_terms(n_terms)
            .ok_or_else(|| without_terms(classifier.name(), reference))?;
        Ok(ModelTerms { model, terms })
    }

    /// The mean of the split that `model` was trained on.
    fn background(
        &self,
        model: &ModelVersion,
        classifier: &dyn Classifier,
    ) -> Result<Option<Background>> {
        let dataset = trained_on(model)?;
        let split = self.datasets().split(dataset, "train")?;
        if split.fingerprint.sha256 != model.lineage.train_fingerprint {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the train split of {dataset} is another one than {} was trained on",
                    model.reference()
                ),
            )
            .with_hint("leave --background out, or train again on the dataset as it is now"));
        }
        let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
        classifier.background(&texts)
    }
}

fn unexplained(classifier: &dyn Classifier) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "this {} cannot be explained: {}",
            classifier.name(),
            classifier.unexplained_because()
        ),
    )
}

fn without_background(name: &str) -> Error {
    Error::invalid(format!(
        "a {name} is counted from a baseline of its own and takes no background"
    ))
    .with_hint("leave --background out")
}

fn without_terms(name: &str, reference: &str) -> Error {
    let question = CommandLine::new("explain").arg(reference).written("\"…\"");
    Error::new(
        ErrorKind::Unavailable,
        format!("a {name} has no list of strongest terms: what a word adds depends on its text"),
    )
    .with_hint(Hint::new().run(question).say(" explains the answer to a text"))
}

impl Explained {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { model, text, prediction, explanation, .. } = self;
        let mut json = json!(prediction);
        json["model"] = summary(model);
        json["text"] = json!(text);
        json["truncated"] = json!(self.truncated);
        json["explanation"] = json!(explanation);
        json["n_background"] = json!(self.n_background);
        json["calibration"] = json!(self.calibration);
        let own = prediction.own_threshold().map(|said| format!(", {said}")).unwrap_or_default();
        let weighed = WeighedText::new(&explanation.class, explanation.pieces(text));
        let output = Output::new(json)
            .text(format!(
                "{} ({:.1} %) by {}{own}\n",
                prediction.label,
                prediction.confidence * 100.0,
                model.reference()
            ))
            .weighed(weighed)
            .text("")
            .table(self.table());
        let cut = self.truncated.then(|| {
            "the text is longer than the model reads: a part of it was explained".to_owned()
        });
        let warnings: Vec<String> = prediction
            .warning()
            .into_iter()
            .chain(cut)
            .chain(explanation.integration.as_ref().and_then(incomplete))
            .map(|warning| format!("\nwarning: {warning}"))
            .collect();
        if warnings.is_empty() { output } else { output.text(warnings.concat()) }
    }

    /// The sum: what each term adds, and what comes out.
    fn table(&self) -> Table {
        let Explanation { class, decision, base, terms, n_terms, rest, .. } = &self.explanation;
        let mut table =
            Table::new([("term", Align::Left), ("times", Align::Right), ("weight", Align::Right)]);
        for term in terms {
            table.push([term.term.clone(), figure::count(term.count), weight(term.weight)]);
        }
        let n_others = n_terms - terms.len();
        if n_others > 0 {
            let others = format!("({})", figure::counted(n_others as u64, "more term"));
            table.push([others, String::new(), weight(*rest)]);
        }
        let integration = self.explanation.integration.as_ref();
        if let Some(Integration { n_steps, gap, .. }) = integration {
            let told = format!("(left out by {})", figure::counted(*n_steps as u64, "step"));
            table.push([told, String::new(), weight(*gap)]);
        }
        let from = match (self.n_background, integration) {
            (None, Some(Integration { baseline, .. })) => format!("({})", baseline.meaning()),
            (None, None) => "(intercept)".to_owned(),
            (Some(n_texts), _) => {
                format!("(mean of {} to learn from)", figure::counted(n_texts as u64, "text"))
            }
        };
        table.push([from, String::new(), weight(*base)]);
        let what = match self.prediction.scores.len() {
            2 => format!("log-odds of {class}"),
            _ => format!("score of {class} before softmax"),
        };
        let what = match self.calibration {
            Some(_) => format!("{what}, not calibrated"),
            None => what,
        };
        table.push([what, String::new(), weight(*decision)]);
        table
    }
}

impl ModelTerms {
    /// As commands and notebooks show it.
    pub fn to_output(&self) -> Output {
        let Self { model, terms: StrongTerms { n_texts, classes } } = self;
        let json = json!({ "model": summary(model), "n_texts": n_texts, "classes": classes });
        let mut output = Output::new(json).text(format!(
            "{}: what it goes by, learnt from {}\n",
            model.reference(),
            figure::counted(*n_texts as u64, "text")
        ));
        for (class_idx, of_class) in classes.iter().enumerate() {
            let mut table = Table::new([
                ("term", Align::Left),
                ("weight", Align::Right),
                ("texts", Align::Right),
                ("share", Align::Right),
            ])
            .with_title(format!("For {}", of_class.class));
            for term in &of_class.terms {
                table.push([
                    term.term.clone(),
                    weight(term.weight),
                    figure::count(term.n_texts),
                    format!("{:.1} %", 100.0 * f64::from(term.n_texts) / (*n_texts).max(1) as f64),
                ]);
            }
            output = if class_idx > 0 { output.text("") } else { output };
            output = output.table(table);
        }
        output
    }
}

/// The note on an integration that stopped before it was complete.
fn incomplete(integration: &Integration) -> Option<String> {
    let Integration { n_steps, gap, is_complete, .. } = integration;
    (!is_complete).then(|| {
        format!(
            "after {} the weights still leave {} of the decision out",
            figure::counted(*n_steps as u64, "step"),
            weight(*gap)
        )
    })
}

fn weight(weight: f64) -> String {
    format!("{weight:+.4}")
}

/// The version, as the server says it.
fn summary(version: &ModelVersion) -> Value {
    json!({
        "name": version.model,
        "version": version.version,
        "stage": version.stage,
        "run_id": version.run_id,
    })
}
