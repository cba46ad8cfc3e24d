//! A release with its numbers, for people and programs: how far it is, what both versions did, and which
//! checks hold.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    release_checks::{StepEvidence, milliseconds},
    release_counts::{ArmCounts, ReleaseCounts, StepCounts},
    release_evidence::LoggedEvidence,
    release_judgement::{ReleaseDecision, ReleaseJudgement, judge_release},
    release_verdict::AbVerdict,
};
use crate::{
    figure,
    hint::{CommandLine, Hint},
    output::{Align, Output, Table},
    registry::{Release, ReleaseKind, counted_percent, percent},
};

/// A release and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReleaseStatus {
    /// The release.
    pub release: Release,
    /// Servers whose counts these are.
    pub n_servers: usize,
    /// The counts at the present step, in figures.
    pub step: Value,
    /// Those of all steps together.
    pub total: Value,
    /// The judgement by them, while it runs.
    pub judgement: Option<ReleaseJudgement>,
    /// What labels say of an A/B test; none without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<AbVerdict>,
    #[serde(skip)]
    step_counts: StepCounts,
    #[serde(skip)]
    total_counts: StepCounts,
}

impl ReleaseStatus {
    /// Of `release`, by the `counts` of `n_servers` servers and what the logs say.
    pub fn new(
        release: Release,
        counts: &ReleaseCounts,
        n_servers: usize,
        logged: &LoggedEvidence,
    ) -> Self {
        let (step, total) = (counts.step(release.step_idx), counts.total());
        let seen = StepEvidence { counts: &step, logged };
        let judgement = release.is_running().then(|| judge_release(&release, seen));
        Self {
            n_servers,
            step: step.figures(),
            total: total.figures(),
            judgement,
            verdict: logged.verdict(&release),
            step_counts: step,
            total_counts: total,
            release,
        }
    }

    /// The same counts, of the release as it is by now.
    pub fn with_release(self, release: Release) -> Self {
        let judgement = self.judgement.filter(|_| release.is_running());
        Self { release, judgement, ..self }
    }

    /// The counts and checks as they are kept with a decision.
    pub fn evidence(&self) -> Value {
        let mut evidence = json!({
            "step_idx": self.release.step_idx,
            "counts": self.step,
            "total": self.total,
            "n_servers": self.n_servers,
            "checks": self.judgement.as_ref().map(|judgement| &judgement.checks),
        });
        if let Some(verdict) = self.verdict {
            evidence["verdict"] = json!(verdict);
        }
        evidence
    }

    /// One line: what is tried, how, and how far it is.
    pub fn headline(&self) -> String {
        let Release { model, number, kind, candidate, production, state, steps, .. } =
            &self.release;
        let what = match kind {
            ReleaseKind::Shadow => "as a shadow of",
            ReleaseKind::Canary => "as a canary beside",
            ReleaseKind::Ab => "in an A/B test with",
        };
        let (step, n_steps) = (self.release.step_idx + 1, steps.len());
        let how_far = match (self.release.is_running(), kind, n_steps) {
            (false, ..) => format!("{state}: {}", self.release.reason),
            (true, ReleaseKind::Shadow, _) => "running, it answers nobody".to_owned(),
            (true, _, 1) => format!("running at {}", percent(self.release.step().share)),
            (true, ..) => format!(
                "running at {}, step {step} of {n_steps}",
                percent(self.release.step().share)
            ),
        };
        format!(
            "release {number} of {model}: version {candidate} {what} version {production}; {how_far}"
        )
    }

    /// The counts that tell most: of the present step while it runs, of all steps once it has ended.
    fn told_counts(&self) -> &StepCounts {
        if self.release.is_running() { &self.step_counts } else { &self.total_counts }
    }

