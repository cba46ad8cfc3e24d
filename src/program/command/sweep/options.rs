//! The options of every sweep, beside those of the training that it varies.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use trialbook::{
    book::sweep::SweepFolds,
    error::{Error, Result},
    span::Span,
};

use super::compile::ClusterEngine;

/// The options of every sweep.
#[derive(Debug, Clone, Args)]
pub(super) struct SweepOptions {
    /// Try all combinations, which is the default
    #[arg(long, conflicts_with_all = ["random", "halving"], help_heading = "Sweep")]
    pub(super) grid: bool,
    /// Draw so many different combinations at random
    #[arg(long, value_name = "N", help_heading = "Sweep")]
    pub(super) random: Option<usize>,
    /// Successive halving: begin with few rows, and give the best third three times the rows, until the
    /// last ones learn all of them
    #[arg(long, help_heading = "Sweep")]
    pub(super) halving: bool,
    /// The metric to rank by, as a run has it: f1, accuracy, macro_f1, log_loss …
    #[arg(long, value_name = "NAME", default_value = "f1", help_heading = "Sweep")]
    pub(super) metric: String,
    /// The folds of the cross-validation [default: 5]
    #[arg(long = "cv", value_name = "K", allow_negative_numbers = true, help_heading = "Sweep")]
    pub(super) n_folds: Option<usize>,
    /// Use these folds: a text file with one number for each row of the train split, from 0
    #[arg(long, value_name = "FILE", conflicts_with = "n_folds", help_heading = "Sweep")]
    pub(super) folds: Option<PathBuf>,
    /// The number of threads [default: one for each core]; with --compile the number of trainings that
    /// run at once [default: 4]
    #[arg(long, value_name = "N", help_heading = "Sweep")]
    pub(super) jobs: Option<usize>,
    /// Begin no new setting after this time: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Sweep")]
    pub(super) budget: Option<Duration>,
    /// Begin anew although the same sweep was stopped before; without this flag it goes on
    #[arg(long, help_heading = "Sweep")]
    pub(super) fresh: bool,
    /// Train the best setting on the whole train split and register it
    #[arg(long, help_heading = "Sweep")]
    pub(super) register: bool,
    /// Choose the plainest setting within one standard error of the best: the fewest terms, then the
    /// smallest c
    #[arg(long, help_heading = "Sweep")]
    pub(super) one_se: bool,
    /// Measure nothing here: write what an engine of a cluster runs, a training of each setting with
    /// the image, a volume with the dataset and the registry that --registry names
    #[arg(
        long,
        value_enum,
        value_name = "ENGINE",
        conflicts_with_all = ["halving", "folds", "budget", "fresh", "register", "one_se"],
        help_heading = "Sweep"
    )]
    pub(super) compile: Option<ClusterEngine>,
    /// With --compile: the image of this program
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "compile",
        default_value = "trialbook:latest",
        help_heading = "Sweep"
    )]
    pub(super) image: String,
    /// With --compile: the file to write; without it the answer has the text
    #[arg(long, value_name = "FILE", requires = "compile", help_heading = "Sweep")]
    pub(super) out: Option<PathBuf>,
    /// Overwrite the output file if it exists
    #[arg(long, requires = "out", help_heading = "Sweep")]
    pub(super) force: bool,
}

impl SweepOptions {
    /// The folds that are asked for.
    ///
    /// # Errors
    /// A file that is none.
    pub(super) fn folds(&self) -> Result<SweepFolds> {
        let Some(path) = &self.folds else {
            return Ok(SweepFolds::Stratified(self.n_folds.unwrap_or(5)));
        };
        let text = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let folds = text.lines().enumerate().map(|(line_idx, line)| {
            line.trim().parse().map_err(|_| {
                Error::invalid(format!(
                    "{}, line {}: {line:?} found, expected the number of a fold, from 0",
                    path.display(),
                    line_idx + 1
                ))
            })
        });
        Ok(SweepFolds::Given(folds.collect::<Result<_>>()?))
    }
}

/// `90s`, `10m`, `2h`
fn duration(text: &str) -> Result<Duration, String> {
    let span = Span::parse(text).map(Duration::from);
    span.ok_or_else(|| "expected a time such as 90s, 10m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for text in ["", "10", "m", "-1m", "0s", "ten m", "10 д"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
