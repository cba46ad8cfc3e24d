//! trialbook: the whole life of a text classifier in one program and one library.
//!
//! Data flows down this list of modules and imports run only upward in it: a module may use what
//! stands above it, never what stands below.

mod actor;
pub mod error;
mod figure;
pub mod output;
pub mod progress;
mod random;
mod reserved;
pub mod store;
#[cfg(test)]
mod stub_library;

pub mod data;
pub mod text;

pub mod plot;

pub mod model;

pub mod evaluate;
pub mod registry;

pub mod gate;
pub mod monitor;
#[cfg(all(feature = "program", not(trialbook_prelude)))]
mod pipeline;
#[cfg(all(feature = "program", not(trialbook_prelude)))]
pub mod serve;

pub mod book;
pub mod display;
pub mod prelude;
pub mod runtime;

#[cfg(all(feature = "program", not(trialbook_prelude)))]
pub mod toolchain;

#[cfg(all(feature = "program", not(trialbook_prelude)))]
pub mod command;

#[cfg(all(feature = "program", not(trialbook_prelude)))]
pub mod cell;
#[cfg(all(feature = "program", not(trialbook_prelude)))]
pub mod kernel;

#[cfg(all(feature = "program", not(trialbook_prelude)))]
mod shell;

#[cfg(all(feature = "program", not(trialbook_prelude)))]
pub mod cli;

pub use book::Book;
pub use error::{Error, ErrorKind, Result};
pub use runtime::checkpoint;

/// The README's example, compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
