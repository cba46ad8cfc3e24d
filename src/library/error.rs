//! The one type of errors: a kind that a caller can act on, one sentence for the reader, a hint
//! that says what to do next, and the cause underneath.
//!
//! Messages are lower case without a final period and name the thing, what was found and what was
//! expected. They are printed once, by the front end, which spells the commands of the hint.

use std::{error::Error as StdError, fmt};

use crate::hint::Hint;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, as far as a caller can act on it: front ends map it to exit codes and HTTP
/// status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input, an argument or a file's content is not what it has to be.
    Invalid,
    /// A dataset, run, model, version, file or artifact that was named does not exist.
    NotFound,
    /// The thing exists already, or its present state forbids the step.
    Conflict,
    /// A policy says no: promotion without a passing verdict.
    Blocked,
    /// Stored bytes are not the bytes that were written.
    Corrupt,
    /// The operating system refused: permissions, a full disk, a port in use.
    Io,
    /// The user asked to stop.
    Interrupted,
    /// Not now: no production model, a server that does not answer.
    Unavailable,
    /// A bug or a failure inside a library that no input should cause.
    Internal,
}

impl ErrorKind {
    /// The kind's name for programs: `not_found`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Blocked => "blocked",
            Self::Corrupt => "corrupt",
            Self::Io => "io",
            Self::Interrupted => "interrupted",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// One failure, ready to be shown.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::{Error, ErrorKind, hint::Hint};
/// let error = Error::new(ErrorKind::NotFound, "dataset \"imdb\" does not exist")
///     .with_hint(Hint::new().say("add it with ").run("data add imdb PATH"));
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "dataset \"imdb\" does not exist");
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<Hint>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` whose message is one lower-case sentence without a final period.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { inner: Box::new(Inner { kind, message: message.into(), hint: None, source: None }) }
    }

    /// Shorthand for the commonest kind, [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A failed operation on a file or folder: `read "reviews.csv"` and the system's reason.
    /// A path that is not there becomes [`ErrorKind::NotFound`].
    pub fn io(action: &str, path: &std::path::Path, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let hint = match source.kind() {
            std::io::ErrorKind::NotFound => Some("check the path"),
            std::io::ErrorKind::PermissionDenied => {
                Some("check the permissions, or use another folder with --store DIR")
            }
            std::io::ErrorKind::StorageFull => Some("free some space; nothing was changed"),
            std::io::ErrorKind::ReadOnlyFilesystem => {
                Some("the file system is read-only: use another folder with --store DIR")
            }
            _ => None,
        };
        let error = Self::new(kind, format!("cannot {action} {path:?}")).with_source(source);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Adds what the reader can do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds the cause; it is printed after the message.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Puts the name of the thing in front: `context: message`. Once, where the name is known.
    #[must_use]
    pub fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }

    /// The kind, which a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<&Hint> {
        self.inner.hint.as_ref()
    }

    /// The message with all its causes, `message: cause: cause`, without the hint.
    pub fn chain(&self) -> String {
        let mut line = self.inner.message.clone();
        let mut cause = self.source();
        while let Some(source) = cause {
            line.push_str(": ");
            line.push_str(&source.to_string());
            cause = source.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.inner.kind, self.chain())?;
        match &self.inner.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
