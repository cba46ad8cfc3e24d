//! The shell: cells typed in a terminal, piped in, given as arguments or kept in a file. It edits,
//! shows and turns signals into interrupts; what a cell means is the business of [`crate::cell`].

mod bar;
mod batch;
mod editor;
mod hint;
mod interactive;
mod paint;
mod picture;
mod question;
mod screen;
mod signals;
mod terminal;

pub(crate) use bar::Bar;
pub(crate) use batch::{FileRun, run_cells, run_file, run_stdin};
pub(crate) use interactive::run as run_interactive;
pub(crate) use terminal::Terminal;
