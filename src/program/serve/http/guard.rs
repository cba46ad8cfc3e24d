//! The decision who gets in: asked once for every request, before any handler. Keys are those of the store, as the
//! follower last read them; while the store is away they stay in force.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use axum::http::HeaderMap;
use subtle::ConstantTimeEq as _;
use trialbook::{
    book::now_ms,
    error::{Error, Result},
    hint::Hint,
    registry::{ApiKey, Scope},
};

use super::{
    accept::wants_page,
    access::Access,
    cors::Cors,
    error::ApiError,
    peer::Peer,
    rates::{Caller, Rates},
    security::Security,
    shown::Shown,
};

/// The gate in front of every route.
pub(crate) struct Guard {
    security: Security,
    keyring: RwLock<Arc<Keyring>>,
    rates: Option<Rates>,
    cors: Cors,
}

/// The store's keys at one moment.
#[derive(Debug, Default, PartialEq)]
struct Keyring {
    /// True if keys are asked for: from the first that was ever made on.
    is_required: bool,
    /// Those that are not revoked.
    keys: Vec<HeldKey>,
}

#[derive(Debug, Clone, PartialEq)]
struct HeldKey {
    name: Arc<str>,
    scope: Scope,
    sha256: [u8; 32],
    expires_ms: Option<i64>,
}

impl Guard {
    pub(crate) fn new(security: Security) -> Self {
        Self {
            keyring: RwLock::default(),
            rates: security.rate_limit.map(Rates::new),
            cors: Cors::new(&security.cors_origins),
            security,
        }
    }

    /// From now on `keys`, all that were ever made, are the store's.
    pub(crate) fn take_keys(&self, keys: &[ApiKey]) {
        let present = self.keyring();
        if keys.is_empty() && present.is_required {
            // Keys are never removed: another store lies where ours was, which opens nothing here.
            return;
        }
        let held = keys.iter().filter(|key| key.revoked_ms.is_none()).map(|key| HeldKey {
            name: key.name.as_str().into(),
            scope: key.scope,
            sha256: key.sha256,
            expires_ms: key.expires_ms,
        });
        let fresh = Keyring { is_required: !keys.is_empty(), keys: held.collect() };
        if *present == fresh {
            return;
        }
        if present.is_required != fresh.is_required {
            tracing::info!("the store has API keys: they are asked for from now on");
        } else {
            tracing::info!(n_keys = fresh.keys.len(), "the store's API keys have changed");
        }
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = fresh.into();
    }

    /// Forgets callers that have been silent for long enough.
    pub(crate) fn forget_idle(&self) {
        if let Some(rates) = &self.rates {
            rates.forget_idle();
        }
    }

    pub(crate) fn cors(&self) -> &Cors {
        &self.cors
    }

    /// Checks that a server may listen on `addr`: where other machines reach it, it needs a key or the
    /// word that it is to go without.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](trialbook::ErrorKind::Invalid) with both ways out.
    pub(crate) fn check_exposure(&self, addr: SocketAddr) -> Result<()> {
        let is_local = addr.ip().to_canonical().is_loopback();
        if is_local || self.security.no_auth || self.keyring().is_required {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "other machines can reach {addr}, and the store has no API key"
        ))
        .with_hint(
            Hint::from("make a key with ")
                .run("keys add NAME")
                .say(", or use --no-auth if a firewall or a private network protects the server"),
        ))
    }

    /// Lets a request to a path of this `access` in; the name of its key where one was needed.
    ///
    /// # Errors
    /// 401 without a key that holds, 403 with one whose scope is too small, 429 for a caller that
    /// asks too often.
    pub(crate) fn admit(
        &self,
        access: Access,
        headers: &HeaderMap,
        peer: Option<Peer>,
    ) -> Result<Option<Arc<str>>, ApiError> {
        let Some(needed) = self.needed(access, headers) else { return Ok(None) };
        let keyring = self.keyring();
        let key = (keyring.is_required).then(|| keyring.find(&Shown::of(headers), now_ms()));
        if let Some(rates) = &self.rates {
            // Also before a wrong key is refused: guessing is not free.
            let caller = match &key {
                Some(Ok(key)) => Caller::key(&key.name),
                Some(Err(_)) | None => Caller::at(peer),
            };
            rates.count(&caller)?;
        }
        let Some(key) = key.transpose()? else { return Ok(None) };
        if !key.scope.covers(needed) {
            return Err(ApiError::forbidden(key.scope, needed));
        }
        Ok(Some(Arc::clone(&key.name)))
    }

    /// Checks that a prediction that began with `shown` may go on.
    ///
    /// # Errors
    /// 401 once the key is revoked or over, or keys are asked for and there was none.
    pub(crate) fn still_admits(&self, shown: &Shown) -> Result<(), ApiError> {
        let keyring = self.keyring();
        // Every scope covers predictions.
        if keyring.is_required { keyring.find(shown, now_ms()).map(drop) } else { Ok(()) }
    }

    /// The scope that a key needs for `access`, where keys are asked for; none for open paths.
    fn needed(&self, access: Access, headers: &HeaderMap) -> Option<Scope> {
        match access {
            Access::Open => None,
            // The page itself is the same for everybody: what it asks for is guarded.
            Access::Page if wants_page(headers) => None,
            Access::Health => self.security.auth_health.then_some(Scope::Predict),
            Access::Metrics => self.security.auth_metrics.then_some(Scope::Admin),
            Access::Page | Access::Predict => Some(Scope::Predict),
            Access::Tracking(scope) => Some(scope),
        }
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The one of `keys` whose hash is `shown`.
pub(crate) fn key_of<'a, K>(
    keys: &'a [K],
    sha256: impl Fn(&K) -> &[u8; 32],
    shown: &[u8; 32],
) -> Option<&'a K> {
    // Every key is compared, and each to its last byte: the time tells nothing about any.
    keys.iter().fold(
        None,
        |found, key| {
            if bool::from(sha256(key).ct_eq(shown)) { Some(key) } else { found }
        },
    )
}

