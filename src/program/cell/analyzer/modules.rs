//! The names that a module exports, its own and those it re-exports: enough of Rust's name
//! resolution to say what a glob import of the prelude brings into scope.

use std::collections::{BTreeMap, BTreeSet};

use syn::UseTree;

/// The modules of several crates, by path: `["polars", "prelude"]`.
#[derive(Debug, Default)]
pub(super) struct Modules(BTreeMap<Vec<String>, Module>);

#[derive(Debug, Default)]
struct Module {
    exports: BTreeSet<String>,
    imports: Vec<Import>,
}

/// One name, or everything, of one path.
#[derive(Debug)]
struct Import {
    path: Vec<String>,
    /// The name it gets here; none for a glob.
    name: Option<String>,
    is_public: bool,
}

impl Modules {
    /// Makes the module known, empty.
    pub(super) fn begin(&mut self, path: &[String]) {
        self.0.entry(path.to_vec()).or_default();
    }

    /// Adds a public name of its own.
    pub(super) fn export(&mut self, path: &[String], name: &str) {
        self.0.entry(path.to_vec()).or_default().exports.insert(name.to_owned());
    }

    /// Adds a `use`.
    pub(super) fn import(&mut self, path: &[String], tree: &UseTree, is_public: bool) {
        let module = self.0.entry(path.to_vec()).or_default();
        flatten(tree, &mut Vec::new(), &mut |path, name| {
            module.imports.push(Import { path, name, is_public });
        });
    }

    /// Adds other modules; those of the same path grow together.
    pub(super) fn extend(&mut self, other: Self) {
        for (path, module) in other.0 {
            let mine = self.0.entry(path).or_default();
            mine.exports.extend(module.exports);
            mine.imports.extend(module.imports);
        }
    }

    /// The names that a glob import of the module brings, each with the one it was declared by.
    pub(super) fn exports(&self, path: &[&str]) -> BTreeMap<String, String> {
        let path: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
        let mut names = BTreeMap::new();
        self.collect(&path, &mut BTreeSet::new(), &mut names);
        names
    }

    fn collect(
        &self,
        path: &[String],
        seen: &mut BTreeSet<Vec<String>>,
        names: &mut BTreeMap<String, String>,
    ) {
        let Some(module) = self.0.get(path) else { return };
        if !seen.insert(path.to_vec()) {
            return;
        }
        names.extend(module.exports.iter().map(|name| (name.clone(), name.clone())));
        for import in module.imports.iter().filter(|import| import.is_public) {
            match &import.name {
                Some(name) => {
                    let declared = import.path.last().unwrap_or(name);
                    names.insert(name.clone(), declared.clone());
                }
                None => {
                    if let Some(target) = self.resolve(&import.path, path, 0) {
                        self.collect(&target, seen, names);
                    }
                }
            }
        }
    }

    /// The module that `path` means inside the module `from`.
    fn resolve(&self, path: &[String], from: &[String], depth: usize) -> Option<Vec<String>> {
        // Modules that import each other would lead in circles.
        const MAX_DEPTH: usize = 8;
        if depth > MAX_DEPTH {
            return None;
        }
        let mut at = from.to_vec();
        for (place, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => at.truncate(1),
                "self" => {}
                "super" => {
                    at.pop();
                }
                name => {
                    let mut inner = at.clone();
                    inner.push(name.to_owned());
                    let renamed = || {
                        let imports = &self.0.get(&at)?.imports;
                        let import = imports.iter().find(|it| it.name.as_deref() == Some(name))?;
                        self.resolve(&import.path, &at, depth + 1)
                    };
                    let root = vec![name.to_owned()];
                    at = if self.0.contains_key(&inner) {
                        inner
                    } else if let Some(target) = renamed() {
                        target
                    } else if place == 0 && self.0.contains_key(&root) {
                        root
                    } else {
                        return None;
                    };
                }
            }
        }
        Some(at)
    }
}

fn flatten(
    tree: &UseTree,
    path: &mut Vec<String>,
    found: &mut impl FnMut(Vec<String>, Option<String>),
) {
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            flatten(&tree.tree, path, found);
            path.pop();
        }
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| flatten(tree, path, found)),
        UseTree::Glob(_) => found(path.clone(), None),
        UseTree::Name(tree) if tree.ident == "self" => found(path.clone(), path.last().cloned()),
        UseTree::Name(tree) => {
            let name = tree.ident.to_string();
            found(path.iter().cloned().chain([name.clone()]).collect(), Some(name));
        }
        UseTree::Rename(tree) => {
            let name = tree.rename.to_string();
            if name != "_" {
                let path = path.iter().cloned().chain([tree.ident.to_string()]).collect();
                found(path, Some(name));
            }
        }
    }
}
