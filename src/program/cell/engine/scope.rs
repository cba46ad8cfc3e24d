//! What earlier cells left for later ones: imports, items, variables. It knows no compiler.

use std::{collections::BTreeMap, sync::Arc};

use crate::cell::engine::{
    macros,
    program::{CellText, Place, Program},
    source::{Source, words},
};

/// The macros that keep the order of the two streams when they print.
const PRINTS: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];

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
    is_open: bool,
    kept: Option<KeptPlaces>,
}

/// The pieces of a `static` that is one for all cells.
#[derive(Debug, Clone)]
struct KeptPlaces {
    name: String,
    head: Place,
    type_name: Place,
    value: Place,
}

impl KeptPlaces {
    /// Its value lies where it was first compiled; whoever is compiled later finds it by its name.
    fn write(&self, program: &mut Program) {
        program.copy(&self.head);
        program.push(": trialbook::runtime::Kept<");
        program.copy(&self.type_name);
        let name = &self.name;
        program.push(&format!("> = trialbook::runtime::Kept::new({name:?}, || {{ static VALUE: "));
        program.copy(&self.type_name);
        program.push("=");
        program.copy(&self.value);
        program.push("; &VALUE });");
    }
}

impl ScopedItem {
    fn has_name(&self, name: &str) -> bool {
        self.keys.iter().any(|key| {
            key.split_once(' ').is_some_and(|(kind, named)| {
                matches!(kind, "value" | "type" | "macro") && named == name
            })
        })
    }

    /// Whether it says what the type `name` can do.
    fn implements(&self, name: &str) -> bool {
        self.keys.iter().any(|key| {
            let Some(what) = key.strip_prefix("impl ") else { return false };
            let target = what.rsplit_once(" for ").map_or(what, |(_, target)| target);
            target.split(|char: char| !char.is_alphanumeric() && char != '_').next() == Some(name)
        })
    }
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
        let place_of = |range: &std::ops::Range<usize>| Place {
            cell: Arc::clone(cell),
            range: range.start + offset..range.end + offset,
        };
        for attribute in &source.attributes {
            let place = place_of(attribute);
            scope.attributes.retain(|earlier| text(earlier) != text(&place));
            scope.attributes.push(place);
        }
        let mut changed = Vec::new();
        for import in &source.imports {
            scope.imports.retain(|earlier| earlier.name != import.name);
            // Of two definitions of one name the later wins, whatever they are. With an own type go
            // its implementations: they would be those of the imported one.
            let is_earlier = |item: &ScopedItem| !Arc::ptr_eq(&item.place.cell, cell);
            let name = import.name.as_str();
            let is_type = |item: &ScopedItem| item.type_name.as_deref() == Some(name);
            if scope.items.iter().any(|item| is_earlier(item) && is_type(item)) {
                changed.push(name.to_owned());
                scope.items.retain(|item| !(is_earlier(item) && item.implements(name)));
            }
            scope.items.retain(|item| !(is_earlier(item) && item.has_name(name)));
            scope.imports.push(ScopedImport {
                name: import.name.clone(),
                code: import.code.clone(),
                place: place_of(&import.range),
            });
        }
        for item in &source.items {
            let place = place_of(&item.range);
            let names = item.keys.iter().filter_map(|key| key.split_once(' '));
            for (_, name) in names.filter(|(kind, _)| matches!(*kind, "value" | "type" | "macro")) {
                let is_earlier = |import: &ScopedImport| !Arc::ptr_eq(&import.place.cell, cell);
                scope.imports.retain(|import| !(import.name == name && is_earlier(import)));
            }
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
                is_open: item.is_open,
                kept: item.kept.as_ref().map(|kept| KeptPlaces {
                    // A cell that is run again begins anew.
                    name: format!("{}:{}", cell.number, kept.head.start + offset),
                    head: place_of(&kept.head),
                    type_name: place_of(&kept.type_name),
                    value: place_of(&kept.value),
                }),
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
        // Cells may have macros of these names of their own.
        let is_free = |name: &&str| {
            let key = format!("macro {name}");
            !self.items.iter().any(|item| item.keys.contains(&key))
                && !self.imports.iter().any(|import| import.name == **name)
        };
        for name in PRINTS.into_iter().filter(is_free) {
            program.push(&format!("#[allow(unused_imports)] use trialbook::__{name} as {name};"));
        }
        for import in &self.imports {
            program.copy_as(&import.code, &import.place);
        }
        // A macro must stand before those who call it, also where it was defined anew.
        let is_macro = |item: &&ScopedItem| item.keys.iter().any(|key| key.starts_with("macro "));
        let (macros, others): (Vec<_>, Vec<_>) = self.items.iter().partition(is_macro);
        for item in macros.into_iter().chain(others) {
            if let Some(kept) = &item.kept {
                kept.write(program);
                continue;
            }
            program.copy(&item.place);
            if item.is_open {
                program.push(";");
            }
        }
    }

