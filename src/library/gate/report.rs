//! A verdict as a short report: the decision, the checks, the comparison with Production and what it
//! would take to tell. One list of sections, written for people or as Markdown.

use super::{
    METRIC, Verdict,
    evidence::{Evidence, percent, points, signed},
};
use crate::{
    evaluate::PairedDifference,
    figure::{self, short},
    markup::escape,
    output::{Align, Output, Table},
};

/// The metrics that a report sets beside Production's.
const COMPARED: [&str; 8] =
    ["accuracy", "precision", "recall", METRIC, "roc_auc", "log_loss", "brier", "ece"];

/// One part of a report under its own title.
struct ReportSection {
    title: &'static str,
    table: Option<Table>,
    sentences: Vec<String>,
}

impl Verdict {
    /// The verdict as a report, with what to do next; a no is marked as blocked.
    pub fn report(&self) -> Output {
        let mut output = Output::new(self).text(self.headline()).text(self.asked());
        for ReportSection { title, table, sentences } in self.sections() {
            output = output.text(format!("\n{title}"));
            if let Some(table) = table {
                output = output.table(table);
            }
            if !sentences.is_empty() {
                output = output.text(sentences.join("\n"));
            }
        }
        let output = output.text("").hint(self.advice());
        if self.passed { output } else { output.blocked() }
    }

    /// The person who asked, the time, and the rule.
    fn asked(&self) -> String {
        let rule = match &self.policy_record {
            Some(record) => format!("by policy {}", short(&record.sha256)),
            None => "by the default rule".to_owned(),
        };
        format!("judged {rule} at {} UTC, asked for by {}", figure::time(self.at_ms), self.who)
    }

    fn sections(&self) -> Vec<ReportSection> {
        let mut sections = vec![self.decision()];
        sections.extend(self.comparison());
        sections.extend(self.evidence.as_ref().map(told));
        if let (None, Some(why)) = (&self.evidence, &self.no_evidence) {
            let sentences = vec![format!("There is none: {why}.")];
            sections.push(ReportSection { title: "Evidence", table: None, sentences });
        }
        sections
    }

    fn decision(&self) -> ReportSection {
        // The default rule has one check, whose reason stands below.
        let has_reasons = self.checks.iter().any(|check| check.reason.is_some());
        let table = self.checks_table(has_reasons);
        let sentences = self.reasons.iter().map(|reason| format!("because {reason}")).collect();
        ReportSection { title: "Decision", table: Some(table), sentences }
    }

    /// Both versions' metrics, where they were measured on the same test split.
    fn comparison(&self) -> Option<ReportSection> {
        let baseline =
            self.baseline.as_ref().filter(|baseline| baseline.version != self.version)?;
        if baseline.test_fingerprint != self.candidate.test_fingerprint {
            return None;
        }
        let (own, other) =
            (format!("version {}", self.version), format!("version {}", baseline.version));
        let mut table = Table::new([
            ("metric", Align::Left),
            (own.as_str(), Align::Right),
            (other.as_str(), Align::Right),
            ("difference", Align::Right),
        ]);
        for key in COMPARED {
            let (Some(own), Some(other)) =
                (self.candidate.metrics.get(key), baseline.metrics.get(key))
            else {
                continue;
            };
            let title = if key == METRIC { self.metric() } else { key.to_owned() };
            table.push([title, figure::metric(*own), figure::metric(*other), signed(own - other)]);
        }
        let measured = if baseline.reevaluated {
            "Production was measured again on this version's test split."
        } else {
            "Both were measured on the same test split."
        };
        let sentences = vec![measured.to_owned()];
        Some(ReportSection { title: "Beside Production", table: Some(table), sentences })
    }