    /// It for people and programs.
    pub fn to_output(&self) -> Output {
        let mut table = Table::new([
            ("version", Align::Left),
            ("requests", Align::Right),
            ("failed", Align::Right),
            ("median", Align::Right),
            ("95 %", Align::Right),
        ]);
        let counts = self.told_counts();
        let Release { production, candidate, .. } = self.release;
        for (version, arm) in [(production, &counts.production), (candidate, &counts.candidate)] {
            let quantile =
                |q| arm.durations.quantile_ms(q).map_or_else(|| "–".to_owned(), milliseconds);
            table.push([
                version.to_string(),
                figure::count(arm.n_requests),
                figure::count(arm.n_errors),
                quantile(0.5),
                quantile(0.95),
            ]);
        }
        let mut lines = Vec::new();
        if let Some(agreement) = counts.pairs.agreement() {
            lines.push(format!(
                "same label on {} of {}; {} not compared",
                counted_percent(agreement),
                figure::counted(counts.pairs.n_texts, "text"),
                figure::counted(counts.pairs.n_dropped, "request"),
            ));
        }
        if !self.release.is_running() && self.release.step_idx > 0 {
            lines.push(format!("counted over all of its {} steps", self.release.step_idx + 1));
        }
        let checks = self.judgement.iter().flat_map(|judgement| &judgement.checks);
        lines.extend(
            checks.map(|one| format!("{}: {} ({})", one.check, one.state.as_str(), one.detail)),
        );
        // While it runs, a check says so.
        if let Some(verdict) = self.verdict.filter(|_| !self.release.is_running()) {
            lines.push(format!("verdict: {}", verdict.told()));
        }
        if let Some(overruled) = &self.release.overruled {
            lines.push(format!(
                "{} overruled the gate: {} ({})",
                self.release.started_by, overruled.reason, overruled.objection
            ));
        }
        let output = Output::new(self).text(self.headline()).table(table);
        let output = match lines.is_empty() {
            true => output,
            false => output.text(lines.join("\n")),
        };
        match self.next() {
            Some(next) => output.hint(next),
            None => output,
        }
    }

    /// What a person can do now.
    fn next(&self) -> Option<Hint> {
        let model = &self.release.model;
        let decision = self.judgement.as_ref()?.decision;
        let hint = match decision {
            ReleaseDecision::Ready if self.release.kind == ReleaseKind::Ab => {
                Hint::from("the test is decided, and a person promotes: ")
            }
            ReleaseDecision::Ready => Hint::from("its checks have held, and a person promotes: "),
            _ => Hint::new(),
        };
        Some(
            hint.run(CommandLine::new("release promote").arg(model))
                .say(" puts it in Production, ")
                .run(CommandLine::new("release stop").arg(model))
                .say(" takes it back"),
        )
    }
}

impl StepCounts {
    /// The counts in figures: rates and quantiles in place of classes.
    pub fn figures(&self) -> Value {
        let arm = |arm: &ArmCounts| {
            let quantile = |q| arm.durations.quantile_ms(q).map(rounded);
            json!({
                "n_requests": arm.n_requests,
                "n_errors": arm.n_errors,
                "p50_ms": quantile(0.5),
                "p95_ms": quantile(0.95),
                "p99_ms": quantile(0.99),
            })
        };
        let pairs = &self.pairs;
        let mean = |sum: f64| (pairs.n_texts > 0).then(|| rounded(sum / pairs.n_texts as f64));
        json!({
            "baked_s": self.baked_ms as f64 / 1e3,
            "production": arm(&self.production),
            "candidate": arm(&self.candidate),
            "n_compared": pairs.n_texts,
            "agreement": pairs.agreement().map(rounded),
            "confidence_difference": mean(pairs.confidence_difference),
            "n_dropped": pairs.n_dropped,
        })
    }
}

/// Six digits behind the point are more than the counts know.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::release_judgement::tests::release, *};
    use crate::registry::{ReleaseBounds, ReleaseState};

    #[test]
    fn a_release_that_has_ended_tells_the_counts_of_all_its_steps() {
        let mut counts = ReleaseCounts::default();
        for (step_idx, n) in [(0, 70), (1, 5)] {
            let step = counts.at(step_idx);
            (0..n).for_each(|_| step.candidate.answered(Duration::from_millis(3)));
        }
        let running = Release { step_idx: 1, ..release(ReleaseBounds::default()) };
        let status = ReleaseStatus::new(running.clone(), &counts, 1, &LoggedEvidence::default());
        let told = |status: &ReleaseStatus| {
            let text = status.to_output().to_text(None);
            let row =
                text.lines().find(|line| line.starts_with("2 ")).expect("the candidate's row");
            (row.split_whitespace().nth(1).unwrap().to_owned(), text.contains("all of its 2 steps"))
        };
        assert_eq!(told(&status), ("5".to_owned(), false));
        let ended = Release { state: ReleaseState::Promoted, ..running };
        assert_eq!(told(&status.with_release(ended)), ("75".to_owned(), true));
    }
}
