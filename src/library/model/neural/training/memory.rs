//! The memory that a run needs, compared with what there is before it starts.

use super::TrainSettings;
use crate::{
    error::{Error, ErrorKind, Result},
    model::neural::{
        device::Resolved,
        net::{Net, NetConfig},
    },
};

const BYTES: f64 = 4.0;

/// Bytes that training takes at its highest: weights, the best weights so far, AdamW's two moments,
/// gradients of a batch and of those before it, the weights as a pass reads them, and what a batch of
/// `batch_size` texts of `longest` tokens keeps for its gradients.
///
/// # Errors
/// Sizes that make no net.
pub fn memory_estimate(
    config: &NetConfig,
    settings: &TrainSettings,
    batch_size: usize,
    longest: usize,
    device: &Resolved,
) -> Result<u64> {
    // Floating point, because the sizes may be nonsense: that is what this has to find out.
    let n_values = |shape: &[usize]| shape.iter().map(|size| *size as f64).product::<f64>();
    let n_parameters: f64 = Net::expected(config)?.iter().map(|(_, shape)| n_values(shape)).sum();
    let n_gradients = 1 + usize::from(settings.accumulation > 1);
    let n_activations = config.n_activations(batch_size, longest, device.is_cpu());
    Ok((BYTES * ((5 + n_gradients) as f64 * n_parameters + n_activations)) as u64)
}

/// Refuses what would not fit, before any of it is allocated.
///
/// # Errors
/// [`ErrorKind::Invalid`] with both numbers when training needs more than the device has; sizes
/// that make no net.
pub(in crate::model::neural) fn check(
    config: &NetConfig,
    settings: &TrainSettings,
    batch_size: usize,
    longest: usize,
    device: &Resolved,
) -> Result<()> {
    let needed = memory_estimate(config, settings, batch_size, longest, device)?;
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
    use crate::model::{
        Device,
        neural::net::{DistilBertConfig, LstmConfig},
    };

    #[test]
    fn the_estimate_counts_weights_and_activations() {
        let config = NetConfig::DistilBert(DistilBertConfig::default());
        let settings = TrainSettings { batch_size: 8, ..Default::default() };
        let device = Device::Cpu.resolve().unwrap();
        let estimate = |longest| memory_estimate(&config, &settings, 8, longest, &device).unwrap();
        let (short, long) = (estimate(128), estimate(512));
        // Six copies of 67 million weights are 1.6 GB.
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
        let check = |hidden_dim| {
            let net =
                LstmConfig { vocab_size: 9, embedding_dim: 2, hidden_dim, ..Default::default() };
            check(&NetConfig::Lstm(net), &TrainSettings::default(), 8, 9, &device)
        };
        check(3).unwrap();
        // Exabytes, of which no machine has one.
        assert_eq!(check(i32::MAX as usize).is_err(), device.memory().is_some());
    }
}
