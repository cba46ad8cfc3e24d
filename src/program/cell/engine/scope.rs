//! The names that earlier cells left for later ones: imports, items, variables. It knows no
//! compiler.

use std::{collections::BTreeMap, sync::Arc};

use crate::cell::engine::{
    macros,
    program::{CellRange, CellText, Program},
    source::{ParsedCell, UseImport, words},
    statics::StaticKind,
};

/// The macros that keep the order of the two streams when they print, and tell whose output it is.
const PRINTS: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];

/// Everything a new cell can name.
#[derive(Debug, Clone, Default)]
pub(crate) struct CellScope {
    attributes: Vec<CellRange>,
    lints: Vec<CellRange>,
    imports: Vec<ScopedImport>,
    items: Vec<ScopedItem>,
    /// The variables in the child, by name.
    pub(crate) variables: BTreeMap<String, ScopeVariable>,
}

#[derive(Debug, Clone)]
struct ScopedImport {
    name: String,
    code: String,
    place: CellRange,
}

#[derive(Debug, Clone)]
struct ScopedItem {
    keys: Vec<String>,
    types: Vec<String>,
    place: CellRange,
    is_open: bool,
    statics: Vec<Declaration>,
}

/// The statics that one declaration makes, each with the name by which all cells know its value.
#[derive(Debug, Clone)]
struct Declaration {
    place: CellRange,
    list: Vec<(String, StaticPlaces)>,
}

/// A `static` in pieces.
#[derive(Debug, Clone)]
struct StaticPlaces {
    kind: StaticKind,
    name: String,
    head: CellRange,
    type_name: CellRange,
    value: CellRange,
}

impl StaticPlaces {
    /// Its value lies where it was first compiled; whoever is compiled later finds it by its `key`, or,
    /// where `is_exported`, is bound to it by the loader.
    fn write(&self, key: &str, is_exported: bool, program: &mut Program) {
        let Self { kind, name, head, type_name, value } = self;
        // What `Kept::new` finds under the key, between its type and its value.
        let kept = |program: &mut Program, before: &str, around: &str, behind: &str| {
            program.push(&format!("{before}: trialbook::runtime::Kept<{around}"));
            program.copy(type_name);
            program.push(&format!("{behind}> = trialbook::runtime::Kept::new({key:?}, || {{"));
        };
        match kind {
            StaticKind::Plain if !is_exported => {
                program.copy(head);
                kept(program, "", "", "");
                program.push("static VALUE: ");
                program.copy(type_name);
                program.push("=");
                program.copy(value);
                program.push("; &VALUE });");
            }
            StaticKind::Local => {
                program.copy(head);
                kept(program, "", "::std::thread::LocalKey<", ">");
                program.push("::std::thread_local! { static VALUE: ");
                program.copy(type_name);
                program.push("=");
                program.copy(value);
                program.push("; } static KEY: ::std::thread::LocalKey<");
                program.copy(type_name);
                program.push("> = VALUE; &KEY });");
            }
            StaticKind::Lazy => {
                program.copy(head);
                program.push(&format!("struct {name} {{ __private: () }}"));
                program.copy(head);
                program.push(&format!(
                    "static {name}: {name} = {name} {{ __private: () }};\n\
                     impl ::std::ops::Deref for {name} {{ type Target = "
                ));
                program.copy(type_name);
                program.push("; fn deref(&self) -> &Self::Target {");
                kept(program, "static KEPT", "::std::sync::OnceLock<", ">");
                program.push("static VALUE: ::std::sync::OnceLock<");
                program.copy(type_name);
                program.push("> = ::std::sync::OnceLock::new(); &VALUE }); KEPT.get_or_init(|| {");
                program.copy(value);
                program.push(&format!(
                    "}}) }} }}\nimpl ::lazy_static::LazyStatic for {name} {{\n\
                     fn initialize(lazy: &Self) {{ let _ = &**lazy; }} }}"
                ));
            }
            StaticKind::Plain | StaticKind::Mutable => {
                program.push(&format!("#[unsafe(export_name = {:?})]", symbol(key)));
                program.copy(head);
                program.push(":");
                program.copy(type_name);
                program.push("=");
                program.copy(value);
                program.push(";");
            }
        }
    }
}

