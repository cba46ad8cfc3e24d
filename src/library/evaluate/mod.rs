//! Measures of predictions: pure functions on slices, and their pictures. Nothing here trains,
//! loads or stores anything.
//!
//! Definitions are scikit-learn's and metrics are `f64`. linfa's `ConfusionMatrix` is not used: its
//! counts are `f32` and private, it knows only the classes that occur, its precision and recall
//! are exchanged, its macro F1 is not the mean of the classes' F1, and it divides by zero. In the
//! tests it is an oracle where it agrees.

mod answers;
mod artifact;
mod bootstrap;
mod calibration;
mod classifier;
mod confident;
mod evaluation;
mod mistake;
mod paired;
mod plot;
mod power;
mod ranking;
mod report;
mod score;
mod threshold;

pub use answers::SplitAnswers;
pub use artifact::artifacts;
pub use bootstrap::{PairedBootstrap, PairedDifference, paired_bootstrap};
pub use calibration::{CalibrationBin, CalibrationCurve, Forecast, N_BINS, calibration_error};
pub use classifier::{evaluate_on, predict_on};
pub use confident::{ConfidentLearning, LabelDoubt, confident_learning};
pub use evaluation::{Evaluation, MAX_CURVE_POINTS, evaluate, evaluate_answers};
pub use mistake::{Confusion, Mistake, confusions, mistakes};
pub(crate) use paired::quantile;
pub use paired::{McNemar, agreement, mcnemar};
pub use plot::{calibration_plot, confusion_plot, precision_recall_plot, roc_plot};
pub use power::{n_to_tell, tellable_difference};
pub use ranking::{PrecisionRecallCurve, Ranking, RocCurve};
pub use score::{brier, log_loss};
pub use threshold::choose_threshold;

pub use crate::model::{Averages, ConfusionMatrix};
