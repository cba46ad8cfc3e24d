//! The pictures of an evaluation: its curves and its confusion matrix.

mod confusion;
mod curve;
mod learning_curve;

pub use confusion::confusion_plot;
pub use curve::{calibration_plot, precision_recall_plot, roc_plot};
pub use learning_curve::learning_curve_plot;

use super::Evaluation;
use crate::{output::Plot, plot::Chart};

impl Evaluation {
    /// The ROC curves, where they are defined.
    pub fn roc_plot(&self) -> Option<Chart> {
        roc_plot(self.roc())
    }

    /// The precision-recall curves, where they are defined.
    pub fn precision_recall_plot(&self) -> Option<Chart> {
        precision_recall_plot(self.precision_recall())
    }

    /// Forecasts against what came about.
    pub fn calibration_plot(&self) -> Chart {
        let positive = self.confusion().classes().get(1).map_or("", String::as_str);
        let ece = self.metric("ece").expect("evaluate always computes it");
        calibration_plot(self.calibration(), positive, ece)
    }

    /// The confusion matrix.
    pub fn confusion_plot(&self) -> Plot {
        confusion_plot(self.confusion())
    }
}
