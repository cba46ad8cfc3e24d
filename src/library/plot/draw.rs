//! A chart as a finished picture, in every form.

use std::sync::Arc;

use super::{Chart, picture, sketch, vega};
use crate::output::Plot;

impl Chart {
    /// The finished picture.
    pub fn draw(&self) -> Plot {
        let sketched = Arc::new(self.clone());
        Plot::new(&self.title, picture::svg(self), vega::chart(self), move |width| {
            sketch::text(&sketched, width)
        })
    }
}
