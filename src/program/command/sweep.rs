//! `sweep MODEL`: the options of `train MODEL`, each of them with several values, are tried in all
//! combinations or in some drawn at random. What a setting means, `train` says: each combination is read
//! by its parser.

use std::{fs, path::PathBuf, time::Duration};

use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, parser::ValueSource};
use serde_json::json;
use trialbook::{
    book::sweep::{
        SweepFolds, SweepRequest, Swept, SweptSetting,
        space::{self, Setting, ValueList},
    },
    error::{Error, Result},
    figure::{counted, metric, seconds, short},
    hint::{CommandLine, Hint},
    model::FitCandidate,
    output::{Align, Output, Table},
    registry::PARENT_RUN_TAG,
};

use super::{
    Interim, Session,
    train::{Model, Train},
};

/// Options of `train` that have one value in a sweep, whatever is in it.
const FIXED: [&str; 15] = [
    "data",
    "model",
    "experiment",
    "run_name",
    "tags",
    "seed",
    "version_file",
    "deploy",
    "min_f1",
    "threshold",
    "calibrate",
    "device",
    "checkpoint",
    "widths",
    "precision",
];
/// Those that a sweep has no use for, and why.
const REFUSED: [(&str, &str); 2] = [
    ("no_register", "a sweep registers nothing unless --register is given"),
    ("validation_size", "a sweep chooses by cross-validation"),
];
/// Those that concern what is registered in the end.
const OF_WINNER: [&str; 6] =
    ["model", "version_file", "deploy", "min_f1", "threshold", "calibrate"];

/// `sweep tfidf --data imdb --ngram 1,2 --c 0.1..100:log --register`
#[derive(Debug, Clone)]
pub struct Sweep {
    architecture: String,
    options: SweepOptions,
    /// The options of `train` that were given.
    given: Vec<Given>,
}

/// An option of `train` as it was given.
#[derive(Debug, Clone)]
struct Given {
    id: String,
    /// With its dashes.
    flag: String,
    /// None of a flag that takes no value.
    values: Option<Vec<String>>,
}

/// The options of every sweep.
#[derive(Debug, Clone, Args)]
struct SweepOptions {
    /// Try all combinations, which is the default
    #[arg(long, conflicts_with_all = ["random", "halving"], help_heading = "Sweep")]
    grid: bool,
    /// Draw so many different combinations at random
    #[arg(long, value_name = "N", help_heading = "Sweep")]
    random: Option<usize>,
    /// Successive halving: begin with few rows, and give the best third three times the rows, until the
    /// last ones learn all of them
    #[arg(long, help_heading = "Sweep")]
    halving: bool,
    /// The metric to rank by, as a run has it: f1, accuracy, macro_f1, log_loss …
    #[arg(long, value_name = "NAME", default_value = "f1", help_heading = "Sweep")]
    metric: String,
    /// The folds of the cross-validation [default: 5]
    #[arg(long = "cv", value_name = "K", allow_negative_numbers = true, help_heading = "Sweep")]
    n_folds: Option<usize>,
    /// Use these folds: a text file with one number for each row of the train split, from 0
    #[arg(long, value_name = "FILE", conflicts_with = "n_folds", help_heading = "Sweep")]
    folds: Option<PathBuf>,
    /// The number of threads [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Sweep")]
    jobs: Option<usize>,
    /// Begin no new setting after this time: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Sweep")]
    budget: Option<Duration>,
    /// Begin anew although the same sweep was stopped before; without this flag it goes on
    #[arg(long, help_heading = "Sweep")]
    fresh: bool,
    /// Train the best setting on the whole train split and register it
    #[arg(long, help_heading = "Sweep")]
    register: bool,
    /// Choose the plainest setting within one standard error of the best: the fewest terms, then the
    /// smallest c
    #[arg(long, help_heading = "Sweep")]
    one_se: bool,
}

