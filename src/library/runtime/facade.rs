//! The functions that a cell calls by name which is compiled against the facade, `facade/lib.rs`, and not against
//! this library. Each is the part of a method that is not generic, or one that prints.

// A symbol under its own name is how a crate finds what it cannot name otherwise.
#![allow(unsafe_code)]

use std::{
    any::{Any, TypeId},
    fmt::Arguments,
};

use crate::{
    display::send_text,
    runtime::{Cell, Fresh, PrintsTo, mark, print::print, protocol::Ended},
};

/// [`Cell::guard`] of a cell whose errors are text.
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_run(
    cell: &mut Cell,
    code: &mut dyn FnMut(&mut Fresh) -> Option<String>,
) {
    cell.run(&mut |fresh| code(fresh).map(|message| Ended::Error { message }));
}

/// [`Cell::take`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_taken(cell: &mut Cell, name: &str) -> Option<Box<dyn Any>> {
    cell.taken(name)
}

/// [`Cell::has`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_has_type(
    cell: &mut Cell,
    name: &str,
    id: TypeId,
    type_name: &str,
) -> bool {
    cell.has_type(name, id, type_name)
}

/// [`Cell::shares`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_shares_type(
    cell: &mut Cell,
    name: &str,
    symbol: &str,
    id: TypeId,
) -> bool {
    cell.shares_type(name, symbol, id)
}

/// [`Cell::restore`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_put_back(cell: &mut Cell, name: &str, value: Box<dyn Any>) {
    cell.put_back(name, value);
}

/// [`Fresh::put`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_keep(fresh: &mut Fresh, name: &str, value: Box<dyn Any>) {
    fresh.keep(name, value);
}

/// [`Fresh::result`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_result() {
    mark::mark_result();
}

/// [`send_text`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_show(text: &str) {
    send_text(text.to_owned());
}

/// [`print`].
#[unsafe(no_mangle)]
pub extern "Rust" fn trialbook_cell_print(is_stdout: bool, cell: u64, text: Arguments<'_>) {
    print(if is_stdout { PrintsTo::Stdout } else { PrintsTo::Stderr }, cell, text);
}
