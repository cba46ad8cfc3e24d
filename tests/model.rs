//! The baseline from texts to saved files: against scikit-learn's and linfa's own answers, against
//! damage, and against the number of threads.

#![allow(clippy::unwrap_used)] // clippy does not take helpers of tests for tests

use std::{collections::BTreeMap, fs, path::Path};

use linfa::{
    Dataset, DatasetBase, ParamGuard,
    traits::{Fit as _, Predict as _},
};
use ndarray::{Array1, Array2};
use proptest::prelude::*;
use serde_json::Value;
use trialbook::{
    ErrorKind,
    data::{Fingerprint, Split},
    model::{
        ClassWeight, Classifier, DEFAULT_THRESHOLD, Fit, Logistic, LogisticParams, ModelFiles,
        Probabilities, SparseRows, Tfidf, TfidfConfig, cross_validate, load, predicted_label,
    },
    progress::Monitor,
    text::{Casing, Html, StopWords, TermMatrix, TextFrequency, Vectorizer},
};

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|item| item.as_f64().unwrap()).collect()
}

fn vectorizer_of(params: &Value) -> Vectorizer {
    let mut vectorizer = Vectorizer::default();
    for (key, value) in params.as_object().unwrap() {
        let frequency = || match value.as_u64() {
            Some(count) => TextFrequency::Count(count as u32),
            None => TextFrequency::Fraction(value.as_f64().unwrap()),
        };
        match key.as_str() {
            "ngram_range" => {
                vectorizer.ngram_min = value[0].as_u64().unwrap() as usize;
                vectorizer.ngram_max = value[1].as_u64().unwrap() as usize;
            }
            "min_df" => vectorizer.min_df = frequency(),
            "max_df" => vectorizer.max_df = frequency(),
            "max_features" => vectorizer.max_features = Some(value.as_u64().unwrap() as usize),
            "sublinear_tf" => vectorizer.sublinear_tf = value.as_bool().unwrap(),
            "smooth_idf" => vectorizer.smooth_idf = value.as_bool().unwrap(),
            "use_idf" => vectorizer.use_idf = value.as_bool().unwrap(),
            "stop_words" => vectorizer.stop_words = StopWords::List(strings(value)),
            "lowercase" => vectorizer.casing = Casing::Keep,
            "html" if value == "keep" => vectorizer.html = Html::Keep,
            "html" => vectorizer.html = Html::Strip,
            other => panic!("unknown parameter {other}"),
        }
    }
    vectorizer
}

fn assert_rows(name: &str, found: &TermMatrix, expected: &Value) {
    let found = found.to_csr();
    assert_eq!(found.rows(), expected.as_array().unwrap().len(), "{name}");
    for (row_idx, expected) in expected.as_array().unwrap().iter().enumerate() {
        let row = found.outer_view(row_idx).unwrap();
        let found: Vec<(usize, f64)> =
            row.iter().map(|(at, value)| (at, f64::from(*value))).collect();
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{name}, row {row_idx}");
        for ((feature, value), expected) in found.iter().zip(expected) {
            assert_eq!(*feature as u64, expected[0].as_u64().unwrap(), "{name}, row {row_idx}");
            // Weights are stored in single precision: 2^-24 relative.
            let difference = (value - expected[1].as_f64().unwrap()).abs();
            assert!(difference < 1e-6, "{name}, row {row_idx}: {value} is off by {difference:e}");
        }
    }
}

#[test]
fn terms_and_weights_equal_scikit_learns() {
    let expected = fixture("tfidf_expected.json");
    let (texts, unseen) = (strings(&expected["texts"]), strings(&expected["unseen"]));
    for case in expected["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let vectorizer = vectorizer_of(&case["params"]);
        let (fitted, matrix) = vectorizer.fit_transform(&texts, &Monitor::silent()).unwrap();
        assert_eq!(fitted.vocabulary().terms(), strings(&case["terms"]), "{name}");
        assert_rows(name, &matrix, &case["fitted"]);
        assert_rows(name, &fitted.transform(&texts), &case["fitted"]);
        assert_rows(name, &fitted.transform(&unseen), &case["transformed"]);
    }
}