impl Keyring {
    /// The key that was `shown`, if it holds at `now_ms`.
    fn find(&self, shown: &Shown, now_ms: i64) -> Result<HeldKey, ApiError> {
        let sha256 = shown.sha256().ok_or_else(ApiError::key_missing)?;
        let found = key_of(&self.keys, |key| &key.sha256, &sha256);
        // Who shows a name beside the key has to show the key's.
        let found = found.filter(|key| shown.name().is_none_or(|name| name == &*key.name));
        found
            .filter(|key| key.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms))
            .cloned()
            .ok_or_else(ApiError::key_refused)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use trialbook::registry::digest;

    use super::*;

    const SECRET: &str = "tbk_0123";

    fn key(name: &str, secret: &str, scope: Scope) -> ApiKey {
        ApiKey {
            name: name.to_owned(),
            scope,
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            sha256: digest(secret),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn status(outcome: Result<Option<Arc<str>>, ApiError>) -> u16 {
        outcome.map_or_else(|error| error.status().as_u16(), |_| 200)
    }

    #[test]
    fn each_access_wants_its_scope_once_there_is_a_key() {
        let security = Security { auth_health: true, auth_metrics: true, ..Security::default() };
        let (open, closed) = (Guard::new(Security::default()), Guard::new(security));
        let with = |secret| headers(&[("x-api-key", secret)]);
        for guard in [&open, &closed] {
            let admitted = guard.admit(Access::Predict, &HeaderMap::new(), None);
            assert_eq!(admitted.unwrap(), None, "without any key everybody is welcome");
            let all = [key("web", SECRET, Scope::Predict), key("ops", "tbk_ops", Scope::Admin)];
            guard.take_keys(&all);
        }
        for (access, nobody, predict, admin) in [
            (Access::Predict, 401, 200, 200),
            (Access::Page, 401, 200, 200),
            (Access::Health, 401, 200, 200),
            (Access::Metrics, 401, 403, 200),
            (Access::Open, 200, 200, 200),
        ] {
            let found = [&HeaderMap::new(), &with(SECRET), &with("tbk_ops")]
                .map(|headers| status(closed.admit(access, headers, None)));
            assert_eq!(found, [nobody, predict, admin], "{access:?}");
        }
        for access in [Access::Health, Access::Metrics] {
            assert_eq!(status(open.admit(access, &HeaderMap::new(), None)), 200, "{access:?}");
        }
        let page = headers(&[("accept", "text/html")]);
        assert_eq!(status(closed.admit(Access::Page, &page, None)), 200, "the page is no secret");
        let name = closed.admit(Access::Predict, &with(SECRET), None).unwrap();
        assert_eq!(name.as_deref(), Some("web"));
        assert_eq!(status(closed.admit(Access::Predict, &with("tbk_0124"), None)), 401);
    }

    #[test]
    fn revoked_and_expired_keys_open_nothing_and_keys_are_still_asked_for() {
        let guard = Guard::new(Security::default());
        let shown = headers(&[("x-api-key", SECRET)]);
        let now_ms = now_ms();
        for (expires_ms, revoked_ms, expected) in [
            (None, None, 200),
            (Some(now_ms + 60_000), None, 200),
            (Some(now_ms - 1), None, 401),
            (None, Some(now_ms), 401),
        ] {
            let web = ApiKey { expires_ms, revoked_ms, ..key("web", SECRET, Scope::Predict) };
            guard.take_keys(&[web]);
            let found = status(guard.admit(Access::Predict, &shown, None));
            assert_eq!(found, expected, "{expires_ms:?} {revoked_ms:?}");
            assert_eq!(status(guard.admit(Access::Predict, &HeaderMap::new(), None)), 401);
        }
    }

    #[test]
    fn a_store_that_lost_its_keys_does_not_open_the_server() {
        let guard = Guard::new(Security::default());
        guard.take_keys(&[key("web", SECRET, Scope::Predict)]);
        guard.take_keys(&[]);
        assert_eq!(status(guard.admit(Access::Predict, &HeaderMap::new(), None)), 401);
        let shown = headers(&[("x-api-key", SECRET)]);
        assert_eq!(status(guard.admit(Access::Predict, &shown, None)), 200);
    }

    #[test]
    fn only_an_address_of_this_machine_needs_no_key() {
        for (addr, expected) in [
            ("127.0.0.1:80", true),
            ("127.3.2.1:80", true),
            ("[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("192.168.1.5:80", false),
        ] {
            let addr = addr.parse().unwrap();
            let guard = Guard::new(Security::default());
            assert_eq!(guard.check_exposure(addr).is_ok(), expected, "{addr}");
            let told = Guard::new(Security { no_auth: true, ..Security::default() });
            assert!(told.check_exposure(addr).is_ok(), "{addr}");
            guard.take_keys(&[key("web", SECRET, Scope::Predict)]);
            assert!(guard.check_exposure(addr).is_ok(), "{addr}");
        }
    }
}
