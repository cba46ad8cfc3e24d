//! A file of behaviour tests, in TOML: which there are, what each expects, and every text of them. It
//! reads text and asks no model.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::template::{Lists, Template, fill, n_fillings};
use crate::error::{Error, Result};

/// The most cases of one test: a slip in a list makes millions.
const MOST_CASES: usize = 10_000;

/// The tests of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourSuite {
    /// The tests, at least one.
    pub tests: Vec<BehaviourTest>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourTest {
    /// Its name, which no other test of the file has.
    pub name: String,
    /// The expectation.
    #[serde(flatten)]
    pub expectation: BehaviourExpectation,
    /// The texts of each case: one, or one and its changed form.
    #[serde(skip)]
    pub cases: Vec<BehaviourCase>,
}

/// One text, or a text and its changed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BehaviourCase {
    /// The text.
    pub text: String,
    /// Its changed form, for a test about changes.
    pub changed: Option<String>,
}

/// CheckList's three kinds of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BehaviourKind {
    /// Texts that any usable model gets right.
    MinimumFunctionality,
    /// A change that must keep the answer.
    Invariance,
    /// A change that must move or flip the answer.
    Directional,
}

/// The expected outcome of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BehaviourExpectation {
    /// The text is predicted as the class `expected`.
    MinimumFunctionality {
        /// The class.
        expected: String,
    },
    /// Both texts are predicted as the same class.
    Invariance,
    /// The probability of `toward` rises, and with `flip` the changed text is predicted as another
    /// class, which is `toward` where that is named.
    Directional {
        /// The class whose probability rises.
        #[serde(skip_serializing_if = "Option::is_none")]
        toward: Option<String>,
        /// The least rise of it; below 0 it may fall by as much.
        min_rise: f64,
        /// True if the predicted class has to change.
        flip: bool,
    },
}

impl BehaviourKind {
    /// Its name in a file, such as `invariance`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinimumFunctionality => "minimum_functionality",
            Self::Invariance => "invariance",
            Self::Directional => "directional",
        }
    }
}

impl BehaviourExpectation {
    /// Its kind.
    pub fn kind(&self) -> BehaviourKind {
        match self {
            Self::MinimumFunctionality { .. } => BehaviourKind::MinimumFunctionality,
            Self::Invariance => BehaviourKind::Invariance,
            Self::Directional { .. } => BehaviourKind::Directional,
        }
    }

    /// The class that it names.
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::MinimumFunctionality { expected } => Some(expected),
            Self::Directional { toward, .. } => toward.as_deref(),
            Self::Invariance => None,
        }
    }
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    /// Words for the slots of every test.
    #[serde(default)]
    lists: Lists,
    #[serde(default)]
    test: Vec<TestEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestEntry {
    name: String,
    kind: BehaviourKind,
    /// Words for the slots of this test, before those of all.
    #[serde(default)]
    lists: Lists,
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    pairs: Vec<PairEntry>,
    expected: Option<String>,
    toward: Option<String>,
    min_rise: Option<f64>,
    flip: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairEntry {
    text: String,
    changed: String,
}

impl BehaviourSuite {
    /// The tests that `text` says.
    ///
    /// # Errors
    /// Text that is no TOML, a setting that is unknown, missing or of another kind of test, a slot
    /// without a list, an empty list, two tests of one name, and a file without a test; each with its
    /// place.
    pub fn parse(text: &str) -> Result<Self> {
        let file: SuiteFile = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
            let told: Vec<&str> = error.message().split_whitespace().collect();
            Error::invalid(format!("line {line}: {}", told.join(" ")))
        })?;
        check_lists(&file.lists, "lists")?;
        if file.test.is_empty() {
            return Err(Error::invalid("it has no test: expected at least one [[test]]"));
        }
        let (mut names, mut tests) = (BTreeSet::new(), Vec::new());
        for (idx, entry) in file.test.into_iter().enumerate() {
            let place = format!("test {} ({:?})", idx + 1, entry.name);
            if entry.name.trim().is_empty() {
                return Err(Error::invalid(format!("test {} has an empty name", idx + 1)));
            }
            if !names.insert(entry.name.clone()) {
                return Err(Error::invalid(format!("{place}: another test has this name")));
            }
            let read = entry.read(&file.lists);
            tests.push(read.map_err(|error| error.with_context(place))?);
        }
        Ok(Self { tests })
    }

    /// Checks that a model of `classes` knows every class that the tests name.
    ///
    /// # Errors
    /// The first one that it does not, with its test.
    pub fn check_classes(&self, classes: &[String]) -> Result<()> {
        for test in &self.tests {
            let Some(class) = test.expectation.class() else { continue };
            if !classes.iter().any(|known| known == class) {
                return Err(Error::invalid(format!(
                    "behaviour test {:?} names the class {class:?}: the model knows {}",
                    test.name,
                    classes.join(", ")
                ))
                .with_hint("name the classes in the file as the dataset does"));
            }
        }
        Ok(())
    }
}

