//! Cells that are kept in a file: notebooks (`.ipynb`), Rust with `// %%` between cells (`.rs`), and
//! what one would type (`.tb`). Reading and writing only; nothing here runs a cell.

mod notebook;
mod outputs;
mod parameters;
mod script;

pub use notebook::Notebook;
pub(crate) use outputs::Kept;
pub use outputs::Recorder;
pub use parameters::Parameters;
pub use script::inputs;
pub(crate) use script::write as write_script;

use std::path::Path;

use trialbook::error::{Error, Result};

/// The forms a file of cells can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Jupyter notebook.
    Notebook,
    /// Rust, with `// %%` between cells.
    Rust,
    /// What one would type, one input after the other.
    Inputs,
}

impl Form {
    /// The form that the name of `path` promises.
    ///
    /// # Errors
    /// When it promises none of the three.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("ipynb") => Ok(Self::Notebook),
            Some("rs") => Ok(Self::Rust),
            Some("tb") => Ok(Self::Inputs),
            _ => Err(Error::invalid(format!("file {path:?} is no script and no notebook"))
                .with_hint("its name has to end in .ipynb, .rs or .tb")),
        }
    }

    /// The cells of `text`, a script of this form. A notebook's are [`Notebook::sources`].
    ///
    /// # Errors
    /// When the script does not say where its cells end.
    pub fn cells(self, text: &str) -> Result<Vec<Source>> {
        match self {
            Self::Inputs => Ok(inputs(text).into_iter().map(Source::of).collect()),
            Self::Notebook | Self::Rust => script::marked_cells(text),
        }
    }
}

/// A code cell of a notebook or a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Its place among all cells of a notebook.
    pub idx: usize,
    /// What it says.
    pub text: String,
    /// Whether it is meant to fail: Jupyter's tag `raises-exception`.
    pub may_fail: bool,
    /// Whether its variables can be set from outside: papermill's tag `parameters`.
    pub is_parameters: bool,
}

impl Source {
    fn of(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    fn tagged(self, tags: &[String]) -> Self {
        let has = |tag: &str| tags.iter().any(|it| it == tag);
        Self { may_fail: has("raises-exception"), is_parameters: has("parameters"), ..self }
    }
}
