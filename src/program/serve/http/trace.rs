//! The place of a request in a trace that began elsewhere: W3C Trace Context
//! (<https://www.w3.org/TR/trace-context/>), so that log lines and exported spans of several services
//! are found together.

use axum::http::{HeaderMap, HeaderName};
use trialbook::figure::hex;
use uuid::Uuid;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The one span that a request is to this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// 32 hexadecimal digits: the client's own, else a new one.
    pub(crate) trace_id: String,
    /// 16 hexadecimal digits: the client's span.
    pub(crate) parent_id: Option<String>,
    /// 16 hexadecimal digits.
    pub(crate) span_id: String,
    /// True if the beginner of the trace keeps it; a trace that begins here is kept.
    pub(crate) is_sampled: bool,
}

impl TraceContext {
    /// Goes on with the trace that `headers` name; one that is malformed, or named twice, is none.
    /// If there is none, `begins` says whether one begins here.
    pub(crate) fn of(headers: &HeaderMap, begins: bool) -> Option<Self> {
        let mut named = headers.get_all(TRACEPARENT).iter();
        let parent = match (named.next(), named.next()) {
            (Some(only), None) => only.to_str().ok().and_then(parse),
            _ => None,
        };
        if parent.is_none() && !begins {
            return None;
        }
        let span_id = hex(&Uuid::new_v4().as_bytes()[..8]);
        Some(match parent {
            Some((trace_id, parent_id, flags)) => Self {
                trace_id: trace_id.to_owned(),
                parent_id: Some(parent_id.to_owned()),
                span_id,
                is_sampled: flags & 1 == 1,
            },
            None => Self {
                trace_id: hex(Uuid::new_v4().as_bytes()),
                parent_id: None,
                span_id,
                is_sampled: true,
            },
        })
    }
}

/// Trace, parent and flags of `VERSION-TRACE-PARENT-FLAGS`. A later version may have more behind.
fn parse(value: &str) -> Option<(&str, &str, u8)> {
    let mut parts = value.split('-');
    let [version, trace_id, parent_id, flags] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let is_hex = |part: &str, n_digits: usize| {
        part.len() == n_digits
            && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_id = |part: &str, n_digits| is_hex(part, n_digits) && part.bytes().any(|b| b != b'0');
    let is_whole = version != "00" || parts.next().is_none();
    let is_valid = is_hex(version, 2) && version != "ff" && is_whole && is_hex(flags, 2);
    if !is_valid || !is_id(trace_id, 32) || !is_id(parent_id, 16) {
        return None;
    }
    Some((trace_id, parent_id, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    fn context(values: &[&str]) -> TraceContext {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        assert_eq!(TraceContext::of(&HeaderMap::new(), false), None);
        TraceContext::of(&headers, true).unwrap()
    }

    #[test]
    fn a_trace_goes_on() {
        for (version, flags, is_sampled) in
            [("00", "01", true), ("00", "00", false), ("cc", "03-what-comes-later", true)]
        {
            let context = context(&[&format!("{version}-{TRACE}-{PARENT}-{flags}")]);
            assert_eq!(context.trace_id, TRACE);
            assert_eq!(context.parent_id.as_deref(), Some(PARENT));
            assert_eq!(context.is_sampled, is_sampled);
            assert!(context.span_id.len() == 16 && context.span_id != PARENT);
        }
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one() {
        let good = format!("00-{TRACE}-{PARENT}-01");
        for values in [
            &[][..],
            &[""],
            &["nonsense"],
            &[&good, &good],
            &[&good.to_uppercase()],
            &[&format!("{good}-more")],
            &[&format!("ff-{TRACE}-{PARENT}-01")],
            &[&format!("00-{}-{PARENT}-01", "0".repeat(32))],
            &[&format!("00-{TRACE}-{}-01", "0".repeat(16))],
            &[&format!("00-{TRACE}-{PARENT}-1")],
            &[&format!("00-{}-{PARENT}-01", &TRACE[1..])],
        ] {
            let context = context(values);
            assert!(context.trace_id.len() == 32 && context.trace_id != TRACE, "{values:?}");
            assert_eq!(context.parent_id, None, "{values:?}");
        }
    }
}
