//! Reading `{"text"}` and `{"texts"}` out of untrusted bytes: texts are borrowed where JSON allows
//! it, everything else is skipped unstored, so a hostile body costs no more memory than its length.
//! It says what is wrong and where; it refuses to guess.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::error::{ApiError, FieldError};

/// Faults told at once; a client that made more learns the rest next time.
const MAX_FAULTS: usize = 20;

/// The one text of `{"text": "…"}`, of at most `max_chars`.
///
/// # Errors
/// 400 for what is not JSON, 422 for another shape, a longer text or one of nothing but white space.
pub(crate) fn text(body: &[u8], max_chars: usize) -> Result<Cow<'_, str>, ApiError> {
    let text = match parse(body, "text", PhantomData::<Item<'_>>)? {
        Item::Text(text) => text,
        Item::Other => return Err(ApiError::validation(vec![not_a_string("text")])),
    };
    match fault(&text, "text", max_chars) {
        Some(fault) => Err(ApiError::validation(vec![fault])),
        None => Ok(text),
    }
}

/// The texts of `{"texts": ["…", …]}`, at most `max_texts` of at most `max_chars` each.
///
/// # Errors
/// 400 for what is not JSON, 422 for another shape, no texts, too many, a blank one or one too long;
/// every faulty text is named, up to 20.
pub(crate) fn texts(
    body: &[u8],
    max_texts: usize,
    max_chars: usize,
) -> Result<Vec<Cow<'_, str>>, ApiError> {
    let invalid = |kind, msg| ApiError::validation(vec![FieldError::of_field("texts", kind, msg)]);
    let (items, n_items) = match parse(body, "texts", ListSeed { max_items: max_texts })? {
        List::Items { kept, n_items } => (kept, n_items),
        List::Other => return Err(invalid("list_type", "Input should be a valid list".into())),
    };
    if n_items == 0 {
        let msg = "List should have at least 1 item after validation, not 0";
        return Err(invalid("too_short", msg.into()));
    }
    if n_items > max_texts {
        let msg =
            format!("List should have at most {max_texts} items after validation, not {n_items}");
        return Err(invalid("too_long", msg));
    }
    let mut texts = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (text_idx, item) in items.into_iter().enumerate() {
        match item {
            Item::Text(text) => match fault(&text, "texts", max_chars) {
                Some(fault) => faults.push(fault.at(text_idx)),
                None => texts.push(text),
            },
            Item::Other => faults.push(not_a_string("texts").at(text_idx)),
        }
        if faults.len() == MAX_FAULTS {
            break;
        }
    }
    if faults.is_empty() { Ok(texts) } else { Err(ApiError::validation(faults)) }
}

/// What is wrong with a text of `field`, if anything is.
fn fault(text: &str, field: &'static str, max_chars: usize) -> Option<FieldError> {
    if text.chars().all(char::is_whitespace) {
        let msg = "String should have at least 1 character that is not white space";
        return Some(FieldError::of_field(field, "string_too_short", msg));
    }
    // No text has more characters than bytes: most need no counting.
    if text.len() > max_chars && text.chars().count() > max_chars {
        let msg = format!("String should have at most {max_chars} characters");
        return Some(FieldError::of_field(field, "string_too_long", msg));
    }
    None
}

fn not_a_string(field: &'static str) -> FieldError {
    FieldError::of_field(field, "string_type", "Input should be a valid string")
}

/// The value of the field `key` of the object that `body` has to be.
fn parse<'de, S>(body: &'de [u8], key: &'static str, seed: S) -> Result<S::Value, ApiError>
where
    S: DeserializeSeed<'de> + Copy,
{
    let mut json = serde_json::Deserializer::from_slice(body);
    let object = ObjectSeed { key, seed }.deserialize(&mut json);
    let object = object.and_then(|object| json.end().map(|()| object));
    match object.map_err(|error| ApiError::malformed_json(&error.to_string()))? {
        Object::Field(Some(value)) => Ok(value),
        Object::Field(None) => {
            Err(ApiError::validation(vec![FieldError::of_field(key, "missing", "Field required")]))
        }
        Object::Other => Err(ApiError::validation(vec![FieldError::of_body(
            "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from",
        )])),
    }
}

