//! `explain MODEL "text"`: what each word adds to the answer; `explain MODEL`: what the model goes by.

use clap::Args;
use trialbook::{
    book::ExplainBase,
    error::{Error, Result},
    output::Output,
};

use super::{
    Session,
    named::{reference, version_word_forms},
};

/// `explain SentimentClassifier/1 "Not a good film."`
#[derive(Debug, Clone, Args)]
pub struct Explain {
    #[arg(help = version_word_forms!(""))]
    model: String,
    /// The text, in quotes; without it the strongest terms of each class, with how often they occur,
    /// which nets do not have
    text: Option<String>,
    /// The number of terms to list
    #[arg(short, value_name = "COUNT", default_value_t = 20)]
    n: usize,
    /// Count from the mean of the training texts and not from the intercept, as SHAP's linear explainer
    /// does: then words that the text lacks weigh something too
    #[arg(long, requires = "text")]
    background: bool,
}

impl Explain {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let model = reference(session, &self.model, None)?.to_string();
        let base = match self.background {
            true => ExplainBase::TrainingMean,
            false => ExplainBase::Intercept,
        };
        match &self.text {
            Some(text) if text.trim().is_empty() => Err(Error::invalid("the text is empty")
                .with_hint("give it at least one word, or leave it out for the strongest terms")),
            Some(text) => Ok(session.book.explain(&model, text, base, self.n)?.to_output()),
            None => Ok(session.book.strong_terms(&model, self.n)?.to_output()),
        }
    }
}