/// The symbol of the static that all cells know by `key`.
fn symbol(key: &str) -> String {
    format!("trialbook_static_{}", key.replace(':', "_"))
}

/// The parts of the name of a type whose values code can change through a shared reference.
const CHANGEABLE: [&str; 12] = [
    "ArcSwap<",
    "Atomic",
    "Barrier",
    "Cell<",
    "Condvar",
    "DashMap<",
    "Lazy<",
    "LazyLock<",
    "Mutex<",
    "OnceLock<",
    "ReentrantLock<",
    "RwLock<",
];

impl ScopedItem {
    fn has_name(&self, name: &str) -> bool {
        self.keys.iter().any(|key| {
            key.split_once(' ').is_some_and(|(kind, named)| {
                matches!(kind, "value" | "type" | "macro") && named == name
            })
        })
    }

    /// True if it is an implementation for the type `name`.
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
pub(crate) struct ScopeVariable {
    /// True if it was declared `mut`.
    pub(crate) is_mutable: bool,
    /// Its type as it can be written in a cell.
    pub(crate) type_name: String,
}

impl CellScope {
    /// This scope with what `source` adds, which begins at byte `offset` of `cell`; and the types
    /// whose definition it changes.
    pub(crate) fn with(
        &self,
        cell: &Arc<CellText>,
        offset: usize,
        source: &ParsedCell,
    ) -> (Self, Vec<String>) {
        let mut scope = self.clone();
        let place_of = |range: &std::ops::Range<usize>| CellRange {
            cell: Arc::clone(cell),
            range: range.start + offset..range.end + offset,
        };
        for attribute in &source.attributes {
            let place = place_of(attribute);
            scope.attributes.retain(|earlier| text(earlier) != text(&place));
            scope.attributes.push(place);
        }
        for lint in &source.lints {
            let place = place_of(lint);
            scope.lints.retain(|earlier| text(earlier) != text(&place));
            scope.lints.push(place);
        }
        let mut changed = Vec::new();
        for import in &source.imports {
            scope.imports.retain(|earlier| earlier.name != import.name);
            // Of two definitions of one name the later wins, whatever they are. With an own type go
            // its implementations: they would be those of the imported one.
            let is_earlier = |item: &ScopedItem| !Arc::ptr_eq(&item.place.cell, cell);
            let name = import.name.as_str();
            let is_type = |item: &ScopedItem| item.types.iter().any(|own| own == name);
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
            for name in &item.types {
                let same = |earlier: &ScopedItem| {
                    earlier.types.contains(name) && text(&earlier.place) != text(&place)
                };
                if scope.items.iter().any(same) {
                    changed.push(name.clone());
                }
            }
            // What a macro made is made again by the one that takes its place.
            for name in item.keys.iter().filter_map(|key| key.strip_prefix("macro ")) {
                let is_other = |it: &&ScopedItem| text(&it.place) != text(&place);
                let is_redefined =
                    scope.items.iter().filter(is_other).any(|earlier| earlier.has_name(name));
                let made = scope.items.iter().filter(|it| words(text(&it.place)).contains(name));
                changed.extend(made.filter(|_| is_redefined).flat_map(|it| it.types.clone()));
            }
            scope.items.retain(|earlier| !earlier.keys.iter().any(|key| item.keys.contains(key)));
            scope.items.push(ScopedItem {
                keys: item.keys.clone(),
                types: item.types.clone(),
                place,
                is_open: item.is_open,
                statics: item
                    .statics
                    .iter()
                    .map(|declaration| Declaration {
                        place: place_of(&declaration.range),
                        list: declaration
                            .list
                            .iter()
                            .map(|item| {
                                let start = item.value.start + offset;
                                let places = StaticPlaces {
                                    kind: item.kind,
                                    name: item.name.clone(),
                                    head: place_of(&item.head),
                                    type_name: place_of(&item.type_name),
                                    value: place_of(&item.value),
                                };
                                // A cell that is run again begins anew.
                                (format!("{}:{start}:{}", cell.number, item.name), places)
                            })
                            .collect(),
                    })
                    .collect(),
            });
        }
        let changed = scope.with_users_of(changed);
        (scope, changed)
    }

