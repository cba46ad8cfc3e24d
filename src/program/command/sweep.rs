//! `sweep MODEL`: the options of `train MODEL`, each of them with several values, are tried in all
//! combinations or in some drawn at random. What a setting means, `train` says: each combination is read
//! by its parser.

use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, parser::ValueSource};
use serde_json::json;
use trialbook::{
    book::sweep::{
        SweepRequest,
        space::{self, Setting, ValueList},
    },
    data::check_new,
    error::{Error, Result},
    evaluate::is_loss,
    model::FitCandidate,
    output::Output,
    registry::PARENT_RUN_TAG,
};

use self::{
    answer::{Ranking, joined, plus_minus, spelled},
    options::SweepOptions,
};
use super::{
    Interim, Session,
    train::{Model, Train},
};

use crate::pipeline::{PlanParameter, SweepPlan};

mod answer;
mod compile;
mod options;

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
const REFUSED: [(&str, &str); 3] = [
    ("no_register", "a sweep registers nothing unless --register is given"),
    ("validation_size", "a sweep chooses by cross-validation"),
    ("learning_curve", "a sweep compares settings, and a learning curve is of one"),
];
/// Trainings of a cluster that run at once, unless `--jobs` says otherwise.
const N_PARALLEL: usize = 4;
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
        if let Some(engine) = self.options.compile {
            if let Some(file) = &self.options.out {
                check_new(file, self.options.force)?;
            }
            candidates.iter().try_for_each(|candidate| candidate.fit().check_settings())?;
            let plan = self.plan(session, (&flags, &spaces), settings)?;
            let dataset = request.map(|train| train.dataset).unwrap_or_default();
            let name = plan.name(&self.architecture, &dataset);
            return engine.compile(&plan, &name, self.options.out.as_deref());
        }
        let Some(train) = request else { return Err(Error::invalid("no settings to compare")) };
        let request = SweepRequest {
            train,
            folds: self.options.folds()?,
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
        let ranking = Ranking {
            swept: &swept,
            chosen,
            varied: &varied,
            settings: &settings,
            is_registered: self.options.register,
        };
        let output = ranking.answer();
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

    /// The sweep for an engine of a cluster: what does not vary is in every training's words.
    fn plan(
        &self,
        session: &Session,
        (flags, spaces): (&[&str], &[ValueList]),
        settings: Vec<Setting>,
    ) -> Result<SweepPlan> {
        let Some(registry) = session.book.store().registry_address() else {
            return Err(Error::invalid(
                "trainings on other machines need a registry that all of them reach, and none is named",
            )
            .with_hint("put --registry http://HOST:5000 in front of `sweep`, or set TRIALBOOK_REGISTRY"));
        };
        let mut parameters = Vec::new();
        let mut places = Vec::new();
        let mut words = self.line(flags, &Vec::new(), false);
        words.retain(|word| !word.starts_with("--run-name="));
        for (place, (flag, values)) in flags.iter().zip(spaces).enumerate() {
            match (values.varies(), settings.first()) {
                (false, Some(setting)) => words.push(format!("{flag}={}", setting[place])),
                _ => {
                    parameters
                        .push(PlanParameter { flag: (*flag).to_owned(), values: values.clone() });
                    places.push(place);
                }
            }
        }
        words.push(format!("--cv={}", self.options.n_folds.unwrap_or(5)));
        let varied =
            |setting: &Setting| places.iter().map(|place| setting[*place].clone()).collect();
        Ok(SweepPlan {
            image: self.options.image.clone(),
            registry: registry.to_string(),
            words,
            parameters,
            settings: settings.iter().map(varied).collect(),
            is_random: self.options.random.is_some(),
            seed: self.seed()?,
            is_loss: is_loss(&self.options.metric),
            metric: self.options.metric.clone(),
            n_parallel: self.options.jobs.unwrap_or(N_PARALLEL).max(1),
        })
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
}

/// The architecture of a line that trains.
fn model_of(line: &Train) -> Result<&Model> {
    line.model().ok_or_else(|| Error::invalid("a setting names no model"))
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
}
