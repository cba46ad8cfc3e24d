//! The weight of a check that is not met.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The weight of a check that is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The version is blocked.
    #[default]
    Block,
    /// The verdict says so, and the version passes.
    Warn,
}

impl Level {
    /// True for what verdicts of old knew alone.
    pub(super) fn is_block(&self) -> bool {
        *self == Self::Block
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Block => "block",
            Self::Warn => "warn",
        })
    }
}
