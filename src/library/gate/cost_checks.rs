//! The checks of a policy on what answers cost, `[latency]` and `[memory]`: their bounds, and the judging by what
//! was measured. It measures nothing.

use serde::{Deserialize, Serialize};

use super::{costs::Costs, judgement::Check, level::Level};
use crate::{
    error::{Error, Result},
    figure,
    model::MemoryUse,
};

/// `[latency]`: the 95th percentile of the time that one text takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyCheck {
    /// The most milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// The most times what Production takes, measured beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ratio: Option<f64>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// `[memory]`: what the loaded model takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryCheck {
    /// The most bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// The most times what Production takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ratio: Option<f64>,
    /// The consequence when it is not met.
    #[serde(default)]
    pub level: Level,
}

/// The measured costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct CostFacts<'a> {
    /// The measurement, or the reason why there is none.
    pub(super) costs: Result<&'a Costs, &'a str>,
    /// True if another version is in Production.
    pub(super) has_rival: bool,
}

impl LatencyCheck {
    /// # Errors
    /// No bound, or one that is no positive number.
    pub(super) fn check(&self) -> Result<()> {
        one_of("latency", "max_ms", self.max_ms.is_some(), self.max_ratio)?;
        self.max_ms.map_or(Ok(()), |max_ms| positive("latency.max_ms", max_ms))
    }

    /// A check for each bound.
    pub(super) fn judge(&self, facts: CostFacts<'_>) -> Vec<Check> {
        let found = facts.costs.and_then(|costs| {
            costs.latency.as_ref().ok_or("the time of an answer was not measured")
        });
        let mut checks = Vec::new();
        if let Some(max_ms) = self.max_ms {
            let name = format!("95th percentile of the time of one text <= {max_ms} ms");
            checks.push(match found {
                Err(why) => unknown(name, self.level, why),
                Ok(found) => {
                    let found_ms = found.candidate.p95_ms;
                    let reason = format!(
                        "95 of 100 texts are answered within {}, half of them within {} ({}, one at a \
                         time)",
                        ms(found_ms),
                        ms(found.candidate.p50_ms),
                        figure::counted(found.n_texts, "test text")
                    );
                    check(name, self.level, (found_ms, max_ms), reason)
                }
            });
        }
        if let Some(max_ratio) = self.max_ratio {
            let name =
                format!("95th percentile of the time of one text <= {max_ratio} × Production's");
            checks.push(match found.map(|found| (found, found.production)) {
                _ if !facts.has_rival => alone(name, self.level),
                Err(why) => unknown(name, self.level, why),
                Ok((_, None)) => unknown(name, self.level, "Production was not measured beside it"),
                Ok((found, Some(production))) => {
                    let ratio = found.candidate.p95_ms / production.p95_ms;
                    let reason = format!(
                        "{} beside Production's {}: {ratio:.2} times, in turns on {}",
                        ms(found.candidate.p95_ms),
                        ms(production.p95_ms),
                        figure::counted(found.n_texts, "test text")
                    );
                    check(name, self.level, (ratio, max_ratio), reason)
                }
            });
        }
        checks
    }
}

impl MemoryCheck {
    /// # Errors
    /// No bound, or one that is no positive number.
    pub(super) fn check(&self) -> Result<()> {
        one_of("memory", "max_bytes", self.max_bytes.is_some(), self.max_ratio)?;
        match self.max_bytes {
            Some(0) => Err(Error::invalid("memory.max_bytes is 0: must be >= 1")),
            _ => Ok(()),
        }
    }

