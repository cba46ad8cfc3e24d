//! `serve`: Production versions over HTTP until a signal comes.

use std::time::Duration;

use clap::{Args, builder::FalseyValueParser};
use serde_json::json;
use trialbook::{
    error::{Error, Result},
    hint::Hint,
    monitor::{LogConfig, LogText},
    output::Output,
    registry::{ModelReference, Stage, VersionSelector},
};

use super::{Interim, Servers, Session, protection};
use crate::serve::{self, Limits, ServeConfig, Server, ServerState};

mod batching;

/// `serve --port 8000`
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The address to listen on; 127.0.0.1 is this machine only
    #[arg(long, env = "TRIALBOOK_HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 takes a free one
    #[arg(long, env = "TRIALBOOK_PORT", default_value_t = 8000)]
    port: u16,
    /// A registered model. NAME and NAME/Production follow: whatever version is in Production answers,
    /// and none while none is; NAME/3 stays with version 3, as --pin 3 does. May be given several times:
    /// the first one answers questions that name no model. Without it the one model in production
    #[arg(long = "model", env = "TRIALBOOK_MODEL", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// Serve this version, also when another one is promoted; only with one model
    #[arg(long, env = "TRIALBOOK_PIN", value_name = "VERSION")]
    pin: Option<u32>,
    /// The part of each text that the log of predictions keeps: full (the text), hash (its SHA-256)
    /// or none
    #[arg(long, env = "TRIALBOOK_LOG_TEXT", default_value = "hash", value_name = "HOW")]
    log_text: LogText,
    /// Count no words in the log: drift is told by labels and confidences alone then
    #[arg(long, env = "TRIALBOOK_NO_WORD_COUNTS", value_parser = FalseyValueParser::new())]
    no_word_counts: bool,
    /// Keep no log of predictions
    #[arg(long, env = "TRIALBOOK_NO_LOG", value_parser = FalseyValueParser::new())]
    no_log: bool,
    /// Leave MLflow's tracking API out: a replica that only predicts
    #[arg(long, env = "TRIALBOOK_NO_TRACKING", value_parser = FalseyValueParser::new())]
    no_tracking: bool,
    /// Also answer POST /explain, which says what each word adds to an answer; it costs more than a
    /// prediction
    #[arg(long, env = "TRIALBOOK_EXPLAIN", value_parser = FalseyValueParser::new())]
    explain: bool,
    /// The time that a release goes on while its registry does not answer; then Production answers alone
    #[arg(long, env = "TRIALBOOK_RELEASE_WAIT", default_value_t = 60, value_name = "SECONDS")]
    release_wait: u64,
    /// Serve in the background of a shell or a notebook, until its session ends
    #[arg(long, conflicts_with = "stop")]
    background: bool,
    /// Stop what --background started
    #[arg(long)]
    stop: bool,
    /// Send a span of every request to the OpenTelemetry collector there (OTLP over HTTP)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    batching: batching::Batching,
    #[command(flatten)]
    protection: protection::Protection,
}

impl Serve {
    /// The models to serve, and the version to stay with.
    fn followed(&self) -> Result<(Vec<String>, Option<u32>)> {
        let (mut models, mut pin) = (Vec::new(), self.pin);
        for given in &self.models {
            let reference: ModelReference = given.parse()?;
            match reference.version {
                VersionSelector::Default | VersionSelector::Stage(Stage::Production) => {}
                VersionSelector::Number(number) if pin.is_none_or(|pin| pin == number) => {
                    pin = Some(number);
                }
                VersionSelector::Number(_) => {
                    let pin = pin.unwrap_or_default();
                    return Err(Error::invalid(format!(
                        "{given} is served, and version {pin} too"
                    ))
                    .with_hint("a server stays with one version: name one"));
                }
                _ => {
                    return Err(Error::invalid(format!("a server cannot follow {given}"))
                        .with_hint(format!(
                            "write {name} to follow Production, or {name}/3 to stay with a version",
                            name = reference.model
                        )));
                }
            }
            models.push(reference.model);
        }
        Ok((models, pin))
    }

    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        if self.stop {
            return stop(kept(session, "--stop")?);
        }
        let kept = self.background.then(|| kept(session, "--background")).transpose()?;
        let (models, pin) = self.followed()?;
        let config = ServeConfig {
            host: self.host.clone(),
            port: self.port,
            models,
            pin,
            log: (!self.no_log).then(|| LogConfig {
                text: self.log_text,
                counts_words: !self.no_word_counts,
                ..LogConfig::default()
            }),
            limits: Limits {
                release_wait: Duration::from_secs(self.release_wait),
                ..self.batching.limits(self.protection.limits())
            },
            otlp_endpoint: self.otlp_endpoint.clone(),
            security: self.protection.security(),
            explains: self.explain,
            tracking: (!self.no_tracking).then(|| self.protection.allowed_hosts()),
            ..ServeConfig::new(session.book.store().clone())
        };
        let state = config.load()?;
        if let Some(kept) = kept {
            let serving = serving(&state, session)?;
            let server = Server::with_state(state, &self.host, self.port)?;
            let url = server.url();
            kept.keep(server);
            return Ok(Output::new(json!({"url": url})).hint(
                Hint::from(format!("{serving}\nlistening on {url} until this session ends or "))
                    .run("serve --stop"),
            ));
        }
        let (listener, addr) = serve::bind_for(&state, &config.host, config.port)?;
        let url = state.url(addr);
        let serving = serving(&state, session)?;
        let mut shown = Ok(());
        serve::start_with(state, listener, || {
            let output = Output::new(json!({"url": url}))
                .text(format!("{serving}\nlistening on {url} (Ctrl-C stops)"));
            shown = session.show(&output, Interim::Answer);
        })?;
        shown?;
        Ok(Output::new(json!({"url": url, "stopped": true})).text("stopped"))
    }
}

