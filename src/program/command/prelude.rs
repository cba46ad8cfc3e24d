//! `prelude build|status`: the library that Rust cells are compiled against.

use clap::{Args, Subcommand};
use serde_json::json;
use trialbook::{
    book::now_ms,
    error::{Error, Result},
    figure::{bytes, count, seconds},
    hint::{CommandLine, Hint, Spelling},
    output::{Align, Output, Table},
};

use super::Session;
use crate::toolchain::{self, Help, Lookup, Made, Need, Profile, Toolchain};

/// The command that repairs a prelude that is stale or missing.
const REPAIR: &str = "prelude build";

/// The verbs on the prelude.
#[derive(Debug, Clone, Subcommand)]
pub enum Prelude {
    /// Compile the prelude; do nothing if a fresh one is there
    Build(Build),
    /// Show the compiler, the prelude, and whether it is fresh
    Status,
}

/// The settings of a build.
#[derive(Debug, Clone, Args)]
pub struct Build {
    /// The level of optimisation [default: as this program is]
    #[arg(long)]
    profile: Option<Profile>,
    /// Build even where a fresh one is there
    #[arg(long)]
    force: bool,
}

impl Prelude {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match self {
            Self::Build(build) => build.run(session),
            Self::Status => Ok(status()),
        }
    }
}

impl Build {
    fn run(&self, session: &Session) -> Result<Output> {
        let toolchain = Toolchain::detect()?;
        let profile = self.profile.unwrap_or_else(Profile::of_this_program);
        let need = if self.force { Need::New } else { Need::Fresh };
        let made = toolchain::Prelude::make(&toolchain, profile, need, &session.monitor)?;
        let (prelude, is_new) = match made {
            Made::Built(prelude) => (prelude, true),
            Made::Found(prelude) => (prelude, false),
        };
        let said = if is_new {
            format!(
                "built the prelude ({profile}) in {}: {} with {} crates in {}",
                seconds(prelude.manifest.build_s),
                bytes(prelude.manifest.dylib_bytes),
                count(prelude.manifest.n_deps),
                prelude.dir.display()
            )
        } else {
            format!("the prelude ({profile}) in {} is fresh", prelude.dir.display())
        };
        Ok(Output::new(json!({
            "built": is_new,
            "dir": prelude.dir,
            "profile": profile,
            "build_s": prelude.manifest.build_s,
            "dylib_bytes": prelude.manifest.dylib_bytes,
            "n_deps": prelude.manifest.n_deps,
            "deps_bytes": prelude.manifest.deps_bytes,
        }))
        .text(said))
    }
}

