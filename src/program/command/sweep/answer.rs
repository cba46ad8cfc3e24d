//! The answer of a sweep: its settings, the best first, and what to do next.

use serde_json::json;
use trialbook::{
    book::sweep::{Swept, SweptSetting, space::Setting},
    figure::{counted, metric, seconds, short},
    hint::{CommandLine, Hint},
    output::{Align, Outcome, Output, Table},
};

/// A sweep as it is shown.
#[derive(Clone, Copy)]
pub(super) struct Ranking<'a> {
    pub(super) swept: &'a Swept,
    /// The place of the setting that is chosen.
    pub(super) chosen: usize,
    /// The options that vary: their places in a setting, and their flags.
    pub(super) varied: &'a [(usize, &'a str)],
    pub(super) settings: &'a [Setting],
    /// True if the choice is trained and registered.
    pub(super) is_registered: bool,
}

impl Ranking<'_> {
    /// The ranking as an answer.
    pub(super) fn answer(&self) -> Output {
        let Self { swept, chosen, varied, settings, is_registered } = *self;
        let by = &swept.metric;
        let has_rounds = swept.settings.iter().any(|one| one.train_share < 1.0);
        let has_terms = swept.settings.iter().any(|one| one.n_features.is_some());
        let mut heads = vec![("rank", Align::Right)];
        heads.extend(varied.iter().map(|(_, flag)| (flag.trim_start_matches('-'), Align::Right)));
        heads.extend([(by.as_str(), Align::Right), ("std", Align::Right)]);
        heads.extend(has_terms.then_some(("terms", Align::Right)));
        heads.extend(has_rounds.then_some(("rows", Align::Right)));
        heads.extend([("time", Align::Right), ("run", Align::Left)]);
        let mut table = Table::new(heads);
        for (place, one) in swept.settings.iter().enumerate() {
            let setting = &settings[one.setting];
            let mut cells = vec![(place + 1).to_string()];
            cells.extend(varied.iter().map(|(at, _)| setting[*at].clone()));
            cells.push(metric(one.value(by)));
            cells.push(one.std.get(by).map_or_else(String::new, |std| metric(*std)));
            if has_terms {
                cells.push(one.n_features.map_or_else(String::new, |n| format!("{n:.0}")));
            }
            if has_rounds {
                cells.push(format!("{:.0} %", one.train_share * 100.0));
            }
            cells.extend([seconds(one.seconds), short(&one.run_id).to_owned()]);
            table.push(cells);
        }
        let params: Vec<_> = swept
            .settings
            .iter()
            .map(|one| {
                let setting = &settings[one.setting];
                varied
                    .iter()
                    .map(|(at, flag)| {
                        (flag.trim_start_matches('-').to_owned(), setting[*at].clone().into())
                    })
                    .collect::<serde_json::Map<_, _>>()
            })
            .collect();
        let best = &swept.settings[chosen];
        let json = json!({
            "run_id": swept.run.run_id,
            "run_name": swept.run.name,
            "metric": by,
            "n_folds": swept.n_folds,
            "best": params[chosen],
            "score": best.value(by),
            "settings": swept.settings,
            "varied": params,
            "within_one_standard_error": params[swept.plainest],
            "n_continued": swept.n_continued,
            "n_left": swept.n_left,
        });
        let mut output = Output::new(json)
            .text(format!(
                "run {} ({}): {} by {} folds\n",
                swept.run.name,
                short(&swept.run.run_id),
                counted(swept.settings.len() as u64, "setting"),
                swept.n_folds
            ))
            .table(table);
        if swept.n_continued > 0 {
            output = output.text(format!(
                "\nwent on where it was stopped: {} had been measured",
                counted(swept.n_continued as u64, "setting")
            ));
        }
        if swept.n_left > 0 {
            output = output.text(format!(
                "\nthe budget left {} unmeasured; the same line without it measures all",
                counted(swept.n_left as u64, "setting")
            ));
        }
        if swept.plainest != 0 {
            let plainest = &swept.settings[swept.plainest];
            output = output.text(format!(
                "\nwithin one standard error of the best and plainest (--one-se): {}  {by} {}",
                spelled(varied, &settings[plainest.setting]),
                plus_minus(plainest, by)
            ));
        }
        if is_registered {
            output
        } else {
            let mut next = CommandLine::new("runs compare");
            next =
                swept.settings.iter().take(2).fold(next, |next, one| next.arg(short(&one.run_id)));
            output.hint(
                Hint::from("add --register to train and register the best; what differs: ")
                    .run(next),
            )
        }
    }
}

/// `ngram 2, c 10`
pub(super) fn spelled(varied: &[(usize, &str)], setting: &Setting) -> String {
    let parts: Vec<String> = varied
        .iter()
        .map(|(place, flag)| format!("{} {}", flag.trim_start_matches('-'), setting[*place]))
        .collect();
    if parts.is_empty() { "the one setting".to_owned() } else { parts.join(", ") }
}

pub(super) fn plus_minus(swept: &SweptSetting, by: &str) -> String {
    let std = swept.std.get(by).copied().unwrap_or(0.0);
    format!("{} ± {}", metric(swept.value(by)), metric(std))
}

/// Both answers: the ranking, and the training of the best.
pub(super) fn joined(sweep: Output, trained: Output) -> Output {
    let blocked = trained.outcome() == Outcome::Blocked;
    let mut json = sweep.json().clone();
    json["trained"] = trained.json().clone();
    let text = (sweep.to_text(None), trained.to_text(None));
    let output = Output::new(json).text(text.0).text("").text(text.1);
    if blocked { output.blocked() } else { output }
}
