//! Works out the type of an expression from declared signatures: enough for chains of methods on
//! what the prelude offers. It compiles nothing, knows no generics beyond `Result` and `Option`,
//! and says nothing rather than something wrong.

use std::collections::BTreeMap;

use syn::{Expr, Pat, Type, visit::Visit};

use super::index::{Index, Member, first_argument, name_of};
use crate::{
    cell::evcxr::Variable,
    syntax::{Depth, TokenKind, is_word, tokens},
};

/// The types that are known while a cell is being written.
pub(super) struct Inference<'a> {
    index: &'a Index,
    variables: BTreeMap<String, Type>,
}

impl<'a> Inference<'a> {
    /// With the session's variables, and those that `before`, the cell up to the place in
    /// question, declares.
    pub(super) fn new(index: &'a Index, variables: &[Variable], before: &str) -> Self {
        let parsed = |it: &Variable| Some((it.name.clone(), syn::parse_str(&it.type_name).ok()?));
        let variables = variables.iter().filter_map(parsed).collect();
        let mut inference = Self { index, variables };
        inference.read(before);
        inference
    }

    /// The type of `expression`.
    pub(super) fn type_of(&self, expression: &str) -> Option<Type> {
        self.expression(&syn::parse_str(expression).ok()?)
    }

    /// Adds the `let` statements of a half-written text.
    fn read(&mut self, before: &str) {
        // What stands after the last finished statement does not parse.
        let ends = tokens(before).filter(|token| match token.kind {
            TokenKind::Open(bracket) | TokenKind::Close(bracket) => "{}".contains(bracket),
            kind => kind == TokenKind::Sign && token.text == ";",
        });
        let finished = &before[..ends.last().map_or(0, |last| last.end())];
        let depth = Depth::of(finished);
        let close = |open: &char| match open {
            '(' => ')',
            '[' => ']',
            _ => '}',
        };
        let closing: String = depth.brackets().iter().rev().map(close).collect();
        if let Ok(block) = syn::parse_str::<syn::Block>(&format!("{{{finished}{closing}}}")) {
            let mut locals = Locals { inference: self };
            locals.visit_block(&block);
        }
    }

    fn expression(&self, expression: &Expr) -> Option<Type> {
        match expression {
            Expr::Paren(inner) => self.expression(&inner.expr),
            Expr::Group(inner) => self.expression(&inner.expr),
            Expr::Reference(inner) => self.expression(&inner.expr),
            Expr::Try(inner) => success(&self.expression(&inner.expr)?),
            Expr::Path(path) => self.variables.get(&path.path.get_ident()?.to_string()).cloned(),
            Expr::Struct(literal) => {
                Some(Type::Path(syn::TypePath { qself: None, path: literal.path.clone() }))
            }
            Expr::Cast(cast) => Some((*cast.ty).clone()),
            Expr::Macro(call) => self.macro_call(&call.mac),
            Expr::Field(field) => {
                let owner = self.name(&self.expression(&field.base)?)?;
                let syn::Member::Named(name) = &field.member else { return None };
                let members = self.index.members(&owner);
                let Member::Field(of) = members.get(name.to_string().as_str())? else {
                    return None;
                };
                syn::parse_str(of).ok()
            }
            Expr::MethodCall(call) => {
                let receiver = self.expression(&call.receiver)?;
                let name = call.method.to_string();
                known_method(&receiver, &name).or_else(|| {
                    let owner = self.name(&receiver)?;
                    self.returned(&owner, &self.index.function(&owner, &name)?.returns)
                })
            }
            Expr::Call(call) => self.call(call),
            _ => None,
        }
    }

    fn call(&self, call: &syn::ExprCall) -> Option<Type> {
        let Expr::Path(path) = &*call.func else { return None };
        let segments: Vec<String> =
            path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let (name, owners) = segments.split_last()?;
        if let Some(owner) = owners.last()
            && self.index.types.contains_key(owner)
        {
            let owner = self.index.resolved(owner);
            return match self.index.function(owner, name) {
                Some(function) => self.returned(owner, &function.returns),
                // A variant of an enum makes one of it.
                None => {
                    let known = self.index.types.get(owner)?;
                    known.variants.contains(name).then(|| syn::parse_str(owner).ok())?
                }
            };
        }
        match self.index.functions.get(self.index.declared(name)) {
            Some(function) => self.returned("", &function.returns),
            None => self.index.types.contains_key(name).then(|| syn::parse_str(name).ok())?,
        }
    }

    fn macro_call(&self, call: &syn::Macro) -> Option<Type> {
        let name = call.path.segments.last()?.ident.to_string();
        let returned = match name.as_str() {
            "df" => "PolarsResult<DataFrame>",
            "format" => "String",
            _ => return None,
        };
        syn::parse_str(returned).ok()
    }

    /// A declared return type, with `Self` replaced.
    fn returned(&self, owner: &str, returns: &str) -> Option<Type> {
        let named = returns
            .split_inclusive(|char| !is_word(char))
            .map(|piece| match piece.strip_prefix("Self") {
                Some(rest) if !rest.starts_with(is_word) && !owner.is_empty() => {
                    format!("{owner}{rest}")
                }
                _ => piece.to_owned(),
            })
            .collect::<String>();
        syn::parse_str(&named).ok()
    }

    /// The name under which the index knows the type.
    pub(super) fn name(&self, of: &Type) -> Option<String> {
        Some(self.index.resolved(&name_of(of)?).to_owned())
    }
}

struct Locals<'a, 'b> {
    inference: &'a mut Inference<'b>,
}

impl Visit<'_> for Locals<'_, '_> {
    fn visit_local(&mut self, local: &syn::Local) {
        let (pattern, declared) = match &local.pat {
            Pat::Type(typed) => (&*typed.pat, Some((*typed.ty).clone())),
            pattern => (pattern, None),
        };
        if let Pat::Ident(name) = pattern {
            let inferred =
                || self.inference.expression(local.init.as_ref().map(|init| &*init.expr)?);
            match declared.or_else(inferred) {
                Some(known) => {
                    self.inference.variables.insert(name.ident.to_string(), known);
                }
                // It hides another of the same name, whose type would mislead.
                None => {
                    self.inference.variables.remove(&name.ident.to_string());
                }
            }
        }
        syn::visit::visit_local(self, local);
    }
}

/// The type that `?` leaves of a type.
fn success(of: &Type) -> Option<Type> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    let name = last.ident.to_string();
    (name.ends_with("Result") || name == "Option").then(|| first_argument(last).cloned())?
}

/// Methods that everything, or every `Result` and `Option`, has.
fn known_method(receiver: &Type, name: &str) -> Option<Type> {
    match name {
        "unwrap" | "expect" | "unwrap_or" | "unwrap_or_default" | "unwrap_or_else" => {
            success(receiver)
        }
        "clone" | "to_owned" | "as_ref" | "as_mut" => Some(receiver.clone()),
        "to_string" => syn::parse_str("String").ok(),
        _ => None,
    }
}
