//! The audit trail: who did what, and when. An event is written in the transaction of the action it
//! records, so that there is never one without the other; nothing here changes or removes one.

use std::{fmt, ops::ControlFlow, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Registry, clock,
    codec::{self, Malformed, Reader, Record, Writer},
    fault::Fault,
    record::one_of,
    tables::{AUDIT, AUDIT_EVENTS, audit_key},
    transaction::{Rows, RowsMut as _, WriteTxn},
};
use crate::error::{Error, Result};

/// The detail that the beginning of a training by a rule has: its reasons. The end has none.
pub(super) const BEGINNING: &str = "reasons";

/// The subject of an action on everything.
pub(super) const STORE: &str = "store";

/// An action that is audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// A version was moved to Staging or Production.
    Promote,
    /// A version was moved to Production against the gate.
    Force,
    /// A version was moved to Archived, or another took its place.
    Archive,
    /// A version was moved to None.
    Demote,
    /// A version became Production again.
    Rollback,
    /// A gate judged a version.
    Gate,
    /// A run, a version, a model or a dataset was deleted.
    Delete,
    /// A deleted run was brought back, or the store was filled from a backup.
    Restore,
    /// Deleted runs were removed for good.
    Collect,
    /// An API key was made.
    AddKey,
    /// An API key was revoked.
    RevokeKey,
    /// An alias was pointed at a version.
    SetAlias,
    /// An alias was removed.
    DeleteAlias,
    /// An experiment, a run or a registered model was made by a client.
    Create,
    /// A version was registered by a client.
    Register,
    /// An experiment, a run or a registered model got another name.
    Rename,
    /// A description, a tag or an alias of an experiment, a run, a model or a version was changed, a
    /// version was approved, or the gate got another policy.
    Update,
    /// An experiment, a run, a model or a version was taken over from another tracking store.
    Import,
    /// A release of a version began.
    StartRelease,
    /// A release went on to its next step.
    AdvanceRelease,
    /// A release ended: its candidate was promoted, or somebody stopped it.
    EndRelease,
    /// A release took its candidate back: a check failed.
    TakeBackRelease,
    /// A model was trained again by a rule: once when that begins, with the reasons, and once when it ended.
    Retrain,
}

impl AuditAction {
    /// Every action. Its place here, from 0, is its code in the database: new ones come last.
    pub const ALL: [Self; 23] = [
        Self::Promote,
        Self::Force,
        Self::Archive,
        Self::Demote,
        Self::Rollback,
        Self::Gate,
        Self::Delete,
        Self::Restore,
        Self::Collect,
        Self::AddKey,
        Self::RevokeKey,
        Self::SetAlias,
        Self::DeleteAlias,
        Self::Create,
        Self::Register,
        Self::Rename,
        Self::Update,
        Self::Import,
        Self::StartRelease,
        Self::AdvanceRelease,
        Self::EndRelease,
        Self::TakeBackRelease,
        Self::Retrain,
    ];

    /// Its name, such as `add_key`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Force => "force",
            Self::Archive => "archive",
            Self::Demote => "demote",
            Self::Rollback => "rollback",
            Self::Gate => "gate",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Collect => "collect",
            Self::AddKey => "add_key",
            Self::RevokeKey => "revoke_key",
            Self::SetAlias => "set_alias",
            Self::DeleteAlias => "delete_alias",
            Self::Create => "create",
            Self::Register => "register",
            Self::Rename => "rename",
            Self::Update => "update",
            Self::Import => "import",
            Self::StartRelease => "start_release",
            Self::AdvanceRelease => "advance_release",
            Self::EndRelease => "end_release",
            Self::TakeBackRelease => "take_back_release",
            Self::Retrain => "retrain",
        }
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AuditAction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        one_of("audited action", text, Self::ALL, Self::as_str)
    }
}

/// One action that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// 1, 2, 3… without a gap.
    pub number: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// `USER@HOST`, or the name of the API key.
    pub who: String,
    /// The action.
    pub action: AuditAction,
    /// Its object: `NAME/3`, `NAME@alias`, the name of a model, a dataset or a key, a run's id, or
    /// `store`.
    pub subject: String,
    /// Further facts, as an object.
    pub details: Value,
}

/// When a rule last trained a model again, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastRetraining {
    /// When it last began, whatever came of it.
    pub began_ms: Option<i64>,
    /// When the last one began that came to its end: the labels before that are learnt.
    pub learnt_ms: Option<i64>,
}

/// A choice of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// At most so many.
    pub limit: Option<usize>,
    /// Only those from this moment on, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
}

