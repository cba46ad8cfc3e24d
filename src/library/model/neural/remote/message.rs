//! The messages between who wants a training and who computes it. A message is one binary frame: the length
//! of a header, the header as JSON, and bytes of a file where it is a piece of one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    data::{Fingerprint, Split},
    error::{Error, ErrorKind, Result},
};

/// Bytes before the header: its length.
const LENGTH_BYTES: usize = 4;

/// What one side says to the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RemoteMessage {
    /// Client: what is to be trained. The first message.
    Job(RemoteJob),
    /// Both: the next bytes of the file `name`.
    Piece {
        /// Its path below the folder of the job.
        name: String,
        /// True for the end of the file.
        last: bool,
    },
    /// Client: every file has been sent.
    Start,
    /// Client: stop at the next safe point.
    Stop,
    /// Server: other trainings are computed first.
    Waiting,
    /// Server: a stage begins.
    Begin {
        /// Its name.
        stage: String,
        /// Its number of steps, where known.
        total: Option<u64>,
    },
    /// Server: steps of the stage are done.
    Advance {
        /// Their number.
        n_steps: u64,
    },
    /// Server: a remark beside the stage.
    Note {
        /// Its text.
        remark: String,
    },
    /// Server: the stage is over.
    End,
    /// Server: a number of the run.
    Metric {
        /// Its name.
        key: String,
        /// Its bits: JSON has no word for numbers that are none.
        bits: u64,
        /// The step.
        step: u64,
    },
    /// Server: the files since the last one are a state that the training can be continued from.
    Kept,
    /// Server: every file of the model has been sent.
    Finished,
    /// Server: there is no model.
    Failed {
        /// The name of the error's kind.
        error: String,
        /// The sentence, with its causes.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// What is to be trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteJob {
    /// The settings, as a recipe; its device and its checkpoint's folder count for nothing there.
    pub recipe: Value,
    /// True if there are examples to choose the best epoch by.
    pub has_validation: bool,
    /// True if states are to be sent back.
    pub keeps_states: bool,
}

/// A split as it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct SentSplit {
    name: String,
    texts: Vec<String>,
    labels: Vec<u32>,
    classes: Vec<String>,
    fingerprint: Fingerprint,
}

impl From<&Split> for SentSplit {
    fn from(split: &Split) -> Self {
        let Split { name, texts, labels, classes, fingerprint } = split.clone();
        Self { name, texts, labels, classes, fingerprint }
    }
}

impl TryFrom<SentSplit> for Split {
    type Error = Error;

    fn try_from(sent: SentSplit) -> Result<Self> {
        let SentSplit { name, texts, labels, classes, fingerprint } = sent;
        if texts.len() != labels.len() {
            return Err(Error::invalid(format!(
                "split {name}: {} texts and {} labels, expected as many",
                texts.len(),
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|label| **label as usize >= classes.len()) {
            return Err(Error::invalid(format!(
                "split {name}: label {label}, expected one of {} classes",
                classes.len()
            )));
        }
        Ok(Self { name, texts, labels, classes, fingerprint })
    }
}

impl RemoteMessage {
    /// The frame of the message, with the bytes of a file that it brings.
    pub fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        let header = serde_json::to_vec(self).expect("messages are plain values");
        let length = u32::try_from(header.len()).expect("a header is far below 4 GB");
        [&length.to_le_bytes(), header.as_slice(), bytes].concat()
    }

    /// Reads [`RemoteMessage::encode`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else.
    pub fn decode(frame: &[u8]) -> Result<(Self, &[u8])> {
        let strange =
            || Error::invalid("the other side sent a message that is none of this protocol");
        let (length, rest) = frame.split_first_chunk::<LENGTH_BYTES>().ok_or_else(strange)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (header, bytes) = rest.split_at_checked(length).ok_or_else(strange)?;
        let message =
            serde_json::from_slice(header).map_err(|source| strange().with_source(source))?;
        Ok((message, bytes))
    }

    /// The message that says `error`.
    pub fn failed(error: &Error) -> Self {
        Self::Failed {
            error: error.kind().name().to_owned(),
            message: error.chain(),
            hint: error.hint().map(ToString::to_string),
        }
    }

    /// The error that [`RemoteMessage::Failed`] says.
    pub fn error(kind: &str, message: String, hint: Option<String>) -> Error {
        let kinds = [
            ErrorKind::Invalid,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::Corrupt,
            ErrorKind::Io,
            ErrorKind::Interrupted,
            ErrorKind::Unavailable,
        ];
        let kind = kinds.into_iter().find(|known| known.name() == kind);
        let error = Error::new(kind.unwrap_or(ErrorKind::Internal), message);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages() -> impl Strategy<Value = RemoteMessage> {
        prop_oneof![
            (any::<String>(), any::<bool>())
                .prop_map(|(name, last)| RemoteMessage::Piece { name, last }),
            (any::<String>(), any::<Option<u64>>())
                .prop_map(|(stage, total)| RemoteMessage::Begin { stage, total }),
            (any::<String>(), any::<u64>(), any::<u64>())
                .prop_map(|(key, bits, step)| RemoteMessage::Metric { key, bits, step }),
            (any::<String>(), any::<String>(), any::<Option<String>>())
                .prop_map(|(error, message, hint)| RemoteMessage::Failed { error, message, hint }),
            Just(RemoteMessage::Start),
            Just(RemoteMessage::Kept),
        ]
    }

    proptest! {
        #[test]
        fn a_message_reads_back_as_it_was_sent(message in messages(), bytes: Vec<u8>) {
            let frame = message.encode(&bytes);
            prop_assert_eq!(RemoteMessage::decode(&frame).unwrap(), (message, bytes.as_slice()));
        }

        #[test]
        fn any_bytes_are_a_message_or_one_error(frame: Vec<u8>) {
            let _ = RemoteMessage::decode(&frame);
        }
    }
}
