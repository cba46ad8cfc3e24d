//! The call by which running Rust learns that the person asked for the stop.

use crate::{error::Result, progress::Interrupt};

/// Call this in a long loop: after an interrupt it returns the error that ends the cell and keeps
/// its variables.
///
/// ```
/// # use trialbook_library as trialbook;
/// fn long_work() -> trialbook::Result<u64> {
///     let mut sum = 0;
///     for step in 0..1000 {
///         trialbook::checkpoint()?;
///         sum += step;
///     }
///     Ok(sum)
/// }
/// assert_eq!(long_work()?, 499_500);
/// # Ok::<(), trialbook::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) after an interrupt.
pub fn checkpoint() -> Result<()> {
    Interrupt::of_process().check()
}
