//! What was typed, kept in the store and shared by shells and kernels: one JSON object a line,
//! appended whole, so that a kill loses nothing that was submitted and no writer waits for another.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    store::Store,
};

/// One submitted cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The session it was typed in: its start in milliseconds since 1970.
    pub session: u64,
    /// Its number within the session, from 1.
    pub line: u64,
    /// What was typed.
    pub source: String,
}

/// The history of one store, written by one session.
#[derive(Debug)]
pub struct History {
    store: Store,
    path: PathBuf,
    session: u64,
    next_line: u64,
}

impl History {
    /// The history of `store`. Nothing is read or made yet.
    pub fn new(store: &Store) -> Self {
        let session = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let path = store.root().join("history.jsonl");
        Self { store: store.clone(), path, session, next_line: 1 }
    }

    /// The number of this session.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Appends one submitted cell and returns its number.
    ///
    /// # Errors
    /// When the store's folder cannot be made or the file cannot be written.
    pub fn append(&mut self, source: &str) -> Result<u64> {
        let line = self.next_line;
        let entry = Entry { session: self.session, line, source: source.to_owned() };
        let mut text = serde_json::to_string(&entry).map_err(|source| {
            Error::invalid("cannot write this cell into the history").with_source(source)
        })?;
        text.push('\n');
        self.store.make_dir(self.store.root())?;
        // One write of a whole line in append mode: lines of several sessions never mix.
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| Error::io("write the history", &self.path, source))?;
        self.next_line += 1;
        Ok(line)
    }

    /// Everything ever submitted, oldest first. A line that is not an entry is passed over.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.map_err(|source| Error::io("read the history", &self.path, source))?,
        };
        Ok(BufReader::new(file)
            .lines()
            .map_while(|line| line.ok())
            .filter_map(|line| serde_json::from_str(&line).ok())
            .collect())
    }
}
