//! What earlier cells left for later ones: imports, items, variables. It knows no compiler.

use std::{collections::BTreeMap, sync::Arc};

use crate::cell::engine::{
    program::{CellText, Place, Program},
    source::{Source, words},
};

/// Everything a new cell can name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    attributes: Vec<Place>,
    imports: Vec<ScopedImport>,
    items: Vec<ScopedItem>,
    /// The variables in the child, by name.
    pub(crate) variables: BTreeMap<String, Variable>,
}

#[derive(Debug, Clone)]
struct ScopedImport {
    name: String,
    code: String,
    place: Place,
}

#[derive(Debug, Clone)]
struct ScopedItem {
    keys: Vec<String>,
    type_name: Option<String>,
    place: Place,
}

/// A variable between cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Whether it was declared `mut`.
    pub(crate) is_mutable: bool,
    /// Its type as it can be written in a cell.
    pub(crate) type_name: String,
}

impl Scope {
    /// This scope with what `source` adds, which begins at byte `offset` of `cell`; and the types
    /// whose definition it changes.
    pub(crate) fn with(
        &self,
        cell: &Arc<CellText>,
        offset: usize,
        source: &Source,
    ) -> (Self, Vec<String>) {
        let mut scope = self.clone();
        let place = |range: &std::ops::Range<usize>| Place {
            cell: Arc::clone(cell),
            range: range.start + offset..range.end + offset,
        };
        for attribute in &source.attributes {
            let place = place(attribute);
            scope.attributes.retain(|earlier| text(earlier) != text(&place));
            scope.attributes.push(place);
        }
        for import in &source.imports {
            scope.imports.retain(|earlier| earlier.name != import.name);
            scope.imports.push(ScopedImport {
                name: import.name.clone(),
                code: import.code.clone(),
                place: place(&import.range),
            });
        }
        let mut changed = Vec::new();
        for item in &source.items {
            let place = place(&item.range);
            if let Some(name) = &item.type_name {
                let same = |earlier: &ScopedItem| {
                    earlier.type_name.as_ref() == Some(name) && text(&earlier.place) != text(&place)
                };
                if scope.items.iter().any(same) {
                    changed.push(name.clone());
                }
            }
            scope.items.retain(|earlier| !earlier.keys.iter().any(|key| item.keys.contains(key)));
            scope.items.push(ScopedItem {
                keys: item.keys.clone(),
                type_name: item.type_name.clone(),
                place,
            });
        }
        let changed = scope.with_users_of(changed);
        (scope, changed)
    }

    /// Writes all that stands before the cell's own function.
    pub(crate) fn write(&self, header: Option<&str>, program: &mut Program) {
        for attribute in &self.attributes {
            program.copy(attribute);
        }
        header.into_iter().for_each(|header| program.push(header));
        program.push("use trialbook::prelude::*;");
        for import in &self.imports {
            program.copy_as(&import.code, &import.place);
        }
        for item in &self.items {
            program.copy(&item.place);
        }
    }

    /// The names of functions, types and other items.
    pub(crate) fn item_names(&self) -> Vec<String> {
        self.items
            .iter()
            .flat_map(|item| &item.keys)
            .filter_map(|key| {
                let (kind, name) = key.split_once(' ')?;
                matches!(kind, "value" | "type" | "macro").then(|| name.to_owned())
            })
            .collect()
    }

    /// The items and imports as text, for an analysis that compiles nothing.
    pub(crate) fn items_text(&self) -> String {
        let mut program = Program::default();
        self.imports.iter().for_each(|import| program.push(&import.code));
        self.items.iter().for_each(|item| program.copy(&item.place));
        program.text().to_owned()
    }

    /// The variables whose type names one of `types`.
    pub(crate) fn variables_of(&self, types: &[String]) -> Vec<String> {
        let names = |variable: &Variable| {
            let words = words(&variable.type_name);
            types.iter().any(|name| words.contains(name.as_str()))
        };
        self.variables
            .iter()
            .filter(|(_, variable)| names(variable))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// `types` and every type that is made of one of them.
    fn with_users_of(&self, mut types: Vec<String>) -> Vec<String> {
        let mut done = 0;
        while done < types.len() {
            let users: Vec<String> = self
                .items
                .iter()
                .filter(|item| words(text(&item.place)).contains(types[done].as_str()))
                .filter_map(|item| item.type_name.clone())
                .filter(|name| !types.contains(name))
                .collect();
            types.extend(users);
            done += 1;
        }
        types
    }
}

fn text(place: &Place) -> &str {
    place.cell.text.get(place.range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(cells: &[&str]) -> (Scope, Vec<String>) {
        let mut scope = Scope::default();
        let mut changed = Vec::new();
        for cell in cells {
            let text = Arc::new(CellText { number: 1, text: (*cell).to_owned() });
            (scope, changed) = scope.with(&text, 0, &Source::parse(cell));
        }
        (scope, changed)
    }

    #[test]
    fn a_later_item_takes_the_place_of_its_namesake() {
        let (scope, _) = after(&["fn f() -> u8 { 1 } fn g() {}", "fn f() -> u8 { 2 }"]);
        let text = scope.items_text();
        assert!(text.contains("{ 2 }") && !text.contains("{ 1 }") && text.contains("fn g"));
        assert_eq!(scope.item_names(), ["g", "f"]);
    }

    #[test]
    fn a_changed_type_is_reported_with_the_types_made_of_it() {
        let cells = ["struct A; struct B { a: A } struct C;", "struct A(u8);"];
        assert_eq!(after(&cells).1, ["A", "B"]);
        assert_eq!(after(&[cells[0], cells[0]]).1, [""; 0]);
    }

    #[test]
    fn importing_a_name_again_replaces_it() {
        let (scope, _) = after(&["use std::fmt::Result;", "use std::io::Result;"]);
        assert_eq!(scope.items_text(), "use std::io::Result;\n");
    }
}
