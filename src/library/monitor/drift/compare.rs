//! Both sides of every signal, compared.

use super::{
    charts::charts,
    counts::{label_counts, length_counts},
    report::DriftReport,
    signal::{DriftOptions, DriftSignal, SignalName, WordShift},
    telling::{ComparedWords, LargestShift},
};
use crate::{
    error::{ErrorKind, Result},
    evaluate::{
        DomainWord, chi_squared, compare_domains, jensen_shannon_distance,
        kolmogorov_smirnov_counts, maximum_mean_discrepancy, normed_wasserstein_counts,
        overall_level, population_stability_index, signal_levels,
    },
    model::{EMBEDDING_DIMS, TextEmbedding},
    monitor::{
        profile::{ReferenceProfile, length_of_bin},
        window::WindowCounts,
    },
    progress::Monitor,
};

/// Relabellings of the rows whose discrepancies are looked at: so many that the smallest p value there can be
/// counts among eight signals.
const N_PERMUTATIONS: usize = 2_000;
/// Words that a domain classifier names on each side.
const N_DOMAIN_WORDS: usize = 12;

/// The texts of both sides, where they are at hand.
#[derive(Debug, Clone, Default)]
pub struct DriftTexts {
    /// Texts of the rows that the profile is of.
    pub reference: Vec<String>,
    /// Texts of the window.
    pub current: Vec<String>,
}

/// How far `window` is from `profile`, signal by signal. `texts` add a classifier that tries to tell both
/// sides apart.
///
/// # Errors
/// A profile whose embeddings are damaged, and [`ErrorKind::Interrupted`](crate::error::ErrorKind::Interrupted).
pub fn compare(
    profile: &ReferenceProfile,
    window: &WindowCounts,
    texts: &DriftTexts,
    options: &DriftOptions,
    monitor: &Monitor,
) -> Result<DriftReport> {
    let min_n = options.min_n;
    let sides = Sides { profile, window, min_n };
    let mut signals = vec![sides.predictions(), sides.confidence()];
    signals.extend(sides.length());
    signals.extend(sides.unknown_words());
    signals.extend(sides.words());
    signals.extend(sides.one_word());
    signals.extend(sides.embeddings(options.seed)?);
    if window.n >= min_n {
        signals.extend(domain(texts, min_n, options.seed, monitor)?);
    }
    if window.n < min_n {
        // A few texts of many are no sample of a window that is too small itself.
        signals.iter_mut().for_each(|signal| signal.thresholds.min_n = min_n);
    }
    let judged: Vec<_> = signals.iter().map(DriftSignal::judged).collect();
    for (signal, (level, p_value)) in signals.iter_mut().zip(signal_levels(&judged)?) {
        (signal.level, signal.corrected_p_value) = (level, p_value);
        signal.check_enough();
    }
    Ok(DriftReport {
        verdict: overall_level(signals.iter().map(|signal| signal.level)),
        n: window.n,
        min_n,
        is_enough: window.n >= min_n && signals.iter().any(|signal| signal.is_enough),
        from_ms: window.from_ms,
        to_ms: window.to_ms,
        n_other_versions: window.n_other_versions,
        n_unreadable: window.n_unreadable,
        charts: charts(profile, window),
        signals,
        ..DriftReport::of(profile)
    })
}

/// What is compared, and the number of predictions that it takes.
struct Sides<'a> {
    profile: &'a ReferenceProfile,
    window: &'a WindowCounts,
    min_n: u64,
}

