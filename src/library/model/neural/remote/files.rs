//! The files that a training needs and makes, in pieces: read from one folder, written below another, and
//! never anywhere else.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Component, Path, PathBuf},
};

use super::message::RemoteMessage;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of a piece.
const PIECE_BYTES: usize = 4 << 20;
/// The most that one side takes from the other.
const MAX_BYTES: u64 = 16 << 30;
const MAX_FILES: usize = 4096;

/// Hands the file at `path` piece by piece to `send`, under `name`.
///
/// # Errors
/// When it cannot be read, and what `send` returns.
pub fn sent_in_pieces(
    path: &Path,
    name: &str,
    send: &mut dyn FnMut(RemoteMessage, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let fail = |source| Error::io("read", path, source);
    let mut file = File::open(path).map_err(fail)?;
    loop {
        let mut bytes = Vec::new();
        let n_read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut bytes).map_err(fail)?;
        let last = n_read < PIECE_BYTES;
        send(RemoteMessage::Piece { name: name.to_owned(), last }, bytes)?;
        if last {
            return Ok(());
        }
    }
}

/// The files in `folder` that a training is continued from, in the order in which they have to appear.
///
/// # Errors
/// When the folder cannot be read.
pub fn kept_files(folder: &Path) -> Result<Vec<String>> {
    let start = folder.join("start");
    let mut names = Vec::new();
    if start.is_dir() {
        names = file_names(&start)?;
        // It says that the others are whole.
        names.sort_by_key(|name| name == "origin.txt");
        names.iter_mut().for_each(|name| name.insert_str(0, "start/"));
    }
    if folder.join("train_state.safetensors").is_file() {
        names.push("train_state.safetensors".to_owned());
    }
    Ok(names)
}

/// The names of the files in `folder`, without those of folders in it.
pub(super) fn file_names(folder: &Path) -> Result<Vec<String>> {
    let fail = |source| Error::io("read", folder, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.path().is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A folder that takes the other side's files.
pub struct IncomingFiles {
    root: PathBuf,
    open: Option<(String, File)>,
    whole: Vec<String>,
    n_files: usize,
    n_bytes: u64,
}

impl IncomingFiles {
    /// Files appear below `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), open: None, whole: Vec::new(), n_files: 0, n_bytes: 0 }
    }

    /// Takes the next bytes of the file `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that leads elsewhere, pieces out of order and more than is taken;
    /// an error of the system.
    pub fn take(&mut self, name: &str, last: bool, bytes: &[u8]) -> Result<()> {
        self.n_bytes = self.n_bytes.saturating_add(bytes.len() as u64);
        if self.n_bytes > MAX_BYTES {
            return Err(Error::invalid(format!(
                "the other side sent more than {} GiB, the most that a training takes",
                MAX_BYTES >> 30
            )));
        }
        let path = self.path(name)?;
        let fail = |source| Error::io("write", &path, source);
        let mut file = match self.open.take() {
            Some((open, file)) if open == name => file,
            Some((open, _)) => {
                return Err(Error::invalid(format!(
                    "file {name:?} came before the end of {open:?}"
                )));
            }
            None => {
                self.n_files += 1;
                if self.n_files > MAX_FILES {
                    return Err(Error::invalid(format!("more than {MAX_FILES} files were sent")));
                }
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(fail)?;
                }
                File::create(&path).map_err(fail)?
            }
        };
        file.write_all(bytes).map_err(fail)?;
        if last {
            file.sync_all().map_err(fail)?;
            self.whole.push(name.to_owned());
        } else {
            self.open = Some((name.to_owned(), file));
        }
        Ok(())
    }

    /// The files below `prefix` that became whole since the last call, in their order. They may be
    /// many: a training keeps as many states as it takes.
    pub fn taken(&mut self) -> Vec<String> {
        (self.n_files, self.n_bytes) = (0, 0);
        std::mem::take(&mut self.whole)
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(name);
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.is_empty() || name.len() > 255 || !path.components().all(is_plain) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("file name {name:?}: expected a path inside the folder of the training"),
            ));
        }
        Ok(self.root.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_folder_and_pieces_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut incoming = IncomingFiles::new(folder.path());
        for name in ["", "/etc/passwd", "../x", "a/../../x", "a/..", "."] {
            assert_eq!(
                incoming.take(name, true, b"").unwrap_err().kind(),
                ErrorKind::Invalid,
                "{name}"
            );
        }
        incoming.take("a/b", false, b"1").unwrap();
        incoming.take("a/b", true, b"2").unwrap();
        assert_eq!(fs::read(folder.path().join("a/b")).unwrap(), b"12");
        assert_eq!(incoming.taken(), ["a/b"]);
        incoming.take("c", false, b"1").unwrap();
        assert!(incoming.take("d", true, b"").is_err());
    }
}