/// Rows of eighths, which single precision holds exactly.
fn sparse(rows: &[Vec<f64>]) -> TermMatrix {
    let n_features = rows[0].len();
    let (mut starts, mut features, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in rows {
        for (feature, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            features.push(feature as u32);
            values.push(*value as f32);
        }
        starts.push(features.len());
    }
    TermMatrix::new((rows.len(), n_features), starts, features, values)
}

fn fit(params: LogisticParams, rows: &[Vec<f64>], labels: &[usize]) -> Logistic {
    let targets = Array1::from(labels.to_vec());
    params.fit(&DatasetBase::new(SparseRows::new(sparse(rows)), targets)).unwrap()
}

fn assert_close(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "{name}: {found}, expected {expected}");
    }
}

#[test]
fn coefficients_equal_scikit_learns() {
    let expected = fixture("logistic_expected.json");
    let rows: Vec<Vec<f64>> = expected["rows"].as_array().unwrap().iter().map(numbers).collect();
    for case in expected["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let labels: Vec<usize> =
            numbers(&case["labels"]).iter().map(|label| *label as usize).collect();
        let class_weight = match &case["class_weight"] {
            Value::Null => ClassWeight::Uniform,
            Value::String(_) => ClassWeight::Balanced,
            weights => ClassWeight::Given(numbers(weights)),
        };
        let params = LogisticParams::default()
            .c(case["c"].as_f64().unwrap())
            .class_weight(class_weight)
            .tolerance(1e-11);
        let model = fit(params, &rows, &labels);
        let by_class: Vec<Vec<f64>> =
            case["coefficients"].as_array().unwrap().iter().map(numbers).collect();
        let by_feature: Vec<f64> = (0..rows[0].len())
            .flat_map(|feature| by_class.iter().map(move |weights| weights[feature]))
            .collect();
        // scikit-learn's own tolerance of 1e-12 leaves about so much with C = 100.
        assert_close(name, model.coefficients(), &by_feature, 2e-6);
        assert_close(name, model.intercepts(), &numbers(&case["intercepts"]), 2e-6);
        let expected: Vec<f64> =
            case["probabilities"].as_array().unwrap().iter().flat_map(numbers).collect();
        assert_close(name, &model.probabilities(&sparse(&rows[..5])), &expected, 1e-6);
    }
}

/// Separable, tiny, repeated and constant data from C = 0.001 to a million: what the fit calls
/// converged is as close to the exact minimum as the tolerance says.
#[test]
fn probabilities_are_within_the_tolerance_of_the_exact_minimum() {
    let expected = fixture("optima_expected.json");
    let sets: BTreeMap<&str, (TermMatrix, Vec<u32>)> = expected["sets"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, set)| {
            let rows: Vec<Vec<f64>> = set["rows"].as_array().unwrap().iter().map(numbers).collect();
            let labels = numbers(&set["labels"]).iter().map(|label| *label as u32).collect();
            (name.as_str(), (sparse(&rows), labels))
        })
        .collect();
    for case in expected["cases"].as_array().unwrap() {
        let (rows, labels) = &sets[case["name"].as_str().unwrap()];
        let n_classes = *labels.iter().max().unwrap() as usize + 1;
        let default = LogisticParams::default().c(case["c"].as_f64().unwrap());
        for (params, limit) in [(default.clone(), 1e-4), (default.tolerance(1e-8), 1e-6)] {
            let name = format!("{}, C = {}, {limit:e}", case["name"], case["c"]);
            let (model, report) = params
                .check()
                .unwrap()
                .fit_rows(rows, labels, n_classes, &mut |_, _, _| Ok(()))
                .unwrap();
            assert!(report.has_converged && report.error <= limit, "{name}: {report:?}");
            let found = model.probabilities(rows);
            assert_close(&name, &found, &numbers(&case["probabilities"]), limit);
        }
    }
}

#[test]
fn a_fit_says_by_how_much_it_may_be_off() {
    let split = reviews(400, &["bad", "good", "mixed"], 3);
    let (vectorizer, labels) = (bigrams().vectorizer, &split.labels);
    let (_, matrix) = vectorizer.fit_transform(&split.texts, &Monitor::silent()).unwrap();
    for c in [0.01, 1.0, 100.0, 1e5] {
        let fit = |max_iter, tolerance| {
            let params = LogisticParams::default().c(c).max_iter(max_iter).tolerance(tolerance);
            let params = params.check().unwrap();
            params.fit_rows(&matrix, labels, 3, &mut |_, _, _| Ok(())).unwrap()
        };
        let exact = fit(1000, 1e-10).0.probabilities(&matrix);
        for max_iter in 1..20 {
            let (model, report) = fit(max_iter, 1e-7);
            let found = model.probabilities(&matrix);
            let off = found
                .iter()
                .zip(&exact)
                .map(|(one, other)| (one - other).abs())
                .fold(0.0, f64::max);
            // Estimated by the steps that were taken: never far below the truth.
            assert!(off <= 1.5 * report.error + 1e-8, "C = {c}: {off:e}, {report:?}");
            assert!(report.has_converged || report.n_iter == max_iter, "C = {c}: {report:?}");
        }
    }
}

