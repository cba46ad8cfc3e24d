//! A baseline as an ONNX graph that takes texts and answers with labels and probabilities: the same as here,
//! whatever the text. Words are made by `words`; counting is ONNX's TfIdfVectorizer, which has neither
//! sublinear counts nor a length of 1, so it counts alone and the rest is arithmetic in 64 bits.
//!
//! A text at a time goes through a loop: lists of words differ in length.

mod characters;
mod words;

use self::words::words;
use super::{
    Calibration, Decision, Logistic,
    onnx::{
        GraphBuilder, OnnxModel,
        message::{AttributeProto, DimensionSize, ElementType, GraphProto},
    },
};
use crate::text::{FittedVectorizer, Tokenizer};

/// The version of ONNX's operators that has RegexFullMatch and StringConcat, and that of the format that came
/// with it.
const OPSET: i64 = 20;
const IR_VERSION: i64 = 9;
/// That of the classical operators that has LabelEncoder for lists of strings.
const CLASSICAL_OPSET: i64 = 3;

/// A baseline's parts.
pub(super) struct TfidfParts<'a> {
    pub(super) classes: &'a [String],
    pub(super) decision: &'a Decision,
    pub(super) vectorizer: &'a FittedVectorizer,
    pub(super) logistic: &'a Logistic,
}

