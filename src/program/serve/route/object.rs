//! The few fields of a JSON object that matter here, out of untrusted bytes: strings are borrowed
//! where JSON allows it, and everything else is skipped unstored.
//!
//! It is serde's visitors, not a parser; a derived struct would store what nobody asked for, or stop at
//! the first fault.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::serve::http::error::{ApiError, FieldError};

/// The object that `body` has to be, with its field `key`.
///
/// A byte order mark in front, which Windows' editors and PowerShell write, is passed over.
///
/// # Errors
/// 400 for what is not UTF-8 or not JSON, 422 for JSON that is no object.
pub(super) fn parse<'de, S>(
    body: &'de [u8],
    key: &'static str,
    seed: S,
) -> Result<Object<'de, S::Value>, ApiError>
where
    S: DeserializeSeed<'de> + Copy,
{
    // All of it: what is skipped is not looked at any closer.
    let body =
        str::from_utf8(body).map_err(|error| ApiError::malformed_json(&error.to_string()))?;
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let mut json = serde_json::Deserializer::from_str(body);
    let object = ObjectSeed { key, seed }.deserialize(&mut json);
    let object = object.and_then(|object| json.end().map(|()| object));
    object.map_err(|error| ApiError::malformed_json(&error.to_string()))?.ok_or_else(|| {
        ApiError::validation(vec![FieldError::of_body(
            "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from",
        )])
    })
}

/// A plain value, or something else that was skipped.
pub(super) enum JsonItem<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Integer(serde_json::Number),
    Null,
    Other,
}

/// An array, or something else that was skipped.
pub(super) enum List<'a> {
    Items { kept: Vec<JsonItem<'a>>, n_items: usize },
    Other,
}

/// The fields of interest of an object. One that may be left out may be null as well, which is what
/// clients write whose fields are made from the OpenAPI document.
pub(super) struct Object<'a, T> {
    /// `text` or `texts`.
    pub(super) field: Option<T>,
    pub(super) truncate: Option<JsonItem<'a>>,
    pub(super) model: Option<JsonItem<'a>>,
    pub(super) id: Option<JsonItem<'a>>,
}

/// The value of a field that may be left out; none for null too.
fn optional<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<JsonItem<'de>>, A::Error> {
    Ok(match map.next_value()? {
        JsonItem::Null => None,
        item => Some(item),
    })
}

/// Writes a visitor's answers to the kinds of JSON values it has no use for.
macro_rules! other {
    ($other:expr, $($kind:ident)*) => { $(other!(@ $other, $kind);)* };
    (@ $other:expr, scalar) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($other) }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($other) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($other) }
        other!(@ $other, rest);
    };
    (@ $other:expr, rest) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($other) }
        other!(@ $other, float);
    };
    (@ $other:expr, float) => {
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($other) }
    };
    (@ $other:expr, string) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($other) }
    };
    (@ $other:expr, seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($other)
        }
    };
    (@ $other:expr, map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($other)
        }
    };
}

impl<'de> Deserialize<'de> for JsonItem<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = JsonItem<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonItem::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonItem::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(JsonItem::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(JsonItem::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(JsonItem::Integer(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(JsonItem::Null)
            }

            other!(JsonItem::Other, float seq map);
        }
        json.deserialize_any(ItemVisitor)
    }
}

/// Reads a [`List`], keeping its first `max_items` and counting the rest.
#[derive(Clone, Copy)]
pub(super) struct ListSeed {
    pub(super) max_items: usize,
}

impl<'de> DeserializeSeed<'de> for ListSeed {
    type Value = List<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListSeed {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.max_items {
            let Some(item) = seq.next_element()? else {
                return Ok(List::Items { n_items: kept.len(), kept });
            };
            kept.push(item);
        }
        let mut n_items = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            n_items += 1;
        }
        Ok(List::Items { kept, n_items })
    }

    other!(List::Other, scalar string map);
}

/// Reads an [`Object`]; of a repeated field the last one counts, as in most JSON readers.
struct ObjectSeed<S> {
    key: &'static str,
    seed: S,
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for ObjectSeed<S> {
    /// None for what is no object.
    type Value = Option<Object<'de, S::Value>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for ObjectSeed<S> {
    type Value = Option<Object<'de, S::Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Object { field: None, truncate: None, model: None, id: None };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                key if key == self.key => object.field = Some(map.next_value_seed(self.seed)?),
                "truncate" => object.truncate = optional(&mut map)?,
                "model" => object.model = optional(&mut map)?,
                "id" => object.id = optional(&mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(object))
    }

    other!(None, scalar string seq);
}
