//! Cells that are kept in a file: notebooks (`.ipynb`), Rust with `// %%` between cells (`.rs`), and
//! what one would type (`.tb`). Reading and writing only; nothing here runs a cell.

mod notebook;
mod outputs;
mod script;

pub use notebook::Notebook;
pub use outputs::Recorder;
pub use script::inputs;
pub(crate) use script::write as write_script;

use std::path::Path;

use crate::error::{Error, Result};

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
    pub fn cells(self, text: &str) -> Vec<String> {
        match self {
            Self::Inputs => inputs(text),
            Self::Notebook | Self::Rust => script::marked_cells(text),
        }
    }
}
