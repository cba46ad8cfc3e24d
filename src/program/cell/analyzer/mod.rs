//! Help with Rust while it is written: what could come next, and what a name is. It answers from
//! the index of the prelude, from what the session has defined, from the compiler's types and, where
//! it is built in, from rust-analyzer, whichever know; it runs nothing of the person's and waits for
//! nobody longer than a moment.

mod context;
mod index;
mod inference;
mod modules;
mod packages;
#[cfg_attr(feature = "analyzer", path = "enabled.rs")]
#[cfg_attr(not(feature = "analyzer"), path = "disabled.rs")]
mod rust_analyzer;
mod scan;
mod standard;
mod worker;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, mpsc},
    thread,
    time::Duration,
};

use trialbook::{display::Content, error::Error};

pub use index::Index;
pub use packages::{Indexed, Sources};
pub use rust_analyzer::runtime_hook;

use self::{
    context::{Context, Place},
    index::{Function, Member, Type},
    inference::Inference,
    worker::{Asked, MOMENT, Worker},
};
use crate::cell::{Completion, CompletionKind, Completions, RustHelp, evcxr::Variable, part};
pub use crate::toolchain::Package;

/// The time that the first question waits for an index that is being made. The first session after
/// a prelude was built reads the sources behind it, which takes a debug build about five seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer about a name while nobody can know it.
const INDEXING: &str = "still reading the names of the prelude and of the standard library; ask again in a few seconds";

/// Whoever can tell types by compiling: the engine.
pub trait Types: Send + Sync {
    /// The type of an expression among the session's variables; none where it is not known, or
    /// not known soon. Nothing is run.
    fn type_of(&self, expression: &str) -> Option<String>;
}

/// The definitions of a session so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its variables.
    pub variables: Vec<Variable>,
    /// Its imports and items, as they were written.
    pub items: String,
}

/// Understands a session's Rust. Shared between threads.
pub struct Analyzer {
    /// The names of the prelude and of the standard library.
    learnt: RwLock<Arc<Index>>,
    /// Those, with what the session has defined before them.
    index: RwLock<Arc<Index>>,
    known: RwLock<Arc<Known>>,
    types: RwLock<Option<Arc<dyn Types>>>,
    rust_analyzer: Worker,
    learning: Learning,
}

/// The state of making an index, and the fault of the last one.
#[derive(Default)]
struct Learning {
    n_going: Mutex<usize>,
    over: Condvar,
    problem: Mutex<Option<Error>>,
}

impl Learning {
    fn begin(&self) {
        *lock(&self.n_going) += 1;
    }

    fn end(&self) {
        let mut n_going = lock(&self.n_going);
        *n_going = n_going.saturating_sub(1);
        self.over.notify_all();
    }

