//! `store verify|gc|backup|restore`: the folder itself.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use trialbook::{
    data::exists,
    error::{Error, ErrorKind, Result},
    figure::{bytes, count, counted},
    hint::Hint,
    monitor::read_labels,
    output::Output,
    registry::{self, BackupSummary},
};

use super::Session;

/// Half-made datasets untouched for so long belong to processes that died.
const STALE: Duration = Duration::from_secs(60 * 60);

/// The verbs on the store.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Check every checksum; list missing, damaged and orphaned artifacts
    Verify,
    /// Remove deleted runs, and artifacts that nothing refers to
    ///
    /// Files younger than an hour stay. Runs whose process died are marked as FAILED.
    Gc(Gc),
    /// Write everything but the log of predictions into one file, while others go on writing
    Backup(Backup),
    /// Fill an empty store from a backup
    Restore(BackupFile),
}

/// The settings of a clean-up.
#[derive(Debug, Clone, Args)]
pub struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// The place of a backup.
#[derive(Debug, Clone, Args)]
pub struct Backup {
    /// The file
    file: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// A backup's file.
#[derive(Debug, Clone, Args)]
pub struct BackupFile {
    /// The file
    file: PathBuf,
}

impl StoreCommand {
    /// As it is typed.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Verify => "store verify",
            Self::Gc(_) => "store gc",
            Self::Backup(_) => "store backup",
            Self::Restore(_) => "store restore",
        }
    }

    pub(super) fn run(&self, session: &Session) -> Result<Output> {
        match self {
            Self::Verify => verify(session),
            Self::Gc(gc) => {
                let collected = session.book.registry()?.gc(gc.dry_run)?;
                let mut n_settled = 0;
                if !gc.dry_run {
                    session.book.datasets().sweep(STALE)?;
                    n_settled = session.book.settle_dead_runs()?;
                }
                let verb = if gc.dry_run { "would remove" } else { "removed" };
                let mut json = serde_json::json!(collected);
                json["n_settled"] = n_settled.into();
                let settled = match n_settled {
                    0 => String::new(),
                    n_settled => format!("; {n_settled} runs of dead processes are FAILED now"),
                };
                Ok(Output::new(json).text(format!(
                    "{verb} {} deleted runs and {} artifacts ({}){settled}",
                    count(collected.n_runs),
                    count(collected.n_artifacts),
                    bytes(collected.n_bytes)
                )))
            }
            Self::Backup(backup) => {
                if !backup.force && backup.file.exists() {
                    return Err(exists(&backup.file));
                }
                let summary = session.book.registry()?.backup(&backup.file)?;
                Ok(said("wrote", &backup.file, &summary))
            }
            Self::Restore(backup) => {
                let summary = registry::restore(session.book.store(), &backup.file)?;
                Ok(said("restored", &backup.file, &summary))
            }
        }
    }
}

fn said(verb: &str, file: &std::path::Path, summary: &BackupSummary) -> Output {
    Output::new(summary).text(format!(
        "{verb} {}: {}, {}, {}, {}, {}, {}",
        file.display(),
        counted(summary.n_runs, "run"),
        counted(summary.n_versions, "model version"),
        counted(summary.n_artifacts, "artifact"),
        counted(summary.n_datasets, "dataset"),
        counted(summary.n_labels, "true label"),
        bytes(summary.n_bytes)
    ))
}

fn verify(session: &Session) -> Result<Output> {
    let found = session.book.registry()?.verify()?;
    let datasets = session.book.datasets();
    let mut problems = found.problems.clone();
    let mut n_datasets = 0;
    match datasets.list() {
        Err(error) => problems.push(error.chain()),
        Ok(list) => {
            for dataset in list {
                session.monitor.interrupt.check()?;
                n_datasets += 1;
                if let Err(error) = datasets.verify(&dataset.name) {
                    problems.push(error.chain());
                }
            }
        }
    }
    let (labels, n_unreadable_labels) = read_labels(&session.book.store().logs_dir())?;
    if !found.is_valid() || !problems.is_empty() {
        let mut parts = problems;
        if !found.database_valid {
            parts.push("the database fails its check".to_owned());
        }
        if !found.corrupt.is_empty() {
            parts.push(format!("damaged artifacts: {}", found.corrupt.join(", ")));
        }
        if !found.missing.is_empty() {
            parts.push(format!("missing artifacts: {}", found.missing.join(", ")));
        }
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("store {:?}: {}", session.book.store().root(), parts.join("; ")),
        )
        .with_hint(
            "restore a backup into a new folder with `trialbook --store NEW store restore FILE`",
        ));
    }
    let orphans = match found.orphaned.len() {
        0 => Hint::from("none orphaned"),
        n_orphaned => Hint::from(format!("{} orphaned (", count(n_orphaned)))
            .run("store gc")
            .say(" removes them)"),
    };
    let mut json = serde_json::json!(found);
    json["n_datasets"] = n_datasets.into();
    json["n_labels"] = labels.n_texts().into();
    json["n_unreadable_labels"] = n_unreadable_labels.into();
    let unreadable = match n_unreadable_labels {
        0 => String::new(),
        // Such as a process leaves that is killed while it writes: acknowledged to nobody.
        n => format!("; {} of the log of labels unreadable", counted(n, "line")),
    };
    let said = format!(
        "store {} is sound: {} artifacts and {n_datasets} datasets proved, none missing, ",
        session.book.store().root().display(),
        count(found.n_valid)
    );
    let said = Hint::from(said).and(orphans).say("; the database passes its check").say(unreadable);
    Ok(Output::new(json).hint(said))
}
