//! `release start|status|promote|stop`: a version proves itself on the traffic of running servers. What a
//! server makes of it is the server's business; here a release is written down, and read.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use trialbook::{
    error::{Error, ErrorKind, Result},
    evaluate::SignalLevel,
    gate::{self, ReleaseStatus},
    hint::{CommandLine, Hint},
    monitor::read_release_counts,
    output::Output,
    registry::{
        ModelReference, NewRelease, Release as StoredRelease, ReleaseBounds, ReleaseKind,
        ReleaseStep, SplitKey, VersionSelector,
    },
};

use super::{
    Session,
    named::{model_forms, model_or_default, version, version_forms, version_word},
};

/// The verbs on releases.
#[derive(Debug, Clone, Subcommand)]
pub enum Release {
    /// Give a version a part of the traffic of every server that follows the registry
    Start(Box<StartRelease>),
    /// Show how far a release is, what both versions did, and which checks hold
    Status(ReleaseOf),
    /// Put the candidate of the running release in Production, through the gate
    Promote(PromoteRelease),
    /// End the running release: all traffic goes to Production
    Stop(StopRelease),
}

/// `release start NAME/2 --canary 1%:10m,10%:10m,50%:1h`
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("kind").required(true).args(["shadow", "canary", "ab"]))]
pub struct StartRelease {
    #[arg(help = model_forms!(""))]
    name: String,
    #[arg(value_parser = version_word, help = version_forms!(""))]
    version: Option<VersionSelector>,
    /// It predicts beside Production and answers nobody
    #[arg(long)]
    shadow: bool,
    /// It answers this share of the requests, or in steps as long as its checks hold: 5%, or
    /// 1%:10m,10%:10m,50%:1h
    #[arg(long, value_name = "STEPS")]
    canary: Option<String>,
    /// It answers this share of the requests until labels tell which version is better
    #[arg(long, value_name = "SHARE")]
    ab: Option<String>,
    /// The part of a request that decides which version it falls to, always the same one: key (the
    /// client's API key), header:NAME, or request (its id). Where there is no key or header, the id
    #[arg(long, default_value = "key", value_name = "PART", conflicts_with = "shadow")]
    by: SplitKey,
    #[command(flatten)]
    bounds: BoundOptions,
    /// Start it although the gate has blocked the version; the reason is kept with the release
    #[arg(long, requires = "reason")]
    force: bool,
    /// The reason why it is forced
    #[arg(long, requires = "force", value_name = "WHY")]
    reason: Option<String>,
}

/// The bounds beyond which a candidate is taken back.
#[derive(Debug, Clone, Args)]
pub(super) struct BoundOptions {
    /// The share of its requests that it may fail; Production answers those
    #[arg(long, value_name = "SHARE", default_value_t = ReleaseBounds::default().max_error_rate)]
    max_error_rate: f64,
    /// The time within which it has to answer 95 % of its requests: 20ms, 1.5s
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    max_p95: Option<f64>,
    /// The share of texts on which it has to give Production's label
    #[arg(long, value_name = "SHARE")]
    min_agreement: Option<f64>,
    /// The F1 that true labels of its own answers have to give; labels come with POST /feedback or
    /// monitor label
    #[arg(long, value_name = "F1")]
    min_f1: Option<f64>,
    /// Take it back when what it is asked has drifted so far from what it was judged by
    #[arg(long, value_name = "LEVEL", value_parser = drift_level)]
    max_drift: Option<SignalLevel>,
    /// Requests that it needs at a step before the next one begins
    #[arg(long, value_name = "N", default_value_t = ReleaseBounds::default().min_n)]
    min_n: u64,
}

/// The model of a release.
#[derive(Debug, Clone, Args)]
pub struct ReleaseOf {
    #[arg(help = model_forms!("; without it the one model in production"))]
    name: Option<String>,
}

/// `release promote NAME`
#[derive(Debug, Clone, Args)]
pub struct PromoteRelease {
    #[arg(help = model_forms!("; without it the one model in production"))]
    name: Option<String>,
    /// Of a shadow: go on as a canary with these steps
    #[arg(long, value_name = "STEPS")]
    canary: Option<String>,
    /// Promote, or go on, although the gate objects; the reason is kept
    #[arg(long, requires = "reason")]
    force: bool,
    /// The reason why it is forced
    #[arg(long, requires = "force", value_name = "WHY")]
    reason: Option<String>,
}

