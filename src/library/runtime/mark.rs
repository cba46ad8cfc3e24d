//! The marks between what cells write on their streams.

use std::io::{self, Write};

use super::protocol::MARK;

/// Everything a cell wrote lies before this mark.
pub(super) fn end_streams() {
    let mark = format!("{MARK}end\n");
    let mut stdout = io::stdout().lock();
    let mut stderr = io::stderr().lock();
    // With a closed stream there is nobody to tell.
    let _ = stdout.write_all(mark.as_bytes()).and_then(|()| stdout.flush());
    let _ = stderr.write_all(mark.as_bytes()).and_then(|()| stderr.flush());
}

/// Marks what is shown from here on as the cell's value.
pub(crate) fn mark_result() {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(format!("{MARK}result\n").as_bytes());
}