    /// Gives the statics whose type is one of `types` a fresh start in cell `number`: their values are
    /// of the types as they were. Returns their names.
    pub(crate) fn renew(&mut self, types: &[String], number: u64) -> Vec<String> {
        let mut renewed = Vec::new();
        let declarations = self.items.iter_mut().flat_map(|item| &mut item.statics);
        for (key, item) in declarations.flat_map(|declaration| &mut declaration.list) {
            let words = words(text(&item.type_name));
            let is_old = !key.starts_with(&format!("{number}:"));
            if is_old && types.iter().any(|name| words.contains(name.as_str())) {
                *key = format!("{number}:{key}");
                renewed.push(item.name.clone());
            }
        }
        renewed
    }

    /// The statics that the loader binds to those of earlier cells: name, symbol and where the type is
    /// written.
    pub(crate) fn shared(&self) -> impl Iterator<Item = (&str, String, &CellRange)> {
        self.items.iter().flat_map(move |item| {
            let of_item = item.statics.iter().flat_map(|declaration| &declaration.list);
            of_item
                .filter(|(_, places)| self.is_exported(item, places))
                .map(|(key, places)| (places.name.as_str(), symbol(key), &places.type_name))
        })
    }

    /// True if the loader binds a static of `item` to the one of the cell that had it first. Its
    /// type must mean the same everywhere, and loaders elsewhere keep libraries apart.
    fn is_exported(&self, item: &ScopedItem, places: &StaticPlaces) -> bool {
        let is_whole = item.statics.iter().any(|it| it.place.range == item.place.range);
        match places.kind {
            StaticKind::Mutable => true,
            StaticKind::Plain => {
                cfg!(target_os = "linux") && is_whole && self.is_changeable(places)
            }
            StaticKind::Local | StaticKind::Lazy => false,
        }
    }

    /// The names that `source` imports from elsewhere than earlier cells did.
    pub(crate) fn reimported(&self, source: &ParsedCell) -> Vec<String> {
        let is_other = |import: &&UseImport| {
            self.imports.iter().any(|it| it.name == import.name && it.code != import.code)
        };
        source.imports.iter().filter(is_other).map(|import| import.name.clone()).collect()
    }

    /// True if the value of a `static` outlives its cell in another way than by being what it was.
    fn is_changeable(&self, item: &StaticPlaces) -> bool {
        item.kind != StaticKind::Plain || self.can_change(text(&item.type_name), &mut Vec::new())
    }

    /// True if code can change a value of the type `name` through a shared reference, as far as its
    /// name and the definitions of this session tell.
    fn can_change<'a>(&'a self, name: &str, seen: &mut Vec<&'a str>) -> bool {
        let squeezed: String = name.split_whitespace().collect();
        if CHANGEABLE.iter().any(|mark| squeezed.contains(mark)) {
            return true;
        }
        let words = words(name);
        self.items.iter().any(|item| {
            let is_named =
                |own: &&String| words.contains(own.as_str()) && !seen.contains(&own.as_str());
            let Some(own) = item.types.iter().find(is_named) else { return false };
            seen.push(own);
            self.can_change(text(&item.place), seen)
        })
    }

    /// True if the person said what their own code must not do.
    pub(crate) fn has_lints(&self) -> bool {
        !self.lints.is_empty()
    }

    /// Writes what the person's own code must not do, before an item or a function of it.
    pub(crate) fn write_lints(&self, program: &mut Program) {
        /// The lints that hold of sound cells too: they use what later ones use, and restate what
        /// earlier ones said.
        const OF_CELLS: &str = "dead_code, unreachable_code, unused_assignments, unused_imports, \
                                unused_macros, unused_mut, unused_variables";
        for lint in &self.lints {
            let code = text(lint).replacen('!', "", 1);
            // Nothing can be taken back of what is forbidden.
            let is_wide = words(&code).iter().any(|word| {
                ["unused", "warnings"].contains(word) || OF_CELLS.split(", ").any(|it| it == *word)
            });
            let code = if is_wide { code.replacen("forbid", "deny", 1) } else { code };
            program.copy_as(&code, lint);
            if is_wide {
                program.push(&format!("#[allow({OF_CELLS})]"));
            }
        }
    }

