//! Help with Rust while it is written: what could come next, and what a name is. It answers from
//! the index of the prelude, from the compiler's types and from rust-analyzer, whichever know; it
//! runs nothing of the person's and waits for nobody longer than a moment.

mod context;
mod index;
mod inference;
mod modules;
mod packages;
mod scan;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

pub use index::Index;
pub use scan::Package;

use self::{
    context::{Context, Place},
    index::{Function, Member, Type},
    inference::Inference,
};
use crate::{
    cell::{Completion, CompletionKind, Completions, evcxr::Variable},
    display::Content,
};

/// Whoever can tell types by compiling: the engine.
pub trait Types: Send + Sync {
    /// The type of an expression among the session's variables; none where it is not known, or
    /// not known soon. Nothing is run.
    fn type_of(&self, expression: &str) -> Option<String>;
}

/// What a session has defined so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its variables.
    pub variables: Vec<Variable>,
    /// Its imports and items, as they were written.
    pub items: String,
}

/// Understands a session's Rust. Shared between threads.
pub struct Analyzer {
    index_file: PathBuf,
    index: OnceLock<Index>,
    known: RwLock<Arc<Known>>,
    types: RwLock<Option<Arc<dyn Types>>>,
}

impl Analyzer {
    /// An analyzer that reads `index_file` when it is first asked; without the file it does with
    /// what else it has.
    pub fn new(index_file: impl Into<PathBuf>) -> Self {
        Self {
            index_file: index_file.into(),
            index: OnceLock::new(),
            known: RwLock::default(),
            types: RwLock::default(),
        }
    }

    /// Asks `types` from now on where signatures do not tell a type.
    pub fn set_types(&self, types: Arc<dyn Types>) {
        *self.types.write().unwrap_or_else(PoisonError::into_inner) = Some(types);
    }

    /// Replaces what the session has defined.
    pub fn set_known(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::load(&self.index_file).unwrap_or_default())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What could come at byte `cursor` of `cell`, a boundary of a character.
    pub fn complete(&self, cell: &str, cursor: usize) -> Completions {
        let context = Context::at(cell, cursor);
        let index = self.index();
        let items = match context.place {
            Place::Text => Vec::new(),
            Place::Member { receiver, start } => self
                .receiver(receiver, &cell[..start])
                .map(|owner| members(index, &owner))
                .unwrap_or_default(),
            Place::Path(path) => path_members(index, path),
            // Every name of the prelude at once would help nobody.
            Place::Free if context.typed.is_empty() => Vec::new(),
            Place::Free => names(index),
        };
        let is_wanted = |item: &Completion| {
            // A leading underscore says that a name is not meant for people.
            item.text.starts_with(context.typed)
                && (!item.text.starts_with('_') || context.typed.starts_with('_'))
        };
        let mut items: Vec<Completion> = items.into_iter().filter(is_wanted).collect();
        items.sort_by_key(|item| item.detail.starts_with("pub unsafe "));
        Completions { start: context.start, end: cursor, items }
    }

    /// What stands at byte `cursor` of `cell`, a boundary of a character. A `detail` above zero
    /// asks for all there is.
    pub fn inspect(&self, cell: &str, cursor: usize, detail: u8) -> Option<Content> {
        let context = Context::around(cell, cursor);
        let index = self.index();
        let name = context.typed;
        match context.place {
            Place::Text => None,
            Place::Member { receiver, start } => {
                let owner = self.receiver(receiver, &cell[..start])?;
                match index.members(&owner).get(name)? {
                    Member::Method(function) => Some(described_function(function, detail)),
                    Member::Field(of) => Some(described(&format!("{name}: {of}"), "", detail)),
                }
            }
            Place::Path(path) => {
                let owner = path.rsplit("::").next().unwrap_or(path);
                match index.function(index.resolved(owner), name) {
                    Some(function) => Some(described_function(function, detail)),
                    None => named(index, name, detail),
                }
            }
            Place::Free => {
                let known = self.known();
                let inference = Inference::new(index, &known.variables, &cell[..context.start]);
                let of = inference.type_of(name).and_then(|of| inference.name(&of));
                let declared = known.variables.iter().find(|variable| variable.name == name);
                let type_name = declared.map(|it| it.type_name.clone()).or(of.clone());
                match type_name {
                    Some(type_name) => {
                        let doc = of.and_then(|of| index.types.get(&of)).map(|of| of.doc.as_str());
                        let signature = format!("{name}: {type_name}");
                        Some(described(&signature, doc.unwrap_or_default(), detail))
                    }
                    None => named(index, name, detail),
                }
            }
        }
    }

