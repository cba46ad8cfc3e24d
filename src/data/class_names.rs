//! The class names that Hugging Face's `datasets` writes into the metadata of Parquet and Arrow
//! files: `{"info": {"features": {COLUMN: {"names": […], "_type": "ClassLabel"}}}}` under the key
//! `huggingface`. The column itself holds indices into the names, and -1 where there is no label.
//! <https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.ClassLabel>

use serde_json::Value;

use super::{label::canonical, raw::Places};
use crate::error::{Error, Result};

/// The key of the metadata.
pub(super) const METADATA_KEY: &str = "huggingface";

/// The names that `metadata`, a JSON text, gives to the classes of the column `label`, spelt as
/// labels are.
pub(super) fn declared(metadata: &str, label: &str) -> Option<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let feature = metadata.get("info")?.get("features")?.get(label)?;
    if feature.get("_type")?.as_str()? != "ClassLabel" {
        return None;
    }
    let names = feature.get("names")?.as_array()?;
    let names: Vec<String> = names
        .iter()
        .map(|name| Some(canonical(name.as_str()?.to_owned())))
        .collect::<Option<_>>()?;
    (!names.is_empty()).then_some(names)
}

/// The class names that the indices `labels` stand for; none for -1, which is no label.
///
/// # Errors
/// For an index that has no name, with its row.
pub(super) fn named(
    labels: Vec<Option<String>>,
    names: &[String],
    places: &Places,
) -> Result<Vec<Option<String>>> {
    let name = |(row_idx, label): (usize, Option<String>)| {
        let Some(label) = label else { return Ok(None) };
        if label == "-1" {
            return Ok(None);
        }
        let name = label.parse::<usize>().ok().and_then(|index| names.get(index));
        name.cloned().map(Some).ok_or_else(|| {
            Error::invalid(format!(
                "{}: label {label}, but the file's metadata names the classes 0 to {} ({})",
                places.of(row_idx),
                names.len() - 1,
                super::classes::listed(names)
            ))
            .with_hint("correct the label or the names of the feature, and write the file again")
        })
    };
    labels.into_iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_found_for_a_column_that_is_a_class_label() {
        let metadata = r#"{"info": {"features": {
            "text": {"dtype": "string", "_type": "Value"},
            "label": {"names": ["ham", "spam"], "_type": "ClassLabel"},
            "tags": {"feature": {"names": ["a"], "_type": "ClassLabel"}, "_type": "Sequence"},
            "stars": {"names": ["1.0", " 2"], "_type": "ClassLabel"},
            "none": {"names": [], "_type": "ClassLabel"},
            "odd": {"names": [1, 2], "_type": "ClassLabel"}}}}"#;
        assert_eq!(declared(metadata, "label"), Some(owned(&["ham", "spam"])));
        assert_eq!(declared(metadata, "stars"), Some(owned(&["1", "2"])));
        for column in ["text", "tags", "none", "odd", "missing"] {
            assert_eq!(declared(metadata, column), None, "{column}");
        }
        for damaged in ["", "{", "[]", r#"{"info": null}"#] {
            assert_eq!(declared(damaged, "label"), None, "{damaged}");
        }
    }

    #[test]
    fn indices_become_names_and_minus_one_is_no_label() {
        let names = owned(&["ham", "spam"]);
        let places = Places::Rows { path: "a.parquet".into() };
        let labels = |labels: &[&str]| -> Vec<Option<String>> {
            labels.iter().map(|label| Some((*label).to_owned())).collect()
        };
        let found = named(labels(&["1", "-1", "0"]), &names, &places).unwrap();
        assert_eq!(found, [Some("spam".to_owned()), None, Some("ham".to_owned())]);
        // An index may look like a name of another class.
        let turned = named(labels(&["1", "0"]), &owned(&["1", "0"]), &places).unwrap();
        assert_eq!(turned, [Some("0".to_owned()), Some("1".to_owned())]);
        for wrong in ["2", "-2", "1.5", "spam"] {
            let error = named(labels(&["0", wrong]), &names, &places).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "\"a.parquet\" row 2: label {wrong}, but the file's metadata names the classes \
                     0 to 1 (ham, spam)"
                )
            );
        }
    }
}
