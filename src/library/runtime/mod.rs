//! The code that runs beside a cell's own, inside the child process: the store of variables between
//! cells, the loop that loads and runs them, and the flag by which a person asks a cell to stop. It
//! knows nothing of compilers and front ends.

mod cell;
mod checkpoint;
#[doc(hidden)]
pub mod facade;
mod input;
mod kept;
mod mark;
mod panic;
mod print;
mod print_macros;
mod protocol;
mod session;
mod stdin;

pub use cell::{
    Cell, DebugError, DisplayError, Fresh, PrettyError, UserError, block_on, interruptible, shared,
};
pub use checkpoint::checkpoint;
pub use input::{input, password};
pub use kept::Kept;
#[doc(hidden)]
pub use print::{PrintsTo, print};
pub use protocol::{Ask, Ended, MARK, RUNTIME_SYMBOL, SOCKET_ENV, Tell};
pub use session::trialbook_runtime;

#[doc(hidden)]
pub use tokio;