impl Args for Sweep {
    fn augment_args(command: Command) -> Command {
        let architectures = Model::augment_subcommands(Command::new("train"));
        let of_sweep = architectures.get_subcommands().map(|one| with_several_values(one.clone()));
        command.subcommands(of_sweep).subcommand_required(true).arg_required_else_help(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A `train MODEL` whose options take lists of values as text.
fn with_several_values(architecture: Command) -> Command {
    let varied = architecture.mut_args(|arg| {
        let id = arg.get_id().as_str().to_owned();
        if REFUSED.iter().any(|(refused, _)| *refused == id) {
            return arg.hide(true);
        }
        if id == "cv" {
            // The sweep has one of its own, which nothing else conflicts with.
            return arg.long("cv-of-train").hide(true);
        }
        if FIXED.contains(&id.as_str()) || !arg.get_action().takes_values() {
            return arg;
        }
        let name =
            arg.get_value_names().and_then(<[_]>::first).map_or("VALUE", |name| name.as_str());
        let several = format!("{name},…");
        let arg = arg.value_parser(clap::builder::NonEmptyStringValueParser::new());
        arg.value_name(several)
    });
    // Adding options would replace what the architecture says of itself.
    let about = varied.get_about().cloned().unwrap_or_default();
    SweepOptions::augment_args(varied)
        .about(about)
        .long_about(None)
        .after_help(
            "Several values: 1,2,5 or a range: 0.1..100:log (one point a decade), 0.1..100:log:7 (7 points), \
             1..5. With --random, ranges are drawn from evenly, on their scale.",
        )
}

impl FromArgMatches for Sweep {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some((architecture, matches)) = matches.subcommand() else {
            return Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand));
        };
        let architectures = Model::augment_subcommands(Command::new("train"));
        let mut given = Vec::new();
        let args = architectures.find_subcommand(architecture).into_iter();
        for arg in args.flat_map(Command::get_arguments) {
            let id = arg.get_id().as_str();
            let is_known = matches.try_contains_id(id).unwrap_or(false);
            if id == "cv" || !is_known || matches.value_source(id) != Some(ValueSource::CommandLine)
            {
                continue;
            }
            let Some(long) = arg.get_long() else { continue };
            let values =
                matches!(arg.get_action(), ArgAction::Set | ArgAction::Append).then(|| {
                    let raw = matches.get_raw(id).into_iter().flatten();
                    raw.map(|value| value.to_string_lossy().into_owned()).collect()
                });
            given.push(Given { id: id.to_owned(), flag: format!("--{long}"), values });
        }
        let options = SweepOptions::from_arg_matches(matches)?;
        Ok(Self { architecture: architecture.to_owned(), options, given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Sweep {
    /// `read` makes a training of the words of its line.
    pub(super) fn run(
        &self,
        session: &Session,
        read: impl Fn(&[&str]) -> Result<Train>,
    ) -> Result<Output> {
        for (id, why) in REFUSED {
            if let Some(given) = self.given.iter().find(|given| given.id == id) {
                return Err(Error::invalid(format!("{}: {why}", given.flag)));
            }
        }
        let winner = self.given.iter().find(|given| OF_WINNER.contains(&given.id.as_str()));
        if let Some(given) = winner
            && !self.options.register
        {
            return Err(Error::invalid(format!(
                "{} is about the version that is registered, and nothing is",
                given.flag
            ))
            .with_hint("add --register"));
        }
        let (flags, spaces): (Vec<&str>, Vec<ValueList>) = self.varying()?.into_iter().unzip();
        let settings = match self.options.random {
            Some(n_settings) => space::random(&spaces, n_settings, self.seed()?)?,
            None => space::grid(&spaces)?,
        };
        // The training of a setting, as its line would set it.
        let read = |setting: &Setting, is_winner: bool| -> Result<Train> {
            let words = self.line(&flags, setting, is_winner);
            read(&words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let lines =
            settings.iter().map(|setting| read(setting, false)).collect::<Result<Vec<_>>>()?;
        let mut candidates: Vec<FitCandidate> = Vec::new();
        let mut request = None;
        for line in &lines {
            let (common, candidate) = model_of(line)?.parts()?;
            candidates.push(candidate);
            request.get_or_insert_with(|| common.request());
        }
        let Some(train) = request else { return Err(Error::invalid("no settings to compare")) };
        let request = SweepRequest {
            train,
            folds: self.folds()?,
            metric: self.options.metric.clone(),
            halving: self.options.halving.then_some(3),
            budget: self.options.budget,
            n_jobs: self.options.jobs,
            is_fresh: self.options.fresh,
        };
        let varied: Vec<(usize, &str)> = flags
            .iter()
            .enumerate()
            .filter(|(place, _)| spaces[*place].varies())
            .map(|(place, flag)| (place, *flag))
            .collect();
        let mut n_measured = 0;
        let swept = session.book.sweep(&candidates, &request, &session.monitor, &mut |swept| {
            n_measured += 1;
            let place = match swept.train_share {
                1.0 if request.halving.is_none() => format!("{n_measured} of {}", settings.len()),
                share => format!("{:.0} % of the rows", share * 100.0),
            };
            let line = format!(
                "{place}: {}  {} {}",
                spelled(&varied, &settings[swept.setting]),
                request.metric,
                plus_minus(swept, &request.metric)
            );
            session.show(&Output::new(json!(null)).text(line), Interim::Remark)
        })?;
        let chosen = if self.options.one_se { swept.plainest } else { 0 };
        let output = self.answer(&swept, chosen, &varied, &settings);
        if !self.options.register {
            return Ok(output);
        }
        if swept.n_left > 0 {
            session.show(&output, Interim::Remark)?;
        }
        let setting = &settings[swept.settings[chosen].setting];
        let line = read(setting, true)?;
        let (common, candidate) = model_of(&line)?.parts()?;
        let nested = common.with_tag(PARENT_RUN_TAG, &swept.run.run_id);
        let trained = nested.run(session, candidate.fit())?;
        Ok(joined(output, trained))
    }

    /// The options whose values make the settings, with those values.
    fn varying(&self) -> Result<Vec<(&str, ValueList)>> {
        let mut varying = Vec::new();
        for Given { id, flag, values } in &self.given {
            if FIXED.contains(&id.as_str()) {
                continue;
            }
            let Some(values) = values else { continue };
            let parsed = ValueList::parse(&values.join(","))
                .map_err(|error| error.with_context(flag.clone()))?;
            varying.push((flag.as_str(), parsed));
        }
        Ok(varying)
    }

    /// The line of `train` for a setting; without `is_winner` it registers nothing.
    fn line(&self, flags: &[&str], setting: &Setting, is_winner: bool) -> Vec<String> {
        let mut words = vec!["train".to_owned(), self.architecture.clone()];
        for Given { id, flag, values } in &self.given {
            if flags.contains(&flag.as_str()) || (!is_winner && OF_WINNER.contains(&id.as_str())) {
                continue;
            }
            match values {
                None => words.push(flag.clone()),
                Some(values) => words.extend(values.iter().map(|value| format!("{flag}={value}"))),
            }
        }
        let chosen = flags.iter().zip(setting).map(|(flag, value)| format!("{flag}={value}"));
        words.extend(chosen);
        words
    }

    fn seed(&self) -> Result<u64> {
        let given = self.given.iter().find(|given| given.id == "seed");
        let Some([seed]) = given.and_then(|given| given.values.as_deref()) else { return Ok(42) };
        seed.parse()
            .map_err(|_| Error::invalid(format!("--seed {seed:?}: expected a whole number")))
    }

    fn folds(&self) -> Result<SweepFolds> {
        let Some(path) = &self.options.folds else {
            return Ok(SweepFolds::Stratified(self.options.n_folds.unwrap_or(5)));
        };
        let text = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let folds = text.lines().enumerate().map(|(line_idx, line)| {
            line.trim().parse().map_err(|_| {
                Error::invalid(format!(
                    "{}, line {}: {line:?} found, expected the number of a fold, from 0",
                    path.display(),
                    line_idx + 1
                ))
            })
        });
        Ok(SweepFolds::Given(folds.collect::<Result<_>>()?))
    }

    fn answer(
        &self,
        swept: &Swept,
        chosen: usize,
        varied: &[(usize, &str)],
        settings: &[Setting],
    ) -> Output {
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
        if self.options.register {
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

/// The architecture of a line that trains.
fn model_of(line: &Train) -> Result<&Model> {
    line.model().ok_or_else(|| Error::invalid("a setting names no model"))
}

/// `ngram 2, c 10`
fn spelled(varied: &[(usize, &str)], setting: &Setting) -> String {
    let parts: Vec<String> = varied
        .iter()
        .map(|(place, flag)| format!("{} {}", flag.trim_start_matches('-'), setting[*place]))
        .collect();
    if parts.is_empty() { "the one setting".to_owned() } else { parts.join(", ") }
}

fn plus_minus(swept: &SweptSetting, by: &str) -> String {
    let std = swept.std.get(by).copied().unwrap_or(0.0);
    format!("{} ± {}", metric(swept.value(by)), metric(std))
}

/// Both answers: the ranking, and the training of the best.
fn joined(sweep: Output, trained: Output) -> Output {
    let blocked = trained.outcome() == trialbook::output::Outcome::Blocked;
    let mut json = sweep.json().clone();
    json["trained"] = trained.json().clone();
    let text = (sweep.to_text(None), trained.to_text(None));
    let output = Output::new(json).text(text.0).text("").text(text.1);
    if blocked { output.blocked() } else { output }
}

/// `90s`, `10m`, `2h`
fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || "expected a time such as 90s, 10m or 2h".to_owned();
    let unit = text.chars().last().ok_or_else(refuse)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(refuse()),
    };
    let n: u64 = text[..text.len() - 1].parse().map_err(|_| refuse())?;
    n.checked_mul(seconds).filter(|n| *n > 0).map(Duration::from_secs).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parsed(words: &str) -> Sweep {
        let words: Vec<&str> = words.split(' ').collect();
        match super::super::parse(&words) {
            Ok(super::super::Command::Sweep(sweep)) => sweep,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_of_train_take_several_values_and_make_lines_of_train() {
        let sweep = parsed(
            "sweep tfidf --data imdb --ngram 1,2 --c 0.1..10:log --sublinear --cv 3 --model M --register",
        );
        assert_eq!((sweep.options.n_folds, sweep.options.register), (Some(3), true));
        let varying = sweep.varying().unwrap();
        let flags: Vec<&str> = varying.iter().map(|(flag, _)| *flag).collect();
        assert_eq!(flags, ["--ngram", "--c"]);
        let setting = vec!["2".to_owned(), "10".to_owned()];
        assert_eq!(
            sweep.line(&flags, &setting, false).join(" "),
            "train tfidf --data=imdb --sublinear --ngram=2 --c=10"
        );
        assert_eq!(
            sweep.line(&flags, &setting, true).join(" "),
            "train tfidf --data=imdb --model=M --sublinear --ngram=2 --c=10"
        );
        let nets = parsed("sweep cnn --data imdb --widths 3,4 --learning-rate 1e-3,1e-4");
        assert_eq!(nets.varying().unwrap().len(), 1, "widths are one value");
    }

    #[test]
    fn every_architecture_can_be_swept_and_keeps_its_help() {
        let architectures = Model::augment_subcommands(Command::new("train"));
        let ids: BTreeSet<&str> = architectures
            .get_subcommands()
            .flat_map(Command::get_arguments)
            .map(|arg| arg.get_id().as_str())
            .collect();
        for id in FIXED.iter().chain(&OF_WINNER).chain(REFUSED.iter().map(|(id, _)| id)) {
            assert!(ids.contains(id), "train has no {id}");
        }
        for one in architectures.get_subcommands() {
            let help = super::super::request(&["sweep", one.get_name(), "--help"]);
            let Ok(super::super::CommandRequest::Help(help)) = help else { panic!("{help:?}") };
            assert!(help.contains("--random") && help.contains("--class-weight"), "{help}");
            assert!(!help.contains("The options of every sweep"), "{help}");
            assert!(!help.contains("--no-register") && !help.contains("cv-of-train"), "{help}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for text in ["", "10", "m", "-1m", "0s", "ten m", "10 д"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