    fn write_item(&self, item: &ScopedItem, program: &mut Program) {
        let mut statics = item.statics.iter().flat_map(|declaration| &declaration.list);
        // A symbol of its own is what `unsafe_code` is about, and the cell did not ask for it.
        if !statics.any(|(_, places)| self.is_exported(item, places)) {
            self.write_lints(program);
        }
        let mut rest = item.place.clone();
        for declaration in &item.statics {
            if !declaration.list.iter().any(|(_, item)| self.is_changeable(item)) {
                continue;
            }
            let CellRange { cell, range } = &declaration.place;
            let before = rest.range.start..range.start;
            if !before.is_empty() {
                program.copy(&CellRange { cell: Arc::clone(cell), range: before });
            }
            for (key, places) in &declaration.list {
                places.write(key, self.is_exported(item, places), program);
            }
            rest.range.start = range.end;
        }
        if !rest.range.is_empty() {
            program.copy(&rest);
            if item.is_open {
                program.push(";");
            }
        }
    }

    /// Writes all that stands before the cell's own function. `cell` is its number where it has to be
    /// told from others while it prints, 0 otherwise.
    pub(crate) fn write(&self, header: Option<&str>, cell: u64, program: &mut Program) {
        for attribute in &self.attributes {
            program.copy(attribute);
        }
        header.into_iter().for_each(|header| program.push(header));
        program.push("use trialbook::prelude::*;");
        // Cells may have macros of these names of their own.
        let is_free = |name: &&str| {
            !self.has_macro(name) && !self.imports.iter().any(|import| import.name == **name)
        };
        for name in PRINTS.into_iter().filter(is_free) {
            program.push(&format!(
                "macro_rules! {name} {{ ($($arg:tt)*) => {{ ::trialbook::__{name}!({cell}, $($arg)*) }} }}"
            ));
        }
        for import in &self.imports {
            program.copy_as(&import.code, &import.place);
        }
        // A macro must stand before those who call it, also where it was defined anew.
        let is_macro = |item: &&ScopedItem| item.keys.iter().any(|key| key.starts_with("macro "));
        let (macros, others): (Vec<_>, Vec<_>) = self.items.iter().partition(is_macro);
        for item in macros.into_iter().chain(others) {
            self.write_item(item, program);
        }
    }

    /// True if an item or an import of earlier cells is called `name`.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.items.iter().any(|item| item.has_name(name))
            || self.imports.iter().any(|import| import.name == name)
    }

    /// True if the macro called `name` was defined here.
    pub(crate) fn has_macro(&self, name: &str) -> bool {
        let key = format!("macro {name}");
        self.items.iter().any(|item| item.keys.contains(&key))
    }

    /// True if the macro called `name` was defined here and makes items.
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
    pub(crate) fn hidden_by(&self, source: &ParsedCell) -> Vec<String> {
        let is_hidden = |name: &String| {
            let value = format!("value {name}");
            let by_item = source
                .items
                .iter()
                .any(|item| item.keys.contains(&value) || item.types.contains(name));
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
        let names = |variable: &ScopeVariable| {
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
                .flat_map(|item| item.types.clone())
                .filter(|name| !types.contains(name))
                .collect();
            types.extend(users);
            done += 1;
        }
        types
    }
}

