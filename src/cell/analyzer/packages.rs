//! Where the sources of the crates behind the prelude are, and with which features they are built:
//! cargo knows both.

use std::{path::PathBuf, process::Command};

use serde::Deserialize;

use super::{Index, Package};
use crate::error::{Error, ErrorKind, Result};

/// The crates whose names people write in cells, those that hide names of others first.
const NAMED_IN_CELLS: [&str; 13] = [
    "trialbook",
    "polars",
    "polars-core",
    "polars-lazy",
    "polars-plan",
    "polars-ops",
    "polars-io",
    "polars-time",
    "polars-sql",
    "polars-expr",
    "polars-utils",
    "polars-error",
    "polars-dtype",
];

/// Where the index of one prelude comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The file in which it is kept.
    pub file: PathBuf,
    /// The cargo that built the prelude.
    pub cargo: PathBuf,
    /// The folder of the package that the prelude was built from.
    pub package: PathBuf,
    /// The features it was built with.
    pub features: Vec<String>,
    /// The target triple that it was built for.
    pub target: String,
}

/// What a cell has in scope from the start.
const PRELUDE: [&str; 2] = ["trialbook", "prelude"];

impl Sources {
    /// The index: from its file, or made anew and kept for the next time.
    ///
    /// # Errors
    /// When cargo cannot say where the sources are.
    pub fn index(&self) -> Result<Index> {
        Index::load(&self.file).or_else(|_| {
            let packages = Package::of(self)?;
            let index = Index::scan(&packages, &PRELUDE);
            // A folder that cannot be written costs the next session a second, no more.
            let _ = index.save(&self.file);
            Ok(index)
        })
    }
}

impl Package {
    /// The crates that the package brings into scope.
    ///
    /// # Errors
    /// When cargo cannot say; it is not given the network.
    pub fn of(sources: &Sources) -> Result<Vec<Self>> {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Described>,
            resolve: Resolve,
        }
        #[derive(Deserialize)]
        struct Described {
            id: String,
            name: String,
            targets: Vec<Target>,
        }
        #[derive(Deserialize)]
        struct Target {
            name: String,
            kind: Vec<String>,
            src_path: PathBuf,
        }
        #[derive(Deserialize)]
        struct Resolve {
            nodes: Vec<Node>,
        }
        #[derive(Deserialize)]
        struct Node {
            id: String,
            features: Vec<String>,
        }
        let Sources { cargo, package, features, target, .. } = sources;
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--offline", "--no-default-features"])
            // Building for one target fetched no crate that only others need.
            .args(["--filter-platform", target, "--features", &features.join(",")])
            .current_dir(package)
            .output()
            .map_err(|source| Error::io("run", cargo, source))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::new(
                ErrorKind::Unavailable,
                "cargo cannot name the prelude's crates",
            )
            .with_source(said));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot read what cargo said").with_source(source)
        })?;
        let described = |name: &&str| {
            let package = metadata.packages.iter().find(|package| package.name == **name)?;
            let library = |target: &&Target| {
                target.kind.iter().any(|kind| ["lib", "rlib", "dylib"].contains(&kind.as_str()))
            };
            let target = package.targets.iter().find(library)?;
            let node = metadata.resolve.nodes.iter().find(|node| node.id == package.id)?;
            Some(Self {
                name: target.name.replace('-', "_"),
                root: target.src_path.clone(),
                features: node.features.clone(),
            })
        };
        Ok(NAMED_IN_CELLS.iter().filter_map(described).collect())
    }
}