    /// A check for each bound.
    pub(super) fn judge(&self, facts: CostFacts<'_>) -> Vec<Check> {
        const UNTOLD: &str = "the model does not tell what it takes";
        let own = facts.costs.and_then(|costs| costs.memory.candidate.as_ref().ok_or(UNTOLD));
        let mut checks = Vec::new();
        if let Some(max_bytes) = self.max_bytes {
            let name = format!("bytes in memory <= {max_bytes}");
            checks.push(match own {
                Err(why) => unknown(name, self.level, why),
                Ok(MemoryUse { n_bytes, counted }) => {
                    let reason = format!(
                        "the loaded model takes {}, computed for {counted}, and {} are allowed",
                        figure::bytes(*n_bytes),
                        figure::bytes(max_bytes)
                    );
                    check(name, self.level, (*n_bytes as f64, max_bytes as f64), reason)
                }
            });
        }
        if let Some(max_ratio) = self.max_ratio {
            let name = format!("bytes in memory <= {max_ratio} × Production's");
            let other = facts.costs.map(|costs| costs.memory.production.as_ref());
            checks.push(match (own, other) {
                _ if !facts.has_rival => alone(name, self.level),
                (Err(why), _) | (_, Err(why)) => unknown(name, self.level, why),
                (_, Ok(None)) => {
                    unknown(name, self.level, "Production's model does not tell what it takes")
                }
                (Ok(own), Ok(Some(other))) => {
                    let ratio = own.n_bytes as f64 / other.n_bytes as f64;
                    let reason = format!(
                        "{} beside Production's {}: {ratio:.2} times, computed for {}",
                        figure::bytes(own.n_bytes),
                        figure::bytes(other.n_bytes),
                        own.counted
                    );
                    check(name, self.level, (ratio, max_ratio), reason)
                }
            });
        }
        checks
    }
}

/// That a check has a bound, and that a ratio is a positive number.
fn one_of(name: &str, bound: &str, has_bound: bool, max_ratio: Option<f64>) -> Result<()> {
    match max_ratio {
        None if has_bound => Ok(()),
        None => {
            Err(Error::invalid(format!("{name} has no bound: expected {bound}, max_ratio or both")))
        }
        Some(max_ratio) => positive(&format!("{name}.max_ratio"), max_ratio),
    }
}

fn positive(name: &str, found: f64) -> Result<()> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} is {found}: must be a number above 0")))
}

fn check(name: String, level: Level, (found, most): (f64, f64), reason: String) -> Check {
    // What is no number is not met.
    let passed = found <= most;
    let (candidate, required) = (Some(found), Some(most));
    Check { name, candidate, required, passed, level, reason: Some(reason) }
}

/// A check without the facts that it needs: it is not met.
fn unknown(name: String, level: Level, why: &str) -> Check {
    let reason = Some(format!("{name} cannot be judged: {why}"));
    Check { name, candidate: None, required: None, passed: false, level, reason }
}

/// A check against Production where there is no other version: it is met.
fn alone(name: String, level: Level) -> Check {
    let reason = Some("no other Production version to compare with".to_owned());
    Check { name, candidate: None, required: None, passed: true, level, reason }
}