impl Sides<'_> {
    fn signal(
        &self,
        name: SignalName,
        effect: f64,
        p_value: f64,
        counts: &[Vec<u64>; 2],
    ) -> DriftSignal {
        let n = [0, 1].map(|side: usize| counts[side].iter().sum());
        DriftSignal::new(name, effect, Some(p_value), n, self.min_n)
    }

    fn predictions(&self) -> DriftSignal {
        let counts = label_counts(self.profile, self.window);
        self.of_shares(SignalName::Predictions, &counts)
    }

    fn confidence(&self) -> DriftSignal {
        let counts =
            [self.profile.confidence.counts.clone(), self.window.confidence.counts.clone()];
        self.of_shares(SignalName::Confidence, &counts)
    }

    fn of_shares(&self, name: SignalName, counts: &[Vec<u64>; 2]) -> DriftSignal {
        let [reference, current] = counts;
        let psi = population_stability_index(reference, current);
        let test = chi_squared(reference, current);
        self.signal(name, psi, test.p_value, counts).with([
            ("psi", psi),
            ("jensen_shannon", jensen_shannon_distance(reference, current)),
            ("chi_squared", test.statistic),
        ])
    }

    /// None of a log without counted words.
    fn length(&self) -> Option<DriftSignal> {
        let (bins, counts) = length_counts(self.profile, self.window)?;
        let [reference, current] = &counts;
        let test = kolmogorov_smirnov_counts(reference, current);
        let lengths: Vec<f64> = bins.iter().map(|bin| length_of_bin(*bin)).collect();
        let wasserstein = normed_wasserstein_counts(&lengths, reference, current);
        let signal = self.signal(SignalName::Length, test.statistic, test.p_value, &counts);
        Some(
            signal.with([
                ("kolmogorov_smirnov", test.statistic),
                ("normed_wasserstein", wasserstein),
            ]),
        )
    }

    /// None of a model that cannot tell.
    fn unknown_words(&self) -> Option<DriftSignal> {
        let reference = self.profile.unknown_words.clone()?;
        let current = self.window.unknown_words.clone();
        if current.iter().all(|count| *count == 0) {
            return None;
        }
        let test = kolmogorov_smirnov_counts(&reference, &current);
        let mean = |counts: &[u64]| {
            let sum: f64 =
                counts.iter().zip(0_u32..).map(|(n, bin)| *n as f64 * f64::from(bin)).sum();
            sum / counts.iter().sum::<u64>().max(1) as f64 / 100.0
        };
        let means = [("reference_mean", mean(&reference)), ("current_mean", mean(&current))];
        let counts = [reference, current];
        let signal = self.signal(SignalName::UnknownWords, test.statistic, test.p_value, &counts);
        Some(signal.with([("kolmogorov_smirnov", test.statistic)]).with(means))
    }

    /// The distance of the words' frequencies, less what chance alone makes of it: `(k - 1) (1 / n + 1 / m) /
    /// (8 ln 2)` is the divergence to be expected of two samples of `n` and `m` words from `k`.
    fn words(&self) -> Option<DriftSignal> {
        let counts = self.word_counts()?;
        let ComparedWords { words, current, n } = counts;
        let reference: Vec<u64> = words.iter().map(|(_, n)| u64::from(*n)).collect();
        let distance = jensen_shannon_distance(&reference, current);
        let total = |counts: &[u64]| counts.iter().sum::<u64>().max(1) as f64;
        let by_chance = (reference.len() - 1) as f64
            * (1.0 / total(&reference) + 1.0 / total(current))
            / (8.0 * std::f64::consts::LN_2);
        let effect = (distance * distance - by_chance).max(0.0).sqrt();
        let test = chi_squared(&reference, current);
        let [came, went] = counts.shifts();
        let signal = DriftSignal::new(SignalName::Words, effect, Some(test.p_value), n, self.min_n);
        let statistics = [("jensen_shannon", distance), ("chi_squared", test.statistic)];
        Some(signal.with(statistics).with_words(came, went))
    }

    /// The difference of one word's shares of texts.
    fn one_word(&self) -> Option<DriftSignal> {
        let counts = self.word_counts()?;
        let LargestShift { shift, p_value } = counts.largest()?;
        let change = shift.current_share - shift.reference_share;
        let signal = DriftSignal::new(
            SignalName::OneWord,
            change.abs(),
            Some(p_value),
            counts.n,
            self.min_n,
        );
        let statistics = [("share_difference", change.abs())];
        // Named where it is more than chance: some word has always moved most.
        let (came, went) = match p_value <= signal.thresholds.max_p_value {
            true if change > 0.0 => (vec![shift], Vec::new()),
            true => (Vec::new(), vec![shift]),
            false => (Vec::new(), Vec::new()),
        };
        Some(signal.with(statistics).with_words(came, went))
    }

    /// None of a log without counted words.
    fn word_counts(&self) -> Option<ComparedWords<'_>> {
        let (profile, window) = (self.profile, self.window);
        let is_known = window.n_tallied > 0 && !profile.words.is_empty();
        is_known.then(|| ComparedWords {
            words: &profile.words,
            current: &window.words,
            n: [profile.n as u64, window.n_tallied],
        })
    }

    /// None of models that are no nets, and of logs without embeddings.
    fn embeddings(&self, seed: u64) -> Result<Option<DriftSignal>> {
        let Some(kept) = &self.profile.embeddings else { return Ok(None) };
        let reference = kept.rows()?;
        let current: Vec<TextEmbedding> = self.window.embeddings().copied().collect();
        if reference.len() < 2 || current.len() < 2 {
            return Ok(None);
        }
        let n = [reference.len() as u64, current.len() as u64];
        let found = maximum_mean_discrepancy(
            reference.as_flattened(),
            current.as_flattened(),
            EMBEDDING_DIMS,
            N_PERMUTATIONS,
            seed,
        )?;
        let effect = found.mmd2.max(0.0);
        let signal =
            DriftSignal::new(SignalName::Embeddings, effect, Some(found.p_value), n, self.min_n);
        Ok(Some(signal.with([("mmd2", found.mmd2)])))
    }
}

/// None without texts of both sides.
fn domain(
    texts: &DriftTexts,
    min_n: u64,
    seed: u64,
    monitor: &Monitor,
) -> Result<Option<DriftSignal>> {
    let DriftTexts { reference, current } = texts;
    let n = [reference.len() as u64, current.len() as u64];
    let thresholds = SignalName::Domain.thresholds(min_n);
    if n.iter().any(|n| *n < thresholds.min_n) {
        return Ok(None);
    }
    let found = match compare_domains(reference, current, N_DOMAIN_WORDS, seed, monitor) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
        // Texts without a word in common are told by the other signals.
        Err(_) => return Ok(None),
    };
    let shift = |word: &DomainWord| WordShift {
        word: word.word.clone(),
        reference_share: word.reference_share,
        current_share: word.current_share,
    };
    // The lower end: an area that chance may have made is no effect.
    let effect = (found.auc.lower - 0.5).max(0.0);
    let signal = DriftSignal::new(SignalName::Domain, effect, Some(found.auc.p_value), n, min_n)
        .with([
            ("auc", found.auc.auc),
            ("auc_lower", found.auc.lower),
            ("auc_upper", found.auc.upper),
        ])
        .with_words(
            found.new_words.iter().map(shift).collect(),
            found.old_words.iter().map(shift).collect(),
        );
    Ok(Some(signal))
}
