//! Which format a file has, and reading the two columns of it that matter. The content decides
//! before the extension does.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use super::{
    column::ColumnChoice,
    columnar::{self, Container},
    csv, folder, jsonl,
    raw::RawRows,
};
use crate::error::{Error, ErrorKind, Result};

/// The formats of files, with what tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Delimited(u8),
    JsonLines,
    Columnar(Container),
}

const KNOWN: &str = "trialbook reads .csv, .tsv, .jsonl, .ndjson, .parquet, .arrow, .feather and \
                     the aclImdb folder";

/// Reads one split from the file, or the folder of `pos` and `neg`, at `path`; also returns remarks
/// on what was guessed.
///
/// # Errors
/// A missing file, an unknown or broken format, and whatever its reader refuses.
pub(super) fn read(path: &Path, choice: ColumnChoice<'_>) -> Result<(RawRows, Vec<String>)> {
    if path.is_dir() {
        return folder::read_split(path).map(|rows| (rows, Vec::new()));
    }
    let bytes = || fs::read(path).map_err(|source| Error::io("read", path, source));
    match format(path)? {
        Format::Delimited(delimiter) => csv::read(path, &bytes()?, delimiter, choice),
        Format::JsonLines => jsonl::read(path, &bytes()?, choice),
        Format::Columnar(container) => columnar::read(path, container, choice),
    }
}

fn format(path: &Path) -> Result<Format> {
    let fail = |source| Error::io("read", path, source);
    let mut file = File::open(path).map_err(fail)?;
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head).map_err(fail)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let by_content =
        Container::ALL.into_iter().find(|container| head.starts_with(container.magic()));
    if let Some(container) = by_content {
        check_tail(&mut file, path, container)?;
        return Ok(Format::Columnar(container));
    }
    let expected =
        match extension.as_str() {
            "csv" => return Ok(Format::Delimited(b',')),
            "tsv" | "tab" => return Ok(Format::Delimited(b'\t')),
            "jsonl" | "ndjson" | "json" => return Ok(Format::JsonLines),
            "parquet" | "pq" => Container::Parquet,
            "arrow" | "feather" | "ipc" => Container::ArrowFile,
            "" => {
                return Err(Error::invalid(format!("{path:?}: a file without an extension"))
                    .with_hint(KNOWN));
            }
            other => {
                return Err(Error::invalid(format!("{path:?}: unknown extension {other:?}"))
                    .with_hint(KNOWN));
            }
        };
    if expected == Container::ArrowFile && head.starts_with(&[0xff; 4]) {
        return Err(Error::invalid(format!("{path:?}: an Arrow stream, not an Arrow file"))
            .with_hint("write it in the file format (Feather version 2) or as Parquet"));
    }
    Err(Error::invalid(format!(
        "{path:?}: not {expected}, it does not begin with {:?}",
        String::from_utf8_lossy(expected.magic())
    ))
    .with_hint("give the file the extension of what it holds, or download it again"))
}

/// Both containers end as they begin; a download that broke off does not.
fn check_tail(file: &mut File, path: &Path, container: Container) -> Result<()> {
    let magic = container.magic();
    let fail = |source| Error::io("read", path, source);
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
            "{path:?}: truncated {container}, its {length} bytes do not end with {:?}",
            String::from_utf8_lossy(magic)
        ),
    )
    .with_hint("copy or download the file again"))
}
