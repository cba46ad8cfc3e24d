//! Measures of predictions: pure functions on slices, and their pictures. Nothing here trains,
//! loads or stores anything.
//!
//! Definitions are scikit-learn's and metrics are `f64`. linfa's `ConfusionMatrix` is not used: its
//! counts are `f32` and private, it knows only the classes that occur, its precision and recall
//! are exchanged, its macro F1 is not the mean of the classes' F1, and it divides by zero. In the
//! tests it is an oracle where it agrees.

mod answers;
mod artifact;
mod behaviour;
mod bootstrap;
mod calibration;
mod classifier;
mod confident;
mod drift;
mod evaluation;
mod learning_curve;
mod mistake;
mod normal;
mod paired;
mod performance_estimate;
mod plot;
mod power;
mod power_law;
mod ranking;
mod report;
mod score;
mod sequential;
mod share;
mod slice;
mod special;
mod threshold;

pub use answers::SplitAnswers;
pub use artifact::artifacts;
pub use behaviour::{
    BehaviourAnswer, BehaviourCase, BehaviourExpectation, BehaviourFailure, BehaviourKind,
    BehaviourReport, BehaviourResult, BehaviourSuite, BehaviourTest, run_behaviour,
};
pub use bootstrap::{PairedBootstrap, PairedDifference, paired_bootstrap};
pub(crate) use calibration::confidence_bin;
pub use calibration::{CalibrationBin, CalibrationCurve, Forecast, N_BINS, calibration_error};
pub use classifier::{answer_on, evaluate_on, predict_on};
pub use confident::{ConfidentLearning, LabelDoubt, confident_learning};
pub use drift::{
    AucInterval, Discrepancy, DomainComparison, DomainWord, Signal, SignalLevel, SignalThresholds,
    TestResult, auc_interval, chi_squared, compare_domains, hellinger_distance,
    jensen_shannon_distance, kolmogorov_smirnov, kolmogorov_smirnov_counts, l_infinity_distance,
    maximum_mean_discrepancy, normed_wasserstein, normed_wasserstein_counts, overall_level,
    population_stability_index, signal_levels,
};
pub use evaluation::{Evaluation, MAX_CURVE_POINTS, evaluate, evaluate_answers};
pub use learning_curve::{CurvePoint, Extrapolation, LearningCurve};
pub use mistake::{Confusion, Mistake, confusions, mistakes};
pub(crate) use paired::quantile;
pub use paired::{McNemar, agreement, mcnemar};
pub use performance_estimate::{
    EstimatedMetric, ExpectedConfusion, PerformanceEstimate, estimate_performance,
};
pub use plot::{
    calibration_plot, confusion_plot, learning_curve_plot, precision_recall_plot, roc_plot,
};
pub use power::{n_to_tell, tellable_difference};
pub use ranking::{PrecisionRecallCurve, Ranking, RocCurve};
pub use score::{brier, is_loss, log_loss};
pub use sequential::{AnytimeComparison, compare_anytime, compare_paired_anytime};
pub use share::{RightAnswers, false_discovery_rates};
pub use slice::{
    FoundSlice, RowFeatures, Slice, SliceFeature, SliceMetrics, SliceVerdict, SlicedPredictions,
    control_discoveries, find_slices,
};
pub use threshold::choose_threshold;

pub use crate::model::{Averages, ConfusionMatrix};
