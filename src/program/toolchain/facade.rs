//! Making the facade: the small crate against which a cell is compiled that names nothing of the library. Cargo
//! knows nothing of it; the compiler makes it in a moment.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use trialbook::error::{Error, ErrorKind, Result};

use super::rust::RustToolchain;

/// Its source below the folder of sources. The other files it is made of are files of the library.
pub(super) const FACADE_SOURCE: &str = "src/library/facade/lib.rs";

/// Its place in a prelude's folder.
pub(super) fn facade_file(prelude: &Path) -> PathBuf {
    prelude.join("facade").join("libtrialbook.rlib")
}

/// Compiles it from `source` into the folder of a prelude. Of sources without one there is none, and every cell is
/// compiled against the prelude.
///
/// # Errors
/// When the compiler cannot be run or refuses it.
pub(super) fn make(toolchain: &RustToolchain, source: &Path, prelude: &Path) -> Result<()> {
    if !source.join(FACADE_SOURCE).is_file() {
        return Ok(());
    }
    let file = facade_file(prelude);
    let folder = file.parent().unwrap_or(prelude);
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::io("create the folder", folder, error))?;
    let mut rustc = Command::new(&toolchain.rustc);
    rustc
        .current_dir(source)
        .args(["--edition=2024", "--crate-type=rlib", "--crate-name=trialbook"])
        .args(["-Copt-level=1", "-Cprefer-dynamic", "--color=never", FACADE_SOURCE])
        .arg("-o")
        .arg(&file)
        .stdin(Stdio::null());
    let output =
        rustc.output().map_err(|error| Error::io("run the compiler", &toolchain.rustc, error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| line.starts_with("error")).unwrap_or("it says nothing");
    Err(Error::new(ErrorKind::Unavailable, format!("{FACADE_SOURCE} does not compile: {first}")))
}
