//! The format of a file. The content decides where it says it, then who asks, then the name.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use super::{compression::Compression, foreign::foreign};
use crate::{
    data::{
        container::Container,
        dialect::{Dialect, FileFormat},
    },
    error::{Error, ErrorKind, Result},
};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum InputFormat {
    /// Lines of fields, between which this byte usually stands.
    Delimited(u8),
    /// JSON objects.
    Json,
    Columnar(Container),
}

/// The beginning of a message of an Arrow stream: the mark, and a length of less than 16 MiB.
const ARROW_STREAM: &[u8] = &[0xff; 4];

/// The names of files that are read.
pub(in crate::data) const KNOWN_FORMATS: &str = "trialbook reads .csv, .tsv, .jsonl, .ndjson, .json, .parquet, \
                                                 .arrow and .feather, the texts also with .gz or .zst behind it, \
                                                 and the aclImdb folder";

impl InputFormat {
    /// The format of what is called `name` and, unpacked, begins with `head`. A pipe has no name that
    /// says anything.
    ///
    /// # Errors
    /// A file without rows, another format than the one asked for, or an unknown one.
    pub(super) fn of(name: &Path, head: &[u8], dialect: &Dialect, is_piped: bool) -> Result<Self> {
        let by_content =
            Container::ALL.into_iter().find(|container| head.starts_with(container.magic()));
        if let Some(container) = by_content {
            return Ok(Self::Columnar(container));
        }
        if let Some(foreign) = foreign(head) {
            return Err(Error::invalid(format!("{name:?}: {}, which is not read", foreign.what))
                .with_hint(foreign.advice));
        }
        if head.starts_with(ARROW_STREAM) {
            return Err(Error::invalid(format!("{name:?}: an Arrow stream, not an Arrow file"))
                .with_hint("write it in the file format (Feather version 2) or as Parquet"));
        }
        let said = dialect.format.or_else(|| FileFormat::of_name(&Compression::stripped(name)));
        let expected = match said {
            Some(FileFormat::Csv) => return Ok(Self::Delimited(b',')),
            Some(FileFormat::Tsv) => return Ok(Self::Delimited(b'\t')),
            Some(FileFormat::Json) => return Ok(Self::Json),
            Some(FileFormat::Parquet) => Container::Parquet,
            Some(FileFormat::Arrow) => Container::ArrowFile,
            None if is_piped || dialect.is_of_delimited() => {
                let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
                return Ok(match start.trim_ascii_start() {
                    [b'{' | b'[', ..] if !dialect.is_of_delimited() => Self::Json,
                    _ => Self::Delimited(b','),
                });
            }
            None => {
                let unpacked = Compression::stripped(name);
                let extension = unpacked.extension().unwrap_or_default().to_string_lossy();
                let what = match extension.is_empty() {
                    true => "a file without an extension".to_owned(),
                    false => format!("unknown extension {extension:?}"),
                };
                return Err(Error::invalid(format!("{name:?}: {what}"))
                    .with_hint(format!("{KNOWN_FORMATS}; say which one it is with --format")));
            }
        };
        Err(Error::invalid(format!(
            "{name:?}: not {expected}, it does not begin with {:?}",
            String::from_utf8_lossy(expected.magic())
        ))
        .with_hint("give the file the extension of what it holds, or download it again"))
    }
}

/// Both containers end as they begin; a download that broke off does not.
pub(super) fn check_tail(path: &Path, name: &Path, container: Container) -> Result<()> {
    let magic = container.magic();
    let fail = |source| Error::io("read", name, source);
    let mut file = File::open(path).map_err(fail)?;
    let length = file.seek(SeekFrom::End(0)).map_err(fail)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(magic.len() as u64))).map_err(fail)?;
    file.read_to_end(&mut tail).map_err(fail)?;
    if tail == magic && length > 2 * magic.len() as u64 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!(
            "{name:?}: truncated {container}, its {length} bytes do not end with {:?}",
            String::from_utf8_lossy(magic)
        ),
    )
    .with_hint("copy or download the file again"))
}
