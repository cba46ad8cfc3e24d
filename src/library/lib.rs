//! The library of trialbook: the whole life of a text classifier. It is used as the crate
//! `trialbook`, which hands all of it on under the same paths.
//!
//! Data flows down this list of modules and imports run only upward in it: a module may use what
//! stands above it, never what stands below.

mod actor;
mod clock;
pub mod figure;
pub mod hint;

pub mod error;

pub mod address;
mod markup;
pub mod output;
pub mod progress;
mod random;
pub mod reserved;
pub mod s3;
pub mod span;
pub mod store;
#[cfg(test)]
mod stub_library;
pub mod syntax;
mod trust;

pub mod data;
pub mod text;

pub mod plot;

mod confusion;
pub mod model;

pub mod evaluate;
pub mod registry;

pub mod gate;
pub mod monitor;

pub mod exchange;

pub mod book;
pub mod display;
pub mod prelude;
pub mod runtime;

pub use book::Book;
pub use error::{Error, ErrorKind, Result};
pub use runtime::checkpoint;
