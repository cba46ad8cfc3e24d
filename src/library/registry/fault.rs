//! The faults inside a transaction: an error of redb's, which does not know its file, or one of
//! ours, which needs nothing added. `explain` gives redb's errors the file and a way out.

use std::{io, path::Path};

use crate::error::{Error, ErrorKind};
use crate::hint::Hint;

/// A failure inside a transaction.
pub(super) enum Fault {
    Redb(Box<redb::Error>),
    Ours(Error),
}

impl Fault {
    /// The error to hand out, for the database at `path`.
    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Redb(error) => explain(path, *error),
            Self::Ours(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Redb(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(CommitError, DatabaseError, StorageError, TableError, TransactionError);

/// The way to find and mend damage.
pub(super) fn restoring() -> Hint {
    Hint::from("run ")
        .run("store verify")
        .say(", then restore a backup with ")
        .run("store restore FILE")
}

/// One of redb's errors, met on the database at `path`.
pub(super) fn explain(path: &Path, error: redb::Error) -> Error {
    match error {
        redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            Error::new(ErrorKind::Corrupt, format!("{path:?} is not a registry"))
                .with_hint("use another folder with --store DIR, or restore a backup")
                .with_source(source)
        }
        redb::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::Corrupt, format!("registry {path:?} is incomplete"))
                .with_hint(restoring())
                .with_source(source)
        }
        redb::Error::Io(source) if source.kind() == io::ErrorKind::FileTooLarge => {
            Error::io("use the registry", path, source).with_hint(
                "the system limits the length of files (`ulimit -f`); nothing was changed",
            )
        }
        redb::Error::Io(source) => Error::io("use the registry", path, source),
        redb::Error::Corrupted(_)
        | redb::Error::RepairAborted
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableIsNotMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => {
            Error::new(ErrorKind::Corrupt, format!("registry {path:?} is damaged"))
                .with_hint(restoring())
                .with_source(error)
        }
        redb::Error::DatabaseAlreadyOpen => Error::new(
            ErrorKind::Conflict,
            format!("registry {path:?} is locked by a program that does not share it"),
        )
        .with_hint("close that program, or use another folder with --store DIR")
        .with_source(error),
        redb::Error::LockProtocolMismatch => Error::new(
            ErrorKind::Conflict,
            format!(
                "registry {path:?} is open in a trialbook version that shares it in another way"
            ),
        )
        .with_hint("close that program, or use the same version everywhere")
        .with_source(error),
        redb::Error::UpgradeRequired(found) => Error::invalid(format!(
            "registry {path:?} has redb's file format {found}, which this build does not read"
        ))
        .with_hint("restore it from a backup"),
        error => Error::new(ErrorKind::Io, format!("cannot use the registry {path:?}"))
            .with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_the_file_and_a_way_out() {
        let io = |kind: io::ErrorKind| redb::Error::Io(io::Error::from(kind));
        for (error, kind, hint) in [
            (io(io::ErrorKind::StorageFull), ErrorKind::Io, "free some space"),
            (io(io::ErrorKind::FileTooLarge), ErrorKind::Io, "nothing was changed"),
            (io(io::ErrorKind::ReadOnlyFilesystem), ErrorKind::Io, "read-only"),
            (io(io::ErrorKind::InvalidData), ErrorKind::Corrupt, "restore a backup"),
            (io(io::ErrorKind::UnexpectedEof), ErrorKind::Corrupt, "restore a backup"),
            (redb::Error::Corrupted("x".into()), ErrorKind::Corrupt, "restore a backup"),
            (redb::Error::TableDoesNotExist("runs".into()), ErrorKind::Corrupt, "restore a backup"),
            (redb::Error::DatabaseAlreadyOpen, ErrorKind::Conflict, "close that program"),
            (redb::Error::LockProtocolMismatch, ErrorKind::Conflict, "the same version"),
        ] {
            let error = explain(Path::new("s/registry-v3.redb"), error);
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.to_string().contains("s/registry-v3.redb"), "{error:?}");
            assert!(error.hint().unwrap().to_string().contains(hint), "{error:?}");
        }
    }
}
