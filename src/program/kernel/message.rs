//! Messages of Jupyter's protocol 5.5: a request as it came off the wire, and what answers it.
//! Contents are read leniently, because front ends leave out what they do not care about.

use bytes::Bytes;
use jupyter_protocol::{
    ClearOutput, ErrorOutput, ExecuteInput, ExecutionCount, Header, JupyterMessage,
    JupyterMessageContent, Status, StreamContent, UnknownMessage,
};
use jupyter_zmq_client::RawMessage;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use trialbook::{
    display::Content,
    error::{Error, Result},
};

use crate::cell::{Failure, FailureKind, Stream};

/// The version this kernel speaks; it stands in every header.
pub(super) const PROTOCOL_VERSION: &str = "5.5";

/// The kind of message that asks for a cell to be run.
pub(super) const EXECUTE: &str = "execute_request";

/// One message from a front end. Its signature was right.
#[derive(Debug)]
pub(super) struct Request {
    message: JupyterMessage,
    content: Value,
}

impl Request {
    /// Reads the frames that follow a right signature.
    ///
    /// # Errors
    /// When one of them is not the JSON it has to be.
    pub(super) fn new(raw: RawMessage) -> Result<Self> {
        let broken = |frame: &str, source| {
            Error::invalid(format!("the {frame} is not valid")).with_source(source)
        };
        let [header, parent, metadata, content, buffers @ ..] = raw.jparts.as_slice() else {
            return Err(Error::invalid(format!("{} frames, expected 4 or more", raw.jparts.len())));
        };
        let header: Header =
            serde_json::from_slice(header).map_err(|source| broken("header", source))?;
        let content =
            serde_json::from_slice(content).map_err(|source| broken("content", source))?;
        let unread = UnknownMessage { msg_type: header.msg_type.clone(), content: Value::Null };
        Ok(Self {
            message: JupyterMessage {
                zmq_identities: raw.zmq_identities,
                header,
                // An empty object where there is none.
                parent_header: serde_json::from_slice(parent).ok(),
                metadata: serde_json::from_slice(metadata)
                    .map_err(|source| broken("metadata", source))?,
                content: unread.into(),
                buffers: buffers.to_vec(),
                channel: None,
            },
            content,
        })
    }

    /// The kind of the request, such as `execute_request`.
    pub(super) fn kind(&self) -> &str {
        &self.message.header.msg_type
    }

    /// The header, which names the message and says when it was written.
    pub(super) fn header(&self) -> &Header {
        &self.message.header
    }

    /// The message that this one answers, where it says so.
    pub(super) fn parent_id(&self) -> Option<&str> {
        self.message.parent_header.as_ref().map(|header| header.msg_id.as_str())
    }

    /// The binary frames after the content.
    pub(super) fn buffers(&self) -> &[Bytes] {
        &self.message.buffers
    }

    /// The content as `T`.
    ///
    /// # Errors
    /// When something is missing or of another type.
    pub(super) fn content<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.content).map_err(|source| {
            Error::invalid(format!("the content of this {} is wrong", self.kind()))
                .with_source(source)
        })
    }

    /// The answer, addressed to who asked.
    pub(super) fn reply(&self, content: impl Into<JupyterMessageContent>) -> JupyterMessage {
        stamped(JupyterMessage::new(content, Some(&self.message)))
    }

    /// The answer whose content no type covers.
    pub(super) fn reply_json(&self, content: Value) -> JupyterMessage {
        self.reply(other(&self.kind().replace("_request", "_reply"), content))
    }

    /// The answer to a request that failed.
    pub(super) fn reply_failure(&self, failure: &Failure) -> JupyterMessage {
        let mut content = Map::from_iter([("status".to_owned(), "error".into())]);
        content.extend(failure_fields(failure));
        self.reply_json(content.into())
    }

    /// A message of the same peer on another socket, such as a question on stdin.
    pub(super) fn question(&self, content: impl Into<JupyterMessageContent>) -> JupyterMessage {
        let mut message = self.reply(content);
        // The peer's own identity comes first; what else may stand there belongs to the shell socket.
        message.zmq_identities.truncate(1);
        message
    }

    /// Something for everybody, caused by this request.
    pub(super) fn publication(&self, content: impl Into<JupyterMessageContent>) -> JupyterMessage {
        published(JupyterMessage::new(content, Some(&self.message)))
    }
}

