//! `meta.yaml` of a file store. Every plain word stays text: which words are numbers differs between
//! versions of YAML, and a digest such as `12e45678` is none. What is written is JSON, which YAML
//! contains.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use yaml_rust2::{
    parser::{Event, MarkedEventReceiver, Parser},
    scanner::{Marker, TScalarStyle},
};

use super::source::malformed;
use crate::error::{Error, Result};

/// Larger than any that MLflow writes; a dataset's profile may be 16 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The fields of one file.
#[derive(Debug)]
pub(super) struct MetaFile {
    path: PathBuf,
    fields: BTreeMap<String, Node>,
}

#[derive(Debug)]
enum Node {
    Null,
    Text(String),
    List,
    Map(BTreeMap<String, Node>),
}

impl MetaFile {
    /// The file at `path`.
    ///
    /// # Errors
    /// When the system refuses, and when it holds no mapping.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let fail = |error| Error::io("read", path, error);
        let wrong = |found: String| malformed(&path.display().to_string(), found);
        if fs::metadata(path).map_err(fail)?.len() > MAX_BYTES {
            return Err(wrong("it is longer than any meta.yaml".to_owned()));
        }
        let bytes = fs::read(path).map_err(fail)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let mut tree = Tree::default();
        let parsed = Parser::new_from_str(&text).load(&mut tree, false);
        parsed.map_err(|error| wrong(format!("it is not YAML: {error}")))?;
        match tree.root {
            Some(Node::Map(fields)) => Ok(Self { path: path.to_owned(), fields }),
            _ => Err(wrong("it holds no fields".to_owned())),
        }
    }

    /// A field's text; none where it is absent or null.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.fields.get(key) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A field's text, which must be there.
    pub(super) fn required(&self, key: &str) -> Result<&str> {
        self.text(key).ok_or_else(|| self.wrong(format!("it has no {key}")))
    }

    /// A field's whole number.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let number = text.parse().map_err(|_| self.wrong(format!("{key} is {text:?}")))?;
        Ok(Some(number))
    }

    /// A field's texts by key.
    pub(super) fn texts(&self, key: &str) -> BTreeMap<String, String> {
        let Some(Node::Map(map)) = self.fields.get(key) else { return BTreeMap::new() };
        let texts = map.iter().filter_map(|(key, node)| match node {
            Node::Text(text) => Some((key.clone(), text.clone())),
            _ => None,
        });
        texts.collect()
    }

    pub(super) fn wrong(&self, found: impl std::fmt::Display) -> Error {
        malformed(&self.path.display().to_string(), found)
    }
}

/// The text of a file with `fields`, an object.
pub(super) fn written(fields: &Value) -> String {
    let Some(fields) = fields.as_object() else { return String::new() };
    fields.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

/// Builds the tree from the parser's events.
#[derive(Debug, Default)]
struct Tree {
    open: Vec<(Node, Option<String>)>,
    root: Option<Node>,
}

impl Tree {
    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Node::Map(map), key)) => match (key.take(), node) {
                (Some(key), node) => drop(map.insert(key, node)),
                (None, Node::Text(text)) => *key = Some(text),
                (None, _) => *key = Some(String::new()),
            },
            Some(_) => {}
        }
    }
}

impl MarkedEventReceiver for Tree {
    fn on_event(&mut self, event: Event, _mark: Marker) {
        match event {
            Event::Scalar(text, TScalarStyle::Plain, _, _)
                if matches!(text.as_str(), "" | "~" | "null") =>
            {
                self.add(Node::Null);
            }
            Event::Scalar(text, ..) => self.add(Node::Text(text)),
            Event::Alias(_) => self.add(Node::Null),
            Event::MappingStart(..) => self.open.push((Node::Map(BTreeMap::new()), None)),
            Event::SequenceStart(..) => self.open.push((Node::List, None)),
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some((node, _)) = self.open.pop() {
                    self.add(node);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorKind;

    fn read(text: &str) -> Result<MetaFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.yaml");
        fs::write(&path, text).unwrap();
        MetaFile::read(&path)
    }

    #[test]
    fn words_stay_as_they_are_written() {
        let text = "digest: 12e45678\nempty: ''\nnone: null\nn: -3\nq: 'it''s'\nfold: 'a\n\n  b'\nlist:\n- x\n\
                    tags:\n  a: '1'\n  b: null\n";
        let meta = read(text).unwrap();
        assert_eq!(meta.text("digest"), Some("12e45678"));
        assert_eq!((meta.text("empty"), meta.text("none")), (Some(""), None));
        assert_eq!((meta.text("q"), meta.text("fold")), (Some("it's"), Some("a\nb")));
        assert_eq!(meta.number("n").unwrap(), Some(-3));
        assert_eq!(meta.texts("tags"), BTreeMap::from([("a".to_owned(), "1".to_owned())]));
        assert!(meta.number("digest").unwrap_err().to_string().contains("digest is \"12e45678\""));
        assert!(meta.required("name").unwrap_err().to_string().contains("it has no name"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = "ünï: 'x' \"y\"\n\ttab # no comment\u{7f}\u{2028}";
        let meta = read(&written(&json!({"a": text, "n": 3, "none": null, "tags": {"k": text}})));
        let meta = meta.unwrap();
        assert_eq!((meta.text("a"), meta.text("none")), (Some(text), None));
        assert_eq!(meta.number("n").unwrap(), Some(3));
        assert_eq!(meta.texts("tags")["k"], text);
    }

    #[test]
    fn what_is_no_mapping_is_refused_with_the_file_s_name() {
        for wrong in ["", "- a\n", "word", "a: [", "a: 'x", "\u{0}"] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{wrong:?}: {error}");
            assert!(error.to_string().contains("meta.yaml"), "{error}");
        }
    }
}
