use serde_json::Value;

use super::*;
use crate::{progress::Monitor, text::Vectorizer};

/// One case of `tests/fixtures/shap_expected.json`, which `make_shap.py` wrote.
struct ShapCase {
    classes: Vec<String>,
    vectorizer: FittedVectorizer,
    logistic: Logistic,
    texts: Vec<String>,
    answers: Vec<Value>,
}

impl ShapCase {
    fn all() -> Vec<Self> {
        let text = include_str!("../../../../tests/fixtures/shap_expected.json");
        let fixture: Value = serde_json::from_str(text).unwrap();
        fixture["cases"].as_array().unwrap().iter().map(Self::of).collect()
    }

    fn of(case: &Value) -> Self {
        let (classes, texts) = (strings(&case["classes"]), strings(&case["texts"]));
        let settings = Vectorizer {
            ngram_max: 2,
            sublinear_tf: case["sublinear"].as_bool().unwrap(),
            ..Vectorizer::default()
        };
        let (vectorizer, _) = settings.fit_transform(&texts, &Monitor::silent()).unwrap();
        assert_eq!(vectorizer.vocabulary().terms(), strings(&case["terms"]));
        let rows = case["coefficients"].as_array().unwrap();
        let coefficients = rows.iter().flat_map(numbers).collect();
        let logistic = Logistic::new(classes.len(), coefficients, numbers(&case["intercepts"]));
        let answers = case["answers"].as_array().unwrap().clone();
        Self { classes, vectorizer, logistic, texts, answers }
    }

    fn explainer(&self) -> LinearExplainer<'_> {
        let Self { classes, vectorizer, logistic, .. } = self;
        LinearExplainer { classes, vectorizer, logistic }
    }

    fn background(&self) -> Background {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        self.explainer().background(&texts)
    }
}

fn strings(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-9, "{what}: {found}, expected {expected}");
}

/// That everything adds up, whatever part of the terms is listed.
fn check_sum(explanation: &Explanation) {
    let listed: f64 = explanation.terms.iter().map(|term| term.weight).sum();
    close(explanation.base + listed + explanation.rest, explanation.decision, "the sum");
}

#[test]
fn values_with_a_background_are_shaps() {
    for case in ShapCase::all() {
        let (terms, background) = (case.vectorizer.vocabulary().terms(), case.background());
        for answer in &case.answers {
            let text = answer["text"].as_str().unwrap();
            let explanation = case.explainer().explain(text, Some(&background), usize::MAX);
            assert_eq!(explanation.class, answer["class"], "{text:?}");
            close(explanation.decision, answer["decision"].as_f64().unwrap(), text);
            close(explanation.base, answer["base"].as_f64().unwrap(), text);
            for (term, expected) in terms.iter().zip(numbers(&answer["values"])) {
                let found = explanation.terms.iter().find(|found| found.term == *term);
                close(found.map_or(0.0, |found| found.weight), expected, term);
            }
            check_sum(&explanation);
        }
    }
}

#[test]
fn terms_and_intercept_add_up_to_the_decision() {
    for case in ShapCase::all() {
        for answer in &case.answers {
            let text = answer["text"].as_str().unwrap();
            for n_terms in [0, 1, 3, usize::MAX] {
                let explanation = case.explainer().explain(text, None, n_terms);
                close(explanation.decision, answer["decision"].as_f64().unwrap(), text);
                assert!(case.logistic.intercepts().contains(&explanation.base));
                assert!(explanation.terms.len() <= n_terms.min(explanation.n_terms));
                check_sum(&explanation);
            }
        }
    }
}

#[test]
fn what_the_words_weigh_is_what_the_terms_of_the_text_weigh() {
    for case in ShapCase::all() {
        let background = case.background();
        for (answer, background) in case.answers.iter().zip([None, Some(&background), None, None]) {
            let text = answer["text"].as_str().unwrap();
            let explanation = case.explainer().explain(text, background, usize::MAX);
            let of_words: f64 = explanation.words.iter().map(|word| word.weight).sum();
            let present = explanation.terms.iter().filter(|term| term.count > 0);
            close(of_words, present.map(|term| term.weight).sum(), text);
            let characters: Vec<char> = text.chars().collect();
            for word in &explanation.words {
                let stands: String = characters[word.start..word.end].iter().collect();
                assert_eq!(stands, word.word);
            }
        }
    }
}

#[test]
fn a_text_of_unknown_words_is_the_intercepts() {
    for case in ShapCase::all() {
        let explanation = case.explainer().explain("zzz qqq", None, usize::MAX);
        assert!(explanation.terms.is_empty() && explanation.n_terms == 0);
        assert_eq!(explanation.decision, explanation.base);
        assert!(explanation.words.iter().all(|word| word.weight == 0.0));
        assert_eq!(explanation.words.len(), 2);
    }
}

#[test]
fn the_strongest_terms_of_a_class_speak_for_it() {
    for case in ShapCase::all() {
        let strong = case.explainer().strongest(3);
        assert_eq!(strong.n_texts, case.texts.len());
        for (class_idx, of_class) in strong.classes.iter().enumerate() {
            assert_eq!(of_class.class, case.classes[class_idx]);
            assert_eq!(of_class.terms.len(), 3);
            assert!(of_class.terms.is_sorted_by(|one, next| one.weight >= next.weight));
            for term in &of_class.terms {
                let padded = |text: &String| format!(" {} ", text.to_lowercase().replace(',', ""));
                let has = |text: &&String| padded(text).contains(&format!(" {} ", term.term));
                let n_texts = case.texts.iter().filter(has).count();
                // One-letter words are no tokens: a term may reach across one.
                assert!(n_texts <= term.n_texts as usize, "{term:?}");
                assert!(n_texts > 0 || term.term.contains(' '), "{term:?}");
                assert!(term.weight > 0.0);
            }
        }
    }
    let two = &ShapCase::all()[0];
    let strong = two.explainer().strongest(1);
    assert_eq!(strong.classes[1].terms[0].term, "superb");
}
