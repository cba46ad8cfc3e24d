//! Whether a run fits into memory, told before it starts.

use super::{TrainSettings, shares::n_shares};
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::{
        device::Resolved,
        net::{Net, NetConfig},
    },
};

const BYTES: u64 = 4;

/// Bytes that training takes at its highest: weights, the best weights so far, AdamW's two moments,
/// gradients of each share of a batch and of the batches before it, and what one batch of the
/// longest texts keeps for its gradients.
///
/// # Errors
/// Sizes that make no net.
pub fn memory_estimate(
    config: &NetConfig,
    settings: &TrainSettings,
    longest: usize,
    device: &Resolved,
) -> Result<u64> {
    let n_parameters: usize =
        Net::expected(config)?.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let n_shares = if device.is_cpu() { n_shares(config, settings.batch_size) } else { 1 };
    let n_gradients = n_shares + usize::from(settings.accumulation > 1);
    let n_activations = config.n_activations(settings.batch_size, longest, device.is_cpu());
    let n_values = (4 + n_gradients) * n_parameters + n_activations;
    Ok(BYTES * n_values as u64)
}

/// # Errors
/// [`ErrorKind::Invalid`] with both numbers when `needed` bytes are more than the device has.
pub(super) fn check(needed: u64, device: &Resolved) -> Result<()> {
    fits(needed, device.memory(), &device.to_string())
}

fn fits(needed: u64, available: Option<u64>, device: &str) -> Result<()> {
    match available {
        Some(available) if needed > available => Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "training needs about {} of memory, {device} has {}",
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
    use crate::model::{Device, neural::net::DistilBertConfig};

    #[test]
    fn the_estimate_counts_weights_and_activations() {
        let config = NetConfig::DistilBert(DistilBertConfig::default());
        let settings = TrainSettings { batch_size: 8, ..Default::default() };
        let device = Device::Cpu.resolve().unwrap();
        let short = memory_estimate(&config, &settings, 128, &device).unwrap();
        let long = memory_estimate(&config, &settings, 512, &device).unwrap();
        // Six copies of 67 million weights are 1.6 GB: two shares have gradients.
        assert!(short > 1_600_000_000 && short < 6_000_000_000, "{short}");
        assert!(long > 3 * (short - 1_600_000_000), "{long}");
    }

    #[test]
    fn a_run_that_does_not_fit_is_refused_with_both_numbers() {
        let error = fits(64_000_000_000, Some(8_000_000_000), "cuda:1").unwrap_err();
        let expected = "training needs about 64.0 GB of memory, cuda:1 has 8.0 GB";
        assert_eq!(error.to_string(), expected);
        fits(1, Some(2), "cpu").unwrap();
        fits(u64::MAX, None, "cpu").unwrap();
        let device = Device::Cpu.resolve().unwrap();
        check(1, &device).unwrap();
        // No machine that runs these tests has an exabyte.
        assert_eq!(check(1 << 60, &device).is_err(), device.memory().is_some());
    }
}
