//! The command line: reads arguments, shows outputs and errors, draws progress, turns signals into
//! interrupts. Exit codes: 0 done, 1 error, 2 wrong usage, 3 blocked by a gate, 130 interrupted.

mod config_file;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd as _,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, CommandFactory, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use trialbook::{
    address::{REGISTRY_ENV, RegistryAddress},
    book::Book,
    data::own_standard_streams,
    error::{Error, ErrorKind, Result},
    figure::parse_bytes,
    hint::{Hint, Spelling},
    output::{Ink, Outcome, Output},
    progress::{Interrupt, Monitor, Progress, Silent},
    s3::S3Url,
    store::{
        ARTIFACT_CACHE_ENV, DEFAULT_ARTIFACT_CACHE_BYTES, STORE_ARTIFACTS_ENV, STORE_ENV, Store,
    },
};

use crate::{
    cell::{CellFailure, FailureKind, Options},
    command::{Command, Interim, Session, hint_of},
    kernel::Kernel,
    shell::{self, Bar, Terminal},
};

const ABOUT: &str = "The whole life of a text classifier: explore, train, track, gate, serve";

const AFTER_HELP: &str =
    "Without a command: a shell for Rust and `:` commands, or what stdin holds";

/// The head of the options that every command takes, in help.
const GLOBAL: &str = "Global options";

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(name = "trialbook", version, about = ABOUT, after_help = AFTER_HELP)]
struct Cli {
    /// The store's folder
    #[arg(
        long,
        global = true,
        env = STORE_ENV,
        default_value = "store",
        value_name = "DIR",
        overrides_with = "store",
        help_heading = GLOBAL
    )]
    store: PathBuf,
    /// The storage of the store's artifacts: s3://BUCKET/PREFIX, with endpoint, region and credentials from
    /// AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Said once, the store keeps
    /// it
    #[arg(
        long,
        global = true,
        env = STORE_ARTIFACTS_ENV,
        value_name = "URL",
        value_parser = artifacts_url,
        overrides_with = "artifacts",
        help_heading = GLOBAL
    )]
    artifacts: Option<ArtifactsUrl>,
    /// The most that copies of artifacts from S3 take in the store's folder, such as 500MB
    #[arg(
        long,
        global = true,
        env = ARTIFACT_CACHE_ENV,
        default_value = "2GB",
        value_name = "SIZE",
        value_parser = cache_size,
        overrides_with = "artifact_cache",
        help_heading = GLOBAL
    )]
    artifact_cache: u64,
    /// The server that keeps runs, models and their files, an MLflow server or `trialbook serve`:
    /// http://HOST:5000, or mlflow for the one that MLFLOW_TRACKING_URI names; without it, the store
    /// keeps them itself
    #[arg(
        long,
        global = true,
        env = REGISTRY_ENV,
        hide_env_values = true,
        default_value = "",
        hide_default_value = true,
        value_name = "URL",
        overrides_with = "registry",
        help_heading = GLOBAL
    )]
    registry: String,
    /// The configuration file, with values for options that are not given; without it, trialbook.toml in
    /// the current folder, if it exists
    #[arg(
        long,
        global = true,
        env = config_file::CONFIG_ENV,
        value_name = "FILE",
        overrides_with = "config_file",
        help_heading = GLOBAL
    )]
    config_file: Option<PathBuf>,
    /// The form of log lines on stderr
    #[arg(
        long,
        global = true,
        env = "TRIALBOOK_LOG_FORMAT",
        default_value = "text",
        value_name = "FORM",
        overrides_with = "log_format",
        help_heading = GLOBAL
    )]
    log_format: LogFormat,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// No progress on stderr
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    quiet: bool,
    /// Run a cell, Rust or `:runs list`, and leave; may be given several times
    #[arg(short = 'c', long = "cell", value_name = "CELL")]
    cells: Vec<String>,
    #[command(subcommand)]
    verb: Option<ProgramVerb>,
}

/// The value of `--artifacts`. An empty one, as an environment may have it, says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ArtifactsUrl(Option<S3Url>);

fn artifacts_url(text: &str) -> std::result::Result<ArtifactsUrl, String> {
    match text {
        "" => Ok(ArtifactsUrl(None)),
        text => text
            .parse()
            .map(|url| ArtifactsUrl(Some(url)))
            .map_err(|error: Error| error.to_string()),
    }
}

fn cache_size(text: &str) -> std::result::Result<u64, String> {
    match text {
        "" => Ok(DEFAULT_ARTIFACT_CACHE_BYTES),
        text => parse_bytes(text).ok_or_else(|| "expected a size such as 500MB or 2GB".to_owned()),
    }
}

impl Cli {
    /// The store that is asked for.
    fn store(&self) -> Store {
        let artifacts = self.artifacts.clone().and_then(|ArtifactsUrl(url)| url);
        Store::new(&self.store).with_artifacts(artifacts).with_artifact_cache(self.artifact_cache)
    }
}

