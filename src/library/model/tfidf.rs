//! The baseline: TF-IDF rows and logistic regression. It joins the vectoriser and the classifier
//! into one model and predicts without building a matrix.

use std::{cell::RefCell, path::Path};

use linfa::ParamGuard;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{
    Answers, Background, Classifier, Decision, Explanation, Fit, FitReport, Logistic,
    LogisticParams, LogisticValidParams, MemoryUse, ModelFiles, Probabilities, StrongTerms,
    flatten,
    linear_explainer::LinearExplainer,
    onnx::ONNX_FILE,
    tfidf_config::{NAME, TfidfConfig},
    tfidf_files::{self, StoredTfidf},
    tfidf_graph::TfidfParts,
};
use crate::{
    data::Split,
    error::Result,
    progress::Monitor,
    text::{FeatureCounter, FittedVectorizer, LookupBuffers},
};

/// A trained baseline.
#[derive(Debug, Clone)]
pub struct Tfidf {
    classes: Vec<String>,
    decision: Decision,
    vectorizer: FittedVectorizer,
    logistic: Logistic,
    /// The text of `model.json`, kept so that saving a loaded model gives the same bytes.
    header: String,
}

impl TfidfConfig {
    /// Like [`Fit::fit`], with the concrete type.
    ///
    /// # Errors
    /// As [`Fit::fit`].
    pub fn train(
        &self,
        train: &Split,
        monitor: &Monitor,
        log: &mut dyn FnMut(&str, f64, u64) -> Result<()>,
    ) -> Result<Tfidf> {
        let params = self.logistic_params()?;
        params.check_labels(&train.labels, train.classes.len())?;
        let n_steps = self.vectorizer.n_steps(train.texts.len());
        let (vectorizer, matrix) = monitor.stage("vectorise", Some(n_steps), || {
            self.vectorizer.fit_transform(&train.texts, monitor)
        })?;
        let (logistic, report) = monitor.stage("fit", None, || {
            params.fit_rows(
                &matrix,
                &train.labels,
                train.classes.len(),
                &mut |round, loss, error| {
                    monitor.interrupt.check()?;
                    monitor.progress.advance(u64::from(round > 0));
                    monitor
                        .progress
                        .note(&format!("loss {loss:.1}, probabilities within {error:.1e}"));
                    log("loss", loss, round as u64)
                },
            )
        })?;
        let step = report.n_iter as u64;
        log("n_iter", report.n_iter as f64, step)?;
        log("converged", f64::from(u8::from(report.has_converged)), step)?;
        if !report.has_converged {
            // More rounds help only where they ran out.
            let advice = match report.n_iter >= self.max_iter {
                true => "raise max_iter, or lower c",
                false => "double precision allows no more: raise tol, or lower c",
            };
            tracing::warn!(
                n_iter = report.n_iter,
                max_iter = self.max_iter,
                error = report.error,
                tol = self.tol,
                "the fit has not converged, probabilities may be off by error: {advice}"
            );
            monitor.progress.note(&format!("not converged: {advice}"));
        }
        Ok(Tfidf::new(self, train.classes.clone(), vectorizer, logistic, &report))
    }
}

impl TfidfConfig {
    pub(super) fn logistic_params(&self) -> Result<LogisticValidParams> {
        LogisticParams::default()
            .c(self.c)
            .class_weight(self.class_weight.clone())
            .max_iter(self.max_iter)
            .tolerance(self.tol)
            .check()
    }
}

impl Fit for TfidfConfig {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check_settings(&self) -> Result<()> {
        self.logistic_params()?;
        self.vectorizer.check_settings()
    }

    fn params(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        let value = serde_json::to_value(self).expect("settings are plain values");
        flatten(&value, &["vectorizer"], &mut params);
        params
    }

    fn fit(
        &self,
        train: &Split,
        monitor: &Monitor,
        log: &mut dyn FnMut(&str, f64, u64) -> Result<()>,
    ) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.train(train, monitor, log)?))
    }
}

type RowBuffers = (LookupBuffers, FeatureCounter);

thread_local! {
    /// Kept from one prediction to the next: fresh memory would cost more than the prediction.
    static BUFFERS: RefCell<RowBuffers> = RefCell::default();
}

impl Tfidf {
    fn new(
        config: &TfidfConfig,
        classes: Vec<String>,
        vectorizer: FittedVectorizer,
        logistic: Logistic,
        report: &FitReport,
    ) -> Self {
        let header = tfidf_files::header(config, &classes, &vectorizer, report);
        Self { classes, decision: Decision::default(), vectorizer, logistic, header }
    }

    /// The baseline in these files, of which `header` is the first.
    pub(super) fn load(files: &ModelFiles, header: String) -> Result<Self> {
        let StoredTfidf { classes, decision, vectorizer, logistic } =
            tfidf_files::load(files, &header)?;
        Ok(Self { classes, decision, vectorizer, logistic, header })
    }

    /// The vectoriser.
    pub fn vectorizer(&self) -> &FittedVectorizer {
        &self.vectorizer
    }

    /// The classifier.
    pub fn logistic(&self) -> &Logistic {
        &self.logistic
    }