impl Registry {
    /// The audit trail, newest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>> {
        let limit = query.limit.unwrap_or(usize::MAX);
        self.database.read(|txn| {
            // Without a date the newest are found by their numbers alone.
            let skipped = match query.since_ms {
                None => txn.counter(AUDIT_EVENTS)?.saturating_sub(limit as u64),
                Some(_) => 0,
            };
            let mut events = Vec::new();
            txn.scan_from(AUDIT, &audit_key(skipped + 1), &mut |key, bytes| {
                let event: StoredEvent = codec::unseal(key, bytes)?;
                if query.since_ms.is_none_or(|since_ms| event.at_ms >= since_ms) {
                    events.push(event.into_event(key));
                }
                Ok(ControlFlow::Continue(()))
            })?;
            events.reverse();
            events.truncate(limit);
            Ok(events)
        })
    }

    /// Does `work`, which deletes `subject` outside the database, and writes that into the trail: the
    /// event is committed once the work is done, and work that fails leaves none.
    ///
    /// # Errors
    /// Those of the work; when the trail cannot be written, which is known before the work begins
    /// unless the disk refuses the last step.
    pub(crate) fn delete_outside<T>(
        &self,
        subject: &str,
        details: Value,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.act_outside(AuditAction::Delete, subject, details, work)
    }

    /// Does `work`, which changes `subject` outside the database, as [`Registry::delete_outside`] does:
    /// no other change of the registry happens meanwhile.
    ///
    /// # Errors
    /// As [`Registry::delete_outside`].
    pub(crate) fn update_outside<T>(
        &self,
        subject: &str,
        details: Value,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.act_outside(AuditAction::Update, subject, details, work)
    }

    /// Notes that a rule begins to train `model` again, unless one began after `since_ms`: of several processes
    /// that watch, one alone begins. False if another did.
    ///
    /// # Errors
    /// When the registry cannot be read or written.
    pub fn begin_retraining(&self, model: &str, since_ms: i64, details: Value) -> Result<bool> {
        let now_ms = clock::now_ms();
        let event = self.event(AuditAction::Retrain, model, now_ms, details);
        self.database.write(|txn| {
            let last = last_retraining(txn, model, now_ms)?.began_ms;
            let begins = last.is_none_or(|last_ms| last_ms <= since_ms);
            if begins {
                append(txn, &event)?;
            }
            Ok(begins)
        })
    }

    /// Notes what became of a training by a rule.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn end_retraining(&self, model: &str, details: Value) -> Result<()> {
        let event = self.event(AuditAction::Retrain, model, clock::now_ms(), details);
        self.database.write(|txn| append(txn, &event))
    }

    /// When a rule last trained `model` again. A time in the future, of a clock that was put back since, counts
    /// for none.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn last_retraining(&self, model: &str) -> Result<LastRetraining> {
        self.database.read(|txn| last_retraining(txn, model, clock::now_ms()))
    }

    fn act_outside<T>(
        &self,
        action: AuditAction,
        subject: &str,
        details: Value,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let event = self.event(action, subject, clock::now_ms(), details);
        self.database.write(|txn| {
            append(txn, &event)?;
            Ok(work()?)
        })
    }

    /// The event of an action of this registry's actor.
    pub(super) fn event(
        &self,
        action: AuditAction,
        subject: &str,
        at_ms: i64,
        details: Value,
    ) -> StoredEvent {
        let (who, subject) = (self.actor.to_string(), subject.to_owned());
        StoredEvent { at_ms, who, action, subject, details }
    }
}

/// An event without its number, which is the key.
pub(super) struct StoredEvent {
    pub(super) at_ms: i64,
    pub(super) who: String,
    pub(super) action: AuditAction,
    pub(super) subject: String,
    pub(super) details: Value,
}

impl StoredEvent {
    fn into_event(self, key: &[u8]) -> AuditEvent {
        AuditEvent {
            // Keys of this table are 8 bytes, and each was proved with its row's checksum.
            number: key.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
            at_ms: self.at_ms,
            who: self.who,
            action: self.action,
            subject: self.subject,
            details: self.details,
        }
    }
}

impl Record for StoredEvent {
    const KIND: &'static str = "audit event";
    /// Versions 2 and 3 have the layout of 1, and the actions on aliases and on releases: a build that
    /// does not know them says that the event is newer than itself.
    const VERSION: u8 = 3;

    fn write(&self, out: &mut Writer) {
        out.signed(self.at_ms);
        out.text(&self.who);
        out.unsigned(self.action as u64);
        out.text(&self.subject);
        out.text(&self.details.to_string());
    }

    fn read(_version: u8, input: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            at_ms: input.signed()?,
            who: input.owned()?,
            action: *AuditAction::ALL.get(input.small()? as usize).ok_or(Malformed)?,
            subject: input.owned()?,
            details: serde_json::from_str(input.text()?).map_err(|_| Malformed)?,
        })
    }
}

fn last_retraining(rows: &impl Rows, model: &str, now_ms: i64) -> Result<LastRetraining, Fault> {
    let mut last = LastRetraining::default();
    rows.scan_from(AUDIT, &audit_key(0), &mut |key, bytes| {
        let event: StoredEvent = codec::unseal(key, bytes)?;
        if event.action == AuditAction::Retrain && event.subject == model && event.at_ms <= now_ms {
            if event.details[BEGINNING].is_array() {
                last.began_ms = Some(event.at_ms);
            } else if event.details["error"].is_null() {
                last.learnt_ms = last.began_ms;
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(last)
}

/// Writes `event` behind the others.
pub(super) fn append(txn: &WriteTxn, event: &StoredEvent) -> Result<(), Fault> {
    let number = txn.counter(AUDIT_EVENTS)? + 1;
    txn.put(AUDIT, &audit_key(number), event)?;
    txn.set_counter(AUDIT_EVENTS, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_place_and_its_name() {
        for (code, action) in AuditAction::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, code, "{action}");
            assert_eq!(action.as_str().parse::<AuditAction>().unwrap(), action);
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }
}