/// Something for everybody that nobody asked for.
pub(super) fn announcement(content: impl Into<JupyterMessageContent>) -> JupyterMessage {
    published(JupyterMessage::new(content, None))
}

/// A content that no type covers.
pub(super) fn other(kind: &str, content: Value) -> JupyterMessageContent {
    UnknownMessage { msg_type: kind.to_owned(), content }.into()
}

/// The message with the text of a stream.
pub(super) fn stream(stream: Stream, text: &str) -> JupyterMessageContent {
    match stream {
        Stream::Stdout => StreamContent::stdout(text),
        Stream::Stderr => StreamContent::stderr(text),
    }
    .into()
}

/// Something shown; `kind` says whether for the first time or in place of something.
pub(super) fn display(kind: &str, content: &Content, id: Option<&str>) -> JupyterMessageContent {
    let transient = id.map_or_else(|| json!({}), |id| json!({"display_id": id}));
    other(kind, json!({"data": content.data, "metadata": content.metadata, "transient": transient}))
}

/// The value of a cell.
pub(super) fn result(content: &Content, count: usize) -> JupyterMessageContent {
    other(
        "execute_result",
        json!({
            "execution_count": count, "data": content.data, "metadata": content.metadata,
        }),
    )
}

/// The message that tells everybody of a failure.
pub(super) fn error(failure: &Failure) -> JupyterMessageContent {
    ErrorOutput {
        ename: name_of(failure).to_owned(),
        evalue: failure.message.clone(),
        traceback: failure.traceback.clone(),
    }
    .into()
}

/// The fields that say what failed, in replies and in user expressions.
pub(super) fn failure_fields(failure: &Failure) -> Map<String, Value> {
    Map::from_iter([
        ("ename".to_owned(), name_of(failure).into()),
        ("evalue".to_owned(), failure.message.clone().into()),
        ("traceback".to_owned(), failure.traceback.clone().into()),
    ])
}

/// The message with the code that is about to run.
pub(super) fn input(code: &str, count: usize) -> JupyterMessageContent {
    ExecuteInput { code: code.to_owned(), execution_count: ExecutionCount::new(count) }.into()
}

/// Forget what was shown.
pub(super) fn clear(wait: bool) -> JupyterMessageContent {
    ClearOutput { wait }.into()
}

/// Work on a request begins.
pub(super) fn busy() -> JupyterMessageContent {
    Status::busy().into()
}

/// Work on a request is over.
pub(super) fn idle() -> JupyterMessageContent {
    Status::idle().into()
}

/// Front ends tell an interrupted cell from a failed one by its name.
fn name_of(failure: &Failure) -> &str {
    match failure.kind {
        FailureKind::Interrupted => "Interrupted",
        _ => &failure.name,
    }
}

fn stamped(mut message: JupyterMessage) -> JupyterMessage {
    PROTOCOL_VERSION.clone_into(&mut message.header.version);
    "kernel".clone_into(&mut message.header.username);
    message
}

/// A publication begins with its topic instead of a peer's identity: a subscriber that wants only
/// some topics gets only those.
fn published(message: JupyterMessage) -> JupyterMessage {
    let topic = match &message.content {
        JupyterMessageContent::IoPubWelcome(welcome) => welcome.subscription.clone(),
        JupyterMessageContent::StreamContent(stream) => match stream.name {
            jupyter_protocol::Stdio::Stdout => "stream.stdout".to_owned(),
            jupyter_protocol::Stdio::Stderr => "stream.stderr".to_owned(),
        },
        content => content.message_type().to_owned(),
    };
    stamped(message.with_zmq_identities(vec![topic.into()]))
}
