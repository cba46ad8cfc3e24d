//! The Rust toolchain of this machine, and the prelude built with it: this package's library as a
//! dylib, compiled once and handed to every cell, so that no cell ever waits for a dependency.
//! It compiles no cells and starts no child but rustup, rustc and cargo; `group` ends those of others too.

mod build;
mod cargo;
mod group;
mod manifest;
mod message;
mod nested;
mod package;
mod place;
mod prelude;
mod profile;
mod rust;

pub(crate) use group::{Group, GroupId};
pub use manifest::Manifest;
pub(crate) use message::{Artifact, Message};
pub(crate) use nested::forget_outer_cargo;
pub use package::Package;
pub use prelude::{Help, Lookup, Made, Need, Prelude};
pub use profile::Profile;
pub use rust::Toolchain;