impl TfidfParts<'_> {
    /// The model: from `texts` to `label` and `probabilities`.
    pub(super) fn onnx_model(&self) -> OnnxModel<'static> {
        let n_classes = DimensionSize::Fixed(self.classes.len() as i64);
        let n_texts = DimensionSize::named("n_texts");
        let mut graph = GraphBuilder::new("tfidf");
        graph.input("texts", ElementType::String, std::slice::from_ref(&n_texts));
        graph.output("label", ElementType::String, std::slice::from_ref(&n_texts));
        graph.output("probabilities", ElementType::Double, &[n_texts, n_classes.clone()]);
        let count = graph.node("Size", &["texts"], Vec::new());
        let always = graph.bools(&[], &[true]);
        let body = vec![AttributeProto::graph("body", self.of_one_text(n_classes))];
        graph.named("Loop", &[&count, &always], body, &["tfidf_class_idx", "probabilities"]);
        // Names are looked up behind the loop: ONNX Runtime before 1.28 damages its memory where a loop
        // collects strings.
        let names = graph.strings(self.classes);
        graph.named("Gather", &[&names, "tfidf_class_idx"], Vec::new(), &["label"]);
        let classes = serde_json::to_string(self.classes).unwrap_or_default();
        OnnxModel {
            graph: graph.finish(),
            weights: Vec::new(),
            ir_version: IR_VERSION,
            opsets: vec![("", OPSET), ("ai.onnx.ml", CLASSICAL_OPSET), ("com.microsoft", 1)],
            metadata: vec![
                ("classes", classes),
                ("threshold", self.decision.threshold().to_string()),
            ],
        }
    }

    /// The body of the loop over texts.
    fn of_one_text(&self, n_classes: DimensionSize) -> GraphProto {
        let mut graph = GraphBuilder::new("text");
        graph.input("text_idx", ElementType::Int64, &[]);
        graph.input("text_goes_on", ElementType::Bool, &[]);
        graph.output("text_continues", ElementType::Bool, &[]);
        graph.output("text_class_idx", ElementType::Int64, &[]);
        graph.output("text_probabilities", ElementType::Double, &[n_classes]);
        graph.named("Identity", &["text_goes_on"], Vec::new(), &["text_continues"]);
        let text = graph.node("Gather", &["texts", "text_idx"], Vec::new());
        let first = graph.ints(&[0]);
        let text = graph.node("Unsqueeze", &[&text, &first], Vec::new());
        let settings = self.vectorizer.settings();
        let tokenizer = Tokenizer { casing: settings.casing, html: settings.html };
        let words = words(&mut graph, &text, tokenizer, &settings.stop_words.words());
        let counts = self.counts(&mut graph, &words);
        let margins = self.margins(&mut graph, &counts);
        let probabilities = self.probabilities(&mut graph, &margins);
        graph.named("Identity", &[&probabilities], Vec::new(), &["text_probabilities"]);
        self.class_idx(&mut graph, &probabilities);
        graph.finish()
    }

    /// How often each term occurs among `words`, `[n_features]`.
    fn counts(&self, graph: &mut GraphBuilder, words: &str) -> String {
        let terms = self.vectorizer.vocabulary().terms();
        let split: Vec<Vec<&str>> = terms.iter().map(|term| term.split(' ').collect()).collect();
        let longest = split.iter().map(Vec::len).max().unwrap_or(1);
        // The words of all terms of one word, then those of all of two, and so on.
        let (mut pool, mut features, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for length in 1..=longest {
            starts.push(pool.len() as i64);
            for (feature, words) in split.iter().enumerate().filter(|(_, it)| it.len() == length) {
                pool.extend_from_slice(words);
                features.push(feature as i64);
            }
        }
        let shortest = split.iter().map(Vec::len).min().unwrap_or(1);
        let attributes = vec![
            AttributeProto::text("mode", "TF"),
            AttributeProto::int("min_gram_length", shortest as i64),
            AttributeProto::int("max_gram_length", longest as i64),
            AttributeProto::int("max_skip_count", 0),
            AttributeProto::ints("ngram_counts", starts),
            AttributeProto::ints("ngram_indexes", features),
            AttributeProto::texts("pool_strings", &pool),
        ];
        graph.node("TfIdfVectorizer", &[words], attributes)
    }

    /// The linear outputs, `[n_outputs]`, of the terms that occur.
    fn margins(&self, graph: &mut GraphBuilder, counts: &str) -> String {
        let (idf, coefficients) = (self.vectorizer.idf(), self.logistic.coefficients());
        let n_outputs = self.logistic.n_outputs();
        let flat = graph.ints(&[-1]);
        let found = graph.node("NonZero", &[counts], Vec::new());
        let found = graph.node("Reshape", &[&found, &flat], Vec::new());
        let counts = graph.node("Gather", &[counts, &found], Vec::new());
        let mut weights = as_double(graph, &counts);
        if self.vectorizer.settings().sublinear_tf {
            let one = graph.double(1.0);
            let logarithm = graph.node("Log", &[&weights], Vec::new());
            weights = graph.node("Add", &[&logarithm, &one], Vec::new());
        }
        let idf = graph.doubles(&[idf.len()], idf);
        let idf = graph.node("Gather", &[&idf, &found], Vec::new());
        let weights = graph.node("Mul", &[&weights, &idf], Vec::new());
        let squares = graph.node("Mul", &[&weights, &weights], Vec::new());
        let (first, column) = (graph.ints(&[0]), graph.ints(&[1]));
        let kept = || vec![AttributeProto::int("keepdims", 0)];
        let square = graph.node("ReduceSum", &[&squares, &first], kept());
        let table = graph.doubles(&[coefficients.len() / n_outputs, n_outputs], coefficients);
        let rows = graph.node("Gather", &[&table, &found], Vec::new());
        let weights = graph.node("Unsqueeze", &[&weights, &column], Vec::new());
        let products = graph.node("Mul", &[&weights, &rows], Vec::new());
        let sums = graph.node("ReduceSum", &[&products, &first], kept());
        // A text without a known term has the length 0, and nothing to divide.
        let (zero, one) = (graph.double(0.0), graph.double(1.0));
        let is_known = graph.node("Greater", &[&square, &zero], Vec::new());
        let square = graph.node("Where", &[&is_known, &square, &one], Vec::new());
        let length = graph.node("Sqrt", &[&square], Vec::new());
        let scaled = graph.node("Div", &[&sums, &length], Vec::new());
        let intercepts = graph.doubles(&[n_outputs], self.logistic.intercepts());
        graph.node("Add", &[&scaled, &intercepts], Vec::new())
    }

    /// The calibrated probabilities, `[n_classes]`.
    fn probabilities(&self, graph: &mut GraphBuilder, margins: &str) -> String {
        let probabilities = match self.logistic.n_outputs() {
            1 => {
                let positive = graph.node("Sigmoid", &[margins], Vec::new());
                with_negative(graph, &positive)
            }
            _ => softmax(graph, margins),
        };
        match &self.decision.calibration {
            None => probabilities,
            Some(Calibration::Temperature { temperature, .. }) => {
                let (least, divisor) = (graph.double(f64::EPSILON), graph.double(*temperature));
                let probabilities = graph.node("Max", &[&probabilities, &least], Vec::new());
                let logits = graph.node("Log", &[&probabilities], Vec::new());
                let logits = graph.node("Div", &[&logits, &divisor], Vec::new());
                softmax(graph, &logits)
            }
            Some(Calibration::Isotonic { x, y, .. }) => {
                let second = graph.ints(&[1]);
                let positive = graph.node("Gather", &[&probabilities, &second], Vec::new());
                let positive = height(graph, x, y, &positive);
                with_negative(graph, &positive)
            }
        }
    }

    /// The place of the label among the classes.
    fn class_idx(&self, graph: &mut GraphBuilder, probabilities: &str) {
        let class_idx = match self.classes.len() {
            2 => {
                let (second, threshold) = (graph.int(1), graph.double(self.decision.threshold()));
                let positive = graph.node("Gather", &[probabilities, &second], Vec::new());
                let is_positive =
                    graph.node("GreaterOrEqual", &[&positive, &threshold], Vec::new());
                let to_int = AttributeProto::int("to", i32::from(ElementType::Int64).into());
                graph.node("Cast", &[&is_positive], vec![to_int])
            }
            _ => {
                let attributes =
                    vec![AttributeProto::int("axis", 0), AttributeProto::int("keepdims", 0)];
                graph.node("ArgMax", &[probabilities], attributes)
            }
        };
        graph.named("Identity", &[&class_idx], Vec::new(), &["text_class_idx"]);
    }
}