fn ms(milliseconds: f64) -> String {
    match milliseconds < 0.1 {
        true => format!("{:.1} µs", milliseconds * 1e3),
        false => format!("{milliseconds:.2} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::costs::{Latency, LatencyPair, MemoryPair},
        *,
    };

    fn costs(production: bool) -> Costs {
        let memory = |n_bytes| Some(MemoryUse { n_bytes, counted: "its coefficients".to_owned() });
        Costs {
            latency: Some(LatencyPair {
                n_texts: 200,
                candidate: Latency { p50_ms: 1.0, p95_ms: 3.0 },
                production: production.then_some(Latency { p50_ms: 1.0, p95_ms: 2.0 }),
            }),
            memory: MemoryPair {
                candidate: memory(3000),
                production: if production { memory(2000) } else { None },
            },
        }
    }

    fn latency(max_ms: Option<f64>, max_ratio: Option<f64>) -> LatencyCheck {
        LatencyCheck { max_ms, max_ratio, level: Level::Warn }
    }

    fn memory(max_bytes: Option<u64>, max_ratio: Option<f64>) -> MemoryCheck {
        MemoryCheck { max_bytes, max_ratio, level: Level::Block }
    }

    #[test]
    fn bounds_are_met_at_their_line_and_not_above_it() {
        let costs = costs(true);
        let facts = CostFacts { costs: Ok(&costs), has_rival: true };
        for (max_ms, max_ratio, expected) in [
            (3.0, 1.5, [true, true]),
            (2.999, 1.499, [false, false]),
            (3.001, 1.499, [true, false]),
        ] {
            let checks = latency(Some(max_ms), Some(max_ratio)).judge(facts);
            let passed: Vec<bool> = checks.iter().map(|check| check.passed).collect();
            assert_eq!(passed, expected, "{checks:?}");
            assert!(checks.iter().all(|check| check.level == Level::Warn));
        }
        for (max_bytes, max_ratio, expected) in
            [(3000, 1.5, [true, true]), (2999, 1.499, [false, false])]
        {
            let checks = memory(Some(max_bytes), Some(max_ratio)).judge(facts);
            let passed: Vec<bool> = checks.iter().map(|check| check.passed).collect();
            assert_eq!(passed, expected, "{checks:?}");
        }
        let [time] = &latency(Some(9.0), None).judge(facts)[..] else { panic!() };
        assert_eq!(
            time.reason.as_deref(),
            Some(
                "95 of 100 texts are answered within 3.00 ms, half of them within 1.00 ms (200 test texts, \
                 one at a time)"
            )
        );
        let [bytes] = &memory(None, Some(2.0)).judge(facts)[..] else { panic!() };
        assert_eq!(
            bytes.reason.as_deref(),
            Some("3.0 kB beside Production's 2.0 kB: 1.50 times, computed for its coefficients")
        );
    }

    #[test]
    fn what_is_not_known_is_not_met_and_without_production_ratios_are() {
        let whole = costs(false);
        let all = |facts| -> Vec<bool> {
            let (time, bytes) = (latency(Some(9.0), Some(2.0)), memory(Some(9000), Some(2.0)));
            let checks = time.judge(facts).into_iter().chain(bytes.judge(facts));
            checks.map(|check| check.passed).collect()
        };
        let facts = |costs, has_rival| CostFacts { costs, has_rival };
        assert_eq!(all(facts(Ok(&whole), false)), [true, true, true, true]);
        assert_eq!(all(facts(Ok(&whole), true)), [true, false, true, false]);
        assert_eq!(all(facts(Err("no such dataset"), false)), [false, true, false, true]);
        let silent =
            Costs { latency: None, memory: MemoryPair { candidate: None, ..whole.memory.clone() } };
        assert_eq!(all(facts(Ok(&silent), true)), [false; 4]);
    }

    #[test]
    fn a_time_that_is_no_number_is_not_met() {
        let mut costs = costs(true);
        costs.latency.as_mut().unwrap().candidate.p95_ms = f64::NAN;
        let facts = CostFacts { costs: Ok(&costs), has_rival: true };
        assert!(!latency(Some(9.0), None).judge(facts)[0].passed);
    }

    #[test]
    fn bounds_that_are_none_are_refused() {
        let refused = |outcome: Result<()>| outcome.unwrap_err().to_string();
        assert_eq!(
            refused(latency(None, None).check()),
            "latency has no bound: expected max_ms, max_ratio or both"
        );
        assert_eq!(
            refused(memory(None, None).check()),
            "memory has no bound: expected max_bytes, max_ratio or both"
        );
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(refused(latency(Some(bad), None).check()).starts_with("latency.max_ms is "));
            assert!(refused(latency(None, Some(bad)).check()).starts_with("latency.max_ratio is "));
            assert!(
                refused(memory(Some(1), Some(bad)).check()).starts_with("memory.max_ratio is ")
            );
        }
        assert_eq!(refused(memory(Some(0), None).check()), "memory.max_bytes is 0: must be >= 1");
        assert!(latency(Some(1.0), None).check().is_ok());
    }
}
