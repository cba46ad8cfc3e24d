//! The learning rate over a run: up in a line, down in a line.

/// Linear warm-up to 1, then linear decay towards 0 at the end of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    n_steps: u64,
    n_warmup: u64,
}

impl Schedule {
    pub(super) fn new(n_steps: u64, warmup_ratio: f64) -> Self {
        Self { n_steps, n_warmup: (n_steps as f64 * warmup_ratio).ceil() as u64 }
    }

    /// The share of the highest learning rate at `step`, counted from 0. Never 0 inside the run: no
    /// batch is computed for nothing.
    pub(super) fn share(&self, step: u64) -> f64 {
        if step < self.n_warmup {
            return (step + 1) as f64 / self.n_warmup as f64;
        }
        let n_left = self.n_steps.saturating_sub(step);
        n_left as f64 / (self.n_steps - self.n_warmup).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_height_and_falls_to_the_end() {
        let schedule = Schedule::new(10, 0.2);
        let shares: Vec<f64> = (0..11).map(|step| schedule.share(step)).collect();
        let expected = [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0];
        assert_eq!(shares, expected);
        assert_eq!(Schedule::new(4, 0.0).share(0), 1.0);
    }
}
