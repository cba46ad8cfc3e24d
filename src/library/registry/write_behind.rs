//! A file that is to be on the disk before it is named: the disk begins to write while the rest still
//! arrives, so that the sync at the end waits for little.

use std::{
    fs::File,
    io::{self, Write},
};

/// The disk is handed this much at a time.
const STEP_BYTES: u64 = 1 << 20;

/// How much of a file that is written from its beginning the disk has been handed.
#[derive(Debug, Default)]
pub(super) struct WriteBehind {
    n_handed: u64,
}

impl WriteBehind {
    /// Hands over what is new of `file`, in which `n_bytes` are written by now, if it is enough.
    pub(super) fn wrote(&mut self, file: &File, n_bytes: u64) {
        let n_new = n_bytes.saturating_sub(self.n_handed);
        if n_new < STEP_BYTES {
            return;
        }
        hand_over(file, self.n_handed, n_new);
        self.n_handed = n_bytes;
    }
}

/// Has the system write `n_bytes` from `offset` on, without waiting. One that does not leaves all of it to
/// the sync.
fn hand_over(file: &File, offset: u64, n_bytes: u64) {
    // Linux writes what is not on the disk before it would let go of it, and as it is not yet there, lets
    // go of nothing.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(
        file,
        offset,
        std::num::NonZeroU64::new(n_bytes),
        rustix::fs::Advice::DontNeed,
    );
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, n_bytes);
}

/// An empty file that is written behind.
pub(super) struct WrittenBehind<'a> {
    file: &'a File,
    n_bytes: u64,
    behind: WriteBehind,
}

impl<'a> WrittenBehind<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, n_bytes: 0, behind: WriteBehind::default() }
    }
}

impl Write for WrittenBehind<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.file.write(bytes)?;
        self.n_bytes += n_written as u64;
        self.behind.wrote(self.file, self.n_bytes);
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_early_is_what_was_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..5_000_003u32).map(|n| (n % 251) as u8).collect();
        let mut written = WrittenBehind::new(file.as_file());
        for piece in content.chunks(300_000) {
            written.write_all(piece).unwrap();
        }
        assert_eq!(written.behind.n_handed / STEP_BYTES, 4);
        assert!(std::fs::read(file.path()).unwrap() == content);
    }
}
