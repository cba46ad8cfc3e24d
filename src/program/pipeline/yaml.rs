//! JSON values as the YAML people read: blocks and plain words. Whatever could be taken for
//! something else is quoted as JSON quotes it, which YAML reads the same way.
//!
//! Values are only written: a crate such as serde_yaml_ng, which also reads, is large for that.

use serde_json::Value;

/// Words that YAML 1.1 or 1.2 takes for no text.
const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// `value` as one document, with a newline at its end.
pub(super) fn document(value: &Value) -> String {
    let mut lines = Vec::new();
    push(value, &mut lines);
    lines.push(String::new());
    lines.join("\n")
}

/// The lines of `value`.
fn push(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let key = text(key);
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        lines.push(format!("{key}:"));
                        push_indented(value, "  ", lines);
                    }
                    Value::Array(items) if !items.is_empty() => {
                        lines.push(format!("{key}:"));
                        push_indented(value, "", lines);
                    }
                    scalar => lines.push(format!("{key}: {}", inline(scalar))),
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let first = lines.len();
                push_indented(item, "  ", lines);
                lines[first].replace_range(..2, "- ");
            }
        }
        scalar => lines.push(inline(scalar)),
    }
}

fn push_indented(value: &Value, indent: &str, lines: &mut Vec<String>) {
    let first = lines.len();
    push(value, lines);
    for line in &mut lines[first..] {
        line.insert_str(0, indent);
    }
}

/// The text of a value that fits on a line: scalars, and blocks without entries.
fn inline(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        value => value.to_string(),
    }
}

fn text(value: &str) -> String {
    if is_plain(value) { value.to_owned() } else { Value::from(value).to_string() }
}

/// True if YAML reads `value` without quotes as this very text.
fn is_plain(value: &str) -> bool {
    value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && value.chars().all(|char| char.is_ascii_alphanumeric() || " ,;._/:@()-".contains(char))
        && !value.contains(": ")
        && !value.ends_with([' ', ':'])
        && !RESERVED.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_nest_and_empty_ones_stay_on_their_line() {
        let value = json!({
            "a": {"b": [1, "two", {"c": true, "d": [null]}], "e": {}},
            "f": [],
            "g": [[0.85, "x"]],
        });
        let expected = "a:\n  b:\n  - 1\n  - two\n  - c: true\n    d:\n    - null\n  e: {}\nf: []\ng:\n- - 0.85\n  - x\n";
        assert_eq!(document(&value), expected);
    }

    #[test]
    fn what_could_be_something_else_is_quoted() {
        for plain in ["train_model", "/store", "ghcr.io/acme/x:main-1", "a, b (c)", "x@sha256:0"] {
            assert_eq!(text(plain), plain);
        }
        for quoted in [
            "",
            "true",
            "No",
            "~",
            "1",
            "0.85",
            "2.1.0",
            "-x",
            "- x",
            "a: b",
            "a:",
            "a #b",
            "a ",
            "{{$.inputs.parameters['x']}}",
            "*x",
            "&x",
            "!x",
            "|",
            "\"",
            "a\nb",
            "[a]",
            "é",
        ] {
            assert_eq!(text(quoted), serde_json::to_string(quoted).unwrap(), "{quoted:?}");
        }
    }
}
