//! `monitor sample`: which predictions to label next.

use std::path::PathBuf;

use clap::{
    Args, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::json;
use trialbook::{
    book::{SampleRequest, now_ms},
    data::check_file,
    error::{Error, Result},
    figure,
    hint::{CommandLine, Hint},
    monitor::{Picked, SampleBy},
    output::{Align, Output, Table},
};

use crate::command::{Session, moment::TimeArgument, named::model_and_version};

/// `monitor sample -n 50 --by random --out to_label.csv`
#[derive(Debug, Clone, Args)]
pub struct Sample {
    /// The registered model, or one version of it (NAME/2); without it, the store's only model
    model: Option<String>,
    /// The number of texts to pick
    #[arg(short, default_value_t = 50, value_name = "ROWS", value_parser = n_texts)]
    n: usize,
    /// The way to pick: those that the model is least sure of (uncertainty), each with the same chance (random: what
    /// is measured on them holds for all), or those of which a version in the shadow says something else
    /// (disagreement)
    #[arg(long, value_name = "HOW", default_value = "uncertainty", value_parser = ways())]
    by: SampleBy,
    /// Only predictions since then: so long ago (7d, 12h) or a date (2026-11-21)
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    last: Option<TimeArgument>,
    /// A dataset, a split of one (NAME.test), or a file that has the texts, found by their SHA-256: for logs that keep
    /// no texts
    #[arg(long, value_name = "DATASET|FILE")]
    texts: Option<String>,
    /// Write them into this file (.csv, .tsv, .jsonl, .parquet) with an empty column label, for `monitor label`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Show what the model predicted: who sees it tends to agree
    #[arg(long)]
    show_predictions: bool,
    /// The seed of what is picked at random
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Overwrite the output file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl Sample {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        if let Some(path) = &self.out {
            check_file(path, self.force)?;
        }
        let (model, version) = model_and_version(session, self.model.as_ref())?;
        let request = SampleRequest {
            model,
            version,
            n: self.n,
            by: Some(self.by),
            from_ms: self.last.map_or(i64::MIN, |moment| moment.before(now_ms())),
            latest_bytes: None,
            seed: self.seed,
            texts: self.texts.clone(),
        };
        let picked = session.book.pick_texts(&request)?;
        let mut output = Output::new(self.json(&picked));
        if picked.texts.is_empty() {
            return Ok(output.text(match self.by {
                SampleBy::Disagreement => "no two versions disagree on a text without a label",
                _ => "every prediction here has a label",
            }));
        }
        let counts = format!(
            "{} picked by {} of {} without a label; {} have one",
            figure::counted(picked.texts.len(), "text"),
            self.by,
            figure::count(picked.n_candidates),
            figure::count(picked.n_labelled)
        );
        match &self.out {
            Some(path) => {
                session.book.write_picked(
                    &picked,
                    self.by,
                    self.show_predictions,
                    path,
                    self.force,
                )?;
                let label = CommandLine::new("monitor label").arg(path.display());
                output = output.text(counts).hint(
                    Hint::from(format!("wrote {path:?}: fill the column label, then ")).run(label),
                );
            }
            None => output = output.table(self.table(&picked)).text(counts),
        }
        if picked.n_without_text > 0 {
            output = output.hint(
                Hint::from(format!(
                    "{} passed over, whose texts the log does not keep: ",
                    figure::counted(picked.n_without_text, "prediction")
                ))
                .run("serve --log-text full")
                .say(" keeps them, and --texts DATASET finds them by their SHA-256"),
            );
            if self.by == SampleBy::Random {
                output = output.text(
                    "note: what is measured on these need not hold for those; they are not marked as picked at random",
                );
            }
        }
        Ok(output)
    }

    fn json(&self, picked: &Picked) -> serde_json::Value {
        let mut json = json!(picked);
        json["by"] = json!(self.by);
        json["sampled_by"] = json!(picked.sampled_by(self.by));
        if !self.show_predictions
            && let Some(texts) = json["texts"].as_array_mut()
        {
            for fields in texts.iter_mut().filter_map(|text| text.as_object_mut()) {
                for hidden in ["prediction", "confidence", "other_prediction"] {
                    fields.remove(hidden);
                }
            }
        }
        json
    }

    fn table(&self, picked: &Picked) -> Table {
        let mut columns =
            vec![("request", Align::Left), ("index", Align::Right), ("text", Align::Left)];
        if self.show_predictions {
            columns.extend([("prediction", Align::Left), ("confidence", Align::Right)]);
        }
        let mut table = Table::new(columns);
        for text in &picked.texts {
            let mut row =
                vec![text.request_id.clone(), text.index.to_string(), one_line(&text.text)];
            if self.show_predictions {
                row.extend([text.prediction.clone(), figure::metric(text.confidence)]);
            }
            table.push(row);
        }
        table
    }
}

/// The beginning of a text, on one line.
fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

fn n_texts(text: &str) -> Result<usize> {
    let n = text.parse().ok().filter(|n| *n > 0);
    n.ok_or_else(|| Error::invalid(format!("{text:?} is no number of texts: expected 1 or more")))
}

fn ways() -> impl TypedValueParser<Value = SampleBy> {
    PossibleValuesParser::new(SampleBy::ALL.map(SampleBy::as_str))
        .try_map(|name| name.parse::<SampleBy>())
}
