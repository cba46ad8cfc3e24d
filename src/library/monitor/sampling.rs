//! What to label next: predictions without a label, picked at random, by how little the model is sure of
//! them, or because two versions say different things. Texts come from the log, or from whoever holds them and
//! knows them by their SHA-256. The log is gone through with one record in memory at a time.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Arm, PredictionView, SampleBy, TrueLabels, reader::visit_predictions};
use crate::{error::Result, figure::hex};

/// Predictions of the shadow that are held against those that answered: some 40 MB.
const MAX_SHADOWS: usize = 1_000_000;

/// Predictions to pick from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickRequest {
    /// The registered model that they are of.
    pub model: String,
    /// The number to pick.
    pub n: usize,
    /// The way to pick them.
    pub by: SampleBy,
    /// Those from then on, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Those of this version alone; none for all.
    pub version: Option<u32>,
    /// The newest bytes of the log alone, for what people watch; all of it without.
    pub latest_bytes: Option<u64>,
    /// Decides what is picked at random, and the order of equals.
    pub seed: u64,
}

/// Texts by the SHA-256 of their bytes in hexadecimal, for logs that keep no more than that.
pub type TextSource = HashMap<String, String>;

/// A prediction whose text is to be labelled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PickedText {
    /// The request.
    pub request_id: String,
    /// The text's place in it.
    pub index: u32,
    /// The text.
    pub text: String,
    /// The predicted class.
    pub prediction: String,
    /// The probability of it.
    pub confidence: f64,
    /// What a version in the shadow predicted, where that is why it was picked.
    pub other_prediction: Option<String>,
    /// The version that answered.
    pub version: u32,
}

/// Predictions to be labelled.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Picked {
    /// The first one first.
    pub texts: Vec<PickedText>,
    /// Predictions that could be picked.
    pub n_candidates: u64,
    /// Predictions that have a label.
    pub n_labelled: u64,
    /// Predictions that could be picked if their texts were known.
    pub n_without_text: u64,
}

impl Picked {
    /// What can be said of how the texts were picked, which was by `by`. Those that were picked at random from
    /// predictions whose texts are known stand for these alone, and nothing is said of them: what is measured on
    /// them need not hold for the rest.
    pub fn sampled_by(&self, by: SampleBy) -> Option<SampleBy> {
        (by != SampleBy::Random || self.n_without_text == 0).then_some(by)
    }
}

/// The texts by the SHA-256 of their bytes.
pub fn by_sha256(texts: impl IntoIterator<Item = String>) -> TextSource {
    texts.into_iter().map(|text| (hex(&Sha256::digest(&text)), text)).collect()
}

/// Picks predictions of the log in the folder `dir` that `labels` say nothing of. The same log, labels and seed
/// give the same ones.
///
/// # Errors
/// When the log cannot be read.
pub fn pick_texts(
    dir: &Path,
    labels: &TrueLabels,
    texts: &TextSource,
    request: &PickRequest,
) -> Result<Picked> {
    let PickRequest { model, n, by, from_ms, version, latest_bytes, seed } = request;
    let shadows = match by {
        SampleBy::Disagreement => Shadows::read(dir, model, *latest_bytes, *seed)?,
        _ => Shadows::default(),
    };
    let mut picked = Picked::default();
    let mut best: BTreeMap<(u64, u64), PickedText> = BTreeMap::new();
    let mut held: HashSet<String> = HashSet::new();
    visit_predictions(dir, *latest_bytes, |record| {
        let is_asked = record.model == model
            && record.timestamp_ms >= *from_ms
            && version.is_none_or(|version| record.version == version);
        if !is_asked || record.arm == Arm::Shadow {
            return Ok(());
        }
        if labels.truth(record.request_id, record.index).is_some() {
            picked.n_labelled += 1;
            return Ok(());
        }
        let chance = chance(*seed, record);
        let other = shadows.get(chance).filter(|other| *other != record.label);
        if *by == SampleBy::Disagreement && other.is_none() {
            return Ok(());
        }
        let known = record.text.or_else(|| texts.get(record.text_sha256?).map(String::as_str));
        let Some(text) = known else {
            picked.n_without_text += 1;
            return Ok(());
        };
        picked.n_candidates += 1;
        let rank = match by {
            SampleBy::Uncertainty => (margin(record).to_bits(), chance),
            SampleBy::Random | SampleBy::Disagreement => (0, chance),
        };
        if best.len() >= *n && best.last_key_value().is_none_or(|(last, _)| rank >= *last) {
            return Ok(());
        }
        // Nobody labels one text twice; a random sample is one of predictions, however often a text comes.
        if *by != SampleBy::Random && !held.insert(text.to_owned()) {
            return Ok(());
        }
        let one = PickedText {
            text: text.to_owned(),
            request_id: record.request_id.to_owned(),
            index: record.index,
            prediction: record.label.to_owned(),
            confidence: record.confidence,
            other_prediction: other.map(str::to_owned),
            version: record.version,
        };
        best.insert(rank, one);
        if best.len() > *n
            && let Some((_, worst)) = best.pop_last()
        {
            held.remove(&worst.text);
        }
        Ok(())
    })?;
    picked.texts = best.into_values().collect();
    Ok(picked)
}

