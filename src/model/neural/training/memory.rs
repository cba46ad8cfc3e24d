//! Whether a run fits into memory, told before it starts.

use super::{TrainSettings, shares::n_shares};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::net::{Net, NetConfig},
};

const BYTES: u64 = 4;

/// Bytes that training takes at its highest on the CPU: weights, the best weights so far, AdamW's
/// two moments, gradients of each share of a batch and of the batches before it, and what one batch
/// of the longest texts keeps for its gradients.
///
/// # Errors
/// Sizes that make no net.
pub fn memory_estimate(
    config: &NetConfig,
    settings: &TrainSettings,
    longest: usize,
) -> Result<u64> {
    let n_parameters: usize =
        Net::expected(config)?.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let n_gradients =
        n_shares(config, settings.batch_size) + usize::from(settings.accumulation > 1);
    let n_activations = config.n_activations(settings.batch_size, longest);
    let n_values = (4 + n_gradients) * n_parameters + n_activations;
    Ok(BYTES * n_values as u64)
}

/// Bytes this machine can still give out, where the system says (Linux, `MemAvailable`).
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// # Errors
/// [`ErrorKind::Invalid`] with both numbers when `needed` bytes are more than `available`.
pub(super) fn check(needed: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if needed > available => Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "training needs about {} of memory, {} are available",
                gigabytes(needed),
                gigabytes(available)
            ),
        )
        .with_hint(
            "use a smaller batch size with --accumulation, a smaller maximum length or a smaller \
             model",
        )),
        _ => Ok(()),
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::neural::net::DistilBertConfig;

    #[test]
    fn the_estimate_counts_weights_and_activations() {
        let config = NetConfig::DistilBert(DistilBertConfig::default());
        let settings = TrainSettings { batch_size: 8, ..Default::default() };
        let short = memory_estimate(&config, &settings, 128).unwrap();
        let long = memory_estimate(&config, &settings, 512).unwrap();
        // Six copies of 67 million weights are 1.6 GB: two shares have gradients.
        assert!(short > 1_600_000_000 && short < 6_000_000_000, "{short}");
        assert!(long > 3 * (short - 1_600_000_000), "{long}");
    }

    #[test]
    fn a_run_that_does_not_fit_is_refused_with_both_numbers() {
        let error = check(64_000_000_000, Some(8_000_000_000)).unwrap_err();
        assert!(error.to_string().contains("64.0 GB"), "{error}");
        assert!(error.to_string().contains("8.0 GB"), "{error}");
        check(1, Some(2)).unwrap();
        check(u64::MAX, None).unwrap();
    }
}
