//! The class names that Hugging Face's `datasets` writes into the metadata of Parquet and Arrow
//! files: `{"info": {"features": {COLUMN: {"names": […], "_type": "ClassLabel"}}}}` under the key
//! `huggingface`. The column itself holds indices into the names, and -1 where there is no label.
//! <https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.ClassLabel>

use std::collections::BTreeSet;

use serde_json::Value;

use super::{excerpt::excerpt, label::canonical, raw::Places};
use crate::error::{Error, Result};

/// The key of the metadata.
pub(super) const METADATA_KEY: &str = "huggingface";

/// The classes of a column, as metadata name them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// Nothing: the column is no class label.
    Nothing,
    /// Their names, spelt as labels are.
    Names(Vec<String>),
    /// That they have names, which are none. Says why.
    Unusable(String),
}

/// The classes of the column `label` in `metadata`, a JSON text.
pub(super) fn declared(metadata: &str, label: &str) -> Declared {
    let Ok(metadata) = serde_json::from_str::<Value>(metadata) else {
        return Declared::Unusable("are no JSON".to_owned());
    };
    let feature = metadata.get("info").and_then(|info| info.get("features")?.get(label));
    let Some(feature) = feature.filter(|it| it.get("_type").is_some_and(|it| it == "ClassLabel"))
    else {
        return Declared::Nothing;
    };
    let names: Option<Vec<String>> = feature.get("names").and_then(|names| {
        let name = |name: &Value| Some(canonical(name.as_str()?.to_owned()));
        names.as_array()?.iter().map(name).collect()
    });
    let unusable =
        |what: &str| Declared::Unusable(format!("call {} a class label {what}", excerpt(label)));
    match names {
        None => unusable("whose names are no list of strings"),
        Some(names) if names.is_empty() => unusable("without names"),
        Some(names) if names.iter().any(String::is_empty) => unusable("with an empty name"),
        Some(names) => {
            let mut known = BTreeSet::new();
            match names.iter().find(|name| !known.insert(name.as_str())) {
                Some(twice) => unusable(&format!("with the name {} twice", excerpt(twice))),
                None => Declared::Names(names),
            }
        }
    }
}

/// True if every one of `labels`, the strings of a column whose classes have `names`, is an index
/// and none is a name. `datasets` itself takes such a string for the index.
pub(super) fn are_indices(labels: &[Option<String>], names: &[String]) -> bool {
    let is_index = |label: &str| {
        label == "-1" || label.parse::<usize>().is_ok_and(|index| index.to_string() == label)
    };
    let mut labels = labels.iter().flatten().peekable();
    labels.peek().is_some() && labels.all(|label| is_index(label) && !names.contains(label))
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
            "odd": {"names": [1, 2], "_type": "ClassLabel"},
            "word": {"names": "ham", "_type": "ClassLabel"},
            "empty": {"names": ["ham", " "], "_type": "ClassLabel"},
            "twice": {"names": ["1", "1.0"], "_type": "ClassLabel"}}}}"#;
        let names = |names: &[&str]| Declared::Names(owned(names));
        assert_eq!(declared(metadata, "label"), names(&["ham", "spam"]));
        assert_eq!(declared(metadata, "stars"), names(&["1", "2"]));
        for column in ["text", "tags", "missing"] {
            assert_eq!(declared(metadata, column), Declared::Nothing, "{column}");
        }
        for other in ["[]", "1", r#"{"info": null}"#, r#"{"info": {"features": [1]}}"#] {
            assert_eq!(declared(other, "label"), Declared::Nothing, "{other}");
        }
        for (column, reason) in [
            ("none", "call \"none\" a class label without names"),
            ("odd", "call \"odd\" a class label whose names are no list of strings"),
            ("word", "call \"word\" a class label whose names are no list of strings"),
            ("empty", "call \"empty\" a class label with an empty name"),
            ("twice", "call \"twice\" a class label with the name \"1\" twice"),
        ] {
            assert_eq!(declared(metadata, column), Declared::Unusable(reason.to_owned()));
        }
        for damaged in ["", "{", "{not json"] {
            let unusable = Declared::Unusable("are no JSON".to_owned());
            assert_eq!(declared(damaged, "label"), unusable, "{damaged}");
        }
    }

    #[test]
    fn strings_are_indices_where_all_are_and_none_is_a_name() {
        for (labels, names, expected) in [
            (&["0", "1", "-1"][..], &["ham", "spam"][..], true),
            (&["0", "ham"], &["ham", "spam"], false),
            (&["0", "1"], &["1", "0"], false),
            (&["0", "01"], &["ham", "spam"], false),
            (&["a", "b"], &["ham", "spam"], false),
            (&[], &["ham", "spam"], false),
        ] {
            let labels: Vec<Option<String>> =
                labels.iter().map(|label| Some((*label).to_owned())).collect();
            assert_eq!(are_indices(&labels, &owned(names)), expected, "{labels:?}");
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