    /// The name of the type of an expression, by signatures where they tell, else by compiling.
    fn receiver(&self, expression: &str, before: &str) -> Option<String> {
        let known = self.known();
        let inference = Inference::new(self.index(), &known.variables, before);
        let by_signature = inference.type_of(expression);
        let of = by_signature.or_else(|| {
            let types = self.types.read().unwrap_or_else(PoisonError::into_inner).clone()?;
            syn::parse_str(&types.type_of(expression)?).ok()
        })?;
        inference.name(&of)
    }
}

fn members(index: &Index, owner: &str) -> Vec<Completion> {
    let members = index.members(owner);
    let item = |(name, member): (&&str, &Member<'_>)| match member {
        Member::Method(function) => completion(name, &function.signature),
        Member::Field(of) => completion(name, of),
    };
    members.iter().map(item).collect()
}

fn path_members(index: &Index, path: &str) -> Vec<Completion> {
    let owner = path.rsplit("::").next().unwrap_or(path);
    let line = index.line(index.resolved(owner));
    let functions = line.iter().flat_map(|known| &known.functions);
    let functions = functions.map(|(name, function)| completion(name, &function.signature));
    let variants = line.first().into_iter().flat_map(|known| &known.variants);
    let mut items: Vec<Completion> =
        variants.map(|name| completion(name, owner)).chain(functions).collect();
    items.sort_by(|left, right| left.text.cmp(&right.text));
    items.dedup_by(|left, right| left.text == right.text);
    items
}

/// Everything that needs no path.
fn names(index: &Index) -> Vec<Completion> {
    let item = |(name, declared): (&String, &String)| {
        let macros = index.macros.get(declared);
        let called = index.functions.get(declared).or(macros).map(|it| &it.signature);
        let signature = called.or_else(|| index.types.get(declared).map(|it| &it.signature))?;
        let bang = if macros.is_some() { "!" } else { "" };
        Some(completion(&format!("{name}{bang}"), signature))
    };
    index.in_scope.iter().filter_map(item).collect()
}

fn completion(text: &str, detail: &str) -> Completion {
    Completion { text: text.to_owned(), kind: CompletionKind::Rust, detail: detail.to_owned() }
}

fn named(index: &Index, name: &str, detail: u8) -> Option<Content> {
    let name = index.declared(name);
    if let Some(Type { signature, doc, .. }) = index.types.get(name) {
        return Some(described(signature, doc, detail));
    }
    let function = index.functions.get(name).or_else(|| index.macros.get(name))?;
    Some(described_function(function, detail))
}

fn described_function(function: &Function, detail: u8) -> Content {
    described(&function.signature, &function.doc, detail)
}

/// A signature above its documentation; only its first paragraph where less detail will do.
fn described(signature: &str, doc: &str, detail: u8) -> Content {
    let doc = match detail {
        0 => doc.split("\n\n").next().unwrap_or_default(),
        _ => doc,
    };
    let gap = if doc.is_empty() { "" } else { "\n\n" };
    Content::text(format!("{signature}{gap}{doc}"))
        .with("text/markdown", format!("```rust\n{signature}\n```{gap}{doc}"))
}
