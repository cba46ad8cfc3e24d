//! The inputs that were typed, kept in the store and shared by shells and kernels: one JSON object
//! a line, appended whole, so that a kill loses nothing that was submitted and no writer waits for
//! another.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use trialbook::{
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
    /// The source that was typed.
    pub source: String,
}

/// The history of one store, written by one session.
#[derive(Debug)]
pub struct History {
    store: Store,
    path: PathBuf,
    session: u64,
    next_line: u64,
    /// The entries typed before there was a store to keep them in.
    pending: Vec<Entry>,
}

impl History {
    /// So many entries are read at most: years of typing.
    pub const MAX_ENTRIES: usize = 10_000;

    /// The history of `store`. Nothing is read or made yet.
    pub fn new(store: &Store) -> Self {
        let session = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let path = store.root().join("history.jsonl");
        Self { store: store.clone(), path, session, next_line: 1, pending: Vec::new() }
    }

    /// The number of this session.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Appends one submitted cell and returns its number. A store that is not there yet is not made
    /// for it: a mistyped folder would look like an empty store. What was typed until then follows
    /// once there is one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, source: &str) -> Result<u64> {
        let line = self.next_line;
        self.next_line += 1;
        self.pending.push(Entry { session: self.session, line, source: source.to_owned() });
        if self.store.root().is_dir() {
            self.write()?;
        }
        Ok(line)
    }

    /// Writes what waits.
    fn write(&mut self) -> Result<()> {
        let mut text = Vec::new();
        for entry in self.pending.drain(..) {
            serde_json::to_writer(&mut text, &entry).map_err(|source| {
                Error::invalid("cannot write this cell into the history").with_source(source)
            })?;
            text.push(b'\n');
        }
        let mut write = || {
            let mut file =
                OpenOptions::new().create(true).read(true).append(true).open(&self.path)?;
            // A full disk may have cut the last line short: ours must not end up behind it.
            if file.seek(SeekFrom::End(0))? > 0 {
                file.seek(SeekFrom::End(-1))?;
                let mut last = [0];
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    text.insert(0, b'\n');
                }
            }
            // One write of whole lines in append mode: lines of several sessions never mix.
            file.write_all(&text)
        };
        write().map_err(|source| Error::io("write the history", &self.path, source))
    }

    /// The entries submitted last, oldest first, at most [`History::MAX_ENTRIES`]. A line that is
    /// not an entry is passed over.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let fail = |source| Error::io("read the history", &self.path, source);
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(self.pending.clone());
            }
            file => file.map_err(fail)?,
        };
        let n_bytes = file.metadata().map_err(fail)?.len();
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(MAX_BYTES))).map_err(fail)?;
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(fail)?;
        let lines = text.split(|byte| *byte == b'\n');
        let mut entries: Vec<Entry> =
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        entries.extend(self.pending.iter().cloned());
        entries.drain(..entries.len().saturating_sub(Self::MAX_ENTRIES));
        Ok(entries)
    }
}

/// Older entries than fit into this are not read; starting must not take long.
const MAX_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(history: &History) -> Vec<String> {
        history.entries().unwrap().into_iter().map(|entry| entry.source).collect()
    }

    #[test]
    fn sessions_share_one_history() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let (mut one, mut other) = (History::new(&store), History::new(&store));
        assert_eq!(one.append("let a = 1;\nlet b = 2;").unwrap(), 1);
        assert_eq!(other.append(":runs list").unwrap(), 1);
        assert_eq!(one.append("3").unwrap(), 2);
        assert_eq!(sources(&one), ["let a = 1;\nlet b = 2;", ":runs list", "3"]);
    }

    #[test]
    fn damage_costs_only_the_line_it_hit() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::new(&Store::new(dir.path()));
        history.append("1").unwrap();
        let mut file = OpenOptions::new().append(true).open(&history.path).unwrap();
        file.write_all(b"\xff\xfe junk\n{\"session\":1,\"line\":2,\"sour").unwrap();
        history.append("2").unwrap();
        assert_eq!(sources(&history), ["1", "2"]);
    }

    #[test]
    fn no_store_is_made_for_the_history_but_it_follows_when_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("later");
        let mut history = History::new(&Store::new(&root));
        history.append("1").unwrap();
        assert!(!root.exists());
        assert_eq!(sources(&history), ["1"]);
        std::fs::create_dir(&root).unwrap();
        history.append("2").unwrap();
        assert_eq!(sources(&History::new(&Store::new(&root))), ["1", "2"]);
    }

    #[test]
    fn only_the_last_entries_of_a_long_history_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(&Store::new(dir.path()));
        let line = |n| format!("{{\"session\":1,\"line\":{n},\"source\":\"{n}\"}}\n");
        let text: String = (0..History::MAX_ENTRIES + 5).map(line).collect();
        std::fs::write(&history.path, text).unwrap();
        let found = sources(&history);
        assert_eq!((found.len(), found[0].as_str()), (History::MAX_ENTRIES, "5"));
    }
}
