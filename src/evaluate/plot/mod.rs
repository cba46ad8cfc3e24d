//! An evaluation as pictures: self-contained SVG that is readable on light and dark pages, and a
//! sketch in plain text. Written by hand: the pictures are few and simple, and a plotting crate
//! fixes its colours, which leaves dark pages out.

mod confusion;
mod curve;
mod frame;
mod sketch;
mod svg;

pub use confusion::confusion_plot;
pub use curve::{calibration_plot, precision_recall_plot, roc_plot};
