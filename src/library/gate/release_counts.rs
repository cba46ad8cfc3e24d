//! The counts of a release: what each version did with its part of the traffic, at each step, and how far
//! the two agree. Counts of several servers add up. It counts, and judges nothing.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// The least duration that is told apart, in microseconds.
const FIRST_US: f64 = 10.0;
/// Each class of durations is wider than the one before it by so much: 5 % are the error of a quantile.
const GROWTH: f64 = 1.1;
/// Classes; the last one begins at 57 seconds.
const N_CLASSES: u16 = 165;

/// Durations in classes that grow, so that those of several servers add up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// Number of durations by class; classes without any are left out.
    classes: BTreeMap<u16, u64>,
}

impl Durations {
    /// One more.
    pub fn push(&mut self, duration: Duration) {
        *self.classes.entry(class_of(duration.as_secs_f64() * 1e6)).or_default() += 1;
    }

    /// Those of `other` too.
    pub fn add(&mut self, other: &Self) {
        for (class, n) in &other.classes {
            *self.classes.entry(*class).or_default() += n;
        }
    }

    /// Number of durations.
    pub fn n(&self) -> u64 {
        self.classes.values().sum()
    }

    /// The duration in milliseconds within which the share `q` of them lie, 5 % too long at most; none
    /// without any.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let wanted = (q * self.n() as f64).ceil().max(1.0);
        let mut n_so_far = 0;
        self.classes.iter().find_map(|(class, n)| {
            n_so_far += n;
            (n_so_far as f64 >= wanted).then(|| middle_us(*class) / 1e3)
        })
    }

    /// Number of those that are longer than `limit_ms`.
    pub fn n_above(&self, limit_ms: f64) -> u64 {
        let longer = self.classes.iter().filter(|(class, _)| middle_us(**class) / 1e3 > limit_ms);
        longer.map(|(_, n)| n).sum()
    }
}

fn class_of(duration_us: f64) -> u16 {
    let class = (duration_us / FIRST_US).max(1.0).ln() / GROWTH.ln();
    (class as u16).min(N_CLASSES - 1)
}

/// The geometric middle of a class.
fn middle_us(class: u16) -> f64 {
    FIRST_US * GROWTH.powf(f64::from(class) + 0.5)
}

/// The counts of one version in a release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmCounts {
    /// Requests that fell to it, those that failed included.
    pub n_requests: u64,
    /// Those that it failed; Production answered them.
    pub n_errors: u64,
    /// Durations of those that it answered.
    pub durations: Durations,
}

impl ArmCounts {
    /// A request that was answered.
    pub fn answered(&mut self, duration: Duration) {
        self.n_requests += 1;
        self.durations.push(duration);
    }

    /// A request that failed.
    pub fn failed(&mut self) {
        self.n_requests += 1;
        self.n_errors += 1;
    }

    fn add(&mut self, other: &Self) {
        self.n_requests += other.n_requests;
        self.n_errors += other.n_errors;
        self.durations.add(&other.durations);
    }
}

/// The texts that both versions predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Number of texts.
    pub n_texts: u64,
    /// Those with the same label.
    pub n_agreed: u64,
    /// The candidate's confidences minus Production's, summed.
    pub confidence_difference: f64,
    /// Requests that were not compared because the thread that does it was busy.
    pub n_dropped: u64,
}

impl PairCounts {
    fn add(&mut self, other: &Self) {
        self.n_texts += other.n_texts;
        self.n_agreed += other.n_agreed;
        self.confidence_difference += other.confidence_difference;
        self.n_dropped += other.n_dropped;
    }

    /// The share of texts with the same label.
    pub fn agreement(&self) -> Option<f64> {
        (self.n_texts > 0).then(|| self.n_agreed as f64 / self.n_texts as f64)
    }
}

/// The counts at one step of a release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepCounts {
    /// Milliseconds that the step was served, by the clock that never jumps; of several servers the most.
    pub baked_ms: u64,
    /// The version in Production.
    pub production: ArmCounts,
    /// The version that proves itself.
    pub candidate: ArmCounts,
    /// Both on the same texts.
    pub pairs: PairCounts,
}

impl StepCounts {
    /// Those of another server too.
    pub fn add(&mut self, other: &Self) {
        self.baked_ms = self.baked_ms.max(other.baked_ms);
        self.production.add(&other.production);
        self.candidate.add(&other.candidate);
        self.pairs.add(&other.pairs);
    }
}

/// The counts of a release at each of its steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseCounts {
    /// By step, from 0.
    pub steps: Vec<StepCounts>,
}

impl ReleaseCounts {
    /// Those at a step, to count on.
    pub fn at(&mut self, step_idx: usize) -> &mut StepCounts {
        // A step is one of a list that a person wrote: there are few.
        if self.steps.len() <= step_idx {
            self.steps.resize_with(step_idx + 1, StepCounts::default);
        }
        &mut self.steps[step_idx]
    }

    /// Those at a step.
    pub fn step(&self, step_idx: usize) -> StepCounts {
        self.steps.get(step_idx).cloned().unwrap_or_default()
    }

    /// Those of another server too.
    pub fn add(&mut self, other: &Self) {
        for (step_idx, step) in other.steps.iter().enumerate() {
            self.at(step_idx).add(step);
        }
    }

    /// Those of all steps together.
    pub fn total(&self) -> StepCounts {
        let mut total = StepCounts::default();
        for step in &self.steps {
            let baked_ms = total.baked_ms + step.baked_ms;
            total.add(step);
            total.baked_ms = baked_ms;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_classes_are_close_to_those_of_the_durations() {
        let mut durations = Durations::default();
        assert_eq!((durations.n(), durations.quantile_ms(0.95)), (0, None));
        (1..=1_000).for_each(|n| durations.push(Duration::from_micros(n * 100)));
        for (q, expected_ms) in [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0)] {
            let found = durations.quantile_ms(q).unwrap();
            assert!((found / expected_ms - 1.0).abs() < 0.06, "{q}: {found}");
        }
        let n_above = durations.n_above(50.0);
        assert!((450..=550).contains(&n_above), "{n_above}");
        for extreme in [Duration::ZERO, Duration::MAX] {
            durations.push(extreme);
        }
        assert_eq!(durations.n(), 1_002);
        let json = serde_json::to_string(&durations).unwrap();
        assert_eq!(serde_json::from_str::<Durations>(&json).unwrap(), durations);
    }

    #[test]
    fn counts_of_two_servers_add_up_and_their_time_does_not() {
        let counted = |step_idx: usize, baked_ms| {
            let mut counts = ReleaseCounts::default();
            let step = counts.at(step_idx);
            step.baked_ms = baked_ms;
            step.candidate.answered(Duration::from_millis(3));
            step.candidate.failed();
            step.pairs = PairCounts { n_texts: 4, n_agreed: 3, ..PairCounts::default() };
            counts
        };
        let mut both = counted(1, 500);
        both.add(&counted(1, 800));
        both.add(&counted(0, 70));
        let step = both.step(1);
        assert_eq!(
            (step.baked_ms, step.candidate.n_requests, step.candidate.n_errors),
            (800, 4, 2)
        );
        assert_eq!(step.pairs.agreement(), Some(0.75));
        assert_eq!((both.total().baked_ms, both.total().candidate.n_requests), (870, 6));
        assert_eq!(both.step(7), StepCounts::default());
    }
}
