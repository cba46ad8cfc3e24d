//! The items of the prelude by name: types with their methods, functions and macros, each with its
//! signature and the beginning of its documentation. Plain data, written beside the prelude and
//! read when first needed; `scan` makes it.
//!
//! rust-analyzer, which knows little that is not in here or in the session, is thirty crates and half a
//! gigabyte of memory: the feature `analyzer` adds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::{Deserialize, Serialize};
use trialbook::{
    error::{Error, Result},
    store::write_atomically,
};

/// Everything known about the prelude's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub(super) types: BTreeMap<String, Type>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) macros: BTreeMap<String, Function>,
    /// The names that need no path, and those by which they were declared.
    pub(super) in_scope: BTreeMap<String, String>,
    /// The content of the standard library's modules, by path and name.
    #[serde(default)]
    pub(super) modules: BTreeMap<String, BTreeMap<String, Function>>,
}

/// A struct, an enum, a trait or another name of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Type {
    /// `pub struct DataFrame`; empty where only implementations were seen.
    pub(super) signature: String,
    pub(super) doc: String,
    /// Its own functions, or a trait's.
    pub(super) functions: BTreeMap<String, Function>,
    /// Public fields and their types; the variants of an enum, whose type is their enum.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) variants: BTreeSet<String>,
    /// The traits it implements.
    pub(super) traits: BTreeSet<String>,
    /// The type of which it is another name, or to which it dereferences.
    pub(super) target: Option<String>,
}

/// A function, a method or a macro.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Function {
    pub(super) signature: String,
    pub(super) doc: String,
    /// The type it returns, empty where it returns nothing.
    pub(super) returns: String,
    pub(super) is_method: bool,
}

/// Something of a type that can stand behind its dot.
pub(super) enum Member<'a> {
    Method(&'a Function),
    Field(&'a str),
}

/// The length of a chain of names for the same type that is followed; cyclic sources would never
/// end.
const MAX_TARGETS: usize = 8;

impl Index {
    /// Reads what [`Index::save`] wrote.
    ///
    /// # Errors
    /// When the file is not there, or not an index.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::invalid(format!("{path:?} is no index")).with_source(source))
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self)
            .map_err(|source| Error::invalid("cannot write the index").with_source(source))?;
        write_atomically(path, &bytes)
    }

    /// Both together; for a name in both, what the first says.
    pub(super) fn merged(mut self, other: Self) -> Self {
        for (name, known) in other.types {
            let mine = self.types.entry(name).or_default();
            if mine.signature.is_empty() {
                mine.signature = known.signature;
                mine.doc = known.doc;
            }
            for (name, function) in known.functions {
                mine.functions.entry(name).or_insert(function);
            }
            for (name, type_name) in known.fields {
                mine.fields.entry(name).or_insert(type_name);
            }
            mine.variants.extend(known.variants);
            mine.traits.extend(known.traits);
            mine.target = mine.target.take().or(known.target);
        }
        for (name, function) in other.functions {
            self.functions.entry(name).or_insert(function);
        }
        for (name, function) in other.macros {
            self.macros.entry(name).or_insert(function);
        }
        self.in_scope.extend(other.in_scope);
        self.modules.extend(other.modules);
        self
    }

    /// This index with `other` behind it: a name that is known here means nothing else.
    pub(super) fn beside(self, mut other: Self) -> Self {
        other
            .types
            .retain(|name, _| self.types.get(name).is_none_or(|known| known.signature.is_empty()));
        other.in_scope.retain(|name, _| !self.in_scope.contains_key(name));
        self.merged(other)
    }

    /// The content of the module of the standard library that a cell calls `path`.
    pub(super) fn module(&self, path: &str) -> Option<&BTreeMap<String, Function>> {
        let path = path.trim_start_matches("::");
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        let path = match first {
            // Both are behind `std`.
            "alloc" | "core" => format!("std::{rest}"),
            _ => path.to_owned(),
        };
        let path = path.trim_end_matches("::");
        self.modules.get(path).or_else(|| self.modules.get(&format!("std::{path}")))
    }

    /// The type called `name` and those it dereferences to, its traits beside it.
    pub(super) fn line(&self, name: &str) -> Vec<&Type> {
        let mut line = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(known) = next.as_ref().and_then(|name| self.types.get(name)) {
            line.push(known);
            line.extend(known.traits.iter().filter_map(|name| self.types.get(name)));
            next = known.target.as_deref().and_then(last_name);
            if line.len() > MAX_TARGETS * 16 {
                break;
            }
        }
        line
    }

    /// The names that can stand behind a dot after a value of the type.
    pub(super) fn members(&self, type_name: &str) -> BTreeMap<&str, Member<'_>> {
        let mut members = BTreeMap::new();
        // The nearest wins, as in Rust.
        for known in self.line(type_name) {
            for (name, function) in &known.functions {
                if function.is_method {
                    members.entry(name.as_str()).or_insert(Member::Method(function));
                }
            }
            for (name, type_name) in &known.fields {
                members.entry(name.as_str()).or_insert(Member::Field(type_name));
            }
        }
        members
    }

    /// The name by which what a cell calls `name` was declared.
    pub(super) fn declared<'a>(&'a self, name: &'a str) -> &'a str {
        self.in_scope.get(name).map_or(name, String::as_str)
    }

    /// The function `name` of the type.
    pub(super) fn function(&self, type_name: &str, name: &str) -> Option<&Function> {
        self.line(type_name).into_iter().find_map(|known| known.functions.get(name))
    }

    /// The type that `name` is another name of, or itself.
    pub(super) fn resolved<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        for _ in 0..MAX_TARGETS {
            match self.types.get(name) {
                Some(Type { target: Some(target), signature, .. })
                    if signature.starts_with("pub type") =>
                {
                    // The whole target counts, but names alone lead to its methods.
                    name = target.split(['<', ' ']).next().unwrap_or(target);
                    name = name.rsplit("::").next().unwrap_or(name);
                }
                _ => break,
            }
        }
        name
    }
}

/// `DataFrame` of `polars::frame::DataFrame<X>` or of `dyn DataFrame + Send`.
pub(super) fn last_name(type_name: &str) -> Option<String> {
    let parsed = syn::parse_str::<syn::Type>(type_name).ok()?;
    name_of(&parsed)
}

/// The last name of a type, with what only points to it taken off.
pub(super) fn name_of(parsed: &syn::Type) -> Option<String> {
    use syn::{Type, TypeParamBound};
    let of_bounds = |bounds: &syn::punctuated::Punctuated<TypeParamBound, syn::Token![+]>| {
        bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.to_string()),
            _ => None,
        })
    };
    match parsed {
        Type::Reference(reference) => name_of(&reference.elem),
        Type::Paren(paren) => name_of(&paren.elem),
        Type::Group(group) => name_of(&group.elem),
        Type::TraitObject(object) => of_bounds(&object.bounds),
        Type::ImplTrait(object) => of_bounds(&object.bounds),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let name = last.ident.to_string();
            match name.as_str() {
                "Arc" | "Box" | "Cow" | "Rc" => first_argument(last).and_then(name_of),
                _ => Some(name),
            }
        }
        _ => None,
    }
}

/// `X` of `Name<X, Y>`.
pub(super) fn first_argument(segment: &syn::PathSegment) -> Option<&syn::Type> {
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(argument) => Some(argument),
        _ => None,
    })
}