/// Where nothing separates the classes, or the tolerance asks for nothing, there is nothing to
/// search: the intercepts alone are the model.
#[test]
fn a_fit_without_anything_to_learn_has_intercepts_alone() {
    let words = |texts: &[&str], labels: &[u32], classes: &[&str]| {
        let mut class_counts = vec![0; classes.len()];
        labels.iter().for_each(|label| class_counts[*label as usize] += 1);
        Split {
            name: "train".to_owned(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            labels: labels.to_vec(),
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
            fingerprint: Fingerprint { sha256: String::new(), n_rows: texts.len(), class_counts },
        }
    };
    let (two, three) = (&["neg", "pos"][..], &["bad", "good", "mixed"][..]);
    let same = ["good film"; 4];
    let common = TfidfConfig {
        vectorizer: Vectorizer {
            min_df: TextFrequency::Fraction(1.0),
            ngram_max: 1,
            ..Vectorizer::default()
        },
        ..TfidfConfig::default()
    };
    let one = TfidfConfig {
        vectorizer: Vectorizer { max_features: Some(1), ..common.vectorizer.clone() },
        ..common.clone()
    };
    let loose = TfidfConfig { tol: 0.01, ..bigrams() };
    let the = ["the good", "the bad", "the worse", "the best"];
    for (name, config, split, expected) in [
        ("equal rows", &common, words(&same, &[0, 1, 0, 1], two), vec![0.5, 0.5]),
        ("equal rows, uneven", &common, words(&same, &[0, 1, 1, 1], two), vec![0.25, 0.75]),
        ("equal rows, three", &common, words(&same, &[0, 1, 2, 2], three), vec![0.25, 0.25, 0.5]),
        ("words of all texts", &common, words(&the, &[0, 1, 1, 0], two), vec![0.5, 0.5]),
        ("one word", &one, words(&the, &[0, 1, 1, 1], two), vec![0.25, 0.75]),
        ("loose", &loose, reviews(40, two, 1), vec![0.575, 0.425]),
    ] {
        let mut logged = BTreeMap::new();
        let model = config
            .train(&split, &Monitor::silent(), &mut |key, value, _| {
                logged.insert(key.to_owned(), value);
                Ok(())
            })
            .unwrap();
        assert!(model.logistic().coefficients().iter().all(|weight| weight.abs() < 1e-9), "{name}");
        let found = model.predict(&["the good film", ""]).unwrap();
        found.rows().for_each(|row| assert_close(name, row, &expected, 1e-6));
        assert_eq!(logged["converged"], 1.0, "{name}");
    }
}

#[test]
fn linfas_dense_regression_finds_the_same_weights() {
    let expected = fixture("logistic_expected.json");
    let rows: Vec<Vec<f64>> = expected["rows"].as_array().unwrap().iter().map(numbers).collect();
    let dense = Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap();
    for (case_idx, c) in [(0, 1.0), (0, 0.1), (4, 1.0)] {
        let case = &expected["cases"][case_idx];
        let labels: Vec<usize> =
            numbers(&case["labels"]).iter().map(|label| *label as usize).collect();
        let model = fit(LogisticParams::default().c(c).tolerance(1e-10), &rows, &labels);
        let dataset = Dataset::new(dense.clone(), Array1::from(labels));
        // linfa minimises the summed losses plus ½ alpha ‖w‖²: alpha = 1 / C.
        if case_idx == 0 {
            let oracle = linfa_logistic::LogisticRegression::default()
                .alpha(1.0 / c)
                .gradient_tolerance(1e-9)
                .max_iterations(10_000)
                .fit(&dataset)
                .unwrap();
            // linfa takes the class it meets first for the positive one.
            let sign = if oracle.labels().pos.class == 1 { 1.0 } else { -1.0 };
            let weights: Vec<f64> = oracle.params().iter().map(|weight| sign * weight).collect();
            assert_close("binary", model.coefficients(), &weights, 1e-6);
            assert_close("binary", model.intercepts(), &[sign * oracle.intercept()], 1e-6);
        } else {
            let oracle = linfa_logistic::MultiLogisticRegression::default()
                .alpha(1.0 / c)
                .gradient_tolerance(1e-9)
                .max_iterations(10_000)
                .fit(&dataset)
                .unwrap();
            let weights: Vec<f64> = oracle.params().iter().copied().collect();
            assert_close("multinomial", model.coefficients(), &weights, 1e-6);
        }
    }
}

const GOOD: [&str; 6] = ["great", "superb", "lovely", "moving", "fun", "brilliant"];
const BAD: [&str; 6] = ["awful", "boring", "poor", "dull", "weak", "terrible"];
const NEUTRAL: [&str; 8] = ["film", "plot", "acting", "the", "scene", "was", "music", "and"];

/// Generated reviews: class `i` prefers the i-th list of words.
fn reviews(n_texts: usize, classes: &[&str], seed: usize) -> Split {
    let lists = [&BAD[..], &GOOD[..], &["average", "fine", "okay"][..]];
    let mut state = seed as u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound
    };
    let mut class_counts = vec![0; classes.len()];
    let (mut texts, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..n_texts {
        let label = below(classes.len());
        let words: Vec<&str> = (0..10 + below(30))
            .map(|_| match below(10) {
                0 => lists[below(classes.len())][below(3)],
                1..=3 => lists[label][below(lists[label].len())],
                _ => NEUTRAL[below(NEUTRAL.len())],
            })
            .collect();
        texts.push(words.join(" ") + ".");
        labels.push(label as u32);
        class_counts[label] += 1;
    }
    Split {
        name: "train".to_owned(),
        texts,
        labels,
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        fingerprint: Fingerprint { sha256: String::new(), n_rows: n_texts, class_counts },
    }
}

fn bigrams() -> TfidfConfig {
    let vectorizer =
        Vectorizer { ngram_max: 2, min_df: TextFrequency::Count(2), ..Vectorizer::default() };
    TfidfConfig {
        vectorizer: Vectorizer { sublinear_tf: true, ..vectorizer },
        ..TfidfConfig::default()
    }
}

fn train(config: &TfidfConfig, split: &Split) -> Tfidf {
    config.train(split, &Monitor::silent(), &mut |_, _, _| Ok(())).unwrap()
}

fn texts(split: &Split) -> Vec<&str> {
    split.texts.iter().map(String::as_str).collect()
}

fn accuracy(probabilities: &Probabilities, labels: &[u32]) -> f64 {
    let is_right =
        |(row, label): &(&[f64], &u32)| predicted_label(row, DEFAULT_THRESHOLD) == **label as usize;
    let n_right = probabilities.rows().zip(labels).filter(is_right).count();
    n_right as f64 / labels.len() as f64
}

#[test]
fn a_model_learns_and_a_batch_equals_its_texts_one_by_one() {
    for classes in [&["neg", "pos"][..], &["bad", "good", "mixed"][..]] {
        let (train_split, test) = (reviews(600, classes, 1), reviews(200, classes, 2));
        let model = train(&bigrams(), &train_split);
        let batch = model.predict(&texts(&test)).unwrap();
        assert!(accuracy(&batch, &test.labels) > 0.9, "{classes:?}");
        for (row, text) in batch.rows().zip(texts(&test)) {
            assert_eq!(model.predict(&[text]).unwrap().values(), row);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        // The matrix holds single precision, a prediction sums in double.
        let by_matrix = model.logistic().probabilities(&model.vectorizer().transform(&test.texts));
        assert_close("matrix", batch.values(), &by_matrix, 1e-6);
    }
}

#[test]
fn a_text_without_a_known_term_gets_the_intercepts_probability() {
    let model = train(&bigrams(), &reviews(300, &["neg", "pos"], 1));
    let probabilities = model.predict(&["", "zzz qqq", "a"]).unwrap();
    let expected = 1.0 / (1.0 + (-model.logistic().intercepts()[0]).exp());
    for row in probabilities.rows() {
        assert!((row[1] - expected).abs() < 1e-12);
    }
    assert_eq!(model.predict(&[]).unwrap().n_texts(), 0);
    let explanation = model.explain("zzz", None, 5).unwrap().unwrap();
    assert!(explanation.terms.is_empty());
    assert_eq!(explanation.decision, model.logistic().intercepts()[0]);
}

#[test]
fn an_explanation_adds_up_to_the_margin() {
    let model = train(&bigrams(), &reviews(600, &["neg", "pos"], 1));
    let text = "the film was superb and the acting was not dull";
    let probability = model.predict(&[text]).unwrap().values()[1];
    let explanation = model.explain(text, None, usize::MAX).unwrap().unwrap();
    let contributions = explanation.terms;
    let margin = model.logistic().intercepts()[0]
        + contributions.iter().map(|contribution| contribution.weight).sum::<f64>();
    assert!((1.0 / (1.0 + (-margin).exp()) - probability).abs() < 1e-12);
    assert!((explanation.decision - (probability / (1.0 - probability)).ln()).abs() < 1e-9);
    assert!(contributions.is_sorted_by(|one, next| one.weight.abs() >= next.weight.abs()));
    let strongest: Vec<String> = model
        .explain(text, None, 2)
        .unwrap()
        .unwrap()
        .terms
        .into_iter()
        .map(|one| one.term)
        .collect();
    assert!(strongest.contains(&"superb".to_owned()), "{strongest:?}");
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    for (n_words, classes) in [(2, &["neg", "pos"][..]), (3, &["bad", "good", "mixed"][..])] {
        let split = reviews(1500, classes, 3);
        let mut config = bigrams();
        config.vectorizer.ngram_max = n_words;
        let files: Vec<BTreeMap<String, Vec<u8>>> = [1, 2, 5]
            .into_iter()
            .map(|n_threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                saved(&pool.install(|| train(&config, &split)))
            })
            .collect();
        assert!(files[0] == files[1] && files[1] == files[2], "{n_words}");
    }
}

fn saved(model: &dyn Classifier) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    let files = ModelFiles::in_dir(dir.path()).unwrap();
    files.iter().map(|(name, path)| (name.to_owned(), fs::read(path).unwrap())).collect()
}

