//! Synthetic pairs of models on the same test examples, whose true difference is known: what the
//! interval covers, and what each rule of the gate lets pass. Tests run a few hundred pairs, the
//! simulation of `just simulate` ten thousand.

use trialbook::evaluate::{mcnemar, paired_bootstrap};

/// Two models and a test split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyntheticPair {
    /// Number of test examples.
    pub(crate) n_examples: usize,
    /// Number of classes, the first with half of the examples.
    pub(crate) n_classes: u32,
    /// The share of examples that candidate and Production get right.
    pub(crate) accuracies: [f64; 2],
    /// The share of examples for which both have the same luck.
    pub(crate) together: f64,
}

/// The frequency of each outcome, as a share of the pairs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SimulatedRates {
    /// The 95 % interval holds the true difference in F1.
    pub(crate) covered: f64,
    /// The default rule passes the candidate.
    pub(crate) strict: f64,
    /// The lower end of the interval lies above minus the margin.
    pub(crate) non_inferior: f64,
    /// The candidate is better by McNemar's test at 0.05.
    pub(crate) significant: f64,
}

/// SplitMix64 (Steele et al. 2014): the same pairs on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u32
    }
}

impl SyntheticPair {
    /// The true difference in F1, from the shares of all (label, prediction).
    pub(crate) fn difference(&self) -> f64 {
        let [first, second] = self.accuracies.map(|accuracy| self.f1(accuracy));
        first - second
    }

    fn f1(&self, accuracy: f64) -> f64 {
        let n_others = f64::from(self.n_classes - 1);
        let of_class = |class: u32| {
            let share = self.class_share(class);
            let predicted = share * accuracy + (1.0 - share) * (1.0 - accuracy) / n_others;
            2.0 * share * accuracy / (share + predicted)
        };
        match self.n_classes {
            2 => of_class(1),
            n_classes => (0..n_classes).map(of_class).sum::<f64>() / f64::from(n_classes),
        }
    }

    fn class_share(&self, class: u32) -> f64 {
        if class == 0 { 0.5 } else { 0.5 / f64::from(self.n_classes - 1) }
    }

    /// The outcomes in `n_pairs` test splits; `margin` is that of non-inferiority.
    pub(crate) fn simulate(
        &self,
        n_pairs: usize,
        n_resamples: usize,
        margin: f64,
    ) -> SimulatedRates {
        let mut random = SplitMix(42);
        let mut counts = SimulatedRates::default();
        let count = |rate: &mut f64, happened: bool| *rate += f64::from(u8::from(happened));
        for pair_idx in 0..n_pairs {
            let [labels, first, second] = self.draw(&mut random);
            let n_classes = self.n_classes as usize;
            let seed = pair_idx as u64;
            let f1 = paired_bootstrap(&labels, &first, &second, n_classes, n_resamples, seed)
                .expect("lengths and classes fit")
                .f1;
            let test = mcnemar(&labels, &first, &second).expect("lengths fit");
            let truth = self.difference();
            count(&mut counts.covered, (f1.lower..=f1.upper).contains(&truth));
            count(&mut counts.strict, f1.difference >= 0.0);
            count(&mut counts.non_inferior, f1.lower > -margin);
            let is_better = test.n_only_first > test.n_only_second;
            count(&mut counts.significant, is_better && test.p_value < 0.05);
        }
        let share = |count: f64| count / n_pairs as f64;
        SimulatedRates {
            covered: share(counts.covered),
            strict: share(counts.strict),
            non_inferior: share(counts.non_inferior),
            significant: share(counts.significant),
        }
    }

    /// Labels and both predictions of one test split.
    fn draw(&self, random: &mut SplitMix) -> [Vec<u32>; 3] {
        let mut drawn: [Vec<u32>; 3] = Default::default();
        for _ in 0..self.n_examples {
            let label = match random.share() < 0.5 {
                true => 0,
                false => 1 + random.below(self.n_classes - 1),
            };
            drawn[0].push(label);
            let mut luck = random.share();
            let mut wrong = 1 + random.below(self.n_classes - 1);
            for (model_idx, accuracy) in self.accuracies.into_iter().enumerate() {
                if model_idx == 1 && random.share() >= self.together {
                    luck = random.share();
                    wrong = 1 + random.below(self.n_classes - 1);
                }
                let off = if luck < accuracy { 0 } else { wrong };
                drawn[1 + model_idx].push((label + off) % self.n_classes);
            }
        }
        drawn
    }
}
