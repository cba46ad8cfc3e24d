//! `keys add|list|revoke`: who may ask a server.

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use serde_json::json;
use trialbook::{
    book::now_ms,
    error::Result,
    figure,
    hint::Hint,
    output::{Align, Output, Table},
    registry::{MadeKey, NewKey, Registry, Scope},
};

use super::{Session, moment::TimeArgument};

/// The verbs on API keys.
#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    /// Make a key and show it once: the store keeps only its hash
    ///
    /// With the first key, the servers of this store begin to ask for one, within 2 seconds.
    Add(AddKey),
    /// List the keys, also those that are revoked or expired
    List,
    /// Take a key back: running servers refuse it within 2 seconds
    Revoke(Revoke),
}

/// `keys add web-shop --expires 90d`
#[derive(Debug, Clone, Args)]
pub struct AddKey {
    /// A name for the key, a plain word; each name can be used once
    name: String,
    /// The rights of the key: predict (predictions, and facts about the model) or admin
    /// (everything)
    #[arg(long, default_value = "predict", value_parser = scopes())]
    scope: Scope,
    /// The end of the key: a date (2027-01-31) or a duration (90d, 12h); without it, never
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    expires: Option<TimeArgument>,
}

/// `keys revoke web-shop`
#[derive(Debug, Clone, Args)]
pub struct Revoke {
    /// The key's name
    name: String,
}

/// Scopes by name, so that help and completion know them.
fn scopes() -> impl clap::builder::TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|name| name.parse::<Scope>())
}

impl Keys {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        let registry = session.book.registry()?;
        match self {
            Self::Add(add) => add.run(registry),
            Self::List => list(registry),
            Self::Revoke(revoke) => {
                let key = registry.revoke_key(&revoke.name)?;
                Ok(Output::new(&key).text(format!(
                    "revoked {}; running servers refuse it within 2 seconds",
                    key.name
                )))
            }
        }
    }
}

impl AddKey {
    fn run(&self, registry: &Registry) -> Result<Output> {
        let expires_ms = self.expires.map(|moment| moment.after(now_ms()));
        let new = NewKey { name: self.name.clone(), scope: self.scope, expires_ms };
        let MadeKey { key, secret } = registry.add_key(new)?;
        let end = expires_ms.map_or_else(
            || "never expires".to_owned(),
            |expires_ms| format!("expires {} UTC", figure::time(expires_ms)),
        );
        let text = format!(
            "{secret}\n\nThis is the only time that the key of {} is shown. It opens {} and {end}.\n\
             Send it as `authorization: Bearer KEY` or `x-api-key: KEY`.",
            key.name, key.scope
        );
        let mut json = json!(key);
        json["key"] = secret.into();
        Ok(Output::new(json).text(text))
    }
}

fn list(registry: &Registry) -> Result<Output> {
    let now_ms = now_ms();
    let mut table = Table::new([
        ("key", Align::Left),
        ("scope", Align::Left),
        ("state", Align::Left),
        ("created (UTC)", Align::Left),
        ("expires (UTC)", Align::Left),
        ("revoked (UTC)", Align::Left),
    ]);
    let mut rows = Vec::new();
    let time = |at_ms: Option<i64>| at_ms.map_or_else(|| "-".to_owned(), figure::time);
    for key in registry.keys()? {
        let state = key.state(now_ms);
        table.push([
            key.name.clone(),
            key.scope.to_string(),
            state.as_str().to_owned(),
            time(Some(key.created_ms)),
            time(key.expires_ms),
            time(key.revoked_ms),
        ]);
        let mut row = json!(key);
        row["state"] = json!(state);
        rows.push(row);
    }
    let output = Output::new(&rows);
    if rows.is_empty() {
        let said = Hint::from("no keys: servers answer everybody who reaches them; ")
            .run("keys add NAME")
            .say(" makes the first");
        return Ok(output.hint(said));
    }
    Ok(output.table(table))
}