fn load_bytes(files: &BTreeMap<String, Vec<u8>>) -> trialbook::Result<Box<dyn Classifier>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    load(&ModelFiles::in_dir(dir.path()).unwrap())
}

#[test]
fn a_saved_model_comes_back_byte_for_byte() {
    for classes in [&["neg", "pos"][..], &["bad", "good", "mixed"][..]] {
        let split = reviews(400, classes, 4);
        let mut config = bigrams();
        config.vectorizer.ngram_max = 3;
        config.vectorizer.stop_words = StopWords::English;
        config.vectorizer.max_df = TextFrequency::Fraction(0.9);
        config.class_weight = ClassWeight::Balanced;
        let model = train(&config, &split);
        let files = saved(&model);
        let loaded = load_bytes(&files).unwrap();
        assert_eq!(saved(loaded.as_ref()), files);
        assert_eq!((loaded.name(), loaded.classes()), ("tfidf", split.classes.as_slice()));
        assert_eq!(loaded.describe(), model.describe());
        let texts = texts(&split);
        assert_eq!(loaded.predict(&texts).unwrap(), model.predict(&texts).unwrap());
        let explained = |model: &dyn Classifier| model.explain(texts[0], None, 9).unwrap().unwrap();
        assert_eq!(explained(&*loaded), explained(&model));
    }
}

