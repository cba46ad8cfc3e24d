//! A text's words in ONNX, as [`Tokenizer`] cuts them, for every text there is. ONNX's own StringNormalizer
//! lower-cases by the locale of a machine, which may lack it, and one character by one: it is not used.

use std::collections::BTreeSet;

use super::characters::{character_set, is_cased, is_ignorable, is_upper};
use crate::{
    model::onnx::{
        GraphBuilder, Operator,
        message::{AttributeProto, DimensionSize, ElementType, GraphProto},
    },
    text::{Casing, Html, Tokenizer, is_word},
};

/// ONNX's "to the end".
const END: i64 = i64::MAX;

/// Adds to `graph` what makes the words of `text`, a list of one text, without `stop_words`; returns the
/// list of them.
pub(super) fn words(
    graph: &mut GraphBuilder,
    text: &str,
    tokenizer: Tokenizer,
    stop_words: &[String],
) -> String {
    let lowered;
    let (text, line_break) = match tokenizer.casing {
        Casing::Keep => (text, "<[bB][rR]"),
        Casing::Lower => {
            lowered = lower_case(graph, text);
            (lowered.as_str(), "<br")
        }
    };
    let word = format!("[{}]{{2,}}", character_set(is_word));
    let strips = tokenizer.html == Html::Strip;
    // A line break is taken for a word, and then left out: the words beside it follow each other.
    let pattern = match strips {
        true => format!(r"{line_break}[\t\n\f\r ]*/?>|{word}"),
        false => word,
    };
    let mut words = pieces(graph, text, &pattern);
    if strips {
        let is_break = matches(graph, &words, "(?s)<.*");
        let is_word = graph.node("Not", &[&is_break], Vec::new());
        words = only(graph, &words, &is_word);
    }
    if !stop_words.is_empty() {
        let known: BTreeSet<&String> = stop_words.iter().collect();
        let attributes = vec![
            AttributeProto::texts("keys_strings", &known.iter().collect::<Vec<_>>()),
            AttributeProto::ints("values_int64s", known.iter().map(|_| 1)),
            AttributeProto::int("default_int64", 0),
        ];
        let found = graph.node(Operator::Classical("LabelEncoder"), &[&words], attributes);
        let no = graph.int(0);
        let is_wanted = graph.node("Equal", &[&found, &no], Vec::new());
        words = only(graph, &words, &is_wanted);
    }
    words
}

/// Those of `words` for which `is_wanted` holds.
fn only(graph: &mut GraphBuilder, words: &str, is_wanted: &str) -> String {
    graph.node("Compress", &[words, is_wanted], vec![AttributeProto::int("axis", 0)])
}

/// The list of the parts of `text` that `pattern` finds one after the other, each as long as can be.
fn pieces(graph: &mut GraphBuilder, text: &str, pattern: &str) -> String {
    let attributes = vec![
        AttributeProto::int("mark", 0),
        AttributeProto::int("mincharnum", 1),
        AttributeProto::text("pad_value", ""),
        AttributeProto::text("tokenexp", pattern),
    ];
    let found = graph.node(Operator::Microsoft("Tokenizer"), &[text], attributes);
    // Without it onnx 1.23's checker, where it infers types, ends with a segmentation fault.
    let sizes = [DimensionSize::Fixed(1), DimensionSize::named(&found)];
    graph.typed(&found, ElementType::String, &sizes);
    let flat = graph.ints(&[-1]);
    graph.node("Reshape", &[&found, &flat], Vec::new())
}

/// Whether each of `texts` is what `pattern` says, from its beginning to its end.
fn matches(graph: &mut GraphBuilder, texts: &str, pattern: &str) -> String {
    graph.node("RegexFullMatch", &[texts], vec![AttributeProto::text("pattern", pattern)])
}

/// A list of one text in lower case: it is cut into capital letters and what stands between them, each letter
/// is replaced, and all is joined again.
fn lower_case(graph: &mut GraphBuilder, text: &str) -> String {
    let capital = character_set(is_upper);
    let parts = pieces(graph, text, &format!("[{capital}]|[^{capital}]+"));
    let empty = graph.strings(&[""]);
    let (upper, lower): (Vec<String>, Vec<String>) = ('\0'..=char::MAX)
        .filter(|character| is_upper(*character))
        .map(|character| (character.to_string(), character.to_lowercase().collect()))
        .unzip();
    let attributes = vec![
        AttributeProto::texts("keys_strings", &upper),
        AttributeProto::texts("values_strings", &lower),
        AttributeProto::text("default_string", ""),
    ];
    let lowered = graph.node(Operator::Classical("LabelEncoder"), &[&parts], attributes);
    let is_other = graph.node("Equal", &[&lowered, &empty], Vec::new());
    let lowered = graph.node("Where", &[&is_other, &parts, &lowered], Vec::new());
    let last = last_sigmas(graph, &parts, &is_other);
    let final_sigma = graph.strings(&["ς"]);
    let lowered = graph.node("Where", &[&last, &final_sigma, &lowered], Vec::new());
    let axis = vec![AttributeProto::int("axis", 0)];
    // A text without a character has no parts: with this there is one.
    let lowered = graph.node("Concat", &[&lowered, &empty], axis);
    let always = graph.bools(&[], &[true]);
    let body = vec![AttributeProto::graph("body", joined_in_pairs())];
    graph.node("Loop", &["", &always, &lowered], body)
}

