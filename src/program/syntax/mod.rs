//! The languages that are typed into cells, as tokens: Rust here, SQL as the library cuts it. Everything
//! that looks at a half-written cell looks through these scanners; what parses complete Rust uses syn.
//! Nothing here knows what a cell or a command is.

mod depth;
mod rust;

pub(crate) use depth::Depth;
pub(crate) use rust::{KEYWORDS, TokenKind, is_word, tokens, word_start};
pub(crate) use trialbook::syntax as sql;