impl TestEntry {
    fn read(self, common: &Lists) -> Result<BehaviourTest> {
        check_lists(&self.lists, "lists")?;
        let expectation = self.expectation()?;
        let mut lists = common.clone();
        lists.extend(self.lists);
        let is_about_changes = expectation.kind() != BehaviourKind::MinimumFunctionality;
        let (wanted, other, n_other) = match is_about_changes {
            true => ("pairs", "texts", self.texts.len()),
            false => ("texts", "pairs", self.pairs.len()),
        };
        let kind = expectation.kind().name();
        if n_other > 0 {
            return Err(Error::invalid(format!("{other} are not for {kind}: it takes {wanted}")));
        }
        let mut cases = Vec::new();
        for (idx, text) in self.texts.iter().enumerate() {
            let templates = [text.as_str()];
            expand(&templates, &lists, &mut cases)
                .map_err(|error| error.with_context(format!("text {}", idx + 1)))?;
        }
        for (idx, PairEntry { text, changed }) in self.pairs.iter().enumerate() {
            if text == changed {
                return Err(Error::invalid(format!("pair {}: nothing is changed", idx + 1)));
            }
            expand(&[text, changed], &lists, &mut cases)
                .map_err(|error| error.with_context(format!("pair {}", idx + 1)))?;
        }
        if cases.is_empty() {
            return Err(Error::invalid(format!("{wanted} is empty: expected at least one")));
        }
        Ok(BehaviourTest { name: self.name, expectation, cases })
    }

    fn expectation(&self) -> Result<BehaviourExpectation> {
        let kind = self.kind;
        let refuse = |given: &[(&str, bool)]| match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::invalid(format!("{name} is not for the kind {}", kind.name())))
            }
        };
        let directions = [
            ("toward", self.toward.is_some()),
            ("min_rise", self.min_rise.is_some()),
            ("flip", self.flip.is_some()),
        ];
        match kind {
            BehaviourKind::MinimumFunctionality => {
                refuse(&directions)?;
                let expected = self
                    .expected
                    .clone()
                    .ok_or_else(|| Error::invalid("expected is missing: the class of its texts"))?;
                Ok(BehaviourExpectation::MinimumFunctionality { expected })
            }
            BehaviourKind::Invariance => {
                refuse(&directions)?;
                refuse(&[("expected", self.expected.is_some())])?;
                Ok(BehaviourExpectation::Invariance)
            }
            BehaviourKind::Directional => {
                refuse(&[("expected", self.expected.is_some())])?;
                let (toward, flip) = (self.toward.clone(), self.flip.unwrap_or(false));
                if toward.is_none() && !flip {
                    return Err(Error::invalid(
                        "toward is missing: the class whose probability rises, or flip = true",
                    ));
                }
                if toward.is_none() {
                    refuse(&[("min_rise without toward", self.min_rise.is_some())])?;
                }
                let min_rise = self.min_rise.unwrap_or(0.0);
                if !(-1.0..=1.0).contains(&min_rise) {
                    return Err(Error::invalid(format!(
                        "min_rise is {min_rise}: must lie between -1 and 1"
                    )));
                }
                Ok(BehaviourExpectation::Directional { toward, min_rise, flip })
            }
        }
    }
}

/// Adds every text, or pair of texts, that `texts` make.
fn expand(texts: &[&str], lists: &Lists, cases: &mut Vec<BehaviourCase>) -> Result<()> {
    let templates = texts.iter().map(|text| Template::parse(text, lists));
    let templates = templates.collect::<Result<Vec<_>>>()?;
    let templates: Vec<&Template> = templates.iter().collect();
    let n_cases = cases.len().saturating_add(n_fillings(&templates, lists));
    if n_cases > MOST_CASES {
        return Err(Error::invalid(format!(
            "its lists make {n_cases} cases of the test: at most {MOST_CASES} are asked"
        )));
    }
    for filled in fill(&templates, lists) {
        if filled.iter().any(|text| text.trim().is_empty()) {
            return Err(Error::invalid("a text is empty: expected at least one word"));
        }
        let mut filled = filled.into_iter();
        let text = filled.next().unwrap_or_default();
        cases.push(BehaviourCase { text, changed: filled.next() });
    }
    Ok(())
}