#[test]
fn files_of_two_models_are_never_taken_for_one() {
    let (one, other) = (
        saved(&train(&bigrams(), &reviews(300, &["neg", "pos"], 5))),
        saved(&train(&bigrams(), &reviews(300, &["neg", "pos"], 6))),
    );
    for name in one.keys() {
        let mut mixed = one.clone();
        mixed.insert(name.clone(), other[name].clone());
        assert_eq!(load_bytes(&mixed).err().unwrap().kind(), ErrorKind::Corrupt, "{name}");
        let mut lacking = one.clone();
        lacking.remove(name);
        assert_eq!(load_bytes(&lacking).err().unwrap().kind(), ErrorKind::NotFound, "{name}");
    }
}

#[test]
fn a_newer_or_foreign_model_is_refused_with_its_reason() {
    let files = saved(&train(&bigrams(), &reviews(100, &["neg", "pos"], 5)));
    let header = String::from_utf8(files["model.json"].clone()).unwrap();
    for (from, to, kind, expected) in [
        ("\"schema_version\": 1", "\"schema_version\": 9", ErrorKind::Invalid, "schema 9"),
        ("\"model\": \"tfidf\"", "\"model\": \"oracle\"", ErrorKind::Invalid, "\"oracle\""),
        ("trialbook-model", "other-model", ErrorKind::Corrupt, "other-model"),
        ("\"neg\"", "\"nag\"", ErrorKind::Corrupt, "belongs to other files"),
        ("{", "", ErrorKind::Corrupt, "no model header"),
    ] {
        let mut files = files.clone();
        files.insert("model.json".to_owned(), header.replacen(from, to, 1).into_bytes());
        let error = load_bytes(&files).err().unwrap();
        assert_eq!(error.kind(), kind, "{to}: {error}");
        assert!(error.chain().contains(expected), "{to}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_files_are_errors_never_models(
        name_idx in 0usize..3,
        position in 0.0f64..1.0,
        flip in 1u8..,
        is_cut in any::<bool>(),
    ) {
        thread_local! {
            static FILES: BTreeMap<String, Vec<u8>> =
                saved(&train(&bigrams(), &reviews(60, &["neg", "pos"], 5)));
        }
        let mut files = FILES.with(Clone::clone);
        let bytes = files.values_mut().nth(name_idx).unwrap();
        let position = (position * bytes.len() as f64) as usize;
        match is_cut {
            true => bytes.truncate(position),
            false => bytes[position] ^= flip,
        }
        let error = load_bytes(&files).err().unwrap();
        prop_assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid),
            "{error:?}"
        );
    }
}

