//! A file of lines that several processes write at its end. Each piece goes out whole; what a killed
//! process left of a line never becomes the beginning of the next one. What the lines say is the
//! business of those who write them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The file as this process has it open.
#[derive(Debug)]
pub(super) struct AppendedFile {
    path: PathBuf,
    file: File,
    /// True if the file ends in a part of a line: the next one must not become its rest.
    is_torn: bool,
}

impl AppendedFile {
    /// Opens the file at `path`, which is made if need be. The folder may have gone with a store that was
    /// put back without its logs; a store that is gone is not made anew.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let open = || OpenOptions::new().create(true).append(true).read(true).open(&path);
        let made = |dir: &Path| fs::create_dir(dir).is_ok();
        let file = match open() {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(made) =>
            {
                open()
            }
            opened => opened,
        };
        let file = file.map_err(|source| refused("open", &path, source))?;
        let mut opened = Self { path, file, is_torn: false };
        opened.look_at_end()?;
        Ok(opened)
    }

    /// Opens the file that lies at the path now, if that is another one: someone set it aside or took it
    /// away. True if it is.
    pub(super) fn follow(&mut self) -> Result<bool> {
        if is_at(&self.file, &self.path) {
            return Ok(false);
        }
        *self = Self::open(self.path.clone())?;
        Ok(true)
    }

    /// Learns again whether the file ends in a part of a line: another process may have left one.
    pub(super) fn look_at_end(&mut self) -> Result<()> {
        let mut last = [b'\n'];
        if self.n_bytes()? > 0 {
            let read =
                self.file.seek(SeekFrom::End(-1)).and_then(|_| self.file.read_exact(&mut last));
            read.map_err(|source| refused("open", &self.path, source))?;
        }
        self.is_torn = last != [b'\n'];
        Ok(())
    }

    pub(super) fn n_bytes(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        metadata.map(|found| found.len()).map_err(|source| Error::io("write", &self.path, source))
    }

    /// The open file, to be read, locked and synced.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Writes `lines`, and counts in `n_written` how many bytes of them are written.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>, n_written: &mut usize) -> Result<()> {
        let n_bytes_before = usize::from(self.is_torn);
        if self.is_torn {
            // In one piece with the lines: another process may write in between.
            lines.insert(0, b'\n');
        }
        let outcome = write_all(&mut self.file, lines, n_written);
        if *n_written > 0 {
            self.is_torn = lines[*n_written - 1] != b'\n';
        }
        // The end of another line is none of these.
        *n_written = (*n_written).max(n_bytes_before);
        outcome.map_err(|source| Error::io("write", &self.path, source))
    }
}

/// As [`Write::write_all`], and counts in `n_written` how many bytes were.
pub(super) fn write_all(
    file: &mut impl Write,
    bytes: &[u8],
    n_written: &mut usize,
) -> io::Result<()> {
    while *n_written < bytes.len() {
        match file.write(&bytes[*n_written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n_bytes) => *n_written += n_bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The error for a log that cannot be written, with the way to go on where nothing may be written
/// at all.
pub(super) fn refused(action: &str, path: &Path, source: io::Error) -> Error {
    let is_forbidden = matches!(
        source.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    );
    let error = Error::io(action, path, source);
    match is_forbidden {
        true => error
            .with_hint("check the permissions, or turn the log of predictions off with --no-log"),
        false => error,
    }
}

/// True if `file` is still what lies at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}