/// How far the likeliest class is from the next one, from 0 on: small where the model is not sure.
fn margin(record: &PredictionView<'_>) -> f64 {
    let margin = match record.probability {
        Some(positive) => (2.0 * positive - 1.0).abs(),
        None if record.probabilities.len() > 1 => {
            let mut sorted = record.probabilities.to_vec();
            sorted.sort_unstable_by(|one, other| other.total_cmp(one));
            sorted[0] - sorted[1]
        }
        None => record.confidence,
    };
    // Bits of numbers from 0 on are in their order.
    if margin.is_finite() { margin.max(0.0) } else { f64::MAX }
}

/// A number that is as good as random, and the same for a prediction whenever it is asked.
fn chance(seed: u64, record: &PredictionView<'_>) -> u64 {
    let mut sha256 = Sha256::new();
    sha256.update(seed.to_le_bytes());
    sha256.update(record.index.to_le_bytes());
    sha256.update(record.request_id);
    let digest: [u8; 32] = sha256.finalize().into();
    u64::from_le_bytes([
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
    ])
}

/// What versions in the shadow said, by the chance of the prediction: of more than [`MAX_SHADOWS`] the share
/// with the smallest chances, which is as good as a random one and the same in whatever order they come.
struct Shadows {
    labels: HashMap<u64, u32>,
    names: Vec<String>,
    /// Chances above it are not kept.
    max_chance: u64,
}

impl Default for Shadows {
    fn default() -> Self {
        Self { labels: HashMap::new(), names: Vec::new(), max_chance: u64::MAX }
    }
}

impl Shadows {
    fn read(dir: &Path, model: &str, latest_bytes: Option<u64>, seed: u64) -> Result<Self> {
        let mut shadows = Self::default();
        visit_predictions(dir, latest_bytes, |record| {
            if record.arm == Arm::Shadow && record.model == model {
                shadows.add(chance(seed, record), record.label, MAX_SHADOWS);
            }
            Ok(())
        })?;
        Ok(shadows)
    }

    fn add(&mut self, chance: u64, label: &str, max: usize) {
        if chance > self.max_chance {
            return;
        }
        let known = self.names.iter().position(|name| name == label);
        let idx = known.unwrap_or_else(|| {
            self.names.push(label.to_owned());
            self.names.len() - 1
        });
        self.labels.insert(chance, u32::try_from(idx).unwrap_or(u32::MAX));
        while self.labels.len() > max && self.max_chance > 0 {
            self.max_chance /= 2;
            self.labels.retain(|chance, _| *chance <= self.max_chance);
        }
    }

