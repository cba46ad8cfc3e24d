//! The index of a prelude and that of the standard library: read from their files, or made from the
//! sources of the crates and by the compiler's documentation tool.

use std::path::PathBuf;

use trialbook::error::{Error, ErrorKind};
use trialbook::hint::Hint;

use super::{Index, Package, standard};

/// The sources of the index of one prelude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The file in which it is kept.
    pub file: PathBuf,
    /// The crates to read, those that hide names of others first.
    pub packages: Vec<Package>,
    /// The documentation tool of the compiler, which knows the standard library.
    pub rustdoc: PathBuf,
}

/// The items that could be read.
#[derive(Debug)]
pub struct Indexed {
    /// The names, none where nothing could be read.
    pub index: Index,
    /// The part that it lacks.
    pub problem: Option<Error>,
}

/// The module that a cell has in scope from the start.
const PRELUDE: [&str; 2] = ["trialbook", "prelude"];

impl Sources {
    /// The index: from its file, or made anew and kept for the next time. It needs no cargo and no
    /// network.
    pub fn index(&self) -> Indexed {
        if let Ok(index) = Index::load(&self.file) {
            return Indexed { index, problem: None };
        }
        let index = Index::scan(&self.packages, &PRELUDE);
        let problem = self.problem();
        if problem.is_none() {
            // A folder that cannot be written costs the next session a second, no more.
            let _ = index.save(&self.file);
        }
        Indexed { index, problem }
    }

    /// The names of the standard library, from their file beside the other, or asked for anew; none
    /// without a documentation tool.
    pub fn std_index(&self) -> Option<Index> {
        let file = self.file.with_file_name("std.json");
        Index::load(&file).ok().or_else(|| {
            let index = standard::read(&self.rustdoc)?;
            // As above.
            let _ = index.save(&file);
            Some(index)
        })
    }

    fn problem(&self) -> Option<Error> {
        let lost = self.packages.iter().filter(|package| !package.root.is_file());
        let lost: Vec<&str> = lost.map(|package| package.name.as_str()).collect();
        let (first, others) = lost.split_first()?;
        let more = match others.len() {
            0 => String::new(),
            n_more => format!(" and of {n_more} more crates"),
        };
        Some(
            Error::new(
                ErrorKind::Unavailable,
                format!("completion knows no names of {first}{more}: their sources are gone"),
            )
            .with_hint(Hint::new().run("prelude build --force").say(" fetches them again")),
        )
    }
}
