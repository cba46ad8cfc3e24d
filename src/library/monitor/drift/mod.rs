//! Drift: the predictions of a window beside the reference profile of the version that made them. It judges
//! counts; where they come from is others' business.

mod alert;
mod charts;
mod compare;
mod counts;
mod report;
mod signal;
mod telling;

pub use alert::note_alert;
pub use compare::{DriftTexts, compare};
pub use report::{AlertNote, DriftReport};
pub use signal::{DriftOptions, DriftSignal, SignalName, WordShift};

#[cfg(test)]
mod tests;
