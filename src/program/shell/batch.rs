//! Cells that nobody types: given as arguments, piped in, or kept in a file. They run in order until
//! one fails.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use trialbook::{
    error::{Error, Result},
    store::write_atomically,
};

use super::{Terminal, screen::Screen, signals::Signals};
use crate::cell::{
    Failure, Front, Interpreter, Options,
    document::{Form, Notebook, Parameters, Recorder, Source, inputs},
};

/// The interpreter that runs cells, and the screen that shows them.
struct Batch {
    interpreter: Interpreter,
    screen: Arc<Screen>,
    signals: Signals,
}

/// The cell that failed, when one did.
pub(crate) type Outcome = std::result::Result<(), Failure>;

/// Runs `cells` one after the other.
///
/// # Errors
/// When the system refuses to watch for signals.
pub(crate) fn run_cells(options: Options, quiet: bool, cells: &[String]) -> Result<Outcome> {
    Ok(Batch::new(options, quiet, true)?.run(cells))
}

/// Runs what stdin holds, once it has ended.
///
/// # Errors
/// When stdin cannot be read.
pub(crate) fn run_stdin(options: Options, quiet: bool) -> Result<Outcome> {
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", Path::new("stdin"), source))?;
    let text = String::from_utf8(bytes)
        .map_err(|source| Error::invalid("stdin is not UTF-8").with_source(source))?;
    Ok(Batch::new(options, quiet, false)?.run(&inputs(&text)))
}

/// A file of cells and what to do with it.
pub(crate) struct FileRun<'a> {
    /// The script or notebook.
    pub(crate) path: &'a Path,
    /// True if what the cells show is written into the notebook.
    pub(crate) save: bool,
    /// `NAME=VALUE` for the cell tagged `parameters`.
    pub(crate) parameters: &'a [String],
}

/// Runs the cells of a script or notebook. What they show is written into the notebook, where that is
/// asked for, once all of them have run; when one fails the file stays as it was.
///
/// # Errors
/// When the file cannot be read, is none of ours, has no such parameter, or cannot be written.
pub(crate) fn run_file(options: Options, quiet: bool, run: &FileRun<'_>) -> Result<Outcome> {
    let path = run.path;
    let form = Form::of(path)?;
    if run.save && form != Form::Notebook {
        return Err(Error::invalid(format!("cannot save outputs into the script {path:?}"))
            .with_hint("--save is for notebooks: .ipynb"));
    }
    let parameters = Parameters::parse(run.parameters)?;
    let text = std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
    let named = |error: Error| error.with_context(path.display());
    let mut notebook = match form {
        Form::Notebook => Some(Notebook::parse(&text).map_err(named)?),
        Form::Rust | Form::Inputs => None,
    };
    let mut cells: Vec<Source> = match &notebook {
        Some(notebook) => notebook.sources(),
        None => form.cells(&text).map_err(named)?,
    };
    parameters.fill(&mut cells).map_err(named)?;
    let mut batch = Batch::new(options, quiet, true)?;
    let front: Arc<dyn Front> = batch.screen.clone();
    let n_cells = cells.len();
    for (idx, cell) in cells.iter().enumerate() {
        let recorder = Recorder::new(&front);
        // Whoever gave one cell knows which it is.
        let number = (notebook.is_some() || n_cells > 1).then_some(idx + 1);
        let outcome = batch.run_one(number, &cell.text, &(recorder.clone() as Arc<dyn Front>));
        if let Some(notebook) = &mut notebook {
            let outputs = recorder.take(idx + 1, outcome.as_ref().err());
            notebook.set_outputs(cell.idx, idx + 1, outputs);
        }
        if outcome.is_err() && !cell.may_fail {
            return Ok(outcome);
        }
        if batch.interpreter.wants_to_quit() {
            break;
        }
    }
    if let Some(notebook) = notebook.filter(|_| run.save) {
        write_atomically(path, notebook.to_text().as_bytes())?;
    }
    Ok(Ok(()))
}

impl Batch {
    fn new(options: Options, quiet: bool, answers: bool) -> Result<Self> {
        let interpreter = Interpreter::new(options);
        let signals = Signals::watch(interpreter.interrupter(), true)?;
        let terminal = Terminal::of_process();
        let screen = Arc::new(Screen::new(terminal, quiet, answers, signals.clone()));
        Ok(Self { interpreter, screen, signals })
    }

    fn run(mut self, cells: &[String]) -> Outcome {
        let front: Arc<dyn Front> = self.screen.clone();
        for (idx, cell) in cells.iter().enumerate() {
            // Whoever gave one cell knows which it is.
            let number = (cells.len() > 1).then_some(idx + 1);
            self.run_one(number, cell, &front)?;
            if self.interpreter.wants_to_quit() {
                break;
            }
        }
        Ok(())
    }

    /// Runs one cell; a failure is shown, with the cell where it has a number.
    fn run_one(&mut self, number: Option<usize>, cell: &str, front: &Arc<dyn Front>) -> Outcome {
        self.signals.begin();
        let outcome = self.interpreter.execute(cell, front);
        self.signals.end();
        self.screen.end_cell();
        if let Err(failure) = &outcome {
            if let Some(number) = number {
                self.screen.name_cell(number, cell);
            }
            self.screen.fail(failure);
        }
        outcome
    }
}
