//! The Rust toolchain of this machine, and the prelude built with it: this package's library as a
//! dylib, compiled once and handed to every cell, so that no cell ever waits for a dependency.
//! It compiles no cells and starts no child but rustup, rustc and cargo; `group` ends those of others too.

mod build;
mod cargo;
mod facade;
mod group;
mod manifest;
mod message;
mod nested;
mod package;
mod place;
mod prelude;
mod profile;
mod rust;

pub(crate) use group::{GroupId, ProcessGroup};
pub use manifest::PreludeManifest;
pub(crate) use message::{CargoMessage, CompilerArtifact};
pub(crate) use nested::forget_outer_cargo;
pub use package::Package;
pub use prelude::{Help, InstalledPrelude, Lookup, Need, PreludeOrigin};
pub use profile::BuildProfile;
pub use rust::RustToolchain;