fn check_lists(lists: &Lists, place: &str) -> Result<()> {
    match lists.iter().find(|(_, words)| words.is_empty()) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Error::invalid(format!("{place}.{name} is empty: expected at least one word")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_every_text_of_its_templates() {
        let suite = BehaviourSuite::parse(
            "[lists]\nnoun = ['film', 'plot']\ngood = ['good', 'fine']\n\
             [[test]]\nname = 'praise'\nkind = 'minimum_functionality'\nexpected = 'pos'\n\
             texts = ['The {noun} is {good}.', 'Wow']\n\
             [[test]]\nname = 'typo'\nkind = 'invariance'\nlists = { good = ['great'] }\n\
             pairs = [{ text = 'The {noun}: {good}', changed = 'Teh {noun}: {good}' }]\n\
             [[test]]\nname = 'not'\nkind = 'directional'\nflip = true\n\
             pairs = [{ text = '{good}', changed = 'not {good}' }]\n",
        )
        .unwrap();
        let texts = |idx: usize| -> Vec<&str> {
            suite.tests[idx].cases.iter().map(|case| case.text.as_str()).collect()
        };
        let expected = [
            "The film is good.",
            "The plot is good.",
            "The film is fine.",
            "The plot is fine.",
            "Wow",
        ];
        assert_eq!(texts(0), expected);
        assert_eq!(texts(1), ["The film: great", "The plot: great"], "its own list comes first");
        assert_eq!(suite.tests[1].cases[1].changed.as_deref(), Some("Teh plot: great"));
        let directional =
            BehaviourExpectation::Directional { toward: None, min_rise: 0.0, flip: true };
        assert_eq!(suite.tests[2].expectation, directional);
        let classes = ["neg".to_owned(), "pos".to_owned()];
        suite.check_classes(&classes).unwrap();
        let error = suite.check_classes(&classes[..1]).unwrap_err().to_string();
        assert_eq!(error, "behaviour test \"praise\" names the class \"pos\": the model knows neg");
    }

    #[test]
    fn what_is_no_suite_is_refused_in_one_sentence_with_its_place() {
        let with = |rest: &str| format!("[[test]]\nname = 'a'\n{rest}");
        let functional =
            |rest: &str| with(&format!("kind = 'minimum_functionality'\nexpected = 'pos'\n{rest}"));
        for (text, expected) in [
            (String::new(), "it has no test: expected at least one [[test]]"),
            ("[lists]\na = ['x']".to_owned(), "it has no test"),
            ("[lists]\na = []".to_owned(), "lists.a is empty: expected at least one word"),
            ("[[test]".to_owned(), "line 1: "),
            ("\n[[tests]]".to_owned(), "line 2: unknown field `tests`"),
            ("[[test]]\nkind = 'invariance'".to_owned(), "line 1: missing field `name`"),
            (with("kind = 'must_keep'"), "line 3: unknown variant `must_keep`, expected one of"),
            (functional("texts = []"), "test 1 (\"a\"): texts is empty: expected at least one"),
            (
                functional("texts = ['{b}']"),
                "test 1 (\"a\"): text 1: \"{b}\" has the unknown slot {b}",
            ),
            (functional("texts = ['x', ' ']"), "test 1 (\"a\"): text 2: a text is empty"),
            (functional("lists = { b = [] }"), "test 1 (\"a\"): lists.b is empty"),
            (
                functional("pairs = [{ text = 'x', changed = 'y' }]"),
                "test 1 (\"a\"): pairs are not for",
            ),
            (
                functional("flip = true"),
                "test 1 (\"a\"): flip is not for the kind minimum_functionality",
            ),
            (with("kind = 'minimum_functionality'"), "test 1 (\"a\"): expected is missing"),
            (
                with("kind = 'invariance'\nexpected = 'x'"),
                "test 1 (\"a\"): expected is not for the kind",
            ),
            (with("kind = 'invariance'"), "test 1 (\"a\"): pairs is empty"),
            (
                with("kind = 'invariance'\npairs = [{ text = 'x', changed = 'x' }]"),
                "test 1 (\"a\"): pair 1: nothing is changed",
            ),
            (with("kind = 'directional'"), "test 1 (\"a\"): toward is missing"),
            (
                with("kind = 'directional'\nflip = true\nmin_rise = 0.1"),
                "test 1 (\"a\"): min_rise without toward is not for the kind directional",
            ),
            (
                with("kind = 'directional'\ntoward = 'x'\nmin_rise = 2.0"),
                "test 1 (\"a\"): min_rise is 2: must lie between -1 and 1",
            ),
            (
                format!("{}\n{}", functional("texts = ['x']"), functional("texts = ['x']")),
                "test 2 (\"a\"): another test has this name",
            ),
        ] {
            let error = BehaviourSuite::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let words: Vec<String> = (0..101).map(|idx| format!("'{idx}'")).collect();
        let lists = format!("lists = {{ b = [{0}], c = [{0}] }}", words.join(","));
        let text = functional(&format!("{lists}\ntexts = ['{{b}} {{c}}']"));
        let error = BehaviourSuite::parse(&text).unwrap_err().to_string();
        assert!(error.contains("make 10201 cases of the test: at most 10000"), "{error}");
    }
}
