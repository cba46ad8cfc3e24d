//! Reading `{"text"}`, `{"texts"}` and lines of a stream out of untrusted bytes: texts are borrowed
//! where JSON allows it, everything else is skipped unstored, so a hostile body costs no more memory
//! than its length. It says what is wrong and where; it refuses to guess.

use std::{borrow::Cow, marker::PhantomData};

use serde::Serialize;

use crate::serve::http::error::{ApiError, FieldError};

use super::object::{JsonItem, List, ListSeed, Object, parse};

/// Faults told at once; a client that made more learns the rest next time.
pub(crate) const MAX_FAULTS: usize = 20;

/// One text to predict.
#[derive(Debug, PartialEq)]
pub(crate) struct Question<'a> {
    pub(crate) text: Cow<'a, str>,
    /// The model that it is for, if it says so.
    pub(crate) model: Option<Cow<'a, str>>,
    /// True if a text that is longer than the model reads may be cut, which is the default.
    pub(crate) truncate: bool,
}

/// Texts to predict together.
#[derive(Debug, PartialEq)]
pub(crate) struct BatchQuestion<'a> {
    pub(crate) texts: Vec<Cow<'a, str>>,
    /// As [`Question::model`], of all texts.
    pub(crate) model: Option<Cow<'a, str>>,
    /// As [`Question::truncate`], of all texts.
    pub(crate) truncate: bool,
}

/// One line of a stream.
#[derive(Debug)]
pub(crate) struct LineQuestion<'a> {
    /// The client's name for the line, if it has one, whatever else is wrong with the line.
    pub(crate) id: Option<Id<'a>>,
    pub(crate) question: Result<Question<'a>, ApiError>,
}

/// A name that goes back to the client as it came.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Id<'a> {
    Text(Cow<'a, str>),
    Integer(serde_json::Number),
}

impl Id<'_> {
    pub(crate) fn into_owned(self) -> Id<'static> {
        match self {
            Self::Text(id) => Id::Text(Cow::Owned(id.into_owned())),
            Self::Integer(id) => Id::Integer(id),
        }
    }
}

/// Reads `{"text": "…", "model": "…", "truncate": true}` with a text of at most `max_chars`.
///
/// # Errors
/// 400 for what is not JSON, 422 for another shape, a longer text or one of nothing but white space.
pub(crate) fn question(body: &[u8], max_chars: usize) -> Result<Question<'_>, ApiError> {
    question_of(parse(body, "text", PhantomData::<JsonItem<'_>>)?, max_chars)
}

/// Reads `{"texts": ["…", …], "model": "…", "truncate": true}` with at most `max_texts` of at most
/// `max_chars` each.
///
/// # Errors
/// 400 for what is not JSON, 422 for another shape, no texts, too many, a blank one or one too long;
/// every faulty text is named, up to 20.
pub(crate) fn batch(
    body: &[u8],
    max_texts: usize,
    max_chars: usize,
) -> Result<BatchQuestion<'_>, ApiError> {
    let object = parse(body, "texts", ListSeed { max_items: max_texts })?;
    let mut faults = Vec::new();
    let truncate = truncate(object.truncate, &mut faults);
    let model = model(object.model, &mut faults);
    let mut invalid = |kind, msg| faults.push(FieldError::of_field("texts", kind, msg));
    let mut texts = Vec::new();
    match object.field {
        None => invalid("missing", "Field required".to_owned()),
        Some(List::Other) => invalid("list_type", "Input should be a valid list".to_owned()),
        Some(List::Items { n_items: 0, .. }) => {
            let msg = "List should have at least 1 item after validation, not 0";
            invalid("too_short", msg.to_owned());
        }
        Some(List::Items { n_items, .. }) if n_items > max_texts => {
            let most = format!("List should have at most {max_texts} items after validation");
            invalid("too_long", format!("{most}, not {n_items}"));
        }
        Some(List::Items { kept, .. }) => {
            texts.reserve_exact(kept.len());
            for (text_idx, item) in kept.into_iter().enumerate() {
                match text("texts", item, max_chars) {
                    Ok(text) => texts.push(text),
                    Err(fault) => faults.push(fault.at(text_idx)),
                }
                if faults.len() == MAX_FAULTS {
                    break;
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(BatchQuestion { texts, model, truncate })
    } else {
        Err(ApiError::validation(faults))
    }
}

/// Reads one line of a stream: what a single prediction takes, and an `id` of the client's.
pub(crate) fn line(bytes: &[u8], max_chars: usize) -> LineQuestion<'_> {
    let mut object = match parse(bytes, "text", PhantomData::<JsonItem<'_>>) {
        Ok(object) => object,
        Err(error) => return LineQuestion { id: None, question: Err(error) },
    };
    let id = match object.id.take() {
        None => None,
        Some(JsonItem::Text(id)) => Some(Id::Text(id)),
        Some(JsonItem::Integer(id)) => Some(Id::Integer(id)),
        Some(_) => {
            let msg = "Input should be a string or an integer";
            let fault = FieldError::of_field("id", "id_type", msg);
            return LineQuestion { id: None, question: Err(ApiError::validation(vec![fault])) };
        }
    };
    LineQuestion { id, question: question_of(object, max_chars) }
}

fn question_of<'a>(
    object: Object<'a, JsonItem<'a>>,
    max_chars: usize,
) -> Result<Question<'a>, ApiError> {
    let mut faults = Vec::new();
    let truncate = truncate(object.truncate, &mut faults);
    let model = model(object.model, &mut faults);
    let text = match object.field {
        Some(item) => text("text", item, max_chars),
        None => Err(FieldError::of_field("text", "missing", "Field required")),
    };
    match text {
        Ok(text) if faults.is_empty() => Ok(Question { text, model, truncate }),
        outcome => {
            faults.extend(outcome.err());
            Err(ApiError::validation(faults))
        }
    }
}

