//! The names of columns, from the first record of a file.

use std::collections::{HashMap, HashSet};

use crate::data::excerpt::excerpts;

/// The columns that `cells` name, each by a name of its own, as pandas calls them: one without a
/// name is `Unnamed: 2` by its place from 0, and the second and third `text` are `text.1` and
/// `text.2`. Returns a remark on what was renamed.
pub(super) fn named(cells: Vec<String>) -> (Vec<String>, Option<String>) {
    let mut taken: HashSet<String> =
        cells.iter().filter(|cell| !cell.is_empty()).cloned().collect();
    // How many columns of each name there were so far.
    let mut n_seen: HashMap<String, usize> = HashMap::new();
    let mut renamed = Vec::new();
    let mut names = Vec::new();
    for (idx, cell) in cells.into_iter().enumerate() {
        let wanted = if cell.is_empty() { format!("Unnamed: {idx}") } else { cell.clone() };
        // A name by its place is given once.
        let mut n_alone = 0;
        let n_before = match cell.is_empty() {
            true => &mut n_alone,
            false => n_seen.entry(wanted.clone()).or_insert(0),
        };
        let mut name = wanted.clone();
        if cell.is_empty() || *n_before > 0 {
            // The number goes on from the last one: a header may repeat one name 100,000 times.
            while *n_before > 0 || taken.contains(&name) {
                name = format!("{wanted}.{}", (*n_before).max(1));
                if !taken.contains(&name) {
                    break;
                }
                *n_before = (*n_before).max(1) + 1;
            }
            taken.insert(name.clone());
            renamed.push(name.clone());
        }
        *n_before += 1;
        names.push(name);
    }
    let note = (!renamed.is_empty()).then(|| {
        format!("columns whose names are empty or repeated are called {}", excerpts(&renamed))
    });
    (names, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_many_empty_cells_is_named_at_once() {
        let (names, note) =
            named([vec![String::new(); 50_000], vec!["a".to_owned(); 50_000]].concat());
        assert_eq!((names[49_999].as_str(), names[99_999].as_str()), ("Unnamed: 49999", "a.49999"));
        assert!(note.unwrap().len() < 600);
    }

    #[test]
    fn every_column_has_a_name_of_its_own() {
        for (cells, expected) in [
            (&["v1", "v2", "", ""][..], &["v1", "v2", "Unnamed: 2", "Unnamed: 3"][..]),
            (&["text", "text", "label", "text"], &["text", "text.1", "label", "text.2"]),
            (&["", "a", ""], &["Unnamed: 0", "a", "Unnamed: 2"]),
            (&["a", "b"], &["a", "b"]),
            // These names are taken.
            (&["a", "a", "a.1"], &["a", "a.2", "a.1"]),
            (&["", "Unnamed: 0"], &["Unnamed: 0.1", "Unnamed: 0"]),
        ] {
            let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
            let (names, note) = named(cells.clone());
            assert_eq!(names, expected);
            assert_eq!(note.is_some(), names != cells);
        }
    }
}
