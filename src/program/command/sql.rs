//! `sql`: one question over every dataset and over the registry's own tables.

use clap::Args;
use trialbook::{error::Result, output::Output};

use super::Session;

/// `sql "select label, count(*) from imdb group by label"`
#[derive(Debug, Clone, Args)]
pub struct Sql {
    /// The question, in quotes. `copy (select …) to 'FILE'` and `copy NAME to 'FILE'` write the answer into
    /// a new .csv, .tsv, .jsonl or .parquet file
    query: String,
    /// Answer with the first rows only; without it all rows are in the JSON and 100 in the table
    #[arg(short = 'n', long, value_name = "ROWS")]
    rows: Option<usize>,
}

impl Sql {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let result = session.book.query(&self.query)?;
        Ok(match self.rows {
            Some(n_rows) => result.head(n_rows).to_output(n_rows),
            None => result.to_output(SHOWN_ROWS),
        })
    }
}

/// Rows of the table when no number is asked for.
const SHOWN_ROWS: usize = 100;
