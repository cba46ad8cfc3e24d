//! Makes an [`Index`] from the sources of the crates behind the prelude: it reads them as text,
//! follows their modules as far as the enabled features go, and compiles nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use syn::{
    Attribute, Expr, ExprLit, Fields, FnArg, ImplItem, Item, ItemImpl, Lit, Meta, Signature, Token,
    TraitItem, Visibility, punctuated::Punctuated, spanned::Spanned,
};

use super::{
    Package,
    index::{Function, Index, Type, name_of},
    modules::Modules,
};

/// Of a long documentation this much is kept, in bytes.
const MAX_DOC: usize = 1200;

impl Index {
    /// Reads the items that a session has defined, private names and all. Text that does not parse
    /// offers nothing.
    pub(super) fn of_session(items: &str) -> Self {
        let mut reader = Reader {
            text: items,
            features: &[],
            is_own: true,
            found: Found::default(),
            children: Vec::new(),
        };
        if let Ok(parsed) = syn::parse_file(items) {
            reader.items(&parsed.items, &["session".to_owned()], Path::new(""));
        }
        proc_macro2::extra::invalidate_current_thread_spans();
        let Found { mut index, modules } = reader.found;
        index.in_scope = modules.exports(&["session"]);
        index
    }

    /// Reads the crates, and works out which names a glob import of the module `prelude` (such as
    /// `["trialbook", "prelude"]`) brings. A file that is missing or does not parse is passed over:
    /// what it holds is not offered, and nothing else suffers.
    pub fn scan(packages: &[Package], prelude: &[&str]) -> Self {
        let mut found = packages
            .par_iter()
            .map(|package| {
                let folder = package.root.parent().unwrap_or(Path::new(""));
                let path = vec![package.name.clone()];
                read(&package.root, folder, path, &package.features)
            })
            .reduce(Found::default, Found::merged);
        found.index.in_scope = found.modules.exports(prelude);
        found.index
    }
}

/// The items of one file, or several.
#[derive(Default)]
struct Found {
    index: Index,
    modules: Modules,
}

impl Found {
    fn merged(mut self, other: Self) -> Self {
        self.modules.extend(other.modules);
        let Self { index, modules } = self;
        Self { index: index.merged(other.index), modules }
    }
}

/// A module in a file of its own.
struct Child {
    path: Vec<String>,
    /// The files that may hold it.
    files: [PathBuf; 2],
    /// The folder of its own modules.
    folder: PathBuf,
}

fn read(file: &Path, folder: &Path, path: Vec<String>, features: &[String]) -> Found {
    let Ok(text) = fs::read_to_string(file) else { return Found::default() };
    let mut reader = Reader {
        text: &text,
        features,
        is_own: false,
        found: Found::default(),
        children: Vec::new(),
    };
    if let Ok(parsed) = syn::parse_file(&text) {
        reader.items(&parsed.items, &path, folder);
    }
    // Where each token stood would otherwise stay in memory for good.
    proc_macro2::extra::invalidate_current_thread_spans();
    let Reader { found, children, .. } = reader;
    children
        .into_par_iter()
        .map(|child| {
            let file = child.files.iter().find(|file| file.is_file());
            file.map(|file| read(file, &child.folder, child.path, features)).unwrap_or_default()
        })
        .reduce(Found::default, Found::merged)
        .merged(found)
}

struct Reader<'a> {
    text: &'a str,
    features: &'a [String],
    /// True if private names are offered too: those of the one who asks.
    is_own: bool,
    found: Found,
    children: Vec<Child>,
}