/// A string, or something else that was skipped.
enum Item<'a> {
    Text(Cow<'a, str>),
    Other,
}

/// An array, or something else that was skipped.
enum List<'a> {
    Items { kept: Vec<Item<'a>>, n_items: usize },
    Other,
}

/// An object with one field of interest, or something else that was skipped.
enum Object<T> {
    Field(Option<T>),
    Other,
}

/// Writes a visitor's answers to the kinds of JSON values it has no use for.
macro_rules! other {
    ($other:expr, $($kind:ident)*) => { $(other!(@ $other, $kind);)* };
    (@ $other:expr, scalar) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($other) }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($other) }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($other) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($other) }
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($other) }
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

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Item::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Item::Text(Cow::Owned(text.to_owned())))
            }

            other!(Item::Other, scalar seq map);
        }
        json.deserialize_any(ItemVisitor)
    }
}

/// Reads a [`List`], keeping its first `max_items` and counting the rest.
#[derive(Clone, Copy)]
struct ListSeed {
    max_items: usize,
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
    type Value = Object<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for ObjectSeed<S> {
    type Value = Object<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut field = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.key {
                field = Some(map.next_value_seed(self.seed)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Object::Field(field))
    }

    other!(Object::Other, scalar string seq);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// No text below is longer.
    const MAX_CHARS: usize = 1_000;

    fn refusal(error: &ApiError) -> (u16, Value) {
        let body: Value = serde_json::from_slice(&error.body("id")).unwrap();
        (error.status().as_u16(), body["detail"].clone())
    }

    /// Every way to say `[status, [[loc, type], …]]` about a faulty body.
    fn check(outcome: Result<(), ApiError>, body: &str, status: u16, faults: &[(Value, &str)]) {
        let error = outcome.expect_err(body);
        let (found_status, detail) = refusal(&error);
        assert_eq!(found_status, status, "{body}");
        if status == 422 {
            let found: Vec<(Value, &str)> = detail
                .as_array()
                .unwrap()
                .iter()
                .map(|fault| (fault["loc"].clone(), fault["type"].as_str().unwrap()))
                .collect();
            assert_eq!(found, faults, "{body}");
        }
    }

    #[test]
    fn a_single_text_is_read_whatever_surrounds_it() {
        for (body, expected) in [
            (r#"{"text":"good"}"#, "good"),
            (r#" { "id": [1, {"text": 2}], "text" : "a\nb \u00e9 \ud83d\ude00" } "#, "a\nb é 😀"),
            (r#"{"text":"first","text":"second"}"#, "second"),
            (r#"{"te\u0078t":"escaped key"}"#, "escaped key"),
            (r#"{"text":"a\u0000b"}"#, "a\0b"),
        ] {
            assert_eq!(text(body.as_bytes(), MAX_CHARS).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn plain_texts_are_borrowed() {
        assert!(matches!(text(br#"{"text":"plain"}"#, MAX_CHARS), Ok(Cow::Borrowed("plain"))));
    }

    #[test]
    fn a_faulty_single_body_says_where_and_what() {
        let text_at = || json!(["body", "text"]);
        for (body, fault) in [
            ("{}", (text_at(), "missing")),
            (r#"{"texts":["a"]}"#, (text_at(), "missing")),
            (r#"{"text":""}"#, (text_at(), "string_too_short")),
            (r#"{"text":" \n\u3000"}"#, (text_at(), "string_too_short")),
            (r#"{"text":null}"#, (text_at(), "string_type")),
            (r#"{"text":-1}"#, (text_at(), "string_type")),
            (r#"{"text":1.5}"#, (text_at(), "string_type")),
            (r#"{"text":true}"#, (text_at(), "string_type")),
            (r#"{"text":["a",["b"]]}"#, (text_at(), "string_type")),
            (r#"{"text":{"a":{}}}"#, (text_at(), "string_type")),
            ("[]", (json!(["body"]), "model_attributes_type")),
            ("\"text\"", (json!(["body"]), "model_attributes_type")),
            ("null", (json!(["body"]), "model_attributes_type")),
            ("3", (json!(["body"]), "model_attributes_type")),
        ] {
            check(text(body.as_bytes(), MAX_CHARS).map(drop), body, 422, &[fault]);
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            " ",
            "{",
            "{\"text\":\"a\"",
            "text=good",
            "{\"text\":\"a\"} x",
            "{'text':'a'}",
            "{\"text\":\"\\ud800\"}",
            "{\"text\":1e999}",
            "\u{feff}{\"text\":\"a\"}",
            &deep,
        ] {
            check(text(body.as_bytes(), MAX_CHARS).map(drop), body, 400, &[]);
        }
        check(text(b"{\"text\":\"\xff\"}", MAX_CHARS).map(drop), "not UTF-8", 400, &[]);
    }

    #[test]
    fn every_faulty_text_of_a_batch_is_named() {
        let at = |idx: usize| json!(["body", "texts", idx]);
        let body = r#"{"texts":["good",""," ",null,7,["a"],{"a":1},"bad"]}"#;
        check(
            texts(body.as_bytes(), 100, MAX_CHARS).map(drop),
            body,
            422,
            &[
                (at(1), "string_too_short"),
                (at(2), "string_too_short"),
                (at(3), "string_type"),
                (at(4), "string_type"),
                (at(5), "string_type"),
                (at(6), "string_type"),
            ],
        );
    }

    #[test]
    fn a_text_is_too_long_by_its_characters_not_its_bytes() {
        let body = |text: &str| json!({ "text": text, "texts": ["a", text] }).to_string();
        let (short, long) = (body("ééé"), body("éééé"));
        assert_eq!(text(short.as_bytes(), 3).unwrap(), "ééé");
        assert_eq!(texts(short.as_bytes(), 2, 3).unwrap(), ["a", "ééé"]);
        let at_text = (json!(["body", "text"]), "string_too_long");
        check(text(long.as_bytes(), 3).map(drop), &long, 422, &[at_text]);
        let at_second = (json!(["body", "texts", 1]), "string_too_long");
        check(texts(long.as_bytes(), 2, 3).map(drop), &long, 422, &[at_second]);
    }

    #[test]
    fn a_batch_must_be_a_list_of_some_but_not_too_many() {
        let texts_at = || json!(["body", "texts"]);
        for (body, kind) in [
            ("{}", "missing"),
            (r#"{"texts":[]}"#, "too_short"),
            (r#"{"texts":"one"}"#, "list_type"),
            (r#"{"texts":{"0":"one"}}"#, "list_type"),
            (r#"{"texts":null}"#, "list_type"),
            (r#"{"texts":["a","b","c"]}"#, "too_long"),
        ] {
            check(texts(body.as_bytes(), 2, MAX_CHARS).map(drop), body, 422, &[(texts_at(), kind)]);
        }
        assert_eq!(texts(br#"{"texts":["a","b"]}"#, 2, MAX_CHARS).unwrap(), ["a", "b"]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused_as_the_clients_fault(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
            json in r#"[\[\]{}:,"a-z0-9\\ ]{0,40}"#,
        ) {
            let wrapped = format!("{{\"text\":{json},\"texts\":[{json}]}}");
            for body in [&bytes[..], json.as_bytes(), wrapped.as_bytes()] {
                for outcome in [text(body, MAX_CHARS).map(drop), texts(body, 3, MAX_CHARS).map(drop)] {
                    if let Err(error) = outcome {
                        proptest::prop_assert!([400, 422].contains(&refusal(&error).0));
                    }
                }
            }
        }
    }

    #[test]
    fn a_thousand_faults_are_told_in_twenty() {
        let body = json!({ "texts": vec![1; 1000] }).to_string();
        let (_, detail) = refusal(&texts(body.as_bytes(), 1000, MAX_CHARS).unwrap_err());
        assert_eq!(detail.as_array().unwrap().len(), MAX_FAULTS);
    }
}
