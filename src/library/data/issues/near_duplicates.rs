//! Texts that are nearly the same: MinHash over sequences of three words (Broder, "On the
//! resemblance and containment of documents", 1997), with banding so that no two texts have to be
//! compared that have nothing in common, and the exact share for those that remain. Labels and
//! splits are the caller's business.
//!
//! The crates for it keep whole signatures of all texts, or hash with what may change with a version.

use std::collections::HashMap;

use rayon::prelude::*;

use super::super::words::for_each_word;
use crate::{error::Result, progress::Monitor, random::Random};

/// Two texts that are nearly the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearDuplicate {
    /// The later text.
    pub row: usize,
    /// The earlier text.
    pub other: usize,
    /// The share of three-word sequences that they have in common: Jaccard's index.
    pub similarity: f64,
}

/// Words in a sequence.
const N_WORDS: usize = 3;

/// Texts meet if all hashes of one band are equal: with 14 bands of 5, texts that share 0.8 of
/// their sequences do with a probability of 0.996, those that share 0.3 with 0.03.
const N_BANDS: usize = 14;
const BAND_N_HASHES: usize = 5;

/// Of the texts that meet in a band, each is compared with so many of the first and so many of those
/// right before it: with all of them, a thousand texts from one template would be a million pairs.
const N_COMPARED: usize = 8;

/// Texts that are looked at between two looks at the wish to stop.
const CHUNK_N_TEXTS: usize = 1_024;

/// The distinct sequences of a text as sorted hashes.
type Sequences = Vec<u64>;

/// The hash functions `a·x + b` modulo 2⁶⁴, whose minima make a signature.
struct Hashes {
    factors: [(u64, u64); N_BANDS * BAND_N_HASHES],
}

/// The facts about each text.
struct Sketch {
    /// Equal exactly if the sequences are, but for chance in 2¹²⁸; none without words.
    digest: Option<(u64, u64)>,
    bands: [u64; N_BANDS],
}

/// The pairs of `texts` that share `threshold` (above 0) or more of their three-word sequences, by
/// [`NearDuplicate::row`] and falling similarity. A word is a lower-cased run of at least two letters
/// or digits; texts of fewer words than three are one sequence; texts without words are never
/// duplicates.
///
/// Of texts with the same sequences only the first is compared with others, and each later one is
/// paired with it. A pair above the threshold can be missed by chance; no pair below it is returned.
///
/// # Errors
/// An interrupt.
pub fn near_duplicates<S: AsRef<str> + Sync>(
    texts: &[S],
    threshold: f64,
    seed: u64,
    monitor: &Monitor,
) -> Result<Vec<NearDuplicate>> {
    let hashes = Hashes::new(seed);
    let sketches = hashes.sketches(texts, monitor)?;
    let mut pairs = Vec::new();
    let mut firsts = HashMap::with_capacity(texts.len());
    let mut distinct = Vec::new();
    for (row, sketch) in sketches.iter().enumerate() {
        let Some(digest) = sketch.digest else { continue };
        let first = *firsts.entry(digest).or_insert(row);
        match first == row {
            true => distinct.push(row),
            false => pairs.push(NearDuplicate { row, other: first, similarity: 1.0 }),
        }
    }
    let candidates = candidates(&sketches, &distinct, monitor)?;
    pairs.extend(verified(texts, &candidates, threshold, monitor)?);
    pairs.sort_by(|one, other| {
        let by_row = one.row.cmp(&other.row);
        let by_similarity = other.similarity.total_cmp(&one.similarity);
        by_row.then(by_similarity).then(one.other.cmp(&other.other))
    });
    Ok(pairs)
}