    /// Waits for the end, but not for long. Whether something was waited for that is over.
    fn wait(&self) -> bool {
        let going = lock(&self.n_going);
        if *going == 0 {
            return false;
        }
        let waited = self.over.wait_timeout_while(going, PATIENCE, |n_going| *n_going > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn is_going(&self) -> bool {
        *lock(&self.n_going) > 0
    }
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Analyzer {
    /// An analyzer that knows an index, which may be empty. rust-analyzer runs as `program`, which
    /// is this one, and works in `folder`; without a program there is none.
    pub fn new(index: Index, program: Option<PathBuf>, folder: PathBuf) -> Self {
        Self {
            learnt: RwLock::new(Arc::new(index.clone())),
            index: RwLock::new(Arc::new(index)),
            known: RwLock::default(),
            types: RwLock::default(),
            rust_analyzer: Worker::new(move || rust_analyzer::start(&program?, &folder)),
            learning: Learning::default(),
        }
    }

    /// Reads the index of a prelude and that of the standard library, in the background; makes each
    /// where there is none yet.
    pub fn learn(self: &Arc<Self>, sources: Sources) {
        self.learning.begin();
        let analyzer = Arc::downgrade(self);
        thread::spawn(move || {
            let Indexed { mut index, problem } = sources.index();
            let take = |index: Index| {
                let analyzer = analyzer.upgrade()?;
                *write(&analyzer.learnt) = Arc::new(index);
                analyzer.join();
                Some(analyzer)
            };
            let Some(learnt) = take(index.clone()) else { return };
            *lock(&learnt.learning.problem) = problem;
            drop(learnt);
            if let Some(std) = sources.std_index() {
                index = index.beside(std);
                take(index);
            }
            if let Some(analyzer) = analyzer.upgrade() {
                analyzer.learning.end();
            }
        });
    }

    /// Says that [`Analyzer::learn`] will soon be called, so that the first question waits for it; to be
    /// followed by [`Analyzer::arrived`], whatever became of it.
    pub fn expect(&self) {
        self.learning.begin();
    }

    /// Tells that what [`Analyzer::expect`] announced has happened, or never will.
    pub fn arrived(&self) {
        self.learning.end();
    }

    /// The part that the index lacks, said once.
    pub fn take_problem(&self) -> Option<Error> {
        lock(&self.learning.problem).take()
    }

    /// Asks `types` from now on where signatures do not tell a type.
    pub fn set_types(&self, types: Arc<dyn Types>) {
        *self.types.write().unwrap_or_else(PoisonError::into_inner) = Some(types);
    }

    /// Replaces what the session has defined.
    pub fn set_known(&self, known: Known) {
        let before = std::mem::replace(&mut *write(&self.known), Arc::new(known));
        if before.items != self.known().items {
            self.join();
        }
    }

    /// Puts the session's own names before those that were learnt.
    fn join(&self) {
        let learnt = Arc::clone(&self.learnt.read().unwrap_or_else(PoisonError::into_inner));
        let known = self.known();
        let joined = match known.items.trim() {
            "" => learnt,
            items => Arc::new(Index::of_session(items).beside((*learnt).clone())),
        };
        *write(&self.index) = joined;
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The completions at byte `cursor` of `cell`, a boundary of a character.
    pub fn complete(&self, cell: &str, cursor: usize) -> Completions {
        let found = self.complete_now(cell, cursor);
        // The first question of a session may come before the index is read.
        if found.items.is_empty() && self.learning.wait() {
            return self.complete_now(cell, cursor);
        }
        found
    }

    fn complete_now(&self, cell: &str, cursor: usize) -> Completions {
        let context = Context::at(cell, cursor);
        let index = &*self.index();
        let (items, is_all) = match context.place {
            Place::Text => (Vec::new(), true),
            Place::Member { receiver, start } => {
                let owner = self.receiver(receiver, &cell[..start]);
                let items = owner.map(|owner| members(index, &owner)).unwrap_or_default();
                let is_all = !items.is_empty();
                (items, is_all)
            }
            Place::Path(path) => {
                let items = path_members(index, path);
                let is_all = !items.is_empty();
                (items, is_all)
            }
            // Every name of the prelude at once would help nobody.
            Place::Free if context.typed.is_empty() => (Vec::new(), true),
            Place::Free => (names(index), false),
        };
        let mut items = wanted(items, context.typed);
        if !is_all {
            let (source, offset) = self.known().source(cell);
            if let Some(found) = self.rust_analyzer.ask(Asked::Completions, source, offset + cursor)
            {
                // Offers that replace something else than the word would garble it.
                if found.start == offset + context.start {
                    let mut known: BTreeSet<String> =
                        items.iter().map(|item| item.text.clone()).collect();
                    let found = wanted(found.items, context.typed).into_iter();
                    items.splice(..0, found.filter(|item| known.insert(item.text.clone())));
                }
            }
        }
        Completions { start: context.start, end: cursor, items }
    }

    /// The documentation at byte `cursor` of `cell`, a boundary of a character. A `detail` above
    /// zero asks for all there is.
    pub fn inspect(&self, cell: &str, cursor: usize, detail: u8) -> Option<Content> {
        let context = Context::around(cell, cursor);
        let from_index = || self.inspect_prelude(&context, cell, detail);
        let again = || self.learning.wait().then(from_index).flatten();
        from_index().or_else(again).or_else(|| {
            let (source, offset) = self.known().source(cell);
            let end = offset + context.start + context.typed.len();
            let is_word = context.place != Place::Text && !context.typed.is_empty();
            let answer = is_word.then(|| self.rust_analyzer.ask(Asked::Documentation, source, end));
            let known = answer.flatten().and_then(|found| found.documentation);
            known.or_else(|| (is_word && self.learning.is_going()).then(|| Content::text(INDEXING)))
        })
    }

    fn inspect_prelude(&self, context: &Context<'_>, cell: &str, detail: u8) -> Option<Content> {
        let index = &*self.index();
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
                let in_module = || index.module(path)?.get(name).filter(|it| !it.doc.is_empty());
                match index.function(index.resolved(owner), name).or_else(in_module) {
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
        let index = self.index();
        let inference = Inference::new(&index, &known.variables, before);
        let by_signature = inference.type_of(expression);
        let of = by_signature.or_else(|| {
            let types = self.types.read().unwrap_or_else(PoisonError::into_inner).clone()?;
            let (answer, answered) = mpsc::channel();
            let expression = expression.to_owned();
            // A compiler that takes longer finishes on its own; nobody listens any more.
            thread::spawn(move || drop(answer.send(types.type_of(&expression))));
            syn::parse_str(&answered.recv_timeout(MOMENT).ok()??).ok()
        })?;
        inference.name(&of)
    }
}

impl RustHelp for Arc<Analyzer> {
    fn complete(&self, cell: &str, cursor: usize) -> Completions {
        Analyzer::complete(self, cell, cursor)
    }

    fn inspect(&self, cell: &str, cursor: usize, detail: u8) -> Option<Content> {
        Analyzer::inspect(self, cell, cursor, detail)
    }
}

impl Known {
    /// The cell behind what the session has defined, as one text of Rust, and where in it the cell
    /// begins. Commands are painted over.
    fn source(&self, cell: &str) -> (String, usize) {
        let mut source = self.items.clone();
        source.push('\n');
        for Variable { name, type_name } in &self.variables {
            source.push_str(&format!("let {name}: {type_name} = todo!();\n"));
        }
        let offset = source.len();
        let mut at = 0;
        for part in part::parts(cell) {
            if part.kind != part::PartKind::Rust {
                source.push_str(&cell[at..part.offset]);
                let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
                source.extend(part.text.bytes().map(blank));
                at = part.offset + part.text.len();
            }
        }
        source.push_str(&cell[at..]);
        (source, offset)
    }
}

/// Those that begin as `typed` does; what is rarely meant comes last or not at all.
fn wanted(items: Vec<Completion>, typed: &str) -> Vec<Completion> {
    let is_wanted = |item: &Completion| {
        // A leading underscore says that a name is not meant for people.
        item.text.starts_with(typed) && (!item.text.starts_with('_') || typed.starts_with('_'))
    };
    let mut items: Vec<Completion> = items.into_iter().filter(is_wanted).collect();
    items.sort_by_key(|item| item.detail.starts_with("pub unsafe "));
    items
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
    if let Some(names) = index.module(path) {
        return names.iter().map(|(name, it)| completion(name, &it.signature)).collect();
    }
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