/// A request to the program.
#[derive(Debug, Subcommand)]
enum ProgramVerb {
    #[command(flatten)]
    Command(Command),
    /// Install the Jupyter kernel "Rust (trialbook)", or take it out again
    #[command(subcommand)]
    Kernel(Kernel),
    /// Run every cell of a script (.rs, .tb) or notebook (.ipynb), until one fails
    Run(RunDocument),
}

/// A file of cells.
#[derive(Debug, Args)]
struct RunDocument {
    /// A notebook (.ipynb), Rust with `// %%` between cells (.rs), or what one would type (.tb)
    file: PathBuf,
    /// Write what the cells show into the notebook, once all have run
    #[arg(long)]
    save: bool,
    /// Set a variable of the cell tagged `parameters` [may be given again]
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// The form of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputFormat {
    Text,
    Json,
    /// An interim answer on one line: the final one is still to come.
    JsonLine,
}

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    crate::cell::serve_if_child();
    let args: Vec<OsString> = std::env::args_os().collect();
    let named = std::env::var_os(config_file::CONFIG_ENV);
    let form = asked_form(&args);
    let parser = match config_file::configured(Cli::command(), &args, named) {
        Ok(parser) => parser,
        Err(error) => {
            complain(&error, form);
            return ExitCode::from(2);
        }
    };
    let cli = parser.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => return usage(&error, form),
    };
    let log_format = cli.log_format;
    // Not the parser's: its refusal would show a password in the address.
    let store = match RegistryAddress::parse(&cli.registry) {
        Ok(address) => cli.store().with_registry(address),
        Err(error) => {
            complain(&error, form);
            return ExitCode::from(2);
        }
    };
    match cli.verb {
        Some(_) if !cli.cells.is_empty() => {
            let message = "a cell and a command exclude each other";
            usage(&Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message), form)
        }
        Some(ProgramVerb::Command(command)) => {
            // A server's access lines are what its operator watches; other commands only warn.
            start_logging(
                if matches!(command, Command::Serve(_)) { "info" } else { "warn" },
                log_format,
            );
            // One command has them to itself; cells share them.
            own_standard_streams();
            let heeds = command.heeds_interrupts();
            answer(store, cli.json, cli.quiet, heeds, |session| command.run(session))
        }
        Some(ProgramVerb::Kernel(kernel)) => {
            start_logging("warn", log_format);
            answer(store, cli.json, cli.quiet, false, |session| kernel.run(session.book.store()))
        }
        Some(ProgramVerb::Run(run)) => {
            start_logging("warn", log_format);
            run_cells(Some(&run), &[], store, cli.json, cli.quiet)
        }
        None => {
            start_logging("warn", log_format);
            run_cells(None, &cli.cells, store, cli.json, cli.quiet)
        }
    }
}

/// Runs one command and shows its answer.
fn answer(
    store: Store,
    json: bool,
    quiet: bool,
    heeds_interrupts: bool,
    run: impl FnOnce(&Session) -> Result<Output>,
) -> ExitCode {
    let form = if json { OutputFormat::Json } else { OutputFormat::Text };
    let interrupt = Interrupt::default();
    let watched = match heeds_interrupts {
        true => watch_signals(&interrupt),
        false => Ok(()),
    };
    let outcome = watched.and_then(|()| {
        let progress: Arc<dyn Progress> = if quiet || json || !io::stderr().is_terminal() {
            Arc::new(Silent)
        } else {
            Arc::new(Bar::default())
        };
        let session = Session::new(
            Book::with_store(store),
            Monitor { progress, interrupt },
            move |output, interim| match (form, interim) {
                (_, Interim::Aside) => {
                    if !quiet {
                        // If stderr is closed there is nobody left to tell.
                        let _ = writeln!(io::stderr(), "{}", output.to_text(None).trim());
                    }
                    Ok(())
                }
                (OutputFormat::Text, _) => show(output, OutputFormat::Text),
                (OutputFormat::Json, Interim::Answer) => show(output, OutputFormat::JsonLine),
                (OutputFormat::Json | OutputFormat::JsonLine, _) => Ok(()),
            },
        );
        let output = run(&session)?;
        if !output.blocks().is_empty() {
            show(&output, form)?;
        }
        Ok(output.outcome())
    });
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Blocked) => ExitCode::from(3),
        Err(error) => {
            complain(&error, form);
            match error.kind() {
                ErrorKind::Interrupted => ExitCode::from(130),
                ErrorKind::Blocked => ExitCode::from(3),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Runs cells: of a file, of the arguments, of a person in a terminal, of stdin.
fn run_cells(
    file: Option<&RunDocument>,
    cells: &[String],
    store: Store,
    json: bool,
    quiet: bool,
) -> ExitCode {
    if json {
        let message = "--json is for one command: write it behind the command, `:runs list --json`";
        let error = Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message);
        return usage(&error, OutputFormat::Json);
    }
    let options = Options::new(store);
    let outcome = match file {
        Some(run) => {
            let run =
                shell::FileRun { path: &run.file, save: run.save, parameters: &run.parameters };
            shell::run_file(options, quiet, &run)
        }
        None if !cells.is_empty() => shell::run_cells(options, quiet, cells),
        None if Terminal::of_process().is_interactive => {
            shell::run_interactive(options, quiet).map(Ok)
        }
        None => shell::run_stdin(options, quiet),
    };
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => exit_code(&failure),
        Err(error) => {
            complain(&error, OutputFormat::Text);
            ExitCode::FAILURE
        }
    }
}

