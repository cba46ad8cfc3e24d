//! How long the baseline takes: vectorising, fitting and predicting on a generated corpus.

#![allow(missing_docs)] // what criterion_group! generates has none

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use trialbook::{
    data::{Fingerprint, Split},
    model::{Classifier, ModelFiles, Tfidf, TfidfConfig, load},
    progress::Monitor,
    text::{TextFrequency, Vectorizer},
};

const N_TEXTS: usize = 2000;
const N_WORDS: usize = 230;

/// Texts of about a review's length over a vocabulary with Zipf's frequencies; a twentieth of the
/// words tell the class.
fn corpus() -> Split {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let labels: Vec<u32> = (0..N_TEXTS as u32).map(|text| text % 2).collect();
    let texts: Vec<String> = labels
        .iter()
        .map(|label| {
            let mut text = String::new();
            for _ in 0..N_WORDS {
                let rank = (20_000f64.powf(uniform())) as u32;
                match uniform() < 0.05 {
                    true => text.push_str(&format!("sign{}x{label} ", rank % 500)),
                    false => text.push_str(&format!("Word{rank} ")),
                }
            }
            text
        })
        .collect();
    Split {
        name: "train".to_owned(),
        texts,
        labels,
        classes: vec!["neg".to_owned(), "pos".to_owned()],
        fingerprint: Fingerprint {
            sha256: String::new(),
            n_rows: N_TEXTS,
            class_counts: vec![N_TEXTS / 2; 2],
        },
    }
}

fn config() -> TfidfConfig {
    let vectorizer = Vectorizer {
        ngram_max: 2,
        min_df: TextFrequency::Count(2),
        sublinear_tf: true,
        ..Vectorizer::default()
    };
    TfidfConfig { vectorizer, c: 10.0, ..TfidfConfig::default() }
}

fn trained(split: &Split) -> Tfidf {
    config().train(split, &Monitor::silent(), &mut |_, _, _| Ok(())).expect("the corpus is sound")
}

fn tfidf(criterion: &mut Criterion) {
    let split = corpus();
    let n_bytes: usize = split.texts.iter().map(String::len).sum();
    let mut group = criterion.benchmark_group("tfidf");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(n_bytes as u64));
    let monitor = Monitor::silent();
    group.bench_function("vectorise 2,000 texts", |bencher| {
        let vectorizer = config().vectorizer;
        bencher.iter(|| vectorizer.fit_transform(black_box(&split.texts), &monitor));
    });
    group.bench_function("train on 2,000 texts", |bencher| {
        bencher.iter(|| trained(black_box(&split)));
    });
    let model = trained(&split);
    let texts: Vec<&str> = split.texts.iter().map(String::as_str).collect();
    group.bench_function("predict 2,000 texts", |bencher| {
        bencher.iter(|| model.predict(black_box(&texts)));
    });
    group.finish();
    let mut next = 0;
    criterion.bench_function("tfidf/predict one text", |bencher| {
        bencher.iter_batched(
            || {
                next = (next + 1) % texts.len();
                [texts[next]]
            },
            |text| model.predict(black_box(&text)),
            BatchSize::SmallInput,
        );
    });
    let dir = tempfile::tempdir().expect("the system has a folder for temporary files");
    criterion.bench_function("tfidf/save", |bencher| bencher.iter(|| model.save(dir.path())));
    model.save(dir.path()).expect("the folder takes files");
    criterion.bench_function("tfidf/load", |bencher| {
        bencher.iter(|| ModelFiles::in_dir(dir.path()).and_then(|files| load(&files)));
    });
}

criterion_group!(benches, tfidf);
criterion_main!(benches);
