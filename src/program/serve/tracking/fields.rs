//! The fields of a request, one by one, with MLflow's words for what is missing or of another type.
//! Fields that nobody asks for are ignored, as in MLflow.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::wire::{Code, WireRefusal};

const SEE: &str = " See the API docs for more information about request parameters.";

/// The fields of a request, or of an object in one.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Of a JSON body; an empty one says nothing.
    pub(super) fn of_body(body: &[u8]) -> Result<Self, WireRefusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            // Old clients encode the object twice.
            Ok(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Object(fields)) => Ok(Self(fields)),
                _ => Err(not_an_object()),
            },
            Ok(_) => Err(not_an_object()),
            Err(error) => Err(WireRefusal::new(
                Code::BadRequest,
                format!("the request body is malformed JSON: {error}"),
            )),
        }
    }

    /// Of a query string; a name that comes several times has a list of values.
    pub(super) fn of_query(query: &str) -> Self {
        let mut fields = Map::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), Value::String(decoded(value)));
            match fields.get_mut(&name) {
                None => drop(fields.insert(name, value)),
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Self(fields)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, WireRefusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// A text that is missing where it is empty.
    pub(super) fn filled(&self, name: &str) -> Result<Option<&str>, WireRefusal> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// A text that must be there and not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, WireRefusal> {
        self.filled(name)?.ok_or_else(|| missing(name))
    }

    /// A text that must be there and may be empty.
    pub(super) fn required_text(&self, name: &str) -> Result<&str, WireRefusal> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// The id of a run under either of its names.
    pub(super) fn run_id(&self) -> Result<&str, WireRefusal> {
        match self.filled("run_id")? {
            Some(run_id) => Ok(run_id),
            None => self.filled("run_uuid")?.ok_or_else(|| missing("run_id")),
        }
    }

    /// A whole number, also as a text.
    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, WireRefusal> {
        let found = self.get(name).map(|value| match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        match found {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(wrong_type(name, &self.0[name])),
        }
    }

    /// A number, also as a text, which NaN and the infinities are.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, WireRefusal> {
        let found = self.get(name).map(|value| match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => text.parse().ok(),
            },
            _ => None,
        });
        match found {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(wrong_type(name, &self.0[name])),
        }
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, WireRefusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// Texts; one that stands alone is a list of one.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, WireRefusal> {
        let one = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(wrong_type(name, other)),
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(one).collect(),
            Some(value) => Ok(vec![one(value)?]),
        }
    }

    /// An object in it.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, WireRefusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self(fields.clone()))),
            Some(other) => Err(wrong_type(name, other)),
        }
    }

    /// The objects of a list in it, which is taken out.
    pub(super) fn take_objects(&mut self, name: &str) -> Result<Vec<Self>, WireRefusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                let one = |(idx, value)| match value {
                    Value::Object(fields) => Ok(Self(fields)),
                    other => Err(wrong_type(&format!("{name}[{idx}]"), &other)),
                };
                values.into_iter().enumerate().map(one).collect()
            }
            Some(other) => Err(wrong_type(name, &other)),
        }
    }

    /// The `key` and `value` of each object of a list, in their order.
    pub(super) fn pairs(&mut self, name: &str) -> Result<Vec<(String, String)>, WireRefusal> {
        let objects = self.take_objects(name)?;
        let pair = |fields: &Self| {
            let value = fields.text("value")?.unwrap_or_default();
            Ok((fields.required("key")?.to_owned(), value.to_owned()))
        };
        objects.iter().map(pair).collect()
    }

    /// As [`Fields::pairs`], where a key may come several times with one value only.
    pub(super) fn map(&mut self, name: &str) -> Result<BTreeMap<String, String>, WireRefusal> {
        let mut map = BTreeMap::new();
        for (key, value) in self.pairs(name)? {
            if let Some(other) = map.get(&key).filter(|other| **other != value) {
                return Err(WireRefusal::invalid(format!(
                    "{name} has {key:?} twice, as {other:?} and as {value:?}"
                )));
            }
            map.insert(key, value);
        }
        Ok(map)
    }

    /// The number of items that are wanted: `default` where nothing is said.
    pub(super) fn max_results(
        &self,
        default: Option<usize>,
        most: usize,
    ) -> Result<usize, WireRefusal> {
        let Some(number) = self.int("max_results")? else {
            return default.ok_or_else(|| missing("max_results"));
        };
        match usize::try_from(number) {
            Ok(wanted) if (1..=most).contains(&wanted) => Ok(wanted),
            _ => Err(WireRefusal::invalid(format!(
                "Invalid value {number} for parameter 'max_results' supplied: it must be between 1 \
                 and {most}"
            ))),
        }
    }
}

/// A query's or a path's text without its percent signs; in a query a plus is a space.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn whole(number: f64) -> Option<i64> {
    let exact = number.fract() == 0.0 && number.abs() < 9e15;
    exact.then_some(number as i64)
}

pub(super) fn missing(name: &str) -> WireRefusal {
    WireRefusal::invalid(format!("Missing value for required parameter '{name}'.{SEE}"))
}

fn wrong_type(name: &str, value: &Value) -> WireRefusal {
    let kind = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    let shown: String = value.to_string().chars().take(100).collect();
    WireRefusal::invalid(format!(
        "Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{SEE}"
    ))
}

fn not_an_object() -> WireRefusal {
    WireRefusal::new(
        Code::BadRequest,
        "the request body is JSON, and no object: send {\"name\": value}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_queries_give_the_same_fields() {
        let mut body = Fields::of_body(
            br#"{"n": "7", "x": "-Infinity", "one": ["a"], "yes": true, "tags": [{"key": "k"}]}"#,
        )
        .unwrap();
        let query = Fields::of_query("n=7&x=-Infinity&one=a&yes=True&%2b=a+b&none");
        for fields in [&body, &query] {
            assert_eq!(fields.int("n").unwrap(), Some(7));
            assert_eq!(fields.number("x").unwrap(), Some(f64::NEG_INFINITY));
            assert_eq!(fields.texts("one").unwrap(), ["a"]);
            assert_eq!(fields.bool("yes").unwrap(), Some(true));
        }
        assert_eq!(query.required("+").unwrap(), "a b");
        assert_eq!(body.pairs("tags").unwrap(), [("k".to_owned(), String::new())]);
        assert_eq!(Fields::of_query("id=1&id=2").texts("id").unwrap(), ["1", "2"]);
        assert!(Fields::of_body(b"  ").is_ok());
    }

    #[test]
    fn faults_name_the_field_and_what_was_found() {
        let fields = Fields::of_body(br#"{"run_id": 31, "n": 1.5, "tags": [7]}"#).unwrap();
        let message = |refusal: WireRefusal| refusal.message;
        assert_eq!(
            message(fields.run_id().unwrap_err()),
            format!(
                "Invalid value 31 for parameter 'run_id' supplied:  Hint: Value was of type 'int'.{SEE}"
            )
        );
        assert_eq!(
            message(fields.required("name").unwrap_err()),
            format!("Missing value for required parameter 'name'.{SEE}")
        );
        assert!(fields.int("n").is_err() && fields.clone().pairs("tags").is_err());
        for (body, code) in [(&b"{"[..], Code::BadRequest), (b"[1]", Code::BadRequest)] {
            assert_eq!(Fields::of_body(body).unwrap_err().code, code);
        }
        let twice = br#"{"p": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}"#;
        assert!(Fields::of_body(twice).unwrap().map("p").is_err());
    }
}