fn as_double(graph: &mut GraphBuilder, numbers: &str) -> String {
    let to_double = AttributeProto::int("to", i32::from(ElementType::Double).into());
    graph.node("Cast", &[numbers], vec![to_double])
}

fn softmax(graph: &mut GraphBuilder, logits: &str) -> String {
    graph.node("Softmax", &[logits], vec![AttributeProto::int("axis", -1)])
}

/// Both probabilities of two classes by the positive one, `[1]`.
fn with_negative(graph: &mut GraphBuilder, positive: &str) -> String {
    let one = graph.double(1.0);
    let negative = graph.node("Sub", &[&one, positive], Vec::new());
    graph.node("Concat", &[&negative, positive], vec![AttributeProto::int("axis", 0)])
}

/// The height of the curve through the points `x` and `y` at `probability`, `[1]`: linear between them, level
/// outside.
fn height(graph: &mut GraphBuilder, x: &[f64], y: &[f64], probability: &str) -> String {
    let op = |graph: &mut GraphBuilder, name: &'static str, inputs: &[&str]| {
        graph.node(name, inputs, Vec::new())
    };
    let (xs, ys) = (graph.doubles(&[x.len()], x), graph.doubles(&[y.len()], y));
    let is_before = op(graph, "LessOrEqual", &[&xs, probability]);
    let to_int = AttributeProto::int("to", i32::from(ElementType::Int64).into());
    let is_before = graph.node("Cast", &[&is_before], vec![to_int]);
    let after = op(graph, "ReduceSum", &[&is_before]);
    let [none, one, last] = [0, 1, x.len() as i64 - 1].map(|value| graph.ints(&[value]));
    let before = op(graph, "Sub", &[&after, &one]);
    let before = op(graph, "Max", &[&before, &none]);
    let after = op(graph, "Min", &[&after, &last]);
    let [x_before, x_after] = [&before, &after].map(|at| op(graph, "Gather", &[&xs, at]));
    let [y_before, y_after] = [&before, &after].map(|at| op(graph, "Gather", &[&ys, at]));
    let rise = op(graph, "Sub", &[&y_after, &y_before]);
    let run = op(graph, "Sub", &[&x_after, &x_before]);
    // At either end both points are the same.
    let (zero, whole) = (graph.double(0.0), graph.double(1.0));
    let is_between = op(graph, "Greater", &[&run, &zero]);
    let run = op(graph, "Where", &[&is_between, &run, &whole]);
    let slope = op(graph, "Div", &[&rise, &run]);
    let along = op(graph, "Sub", &[probability, &x_before]);
    let climbed = op(graph, "Mul", &[&slope, &along]);
    let height = op(graph, "Add", &[&climbed, &y_before]);
    let height = op(graph, "Max", &[&height, &zero]);
    op(graph, "Min", &[&height, &whole])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::onnx::message::NodeProto, progress::Monitor, text::Vectorizer};

    /// The node that counts the terms of these texts, and the terms in the order of their features.
    fn counting(vectorizer: &Vectorizer) -> (NodeProto, Vec<String>) {
        let texts = ["not a very good film", "a very good plot", "not good", "the plot", "film"];
        let (fitted, _) = vectorizer.fit_transform(&texts, &Monitor::silent()).unwrap();
        let terms = fitted.vocabulary().terms();
        let logistic = Logistic::new(2, vec![0.0; terms.len()], vec![0.0]);
        let parts = TfidfParts {
            classes: &["negative".to_owned(), "positive".to_owned()],
            decision: &Decision::default(),
            vectorizer: &fitted,
            logistic: &logistic,
        };
        let mut graph = GraphBuilder::new("test");
        parts.counts(&mut graph, "words");
        (graph.finish().node.remove(0), terms)
    }

    #[test]
    fn every_term_is_counted_as_its_own_feature() {
        for (ngram_min, ngram_max) in [(1, 1), (1, 3), (2, 2), (2, 3)] {
            let vectorizer = Vectorizer { ngram_min, ngram_max, ..Vectorizer::default() };
            let (node, terms) = counting(&vectorizer);
            let attribute = |name| node.attribute.iter().find(|it| it.name() == name).unwrap();
            let ints = |name| attribute(name).ints.iter().map(|value| *value as usize);
            let (starts, mut features): (Vec<usize>, _) =
                (ints("ngram_counts").collect(), ints("ngram_indexes"));
            let pool: Vec<&str> = attribute("pool_strings")
                .strings
                .iter()
                .map(|word| std::str::from_utf8(word).unwrap())
                .collect();
            assert_eq!(starts.len(), ngram_max);
            assert_eq!(attribute("min_gram_length").i(), ngram_min as i64);
            assert_eq!(attribute("max_gram_length").i(), ngram_max as i64);
            let mut found = vec![String::new(); terms.len()];
            for (length, start) in (1..).zip(&starts) {
                let end = starts.get(length).copied().unwrap_or(pool.len());
                for words in pool[*start..end].chunks(length) {
                    found[features.next().unwrap()] = words.join(" ");
                }
            }
            assert_eq!(found, terms);
            assert_eq!(features.next(), None);
        }
    }
}
