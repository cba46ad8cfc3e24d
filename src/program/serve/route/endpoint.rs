//! The description of a path: its method, its body, and its answers. The list of paths is
//! the table's business.

use axum::routing::MethodRouter;
use serde_json::{Value, json};

use crate::serve::{http::access::Access, state::ServerState};

/// One path with its one method.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// As axum and OpenAPI both write it: `/assets/{name}`.
    pub(crate) path: &'static str,
    /// In a few words.
    pub(crate) does: &'static str,
    /// Everything else there is to know.
    pub(crate) detail: &'static str,
    pub(crate) parameter: Option<Parameter>,
    /// Bodies it takes; none for a question that is all in its path.
    pub(crate) takes: &'static [Content],
    /// Its answers when all is well, or as well as `/health` finds it.
    pub(crate) answers: &'static [(u16, &'static [Content])],
    /// The statuses of its refusals.
    pub(crate) refuses: &'static [u16],
    /// The callers that may ask, where keys are asked for.
    pub(crate) access: Access,
    /// True if the server has it: some paths are asked for when it starts.
    pub(crate) offered: fn(&ServerState) -> bool,
    pub(crate) handler: fn(&ServerState) -> MethodRouter<ServerState>,
}

/// The part of a path that takes the place of a name in braces.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    /// All of its values; none where that is for each server to say.
    pub(crate) values: fn() -> Vec<&'static str>,
}

/// The method and the body that the path is asked with. `HEAD` works wherever `GET` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A body.
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    /// The name of its schema in the OpenAPI document.
    pub(crate) schema: &'static str,
    /// JSON that shows one.
    pub(crate) example: Option<&'static str>,
}

impl Endpoint {
    /// For `/info`.
    pub(crate) fn describe(&self) -> Value {
        let mut described =
            json!({ "method": self.method.name(), "path": self.path, "does": self.does });
        let example = self.takes.iter().find_map(Content::example);
        if let Some(example) = example {
            described["example"] = example;
        }
        described
    }
}

impl Content {
    pub(crate) fn example(&self) -> Option<Value> {
        let example = self.example?;
        Some(serde_json::from_str(example).expect("examples are JSON: a test reads them all"))
    }
}