fn text<'a>(
    field: &'static str,
    item: JsonItem<'a>,
    max_chars: usize,
) -> Result<Cow<'a, str>, FieldError> {
    match item {
        JsonItem::Text(text) if text.chars().all(char::is_whitespace) => {
            let msg = "String should have at least 1 character that is not white space";
            Err(FieldError::of_field(field, "string_too_short", msg))
        }
        // No text has more characters than bytes: most need no counting.
        JsonItem::Text(text) if text.len() > max_chars && text.chars().count() > max_chars => {
            let msg = format!("String should have at most {max_chars} characters");
            Err(FieldError::of_field(field, "string_too_long", msg))
        }
        JsonItem::Text(text) => Ok(text),
        _ => Err(FieldError::of_field(field, "string_type", "Input should be a valid string")),
    }
}

fn truncate(item: Option<JsonItem<'_>>, faults: &mut Vec<FieldError>) -> bool {
    match item {
        None => true,
        Some(JsonItem::Bool(truncate)) => truncate,
        Some(_) => {
            let msg = "Input should be a valid boolean";
            faults.push(FieldError::of_field("truncate", "bool_type", msg));
            true
        }
    }
}

fn model<'a>(item: Option<JsonItem<'a>>, faults: &mut Vec<FieldError>) -> Option<Cow<'a, str>> {
    match item {
        None => None,
        Some(JsonItem::Text(name)) => Some(name),
        Some(_) => {
            let msg = "Input should be a valid string";
            faults.push(FieldError::of_field("model", "string_type", msg));
            None
        }
    }
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
            ("\u{feff}{\"text\":\"\u{feff}marked\"}", "\u{feff}marked"),
        ] {
            assert_eq!(question(body.as_bytes(), MAX_CHARS).unwrap().text, expected, "{body}");
        }
    }

    #[test]
    fn plain_texts_are_borrowed() {
        let question = question(br#"{"text":"plain"}"#, MAX_CHARS).unwrap();
        assert!(matches!(question.text, Cow::Borrowed("plain")));
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
            check(question(body.as_bytes(), MAX_CHARS).map(drop), body, 422, &[fault]);
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
            "{\u{feff}\"text\":\"a\"}",
            "\u{feff}\u{feff}{\"text\":\"a\"}",
            &deep,
        ] {
            check(question(body.as_bytes(), MAX_CHARS).map(drop), body, 400, &[]);
        }
        for body in [b"{\"text\":\"\xff\"}".as_slice(), b"{\"text\":\"a\",\"skipped\":\"\xff\"}"] {
            check(question(body, MAX_CHARS).map(drop), "not UTF-8", 400, &[]);
        }
    }

    #[test]
    fn every_faulty_text_of_a_batch_is_named() {
        let at = |idx: usize| json!(["body", "texts", idx]);
        let body = r#"{"texts":["good",""," ",null,7,["a"],{"a":1},"bad"]}"#;
        check(
            batch(body.as_bytes(), 100, MAX_CHARS).map(drop),
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
        assert_eq!(question(short.as_bytes(), 3).unwrap().text, "ééé");
        assert_eq!(line(short.as_bytes(), 3).question.unwrap().text, "ééé");
        assert_eq!(batch(short.as_bytes(), 2, 3).unwrap().texts, ["a", "ééé"]);
        let at_text = || (json!(["body", "text"]), "string_too_long");
        check(question(long.as_bytes(), 3).map(drop), &long, 422, &[at_text()]);
        check(line(long.as_bytes(), 3).question.map(drop), &long, 422, &[at_text()]);
        let at_second = (json!(["body", "texts", 1]), "string_too_long");
        check(batch(long.as_bytes(), 2, 3).map(drop), &long, 422, &[at_second]);
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
            check(batch(body.as_bytes(), 2, MAX_CHARS).map(drop), body, 422, &[(texts_at(), kind)]);
        }
        assert_eq!(batch(br#"{"texts":["a","b"]}"#, 2, MAX_CHARS).unwrap().texts, ["a", "b"]);
    }

    #[test]
    fn a_text_may_be_cut_unless_told_otherwise() {
        for (field, expected) in [
            ("", true),
            (r#","truncate":true"#, true),
            (r#","truncate":false"#, false),
            (r#","truncate":null"#, true),
        ] {
            let body = format!(r#"{{"text":"a","texts":["a"]{field}}}"#);
            assert_eq!(question(body.as_bytes(), MAX_CHARS).unwrap().truncate, expected, "{body}");
            assert_eq!(batch(body.as_bytes(), 2, MAX_CHARS).unwrap().truncate, expected, "{body}");
            assert_eq!(
                line(body.as_bytes(), MAX_CHARS).question.unwrap().truncate,
                expected,
                "{body}"
            );
        }
        let fault = || (json!(["body", "truncate"]), "bool_type");
        for value in ["1", "\"true\"", "[true]", "{}"] {
            let body = format!(r#"{{"text":"a","texts":["a"],"truncate":{value}}}"#);
            check(question(body.as_bytes(), MAX_CHARS).map(drop), &body, 422, &[fault()]);
            check(batch(body.as_bytes(), 2, MAX_CHARS).map(drop), &body, 422, &[fault()]);
        }
        let both = r#"{"truncate":0}"#;
        let missing = (json!(["body", "text"]), "missing");
        check(question(both.as_bytes(), MAX_CHARS).map(drop), both, 422, &[fault(), missing]);
    }

    #[test]
    fn a_model_may_be_named() {
        for (field, expected) in [
            ("", None),
            (r#","model":null"#, None),
            (r#","model":"B""#, Some("B")),
            (r#","model":"\u0042""#, Some("B")),
        ] {
            let body = format!(r#"{{"text":"a","texts":["a"]{field}}}"#);
            let (one, many) = (
                question(body.as_bytes(), MAX_CHARS).unwrap().model,
                batch(body.as_bytes(), 2, MAX_CHARS).unwrap().model,
            );
            assert_eq!((one.as_deref(), many.as_deref()), (expected, expected), "{body}");
            let line = line(body.as_bytes(), MAX_CHARS).question.unwrap().model;
            assert_eq!(line.as_deref(), expected, "{body}");
        }
        let plain = question(br#"{"text":"a","model":"B"}"#, MAX_CHARS).unwrap().model;
        assert!(matches!(plain, Some(Cow::Borrowed("B"))), "names are not copied");
        let fault = || (json!(["body", "model"]), "string_type");
        for value in ["1", "true", "[\"B\"]", "{}"] {
            let body = format!(r#"{{"text":"a","texts":["a"],"model":{value}}}"#);
            check(question(body.as_bytes(), MAX_CHARS).map(drop), &body, 422, &[fault()]);
            check(batch(body.as_bytes(), 2, MAX_CHARS).map(drop), &body, 422, &[fault()]);
        }
    }

    /// The body that a class sends that is made from the OpenAPI document: each field, null or not.
    #[test]
    fn an_optional_field_that_is_null_is_as_if_left_out() {
        for nulls in [
            r#""model":null,"truncate":true"#,
            r#""model":null,"truncate":null,"id":null"#,
            // Of a repeated field the last one counts.
            r#""model":5,"truncate":[1],"model":null,"truncate":null"#,
        ] {
            let body = format!(r#"{{"text":"a","texts":["a"],{nulls}}}"#);
            let (bare, bytes) = (br#"{"text":"a","texts":["a"]}"#, body.as_bytes());
            assert_eq!(
                question(bytes, MAX_CHARS).unwrap(),
                question(bare, MAX_CHARS).unwrap(),
                "{body}"
            );
            assert_eq!(batch(bytes, 2, MAX_CHARS).unwrap(), batch(bare, 2, MAX_CHARS).unwrap());
            let line = line(bytes, MAX_CHARS);
            assert_eq!(line.question.unwrap(), question(bare, MAX_CHARS).unwrap());
            assert_eq!(line.id, None);
        }
        // What is needed cannot be null.
        for (body, field) in [(r#"{"text":null}"#, "text"), (r#"{"texts":null}"#, "texts")] {
            let (outcome, kind) = match field {
                "text" => (question(body.as_bytes(), MAX_CHARS).map(drop), "string_type"),
                _ => (batch(body.as_bytes(), 2, MAX_CHARS).map(drop), "list_type"),
            };
            check(outcome, body, 422, &[(json!(["body", field]), kind)]);
        }
    }

    #[test]
    fn a_line_keeps_the_id_that_it_was_given() {
        let id = |body: &str| serde_json::to_value(line(body.as_bytes(), MAX_CHARS).id).unwrap();
        for (value, expected) in [
            (r#""a\u0062""#, json!("ab")),
            ("7", json!(7)),
            ("-7", json!(-7)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(id(&format!(r#"{{"id":{value},"text":"good"}}"#)), expected);
            // Also when there is nothing to predict.
            assert_eq!(id(&format!(r#"{{"text":"","id":{value}}}"#)), expected);
        }
        assert_eq!(id(r#"{"text":"good"}"#), Value::Null);
        assert_eq!(id(r#"{"text":"good","id":null}"#), Value::Null);
        // A number that would come back as another one is no name.
        for value in ["1.5", "123456789012345678901", "true", "[1]", "{}"] {
            let body = format!(r#"{{"text":"good","id":{value}}}"#);
            let fault = (json!(["body", "id"]), "id_type");
            check(line(body.as_bytes(), MAX_CHARS).question.map(drop), &body, 422, &[fault]);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused_as_the_clients_fault(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64),
            json in r#"[\[\]{}:,"a-z0-9\\ ]{0,40}"#,
        ) {
            let wrapped = format!(
                "{{\"text\":{json},\"texts\":[{json}],\"model\":{json},\"truncate\":{json},\"id\":{json}}}"
            );
            for body in [&bytes[..], json.as_bytes(), wrapped.as_bytes()] {
                let outcomes = [
                    question(body, MAX_CHARS).map(drop),
                    batch(body, 3, MAX_CHARS).map(drop),
                    line(body, MAX_CHARS).question.map(drop),
                ];
                for error in outcomes.into_iter().filter_map(Result::err) {
                    proptest::prop_assert!([400, 422].contains(&refusal(&error).0));
                }
            }
        }
    }

    #[test]
    fn a_thousand_faults_are_told_in_twenty() {
        let body = json!({ "texts": vec![1; 1000] }).to_string();
        let (_, detail) = refusal(&batch(body.as_bytes(), 1000, MAX_CHARS).unwrap_err());
        assert_eq!(detail.as_array().unwrap().len(), MAX_FAULTS);
    }
}