fn exit_code(failure: &CellFailure) -> ExitCode {
    match failure.kind {
        FailureKind::Blocked => ExitCode::from(3),
        FailureKind::Interrupted => ExitCode::from(130),
        _ => ExitCode::FAILURE,
    }
}

/// The parser itself, for help and completion.
pub fn parser() -> clap::Command {
    Cli::command()
}

/// Shows what the parser refuses; help and version come this way too.
fn usage(error: &clap::Error, form: OutputFormat) -> ExitCode {
    match (form, hint_of(error)) {
        (OutputFormat::Json | OutputFormat::JsonLine, _) if error.use_stderr() => {
            complain(&refusal(error), form);
        }
        (_, Some(hint)) => {
            let said = error.to_string();
            let (what, rest) = said.split_once('\n').unwrap_or((&said, ""));
            let hint = hint.spelled(Spelling::Program);
            let _ = write!(io::stderr(), "{what}\n  hint: {hint}\n{rest}");
        }
        // A closed pipe is no reason to fail.
        _ => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// A refusal of the parser as an error of ours: its first paragraph, and as the hint the advice
/// that comes with it.
fn refusal(error: &clap::Error) -> Error {
    let said = error.to_string();
    let mut paragraphs = said
        .trim()
        .split("\n\n")
        .map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    let refused = Error::invalid(message.trim_start_matches("error: "));
    let rest: Vec<String> = paragraphs.collect();
    let found = |start: &str| {
        rest.iter()
            .find(|advice| advice.starts_with(start))
            .map(|advice| advice.replacen(start, "", 1))
    };
    let hint = hint_of(error).cloned().or_else(|| found("tip: ").map(Hint::from));
    match hint.or_else(|| found("Usage: ").map(|form| format!("usage: {form}").into())) {
        Some(hint) => refused.with_hint(hint),
        None => refused,
    }
}

/// The form of answers that is asked for, for those that come before the arguments could be read.
fn asked_form(args: &[OsString]) -> OutputFormat {
    match args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json") {
        true => OutputFormat::Json,
        false => OutputFormat::Text,
    }
}

/// The first Ctrl-C asks running work to stop at a safe point, a second one ends the program.
fn watch_signals(interrupt: &Interrupt) -> Result<()> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
    };
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, interrupt.flag())
            .and_then(|_| flag::register(signal, interrupt.flag()))
            .map_err(|source| {
                Error::new(ErrorKind::Io, "cannot watch for signals").with_source(source)
            })?;
    }
    Ok(())
}

/// Stderr without the lock that the standard library's has: a line is one write, and threads that
/// serve do not wait for each other to log theirs.
fn unlocked_stderr() -> BoxMakeWriter {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => BoxMakeWriter::new(File::from(stderr)),
        Err(_) => BoxMakeWriter::new(io::stderr),
    }
}

/// Log lines go to stderr; `TRIALBOOK_LOG` chooses which, such as `info` or `trialbook=debug`.
fn start_logging(default: &str, format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TRIALBOOK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(unlocked_stderr());
    let started = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        // The message and its fields side by side, as log collectors expect them.
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // A second call in one process keeps the first subscriber, which is as good.
    drop(started);
}

fn show(output: &Output, form: OutputFormat) -> Result<()> {
    let text = match form {
        OutputFormat::Text => {
            let ink = if Terminal::of_process().colours { Ink::Coloured } else { Ink::Plain };
            output.to_text_in(Terminal::width(), ink)
        }
        OutputFormat::Json => format!("{:#}", output.json()),
        OutputFormat::JsonLine => output.json().to_string(),
    };
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // `trialbook runs list | head` closes the pipe early: nothing is wrong.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::new(ErrorKind::Io, "cannot write the answer").with_source(error)),
        Ok(()) => Ok(()),
    }
}

fn complain(error: &Error, form: OutputFormat) {
    let text = match form {
        OutputFormat::Text => {
            let hint = error
                .hint()
                .map(|hint| format!("\n  hint: {}", hint.spelled(Spelling::Program)))
                .unwrap_or_default();
            format!("error: {}{hint}", error.chain())
        }
        OutputFormat::Json | OutputFormat::JsonLine => serde_json::json!({
            "error": error.chain(),
            "kind": error.kind().name(),
            "hint": error.hint(),
        })
        .to_string(),
    };
    // If stderr is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