/// `release stop NAME`
#[derive(Debug, Clone, Args)]
pub struct StopRelease {
    #[arg(help = model_forms!("; without it the one model in production"))]
    name: Option<String>,
    /// The reason, kept with the release
    #[arg(long, default_value = "", value_name = "WHY")]
    reason: String,
}

/// Milliseconds, as people write a short time.
///
/// # Errors
/// Anything but a number with `ms` or `s` behind it.
fn milliseconds(text: &str) -> Result<f64> {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (Some(number), 1.0),
        None => (text.strip_suffix('s'), 1e3),
    };
    let value = number.and_then(|number| number.trim().parse::<f64>().ok());
    value.map(|value| value * factor).filter(|ms| ms.is_finite() && *ms > 0.0).ok_or_else(|| {
        Error::invalid(format!("{text:?} is no time")).with_hint("write 20ms or 1.5s")
    })
}

/// A level of drift that takes a candidate back.
///
/// # Errors
/// Anything but `warn` and `alert`.
fn drift_level(text: &str) -> Result<SignalLevel> {
    match text {
        "warn" => Ok(SignalLevel::Warn),
        "alert" => Ok(SignalLevel::Alert),
        _ => Err(Error::invalid(format!("{text:?} is no level of drift: expected warn or alert"))),
    }
}

impl Release {
    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match self {
            Self::Start(start) => start.run(session),
            Self::Status(of) => of.run(session),
            Self::Promote(promote) => promote.run(session),
            Self::Stop(stop) => stop.run(session),
        }
    }
}

impl Release {
    /// Refuses steps and bounds that cannot be meant.
    ///
    /// # Errors
    /// With the one that is wrong.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Start(start) => start.settings().map(drop),
            Self::Promote(PromoteRelease { canary: Some(steps), .. }) => {
                ReleaseStep::parse_list(steps).map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl StartRelease {
    /// The kind, the steps and the bounds.
    ///
    /// # Errors
    /// With the one that cannot be meant.
    fn settings(&self) -> Result<(ReleaseKind, Vec<ReleaseStep>, ReleaseBounds)> {
        let (kind, steps) = match (&self.canary, &self.ab) {
            (Some(steps), _) => (ReleaseKind::Canary, ReleaseStep::parse_list(steps)?),
            (None, Some(share)) => (ReleaseKind::Ab, vec![share.parse()?]),
            // All requests are compared, as far as there is time for it.
            (None, None) => (ReleaseKind::Shadow, vec![ReleaseStep { share: 1.0, bake_ms: None }]),
        };
        let bounds = self.bounds.bounds();
        bounds.check()?;
        Ok((kind, steps, bounds))
    }

    fn run(&self, session: &Session) -> Result<Output> {
        let (model, candidate) = version(session, &self.name, self.version.as_ref())?;
        let (kind, steps, bounds) = self.settings()?;
        if self.bounds.max_drift.is_some() {
            session.book.check_drift_bound(&ModelReference::numbered(model.clone(), candidate))?;
        }
        let split_by = self.by.clone();
        let new = NewRelease { model, candidate, kind, steps, split_by, bounds, overruled: None };
        let force = self.reason.as_deref();
        let release = gate::start_release(session.book.tracker()?, new, force)?;
        let model = release.model.clone();
        let status = status(session, release)?;
        Ok(Output::new(&status).text(status.headline()).hint(
            Hint::from("running servers follow within seconds: ")
                .run(CommandLine::new("release status").arg(&model))
                .say(" shows what they count"),
        ))
    }
}

impl BoundOptions {
    fn bounds(&self) -> ReleaseBounds {
        let Self { max_error_rate, max_p95, min_agreement, min_f1, max_drift, min_n } = *self;
        ReleaseBounds {
            max_error_rate,
            max_p95_ms: max_p95,
            min_agreement,
            min_f1,
            max_drift,
            min_n,
        }
    }
}

/// `release` with the counts that servers of this store wrote down, and what their logs say.
fn status(session: &Session, release: StoredRelease) -> Result<ReleaseStatus> {
    let logs = session.book.store().logs_dir();
    let (counts, n_servers) = read_release_counts(&logs, &release.id)?;
    let logged = session.book.release_reader(&release, None)?.read(&release, u64::MAX)?;
    Ok(ReleaseStatus::new(release, &counts, n_servers, &logged))
}

/// The model that is meant.
///
/// # Errors
/// A version that is named and is not the one that the release tries.
fn model(session: &Session, name: Option<&String>) -> Result<String> {
    let reference = model_or_default(session, name)?;
    if reference.is_bare() {
        return Ok(reference.model);
    }
    let registry = session.book.tracker()?;
    let named = registry.resolve(&reference)?.version;
    match registry.release(&reference.model)? {
        Some(release) if release.candidate != named => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "release {} of {} is of version {}, not {named}",
                release.number, release.model, release.candidate
            ),
        )
        .with_hint(Hint::new().run(CommandLine::new("release status").arg(&release.model)))),
        _ => Ok(reference.model),
    }
}

