//! API keys: who may ask a server. The key itself is shown once and kept nowhere; what is stored is
//! its SHA-256. That is enough for 256 random bits, which nobody can guess however fast the hash is;
//! slow hashes are for passwords. Keys are revoked, never removed, so that the audit trail names
//! each one for good.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    Registry,
    audit::{self, AuditAction},
    clock,
    codec::{Malformed, Reader, Record, Writer},
    names,
    record::one_of,
    tables::KEYS,
    transaction::{Rows, RowsMut as _},
};
use crate::{
    error::{Error, ErrorKind, Result},
    figure::hex,
    hint::Hint,
};

/// The beginning of every key, so that people and scanners for secrets know one when they see it.
const PREFIX: &str = "tbk_";

/// The rights of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Predictions, and what is said about the model.
    Predict,
    /// That, and to read what was tracked and registered.
    Read,
    /// That, and to track and register.
    Write,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every scope, the smallest first.
    pub const ALL: [Self; 4] = [Self::Predict, Self::Read, Self::Write, Self::Admin];

    /// Its name, such as `predict`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// True if a key of this scope opens what needs `needed`: each opens what those before it do.
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        one_of("scope", text, Self::ALL, Self::as_str)
    }
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// A plain word; names are not used twice.
    pub name: String,
    /// Its rights.
    pub scope: Scope,
    /// Milliseconds since the Unix epoch; none never expires.
    pub expires_ms: Option<i64>,
}

/// A key as it is kept: everything but itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Unique, also among those that are revoked.
    pub name: String,
    /// Its rights.
    pub scope: Scope,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub expires_ms: Option<i64>,
    /// Milliseconds since the Unix epoch.
    pub revoked_ms: Option<i64>,
    /// From [`digest`].
    #[serde(skip)]
    pub sha256: [u8; 32],
}

/// The state of a key: open or shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl KeyState {
    /// Its name, such as `active`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    /// Its state at `now_ms`.
    pub fn state(&self, now_ms: i64) -> KeyState {
        if self.revoked_ms.is_some() {
            KeyState::Revoked
        } else if self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }
}

/// A key that was made just now.
#[derive(Clone, PartialEq, Eq)]
pub struct MadeKey {
    /// The part of it that is kept.
    pub key: ApiKey,
    /// The key itself: nobody can get it again.
    pub secret: String,
}

/// The hash by which a key is known.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Registry {
    /// Makes a key of 256 random bits.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] for a name that was used, [`ErrorKind::Invalid`] for one that cannot
    /// be, or for an end that is over.
    pub fn add_key(&self, new: NewKey) -> Result<MadeKey> {
        names::check_key_name(&new.name)?;
        let created_ms = clock::now_ms();
        if new.expires_ms.is_some_and(|expires_ms| expires_ms <= created_ms) {
            return Err(Error::invalid(format!("key {:?} would have expired already", new.name))
                .with_hint("give a date in the future, or a duration such as 90d"));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|source| {
            Error::new(ErrorKind::Io, "the system gives no random numbers").with_source(source)
        })?;
        let secret = format!("{PREFIX}{}", hex(&random));
        let NewKey { name, scope, expires_ms } = new;
        let sha256 = digest(&secret);
        let key = ApiKey { name, scope, created_ms, expires_ms, revoked_ms: None, sha256 };
        self.database.write(|txn| {
            if txn.get_raw(KEYS, key.name.as_bytes())?.is_some() {
                let message = format!("key {:?} exists already", key.name);
                let hint = "choose another name: a name is used only once, so that the audit trail \
                            shows which key it was";
                return Err(Error::new(ErrorKind::Conflict, message).with_hint(hint).into());
            }
            txn.put(KEYS, key.name.as_bytes(), &key)?;
            let details = json!({"scope": scope, "expires_ms": expires_ms});
            audit::append(txn, &self.event(AuditAction::AddKey, &key.name, created_ms, details))
        })?;
        Ok(MadeKey { key, secret })
    }

    /// Takes a key back; it stays in the list.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the names there are, [`ErrorKind::Conflict`] if it is revoked
    /// already.
    pub fn revoke_key(&self, name: &str) -> Result<ApiKey> {
        let now_ms = clock::now_ms();
        self.database.write(|txn| {
            let Some(mut key) = txn.get::<ApiKey>(KEYS, name.as_bytes())? else {
                let keys = txn.all::<ApiKey>(KEYS, &[])?;
                let names: Vec<&str> = keys.iter().map(|(_, key)| key.name.as_str()).collect();
                let hint = match names.as_slice() {
                    [] => {
                        Hint::from("the store has no key: ").run("keys add NAME").say(" makes one")
                    }
                    names => format!("there are: {}", names.join(", ")).into(),
                };
                let message = format!("key {name:?} does not exist");
                return Err(Error::new(ErrorKind::NotFound, message).with_hint(hint).into());
            };
            if key.revoked_ms.is_some() {
                let message = format!("key {name:?} is revoked already");
                return Err(Error::new(ErrorKind::Conflict, message).into());
            }
            key.revoked_ms = Some(now_ms);
            txn.put(KEYS, name.as_bytes(), &key)?;
            audit::append(txn, &self.event(AuditAction::RevokeKey, name, now_ms, json!({})))?;
            Ok(key)
        })
    }

    /// Every key that was ever made, by name.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn keys(&self) -> Result<Vec<ApiKey>> {
        let keys = self.database.read(|txn| txn.all::<ApiKey>(KEYS, &[]))?;
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }
}

impl Record for ApiKey {
    const KIND: &'static str = "API key";
    // The layout of 1, with two scopes more.
    const VERSION: u8 = 2;

    fn write(&self, out: &mut Writer) {
        out.text(&self.name);
        out.byte(match self.scope {
            Scope::Predict => 0,
            Scope::Admin => 1,
            Scope::Read => 2,
            Scope::Write => 3,
        });
        out.signed(self.created_ms);
        out.option(self.expires_ms, Writer::signed);
        out.option(self.revoked_ms, Writer::signed);
        out.bytes(&self.sha256);
    }

    fn read(_version: u8, input: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self {
            name: input.owned()?,
            scope: match input.byte()? {
                0 => Scope::Predict,
                1 => Scope::Admin,
                2 => Scope::Read,
                3 => Scope::Write,
                _ => return Err(Malformed),
            },
            created_ms: input.signed()?,
            expires_ms: input.option(Reader::signed)?,
            revoked_ms: input.option(Reader::signed)?,
            sha256: input.bytes()?.try_into().map_err(|_| Malformed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_covers_itself_and_those_before_it() {
        for (has_idx, has) in Scope::ALL.into_iter().enumerate() {
            for (needs_idx, needs) in Scope::ALL.into_iter().enumerate() {
                assert_eq!(has.covers(needs), has_idx >= needs_idx, "{has} for {needs}");
            }
        }
    }

    #[test]
    fn a_key_ends_at_its_date_and_when_it_is_revoked() {
        let key = ApiKey {
            name: "web".to_owned(),
            scope: Scope::Predict,
            created_ms: 0,
            expires_ms: Some(100),
            revoked_ms: None,
            sha256: digest("tbk_"),
        };
        assert_eq!((key.state(99), key.state(100)), (KeyState::Active, KeyState::Expired));
        let revoked = ApiKey { revoked_ms: Some(5), ..key };
        assert_eq!((revoked.state(50), revoked.state(100)), (KeyState::Revoked, KeyState::Revoked));
    }
}
