//! Texts with slots, `The {noun} was {good}.`, and every text that lists of words make of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};

/// The words of each slot.
pub(super) type Lists = BTreeMap<String, Vec<String>>;

/// A text with slots; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Slot(String),
}

impl Template {
    /// Reads a template whose slots are all among `lists`.
    ///
    /// # Errors
    /// A slot without a list, and a brace that opens or closes nothing.
    pub(super) fn parse(text: &str, lists: &Lists) -> Result<Self> {
        let alone = |brace: char| {
            Error::invalid(format!(
                "{text:?} has a {brace} of its own: write {brace}{brace} for it"
            ))
        };
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            if matches!(letter, '{' | '}') && letters.next_if_eq(&letter).is_some() {
                plain.push(letter);
                continue;
            }
            match letter {
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next() {
                            Some('}') => break,
                            Some(letter) if letter != '{' => name.push(letter),
                            _ => return Err(alone('{')),
                        }
                    }
                    if !lists.contains_key(&name) {
                        let known: Vec<&str> = lists.keys().map(String::as_str).collect();
                        let known = match known.as_slice() {
                            [] => "there are no lists".to_owned(),
                            known => format!("expected one of {}", known.join(", ")),
                        };
                        return Err(Error::invalid(format!(
                            "{text:?} has the unknown slot {{{name}}}: {known}"
                        )));
                    }
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Slot(name));
                }
                '}' => return Err(alone('}')),
                _ => plain.push(letter),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    fn slots(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    fn filled(&self, words: &Filling<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Slot(name) => words.get(name.as_str()).copied().unwrap_or_default().to_owned(),
        };
        self.parts.iter().map(part).collect()
    }
}

/// A word for each slot.
type Filling<'a> = BTreeMap<&'a str, &'a str>;

/// The number of ways to fill `templates` together; as many as fit where they are more.
pub(super) fn n_fillings(templates: &[&Template], lists: &Lists) -> usize {
    let sizes = slots(templates).into_iter().map(|slot| lists.get(slot).map_or(0, Vec::len));
    sizes.fold(1, usize::saturating_mul)
}

/// Every way to fill `templates` together, a slot of the same name with the same word: one list of
/// texts for each, in the order of the lists, the last slot turning fastest.
pub(super) fn fill(templates: &[&Template], lists: &Lists) -> Vec<Vec<String>> {
    let mut fillings = vec![Filling::new()];
    for slot in slots(templates) {
        let words = lists.get(slot).map_or(&[][..], Vec::as_slice);
        fillings = fillings.iter().flat_map(|filling| filled_in(filling, slot, words)).collect();
    }
    let filled = |words| templates.iter().map(|template| template.filled(words)).collect();
    fillings.iter().map(filled).collect()
}

/// `filling` with each of `words` in `slot`.
fn filled_in<'a>(filling: &Filling<'a>, slot: &'a str, words: &'a [String]) -> Vec<Filling<'a>> {
    let with = |word: &'a String| {
        let mut filling = filling.clone();
        filling.insert(slot, word.as_str());
        filling
    };
    words.iter().map(with).collect()
}

fn slots<'a>(templates: &[&'a Template]) -> BTreeSet<&'a str> {
    templates.iter().flat_map(|template| template.slots()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        BTreeMap::from([
            ("a".to_owned(), words(&["x", "y{z}"])),
            ("b".to_owned(), words(&["1", "2", "3"])),
        ])
    }

    #[test]
    fn templates_are_filled_together_in_every_way() {
        let lists = lists();
        let read = |text| Template::parse(text, &lists).unwrap();
        let (one, other) = (read("{b} {a} {b}"), read("{{{a}}}"));
        assert_eq!(n_fillings(&[&one, &other], &lists), 6);
        let filled = fill(&[&one, &other], &lists);
        let texts: Vec<&str> = filled.iter().flatten().map(String::as_str).collect();
        assert_eq!(texts[..4], ["1 x 1", "{x}", "2 x 2", "{x}"]);
        assert_eq!(texts[10..], ["3 y{z} 3", "{y{z}}"]);
        assert_eq!(fill(&[&read("plain")], &lists), [["plain"]]);
    }

    #[test]
    fn what_is_no_template_is_refused_in_one_sentence() {
        for (text, expected) in [
            ("a {c} b", "\"a {c} b\" has the unknown slot {c}: expected one of a, b"),
            ("a {", "\"a {\" has a { of its own: write {{ for it"),
            ("{a {b}", "\"{a {b}\" has a { of its own"),
            ("a } b", "\"a } b\" has a } of its own: write }} for it"),
        ] {
            let error = Template::parse(text, &lists()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = Template::parse("{a}", &Lists::new()).unwrap_err().to_string();
        assert!(error.ends_with("unknown slot {a}: there are no lists"), "{error}");
    }
}
