//! `predict "text" …` and `predict --in FILE --out FILE`: the server's answers without a server.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueHint};
use serde_json::Value;
use trialbook::{
    book::PredictFileRequest,
    data::STANDARD,
    error::{Error, Result},
    figure,
    model::{DEFAULT_THRESHOLD, prediction::Prediction},
    output::{Align, Output, Table},
    registry::ModelVersion,
};

use super::{
    Interim, Session,
    dialect::DialectArgs,
    named::{model_or_default, version_word_forms},
};

/// `predict "An utterly wonderful film."`
#[derive(Debug, Clone, Args)]
// As a group, so that who forgets the text is told of --in too.
#[command(group(ArgGroup::new("what").required(true).args(["texts", "input"])))]
pub struct Predict {
    /// One or more texts, each in quotes
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Predict every row of this file: .csv, .tsv, .jsonl, .json, .parquet or .arrow; the text formats
    /// also packed, as .gz or .zst. A folder, or a pattern in quotes, stands for all its files; - is
    /// standard input; s3://BUCKET/KEY is an object
    #[arg(
        long = "in",
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        requires = "output"
    )]
    input: Option<PathBuf>,
    /// Write the columns of the input, and label, confidence and score_CLASS, to this file: .csv, .tsv,
    /// .jsonl or .parquet; - is standard output, in the format of the input; s3://BUCKET/KEY is an object,
    /// which appears whole or not at all
    #[arg(long = "out", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "input")]
    output: Option<PathBuf>,
    #[command(flatten)]
    dialect: DialectArgs,
    /// The column that holds the texts; without this option it is guessed
    #[arg(long, value_name = "COLUMN", requires = "input")]
    text_column: Option<String>,
    /// Put this in front of the names of the columns that are added
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
        requires = "input"
    )]
    prefix: String,
    /// Overwrite the output file if it exists
    #[arg(long, requires = "input")]
    force: bool,
    #[arg(
        long,
        value_name = "MODEL",
        help = version_word_forms!("; without it the one model in production")
    )]
    model: Option<String>,
}

impl Predict {
    /// True if it goes through a file, which takes its time.
    pub(super) fn is_long(&self) -> bool {
        self.input.is_some()
    }

    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match (&self.input, &self.output) {
            (Some(input), Some(output)) => self.predict_file(session, input, output),
            _ if self.dialect.is_given() => Err(Error::invalid(
                "--format, --delimiter, --quote, --escape and --encoding are for files",
            )
            .with_hint("name one with --in FILE, or leave them out")),
            _ => self.predict_texts(session),
        }
    }

    fn predict_file(&self, session: &Session, input: &Path, output: &Path) -> Result<Output> {
        let request = PredictFileRequest {
            model: model_or_default(session, self.model.as_ref())?,
            input: input.to_owned(),
            output: output.to_owned(),
            dialect: self.dialect.dialect(),
            text_column: self.text_column.clone(),
            prefix: self.prefix.clone(),
            replace: self.force,
        };
        let done = session.book.predict_file(&request, &session.monitor)?;
        let mut table = Table::new([("label", Align::Left), ("rows", Align::Right)]);
        for (label, n_rows) in &done.labels {
            table.push([label.clone(), figure::count(*n_rows as usize)]);
        }
        let notes: Vec<String> = done.notes.iter().map(|note| format!("note: {note}\n")).collect();
        let mut text = format!(
            "\n{}{} by {} ({}), texts in {:?}, written to {}",
            notes.concat(),
            figure::counted(done.n_rows, "row"),
            done.model.reference(),
            done.model.stage,
            done.text_column,
            match output == Path::new(STANDARD) {
                true => "standard output".to_owned(),
                false => format!("{output:?}"),
            },
        );
        if let Some(threshold) = done.threshold.filter(|own| *own != DEFAULT_THRESHOLD) {
            text.push_str(&format!("\nlabels follow the threshold {threshold} of the version"));
        }
        for (n_rows, of_one, of_many) in [
            (
                done.n_without_text,
                "has no text: its prediction is empty",
                "have no text: their predictions are empty",
            ),
            (
                done.n_truncated,
                "is longer than the model reads: a part of it was predicted",
                "are longer than the model reads: a part of each was predicted",
            ),
            (
                done.n_unknown,
                "has no word that the model knows: its prediction says nothing about it",
                "have no word that the model knows: their predictions say nothing about them",
            ),
        ] {
            if n_rows > 0 {
                let what = if n_rows == 1 { of_one } else { of_many };
                text.push_str(&format!("\n{} {what}", figure::counted(n_rows, "row")));
            }
        }
        let json = serde_json::json!({
            "input": input,
            "output": output,
            "text_column": done.text_column,
            "n_rows": done.n_rows,
            "n_without_text": done.n_without_text,
            "n_truncated": done.n_truncated,
            "n_unknown": done.n_unknown,
            "threshold": done.threshold,
            "labels": done.labels,
            "notes": done.notes,
            "model": summary(&done.model),
        });
        let shown = Output::new(json).table(table).text(text);
        if output == Path::new(STANDARD) {
            // Standard output has the rows, and nothing but the rows.
            session.show(&shown, Interim::Aside)?;
            return Ok(Output::default());
        }
        Ok(shown)
    }

    fn predict_texts(&self, session: &Session) -> Result<Output> {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let model = model_or_default(session, self.model.as_ref())?;
        let predicted = session.book.predict(&model.to_string(), &texts)?;
        let version = &predicted.model;
        let model = summary(version);
        let mut table = Table::new([
            ("label", Align::Left),
            ("confidence", Align::Right),
            ("text", Align::Left),
        ]);
        let mut answers = Vec::new();
        for (idx, (text, prediction)) in texts.iter().zip(&predicted.predictions).enumerate() {
            table.push([
                prediction.label.clone(),
                format!("{:.1} %", prediction.confidence * 100.0),
                excerpt(text),
            ]);
            let mut answer = serde_json::json!(prediction);
            answer["model"] = model.clone();
            answer["truncated"] = predicted.truncated[idx].into();
            answers.push(answer);
        }
        // One text gets the object that `POST /predict` answers, several the array of the batch.
        let json = if let [only] = answers.as_slice() { only.clone() } else { answers.into() };
        let warnings = texts.iter().zip(&predicted.predictions).filter_map(|(text, prediction)| {
            Some(format!("\nwarning: {:?}: {}", excerpt(text), prediction.warning()?))
        });
        let cut = texts.iter().zip(&predicted.truncated).filter(|(_, is_cut)| **is_cut).map(
            |(text, _)| {
                format!(
                    "\nwarning: {:?}: longer than the model reads: a part of it was predicted",
                    excerpt(text)
                )
            },
        );
        let warnings: String = warnings.chain(cut).collect();
        let own = predicted.predictions.first().and_then(Prediction::own_threshold);
        let own = own.map(|said| format!(", {said}")).unwrap_or_default();
        Ok(Output::new(json).table(table).text(format!(
            "\n{} ({}){own}{warnings}",
            version.reference(),
            version.stage
        )))
    }
}

/// The version that answered, as the server says it.
fn summary(version: &ModelVersion) -> Value {
    serde_json::json!({
        "name": version.model,
        "version": version.version,
        "stage": version.stage,
        "run_id": version.run_id,
    })
}

/// The first 60 characters on one line.
fn excerpt(text: &str) -> String {
    const LENGTH: usize = 60;
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn an_excerpt_is_one_line_cut_between_characters() {
        assert_eq!(excerpt("a\n b\tc"), "a b c");
        assert_eq!(excerpt(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
