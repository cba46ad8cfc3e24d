//! One word, one idea: two files of a crate give no two types the same name. It reads the sources and
//! knows none of the types.

use std::collections::{BTreeMap, BTreeSet};

use syn::Item;

use super::{CRATES, Crate, attributes, is_for_tests};

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
    assert!(found.is_empty(), "give each type a name of its own: {found:#?}");
}
