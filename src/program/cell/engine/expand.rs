//! The items and statements that a macro makes, told by the compiler, which expands it: items live
//! on and statements run once. The macros of crates that the person added show it in no other way,
//! and statics that a macro makes are kept only where their text is known.

use std::sync::Arc;

use crate::cell::engine::{
    Engine,
    against::Against,
    compiler::CompileJob,
    macros,
    program::{CellRange, CellText, Program},
    source::{Call, ParsedCell},
};

const FROM: &str = "const __TRIALBOOK_FROM: () = ();";
const TO: &str = "const __TRIALBOOK_TO: () = ();";

/// A cell's Rust, with what its macros make.
pub(super) struct Expanded {
    /// The Rust taken apart. The macros in `items` are not part of it.
    pub(super) source: ParsedCell,
    /// The items that macros make and that have statics, as if the cell spelled them out.
    pub(super) items: Vec<(Arc<CellText>, ParsedCell)>,
    /// The macros that `items` are of.
    pub(super) names: Vec<String>,
}

impl Engine {
    /// Takes `text` apart, which begins at byte `offset` of `cell`.
    pub(super) fn parse(&mut self, cell: &Arc<CellText>, offset: usize, text: &str) -> ParsedCell {
        self.undecided.clear();
        for call in ParsedCell::calls(text) {
            if self.is_unknown(&call) {
                match self.expand(cell, offset, text, &call) {
                    Some(items) if !items.is_empty() => drop(self.macros.insert(call.path, true)),
                    _ => self.undecided.push(call.path),
                }
            }
        }
        self.parse_known(text)
    }

    /// The cell stands: what could not be items in it makes none elsewhere either.
    pub(super) fn decide(&mut self) {
        self.macros.extend(self.undecided.drain(..).map(|path| (path, false)));
    }

    fn parse_known(&self, text: &str) -> ParsedCell {
        let (own, found) = (&self.scope, &self.macros);
        let makes_items = |path: &str| {
            let name = path.rsplit("::").next().unwrap_or(path);
            macros::is_known(name)
                || own.makes_items(name)
                || !own.has_macro(path) && found.get(path).is_some_and(|makes_items| *makes_items)
        };
        ParsedCell::parse(text, &makes_items)
    }

    /// Notes in `source` what the macros in it make; and gives it with the text of that, where there are
    /// statics in it.
    pub(super) fn expand_items(
        &self,
        cell: &Arc<CellText>,
        offset: usize,
        text: &str,
        source: &mut ParsedCell,
    ) -> Option<Expanded> {
        let mut spelled_out = Vec::new();
        for call in ParsedCell::calls(text) {
            let item = source.items.iter_mut().find(|item| item.range == call.range);
            let Some(item) = item.filter(|_| !macros::is_known(&call.name)) else { continue };
            let Some(made) = self.expand(cell, offset, text, &call) else { continue };
            let items = self.parse_known(&made);
            item.keys.extend(items.items.iter().flat_map(|made| made.keys.clone()));
            item.types = items.items.iter().flat_map(|made| made.types.clone()).collect();
            if items.items.iter().any(|made| !made.statics.is_empty()) {
                spelled_out.push((call, CellText { number: cell.number, text: made }, items));
            }
        }
        let mut expanded =
            Expanded { source: source.clone(), items: Vec::new(), names: Vec::new() };
        for (call, text, items) in spelled_out {
            expanded.source.items.retain(|item| item.range != call.range);
            expanded.items.push((Arc::new(text), items));
            expanded.names.push(call.name);
        }
        (!expanded.items.is_empty()).then_some(expanded)
    }

    /// True if `call` is of a macro of which only the compiler can tell what it makes.
    fn is_unknown(&self, call: &Call) -> bool {
        self.has_crates
            && !self.macros.contains_key(&call.path)
            && !macros::is_of_std(&call.path)
            && !self.scope.has_macro(&call.path)
    }

    /// The text of what `call` makes as an item; nothing where it is none.
    fn expand(
        &self,
        cell: &Arc<CellText>,
        offset: usize,
        text: &str,
        call: &Call,
    ) -> Option<String> {
        let mut source = self.parse_known(text);
        // What the macro is called with may use what its cell imports and defines; other calls do not
        // matter.
        let calls = ParsedCell::calls(text);
        source.items.retain(|item| calls.iter().all(|other| other.range != item.range));
        let (scope, _) = self.scope.with(cell, offset, &source);
        let mut program = Program::default();
        scope.write(self.header.as_deref(), 0, &mut program);
        // In a module of its own, what earlier cells have under the same names is not in its way.
        program.push("mod __trialbook_made {\n#[allow(unused_imports)] use super::*;");
        program.push(FROM);
        program.copy(&CellRange {
            cell: Arc::clone(cell),
            range: call.range.start + offset..call.range.end + offset,
        });
        if call.is_open {
            program.push(";");
        }
        program.push(TO);
        program.push("}");
        let job = CompileJob {
            program: &program,
            name: "expand",
            settings: &self.settings,
            against: Against::Prelude,
            running: &self.running,
        };
        let all = self.compiler.expand(job).ok()?;
        let from = all.find(FROM)? + FROM.len();
        Some(all.get(from..from + all.get(from..)?.find(TO)?)?.trim().to_owned())
    }
}
