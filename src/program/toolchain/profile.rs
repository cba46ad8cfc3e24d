//! The optimisation of a prelude.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::place::BuildFolders;

/// The optimisation of a prelude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BuildProfile {
    /// Builds in minutes, runs fast: what people work with.
    Release,
    /// Shares its dependencies with `cargo run` and `cargo test`.
    Dev,
}

impl BuildProfile {
    /// The profile whose dependencies are built already: the one this program was built with.
    pub fn of_this_program() -> Self {
        match BuildFolders::of_this_process().is_debug {
            Some(true) => Self::Dev,
            Some(false) | None => Self::Release,
        }
    }

    /// `release` or `dev`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }
}

impl fmt::Display for BuildProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
