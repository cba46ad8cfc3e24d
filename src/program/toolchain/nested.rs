//! A cargo below a cargo: this program may itself have been started by `cargo run`.

use std::{env, process::Command};

/// The variables that `cargo run` and `cargo test` set for the program they start, beside
/// `CARGO_PKG_…`.
const TOLD: [&str; 7] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
];

/// Keeps from `cargo` what another cargo told this program about itself. Build scripts look at it,
/// ring's for one, and a cargo that inherits it builds them and all that stands on them again: polars
/// among it.
pub(crate) fn forget_outer_cargo(cargo: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || TOLD.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
}
