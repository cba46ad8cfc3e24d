//! The order of the rooms: what the sources import from each other, read from the sources themselves.
//! A room may use those above it in the list of its crate's `lib.rs`; files inside a room may not need
//! each other in a circle.

mod type_names;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{
    Attribute, File, Item, ItemUse, Meta, UseTree,
    spanned::Spanned as _,
    visit::{self, Visit},
};

/// A module's path from the root of its crate: `["serve", "page"]`.
type ModulePath = Vec<String>;

/// One crate's sources.
struct Crate {
    /// The modules by their paths, the root's being empty.
    modules: BTreeMap<ModulePath, Module>,
    /// The rooms in the order of `lib.rs`.
    rooms: Vec<String>,
}

/// One module: a file, or a block inside one.
#[derive(Default)]
struct Module {
    file: PathBuf,
    /// What a name stands for that a `use` brought here.
    imported: BTreeMap<String, ModulePath>,
    /// Every path that is needed here, and its line.
    needs: Vec<(ModulePath, usize)>,
    /// The types that are defined here.
    types: BTreeSet<String>,
}

/// Collects a module's paths.
struct Reader<'a> {
    at: &'a [String],
    module: Module,
    children: Vec<Child>,
}

/// A module inside another.
struct Child {
    name: String,
    /// What it holds, if it has no file of its own.
    inline: Option<Vec<Item>>,
    /// The file that an attribute names.
    file: Option<String>,
}

impl Crate {
    fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut read = Self { modules: BTreeMap::new(), rooms: Vec::new() };
        read.file(&[], &root.join("lib.rs"), &root);
        read
    }

    fn file(&mut self, at: &[String], file: &Path, folder: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let File { items, .. } =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        self.items(at, file, folder, &items);
    }

    fn items(&mut self, at: &[String], file: &Path, folder: &Path, items: &[Item]) {
        let types = items.iter().filter_map(type_names::defined).collect();
        let module = Module { file: file.to_owned(), types, ..Module::default() };
        let mut reader = Reader { at, module, children: Vec::new() };
        items.iter().for_each(|item| reader.visit_item(item));
        let Reader { module, children, .. } = reader;
        self.modules.insert(at.to_vec(), module);
        for Child { name, inline, file: named } in children {
            if at.is_empty() {
                self.rooms.push(name.clone());
            }
            let path = [at, std::slice::from_ref(&name)].concat();
            let inner = folder.join(&name);
            match inline {
                Some(items) => self.items(&path, file, &inner, &items),
                None => {
                    let flat = folder.join(named.unwrap_or_else(|| format!("{name}.rs")));
                    let file = if flat.is_file() { flat } else { inner.join("mod.rs") };
                    self.file(&path, &file, &inner);
                }
            }
        }
    }

    /// The module in which the thing at `path` is defined, through whatever hands it on.
    fn home(&self, path: &[String], depth: usize) -> ModulePath {
        let mut module = ModulePath::new();
        for (idx, segment) in path.iter().enumerate() {
            let inner = [module.as_slice(), std::slice::from_ref(segment)].concat();
            if self.modules.contains_key(&inner) {
                module = inner;
                continue;
            }
            let handed_on = self.modules[&module].imported.get(segment);
            return match handed_on {
                Some(target) if depth < 16 => {
                    self.home(&[target.as_slice(), &path[idx + 1..]].concat(), depth + 1)
                }
                _ => module,
            };
        }
        module
    }

    /// Uses that run against the order of the rooms, each with its line.
    fn against_the_order(&self) -> Vec<String> {
        let place = |room: &str| self.rooms.iter().position(|other| other == room);
        let mut found = Vec::new();
        for (path, module) in &self.modules {
            let Some(own) = path.first().and_then(|room| place(room)) else { continue };
            for (need, line) in &module.needs {
                let needed = need.first().and_then(|room| place(room));
                if needed.is_some_and(|needed| needed > own) {
                    let words = need.join("::");
                    found.push(format!("{}:{line}: crate::{words}", module.file.display()));
                }
            }
        }
        found
    }

    /// Which files need each other, directly or through others: a set each.
    fn circles(&self) -> Vec<BTreeSet<PathBuf>> {
        let mut edges: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (path, module) in self.modules.iter().filter(|(path, _)| !path.is_empty()) {
            let from = edges.entry(&module.file).or_default();
            for (need, _) in &module.needs {
                let home = self.home(need, 0);
                let file = self.modules[&home].file.as_path();
                if !home.is_empty() && file != module.file && home.first() == path.first() {
                    from.insert(file);
                }
            }
        }
        let reached = |start: &Path| {
            let mut reached = BTreeSet::new();
            let mut open: Vec<&Path> = edges[start].iter().copied().collect();
            while let Some(file) = open.pop() {
                if reached.insert(file) {
                    open.extend(&edges[file]);
                }
            }
            reached
        };
        let reached: BTreeMap<&Path, BTreeSet<&Path>> =
            edges.keys().map(|file| (*file, reached(file))).collect();
        let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
        for (file, others) in reached.iter().filter(|(file, others)| others.contains(*file)) {
            let circle: BTreeSet<PathBuf> = others
                .iter()
                .filter(|other| reached[**other].contains(file))
                .map(|other| other.to_path_buf())
                .collect();
            if !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }
}