impl Reader<'_> {
    fn offers(&self, visibility: &Visibility) -> bool {
        self.is_own || matches!(visibility, Visibility::Public(_))
    }

    fn items(&mut self, items: &[Item], path: &[String], folder: &Path) {
        self.found.modules.begin(path);
        for item in items {
            if self.is_on(attributes(item)) {
                self.item(item, path, folder);
            }
        }
    }

    fn item(&mut self, item: &Item, path: &[String], folder: &Path) {
        match item {
            Item::Mod(item) => {
                let name = item.ident.to_string();
                if self.offers(&item.vis) {
                    self.found.modules.export(path, &name);
                }
                let mut inner = path.to_vec();
                inner.push(name.clone());
                let inner_folder = folder.join(&name);
                match &item.content {
                    Some((_, items)) => self.items(items, &inner, &inner_folder),
                    None => {
                        let files = match named_file(&item.attrs) {
                            Some(file) => [folder.join(&file), folder.join(file)],
                            None => {
                                [folder.join(format!("{name}.rs")), inner_folder.join("mod.rs")]
                            }
                        };
                        self.children.push(Child { path: inner, files, folder: inner_folder });
                    }
                }
            }
            Item::Use(item) => {
                self.found.modules.import(path, &item.tree, self.offers(&item.vis));
            }
            Item::Impl(item) => self.implementation(item),
            Item::Macro(item) => {
                let is_exported = item.attrs.iter().any(|it| it.path().is_ident("macro_export"));
                if let Some(name) = item.ident.as_ref().filter(|_| is_exported) {
                    let signature = format!("macro_rules! {name}");
                    let function =
                        Function { signature, doc: doc(&item.attrs), ..Function::default() };
                    // Exported macros stand at the root of their crate.
                    self.found.modules.export(&path[..1], &name.to_string());
                    self.found.index.macros.insert(name.to_string(), function);
                }
            }
            Item::Fn(item) if self.offers(&item.vis) => {
                let name = item.sig.ident.to_string();
                self.found.modules.export(path, &name);
                let function = self.function(&item.sig, &item.attrs);
                self.found.index.functions.insert(name, function);
            }
            Item::Struct(item) if self.offers(&item.vis) => {
                let fields = match &item.fields {
                    Fields::Named(fields) => fields
                        .named
                        .iter()
                        .filter(|field| self.offers(&field.vis))
                        .filter_map(|field| {
                            Some((field.ident.as_ref()?.to_string(), self.slice(&field.ty)))
                        })
                        .collect(),
                    _ => Default::default(),
                };
                let signature = format!("pub struct {}{}", item.ident, self.slice(&item.generics));
                let known = Type { fields, ..described(signature, &item.attrs) };
                self.declare(path, &item.ident, known);
            }
            Item::Enum(item) if self.offers(&item.vis) => {
                let signature = format!("pub enum {}{}", item.ident, self.slice(&item.generics));
                let variants = item.variants.iter().map(|it| it.ident.to_string()).collect();
                let known = Type { variants, ..described(signature, &item.attrs) };
                self.declare(path, &item.ident, known);
            }
            Item::Trait(item) if self.offers(&item.vis) => {
                let signature = format!("pub trait {}{}", item.ident, self.slice(&item.generics));
                let mut known = described(signature, &item.attrs);
                for item in &item.items {
                    if let TraitItem::Fn(item) = item
                        && self.is_on(&item.attrs)
                    {
                        let function = self.function(&item.sig, &item.attrs);
                        known.functions.insert(item.sig.ident.to_string(), function);
                    }
                }
                self.declare(path, &item.ident, known);
            }
            Item::Type(item) if self.offers(&item.vis) => {
                let target = self.slice(&item.ty);
                let signature = format!("pub type {} = {target}", item.ident);
                let known = Type { target: Some(target), ..described(signature, &item.attrs) };
                self.declare(path, &item.ident, known);
            }
            Item::Const(item) if self.offers(&item.vis) => {
                self.found.modules.export(path, &item.ident.to_string());
            }
            Item::Static(item) if self.offers(&item.vis) => {
                self.found.modules.export(path, &item.ident.to_string());
            }
            _ => {}
        }
    }

    fn declare(&mut self, path: &[String], ident: &syn::Ident, known: Type) {
        let name = ident.to_string();
        self.found.modules.export(path, &name);
        let one = Index { types: [(name, known)].into(), ..Index::default() };
        // What is declared here goes before what implementations above it said.
        self.found.index = one.merged(std::mem::take(&mut self.found.index));
    }

    fn implementation(&mut self, item: &ItemImpl) {
        // Of `impl Trait for &Type` the reference does not matter; `impl<T> Trait for T` names none.
        let is_parameter = |name: &String| item.generics.type_params().any(|it| it.ident == name);
        let Some(name) = name_of(&item.self_ty).filter(|name| !is_parameter(name)) else { return };
        let mut known = Type::default();
        match &item.trait_ {
            Some((_, of, _)) => {
                let Some(of) = of.segments.last().map(|last| last.ident.to_string()) else {
                    return;
                };
                if of == "Deref" {
                    known.target = item.items.iter().find_map(|item| match item {
                        ImplItem::Type(item) if item.ident == "Target" => {
                            Some(self.slice(&item.ty))
                        }
                        _ => None,
                    });
                }
                known.traits.insert(of);
            }
            None => {
                for item in &item.items {
                    if let ImplItem::Fn(item) = item
                        && self.offers(&item.vis)
                        && self.is_on(&item.attrs)
                    {
                        let function = self.function(&item.sig, &item.attrs);
                        known.functions.insert(item.sig.ident.to_string(), function);
                    }
                }
            }
        }
        let other = Index { types: [(name, known)].into(), ..Index::default() };
        self.found.index = std::mem::take(&mut self.found.index).merged(other);
    }

    fn function(&self, signature: &Signature, attributes: &[Attribute]) -> Function {
        Function {
            signature: format!("pub {}", self.slice(signature)),
            doc: doc(attributes),
            returns: match &signature.output {
                syn::ReturnType::Default => String::new(),
                syn::ReturnType::Type(_, returned) => self.slice(returned),
            },
            is_method: matches!(signature.inputs.first(), Some(FnArg::Receiver(_))),
        }
    }

    /// The source of a piece of syntax, on one line.
    fn slice(&self, piece: &impl Spanned) -> String {
        let text = self.text.get(piece.span().byte_range()).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.replace("( ", "(").replace(", )", ")").replace(" )", ")");
        text.trim_end_matches(',').to_owned()
    }

    fn is_on(&self, attributes: &[Attribute]) -> bool {
        attributes.iter().all(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg") => {
                list.parse_args::<Meta>().is_ok_and(|meta| self.holds(&meta))
            }
            Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() != "hidden",
            _ => true,
        })
    }

    /// True if a condition of `cfg` holds. Conditions that are not about features are taken for
    /// true, but for tests and documentation builds.
    fn holds(&self, condition: &Meta) -> bool {
        match condition {
            Meta::Path(path) => !["test", "doc", "docsrs"].iter().any(|name| path.is_ident(name)),
            Meta::NameValue(pair) if pair.path.is_ident("feature") => {
                text_of(&pair.value).is_some_and(|name| self.features.contains(&name))
            }
            Meta::NameValue(_) => true,
            Meta::List(list) => {
                let inner = list
                    .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                    .unwrap_or_default();
                let mut inner = inner.iter();
                match list.path.get_ident().map(ToString::to_string).as_deref() {
                    Some("any") => inner.any(|condition| self.holds(condition)),
                    Some("not") => !inner.any(|condition| self.holds(condition)),
                    _ => inner.all(|condition| self.holds(condition)),
                }
            }
        }
    }
}

fn described(signature: String, attributes: &[Attribute]) -> Type {
    Type { signature, doc: doc(attributes), ..Type::default() }
}

fn text_of(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// `#[path = "other.rs"]`.
fn named_file(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => text_of(&pair.value),
        _ => None,
    })
}

/// The documentation, or its beginning where it is long.
fn doc(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        if !pair.path.is_ident("doc") {
            continue;
        }
        // `split`, because a line without text is a line that parts paragraphs.
        for line in text_of(&pair.value).unwrap_or_default().split('\n') {
            text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
            text.push('\n');
        }
    }
    shortened(text)
}

/// A documentation, or its beginning where it is long.
pub(super) fn shortened(mut text: String) -> String {
    if text.len() > MAX_DOC {
        let end = text.floor_char_boundary(MAX_DOC);
        text.truncate(text[..end].rfind('\n').unwrap_or(end));
        // Half an example helps nobody.
        if text.matches("```").count() % 2 == 1 {
            text.truncate(text.rfind("```").unwrap_or(0));
        }
    }
    text.trim().to_owned()
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
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