fn refuse(config: &TfidfConfig, split: &Split, expected: &str) {
    let error = config.fit(split, &Monitor::silent(), &mut |_, _, _| Ok(())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn unusable_settings_and_data_say_what_is_wrong() {
    let split = reviews(50, &["neg", "pos"], 7);
    let with = |change: fn(&mut TfidfConfig), expected: &str| {
        let mut config = bigrams();
        change(&mut config);
        refuse(&config, &split, expected);
    };
    with(
        |config| config.vectorizer.min_df = TextFrequency::Count(999),
        "fewer texts than min_df=999",
    );
    with(|config| config.vectorizer.min_df = TextFrequency::Count(0), "min_df must be");
    with(|config| config.vectorizer.max_df = TextFrequency::Fraction(1.5), "found 1.5");
    with(|config| config.vectorizer.ngram_max = 0, "n-grams of 1 to 0 words");
    with(|config| config.vectorizer.ngram_max = 99, "n-grams of 1 to 99 words");
    with(|config| config.vectorizer.max_features = Some(0), "max_features must be >= 1");
    with(|config| config.c = -1.0, "c must lie between 1e-9 and 1e9, found -1.0");
    with(|config| config.tol = f64::NAN, "tol must be > 0 and finite, found NaN");
    with(|config| config.max_iter = 0, "max_iter must be >= 1");
    with(|config| config.class_weight = ClassWeight::Given(vec![1.0]), "1 class weights given");
    with(|config| config.class_weight = ClassWeight::Given(vec![1.0, 0.0]), "must be > 0, found 0");

    let rare = Split { texts: (0..50).map(|n| format!("word{n}")).collect(), ..split.clone() };
    refuse(&bigrams(), &rare, "min_df=2 and max_df=1.0 left no terms of 50 texts");
    let blank = Split { texts: vec!["?! a".to_owned(); 50], ..split.clone() };
    refuse(&bigrams(), &blank, "no words of two characters or more in 50 texts");
    let mut stopped = bigrams();
    stopped.vectorizer.stop_words = StopWords::English;
    let common = Split { texts: vec!["the and".to_owned(); 50], ..split.clone() };
    refuse(&stopped, &common, "besides the stop words");
    let single = Split { labels: vec![1; 50], ..split.clone() };
    refuse(&bigrams(), &single, "at least two classes are needed");
    let unknown = Split { labels: vec![2; 50], ..split.clone() };
    refuse(&bigrams(), &unknown, "label 2 found, expected one below 2");
    let none = Split { texts: vec![], labels: vec![], ..split };
    refuse(&bigrams(), &none, "at least two classes are needed");
}

#[test]
fn a_fit_reports_its_rounds_and_says_when_it_has_not_converged() {
    let split = reviews(300, &["neg", "pos"], 8);
    let logged = |config: &TfidfConfig| {
        let mut logged = Vec::new();
        config
            .fit(&split, &Monitor::silent(), &mut |key, value, step| {
                logged.push((key.to_owned(), value, step));
                Ok(())
            })
            .unwrap();
        logged
    };
    let full = logged(&bigrams());
    let losses: Vec<f64> =
        full.iter().filter(|(key, ..)| key == "loss").map(|(_, loss, _)| *loss).collect();
    assert!(losses.len() > 2 && losses.is_sorted_by(|one, next| one > next), "{losses:?}");
    assert!(full.iter().any(|(key, value, _)| key == "converged" && *value == 1.0));
    let short = logged(&TfidfConfig { max_iter: 1, ..bigrams() });
    assert!(short.iter().any(|(key, value, _)| key == "converged" && *value == 0.0));
}

#[test]
fn an_interrupt_and_a_failing_log_end_the_fit() {
    let split = reviews(300, &["neg", "pos"], 8);
    let monitor = Monitor::silent();
    monitor.interrupt.raise();
    let error = bigrams().fit(&split, &monitor, &mut |_, _, _| Ok(())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let monitor = Monitor::silent();
    let interrupt = monitor.interrupt.clone();
    let error = bigrams()
        .fit(&split, &monitor, &mut |_, _, step| {
            if step == 1 {
                interrupt.raise();
            }
            Ok(())
        })
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let refuse = |_: &str, _: f64, _: u64| Err(trialbook::Error::invalid("log is full"));
    let error = bigrams().fit(&split, &Monitor::silent(), &mut { refuse }).err().unwrap();
    assert_eq!(error.to_string(), "log is full");
}

#[test]
fn folds_are_stratified_disjoint_and_the_same_for_a_seed() {
    let split = reviews(203, &["bad", "good", "mixed"], 9);
    let fold = |n_folds, seed| {
        let mut folds = Vec::new();
        let mut on_fold = |fold| {
            folds.push(fold);
            Ok(())
        };
        cross_validate(&bigrams(), &split, n_folds, seed, &Monitor::silent(), &mut on_fold)?;
        Ok::<_, trialbook::Error>(folds)
    };
    let run = |seed| fold(5, seed).unwrap();
    let folds = run(1);
    let mut rows: Vec<usize> = folds.iter().flat_map(|fold| fold.rows.clone()).collect();
    rows.sort_unstable();
    assert_eq!(rows, (0..203).collect::<Vec<_>>());
    for fold in &folds {
        assert!((40..=41).contains(&fold.rows.len()));
        for (class, total) in split.fingerprint.class_counts.iter().enumerate() {
            let n_rows = fold.labels.iter().filter(|label| **label as usize == class).count();
            assert!(n_rows == total / 5 || n_rows == total / 5 + 1);
        }
        assert!(accuracy(&fold.probabilities, &fold.labels) > 0.6);
    }
    assert_eq!(folds, run(1));
    assert_ne!(folds, run(2));
    let error = fold(1, 1).err().unwrap();
    assert!(error.to_string().contains("2 folds or more"));
    let error = fold(99, 1).err().unwrap();
    assert!(error.to_string().contains("fewer than 99 folds"), "{error}");
}

#[test]
fn every_hyperparameter_is_logged_by_its_name() {
    let params: BTreeMap<String, String> = bigrams().params().into_iter().collect();
    for (key, value) in [
        ("ngram_min", "1"),
        ("ngram_max", "2"),
        ("min_df", "2"),
        ("max_df", "1.0"),
        ("max_features", "none"),
        ("sublinear_tf", "true"),
        ("c", "1.0"),
        ("class_weight", "uniform"),
        ("tol", "1e-6"),
        ("seed", "42"),
        ("casing", "lower"),
        ("html", "strip"),
        ("stop_words", "none"),
    ] {
        assert_eq!(params.get(key).map(String::as_str), Some(value), "{key}: {params:?}");
    }
}

#[test]
fn linfas_predict_gives_the_labels() {
    let rows = vec![vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 0.125], vec![0.125, 1.0]];
    let model = fit(LogisticParams::default(), &rows, &[0, 1, 0, 1]);
    let dataset = DatasetBase::new(SparseRows::new(sparse(&rows)), ());
    let labels: Array1<usize> = model.predict(&dataset);
    assert_eq!(labels.to_vec(), [0, 1, 0, 1]);
    let params = LogisticParams::default().c(0.0);
    assert!(params.check().is_err());
}
