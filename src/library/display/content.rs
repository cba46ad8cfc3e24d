//! One thing to show, in as many forms as front ends may want. It knows no polars and no wire.

use serde_json::{Map, Value};

use super::html;
use crate::markup::escape;

/// A MIME bundle: the same thing in several forms, `text/plain` always among them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    /// MIME type to data: text as a string, `application/json` kinds as JSON values, other binary
    /// kinds in Base64.
    pub data: Map<String, Value>,
    /// Metadata of the bundle as Jupyter takes it, mostly empty.
    pub metadata: Map<String, Value>,
}

impl Content {
    /// Plain text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().with("text/plain", text.into())
    }

    /// Adds the form `mime`, or replaces it.
    #[must_use]
    pub fn with(mut self, mime: &str, data: impl Into<Value>) -> Self {
        self.data.insert(mime.to_owned(), data.into());
        self
    }

    /// Several bundles as one, below each other, in plain text and, where any of them has it, HTML.
    pub(crate) fn stacked(contents: &[Self]) -> Self {
        if contents.is_empty() {
            return Self::text("[]");
        }
        let plain: Vec<&str> = contents.iter().map(Self::plain).collect();
        let stacked = Self::text(plain.join("\n"));
        if !contents.iter().any(|content| content.data.contains_key("text/html")) {
            return stacked;
        }
        let html: Vec<String> = contents.iter().map(Self::html).collect();
        stacked.with("text/html", html.join("\n"))
    }

    /// The bundle as HTML: its own, else its picture, else its text.
    pub(crate) fn html(&self) -> String {
        let form = |mime: &str| self.data.get(mime).and_then(Value::as_str);
        match (form("text/html"), form("image/svg+xml")) {
            (Some(html), _) => html.to_owned(),
            (None, Some(svg)) => html::image(svg, self.plain().lines().next().unwrap_or_default()),
            (None, None) => format!("<pre>{}</pre>", escape(self.plain())),
        }
    }

    /// The plain text, empty where there is none.
    pub fn plain(&self) -> &str {
        self.data.get("text/plain").and_then(Value::as_str).unwrap_or_default()
    }
}
