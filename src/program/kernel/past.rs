//! History as Jupyter asks for it: a tail, a range of a session, or a search by a glob.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cell::Entry;

/// A `history_request`. Front ends leave out what does not matter for their kind of access.
#[derive(Debug, Deserialize)]
pub(super) struct HistoryQuery {
    #[serde(default)]
    output: bool,
    #[serde(flatten)]
    access: Access,
}

/// The three kinds of access.
#[derive(Debug, Deserialize)]
#[serde(tag = "hist_access_type", rename_all = "lowercase")]
enum Access {
    Tail {
        n: Option<usize>,
    },
    Range {
        /// 0 is this session, -1 the one before, a positive number the session of that number.
        #[serde(default)]
        session: i64,
        #[serde(default)]
        start: u64,
        stop: Option<u64>,
    },
    Search {
        pattern: Option<String>,
        #[serde(default)]
        unique: bool,
        n: Option<usize>,
    },
}

/// The number of entries of a tail when nobody says.
const TAIL: usize = 1000;

impl HistoryQuery {
    /// The reply: what of `entries` (oldest first) is asked for in session `current`.
    pub(super) fn reply(&self, entries: &[Entry], current: u64) -> Value {
        let found = self.access.select(entries, current);
        let history: Vec<Value> = found
            .into_iter()
            .map(|Entry { session, line, source }| match self.output {
                // What cells answered is in notebooks and the registry, not in the history.
                true => json!([session, line, [source, null]]),
                false => json!([session, line, source]),
            })
            .collect();
        json!({"status": "ok", "history": history})
    }
}

impl Access {
    fn select<'a>(&self, entries: &'a [Entry], current: u64) -> Vec<&'a Entry> {
        match self {
            Self::Tail { n } => last(entries.iter().collect(), n.unwrap_or(TAIL)),
            Self::Range { session, start, stop } => {
                let Some(session) = session_of(entries, current, *session) else {
                    return Vec::new();
                };
                let lines = *start..stop.unwrap_or(u64::MAX);
                entries
                    .iter()
                    .filter(|entry| entry.session == session && lines.contains(&entry.line))
                    .collect()
            }
            Self::Search { pattern, unique, n } => {
                let pattern: Vec<char> = pattern.as_deref().unwrap_or("*").chars().collect();
                let mut found: Vec<&Entry> =
                    entries.iter().filter(|entry| matches(&pattern, &entry.source)).collect();
                if *unique {
                    // The latest of its kind stays.
                    let mut seen = HashSet::new();
                    found.reverse();
                    found.retain(|entry| seen.insert(entry.source.as_str()));
                    found.reverse();
                }
                match n {
                    Some(n) => last(found, *n),
                    None => found,
                }
            }
        }
    }
}

fn last<T>(mut items: Vec<T>, n: usize) -> Vec<T> {
    items.drain(..items.len().saturating_sub(n));
    items
}

fn session_of(entries: &[Entry], current: u64, asked: i64) -> Option<u64> {
    match u64::try_from(asked) {
        Ok(0) => Some(current),
        Ok(session) => Some(session),
        Err(_) => {
            let mut earlier: Vec<u64> = entries.iter().map(|entry| entry.session).collect();
            earlier.retain(|session| *session < current);
            earlier.sort_unstable();
            earlier.dedup();
            let back = usize::try_from(asked.unsigned_abs()).ok()?;
            earlier.len().checked_sub(back).map(|index| earlier[index])
        }
    }
}

/// True if the whole of `text` fits a glob of `*` (anything) and `?` (one character).
fn matches(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut taken) = (0, 0);
    // Where to go on when a `*` has to take one character more.
    let mut retry: Option<(usize, usize)> = None;
    while taken < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, taken + 1));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[taken] => {
                at += 1;
                taken += 1;
            }
            _ => {
                let Some((after_star, next)) = retry else { return false };
                retry = Some((after_star, next + 1));
                (at, taken) = (after_star, next);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        [(10, 1, "let a = 1;"), (10, 2, ":vars"), (20, 1, ":vars"), (30, 1, ":runs list")]
            .map(|(session, line, source)| Entry { session, line, source: source.to_owned() })
            .to_vec()
    }

    #[track_caller]
    fn check(query: Value, expected: &[&str]) {
        let asked: HistoryQuery = serde_json::from_value(query.clone()).unwrap();
        let reply = asked.reply(&entries(), 30);
        let found: Vec<_> = reply["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| format!("{}.{} {}", entry[0], entry[1], entry[2].as_str().unwrap()))
            .collect();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn a_tail_is_the_latest() {
        check(
            json!({"hist_access_type": "tail", "n": 2, "raw": true, "output": false}),
            &["20.1 :vars", "30.1 :runs list"],
        );
        check(json!({"hist_access_type": "tail", "n": 0}), &[]);
    }

    #[test]
    fn a_range_counts_sessions_back() {
        let range = |session: i64| json!({"hist_access_type": "range", "session": session});
        check(range(0), &["30.1 :runs list"]);
        check(range(-1), &["20.1 :vars"]);
        check(range(-2), &["10.1 let a = 1;", "10.2 :vars"]);
        check(range(-3), &[]);
        check(
            json!({"hist_access_type": "range", "session": 10, "start": 1, "stop": 2}),
            &["10.1 let a = 1;"],
        );
    }

    #[test]
    fn a_search_keeps_the_latest_of_its_kind() {
        let search = |pattern: &str| json!({"hist_access_type": "search", "pattern": pattern});
        check(search(":v*"), &["10.2 :vars", "20.1 :vars"]);
        check(search("*a?s"), &["10.2 :vars", "20.1 :vars"]);
        check(search("vars"), &[]);
        let mut unique = search(":*");
        unique["unique"] = true.into();
        check(unique.clone(), &["20.1 :vars", "30.1 :runs list"]);
        unique["n"] = 1.into();
        check(unique, &["30.1 :runs list"]);
    }

    #[test]
    fn outputs_have_a_place_of_their_own() {
        let query = json!({"hist_access_type": "tail", "n": 1, "output": true});
        let asked: HistoryQuery = serde_json::from_value(query).unwrap();
        let reply = asked.reply(&entries(), 30);
        assert_eq!(reply["history"], json!([[30, 1, [":runs list", null]]]));
    }
}
