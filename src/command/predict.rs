//! `predict "text" …`: the server's answer without a server.

use clap::Args;

use super::Session;
use crate::{
    error::Result,
    output::{Align, Output, Table},
    registry::DEFAULT_MODEL,
};

/// `predict "An utterly wonderful film."`
#[derive(Debug, Clone, Args)]
pub struct Predict {
    /// One or more texts, each in quotes
    #[arg(required = true, value_name = "TEXT")]
    texts: Vec<String>,
    /// The model: NAME (its Production version), NAME/3, NAME/Staging or NAME@alias
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "MODEL")]
    model: String,
}

impl Predict {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let predicted = session.book.predict(&self.model, &texts)?;
        let version = &predicted.model;
        let model = serde_json::json!({
            "name": version.model,
            "version": version.version,
            "stage": version.stage,
            "run_id": version.run_id,
        });
        let mut table = Table::new([
            ("label", Align::Left),
            ("confidence", Align::Right),
            ("text", Align::Left),
        ]);
        let mut answers = Vec::new();
        for (text, prediction) in texts.iter().zip(&predicted.predictions) {
            table.push([
                prediction.label.clone(),
                format!("{:.1} %", prediction.confidence * 100.0),
                excerpt(text),
            ]);
            let mut answer = serde_json::json!(prediction);
            answer["model"] = model.clone();
            answers.push(answer);
        }
        // One text gets the object that `POST /predict` answers, several the array of the batch.
        let json = if let [only] = answers.as_slice() { only.clone() } else { answers.into() };
        Ok(Output::new(json)
            .table(table)
            .text(format!("\n{}/{} ({})", version.model, version.version, version.stage)))
    }
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
