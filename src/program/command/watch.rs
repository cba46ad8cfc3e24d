//! `watch`: looks again and again whether a model is to be trained anew by the `[retrain]` of the policy, and does
//! it: a dataset with the labels that came, a training, the gate, a release. Each step is the command that a
//! person would type; the rule decides, and this only carries it out.

use std::{path::Path, thread, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use trialbook::{
    book::now_ms,
    error::{Error, ErrorKind, Result},
    figure,
    gate::{RetrainDecision, RetrainFacts, RetrainRule, StoredPolicy},
    hint::{CommandLine, Hint},
    output::{Align, Outcome, Output, Table},
    registry::{ModelVersion, Registry},
    span::Span,
};

use super::{
    CheckWords, Interim, Session, Typed,
    named::{model_forms, model_or_default},
};

/// The time between two looks for an interrupt.
const NAP: Duration = Duration::from_millis(200);

/// `watch Reviews --every 10m`
#[derive(Debug, Clone, Args)]
pub struct WatchCommand {
    #[arg(help = model_forms!("; without it the one model in production"))]
    name: Option<String>,
    /// The time between two looks: 30s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = span, conflicts_with = "once")]
    every: Span,
    /// Look once, for a schedule of somebody else's
    #[arg(long)]
    once: bool,
    /// Look once, say what would be done, and do nothing
    #[arg(long, conflicts_with = "every")]
    dry_run: bool,
}

/// A span of time, or how one is written.
fn span(text: &str) -> Result<Span> {
    Span::parse(text).ok_or_else(|| {
        Error::invalid(format!("{text:?} is no time")).with_hint("write 30s, 10m, 12h or 7d")
    })
}

/// One look: the version in Production, the facts, and what the rule makes of them.
struct Look {
    version: ModelVersion,
    rule: RetrainRule,
    policy_sha256: String,
    facts: RetrainFacts,
    decision: RetrainDecision,
    now_ms: i64,
}

/// A training by the rule, as far as it came.
#[derive(Default)]
struct Retraining {
    dataset: Option<String>,
    version: Option<u64>,
    passed: Option<bool>,
    release: Option<Value>,
    /// The commands, as a person would have typed them.
    lines: Vec<String>,
}

impl WatchCommand {
    pub(super) fn run(&self, session: &Session, typed: Typed, check: CheckWords) -> Result<Output> {
        // Cool-downs and the audit trail are the store's own, also where the models lie in another registry.
        let trail = session.book.registry()?;
        loop {
            let outcome = self
                .look(session, trail, check)
                .and_then(|look| self.act(session, trail, look, typed));
            if self.once || self.dry_run {
                return outcome;
            }
            match outcome {
                Ok(output) => session.show(&output, Interim::Answer)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                // The next look may find what this one lacked: a policy, a version, a registry that answers.
                Err(error) => {
                    tracing::error!(error = error.chain(), "a look failed");
                    let told = Output::new(json!({"error": error.chain()}));
                    session.show(
                        &told.text(format!("{}: {}", figure::time(now_ms()), error.chain())),
                        Interim::Answer,
                    )?;
                }
            }
            let mut left = Duration::from(self.every);
            while !left.is_zero() {
                session.monitor.interrupt.check()?;
                let nap = left.min(NAP);
                thread::sleep(nap);
                left -= nap;
            }
        }
    }

    fn look(&self, session: &Session, trail: &Registry, check: CheckWords) -> Result<Look> {
        let policy = StoredPolicy::current(session.book.store())?;
        let rule = policy.as_ref().and_then(|policy| policy.checks.retrain.clone());
        let (Some(policy), Some(rule)) = (policy, rule) else {
            return Err(Error::new(
                ErrorKind::NotFound,
                "the policy has no [retrain]: nothing to watch for",
            )
            .with_hint(
                Hint::from("write one into the policy's file, and set it with ")
                    .run("gate policy set FILE"),
            ));
        };
        check_rule(session, &rule, check)?;
        let reference = model_or_default(session, self.name.as_ref())?;
        if !reference.is_bare() {
            return Err(Error::invalid(format!("{reference} is a version")).with_hint(format!(
                "watch looks after a model, whichever version answers: name {}",
                reference.model
            )));
        }
        let model = reference.model;
        let version = session.book.tracker()?.production(&model)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{model} has no version in Production"))
        })?;
        let now_ms = now_ms();
        let facts = session.book.retrain_facts(&rule, &version, trail, now_ms, &session.monitor)?;
        let decision = rule.decide(&facts, now_ms);
        Ok(Look { version, rule, policy_sha256: policy.sha256, facts, decision, now_ms })
    }

    fn act(&self, session: &Session, trail: &Registry, look: Look, typed: Typed) -> Result<Output> {
        if !look.decision.trains() {
            return Ok(look.to_output());
        }
        if self.dry_run {
            let lines: String =
                look.plan().iter().map(|line| format!("\n  trialbook {line}")).collect();
            return Ok(look.to_output().text(format!("\nwould run:{lines}")));
        }
        let since_ms = look.now_ms.saturating_sub(look.rule.cooldown.millis());
        let reasons: Vec<String> = look.decision.reasons.iter().map(ToString::to_string).collect();
        let model = &look.version.model;
        let begins = trail.begin_retraining(
            model,
            since_ms,
            json!({"reasons": reasons, "facts": look.decision.reasons, "policy": look.policy_sha256}),
        )?;
        if !begins {
            return Ok(look.to_output().text("\nanother process has begun to train it"));
        }
        tracing::info!(model, reasons = reasons.join("; "), "trains again");
        let mut done = Retraining::default();
        let outcome = done.run(session, &look, typed);
        let mut details = done.to_json();
        if let Err(error) = &outcome {
            let chain = error.chain();
            details["error"] = chain.lines().next().unwrap_or_default().into();
        }
        trail.end_retraining(model, details.clone())?;
        outcome?;
        let mut json = look.to_json();
        json["retrained"] = details;
        let lines: String = done.lines.iter().map(|line| format!("\n  trialbook {line}")).collect();
        Ok(look.told(Output::new(json)).text(format!("\nran:{lines}\n{}", done.told(model))))
    }
}

