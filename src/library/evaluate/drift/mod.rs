//! How far new data is from old: distances and tests of shares, of ordered values, of rows of numbers
//! and of texts, and what a signal's numbers come to. Pure functions; what is compared, and where it
//! comes from, they do not know.

mod discrepancy;
mod domain;
mod kolmogorov;
mod level;
mod shares;
mod smirnov;
mod transport;

use serde::{Deserialize, Serialize};

pub use discrepancy::{Discrepancy, maximum_mean_discrepancy};
pub use domain::{AucInterval, DomainComparison, DomainWord, auc_interval, compare_domains};
pub use kolmogorov::{kolmogorov_smirnov, kolmogorov_smirnov_counts};
pub use level::{Signal, SignalLevel, SignalThresholds, overall_level, signal_levels};
pub use shares::{
    chi_squared, hellinger_distance, jensen_shannon_distance, l_infinity_distance,
    population_stability_index,
};
pub use transport::{normed_wasserstein, normed_wasserstein_counts};

/// A test's answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// What the test looks at.
    pub statistic: f64,
    /// The probability of a statistic at least as large where nothing has changed.
    pub p_value: f64,
}

impl TestResult {
    /// That of a test without anything to compare.
    const NOTHING: Self = Self { statistic: 0.0, p_value: 1.0 };
}
