//! The sources of rows: a file, an object in S3, a pipe or standard input, packed or not, in any encoding. An
//! [`Input`] can be read from its beginning any number of times; what cannot is kept in a temporary
//! file first.

mod compression;
mod foreign;
mod format;
mod text;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tempfile::NamedTempFile;

pub(super) use {
    format::{InputFormat, KNOWN_FORMATS},
    text::TextReader,
};

use self::compression::Compression;
use super::{
    dialect::Dialect,
    encoding::{self, TextEncoding},
};
use crate::{
    error::{Error, Result},
    s3::{self, S3Url},
};

/// The path that means standard input or output.
pub const STANDARD: &str = "-";

/// Longest record of a text file. A longer one is a quote that was never closed, or no text at all.
pub(super) const MAX_RECORD_BYTES: usize = 64 << 20;

/// The number of bytes of a file that are looked at to tell its format.
const HEAD_BYTES: usize = 4_096;

/// True if this process may read its standard input and write its standard output as data.
static OWNS_STANDARD_STREAMS: AtomicBool = AtomicBool::new(false);

/// Says that standard input and output belong to whoever called this program, so that `-` means
/// them. In a notebook and in the shell they belong to the cells.
pub fn own_standard_streams() {
    OWNS_STANDARD_STREAMS.store(true, Ordering::Relaxed);
}

/// # Errors
/// When `-` does not mean standard input and output here.
pub(crate) fn check_standard_streams() -> Result<()> {
    match OWNS_STANDARD_STREAMS.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err(Error::invalid("\"-\": here standard input and output belong to the cells")
            .with_hint("name a file, or run the command from the command line")),
    }
}

/// Something to read rows from.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// As messages call it.
    name: PathBuf,
    origin: InputBytes,
    format: InputFormat,
    dialect: Dialect,
    notes: Vec<String>,
}

/// Bytes that can be read again.
#[derive(Debug, Clone)]
struct InputBytes {
    path: PathBuf,
    /// Keeps the temporary file that `path` names.
    spooled: Option<Arc<NamedTempFile>>,
    compression: Compression,
}

impl InputBytes {
    /// The bytes, unpacked.
    fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        self.compression.unpacked(File::open(&self.path)?)
    }

    fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.reader()?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok(head)
    }
}

impl Input {
    /// Finds out what is at `path`; `-` is standard input.
    ///
    /// # Errors
    /// A file that cannot be read, is of no format that is read, or is in another encoding than
    /// UTF-8 or the one that `dialect` names.
    pub(super) fn open(path: &Path, dialect: &Dialect) -> Result<Self> {
        dialect.check()?;
        let (name, mut origin) = found(path)?;
        let fail = |source| Error::io("read", &name, source);
        let packed = origin.head().map_err(fail)?;
        origin.compression = Compression::of(&name, &packed)?;
        let head = match origin.compression {
            Compression::None => packed,
            compression => origin.head().map_err(|source| compression.broken(&name, source))?,
        };
        origin.compression.check_once(&name, &head)?;
        let format = InputFormat::of(&name, &head, dialect, origin.spooled.is_some())?;
        if let InputFormat::Columnar(container) = format {
            if dialect.is_of_delimited() || dialect.encoding.is_some() {
                return Err(Error::invalid(format!(
                    "{name:?}: {container} has no delimiter, quotes or encoding"
                ))
                .with_hint("leave the options of CSV out"));
            }
            if origin.compression != Compression::None {
                let reader = origin.reader().map_err(fail)?;
                origin = spool(&name, reader, origin.compression)?;
            }
            format::check_tail(&origin.path, &name, container)?;
        } else if dialect.encoding.is_none()
            && let Some(found) = encoding::by_marks(&head)
        {
            return Err(found.refused(&name, "the file"));
        }
        let notes = dialect.encoding.iter().filter_map(TextEncoding::note).collect();
        Ok(Self { name, origin, format, dialect: dialect.clone(), notes })
    }

    /// Its name in messages: its path.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    pub(super) fn format(&self) -> InputFormat {
        self.format
    }

    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The notes: guesses, and choices in place of what was said.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The file that holds its bytes, for formats that are read from several places at once.
    pub(super) fn file_path(&self) -> &Path {
        &self.origin.path
    }

    /// The text from its beginning, in UTF-8.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn text(&self) -> Result<TextReader> {
        TextReader::open(&self.name, &self.origin, self.dialect.encoding)
    }
}

/// The name of a file without the extension that says how it is packed.
pub(super) fn unpacked_name(path: &Path) -> PathBuf {
    Compression::stripped(path)
}

/// The whole text of the file at `path`, which is one text.
///
/// # Errors
/// When it cannot be read, or is not in UTF-8 or the `encoding` named.
pub(super) fn text_of(path: &Path, encoding: Option<TextEncoding>) -> Result<String> {
    let origin =
        InputBytes { path: path.to_owned(), spooled: None, compression: Compression::None };
    let mut reader = TextReader::open(path, &origin, encoding)?;
    let mut text = String::new();
    while reader.append(&mut text, 1 << 20)? {}
    Ok(text)
}

/// The place of the bytes of `path`, and its origin.
fn found(path: &Path) -> Result<(PathBuf, InputBytes)> {
    if path == Path::new(STANDARD) {
        check_standard_streams()?;
        let name = PathBuf::from("<stdin>");
        let origin = spool(&name, io::stdin().lock(), Compression::None)?;
        return Ok((name, origin));
    }
    if let Some(url) = S3Url::of_path(path)? {
        return Ok((path.to_owned(), fetched(&url)?));
    }
    let metadata = fs::metadata(path).map_err(|source| Error::io("read", path, source))?;
    // A pipe, such as `<(sort reviews.csv)`, is there once.
    if !metadata.is_file() && !metadata.is_dir() {
        let file = File::open(path).map_err(|source| Error::io("read", path, source))?;
        return Ok((path.to_owned(), spool(path, file, Compression::None)?));
    }
    let origin =
        InputBytes { path: path.to_owned(), spooled: None, compression: Compression::None };
    Ok((path.to_owned(), origin))
}

/// Keeps a copy of the object at `url`.
fn fetched(url: &S3Url) -> Result<InputBytes> {
    let mut kept = spool_file()?;
    s3::fetch(url, kept.as_file_mut())?;
    Ok(spooled(kept))
}

/// Keeps what `reader` gives in a temporary file.
fn spool(name: &Path, mut reader: impl Read, packing: Compression) -> Result<InputBytes> {
    let mut kept = spool_file()?;
    io::copy(&mut reader, kept.as_file_mut()).map_err(|source| match packing {
        Compression::None => Error::io("read", name, source),
        packing => packing.broken(name, source),
    })?;
    Ok(spooled(kept))
}

fn spool_file() -> Result<NamedTempFile> {
    NamedTempFile::new().map_err(|source| {
        Error::io("make a file", &std::env::temp_dir(), source)
            .with_hint("set TMPDIR to a folder with room for the data")
    })
}

fn spooled(kept: NamedTempFile) -> InputBytes {
    InputBytes {
        path: kept.path().to_owned(),
        spooled: Some(Arc::new(kept)),
        compression: Compression::None,
    }
}
