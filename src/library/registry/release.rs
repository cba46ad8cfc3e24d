//! A release: how a version proves itself on the traffic of a model in production before it takes over.
//! What is asked for, how far it is, and how it ended. It counts no request and judges nothing.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::{
    codec::{Malformed, Reader, Record, Writer},
    record::one_of,
    release_bounds::ReleaseBounds,
};
use crate::error::{Error, Result};

/// The way in which a release tries its candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseKind {
    /// The candidate predicts beside Production and answers nobody.
    Shadow,
    /// The candidate answers a growing share of the clients.
    Canary,
    /// Two groups of clients, one for each version, until one is known to be better.
    Ab,
}

impl ReleaseKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Shadow, Self::Canary, Self::Ab];

    /// Its name, such as `canary`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Ab => "ab",
        }
    }
}

impl fmt::Display for ReleaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The part of a request by which it falls to one of the two versions, always to the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum SplitKey {
    /// The client's API key; the request's id where no key was asked for.
    #[default]
    Client,
    /// A header; the request's id where it is missing.
    Header(String),
    /// The request's id.
    Request,
}

impl fmt::Display for SplitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.pad("key"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Request => f.pad("request"),
        }
    }
}

impl FromStr for SplitKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_token = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !name.is_empty() && name.len() <= 100 && name.bytes().all(is_plain)
        };
        match text.split_once(':') {
            None if text == "key" => Ok(Self::Client),
            None if text == "request" => Ok(Self::Request),
            Some(("header", name)) if is_token(name) => Ok(Self::Header(name.to_ascii_lowercase())),
            _ => Err(Error::invalid(format!("{text:?} is nothing to split requests by"))
                .with_hint("write key, header:NAME or request")),
        }
    }
}

impl Serialize for SplitKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SplitKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// One step of a release.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReleaseStep {
    /// The share of requests that the candidate predicts, above 0 and at most 1.
    pub share: f64,
    /// The time that the step has to hold before the next one, in milliseconds of serving; none stays
    /// until a person goes on.
    pub bake_ms: Option<u64>,
}

impl ReleaseStep {
    /// The steps that `text` spells, such as `5%` or `1%:10m,10%:10m,50%:1h`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a share that is none, one that is smaller
    /// than the one before it, and a step before the last one without its time.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let steps = text.split(',').map(str::parse).collect::<Result<Vec<Self>>>()?;
        for pair in steps.windows(2) {
            let hint =
                "write 1%:10m,10%:10m,50%:1h: shares that grow, and how long each has to hold";
            if pair[0].share >= pair[1].share {
                return Err(Error::invalid(format!(
                    "{text:?}: the share {} does not grow after {}",
                    percent(pair[1].share),
                    percent(pair[0].share)
                ))
                .with_hint(hint));
            }
            if pair[0].bake_ms.is_none() {
                return Err(Error::invalid(format!(
                    "{text:?}: the step {} has no time after which the next one begins",
                    percent(pair[0].share)
                ))
                .with_hint(hint));
            }
        }
        Ok(steps)
    }
}

impl FromStr for ReleaseStep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid(format!("{text:?} is no step of a release"))
                .with_hint("write a share and how long it has to hold: 5%, 5%:10m, 50%:1h")
        };
        let (share, bake) = match text.split_once(':') {
            Some((share, bake)) => (share, Some(bake)),
            None => (text, None),
        };
        let share = parse_share(share.trim()).filter(|share| *share > 0.0).ok_or_else(refuse)?;
        let bake_ms = match bake {
            Some(bake) => Some(parse_span(bake.trim()).ok_or_else(refuse)?),
            None => None,
        };
        Ok(Self { share, bake_ms })
    }
}

/// A share, as `5%` or `0.05`.
fn parse_share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (share.is_finite() && (0.0..=1.0).contains(&share)).then_some(share)
}

/// Milliseconds, as `10m`, `1h`, `45s`, `2d` or `500ms`.
fn parse_span(text: &str) -> Option<u64> {
    let (number, unit_ms) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        .into_iter()
        .chain([("d", 86_400_000)])
        .find_map(|(unit, unit_ms)| {
            Some((text.strip_suffix(unit)?.parse::<u32>().ok()?, unit_ms))
        })?;
    (number > 0).then(|| u64::from(number) * unit_ms)
}

/// A share for people, such as `0.5 %`.
pub(crate) fn percent(share: f64) -> String {
    let rounded = (share * 1e6).round() / 1e4;
    format!("{rounded} %")
}

/// A share that was counted, for people, such as `87.2 %`.
pub(crate) fn counted_percent(share: f64) -> String {
    format!("{} %", (share * 1e3).round() / 10.0)
}

/// The state of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// Servers give the candidate its share.
    Running,
    /// The candidate became Production, or a shadow went on as a canary.
    Promoted,
    /// A person, or another promotion, ended it.
    Stopped,
    /// It took itself back: a check failed.
    TakenBack,
}

