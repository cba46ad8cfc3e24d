//! Files packed with gzip or zstd: told by their first bytes, unpacked while they are read.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The packing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The packing of the file called `name` that begins with `head`.
    ///
    /// # Errors
    /// A name that says so, and bytes that do not.
    pub(super) fn of(name: &Path, head: &[u8]) -> Result<Self> {
        let by_content = [Self::Gzip, Self::Zstd].into_iter().find(|each| each.has_begun(head));
        match (by_content, Self::of_name(name)) {
            (Some(found), _) => Ok(found),
            (None, Self::None) => Ok(Self::None),
            // A program that packs on the fly may have been asked for nothing.
            (None, said) if !head.is_empty() => Err(Error::invalid(format!(
                "{name:?}: not {}, whatever its name says",
                said.name()
            ))
            .with_hint("give the file the extension of what it holds, or download it again")),
            (None, _) => Err(Error::invalid(format!("{name:?}: the file is empty"))),
        }
    }

    /// That what a packed file called `name` unpacks to, which begins with `head`, is not packed again.
    ///
    /// # Errors
    /// When it is: programs that pack on the fly pack what is packed already.
    pub(super) fn check_once(self, name: &Path, head: &[u8]) -> Result<()> {
        let inside = [Self::Gzip, Self::Zstd].into_iter().find(|each| each.has_begun(head));
        match inside {
            Some(inside) if self != Self::None => Err(Error::invalid(format!(
                "{name:?}: {} that is packed with {} again",
                inside.name(),
                self.name()
            ))
            .with_hint("unpack it once, and give the file that is in it")),
            _ => Ok(()),
        }
    }

    /// The packing that the last extension of `name` says.
    fn of_name(name: &Path) -> Self {
        let extension = name.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "gz" | "gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            _ => Self::None,
        }
    }

    /// `name` without the extension that says how it is packed.
    pub(super) fn stripped(name: &Path) -> PathBuf {
        match Self::of_name(name) {
            Self::None => name.to_owned(),
            Self::Gzip | Self::Zstd => name.with_extension(""),
        }
    }

    fn has_begun(self, head: &[u8]) -> bool {
        match self {
            Self::None => true,
            // RFC 1952: the mark, and deflate, the only method there is.
            Self::Gzip => head.starts_with(&[0x1f, 0x8b, 0x08]),
            // RFC 8878: a frame, or one to skip (as pzstd writes first).
            Self::Zstd => {
                head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                    || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "unpacked",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The unpacked bytes of `file`, all members or frames of it.
    pub(super) fn unpacked(self, file: File) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => Box::new(file),
            Self::Gzip => {
                let file = BufReader::with_capacity(64 << 10, file);
                Box::new(flate2::bufread::MultiGzDecoder::new(file))
            }
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        })
    }

    /// The error for a packed file that does not unpack, or cannot be read at all.
    pub(super) fn broken(self, name: &Path, source: io::Error) -> Error {
        // What the system says has a number of the system's.
        if self == Self::None || source.raw_os_error().is_some() {
            return Error::io("read", name, source);
        }
        let what = match source.kind() {
            io::ErrorKind::UnexpectedEof => "truncated",
            _ => "damaged",
        };
        Error::invalid(format!("{name:?}: {what} {}", self.name()))
            .with_source(source)
            .with_hint("copy or download the file again")
    }
}
