//! What answers cost: the time of one text and the memory of the loaded model, of a version and of Production beside
//! it, measured in the same process and in turns, so that a noisy machine is noisy for both. It judges nothing.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    model::{Classifier, MemoryUse},
};

/// Most texts that are asked.
const MAX_TEXTS: usize = 200;
/// Texts that are asked however long it takes; a percentile of fewer says little.
const MIN_TEXTS: usize = 20;
/// The times that each text is asked; its median counts, so that one interruption does not.
const N_ROUNDS: usize = 3;
/// Texts of the warm-up, which fill caches and start threads.
const N_WARM: usize = 20;
/// After this time no further text is asked.
const MAX_TIME: Duration = Duration::from_secs(60);

/// The time that one text takes, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median over the texts.
    pub p50_ms: f64,
    /// 95 of 100 texts take no longer.
    pub p95_ms: f64,
}

/// The times of both versions for the same texts, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyPair {
    /// Number of texts.
    pub n_texts: usize,
    /// The candidate's.
    pub candidate: Latency,
    /// Production's, where another version is there.
    pub production: Option<Latency>,
}

/// The memory of both loaded models; none for a model that cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPair {
    /// The candidate's.
    pub candidate: Option<MemoryUse>,
    /// Production's, where another version is there.
    pub production: Option<MemoryUse>,
}

/// The costs of both versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// The time of one text, where that was asked.
    pub latency: Option<LatencyPair>,
    /// The memory.
    pub memory: MemoryPair,
}

impl Costs {
    /// Of both models; times only where `texts` are given.
    ///
    /// # Errors
    /// No texts to ask, and what the models return.
    pub fn of(
        candidate: &dyn Classifier,
        production: Option<&dyn Classifier>,
        texts: Option<&[String]>,
    ) -> Result<Self> {
        let memory = MemoryPair {
            candidate: candidate.memory_use(),
            production: production.and_then(Classifier::memory_use),
        };
        let latency = texts.map(|texts| LatencyPair::measure(candidate, production, texts));
        Ok(Self { latency: latency.transpose()?, memory })
    }
}

impl LatencyPair {
    /// Asks both models for texts from all over `texts`, one at a time and in turns.
    ///
    /// # Errors
    /// No texts, and what the models return.
    pub fn measure(
        candidate: &dyn Classifier,
        production: Option<&dyn Classifier>,
        texts: &[String],
    ) -> Result<Self> {
        if texts.is_empty() {
            return Err(Error::invalid("no test texts to measure the time of an answer by"));
        }
        let n_texts = texts.len().min(MAX_TEXTS);
        let chosen: Vec<&str> =
            (0..n_texts).map(|idx| texts[idx * texts.len() / n_texts].as_str()).collect();
        let models: Vec<&dyn Classifier> = [candidate].into_iter().chain(production).collect();
        for text in chosen.iter().take(N_WARM) {
            for model in &models {
                model.predict(&[text])?;
            }
        }
        let begun = Instant::now();
        let mut medians: Vec<Vec<f64>> = vec![Vec::new(); models.len()];
        for (text_idx, text) in chosen.iter().enumerate() {
            if text_idx >= MIN_TEXTS && begun.elapsed() > MAX_TIME {
                break;
            }
            let mut times: Vec<Vec<f64>> = vec![Vec::new(); models.len()];
            for round in 0..N_ROUNDS {
                for turn in 0..models.len() {
                    // Each is the first one every other time.
                    let model_idx = (turn + text_idx + round) % models.len();
                    let clock = Instant::now();
                    models[model_idx].predict(&[text])?;
                    times[model_idx].push(clock.elapsed().as_secs_f64() * 1e3);
                }
            }
            for (medians, times) in medians.iter_mut().zip(&mut times) {
                times.sort_by(f64::total_cmp);
                medians.push(times[N_ROUNDS / 2]);
            }
        }
        let n_texts = medians[0].len();
        let mut found = medians.into_iter().map(Latency::of);
        let candidate = found.next().unwrap_or(Latency { p50_ms: f64::NAN, p95_ms: f64::NAN });
        Ok(Self { n_texts, candidate, production: found.next() })
    }
}

impl Latency {
    /// The percentiles of single times, by the nearest rank.
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times[rank.clamp(1, times.len()) - 1]
        };
        Self { p50_ms: at(0.5), p95_ms: at(0.95) }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Mutex, thread};

    use super::*;
    use crate::model::Probabilities;

    /// Takes its time, and notes that it was asked.
    struct Slow<'a> {
        name: char,
        time: Duration,
        asked: &'a Mutex<String>,
    }

    impl Classifier for Slow<'_> {
        fn name(&self) -> &'static str {
            "slow"
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
            assert_eq!(texts.len(), 1, "one text at a time");
            self.asked.lock().unwrap().push(self.name);
            thread::sleep(self.time);
            Ok(Probabilities::new(vec![0.5, 0.5], 2))
        }
        fn save(&self, _dir: &Path) -> Result<()> {
            Ok(())
        }
        fn describe(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }

    #[test]
    fn both_are_asked_in_turns_after_a_warm_up() {
        let asked = Mutex::new(String::new());
        let model = |name, ms| Slow { name, time: Duration::from_millis(ms), asked: &asked };
        let (candidate, production) = (model('c', 4), model('p', 1));
        let texts: Vec<String> = (0..25).map(|idx| format!("text {idx}")).collect();
        let found = LatencyPair::measure(&candidate, Some(&production), &texts).unwrap();
        assert_eq!(found.n_texts, 25);
        let production = found.production.unwrap();
        assert!(found.candidate.p95_ms >= 4.0 && production.p95_ms >= 1.0, "{found:?}");
        assert!(found.candidate.p50_ms > production.p50_ms, "{found:?}");
        let asked = asked.lock().unwrap();
        let (warm, measured) = asked.split_at(2 * N_WARM);
        assert_eq!(warm, "cp".repeat(N_WARM));
        assert_eq!(measured.len(), 2 * 3 * 25);
        assert!(measured.starts_with("cppccppccppc"), "{measured}");
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let found = Latency::of((1..=200).rev().map(f64::from).collect());
        assert_eq!((found.p50_ms, found.p95_ms), (100.0, 190.0));
        assert_eq!(Latency::of(vec![3.0]).p95_ms, 3.0);
    }

    #[test]
    fn without_texts_there_is_no_time_and_without_tables_no_memory() {
        let asked = Mutex::new(String::new());
        let model = Slow { name: 'c', time: Duration::ZERO, asked: &asked };
        let error = Costs::of(&model, None, Some(&[])).unwrap_err();
        assert!(error.to_string().starts_with("no test texts"), "{error}");
        let costs = Costs::of(&model, None, None).unwrap();
        assert_eq!(costs.latency, None);
        assert_eq!(costs.memory, MemoryPair { candidate: None, production: None });
    }
}
