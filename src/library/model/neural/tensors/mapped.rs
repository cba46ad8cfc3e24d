//! A weights' file mapped into memory. The only unsafe code of this folder.
#![allow(unsafe_code)]

use std::{fs::File, ops::Range, path::Path};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

use crate::error::{Error, Result};

/// The bytes of a file, read when they are touched.
#[derive(Debug)]
pub(in crate::model::neural) struct MappedFile(Mmap);

impl MappedFile {
    /// Maps the whole file read-only.
    pub(in crate::model::neural) fn open(path: &Path) -> Result<Self> {
        let fail = |source| Error::io("map", path, source);
        let file = File::open(path).map_err(fail)?;
        // SAFETY: the mapping is read-only and only ever seen as bytes and numbers, for which every
        // bit pattern is valid. Model files are never rewritten in place (they are stored by their
        // checksum); another program that truncates one while it is in use ends this process with
        // SIGBUS, as it does for every reader of mapped weights.
        let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
        Ok(Self(map))
    }

    pub(in crate::model::neural) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives the pages that lie wholly inside `range` back to the system. They are read again from
    /// the file if they are ever touched again.
    pub(in crate::model::neural) fn release(&self, range: &Range<usize>) {
        const PAGE: usize = 4096;
        let start = range.start.next_multiple_of(PAGE);
        let end = range.end / PAGE * PAGE;
        if start >= end {
            return;
        }
        // SAFETY: the mapping is a shared, read-only view of a file: dropping its pages loses
        // nothing, and later reads see the same bytes. It is advice, so a refusal changes nothing.
        #[cfg(unix)]
        let _ =
            unsafe { self.0.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
    }
}
