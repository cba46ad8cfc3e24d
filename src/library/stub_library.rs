//! Shared libraries made of a few lines, in place of drivers that a machine may not have.

// The tests of two crates each need a part.
#![allow(dead_code)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use libloading::Library;
use tempfile::TempDir;

/// A compiled library, there as long as this is.
pub(crate) struct StubLibrary {
    _folder: TempDir,
    path: PathBuf,
}

impl StubLibrary {
    /// Compiles `source`, the text of a crate.
    pub(crate) fn compile(source: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source_path, path) = (folder.path().join("stub.rs"), folder.path().join("stub.so"));
        fs::write(&source_path, source).unwrap();
        let compiled = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-o"])
            .args([&path, &source_path])
            .status();
        assert!(compiled.unwrap().success());
        Self { _folder: folder, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The library, which may be used as long as this lives.
    #[allow(unsafe_code)]
    pub(crate) fn load(&self) -> Library {
        // SAFETY: it was compiled by these tests and has no initialiser.
        unsafe { Library::new(&self.path) }.unwrap()
    }
}
