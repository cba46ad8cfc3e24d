//! Normal deviates that a seed decides, the same on every machine.

use crate::random::Random;

/// Normal deviates (Box and Muller 1958).
pub(super) struct Normal {
    random: Random,
    spare: Option<f64>,
}

impl Normal {
    /// The deviates of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), spare: None }
    }

    /// The next one.
    pub(super) fn draw(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // Above 0, so that the logarithm is finite.
        let mut uniform = || ((self.random.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let radius = (-2.0 * uniform().ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_deviates_have_mean_0_and_variance_1() {
        let mut normal = Normal::new(9);
        let drawn: Vec<f64> = (0..20_000).map(|_| normal.draw()).collect();
        let mean = drawn.iter().sum::<f64>() / 2e4;
        let variance = drawn.iter().map(|value| value * value).sum::<f64>() / 2e4;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