    fn get(&self, chance: u64) -> Option<&str> {
        let idx = self.labels.get(&chance)?;
        self.names.get(*idx as usize).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::monitor::{PREDICTIONS_FILE, PredictionRecord, TrueLabel};

    fn record(number: u32, positive: f64) -> PredictionRecord {
        PredictionRecord {
            timestamp_ms: i64::from(number),
            request_id: format!("r{number}"),
            model: "M".to_owned(),
            version: 1,
            label: if positive >= 0.5 { "pos" } else { "neg" }.to_owned(),
            confidence: positive.max(1.0 - positive),
            probability: Some(positive),
            text: Some(format!("text {number}")),
            ..PredictionRecord::default()
        }
    }

    fn log(records: &[PredictionRecord]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<String> =
            records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        fs::write(dir.path().join(PREDICTIONS_FILE), lines.join("\n") + "\n").unwrap();
        dir
    }

    fn ids(picked: &Picked) -> Vec<&str> {
        picked.texts.iter().map(|text| text.request_id.as_str()).collect()
    }

    fn pick(dir: &Path, labels: &TrueLabels, by: SampleBy, n: usize) -> Picked {
        let request = PickRequest {
            model: "M".to_owned(),
            n,
            by,
            from_ms: 0,
            version: None,
            latest_bytes: None,
            seed: 7,
        };
        pick_texts(dir, labels, &TextSource::default(), &request).unwrap()
    }

    #[test]
    fn the_least_sure_come_first_and_never_one_that_is_labelled() {
        let mut records: Vec<_> =
            [0.9, 0.55, 0.1, 0.48, 0.51].into_iter().zip(0..).map(|(p, n)| record(n, p)).collect();
        records.push(PredictionRecord { text: records[4].text.clone(), ..record(9, 0.53) });
        records.push(PredictionRecord {
            text: None,
            text_sha256: Some("ab".to_owned()),
            ..record(8, 0.5)
        });
        records.push(PredictionRecord { model: "Other".to_owned(), ..record(7, 0.5) });
        let dir = log(&records);
        let mut labels = TrueLabels::default();
        assert_eq!(ids(&pick(dir.path(), &labels, SampleBy::Uncertainty, 3)), ["r4", "r3", "r1"]);
        labels.tell(TrueLabel {
            request_id: "r4".to_owned(),
            index: 0,
            label: Some("pos".to_owned()),
            source: "user".to_owned(),
            timestamp_ms: 1,
            sampled_by: None,
        });
        let picked = pick(dir.path(), &labels, SampleBy::Uncertainty, 2);
        assert_eq!(
            (ids(&picked), picked.n_labelled, picked.n_without_text),
            (vec!["r3", "r9"], 1, 1)
        );
        let texts = by_sha256(["held elsewhere".to_owned()]);
        let sha256 = texts.keys().next().cloned();
        let hashed = dir;
        records[6].text_sha256 = sha256;
        let dir = log(&records);
        // What stands for the known texts alone is not marked as a sample of all.
        let part = pick(hashed.path(), &labels, SampleBy::Random, 9);
        assert_eq!((part.n_without_text, part.sampled_by(SampleBy::Random)), (1, None));
        let by = SampleBy::Uncertainty;
        assert_eq!(part.sampled_by(by), Some(by));
        let whole = Picked::default();
        assert_eq!(whole.sampled_by(SampleBy::Random), Some(SampleBy::Random));
        let request = PickRequest {
            model: "M".to_owned(),
            n: 1,
            by: SampleBy::Uncertainty,
            version: Some(1),
            from_ms: 0,
            latest_bytes: None,
            seed: 7,
        };
        let picked = pick_texts(dir.path(), &labels, &texts, &request).unwrap();
        assert_eq!(picked.texts[0].text, "held elsewhere");
        let other = PickRequest { version: Some(2), ..request };
        assert_eq!(pick_texts(dir.path(), &labels, &texts, &other).unwrap().texts, []);
    }

    #[test]
    fn a_random_sample_has_each_prediction_as_often_as_another() {
        let records: Vec<_> = (0..100).map(|n| record(n, f64::from(n) / 99.0)).collect();
        let mut turned = records.clone();
        turned.reverse();
        let (dir, other) = (log(&records), log(&turned));
        let labels = TrueLabels::default();
        let mut counts = [0; 100];
        for seed in 0..400 {
            let request = PickRequest {
                model: "M".to_owned(),
                n: 10,
                by: SampleBy::Random,
                version: None,
                from_ms: 0,
                latest_bytes: None,
                seed,
            };
            let picked = pick_texts(dir.path(), &labels, &TextSource::default(), &request).unwrap();
            if seed < 3 {
                let same = pick_texts(other.path(), &labels, &TextSource::default(), &request);
                assert_eq!(picked, same.unwrap(), "the order of the log");
            }
            for text in &picked.texts {
                counts[text.request_id[1..].parse::<usize>().unwrap()] += 1;
            }
        }
        // 40 expected, with a deviation of 6.
        assert!(counts.iter().all(|n| (13..=67).contains(n)), "{counts:?}");
    }

    #[test]
    fn two_versions_disagree_on_the_same_text_alone() {
        let shadow = |number, positive| PredictionRecord {
            arm: Arm::Shadow,
            version: 2,
            ..record(number, positive)
        };
        let records = [
            record(0, 0.9),
            shadow(0, 0.8),
            record(1, 0.9),
            shadow(1, 0.2),
            shadow(2, 0.2),
            record(2, 0.1),
            record(3, 0.9),
        ];
        let dir = log(&records);
        let picked = pick(dir.path(), &TrueLabels::default(), SampleBy::Disagreement, 9);
        assert_eq!(ids(&picked), ["r1"]);
        assert_eq!(picked.texts[0].other_prediction.as_deref(), Some("neg"));
    }

    #[test]
    fn of_too_many_shadows_the_same_share_is_kept_whatever_the_order() {
        let chances: Vec<u64> = (0..5_000).map(crate::monitor::sample_key).collect();
        let kept = |chances: &mut dyn Iterator<Item = &u64>| {
            let mut shadows = Shadows::default();
            chances.for_each(|chance| shadows.add(*chance, "pos", 1_000));
            shadows
        };
        let (forth, back) = (kept(&mut chances.iter()), kept(&mut chances.iter().rev()));
        assert_eq!((&forth.labels, forth.max_chance), (&back.labels, back.max_chance));
        assert!((400..=1_000).contains(&forth.labels.len()), "{}", forth.labels.len());
        let n_smaller = chances.iter().filter(|chance| **chance <= forth.max_chance).count();
        assert_eq!(n_smaller, forth.labels.len());
    }
}