fn status() -> Output {
    let mut table = Table::new([("prelude", Align::Left), ("", Align::Left)]);
    let folder = toolchain::Prelude::folder();
    let toolchain = match Toolchain::detect() {
        Ok(toolchain) => toolchain,
        Err(error) => return without_compiler(table, &error),
    };
    table.push(["compiler", &toolchain.describe()]);
    table.push(["", &toolchain.rustc.display().to_string()]);
    let (state, said, prelude, changed) = match toolchain::Prelude::find(&toolchain) {
        Lookup::Fresh(prelude) => ("fresh", Hint::from("fresh"), Some(prelude), None),
        Lookup::Stale { prelude, changed } => {
            let said = Hint::from(format!("stale: {} has changed since; run ", changed.display()));
            let said = said.run(REPAIR);
            ("stale", said, Some(prelude), Some(changed))
        }
        Lookup::Missing => {
            let said = Hint::from("missing: the first Rust cell builds it, or ").run(REPAIR);
            ("missing", said, None, None)
        }
    };
    let is_being_built = toolchain::Prelude::is_being_built();
    let said = match (state, is_being_built) {
        ("missing", true) => "missing: another process builds it now".into(),
        (_, true) => said.say("; another process builds a new one now"),
        (_, false) => said,
    };
    table.push(["state"]);
    table.hint(1, said);
    if let Some(prelude) = &prelude {
        let manifest = &prelude.manifest;
        let age_s = (now_ms() - manifest.built_ms).max(0) as f64 / 1e3;
        table.push(["profile", manifest.profile.name()]);
        table.push(["built", &format!("{}, in {}", age(age_s), seconds(manifest.build_s))]);
        table.push([
            "size",
            &format!(
                "{}, and {} of metadata of {} crates",
                bytes(manifest.dylib_bytes),
                bytes(manifest.deps_bytes),
                count(manifest.n_deps)
            ),
        ]);
    }
    let help = prelude.as_ref().map(toolchain::Prelude::help);
    let completion = match &help {
        None => None,
        Some(Help::Ready) => Some(("ready", Hint::from("ready"))),
        Some(Help::NotYet) => Some(("not_yet", "the first session reads the sources".into())),
        Some(Help::Lost { package, root }) => {
            let said = format!(
                "off: the source of {package} is not there any more ({}); run ",
                root.display()
            );
            let repair = CommandLine::new(REPAIR).written("--force");
            Some(("off", Hint::from(said).run(repair)))
        }
    };
    let (completion, said) = completion.unzip();
    if let Some(said) = said {
        table.push(["completion"]);
        table.hint(1, said);
    }
    let dir = prelude.as_ref().map_or(folder.as_path(), |prelude| prelude.dir.as_path());
    table.push(["folder", &dir.display().to_string()]);
    Output::new(json!({
        "state": state,
        "being_built": is_being_built,
        "compiler": {
            "rustc": toolchain.rustc,
            "cargo": toolchain.cargo,
            "version": toolchain.version,
            "commit": toolchain.commit,
            "host": toolchain.host,
            "sysroot": toolchain.sysroot,
            "lib_dir": toolchain.lib_dir,
        },
        "folder": folder,
        "dir": prelude.as_ref().map(|prelude| &prelude.dir),
        "profile": prelude.as_ref().map(|prelude| prelude.profile),
        "built_ms": prelude.as_ref().map(|prelude| prelude.manifest.built_ms),
        "build_s": prelude.as_ref().map(|prelude| prelude.manifest.build_s),
        "dylib_bytes": prelude.as_ref().map(|prelude| prelude.manifest.dylib_bytes),
        "n_deps": prelude.as_ref().map(|prelude| prelude.manifest.n_deps),
        "deps_bytes": prelude.as_ref().map(|prelude| prelude.manifest.deps_bytes),
        "changed": changed,
        "completion": completion,
        "repair": (state != "fresh").then(|| CommandLine::new(REPAIR).spelled(Spelling::Program)),
    }))
    .table(table)
}

/// Status is an answer even where nothing can be built: commands work all the same.
fn without_compiler(mut table: Table, error: &Error) -> Output {
    table.push(["compiler", &error.chain()]);
    if let Some(hint) = error.hint() {
        table.push([""]);
        table.hint(1, hint.clone());
    }
    Output::new(json!({
        "state": "unavailable",
        "compiler": null,
        "error": error.chain(),
        "repair": error.hint(),
    }))
    .table(table)
}

/// The age of something in its largest whole unit: `3 h ago`.
fn age(age_s: f64) -> String {
    let (size, unit) = match age_s {
        s if s < 120.0 => return "just now".to_owned(),
        s if s < 2.0 * 3600.0 => (s / 60.0, "min"),
        s if s < 2.0 * 86400.0 => (s / 3600.0, "h"),
        s => (s / 86400.0, "days"),
    };
    format!("{:.0} {unit} ago", size.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_said_in_its_largest_whole_unit() {
        for (age_s, expected) in [
            (0.0, "just now"),
            (119.0, "just now"),
            (150.0, "2 min ago"),
            (3.9 * 3600.0, "3 h ago"),
            (50.0 * 3600.0, "2 days ago"),
        ] {
            assert_eq!(age(age_s), expected);
        }
    }
}
