//! Completion, inspection and history, in a thread of their own: they may take a while, and never
//! wait for a running cell. Nothing of the person's is run for them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use jupyter_protocol::IsCompleteReply;
use serde::Deserialize;
use serde_json::{Value, json};
use trialbook::error::{Error, ErrorKind, Result};

use super::{
    message::Request,
    past::HistoryQuery,
    position::{byte_of, position_of},
};
use crate::cell::{Assistant, Completeness, CompletionKind, History};

/// The helper that answers the three.
#[derive(Clone)]
pub(super) struct Assistance {
    pub(super) assistant: Arc<Assistant>,
    pub(super) history: Arc<Mutex<History>>,
}

/// A cell and a place in it.
#[derive(Deserialize)]
struct Place {
    code: String,
    /// In characters; the end where it is left out.
    cursor_pos: Option<usize>,
    #[serde(default)]
    detail_level: Option<u8>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

impl Assistance {
    /// Answers requests with `reply` until the other end of `requests` is gone.
    pub(super) fn run(
        &self,
        requests: &mpsc::Receiver<Arc<Request>>,
        reply: impl Fn(&Arc<Request>, Result<Value>),
    ) {
        for request in requests {
            // rust-analyzer may panic on code that nobody has written before.
            let answer = catch_unwind(AssertUnwindSafe(|| self.answer(&request)));
            reply(
                &request,
                answer.unwrap_or_else(|_| {
                    Err(Error::new(ErrorKind::Internal, "this could not be looked up"))
                }),
            );
        }
    }

    fn answer(&self, request: &Request) -> Result<Value> {
        match request.kind() {
            "complete_request" => self.complete(&request.content()?),
            "inspect_request" => self.inspect(&request.content()?),
            _ => self.recall(&request.content()?),
        }
    }

    fn complete(&self, place: &Place) -> Result<Value> {
        let found = self.assistant.complete(&place.code, place.byte());
        let (start, end) =
            (position_of(&place.code, found.start), position_of(&place.code, found.end));
        let matches: Vec<&str> = found.items.iter().map(|item| item.text.as_str()).collect();
        let types: Vec<Value> = found
            .items
            .iter()
            .map(|item| {
                json!({
                    "start": start, "end": end, "text": item.text,
                    "type": kind_name(item.kind), "signature": item.detail,
                })
            })
            .collect();
        Ok(json!({
            "status": "ok",
            "matches": matches,
            "cursor_start": start,
            "cursor_end": end,
            // JupyterLab shows these beside the matches.
            "metadata": {"_jupyter_types_experimental": types},
        }))
    }

    fn inspect(&self, place: &Place) -> Result<Value> {
        let detail = place.detail_level.unwrap_or(0);
        let found = self.assistant.inspect(&place.code, place.byte(), detail);
        let is_found = found.is_some();
        let content = found.unwrap_or_default();
        Ok(json!({
            "status": "ok", "found": is_found,
            "data": content.data, "metadata": content.metadata,
        }))
    }

    fn recall(&self, query: &HistoryQuery) -> Result<Value> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(query.reply(&history.entries()?, history.session()))
    }
}

impl Place {
    fn byte(&self) -> usize {
        self.cursor_pos.map_or(self.code.len(), |position| byte_of(&self.code, position))
    }
}

/// The completeness of the code of an `is_complete_request`.
///
/// # Errors
/// When the request has no code.
pub(super) fn completeness(assistant: &Assistant, request: &Request) -> Result<IsCompleteReply> {
    let Code { code } = request.content()?;
    Ok(match assistant.completeness(&code) {
        Completeness::Complete => IsCompleteReply::complete(),
        Completeness::Incomplete { indent } => IsCompleteReply::incomplete(indent),
        Completeness::Invalid { .. } => IsCompleteReply::invalid(),
    })
}

fn kind_name(kind: CompletionKind) -> &'static str {
    match kind {
        CompletionKind::Command => "command",
        CompletionKind::Flag => "flag",
        CompletionKind::Name => "name",
        CompletionKind::Path => "path",
        CompletionKind::Sql => "sql",
        CompletionKind::Rust => "rust",
    }
}
