//! The drawing room: charts from numbers or from a frame, each drawn once as a self-contained SVG,
//! as Vega-Lite and, when it is shown, as a sketch in plain text. What is worth drawing is decided
//! elsewhere.
//!
//! Drawn by hand: the charts are few and simple, and a plotting crate fixes its colours, which
//! leaves dark pages out, and knows neither Vega-Lite nor text.

mod bars;
mod chart;
mod draw;
mod file;
mod frame;
mod groups;
mod histogram;
mod marks;
mod picture;
mod plotter;
mod scale;
mod scales;
mod sketch;
pub(crate) mod svg;
mod vega;

pub use chart::Chart;
pub(crate) use chart::MAX_SERIES;
#[cfg(feature = "png")]
pub use file::png;
pub use marks::{Bin, Series};
pub use plotter::{Plotter, plot};
pub(crate) use vega::spec as vega_lite;
