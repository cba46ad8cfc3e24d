//! Cells that are kept in a file: notebooks (`.ipynb`), Rust with `// %%` between cells (`.rs`), and
//! what one would type (`.tb`). Reading and writing only; nothing here runs a cell.

mod notebook;
mod outputs;
mod parameters;
mod script;
mod source;

pub use notebook::Notebook;
pub(crate) use outputs::Kept;
pub use outputs::Recorder;
pub use parameters::Parameters;
pub use script::inputs;
pub(crate) use script::write as write_script;
pub use source::Source;

use std::path::Path;

use trialbook::error::{Error, Result};

/// The forms a file of cells can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Jupyter notebook.
    Notebook,
    /// Rust, with `// %%` between cells.
    Rust,
    /// The inputs that one would type, one after the other.
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