impl Retraining {
    fn run(&mut self, session: &Session, look: &Look, typed: Typed) -> Result<()> {
        let model = &look.version.model;
        let dataset = look.dataset();
        self.type_in(session, typed, &look.dataset_words())?;
        self.dataset = Some(dataset.clone());
        let trained = self.type_in(session, typed, &look.train_words())?;
        let version = trained.json()["version"].as_u64().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the training has registered no version")
        })?;
        self.version = Some(version);
        let number = version.to_string();
        let judged = self.type_in(session, typed, &words(&["gate", model, &number]))?;
        let passed = judged.outcome() != Outcome::Blocked;
        self.passed = Some(passed);
        if !passed || look.rule.release.is_empty() {
            return Ok(());
        }
        let mut release = words(&["release", "start", model, &number]);
        release.extend(look.rule.release.iter().cloned());
        self.release = Some(self.type_in(session, typed, &release)?.json().clone());
        Ok(())
    }

    /// Runs one command, which is shown with its answer.
    fn type_in(&mut self, session: &Session, typed: Typed, words: &[String]) -> Result<Output> {
        session.monitor.interrupt.check()?;
        let line = spelled(words);
        session.show(
            &Output::new(Value::Null).text(format!("\n$ trialbook {line}")),
            Interim::Remark,
        )?;
        self.lines.push(line.clone());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = typed(&words, session).map_err(|error| error.with_context(line))?;
        session.show(&output, Interim::Remark)?;
        Ok(output)
    }

    fn to_json(&self) -> Value {
        json!({
            "dataset": self.dataset,
            "version": self.version,
            "passed": self.passed,
            "release": self.release.as_ref().map(|release| release["release"]["id"].clone()),
            "commands": self.lines,
        })
    }

    fn told(&self, model: &str) -> String {
        let version = self.version.unwrap_or_default();
        match (self.passed, &self.release) {
            (Some(true), Some(_)) => {
                format!("\n{model}/{version} passed the gate, and its release began")
            }
            (Some(true), None) => format!(
                "\n{model}/{version} passed the gate; retrain.release of the policy is empty, so it waits for a person"
            ),
            _ => format!("\n{model}/{version} was blocked by the gate and stays where it is"),
        }
    }
}

impl Look {
    /// The dataset to be made: named after the one that the version was trained on and the day and time.
    fn dataset(&self) -> String {
        let base = self.base();
        let stem = base.split("_labels_").next().unwrap_or(base);
        let digits: String =
            figure::time(self.now_ms).chars().filter(char::is_ascii_digit).collect();
        format!("{stem}_labels_{digits}")
    }

    /// The dataset that the version in Production was trained on.
    fn base(&self) -> &str {
        &self.version.lineage.dataset
    }

    fn dataset_words(&self) -> Vec<String> {
        let dataset = self.dataset();
        let mut words = words(&["data", "from-feedback", &dataset, "--model", &self.version.model]);
        if !self.base().is_empty() {
            words.extend(["--with".to_owned(), self.base().to_owned()]);
        }
        if let Some(texts) = &self.rule.texts {
            words.extend(["--texts".to_owned(), texts.clone()]);
        }
        words
    }

    fn train_words(&self) -> Vec<String> {
        let mut line = words(&["train"]);
        line.extend(self.rule.train.iter().cloned());
        line.extend(words(&["--data", &self.dataset(), "--model", &self.version.model]));
        line
    }

