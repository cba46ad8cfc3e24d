//! How SQL is written: its tokens, which need be no whole query, and its words. The library rewrites
//! queries by them, and the program colours and completes by them. It knows no grammar.

mod token;
mod word;

pub use token::{Token, TokenKind, tokens};
pub use word::{is_in_expression, is_keyword, offered};