    /// Whether an item or an import of earlier cells is called `name`.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.has_name(name))
            || self.imports.iter().any(|import| import.name == name)
    }

    /// Whether the macro called `name` was defined here and makes items.
    pub(crate) fn makes_items(&self, name: &str) -> bool {
        let key = format!("macro {name}");
        let found = self.items.iter().rev().find(|item| item.keys.contains(&key));
        found.is_some_and(|item| {
            let parsed = syn::parse_str::<syn::ItemMacro>(text(&item.place));
            parsed.is_ok_and(|item| macros::makes_items(&item.mac.tokens))
        })
    }

    /// The variables that an item or an import of `source` takes the name of: a pattern that is
    /// called as a constant is, is no variable.
    pub(crate) fn hidden_by(&self, source: &Source) -> Vec<String> {
        let is_hidden = |name: &String| {
            let value = format!("value {name}");
            let by_item = source
                .items
                .iter()
                .any(|item| item.keys.contains(&value) || item.type_name.as_ref() == Some(name));
            let is_upper = name.starts_with(char::is_uppercase);
            by_item || is_upper && source.imports.iter().any(|import| import.name == *name)
        };
        self.variables.keys().filter(|name| is_hidden(name)).cloned().collect()
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
        for item in &self.items {
            program.copy(&item.place);
            if item.is_open {
                program.push(";");
            }
        }
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
            (scope, changed) = scope.with(&text, 0, &Source::parse(cell, &|_| false));
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
    fn of_an_item_and_an_import_of_one_name_the_later_wins() {
        let own = "struct Error; impl Error { fn f() {} } impl Clone for Error {} fn g() {}";
        let (scope, changed) = after(&[own, "use std::io::Error;"]);
        assert_eq!(scope.items_text(), "use std::io::Error;\nfn g() {}\n");
        assert_eq!(changed, ["Error"]);
        let (scope, _) = after(&[own, "use std::io::Error;", "struct Error(u8);"]);
        assert_eq!(scope.items_text(), "fn g() {}\nstruct Error(u8);\n");
        let both = "use std::io::Error; struct Error;";
        assert_eq!(after(&[both]).0.items_text(), "use std::io::Error;\nstruct Error;\n");
        let (scope, _) = after(&["fn max() {}", "use std::cmp::max;", "use std::fmt::*;"]);
        assert_eq!(scope.items_text(), "use std::cmp::max;\nuse std::fmt::*;\n");
    }

    #[test]
    fn macros_stand_before_their_calls() {
        let rules = "macro_rules! make { ($n:ident) => { fn $n() {} } }";
        let (scope, _) = after(&[rules, "fn f() { make!(g); }", rules]);
        assert!(scope.makes_items("make") && !scope.makes_items("f"));
        let mut program = Program::default();
        scope.write(None, &mut program);
        let text = program.text();
        assert!(text.find("macro_rules") < text.find("fn f"), "{text}");
    }

    #[test]
    fn importing_a_name_again_replaces_it() {
        let (scope, _) = after(&["use std::fmt::Result;", "use std::io::Result;"]);
        assert_eq!(scope.items_text(), "use std::io::Result;\n");
    }
}
