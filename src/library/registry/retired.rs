//! The header of a file whose registry was moved: in the place of redb's own a line that whoever looks
//! into the file can read. It names the copy that was kept, from which a move that was cut short goes
//! on. Why this stops older builds is told in `succession`.

use std::path::{Path, PathBuf};

use super::locked_file::Header;
use crate::error::{Error, ErrorKind, Result};

/// Its first bytes; redb's files begin with redb's own name.
const BEGIN: &str = "trialbook has moved this registry. As it was, it is kept in ";

/// The header of a file whose content is kept in `backup`, beside it.
pub(super) fn header(backup: &Path) -> Header {
    let name = backup.file_name().unwrap_or_default().to_string_lossy();
    let line = format!("{BEGIN}{name}\n");
    let mut header = [0; size_of::<Header>()];
    header[..line.len()].copy_from_slice(line.as_bytes());
    header
}

pub(super) fn is_retired(header: &Header) -> bool {
    header.starts_with(BEGIN.as_bytes())
}

/// The backup that the header of the file at `older` names.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if none lies there.
pub(super) fn backup(header: &Header, older: &Path) -> Result<PathBuf> {
    let text = String::from_utf8_lossy(header);
    let name = text.strip_prefix(BEGIN).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let path = older.with_file_name(name);
    if !name.is_empty() && !name.contains('/') && path.is_file() {
        return Ok(path);
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format!("the registry {older:?} was moved, and its copy {name:?} is missing"),
    )
    .with_hint("put that file back, or restore a backup into another folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_the_backup_that_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (older, kept) = (folder.path().join("registry.redb"), folder.path().join("kept.redb"));
        let retired = header(&kept);
        assert!(is_retired(&retired) && !is_retired(&[b'r'; size_of::<Header>()]));
        let error = backup(&retired, &older).unwrap_err();
        assert!(error.to_string().contains("\"kept.redb\" is missing"), "{error}");
        std::fs::write(&kept, "").unwrap();
        assert_eq!(backup(&retired, &older).unwrap(), kept);
        // Nothing outside of the folder is ever taken for it.
        assert!(backup(&header(Path::new("/")), &older).is_err());
    }
}
