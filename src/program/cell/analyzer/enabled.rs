//! rust-analyzer, as evcxr embeds it, in a process of its own: this program again. It takes half a
//! gigabyte and may break; the session loses neither the memory nor itself. One line of JSON asks,
//! one answers, and the end of the input ends it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use evcxr::{CommandContext, EvalContext};
use serde::{Deserialize, Serialize};
use trialbook::display::Content;

use super::worker::{Asked, Found, Helper};
use crate::{
    cell::{Completion, CompletionKind},
    toolchain::GroupId,
};

/// Tells a process that it was started here. evcxr's own mark alone would also be on a program that
/// a cell of stock evcxr runs.
const MARK: &str = "TRIALBOOK_ANALYZER";

/// The answer of evcxr where it knows nothing.
const NOTHING: &str = "No documentation found";

/// The crate that everything is in, to rust-analyzer alone.
const CRATE: &str = "ctx\n\n";
const CRATE_HTML: &str = "<pre><code class=\"language-rust\">ctx\n</code></pre>\n";

#[derive(Serialize, Deserialize)]
struct Question {
    asked: Asked,
    source: String,
    cursor: usize,
}

#[derive(Default, Serialize, Deserialize)]
struct Answer {
    start: usize,
    /// Texts and their labels.
    items: Vec<(String, String)>,
    /// As text and as HTML.
    documentation: Option<(String, String)>,
}

/// Starts rust-analyzer on an empty project in `folder`; takes seconds.
pub(super) fn start(program: &Path, folder: &Path) -> Option<Box<dyn Helper>> {
    fs::create_dir_all(folder).ok()?;
    let mut command = Command::new(program);
    command
        .env(MARK, "1")
        // Neither a person's settings for evcxr nor those of the working folder are for this.
        .env("EVCXR_CONFIG_DIR", folder)
        .env("EVCXR_TMPDIR", folder)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // Ctrl-C in the terminal is for the cell that runs.
    let (mut child, group) = GroupId::spawn(&mut command).ok()?;
    let (questions, answers) = (child.stdin.take()?, child.stdout.take()?);
    let mut process = Process { child, group, questions, answers: BufReader::new(answers) };
    // Its first line says that it is ready.
    process.line()?;
    Some(Box::new(process))
}

/// Is rust-analyzer's process, or evcxr's beside it, where this process was started as one, and
/// then does not return. To be called before anything else.
pub fn runtime_hook() {
    if std::env::var_os(MARK).is_some() {
        // The end of the input would only be seen after the answer in work.
        #[cfg(target_os = "linux")]
        let _ =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        evcxr::runtime_hook();
        // Whoever asked has gone: there is nobody to tell.
        let _ = serve();
        std::process::exit(0);
    }
}

struct Process {
    child: Child,
    group: GroupId,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line)
    }
}

impl Helper for Process {
    fn answer(&mut self, asked: Asked, source: &str, cursor: usize) -> Option<Found> {
        let question = Question { asked, source: source.to_owned(), cursor };
        let question = serde_json::to_string(&question).ok()?;
        writeln!(self.questions, "{question}").ok()?;
        let answer: Answer = serde_json::from_str(&self.line()?).ok()?;
        let item = |(text, detail)| Completion { text, kind: CompletionKind::Rust, detail };
        Some(Found {
            start: answer.start,
            items: answer.items.into_iter().map(item).collect(),
            documentation: answer
                .documentation
                .map(|(text, html)| Content::text(text).with("text/html", html)),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.kill();
        let _ = self.child.wait();
    }
}

/// Answers until the input ends.
fn serve() -> io::Result<()> {
    let program = std::env::current_exe()?;
    let mut answers = io::stdout().lock();
    // Its process prints nothing that anybody needs, so nobody holds its outputs.
    let context = EvalContext::with_subprocess_command(Command::new(program));
    let Ok((context, _)) = context else { return Ok(()) };
    let mut context = CommandContext::with_eval_context(context);
    writeln!(answers, "ready")?;
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        let answer = answered(&mut context, &question).unwrap_or_default();
        writeln!(answers, "{}", serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

fn answered(context: &mut CommandContext, question: &Question) -> Option<Answer> {
    let Question { asked, source, cursor } = question;
    match asked {
        Asked::Completions => {
            let found = context.completions(source, *cursor).ok()?;
            let items = found.completions.into_iter().map(|item| {
                // Invented arguments are in the way; the label shows the real ones.
                let text = item.code.split('(').next().unwrap_or_default().to_owned();
                (text, item.label)
            });
            Some(Answer { start: found.start_offset, items: items.collect(), ..Answer::default() })
        }
        Asked::Documentation => {
            let (text, html) = context.hover_at(source, *cursor).ok()?;
            let text = text.trim_start_matches(CRATE).trim();
            let html = html.trim_start_matches(CRATE_HTML);
            let is_known = !text.is_empty() && text != NOTHING;
            let documentation = is_known.then(|| (text.to_owned(), html.to_owned()));
            Some(Answer { documentation, ..Answer::default() })
        }
    }
}