/// The versions that answer, a line for each model.
fn serving(state: &ServerState, session: &Session) -> Result<String> {
    let mut lines = Vec::new();
    for (name, info) in state.models() {
        lines.push(match (info, state.problem(name)) {
            (Some(info), _) => format!("serving {name}/{} ({})", info.version, info.stage),
            (None, problem) => unserved(name, problem, session)?,
        });
    }
    Ok(lines.join("\n"))
}

/// The reason why the model `name` answers nothing: a name that is mistyped reads otherwise than a
/// model that waits for a promotion, or one that cannot be loaded.
fn unserved(name: &str, problem: Option<String>, session: &Session) -> Result<String> {
    let models = session.book.tracker()?.models()?;
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    let what = match problem {
        Some(problem) if names.contains(&name) => {
            return Ok(format!("questions to {name} answer 503: {problem}"));
        }
        _ if names.contains(&name) => format!("{name} has no Production version"),
        _ if names.is_empty() => format!("there is no model {name} yet, nor any other"),
        _ => format!("there is no model {name} (there are {})", names.join(", ")),
    };
    Ok(format!("{what}: questions to it answer 503 until a version of it is promoted"))
}

/// The place for servers that outlive a command, which `flag` needs.
fn kept<'a>(session: &'a Session, flag: &str) -> Result<&'a Servers> {
    session.servers.as_ref().ok_or_else(|| {
        Error::invalid(format!(
            "{flag} needs a session that goes on, and this command is all there is"
        ))
        .with_hint("use it in the shell or in a notebook; here leave it out, and end with Ctrl-C")
    })
}

fn stop(servers: &Servers) -> Result<Output> {
    let mut urls = Vec::new();
    for server in servers.take() {
        urls.push(server.url());
        server.stop()?;
    }
    let text = match urls.as_slice() {
        [] => "nothing was serving in the background".to_owned(),
        urls => format!("stopped {}", urls.join(", ")),
    };
    Ok(Output::new(json!({"stopped": urls})).text(text))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    #[test]
    fn a_model_is_followed_or_a_version_kept() {
        let check = |arguments: &[&str], models: &[&str], pin: Option<u32>| {
            let line = Line::try_parse_from([&["serve"], arguments].concat()).unwrap();
            let expected = (models.iter().map(|&name| name.to_owned()).collect(), pin);
            assert_eq!(line.serve.followed().unwrap(), expected, "{arguments:?}");
        };
        check(&[], &[], None);
        check(&["--model", "A"], &["A"], None);
        check(&["--model", "models:/A/Production,B"], &["A", "B"], None);
        check(&["--model", "A/3"], &["A"], Some(3));
        check(&["--model", "models:/A/3", "--pin", "3"], &["A"], Some(3));
        check(&["--model", "A", "--pin", "3"], &["A"], Some(3));
        for refused in
            [&["--model", "A/3", "--pin", "4"][..], &["--model", "A@b"], &["--model", "A/latest"]]
        {
            let line = Line::try_parse_from([&["serve"], refused].concat()).unwrap();
            assert!(line.serve.followed().unwrap_err().hint().is_some(), "{refused:?}");
        }
    }
}