impl Hashes {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // An odd factor loses nothing.
        Self { factors: std::array::from_fn(|_| (random.next_u64() | 1, random.next_u64())) }
    }

    fn sketches<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        monitor: &Monitor,
    ) -> Result<Vec<Sketch>> {
        let chunks: Vec<Vec<Sketch>> = texts
            .par_chunks(CHUNK_N_TEXTS)
            .map(|texts| {
                monitor.interrupt.check()?;
                let sketches = texts.iter().map(|text| self.sketch(text.as_ref())).collect();
                monitor.progress.advance(texts.len() as u64);
                Ok(sketches)
            })
            .collect::<Result<_>>()?;
        Ok(chunks.into_iter().flatten().collect())
    }

    fn sketch(&self, text: &str) -> Sketch {
        let sequences = sequences(text);
        if sequences.is_empty() {
            return Sketch { digest: None, bands: [0; N_BANDS] };
        }
        let mut minima = [u64::MAX; N_BANDS * BAND_N_HASHES];
        for sequence in &sequences {
            for (minimum, (factor, offset)) in minima.iter_mut().zip(&self.factors) {
                let hash = sequence.wrapping_mul(*factor).wrapping_add(*offset);
                *minimum = hash.min(*minimum);
            }
        }
        let (bands, _) = minima.as_chunks::<BAND_N_HASHES>();
        let chain = |seed: u64, values: &[u64]| {
            values.iter().fold(seed, |hash, value| mixed(hash ^ *value))
        };
        Sketch {
            digest: Some((chain(1, &sequences), chain(2, &sequences))),
            bands: std::array::from_fn(|band| chain(band as u64, &bands[band])),
        }
    }
}

/// The pairs of `rows` that meet in a band, `(earlier, later)`.
fn candidates(sketches: &[Sketch], rows: &[usize], monitor: &Monitor) -> Result<Vec<(u32, u32)>> {
    let bands: Vec<Vec<(u32, u32)>> = (0..N_BANDS)
        .into_par_iter()
        .map(|band| {
            monitor.interrupt.check()?;
            let mut met: Vec<(u64, u32)> =
                rows.iter().map(|row| (sketches[*row].bands[band], *row as u32)).collect();
            met.sort_unstable();
            let mut pairs = Vec::new();
            for bucket in met.chunk_by(|one, other| one.0 == other.0) {
                for (place, (_, row)) in bucket.iter().enumerate() {
                    let first = 0..place.min(N_COMPARED);
                    let before = place.saturating_sub(N_COMPARED).max(first.end)..place;
                    pairs.extend(first.chain(before).map(|other| (bucket[other].1, *row)));
                }
            }
            Ok(pairs)
        })
        .collect::<Result<_>>()?;
    let mut pairs = bands.concat();
    pairs.par_sort_unstable();
    pairs.dedup();
    Ok(pairs)
}

/// Those of `pairs` whose texts share so much indeed.
fn verified<S: AsRef<str> + Sync>(
    texts: &[S],
    pairs: &[(u32, u32)],
    threshold: f64,
    monitor: &Monitor,
) -> Result<Vec<NearDuplicate>> {
    let mut rows: Vec<u32> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
    rows.par_sort_unstable();
    rows.dedup();
    let known: Vec<Sequences> =
        rows.par_iter().map(|row| sequences(texts[*row as usize].as_ref())).collect();
    let sequences_of = |row: &u32| {
        let place = rows.binary_search(row).expect("every row of a pair is among the rows");
        &known[place]
    };
    let chunks: Vec<Vec<NearDuplicate>> = pairs
        .par_chunks(CHUNK_N_TEXTS)
        .map(|pairs| {
            monitor.interrupt.check()?;
            let verified = pairs.iter().filter_map(|(other, row)| {
                let similarity = jaccard(sequences_of(other), sequences_of(row));
                let pair = NearDuplicate { row: *row as usize, other: *other as usize, similarity };
                (similarity >= threshold).then_some(pair)
            });
            Ok(verified.collect())
        })
        .collect::<Result<_>>()?;
    Ok(chunks.concat())
}

/// The size of the intersection by that of the union.
fn jaccard(one: &[u64], other: &[u64]) -> f64 {
    let (mut at, mut other_at, mut n_common) = (0, 0, 0usize);
    while let (Some(left), Some(right)) = (one.get(at), other.get(other_at)) {
        n_common += usize::from(left == right);
        at += usize::from(left <= right);
        other_at += usize::from(right <= left);
    }
    n_common as f64 / (one.len() + other.len() - n_common).max(1) as f64
}