    /// The commands of a training by the rule, as far as they are known before.
    fn plan(&self) -> Vec<String> {
        let model = &self.version.model;
        let mut lines = vec![
            spelled(&self.dataset_words()),
            spelled(&self.train_words()),
            format!("gate {model} NEW"),
        ];
        if !self.rule.release.is_empty() {
            lines.push(format!("release start {model} NEW {}", spelled(&self.rule.release)));
        }
        lines
    }

    fn to_json(&self) -> Value {
        json!({
            "model": self.version.model,
            "production": self.version.version,
            "trains": self.decision.trains(),
            "reasons": self.decision.reasons,
            "waits_until_ms": self.decision.waits_until_ms,
            "lacks_labels": self.decision.lacks_labels,
            "waits_for_release": self.decision.waits_for_release,
            "n_alerts": self.facts.n_alerts,
            "f1": self.facts.f1,
            "n_labels": self.facts.n_labels,
            "n_new_labels": self.facts.n_new_labels,
            "last_ms": self.facts.last_ms,
            "policy": self.policy_sha256,
        })
    }

    fn to_output(&self) -> Output {
        self.told(Output::new(self.to_json()))
    }

    /// Says in `output` what was found, and what follows.
    fn told(&self, output: Output) -> Output {
        let Self { rule, facts, decision, .. } = self;
        let mut table = Table::new([
            ("sign", Align::Left),
            ("found", Align::Right),
            ("trains again at", Align::Left),
        ]);
        if let Some(drift) = rule.drift {
            table.push([
                "windows of drift alerts".to_owned(),
                facts.n_alerts.to_string(),
                format!("{} of {}, one after the other", drift.windows, drift.window),
            ]);
        }
        if let Some(min_f1) = rule.min_f1 {
            table.push([
                format!("F1 by labels of {}", rule.window),
                facts.f1.map_or("-".to_owned(), figure::metric),
                format!("below {min_f1}, by {} labels or more", rule.min_labels),
            ]);
            table.push(["labels of it".to_owned(), figure::count(facts.n_labels), String::new()]);
        }
        table.push([
            "new labels to learn from".to_owned(),
            figure::count(facts.n_new_labels),
            rule.new_labels
                .map_or("1 or more, with another sign".to_owned(), |n| format!("{n} or more")),
        ]);
        let reference = self.version.reference();
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        let said = match (reasons.is_empty(), decision.waits_until_ms, decision.lacks_labels) {
            (true, ..) => format!("{reference} is left as it is"),
            (false, _, true) => format!(
                "{reference}: {}; no new label came since the last training, so there is nothing to learn from",
                reasons.join("; ")
            ),
            (false, ..) if decision.waits_for_release => {
                format!(
                    "{reference}: {}; it waits until the release that runs is over",
                    reasons.join("; ")
                )
            }
            (false, Some(until_ms), _) => format!(
                "{reference}: {}; it is left alone until {} (UTC), {} after the last training",
                reasons.join("; "),
                figure::time(until_ms),
                rule.cooldown
            ),
            (false, None, false) => format!("{reference} is trained again: {}", reasons.join("; ")),
        };
        let output = output
            .text(format!("{} (UTC)", figure::time(self.now_ms)))
            .table(table)
            .text(format!("\n{said}"));
        match decision.lacks_labels {
            true => output.hint(
                Hint::from("label some: ")
                    .run(CommandLine::new("monitor sample").written("-n 50 --out FILE"))
                    .say(", and ")
                    .run("monitor label FILE"),
            ),
            false => output,
        }
    }
}

/// The rule's words are commands, and its texts are there.
///
/// # Errors
/// With the part of the rule that cannot be followed.
pub(super) fn check_rule(session: &Session, rule: &RetrainRule, check: CheckWords) -> Result<()> {
    let of = |part: &'static str| {
        move |error: Error| {
            let said = error.to_string();
            // The parser's further lines are for somebody who types.
            let first = said.lines().next().unwrap_or_default().to_owned();
            Error::invalid(format!("retrain.{part}: {first}"))
        }
    };
    let check = |line: Vec<String>| check(&line.iter().map(String::as_str).collect::<Vec<_>>());
    let mut train = words(&["train"]);
    train.extend(rule.train.iter().cloned());
    train.extend(words(&["--data", "dataset"]));
    check(train).map_err(of("train"))?;
    if !rule.release.is_empty() {
        let mut release = words(&["release", "start", "Model", "1"]);
        release.extend(rule.release.iter().cloned());
        check(release).map_err(of("release"))?;
    }
    if let Some(texts) = &rule.texts {
        let dataset = texts.split_once('.').map_or(texts.as_str(), |(name, _)| name);
        if session.book.datasets().get(dataset).is_err() && !Path::new(texts).exists() {
            return Err(Error::invalid(format!(
                "retrain.texts: {texts:?} is neither a dataset of the store nor a file"
            )));
        }
    }
    Ok(())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The words as a shell reads them.
fn spelled(words: &[String]) -> String {
    let word = |word: &String| match word.contains(' ') {
        true => format!("{word:?}"),
        false => word.clone(),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
