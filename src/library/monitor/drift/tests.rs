//! What a comparison says of windows whose truth is known.

use super::*;
use crate::{
    evaluate::SignalLevel,
    model::TextEmbedding,
    monitor::{
        CountedAnswer, ProfileRows, ReferenceProfile, WindowChoice, WindowCounts, sample_key,
    },
    progress::Monitor,
    random::Random,
};

/// Where texts and answers come from.
#[derive(Debug, Clone, Copy)]
struct TrafficWorld {
    /// Of a hundred texts so many are positive.
    percent_positive: usize,
    /// Of a hundred words so many are unknown to the model.
    percent_unknown: usize,
    /// Words of a text, at most.
    max_words: usize,
    /// The words that are drawn begin here in the vocabulary.
    first_word: usize,
    /// Of a hundred texts so many begin with a word that is rare elsewhere.
    percent_refrain: usize,
    /// Where embeddings lie.
    place: f32,
}

const HOME: TrafficWorld = TrafficWorld {
    percent_positive: 50,
    percent_unknown: 2,
    max_words: 60,
    first_word: 0,
    percent_refrain: 0,
    place: 0.0,
};

struct TrafficRow {
    text: String,
    is_positive: bool,
    confidence: f64,
    n_unknown: u32,
    embedding: TextEmbedding,
}

impl TrafficWorld {
    fn row(self, random: &mut Random) -> TrafficRow {
        let n_words = 5 + random.below(self.max_words - 4);
        let mut n_unknown = 0;
        let mut words: Vec<String> = (0..n_words)
            .map(|_| {
                if random.chance(self.percent_unknown) {
                    n_unknown += 1;
                    return format!("unheard{}", random.below(100_000));
                }
                // Few words are frequent, many are rare.
                let rank = random.below(40).min(random.below(40)) * (1 + random.below(20));
                format!("word{}", self.first_word + rank)
            })
            .collect();
        if self.percent_refrain > 0 && random.chance(self.percent_refrain) {
            words.push("word700".to_owned());
        }
        let sure = random.below(1_000).max(random.below(1_000)) as f64 / 1_000.0;
        let unit = |random: &mut Random| random.below(2_001) as f32 / 1_000.0 - 1.0;
        TrafficRow {
            text: words.join(" "),
            is_positive: random.chance(self.percent_positive),
            confidence: 0.5 + sure / 2.0,
            n_unknown,
            embedding: std::array::from_fn(|_| self.place + unit(random)),
        }
    }

    fn rows(self, n: usize, seed: u64) -> Vec<TrafficRow> {
        let mut random = Random::new(seed);
        (0..n).map(|_| self.row(&mut random)).collect()
    }
}

fn profile(rows: &[TrafficRow]) -> ReferenceProfile {
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let predicted: Vec<u32> = rows.iter().map(|row| u32::from(row.is_positive)).collect();
    let confidences: Vec<f64> = rows.iter().map(|row| row.confidence).collect();
    let known = rows.iter().map(|row| {
        let n_words = row.text.split(' ').count() as f64;
        1.0 - f64::from(row.n_unknown) / n_words
    });
    let known: Vec<f64> = known.collect();
    let embeddings: Vec<TextEmbedding> = rows.iter().map(|row| row.embedding).collect();
    ReferenceProfile::of(&ProfileRows {
        name: "world.test",
        fingerprint: "",
        classes: &["neg".to_owned(), "pos".to_owned()],
        texts: &texts,
        predicted: &predicted,
        confidences: &confidences,
        known_shares: Some(&known),
        embeddings: Some(&embeddings),
    })
}

/// As of a model that is no net.
fn plain_profile(rows: &[TrafficRow]) -> ReferenceProfile {
    ReferenceProfile { embeddings: None, ..profile(rows) }
}

fn window(profile: &ReferenceProfile, rows: &[TrafficRow]) -> WindowCounts {
    let choice = WindowChoice {
        model: "M".to_owned(),
        version: 1,
        from_ms: 0,
        to_ms: i64::MAX,
        is_shadow: false,
    };
    let mut window = WindowCounts::new(profile, choice);
    let counter = profile.word_counter();
    let mut found = Vec::new();
    for (row, number) in rows.iter().zip(0..) {
        found.clear();
        let n_words = counter.count(&row.text, &mut found);
        window.add(CountedAnswer {
            label: if row.is_positive { "pos" } else { "neg" },
            confidence: row.confidence,
            n_words: Some(n_words as u32),
            n_unknown_words: Some(row.n_unknown),
        });
        window.add_words(1, found.iter().map(|id| (*id, 1)));
        window.add_embedding(sample_key(number), row.embedding);
    }
    window
}

fn report(profile: &ReferenceProfile, rows: &[TrafficRow]) -> DriftReport {
    let window = window(profile, rows);
    let options = DriftOptions::default();
    compare(profile, &window, &DriftTexts::default(), &options, &Monitor::silent()).unwrap()
}

fn levels(report: &DriftReport) -> Vec<(SignalName, SignalLevel)> {
    report.signals.iter().map(|signal| (signal.name, signal.level)).collect()
}

