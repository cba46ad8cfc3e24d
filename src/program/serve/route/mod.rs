//! The paths that a client can ask: the table of them, a file for each answer, and what those that
//! predict share. A handler reads a question, asks the state, and writes the answer; it refuses to
//! decide who gets in or which version answers.

mod answers;
mod ask;
mod body;
mod chunk;
mod drift;
mod endpoint;
mod explain;
mod feedback;
pub(super) mod health;
mod info;
mod metrics;
mod models;
mod object;
mod openapi;
mod page;
mod predict;
mod release;
mod split;
mod stream;
pub(super) mod table;
mod target;
mod texts;
mod turn;