    fn explainer(&self) -> LinearExplainer<'_> {
        let Self { classes, vectorizer, logistic, .. } = self;
        LinearExplainer { classes, vectorizer, logistic }
    }

    /// Appends the class probabilities of one text. Returns the share of its words that is known.
    fn predict_into(&self, text: &str, probabilities: &mut Vec<f64>) -> f64 {
        BUFFERS.with_borrow_mut(|(scratch, counter)| {
            let known = self.vectorizer.count(text, scratch, counter);
            let n_outputs = self.logistic.n_outputs();
            let (idf, coefficients) = (self.vectorizer.idf(), self.logistic.coefficients());
            let tf = self.vectorizer.tf();
            let mut square = 0.0;
            let mut margins = self.logistic.intercepts().to_vec();
            if let [margin] = margins.as_mut_slice() {
                let mut sum = 0.0;
                for (feature, count) in counter.counts() {
                    let weight = tf.of(*count) * idf[*feature as usize];
                    square += weight * weight;
                    sum += weight * coefficients[*feature as usize];
                }
                *margin += sum * inverse_length(square);
            } else {
                let mut sums = vec![0.0; n_outputs];
                for (feature, count) in counter.counts() {
                    let weight = tf.of(*count) * idf[*feature as usize];
                    square += weight * weight;
                    let start = *feature as usize * n_outputs;
                    let coefficients = &coefficients[start..start + n_outputs];
                    for (sum, coefficient) in sums.iter_mut().zip(coefficients) {
                        *sum += weight * coefficient;
                    }
                }
                for (margin, sum) in margins.iter_mut().zip(sums) {
                    *margin += sum * inverse_length(square);
                }
            }
            self.logistic.push_probabilities(&margins, probabilities);
            known.share()
        })
    }
}

/// The factor that scales a row to length 1; 0 for a row without a known term.
fn inverse_length(square: f64) -> f64 {
    if square > 0.0 { square.sqrt().recip() } else { 0.0 }
}

impl Classifier for Tfidf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn decision(&self) -> &Decision {
        &self.decision
    }

    fn with_decision(mut self: Box<Self>, decision: Decision) -> Result<Box<dyn Classifier>> {
        self.header = tfidf_files::decided(&self.header, decision.clone())?;
        self.decision = decision;
        Ok(self)
    }

    fn training(&self) -> Option<Box<dyn Fit>> {
        let config = tfidf_files::settings(&self.header).ok()?;
        Some(Box::new(config))
    }

    fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
        self.answer(texts).map(|answers| answers.probabilities)
    }

    /// One text is done on the calling thread, several in parallel.
    fn answer(&self, texts: &[&str]) -> Result<Answers> {
        let n_classes = self.classes.len();
        let several = |texts: &[&str]| {
            let mut values = Vec::with_capacity(texts.len() * n_classes);
            let shares = texts.iter().map(|text| self.predict_into(text, &mut values));
            let shares: Vec<f64> = shares.collect();
            (values, shares)
        };
        let (mut values, known_shares) = match texts {
            [_] => several(texts),
            _ => {
                let chunks: (Vec<_>, Vec<_>) = texts.par_chunks(64).map(several).unzip();
                (chunks.0.concat(), chunks.1.concat())
            }
        };
        self.decision.calibrate(&mut values, n_classes);
        Ok(Answers {
            probabilities: Probabilities::new(values, n_classes),
            known_shares: Some(known_shares),
        })
    }

    fn memory_use(&self) -> Option<MemoryUse> {
        Some(MemoryUse {
            n_bytes: self.vectorizer.n_bytes() + self.logistic.n_bytes(),
            counted: "its vocabulary, frequencies and coefficients".to_owned(),
        })
    }

    fn explain(
        &self,
        text: &str,
        background: Option<&Background>,
        n_terms: usize,
    ) -> Result<Option<Explanation>> {
        Ok(Some(self.explainer().explain(text, background, n_terms)))
    }

    fn background(&self, texts: &[&str]) -> Result<Option<Background>> {
        Ok(Some(self.explainer().background(texts)))
    }

    fn strong_terms(&self, n_terms: usize) -> Option<StrongTerms> {
        Some(self.explainer().strongest(n_terms))
    }

    fn save(&self, dir: &Path) -> Result<()> {
        tfidf_files::save(&self.header, &self.vectorizer, &self.logistic, dir)
    }

    fn save_onnx(&self, dir: &Path) -> Result<Vec<String>> {
        let Self { classes, decision, vectorizer, logistic, .. } = self;
        let model = TfidfParts { classes, decision, vectorizer, logistic }.onnx_model();
        model.save(&dir.join(ONNX_FILE))?;
        Ok(Vec::new())
    }

    fn describe(&self) -> Value {
        let header: Value = serde_json::from_str(&self.header).unwrap_or(Value::Null);
        let field = |name: &str| header.get(name).cloned().unwrap_or(Value::Null);
        json!({
            "model": NAME,
            "classes": self.classes,
            "params": field("params"),
            "sizes": field("sizes"),
            "fit": field("fit"),
            "decision": self.decision.describe(),
        })
    }
}