#[test]
fn windows_of_the_same_world_are_hardly_ever_more_than_ok() {
    // The test of embeddings is one of permutations, exact by itself, and slow here.
    let profile = plain_profile(&HOME.rows(3_000, 1));
    for (n, n_windows) in [(1_000, 20), (250, 60)] {
        let reports = (0..n_windows).map(|seed| report(&profile, &HOME.rows(n, 100 + seed)));
        let alarms: Vec<_> = reports
            .filter(|report| report.verdict != SignalLevel::Ok)
            .map(|report| levels(&report))
            .collect();
        assert!(alarms.len() <= 1, "{} of {n_windows} windows of {n}: {alarms:?}", alarms.len());
    }
}

#[test]
fn each_shift_is_seen_where_it_is() {
    let with_embeddings = profile(&HOME.rows(2_000, 1));
    let plain = ReferenceProfile { embeddings: None, ..with_embeddings.clone() };
    let shifts = [
        (SignalName::Predictions, TrafficWorld { percent_positive: 60, ..HOME }, SignalLevel::Warn),
        (
            SignalName::Predictions,
            TrafficWorld { percent_positive: 75, ..HOME },
            SignalLevel::Alert,
        ),
        (SignalName::UnknownWords, TrafficWorld { percent_unknown: 7, ..HOME }, SignalLevel::Alert),
        (SignalName::Length, TrafficWorld { max_words: 20, ..HOME }, SignalLevel::Alert),
        (SignalName::Words, TrafficWorld { first_word: 300, ..HOME }, SignalLevel::Alert),
        (SignalName::OneWord, TrafficWorld { percent_refrain: 30, ..HOME }, SignalLevel::Warn),
        (SignalName::OneWord, TrafficWorld { percent_refrain: 60, ..HOME }, SignalLevel::Alert),
        (SignalName::Embeddings, TrafficWorld { place: 0.5, ..HOME }, SignalLevel::Alert),
    ];
    for (name, world, expected) in shifts {
        let profile = if name == SignalName::Embeddings { &with_embeddings } else { &plain };
        let report = report(profile, &world.rows(1_000, 7));
        let signal = report.signals.iter().find(|signal| signal.name == name).unwrap();
        assert!(signal.level >= expected, "{world:?}: {signal:?}");
        assert_eq!(report.verdict, report.signals.iter().map(|signal| signal.level).max().unwrap());
        let mut others =
            report.signals.iter().filter(|signal| signal.name == SignalName::Confidence);
        assert!(others.all(|signal| signal.level == SignalLevel::Ok), "{report:?}");
    }
}

#[test]
fn too_few_predictions_say_nothing_and_the_report_says_so() {
    let profile = plain_profile(&HOME.rows(1_000, 1));
    let other = TrafficWorld { percent_positive: 100, max_words: 6, place: 1.0, ..HOME };
    for (n, is_enough) in [(1, false), (199, false), (200, true)] {
        let report = report(&profile, &other.rows(n, 3));
        assert_eq!(report.is_enough, is_enough, "{n}");
        assert_eq!(report.verdict == SignalLevel::Ok, !is_enough, "{n}: {report:?}");
        assert!(
            report.signals.iter().all(|signal| {
                signal.reason.is_none() == is_enough && signal.is_enough == is_enough
            }),
            "{report:?}"
        );
        let told = report.to_output().to_text(None);
        assert_eq!(told.starts_with("too few to tell: "), !is_enough, "{told}");
        assert!(!told.starts_with("ok"), "{told}");
        assert_eq!(report.too_few().is_some(), !is_enough, "{n}");
        let expected =
            ["1 text, and it takes 200", "199 texts, and it takes 200"][usize::from(n > 1)];
        assert!(is_enough || report.signals[0].reason.as_deref() == Some(expected), "{report:?}");
    }
    // Few rows on the other side say as little.
    let small = plain_profile(&HOME.rows(150, 1));
    let found = report(&small, &other.rows(500, 3));
    assert!(!found.is_enough && found.to_output().to_text(None).starts_with("too few to tell"));
    let expected = "150 texts of the reference, and it takes 200";
    assert_eq!(found.signals[0].reason.as_deref(), Some(expected));
    let empty = report(&profile, &[]);
    assert_eq!((empty.verdict, empty.n, empty.charts.len()), (SignalLevel::Ok, 0, 0));
}

#[test]
fn a_label_that_was_never_predicted_before_counts() {
    let profile = plain_profile(&HOME.rows(1_000, 1));
    let mut seen = window(&profile, &HOME.rows(700, 3));
    for _ in 0..300 {
        seen.add(CountedAnswer {
            label: "new",
            confidence: 0.9,
            n_words: None,
            n_unknown_words: None,
        });
    }
    let options = DriftOptions::default();
    let report =
        compare(&profile, &seen, &DriftTexts::default(), &options, &Monitor::silent()).unwrap();
    assert_eq!(report.signals[0].level, SignalLevel::Alert, "{report:?}");
    assert_eq!(report.signals[0].n_current, 1_000);
}

#[test]
fn a_report_begins_with_its_verdict_and_is_an_output() {
    let profile = plain_profile(&HOME.rows(1_000, 1));
    let report = report(&profile, &HOME.rows(500, 3));
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        json.starts_with(r#"{"verdict":"ok","signals":[{"name":"predictions","level":"ok","#),
        "{json}"
    );
    let output = report.to_output();
    assert_eq!(output.json()["verdict"], "ok");
    let told = output.to_text(Some(100));
    assert!(told.contains("unknown words") && told.contains("kolmogorov-smirnov"), "{told}");
    assert_eq!(report.charts.len(), 4);
}
