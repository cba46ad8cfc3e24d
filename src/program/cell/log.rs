//! The cells that a session has run so far, for `:rerun` and `:save`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use trialbook::{
    error::{Error, ErrorKind, Result},
    store::write_atomically,
};

use super::document::{Form, Notebook, write_script};

/// One cell that was run.
#[derive(Debug, Clone)]
struct Logged {
    source: String,
    outputs: Vec<Value>,
    failed: bool,
}

/// The cells of one session in the order they were run; the running one is the last.
#[derive(Debug, Default)]
pub(crate) struct Log {
    cells: Vec<Logged>,
    saved: Vec<PathBuf>,
}

impl Log {
    /// Notes that `source` begins to run.
    pub(crate) fn begin(&mut self, source: &str) {
        self.cells.push(Logged { source: source.to_owned(), outputs: Vec::new(), failed: true });
    }

    /// Notes what the running cell has shown and how it ended.
    pub(crate) fn end(&mut self, outputs: Vec<Value>, failed: bool) {
        if let Some(cell) = self.cells.last_mut() {
            cell.outputs = outputs;
            cell.failed = failed;
        }
    }

    /// The number of the running cell, from 1.
    pub(crate) fn n_cells(&self) -> usize {
        self.cells.len()
    }

    /// Cell `number`, which ran before the running one.
    ///
    /// # Errors
    /// When no such cell was run.
    pub(crate) fn cell(&self, number: usize) -> Result<&str> {
        let n_before = self.cells.len().saturating_sub(1);
        number
            .checked_sub(1)
            .filter(|idx| *idx < n_before)
            .map(|idx| self.cells[idx].source.as_str())
            .ok_or_else(|| {
                let error = format!("there is no cell {number} to run again");
                Error::new(ErrorKind::NotFound, error).with_hint(match n_before {
                    0 => "nothing was run before".to_owned(),
                    last => format!("cells 1 to {last} were run in this session"),
                })
            })
    }

    /// The last cell before the running one that does more than running another again.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn last(&self) -> Result<&str> {
        let before = self.cells.iter().rev().skip(1);
        before
            .map(|cell| cell.source.as_str())
            .find(|source| !source.trim_start().starts_with(":rerun"))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "nothing was run before"))
    }

    /// Writes the session into `path`, in the form its name promises, and returns how many cells
    /// that are. A notebook holds everything with its outputs; a script leaves out what failed.
    ///
    /// # Errors
    /// When the name promises no form, the system refuses, or a file is there that this session did
    /// not write and `force` does not give up.
    pub(crate) fn save(&mut self, path: &Path, force: bool) -> Result<usize> {
        let form = Form::of(path)?;
        let is_ours = self.saved.iter().any(|saved| saved == path);
        if path.exists() && !is_ours && !force {
            let error = format!("file {path:?} exists already");
            return Err(Error::new(ErrorKind::Conflict, error)
                .with_hint("choose another name, or replace it with :save --force FILE"));
        }
        let cells: Vec<&Logged> = self
            .cells
            .iter()
            .filter(|cell| !cell.source.trim_start().starts_with(":save"))
            .filter(|cell| form == Form::Notebook || !cell.failed)
            .collect();
        let n_cells = cells.len();
        let sources = cells.iter().map(|cell| cell.source.as_str());
        let text = match form {
            Form::Notebook => {
                let cells = cells.iter().map(|cell| (cell.source.as_str(), &cell.outputs[..]));
                Notebook::new(cells).to_text()
            }
            Form::Rust => write_script(sources, true),
            Form::Inputs => write_script(sources, false),
        };
        write_atomically(path, text.as_bytes())?;
        self.saved.push(path.to_owned());
        Ok(n_cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(log: &mut Log, source: &str, failed: bool) {
        log.begin(source);
        log.end(Vec::new(), failed);
    }

    #[test]
    fn a_cell_cannot_run_itself_again() {
        let mut log = Log::default();
        ran(&mut log, "1", false);
        ran(&mut log, ":rerun 1", false);
        log.begin(":rerun last");
        assert_eq!(log.cell(1).unwrap(), "1");
        assert_eq!(log.last().unwrap(), "1");
        for number in [0, 3, 4] {
            assert_eq!(log.cell(number).unwrap_err().kind(), ErrorKind::NotFound, "{number}");
        }
    }

    #[test]
    fn a_script_leaves_out_what_failed_and_a_strangers_file_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::default();
        ran(&mut log, "let a = 1;", false);
        ran(&mut log, "let b = c;", true);
        log.begin(":save x.rs");
        let path = dir.path().join("x.rs");
        assert_eq!(log.save(&path, false).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "// %%\nlet a = 1;\n");
        assert_eq!(log.save(&path, false).unwrap(), 1, "its own file it may replace");
        let other = dir.path().join("other.ipynb");
        std::fs::write(&other, "mine").unwrap();
        assert_eq!(log.save(&other, false).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
        assert_eq!(log.save(&other, true).unwrap(), 2);
        assert!(log.save(&dir.path().join("x.txt"), false).is_err());
    }
}
