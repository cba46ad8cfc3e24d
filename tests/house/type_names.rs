//! One word, one idea: two files of a crate give no two types the same name. It reads the sources and
//! knows none of the types.

use std::collections::{BTreeMap, BTreeSet};

use syn::Item;

use super::{CRATES, Crate, attributes, is_for_tests};

/// The names that several files of a crate give to types, with the reason why each may.
const SHARED: [(&str, &str, &str); 13] = [
    // For now: `registry` and `serve` are still to give theirs up.
    ("src/library", "Condition", "a file's state in `registry/verify`, a comparison in a filter"),
    ("src/library", "Found", "a copy's content in `registry/succession`, a value in a filter"),
    ("src/library", "Outcome", "what a command comes to, and a move in `registry/succession`"),
    ("src/library", "Read", "how `registry/run_view` and `registry/stored` read an entity"),
    ("src/library", "Rollback", "the gate's, and the `registry`'s record of one"),
    ("src/library", "Table", "a block of output, and a table of the `registry`'s database"),
    (
        "src/program",
        "Answer",
        "what `serve`'s client gets, and what a route, a call or a page gives",
    ),
    ("src/program", "Engine", "what compiles cells, and `serve`'s thread of batches"),
    ("src/program", "Item", "Rust's, and an element of JSON in `serve`"),
    ("src/program", "Line", "a line of commands, and one of a body in `serve`"),
    ("src/program", "Models", "the verb, and the models of a stream in `serve`"),
    ("src/program", "Outcome", "of a queued request and of a line, both in `serve`"),
    ("src/program", "Question", "queued texts and a text of a body, both in `serve`"),
];

/// The type that `item` defines outside of tests.
pub(super) fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Enum(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    (!attributes(item).iter().any(is_for_tests)).then(|| name.to_string())
}

#[test]
fn two_files_of_a_crate_name_no_two_types_alike() {
    let mut n_types = 0;
    let mut found = BTreeMap::new();
    for folder in CRATES {
        let mut files: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        for module in Crate::read(folder).modules.into_values() {
            n_types += module.types.len();
            for name in module.types {
                files.entry(name).or_default().insert(module.file.clone());
            }
        }
        let shared = files.into_iter().filter(|(_, files)| files.len() > 1);
        found.extend(shared.map(|(name, files)| ((folder, name), files)));
    }
    assert!(n_types > 900, "the sources define {n_types} types");
    let allowed = |(folder, name): &(&str, String)| {
        SHARED.iter().any(|(other, known, _)| (other, known) == (folder, &name.as_str()))
    };
    let new: Vec<_> = found.iter().filter(|(key, _)| !allowed(key)).collect();
    assert!(new.is_empty(), "give each type a name of its own: {new:#?}");
    let gone: Vec<_> = SHARED
        .iter()
        .filter(|(folder, name, _)| !found.contains_key(&(*folder, (*name).to_owned())))
        .collect();
    assert!(gone.is_empty(), "take these off the list, they are no longer shared: {gone:#?}");
}
