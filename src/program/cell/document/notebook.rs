//! Jupyter notebooks, format 4: what is not understood stays as it was.
//!
//! They are JSON values here: types, such as those of the nbformat crate, hold what the format has
//! today.

use serde_json::{Map, Value, json};
use trialbook::error::{Error, Result};

use super::{Source, outputs::lines};

/// A notebook, as JSON with the few places that matter here.
#[derive(Debug, Clone)]
pub struct Notebook(Map<String, Value>);

impl Notebook {
    /// The notebook that `text` spells.
    ///
    /// # Errors
    /// When it is no notebook of format 4.
    pub fn parse(text: &str) -> Result<Self> {
        let notebook: Map<String, Value> = serde_json::from_str(text).map_err(|source| {
            Error::invalid("not a notebook: expected a JSON object").with_source(source)
        })?;
        match notebook.get("nbformat").and_then(Value::as_u64) {
            Some(4) if notebook.get("cells").is_some_and(Value::is_array) => Ok(Self(notebook)),
            Some(4) => Err(Error::invalid("not a notebook: no list of cells")),
            Some(other) => Err(Error::invalid(format!("notebook of format {other}, expected 4"))
                .with_hint("open and save it in JupyterLab, which brings it up to date")),
            None => Err(Error::invalid("not a notebook: no nbformat")),
        }
    }

    /// A new notebook with the given code cells and their outputs.
    pub(crate) fn new<'a>(cells: impl IntoIterator<Item = (&'a str, &'a [Value])>) -> Self {
        let cells: Vec<Value> = cells
            .into_iter()
            .enumerate()
            .map(|(idx, (source, outputs))| {
                json!({
                    "cell_type": "code",
                    "execution_count": idx + 1,
                    "id": format!("cell-{}", idx + 1),
                    "metadata": {},
                    "outputs": outputs,
                    "source": lines(source),
                })
            })
            .collect();
        let mut notebook = Map::new();
        notebook.insert("cells".to_owned(), cells.into());
        notebook.insert(
            "metadata".to_owned(),
            json!({
                "kernelspec": {
                    "display_name": "Rust (trialbook)",
                    "language": "rust",
                    "name": "trialbook",
                },
                "language_info": {
                    "file_extension": ".rs",
                    "mimetype": "text/rust",
                    "name": "rust",
                },
            }),
        );
        notebook.insert("nbformat".to_owned(), 4.into());
        notebook.insert("nbformat_minor".to_owned(), 5.into());
        Self(notebook)
    }

    /// Its code cells that are not empty.
    pub fn sources(&self) -> Vec<Source> {
        let cells = self.0.get("cells").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| cell["cell_type"] == "code")
            .map(|(idx, cell)| {
                let tags = cell["metadata"]["tags"].as_array().map_or(&[][..], Vec::as_slice);
                let tags: Vec<String> =
                    tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
                let text = match &cell["source"] {
                    Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
                    source => source.as_str().unwrap_or_default().to_owned(),
                };
                Source { idx, text, ..Source::default() }.tagged(&tags)
            })
            .filter(|source| !source.text.trim().is_empty())
            .collect()
    }

    /// Puts what cell `idx` showed in its place.
    pub fn set_outputs(&mut self, idx: usize, count: usize, outputs: Vec<Value>) {
        let cell = self.0.get_mut("cells").and_then(|cells| cells.get_mut(idx));
        if let Some(Value::Object(cell)) = cell {
            cell.insert("execution_count".to_owned(), count.into());
            cell.insert("outputs".to_owned(), outputs.into());
        }
    }

    /// The file's text, laid out as Jupyter does it so that versions can be compared.
    pub fn to_text(&self) -> String {
        let mut text = Vec::new();
        let layout = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, layout);
        let written = serde::Serialize::serialize(&self.0, &mut serializer);
        debug_assert!(written.is_ok(), "a JSON value written to memory");
        text.push(b'\n');
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_stays() {
        let text = json!({
            "cells": [
                {"cell_type": "markdown", "metadata": {}, "source": "# title"},
                {"cell_type": "code", "metadata": {"x": 1}, "source": ["let a = 1;\n", "a"],
                 "outputs": [], "execution_count": null},
                {"cell_type": "code", "metadata": {"tags": ["raises-exception"]}, "source": "f("},
                {"cell_type": "code", "metadata": {}, "source": " \n"},
            ],
            "metadata": {"extra": [1]}, "nbformat": 4, "nbformat_minor": 2,
        })
        .to_string();
        let mut notebook = Notebook::parse(&text).unwrap();
        let found: Vec<_> = notebook.sources();
        assert_eq!(
            found,
            [
                Source { idx: 1, text: "let a = 1;\na".into(), ..Source::default() },
                Source { idx: 2, text: "f(".into(), may_fail: true, ..Source::default() },
            ]
        );
        notebook.set_outputs(1, 1, vec![json!({"output_type": "stream"})]);
        let written: Value = serde_json::from_str(&notebook.to_text()).unwrap();
        assert_eq!(written["cells"][1]["outputs"][0]["output_type"], "stream");
        assert_eq!(written["cells"][1]["metadata"]["x"], 1);
        assert_eq!(written["metadata"]["extra"], json!([1]));
        assert!(notebook.to_text().starts_with("{\n \"cells\""));
    }

    #[test]
    fn what_is_no_notebook_is_refused_with_its_reason() {
        for (text, expected) in [
            ("", "JSON"),
            ("[]", "JSON"),
            ("{}", "nbformat"),
            (r#"{"nbformat": 3}"#, "format 3"),
            (r#"{"nbformat": 4}"#, "cells"),
        ] {
            let error = Notebook::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
