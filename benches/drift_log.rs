//! A log of ten million predictions: the time and the memory that drift, performance by true labels and the
//! choice of what to label next take, and what counting the words of a text costs.
//! `cargo bench --bench drift_log`; a number after `--` is that of the predictions.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and fails as a whole"
)]

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use trialbook::monitor::{
    PerformanceRequest, PickRequest, PredictionRecord, ProfileRows, ReferenceProfile, SampleBy,
    TextSource, TrueLabel, TrueLabels, WindowChoice, WindowCounts, WindowSize, WordCounter,
    measure_performance, pick_texts, read_log,
};

const N_PREDICTIONS: usize = 10_000_000;
/// About what fills a file of 64 MiB.
const PER_FILE: usize = 200_000;
/// A quarter of the text's SHA-256.
const SHA256: &str = "0123456789abcdef";
const WORDS: [&str; 16] = [
    "the",
    "film",
    "was",
    "good",
    "bad",
    "and",
    "plot",
    "actor",
    "scene",
    "story",
    "music",
    "never",
    "wonderful",
    "boring",
    "again",
    "director",
];

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let n: usize = asked.unwrap_or(N_PREDICTIONS);
    let texts: Vec<String> = (0..2_000).map(review).collect();
    let profile = profile(&texts);

    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path(), n);
    let n_bytes: u64 = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    let choice = WindowChoice {
        model: "Reviews".to_owned(),
        version: 3,
        from_ms: 0,
        to_ms: i64::MAX,
        is_shadow: false,
    };
    let started = Instant::now();
    let window =
        read_log(folder.path(), 0, || WindowCounts::new(&profile, choice.clone())).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(window.n as usize, n);
    println!(
        "{n} predictions, {:.2} GB: {seconds:.1} s, {:.0} MB a second, {} at most",
        n_bytes as f64 / 1e9,
        n_bytes as f64 / 1e6 / seconds,
        peak_memory()
    );
    performance(folder.path(), n);
    sample(folder.path(), n);
    count(&texts, &profile.word_counter());
}

/// One prediction in a hundred has its label.
fn performance(dir: &Path, n: usize) {
    let mut labels = TrueLabels::default();
    for number in (0..n).step_by(100) {
        labels.tell(TrueLabel {
            request_id: request_id(number),
            index: 0,
            label: Some(if number % 300 == 0 { "pos" } else { "neg" }.to_owned()),
            source: "user".to_owned(),
            timestamp_ms: 1,
            sampled_by: None,
        });
    }
    let request = PerformanceRequest {
        model: None,
        from_ms: i64::MIN,
        latest_bytes: None,
        window: WindowSize::Milliseconds(60_000),
    };
    let started = Instant::now();
    let classes = |_: &str, _| Ok(vec!["neg".to_owned(), "pos".to_owned()]);
    let report = measure_performance(dir, &labels, &request, classes).unwrap();
    let overall = &report.versions[0].overall;
    assert_eq!((overall.n_predictions as usize, report.n_unmatched), (n, 0));
    told("performance by true labels", started, overall.n_labelled);
}

fn sample(dir: &Path, n: usize) {
    let text = "a".repeat(8);
    let texts: TextSource = [(SHA256.repeat(4), text)].into();
    for by in SampleBy::ALL {
        let (model, seed) = ("Reviews".to_owned(), 42);
        let request = PickRequest {
            model,
            n: 50,
            by,
            from_ms: i64::MIN,
            latest_bytes: None,
            version: None,
            seed,
        };
        let started = Instant::now();
        let picked = pick_texts(dir, &TrueLabels::default(), &texts, &request).unwrap();
        let expected = if by == SampleBy::Disagreement { 0 } else { n };
        assert_eq!(picked.n_candidates as usize, expected);
        told(&format!("sample by {by}"), started, picked.texts.len() as u64);
    }
}

/// The memory is the most that the process took up to now.
fn told(work: &str, started: Instant, n: u64) {
    println!(
        "{work}: {:.1} s, {n} rows, {} at most",
        started.elapsed().as_secs_f64(),
        peak_memory()
    );
}

fn request_id(number: usize) -> String {
    format!("{number:032x}")
}

/// Some 230 words, as a review of IMDB has.
fn review(number: usize) -> String {
    let word = |place: usize| match (number + place) % 7 {
        0 => format!("word{}", (number * 31 + place * place) % 20_000),
        _ => WORDS[(number * 7 + place * 13 + place * place) % WORDS.len()].to_owned(),
    };
    (0..230).map(word).collect::<Vec<_>>().join(" ")
}

fn profile(texts: &[String]) -> ReferenceProfile {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (ones, zeros) = (vec![1.0; texts.len()], vec![0; texts.len()]);
    ReferenceProfile::of(&ProfileRows {
        name: "bench.test",
        fingerprint: "",
        classes: &["neg".to_owned(), "pos".to_owned()],
        texts: &texts,
        predicted: &zeros,
        confidences: &ones,
        known_shares: Some(&ones),
        embeddings: None,
    })
}

fn write_log(dir: &Path, n: usize) {
    for first in (0..n).step_by(PER_FILE) {
        let path =
            dir.join(format!("predictions-{:013}-1-000000.jsonl", 1_795_000_000_000 + first));
        let mut file = BufWriter::new(File::create(path).unwrap());
        for number in first..n.min(first + PER_FILE) {
            let record = PredictionRecord {
                timestamp_ms: 1_795_000_000_000 + number as i64,
                request_id: request_id(number),
                model: "Reviews".to_owned(),
                version: 3,
                label: if number.is_multiple_of(2) { "neg" } else { "pos" }.to_owned(),
                confidence: 0.5 + (number % 500) as f64 / 1e3,
                probability: Some(0.25),
                latency_ms: 0.321,
                n_chars: 1_300,
                n_words: Some((number % 900) as u32),
                n_unknown_words: Some((number % 9) as u32),
                text_sha256: Some(SHA256.repeat(4)),
                ..PredictionRecord::default()
            };
            serde_json::to_writer(&mut file, &record).unwrap();
            file.write_all(b"\n").unwrap();
        }
        file.flush().unwrap();
    }
}

/// The most memory that the process took, as Linux says it.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("unknown memory".to_owned(), |peak| peak.trim().to_owned())
}

/// What a prediction pays.
fn count(texts: &[String], counter: &WordCounter) {
    let mut found = Vec::new();
    let started = Instant::now();
    const ROUNDS: usize = 20;
    for text in (0..ROUNDS).flat_map(|_| texts) {
        found.clear();
        black_box(counter.count(text, &mut found));
    }
    let micros = started.elapsed().as_secs_f64() * 1e6 / (ROUNDS * texts.len()) as f64;
    println!("counting the words of a text of 230 words: {micros:.2} microseconds");
}