/// The counts and checks of the running release of `model`, to be kept with its end.
fn evidence(session: &Session, model: &str) -> Result<Value> {
    let release = session.book.tracker()?.release(model)?.filter(StoredRelease::is_running);
    release.map_or(Ok(Value::Null), |release| Ok(status(session, release)?.evidence()))
}

impl ReleaseOf {
    fn run(&self, session: &Session) -> Result<Output> {
        let model = model(session, self.name.as_ref())?;
        let registry = session.book.tracker()?;
        let Some(release) = registry.release(&model)? else {
            registry.model(&model)?;
            return Ok(Output::new(json!({"release": null}))
                .text(format!("{model} has no release"))
                .hint(Hint::from("start one with ").run(
                    CommandLine::new("release start").arg(&model).written("VERSION --shadow"),
                )));
        };
        let status = status(session, release)?;
        let output = status.to_output();
        Ok(match session.book.store().registry_address() {
            Some(_) if status.n_servers == 0 => output
                .hint("servers of another registry count for themselves: ask one for GET /release"),
            _ => output,
        })
    }
}

impl PromoteRelease {
    fn run(&self, session: &Session) -> Result<Output> {
        let model = model(session, self.name.as_ref())?;
        let force = self.reason.as_deref();
        if let Some(steps) = &self.canary {
            return go_on(session, &model, ReleaseStep::parse_list(steps)?, force);
        }
        let (promotion, release) =
            gate::promote_release(session.book.tracker()?, &model, force, session.book.who())?;
        Ok(Output::new(json!({"promotion": promotion, "release": release})).hint(promotion.told()))
    }
}

/// Ends a shadow, and starts a canary of its candidate.
fn go_on(
    session: &Session,
    model: &str,
    steps: Vec<ReleaseStep>,
    force: Option<&str>,
) -> Result<Output> {
    let registry = session.book.tracker()?;
    let shadow = registry.release(model)?.filter(StoredRelease::is_running);
    let Some(shadow) = shadow.filter(|release| release.kind == ReleaseKind::Shadow) else {
        return Err(Error::invalid(format!("{model} has no running shadow to go on from"))
            .with_hint(Hint::new().run(CommandLine::new("release status").arg(model))));
    };
    let canary = gate::shadow_to_canary(registry, shadow, steps, force)?;
    let status = status(session, canary)?;
    Ok(Output::new(&status).text(status.headline()))
}

impl StopRelease {
    fn run(&self, session: &Session) -> Result<Output> {
        let model = model(session, self.name.as_ref())?;
        let registry = session.book.tracker()?;
        let evidence = evidence(session, &model)?;
        let who = session.book.who();
        let release = gate::stop_release(registry, &model, who, &self.reason, evidence)?;
        let status = status(session, release)?;
        Ok(Output::new(&status).text(status.headline()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_drift_is_a_warning_or_an_alert() {
        assert_eq!(drift_level("warn").ok(), Some(SignalLevel::Warn));
        assert_eq!(drift_level("alert").ok(), Some(SignalLevel::Alert));
        assert!(drift_level("ok").is_err() && drift_level("").is_err());
    }

    #[test]
    fn a_time_has_its_unit() {
        for (text, expected) in [
            ("20ms", Some(20.0)),
            ("0.001ms", Some(0.001)),
            ("1.5s", Some(1_500.0)),
            ("20", None),
            ("0ms", None),
            ("-1s", None),
            ("infs", None),
            ("s", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text).ok(), expected, "{text:?}");
        }
    }
}