impl ReleaseState {
    const ALL: [Self; 4] = [Self::Running, Self::Promoted, Self::Stopped, Self::TakenBack];

    /// Its name, such as `taken_back`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Promoted => "promoted",
            Self::Stopped => "stopped",
            Self::TakenBack => "taken_back",
        }
    }
}

impl fmt::Display for ReleaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TakenBack => "taken back",
            state => state.as_str(),
        })
    }
}

impl FromStr for ReleaseState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        one_of("state of a release", text, Self::ALL, Self::as_str)
    }
}

/// A release to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRelease {
    /// The registered model.
    pub model: String,
    /// The version that is to prove itself.
    pub candidate: u32,
    /// The way in which it is tried.
    pub kind: ReleaseKind,
    /// At least one; the first begins at once.
    pub steps: Vec<ReleaseStep>,
    /// The part of a request that decides which version it falls to.
    pub split_by: SplitKey,
    /// Beyond them it is taken back.
    pub bounds: ReleaseBounds,
    /// The gate's objection that is overruled, if there is one: the gate fills it in.
    pub overruled: Option<OverruledGate>,
}

/// What the gate has against a candidate that is released all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverruledGate {
    /// Its objection.
    pub objection: String,
    /// The reason for which it was overruled, by whoever started the release.
    pub reason: String,
}

/// One release, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Random; with a request's key it decides which version the request falls to.
    pub id: String,
    /// The registered model.
    pub model: String,
    /// 1, 2, 3… of this model.
    pub number: u32,
    /// The version that is to prove itself.
    pub candidate: u32,
    /// The version in Production when it began: what the candidate is held against.
    pub production: u32,
    /// The way in which it is tried.
    pub kind: ReleaseKind,
    /// At least one.
    pub steps: Vec<ReleaseStep>,
    /// The step that it is at, from 0.
    pub step_idx: usize,
    /// The start of that step, in milliseconds since the Unix epoch: for people, since clocks jump.
    pub step_since_ms: i64,
    /// The part of a request that decides which version it falls to.
    pub split_by: SplitKey,
    /// Beyond them it is taken back.
    pub bounds: ReleaseBounds,
    /// The gate's objection that was overruled when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<OverruledGate>,
    /// Running, or how it ended.
    pub state: ReleaseState,
    /// The reason for its end; empty while it runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The counts and checks on which it ended or went on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// Who started it.
    pub started_by: String,
    /// Milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Who ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
}

impl Release {
    /// True while servers give the candidate its share.
    pub fn is_running(&self) -> bool {
        self.state == ReleaseState::Running
    }

    /// True if true labels have a say in it: an A/B test, over or not, and one with a bound on F1 that runs.
    pub fn needs_labels(&self) -> bool {
        self.kind == ReleaseKind::Ab || (self.is_running() && self.bounds.min_f1.is_some())
    }

    /// True if drift has a say in it.
    pub fn needs_drift(&self) -> bool {
        self.is_running() && self.bounds.max_drift.is_some()
    }

    /// The step that it is at.
    pub fn step(&self) -> ReleaseStep {
        let last = self.steps.len().saturating_sub(1);
        let nothing = ReleaseStep { share: 0.0, bake_ms: None };
        self.steps.get(self.step_idx.min(last)).copied().unwrap_or(nothing)
    }

    /// Its end where `production` took the place of the version that it was held against: the
    /// candidate's own promotion is its success.
    pub fn ended_by(&self, production: Option<u32>) -> ReleaseEnd {
        let (state, reason) = match production {
            Some(version) if version == self.candidate => {
                (ReleaseState::Promoted, format!("version {version} is in Production"))
            }
            Some(version) => (
                ReleaseState::Stopped,
                format!("version {version} took Production, where version {} was", self.production),
            ),
            None => (ReleaseState::Stopped, "no version is in Production any more".to_owned()),
        };
        ReleaseEnd { state, reason, evidence: None }
    }

    /// True at the last of its steps.
    pub fn is_last_step(&self) -> bool {
        self.step_idx + 1 >= self.steps.len()
    }
}

/// The end of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseEnd {
    /// How it ended; never [`ReleaseState::Running`].
    pub state: ReleaseState,
    /// Why.
    pub reason: String,
    /// The counts and checks that it rests on.
    pub evidence: Option<Value>,
}

impl Record for Release {
    const KIND: &'static str = "release";
    const VERSION: u8 = 1;

    /// JSON, as other stores keep it in a tag: rows are few, and no search looks into them.
    fn write(&self, out: &mut Writer) {
        out.text(&serde_json::to_string(self).unwrap_or_default());
    }

    fn read(_version: u8, input: &mut Reader) -> Result<Self, Malformed> {
        serde_json::from_str(input.text()?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests;
