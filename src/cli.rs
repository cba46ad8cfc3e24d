//! The command line: reads arguments, shows outputs and errors, draws progress, turns signals into
//! interrupts. The only file that prints. Exit codes: 0 done, 1 error, 2 wrong usage, 3 blocked by
//! a gate, 130 interrupted.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::{CommandFactory, Parser};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    book::Book,
    command::{Command, Interim, Session},
    error::{Error, ErrorKind, Result},
    output::{Outcome, Output},
    progress::{Interrupt, Monitor, Progress, Silent},
    store::{STORE_ENV, Store},
};

const ABOUT: &str = "The whole life of a text classifier: explore, train, track, gate, serve";

/// Where help lists what every command takes.
const GLOBAL: &str = "Global options";

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(name = "trialbook", version, about = ABOUT, arg_required_else_help = true)]
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
    /// Answer in JSON
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// No progress on stderr
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    /// An interim answer on one line: the final one is still to come.
    JsonLine,
}

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    crate::cell::serve_if_child();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let form = if cli.json { Form::Json } else { Form::Text };
    let interrupt = Interrupt::default();
    let watched = match cli.command.heeds_interrupts() {
        true => watch_signals(&interrupt),
        false => Ok(()),
    };
    let outcome = watched.and_then(|()| {
        // A server's access lines are what its operator watches; other commands only warn.
        start_logging(if matches!(cli.command, Command::Serve(_)) { "info" } else { "warn" });
        let progress: Arc<dyn Progress> = if cli.quiet || cli.json || !io::stderr().is_terminal() {
            Arc::new(Silent)
        } else {
            Arc::new(Bar::default())
        };
        let session = Session::new(
            Book::with_store(Store::new(cli.store)),
            Monitor { progress, interrupt },
            move |output, interim| match (form, interim) {
                (Form::Text, _) => show(output, Form::Text),
                (Form::Json, Interim::Answer) => show(output, Form::JsonLine),
                (Form::Json | Form::JsonLine, _) => Ok(()),
            },
        );
        let output = cli.command.run(&session)?;
        show(&output, form)?;
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

/// The parser itself, for help and completion.
pub fn parser() -> clap::Command {
    Cli::command()
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help and version come this way too; a closed pipe is no reason to fail.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
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

/// Log lines go to stderr; `TRIALBOOK_LOG` chooses which, such as `info` or `trialbook=debug`.
fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TRIALBOOK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
    // A second call in one process keeps the first subscriber, which is as good.
    drop(started);
}

fn show(output: &Output, form: Form) -> Result<()> {
    let text = match form {
        Form::Text => output.to_text(terminal_width()),
        Form::Json => format!("{:#}", output.json()),
        Form::JsonLine => output.json().to_string(),
    };
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // `trialbook runs list | head` closes the pipe early: nothing is wrong.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::new(ErrorKind::Io, "cannot write the answer").with_source(error)),
        Ok(()) => Ok(()),
    }
}

/// The terminal's width, or `None` when the answer goes into a file or a pipe and stays unwrapped.
fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| width.0)
}

fn complain(error: &Error, form: Form) {
    let text = match form {
        Form::Text => {
            let hint = error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            format!("error: {}{hint}", error.chain())
        }
        Form::Json | Form::JsonLine => serde_json::json!({
            "error": error.chain(),
            "kind": format!("{:?}", error.kind()).to_lowercase(),
            "hint": error.hint(),
        })
        .to_string(),
    };
    // If stderr is closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A progress bar on stderr, one line for the stage that runs.
#[derive(Default)]
struct Bar {
    current: Mutex<Option<ProgressBar>>,
}

impl Bar {
    fn with(&self, act: impl FnOnce(&ProgressBar)) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.as_ref() {
            act(bar);
        }
    }
}

impl Progress for Bar {
    fn begin(&self, stage: &str, total: Option<u64>) {
        let bar = match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("{prefix:>12} {bar:20} {percent:>3}% {elapsed} {msg}")),
            None => ProgressBar::new_spinner()
                .with_style(style("{prefix:>12} {spinner} {elapsed} {msg}")),
        };
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = current.replace(bar) {
            former.finish_and_clear();
        }
    }

    fn advance(&self, n_steps: u64) {
        self.with(|bar| bar.inc(n_steps));
    }

    fn note(&self, remark: &str) {
        self.with(|bar| bar.set_message(remark.to_owned()));
    }

    fn end(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