/// Whether each of `parts` is a Σ that ends a word: before it stands a letter, behind it none, whatever
/// ignorable characters there are between (Unicode 3.13, Final_Sigma). All capital letters are parts of their
/// own, `is_other` says which are none, and no two of those follow each other.
fn last_sigmas(graph: &mut GraphBuilder, parts: &str, is_other: &str) -> String {
    let (cased, ignorable) = (character_set(is_cased), character_set(is_ignorable));
    let begins = matches(graph, parts, &format!("(?s)[{ignorable}]*[{cased}].*"));
    let ends = matches(graph, parts, &format!("(?s).*[{cased}][{ignorable}]*"));
    let is_passed = matches(graph, parts, &format!("[{ignorable}]*"));
    let op = |graph: &mut GraphBuilder, name: &'static str, inputs: &[&str]| {
        graph.node(name, inputs, Vec::new())
    };
    let is_passed = op(graph, "And", &[&is_passed, is_other]);
    let n_parts = op(graph, "Size", &[parts]);
    let [zero, one, two, three] = [0, 1, 2, 3].map(|value| graph.int(value));
    let place = op(graph, "Range", &[&zero, &n_parts, &one]);
    let no = graph.bools(&[1], &[false]);
    let [first, second, last, end] = [0, 1, -1, END].map(|value| graph.ints(&[value]));
    let axis = || vec![AttributeProto::int("axis", 0)];
    let before = |graph: &mut GraphBuilder, of: &str| {
        let moved = graph.node("Concat", &[&no, of], axis());
        graph.node("Slice", &[&moved, &first, &last], Vec::new())
    };
    let (letter_before, passed_before) = (before(graph, &ends), before(graph, &is_passed));
    let behind = |graph: &mut GraphBuilder, of: &str| {
        let moved = graph.node("Concat", &[of, &no], axis());
        graph.node("Slice", &[&moved, &second, &end], Vec::new())
    };
    let (letter_behind, passed_behind) = (behind(graph, &begins), behind(graph, &is_passed));
    // What is passed over stands between two capital letters, or at an end of the text.
    let has_before = op(graph, "GreaterOrEqual", &[&place, &two]);
    let far_before = op(graph, "And", &[&passed_before, &has_before]);
    let any_before = op(graph, "Or", &[&letter_before, &far_before]);
    let far = op(graph, "Sub", &[&n_parts, &three]);
    let has_behind = op(graph, "LessOrEqual", &[&place, &far]);
    let far_behind = op(graph, "And", &[&passed_behind, &has_behind]);
    let any_behind = op(graph, "Or", &[&letter_behind, &far_behind]);
    let sigma = graph.strings(&["Σ"]);
    let is_sigma = op(graph, "Equal", &[parts, &sigma]);
    let none_behind = op(graph, "Not", &[&any_behind]);
    let is_last = op(graph, "And", &[&is_sigma, &any_before]);
    op(graph, "And", &[&is_last, &none_behind])
}

/// The body of a loop that joins each string of a list with the next, until there is one.
fn joined_in_pairs() -> GraphProto {
    let mut graph = GraphBuilder::new("join");
    graph.input("join_round", ElementType::Int64, &[]);
    graph.input("join_goes_on", ElementType::Bool, &[]);
    graph.input("join_parts", ElementType::String, &[DimensionSize::named("n_parts")]);
    graph.output("join_has_pairs", ElementType::Bool, &[]);
    graph.output("join_joined", ElementType::String, &[DimensionSize::named("n_joined")]);
    let empty = graph.strings(&[""]);
    let [zero, one, two, end] = [0, 1, 2, END].map(|value| graph.ints(&[value]));
    let axis = vec![AttributeProto::int("axis", 0)];
    let padded = graph.node("Concat", &["join_parts", &empty], axis);
    let even = graph.node("Slice", &["join_parts", &zero, &end, &zero, &two], Vec::new());
    let odd = graph.node("Slice", &[&padded, &one, &end, &zero, &two], Vec::new());
    graph.named("StringConcat", &[&even, &odd], Vec::new(), &["join_joined"]);
    let n_joined = graph.node("Size", &["join_joined"], Vec::new());
    let single = graph.int(1);
    graph.named("Greater", &[&n_joined, &single], Vec::new(), &["join_has_pairs"]);
    graph.finish()
}
