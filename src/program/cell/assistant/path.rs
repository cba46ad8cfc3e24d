//! Completion of files and folders.

use std::path::PathBuf;

use super::{Completion, CompletionKind, Completions};

/// No folder is listed further than this; nobody chooses among more.
const MAX_ENTRIES: usize = 500;

/// The completions of the last blank-separated word of `line`, a system shell's line.
pub(super) fn complete(line: &str) -> Completions {
    let start = line.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    Completions { start, end: line.len(), items: entries(&line[start..]) }
}

/// The files and folders that begin as `typed` does, folders with a slash behind.
pub(super) fn entries(typed: &str) -> Vec<Completion> {
    let (folder, begin) = typed
        .rsplit_once('/')
        .map_or(("", typed), |(_, begin)| (&typed[..typed.len() - begin.len()], begin));
    let path = match folder.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None if folder.is_empty() => PathBuf::from("."),
        None => PathBuf::from(folder),
    };
    let Ok(listed) = path.read_dir() else { return Vec::new() };
    let mut items: Vec<Completion> = listed
        .take(MAX_ENTRIES)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let is_meant =
                name.starts_with(begin) && (!name.starts_with('.') || begin.starts_with('.'));
            // A link to a folder is as good as a folder.
            let is_folder = is_meant && entry.path().is_dir();
            let slash = if is_folder { "/" } else { "" };
            is_meant.then(|| {
                Completion::new(format!("{folder}{name}{slash}"), CompletionKind::Path, "")
            })
        })
        .collect();
    items.sort_by(|a, b| a.text.cmp(&b.text));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_with_a_slash_and_hidden_files_only_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("reviews")).unwrap();
        for name in ["reviews.csv", ".hidden", "other"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let at = |begin: &str| {
            let root = format!("{}/", dir.path().display());
            let texts = entries(&format!("{root}{begin}")).into_iter().map(|item| item.text);
            texts.map(|text| text.strip_prefix(&root).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(at("rev"), ["reviews.csv", "reviews/"]);
        assert_eq!(at(""), ["other", "reviews.csv", "reviews/"]);
        assert_eq!(at(".h"), [".hidden"]);
        assert!(at("nothing/").is_empty());
    }
}
