//! The rate at which each caller asks: a bucket a caller, which fills at a steady rate (GCRA, as the governor
//! crate does it). Callers that are silent are forgotten, so that memory stays with those who ask.

use std::{net::IpAddr, sync::Arc};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};

use super::{error::ApiError, peer::Peer, security::RateLimit};

/// A caller, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    Key(Arc<str>),
    Address(Network),
}

/// One address, or of IPv6 the 64 bits that one client usually has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
    /// Asked in the process itself.
    Unknown,
}

impl Caller {
    pub(crate) fn key(name: &Arc<str>) -> Self {
        Self::Key(Arc::clone(name))
    }

    pub(crate) fn at(peer: Option<Peer>) -> Self {
        Self::Address(match peer.map(|Peer(address)| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Network::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Network::V6([a, b, c, d, e, f, g, h])
            }
            None => Network::Unknown,
        })
    }
}

/// The buckets of all callers.
pub(crate) struct Rates {
    limiter: RateLimiter<Caller, HashMapStateStore<Caller>, DefaultClock>,
    clock: DefaultClock,
    limit: RateLimit,
}

impl Rates {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        Self { limiter: RateLimiter::hashmap(quota), clock: DefaultClock::default(), limit }
    }

    /// One request of `caller`.
    ///
    /// # Errors
    /// 429, with when to come again.
    pub(crate) fn count(&self, caller: &Caller) -> Result<(), ApiError> {
        self.limiter.check_key(caller).map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let wait_s = u32::try_from(wait_s.max(1)).unwrap_or(u32::MAX);
            ApiError::too_many_requests(self.limit.per_second.get(), wait_s)
        })
    }

    /// Forgets callers whose buckets are full again.
    pub(crate) fn forget_idle(&self) {
        self.limiter.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rates(per_second: u32, burst: u32) -> Rates {
        let number = |n| NonZeroU32::new(n).unwrap();
        Rates::new(RateLimit { per_second: number(per_second), burst: number(burst) })
    }

    fn at(address: &str) -> Caller {
        Caller::at(Some(Peer(address.parse().unwrap())))
    }

    #[test]
    fn each_caller_has_a_burst_of_its_own_and_then_waits() {
        let rates = rates(1, 3);
        let web: Arc<str> = "web".into();
        for caller in [at("10.0.0.1"), at("10.0.0.2"), at("2001:db8::1"), Caller::key(&web)] {
            for _ in 0..3 {
                assert!(rates.count(&caller).is_ok(), "{caller:?}");
            }
            assert_eq!(rates.count(&caller).unwrap_err().status().as_u16(), 429, "{caller:?}");
        }
        assert!(rates.count(&at("2001:db8::ffff")).is_err(), "the same network");
        assert!(rates.count(&at("::ffff:10.0.0.1")).is_err(), "the same address");
        assert!(rates.count(&at("2001:db8:0:1::1")).is_ok(), "another network");
    }

    #[test]
    fn silent_callers_are_forgotten() {
        let rates = rates(1_000_000, 1);
        for idx in 0..100_u8 {
            assert!(rates.count(&at(&format!("10.0.0.{idx}"))).is_ok());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        rates.forget_idle();
        assert_eq!(rates.limiter.len(), 0);
    }
}