fn text(place: &CellRange) -> &str {
    place.cell.text.get(place.range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(cells: &[&str]) -> (CellScope, Vec<String>) {
        let mut scope = CellScope::default();
        let mut changed = Vec::new();
        for cell in cells {
            let text = Arc::new(CellText { number: 1, text: (*cell).to_owned() });
            (scope, changed) = scope.with(&text, 0, &ParsedCell::parse(cell, &|_| false));
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
    fn what_a_macro_makes_changes_with_the_macro() {
        let rules = |item: &str| format!("macro_rules! make {{ ($n:ident) => {{ {item} }} }}");
        let [first, second] = [rules("struct $n(u8);"), rules("struct $n(i8);")];
        let types = |cells: &[&str]| {
            let mut scope = CellScope::default();
            let mut changed = Vec::new();
            for cell in cells {
                let text = Arc::new(CellText { number: 1, text: (*cell).to_owned() });
                let mut source = ParsedCell::parse(cell, &|name| name == "make");
                for item in source.items.iter_mut().filter(|item| item.types.is_empty()) {
                    item.types.extend((*cell == "make!(A);").then(|| "A".to_owned()));
                }
                (scope, changed) = scope.with(&text, 0, &source);
            }
            changed
        };
        assert_eq!(types(&[&first, "make!(A);", "struct B(A);", &second]), ["A", "B"]);
        assert_eq!(types(&[&first, "make!(A);", &first]), [""; 0]);
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
        scope.write(None, 0, &mut program);
        let text = program.text();
        assert!(text.find("macro_rules") < text.find("fn f"), "{text}");
    }

    fn program(scope: &CellScope) -> String {
        let mut program = Program::default();
        scope.write(None, 0, &mut program);
        program.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_static_that_can_change_is_one_for_all_cells() {
        let kept = |text: &str| {
            let program = program(&after(&[text]).0);
            program.contains("Kept") || program.contains("export_name")
        };
        for text in [
            "static N: Mutex<u8> = Mutex::new(1);",
            "struct S { n: AtomicU8 } static N: S = S { n: AtomicU8::new(1) };",
            "struct S(Mutex<u8>); type T = [S; 1]; static N: T = [S(Mutex::new(1))];",
            "fn f() -> u8 { static N: AtomicU8 = AtomicU8::new(1); N.load(Relaxed) }",
        ] {
            assert!(kept(text), "{text}");
        }
        for text in [
            "static N: u8 = 1;",
            "struct S { n: u8, s: Vec<S> } static N: S = S { n: 1, s: vec![] };",
            "const fn f() { static N: AtomicU8 = AtomicU8::new(1); }",
        ] {
            assert!(!kept(text), "{text}");
        }
        let text = program(&after(&["fn f() { g(); static N: Cell<u8> = C; h() } fn k() {}"]).0);
        let ends = ["fn f() { g();", "h() } fn k() {}"].map(|part| text.contains(part));
        assert_eq!(ends, [true; 2], "{text}");
    }

    #[test]
    fn a_static_begins_anew_with_its_type() {
        let cells = ["struct S(u8); static mut N: [S; 1] = [S(1)]; static M: Mutex<u8> = M;"];
        let (mut scope, _) = after(&cells);
        let symbols = |scope: &CellScope| scope.shared().map(|shared| shared.1).collect::<Vec<_>>();
        let before = symbols(&scope);
        assert_eq!(scope.renew(&["S".to_owned()], 2), ["N"]);
        let after = symbols(&scope);
        assert_eq!((before.len(), after.len()), (2, 2));
        assert_ne!(before[0], after[0]);
        assert_eq!(before[1], after[1]);
    }

    #[test]
    fn an_import_from_elsewhere_is_noticed() {
        let (scope, _) = after(&["use a::{T, U};"]);
        let source = ParsedCell::parse("use b::T; use a::U; use c::V;", &|_| false);
        assert_eq!(scope.reimported(&source), ["T"]);
    }

    #[test]
    fn what_is_forbidden_stands_before_every_item_and_nothing_else() {
        let (scope, _) =
            after(&["#![forbid(unsafe_code)]\nfn f() {}", "#![deny(warnings)]\nfn g() {}"]);
        let text = program(&scope);
        assert!(
            text.contains("#[forbid(unsafe_code)] #[deny(warnings)] #[allow(dead_code,"),
            "{text}"
        );
        assert!(!text.contains("#![") && text.matches("#[forbid").count() == 2, "{text}");
    }

    #[test]
    fn importing_a_name_again_replaces_it() {
        let (scope, _) = after(&["use std::fmt::Result;", "use std::io::Result;"]);
        assert_eq!(scope.items_text(), "use std::io::Result;\n");
    }
}
