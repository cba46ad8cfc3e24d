//! `println!` and its kin for cells: two streams keep no order between them, so whenever a cell turns
//! from one to the other both get a mark, and who reads them can tell which came first.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use super::{input::is_served, protocol::MARK};

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintsTo {
    /// `print!`.
    Stdout,
    /// `eprint!`.
    Stderr,
}

/// Says that what is printed next goes to `stream`. Outside of a session of ours it does nothing.
pub fn turn(stream: PrintsTo) {
    static LAST: Mutex<(PrintsTo, u64)> = Mutex::new((PrintsTo::Stdout, 0));
    if !is_served() {
        return;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.0 == stream {
        return;
    }
    *last = (stream, last.1 + 1);
    let mark = format!("{MARK}turn {}\n", last.1);
    let mut stdout = io::stdout().lock();
    let mut stderr = io::stderr().lock();
    // With a closed stream there is nobody to tell.
    let _ = stdout.write_all(mark.as_bytes()).and_then(|()| stdout.flush());
    let _ = stderr.write_all(mark.as_bytes()).and_then(|()| stderr.flush());
}

/// [`std::print!`], in order with what goes to standard error.
#[doc(hidden)]
#[macro_export]
macro_rules! __print {
    ($($arg:tt)*) => {{
        $crate::runtime::turn($crate::runtime::PrintsTo::Stdout);
        ::std::print!($($arg)*)
    }};
}

/// [`std::println!`], in order with what goes to standard error.
#[doc(hidden)]
#[macro_export]
macro_rules! __println {
    ($($arg:tt)*) => {{
        $crate::runtime::turn($crate::runtime::PrintsTo::Stdout);
        ::std::println!($($arg)*)
    }};
}

/// [`std::eprint!`], in order with what goes to standard output.
#[doc(hidden)]
#[macro_export]
macro_rules! __eprint {
    ($($arg:tt)*) => {{
        $crate::runtime::turn($crate::runtime::PrintsTo::Stderr);
        ::std::eprint!($($arg)*)
    }};
}

/// [`std::eprintln!`], in order with what goes to standard output.
#[doc(hidden)]
#[macro_export]
macro_rules! __eprintln {
    ($($arg:tt)*) => {{
        $crate::runtime::turn($crate::runtime::PrintsTo::Stderr);
        ::std::eprintln!($($arg)*)
    }};
}

/// [`std::dbg!`], in order with what goes to standard output.
#[doc(hidden)]
#[macro_export]
macro_rules! __dbg {
    ($($arg:tt)*) => {{
        $crate::runtime::turn($crate::runtime::PrintsTo::Stderr);
        ::std::dbg!($($arg)*)
    }};
}