fn sequences(text: &str) -> Sequences {
    let mut words = Vec::new();
    for_each_word(text, |word| words.push(hash_of(word.as_bytes())));
    let sequence = |words: &[u64]| words.iter().fold(0, |hash: u64, word| mixed(hash ^ *word));
    let mut sequences: Sequences = match words.len() {
        0 => return Vec::new(),
        1..N_WORDS => vec![sequence(&words)],
        _ => words.windows(N_WORDS).map(sequence).collect(),
    };
    sequences.sort_unstable();
    sequences.dedup();
    sequences
}

/// FNV-1a, then mixed.
fn hash_of(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mixed(hash)
}

/// The finaliser of SplitMix64, after a step, so that 0 is none of its own.
fn mixed(hash: u64) -> u64 {
    let mut z = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn found<S: AsRef<str> + Sync>(texts: &[S], threshold: f64) -> Vec<NearDuplicate> {
        near_duplicates(texts, threshold, 42, &Monitor::silent()).unwrap()
    }

    /// The definition itself, on strings.
    fn share(one: &str, other: &str) -> f64 {
        let sequences = |text: &str| -> BTreeSet<Vec<String>> {
            let mut words = Vec::new();
            for_each_word(text, |word| words.push(word.to_owned()));
            words.windows(N_WORDS.min(words.len()).max(1)).map(<[String]>::to_vec).collect()
        };
        let (one, other) = (sequences(one), sequences(other));
        one.intersection(&other).count() as f64 / one.union(&other).count().max(1) as f64
    }

    #[test]
    fn texts_that_differ_in_little_are_found_and_others_are_not() {
        let base: Vec<String> = (0..60).map(|n| format!("w{}", n * n % 97)).collect();
        let mut changed = base.clone();
        changed[30] = "other".into();
        let texts = [
            base.join(" "),
            "something else entirely, of eight words in all".into(),
            changed.join(" "),
            base.join(" <br /> ").to_uppercase(),
            String::new(),
            "  ".into(),
            "Fine.".into(),
            "fine!".into(),
        ];
        let pairs: Vec<(usize, usize)> =
            found(&texts, 0.8).iter().map(|pair| (pair.row, pair.other)).collect();
        assert_eq!(pairs, [(2, 0), (3, 0), (7, 6)]);
    }

    #[test]
    fn a_thousand_texts_of_one_template_are_no_million_pairs() {
        let template: Vec<String> = (0..200).map(|n| format!("w{n}")).collect();
        let texts: Vec<String> =
            (0..1_000).map(|n| format!("{} number{n}", template.join(" "))).collect();
        let pairs = found(&texts, 0.8);
        let rows: BTreeSet<usize> = pairs.iter().map(|pair| pair.row).collect();
        assert_eq!(rows.len(), 999, "each but the first is like an earlier one");
        assert!(pairs.len() <= 1_000 * 2 * N_COMPARED * N_BANDS, "{}", pairs.len());
    }

    #[test]
    fn an_interrupt_stops_it() {
        let monitor = Monitor::silent();
        monitor.interrupt.raise();
        let error = near_duplicates(&["a b c"], 0.8, 1, &monitor).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Interrupted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pairs_are_exactly_those_that_share_so_much(
            texts in prop::collection::vec("((aa|bb|cc|dd|ee) ){0,12}", 0..24)
        ) {
            let pairs = found(&texts, 0.8);
            for pair in &pairs {
                prop_assert!(pair.other < pair.row);
                let exact = share(&texts[pair.row], &texts[pair.other]);
                prop_assert!((exact - pair.similarity).abs() < 1e-12);
                prop_assert!(exact >= 0.8);
            }
            for (row, text) in texts.iter().enumerate() {
                let is_known = (0..row).any(|other| share(text, &texts[other]) >= 0.95);
                let is_found = pairs.iter().any(|pair| pair.row == row);
                prop_assert!(is_found || !is_known, "{row}");
            }
        }

        #[test]
        fn the_number_of_threads_decides_nothing(
            texts in prop::collection::vec("((aa|bb|cc) ){0,9}", 0..40)
        ) {
            let with = |n_threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| found(&texts, 0.5))
            };
            prop_assert_eq!(with(1), with(3));
        }
    }
}