impl Reader<'_> {
    /// The path from the crate's root that `segments` stand for here; `None` for other crates'.
    fn absolute(&self, segments: &[String]) -> Option<ModulePath> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([self.at, rest].concat()),
            "super" => {
                let mut at = self.at.to_vec();
                let mut rest = segments;
                while let Some(("super", others)) =
                    rest.split_first().map(|(first, others)| (first.as_str(), others))
                {
                    at.pop();
                    rest = others;
                }
                Some([at.as_slice(), rest].concat())
            }
            child if self.children.iter().any(|other| other.name == child) => {
                Some([self.at, segments].concat())
            }
            _ => None,
        }
    }

    fn need(&mut self, segments: &[String], line: usize) {
        if let Some(path) = self.absolute(segments) {
            self.module.needs.push((path, line));
        }
    }

    fn tree(&mut self, before: &mut Vec<String>, tree: &UseTree, hands_on: bool) {
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree, hands_on);
                before.pop();
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(before, tree, hands_on));
            }
            UseTree::Name(name) => {
                self.import(
                    before,
                    &name.ident.to_string(),
                    &name.ident.to_string(),
                    line,
                    hands_on,
                );
            }
            UseTree::Rename(rename) => {
                let (name, new) = (rename.ident.to_string(), rename.rename.to_string());
                self.import(before, &name, &new, line, hands_on);
            }
            UseTree::Glob(_) => self.need(&before.clone(), line),
        }
    }

    fn import(&mut self, before: &[String], name: &str, new: &str, line: usize, hands_on: bool) {
        let mut segments = before.to_vec();
        if name != "self" {
            segments.push(name.to_owned());
        }
        let known = if name == "self" { before.last().map_or(new, String::as_str) } else { new };
        if let Some(path) = self.absolute(&segments) {
            self.module.imported.insert(known.to_owned(), path.clone());
            // To hand something on is not to need it.
            if !hands_on {
                self.module.needs.push((path, line));
            }
        }
    }

    /// Paths in the arguments of a macro.
    fn tokens(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut idx = 0;
        while idx < trees.len() {
            match &trees[idx] {
                TokenTree::Group(group) => self.tokens(&group.stream()),
                TokenTree::Ident(ident) if ident == "crate" || ident == "super" => {
                    let mut segments = vec![ident.to_string()];
                    while let (
                        Some(TokenTree::Punct(one)),
                        Some(TokenTree::Punct(two)),
                        Some(TokenTree::Ident(next)),
                    ) = (trees.get(idx + 1), trees.get(idx + 2), trees.get(idx + 3))
                        && (one.as_char(), two.as_char()) == (':', ':')
                    {
                        segments.push(next.to_string());
                        idx += 3;
                    }
                    self.need(&segments, ident.span().start().line);
                }
                _ => {}
            }
            idx += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let items = item.content.as_ref().map(|(_, items)| items.clone());
        let file = item.attrs.iter().find_map(named_file);
        self.children.push(Child { name: item.ident.to_string(), inline: items, file });
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let hands_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&mut Vec::new(), &item.tree, hands_on);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.need(&segments, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(&item.tokens);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The first file that `#[path = "…"]` names, or `#[cfg_attr(…, path = "…")]`.
fn named_file(attribute: &Attribute) -> Option<String> {
    let text = attribute.meta.to_token_stream().to_string();
    let (_, after) = text.split_once("path = \"")?;
    Some(after.split_once('"')?.0.to_owned())
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && list.tokens.to_string().starts_with("test")
}

const CRATES: [&str; 2] = ["src/library", "src/program"];

#[test]
fn no_import_runs_against_the_order_of_the_rooms() {
    let found: Vec<String> =
        CRATES.iter().flat_map(|folder| Crate::read(folder).against_the_order()).collect();
    assert!(found.is_empty(), "a room uses one that stands below it:\n{}", found.join("\n"));
}

/// What may name a command as one types it in a terminal, wherever it is shown.
const SPELLED: [&str; 3] = [
    // Only a terminal has it.
    "run it as `trialbook run FILE`, or in the shell",
    "restore a backup into a new folder with `trialbook --store NEW store restore FILE`",
    // In a file.
    "`trialbook demo` replaces this folder each time\\n",
];

/// The texts in `tokens` that spell a command; documentation may.
fn spelled(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '#' => {
                tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
            }
            TokenTree::Group(group) => spelled(group.stream(), found),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let is_allowed = SPELLED.iter().any(|allowed| text == format!("\"{allowed}\""));
                if text.contains("`trialbook ") && !is_allowed {
                    let line = literal.span().start().line;
                    found.push(format!("{line}: {text}"));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

#[test]
fn commands_in_hints_are_words_that_each_front_end_spells() {
    let mut open: Vec<PathBuf> = CRATES.iter().map(PathBuf::from).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            for item in file.items.iter().filter(|item| !attributes(item).iter().any(is_for_tests))
            {
                let mut texts = Vec::new();
                spelled(item.to_token_stream(), &mut texts);
                found.extend(texts.iter().map(|text| format!("{}:{text}", path.display())));
            }
        }
    }
    assert!(found.is_empty(), "write them with Hint::run:\n{}", found.join("\n"));
}

#[test]
fn files_of_a_room_need_each_other_in_no_circle() {
    let circles: Vec<_> = CRATES.iter().flat_map(|folder| Crate::read(folder).circles()).collect();
    assert!(circles.is_empty(), "files that need each other: {circles:#?}");
}

/// Whoever may call these moves a version to Production without a verdict.
#[test]
fn only_the_gate_opens_the_registrys_doors_to_production() {
    const DOORS: [&str; 3] = [".set_stage(", ".set_verdict(", "registry.rollback("];
    // What every registry asks for before it does either: nothing but the gate makes one.
    const KEYS: [&str; 1] = ["GateSeal::new()"];
    let callers = |doors: &[&str]| -> BTreeSet<PathBuf> {
        let mut callers = BTreeSet::new();
        for folder in CRATES {
            for module in Crate::read(folder).modules.values() {
                let text = fs::read_to_string(&module.file).unwrap();
                let calls = |line: &str| doors.iter().any(|door| line.contains(door));
                if text.lines().any(|line| !line.trim_start().starts_with("//") && calls(line)) {
                    callers.insert(module.file.clone());
                }
            }
        }
        callers
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/library");
    let gate = ["gate/gating.rs", "gate/promotion.rs", "gate/rollback.rs"];
    // A release needs the seal too, since it sends traffic to its candidate; it opens none of the doors.
    let sealed = gate.iter().chain(&["gate/releasing.rs"]);
    assert_eq!(callers(&KEYS), sealed.map(|file| root.join(file)).collect());
    // The registry's own tests, and the trait's method that shows the seal and hands on.
    let inside = ["registry/local.rs", "registry/stages.rs"];
    let allowed = gate.iter().chain(&inside).map(|file| root.join(file)).collect();
    assert_eq!(callers(&DOORS), allowed);
}