    /// The report as Markdown, for a pull request.
    fn to_markdown(&self) -> String {
        let word = if self.passed { "passed" } else { "**blocked**" };
        let name = inline(&self.model);
        let mut text = format!(
            "## {name} version {}: gate {word}\n\n{}\n",
            self.version,
            inline(&capitalised(&self.asked()))
        );
        for ReportSection { title, table, sentences } in self.sections() {
            text.push_str(&format!("\n### {title}\n"));
            if let Some(table) = table {
                text.push('\n');
                text.push_str(&pipes(&table));
            }
            if !sentences.is_empty() {
                let sentences: Vec<String> =
                    sentences.iter().map(|sentence| format!("- {}\n", inline(sentence))).collect();
                text.push('\n');
                text.push_str(&sentences.concat());
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// A verdict's report as Markdown, for a pull request.
pub fn markdown(verdict: &Verdict) -> String {
    verdict.to_markdown()
}

/// The certainty of the comparison.
fn told(evidence: &Evidence) -> ReportSection {
    let mut table = Table::new([
        ("difference in", Align::Left),
        ("found", Align::Right),
        ("95 % from", Align::Right),
        ("to", Align::Right),
    ]);
    let bootstrap = &evidence.bootstrap;
    for (key, found) in [(METRIC, bootstrap.f1), ("accuracy", bootstrap.accuracy)] {
        let PairedDifference { difference, lower, upper } = found;
        table.push([key.to_owned(), signed(difference), signed(lower), signed(upper)]);
    }
    let (mcnemar, power) = (evidence.mcnemar, evidence.power);
    let mut sentences = vec![
        format!(
            "Of {}, only this version is right in {}, only Production in {}.",
            figure::counted(evidence.n_examples, "test row"),
            figure::count(mcnemar.n_only_first),
            figure::count(mcnemar.n_only_second)
        ),
        format!(
            "McNemar's exact test: p = {}, {}.",
            figure::metric(mcnemar.p_value),
            evidence.told()
        ),
        format!("The two agree on {}.", percent(evidence.agreement)),
        format!("{}.", capitalised(&power.told())),
    ];
    if let Some(tellable) = power.tellable {
        sentences.push(format!(
            "This test split can show a difference of {} points or more.",
            points(tellable)
        ));
    }
    sentences.extend(
        evidence.thresholds.map(|thresholds| format!("{}.", capitalised(&thresholds.told()))),
    );
    sentences.push(format!(
        "Intervals: percentiles of {} paired bootstrap resamples, seed {}. Sizes: McNemar's test at 0.05 \
         with power 0.8, after Connor 1987.",
        figure::count(bootstrap.n_resamples),
        bootstrap.seed
    ));
    ReportSection { title: "Evidence", table: Some(table), sentences }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Text that Markdown takes for nothing but text.
fn inline(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in escape(text).chars() {
        match letter {
            '\n' | '\r' => written.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' => written.extend(['\\', letter]),
            letter => written.push(letter),
        }
    }
    written
}

fn pipes(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let heads = line(table.columns().iter().map(|(head, _)| inline(head)).collect());
    let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" };
    let rules = line(table.columns().iter().map(|(_, align)| rule(align).to_owned()).collect());
    let rows = table.rows().iter().map(|row| line(row.iter().map(|cell| inline(cell)).collect()));
    heads + &rules + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::{
        super::verdict::tests::{verdict, version},
        *,
    };
    use crate::{output::Outcome, registry::Stage};

    fn explained() -> Verdict {
        let production = version(1, 0.91, Stage::Production);
        let mut verdict = verdict(&version(2, 0.9, Stage::None), Some(&production));
        let labels: Vec<u32> = (0..1000).map(|idx| idx % 2).collect();
        let flipped = |every: u32| -> Vec<u32> {
            (0..1000).map(|idx| if idx % every == 0 { 1 - idx % 2 } else { idx % 2 }).collect()
        };
        verdict.evidence =
            Some(Evidence::of(&labels, &flipped(10), &flipped(11), 2, 0.002).unwrap());
        verdict
    }

    #[test]
    fn a_report_reads_from_the_decision_to_what_it_would_take() {
        let output = explained().report();
        assert_eq!(output.outcome(), Outcome::Blocked);
        let text = output.to_text(None);
        let places: Vec<usize> = [
            "M version 2: gate BLOCKED",
            "judged by the default rule at ",
            "\nDecision",
            "because f1 0.9000 is below 0.9100",
            "\nBeside Production",
            "-0.0100",
            "\nEvidence",
            "Of 1,000 test rows, only this version is right in 81, only Production in 90.",
            "McNemar's exact test: p = 0.5",
            "To tell a difference as found takes about",
            "This test split can show a difference of",
            "Intervals: percentiles of 10,000 paired bootstrap resamples, seed 42.",
            "overrule with",
        ]
        .into_iter()
        .map(|part| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in\n{text}")))
        .collect();
        assert!(places.is_sorted(), "{text}");
        assert_eq!(output.json()["evidence"]["n_examples"], 1000);
    }

    #[test]
    fn markdown_has_the_same_parts_and_takes_names_for_text() {
        let mut verdict = explained();
        verdict.model = "a|b <i>*x*</i>".to_owned();
        let text = markdown(&verdict);
        let first = text.lines().next().unwrap();
        assert_eq!(first, "## a\\|b &lt;i&gt;\\*x\\*&lt;/i&gt; version 2: gate **blocked**");
        assert!(
            text.contains(
                "| check | candidate | required | verdict |\n| --- | ---: | ---: | --- |\n"
            )
        );
        assert!(
            text.contains("| accuracy | ") && text.contains("\n- The two agree on 82.9 %.\n"),
            "{text}"
        );
        for title in ["### Decision", "### Beside Production", "### Evidence"] {
            assert!(text.contains(&format!("\n{title}\n")), "{text}");
        }
    }

    #[test]
    fn a_verdict_without_evidence_says_why() {
        let mut verdict = verdict(&version(1, 0.9, Stage::None), None);
        verdict.no_evidence = Some("no Production version to compare with".to_owned());
        let text = verdict.report().to_text(None);
        assert!(text.contains("There is none: no Production version to compare with."), "{text}");
        assert!(!text.contains("Beside Production"));
    }
}
