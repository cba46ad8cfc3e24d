//! trialbook: the whole life of a text classifier in one program and one library.
//!
//! This crate hands on what the library has, so that a notebook needs one name:
//! `use trialbook::prelude::*;`. The program is the crate `trialbook_program`, which a notebook
//! switches off with `default-features = false`.

pub use trialbook_library::*;

/// The README's example, compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
