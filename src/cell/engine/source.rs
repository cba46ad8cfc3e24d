//! Takes a cell's Rust apart: items and imports that stay, statements that run once, the names they
//! declare and the expression whose value is shown. It parses and never compiles.

use std::{collections::BTreeSet, ops::Range};

use proc_macro2::Span;
use syn::{
    Attribute, Block, Expr, Item, Pat, Stmt, UseTree,
    parse::{ParseStream, Parser},
    spanned::Spanned,
    visit::{self, Visit},
};

/// A cell's Rust, in ranges of its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// `#![…]`.
    pub(crate) attributes: Vec<Range<usize>>,
    /// What `use` brings into scope.
    pub(crate) imports: Vec<Import>,
    /// Functions, types, implementations.
    pub(crate) items: Vec<SourceItem>,
    /// What runs, in order.
    pub(crate) statements: Vec<Range<usize>>,
    /// The last statement, where it is an expression whose value is shown.
    pub(crate) shown: Option<Range<usize>>,
    /// The variables that `let` declares, the last of each name.
    pub(crate) declared: Vec<Declared>,
    /// Whether something is awaited outside of any `async`.
    pub(crate) awaits: bool,
    /// The crates that `extern crate` asks for.
    pub(crate) crates: Vec<String>,
}

/// One name that a `use` brings into scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// The name in scope; for a glob, the whole path.
    pub(crate) name: String,
    /// A `use` for this name alone.
    pub(crate) code: String,
    /// The `use` it was part of.
    pub(crate) range: Range<usize>,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceItem {
    /// What a later item must share to take this one's place.
    pub(crate) keys: Vec<String>,
    /// The name of the type it defines, where it defines one.
    pub(crate) type_name: Option<String>,
    /// Its text.
    pub(crate) range: Range<usize>,
}

/// One variable that the cell declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is `mut`.
    pub(crate) is_mutable: bool,
}

impl Source {
    /// Takes `text` apart. What no Rust parser understands becomes one statement: the compiler
    /// explains best what is wrong with it.
    pub(crate) fn parse(text: &str) -> Self {
        let parsed = parser.parse_str(text);
        let source = match parsed {
            Ok((attributes, statements)) => Self::of(&attributes, statements, text),
            Err(_) => {
                let whole = 0..text.len();
                Self { statements: Vec::from([whole]), ..Self::default() }
            }
        };
        // Spans are kept per thread for as long as it lives, unless told otherwise.
        proc_macro2::extra::invalidate_current_thread_spans();
        source
    }

    fn of(attributes: &[Attribute], statements: Vec<Stmt>, text: &str) -> Self {
        let mut source = Self {
            attributes: attributes.iter().map(|attribute| range(attribute.span())).collect(),
            ..Self::default()
        };
        let last = statements.len().saturating_sub(1);
        for (idx, statement) in statements.into_iter().enumerate() {
            let place = range(statement.span());
            match statement {
                Stmt::Item(Item::Use(import)) => {
                    let root = if import.leading_colon.is_some() { "::" } else { "" };
                    flatten(&import.tree, root, &place, &mut source.imports);
                }
                Stmt::Item(item) => source.item(&item, place, text),
                Stmt::Expr(_, None) if idx == last => source.shown = Some(place),
                Stmt::Macro(ref call) if idx == last && call.semi_token.is_none() => {
                    source.awaits |= text[place.clone()].contains(".await");
                    source.shown = Some(place);
                    continue;
                }
                Stmt::Local(ref local) => {
                    source.declare(&local.pat);
                    source.statements.push(place);
                }
                Stmt::Expr(..) | Stmt::Macro(_) => source.statements.push(place),
            }
            source.awaits |= match statement_of(text, &source, idx == last) {
                Some(text) if text.contains("await") => awaits(text),
                _ => false,
            };
        }
        source
    }

    fn item(&mut self, item: &Item, range: Range<usize>, text: &str) {
        let (keys, type_name) = keys(item, &text[range.clone()]);
        if let Item::ExternCrate(krate) = item {
            self.crates.push(krate.ident.to_string());
        }
        self.items.push(SourceItem { keys, type_name, range });
    }

    fn declare(&mut self, pattern: &Pat) {
        struct Names(Vec<Declared>);
        impl<'ast> Visit<'ast> for Names {
            fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
                let name = pattern.ident.to_string();
                // `None` and constants look like names; nobody calls a variable that.
                let is_constant = pattern.by_ref.is_none()
                    && pattern.subpat.is_none()
                    && name.trim_start_matches("r#").starts_with(char::is_uppercase);
                if !is_constant {
                    self.0.push(Declared { name, is_mutable: pattern.mutability.is_some() });
                }
                visit::visit_pat_ident(self, pattern);
            }
            // Patterns inside expressions, such as the arms of a `match` in a const, declare nothing.
            fn visit_expr(&mut self, _: &'ast Expr) {}
        }
        let mut names = Names(Vec::new());
        names.visit_pat(pattern);
        for declared in names.0 {
            self.declared.retain(|earlier| earlier.name != declared.name);
            self.declared.push(declared);
        }
    }
}

fn parser(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, Vec<Stmt>)> {
    Ok((input.call(Attribute::parse_inner)?, input.call(Block::parse_within)?))
}

fn range(span: Span) -> Range<usize> {
    span.byte_range()
}

/// The text of the statement that was read last.
fn statement_of<'a>(text: &'a str, source: &Source, is_last: bool) -> Option<&'a str> {
    let range = match &source.shown {
        Some(shown) if is_last => shown.clone(),
        _ => source.statements.last()?.clone(),
    };
    text.get(range)
}

fn awaits(statement: &str) -> bool {
    struct Awaits(bool);
    impl<'ast> Visit<'ast> for Awaits {
        fn visit_expr_await(&mut self, _: &'ast syn::ExprAwait) {
            self.0 = true;
        }
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}
        fn visit_item(&mut self, _: &'ast Item) {}
        fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
            if closure.asyncness.is_none() {
                visit::visit_expr_closure(self, closure);
            }
        }
        fn visit_macro(&mut self, call: &'ast syn::Macro) {
            self.0 |= call.tokens.to_string().contains("await");
        }
    }
    let mut found = Awaits(false);
    if let Ok(statements) = Block::parse_within.parse_str(statement) {
        statements.iter().for_each(|statement| found.visit_stmt(statement));
    }
    found.0
}

/// Splits `use a::{b, c as d, e::*}` into one import a name.
fn flatten(tree: &UseTree, path: &str, place: &Range<usize>, imports: &mut Vec<Import>) {
    let mut push = |name: String, code: String| {
        imports.push(Import { name, code: format!("use {code};"), range: place.clone() });
    };
    match tree {
        UseTree::Path(step) => {
            flatten(&step.tree, &format!("{path}{}::", step.ident), place, imports);
        }
        UseTree::Name(leaf) if leaf.ident == "self" => {
            let module = path.trim_end_matches("::");
            let name = module.rsplit("::").next().unwrap_or(module);
            push(name.to_owned(), module.to_owned());
        }
        UseTree::Name(leaf) => push(leaf.ident.to_string(), format!("{path}{}", leaf.ident)),
        UseTree::Rename(leaf) => {
            let path = match leaf.ident == "self" {
                true => path.trim_end_matches("::").to_owned(),
                false => format!("{path}{}", leaf.ident),
            };
            // Any number of traits may be imported without a name.
            let name = match leaf.rename == "_" {
                true => format!("{path} as _"),
                false => leaf.rename.to_string(),
            };
            push(name, format!("{path} as {}", leaf.rename));
        }
        UseTree::Glob(_) => push(format!("{path}*"), format!("{path}*")),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path, place, imports);
            }
        }
    }
}

/// What a later item must share to replace this one, and the type it defines.
fn keys(item: &Item, text: &str) -> (Vec<String>, Option<String>) {
    let kind = |kind: &str, name: &dyn std::fmt::Display| (vec![format!("{kind} {name}")], None);
    let named = |name: &syn::Ident| (vec![format!("type {name}")], Some(name.to_string()));
    match item {
        Item::Fn(item) => kind("value", &item.sig.ident),
        Item::Const(item) if item.ident == "_" => (vec![text.to_owned()], None),
        Item::Const(item) => kind("value", &item.ident),
        Item::Static(item) => kind("value", &item.ident),
        Item::Struct(item) => named(&item.ident),
        Item::Enum(item) => named(&item.ident),
        Item::Union(item) => named(&item.ident),
        Item::Type(item) => named(&item.ident),
        Item::Trait(item) => named(&item.ident),
        Item::TraitAlias(item) => named(&item.ident),
        Item::Mod(item) => named(&item.ident),
        Item::ExternCrate(item) => kind("type", &item.ident),
        Item::Macro(item) => match &item.ident {
            Some(name) => kind("macro", name),
            None => (vec![text.to_owned()], None),
        },
        Item::Impl(item) => (implementation(item, text), None),
        _ => (vec![text.to_owned()], None),
    }
}

/// A trait is implemented once for a type; an inherent `impl` makes way for one that defines a
/// function of the same name.
fn implementation(item: &syn::ItemImpl, text: &str) -> Vec<String> {
    let squeezed = |range: Range<usize>| {
        text.get(range).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let start = item.span().byte_range().start;
    let of = |span: Span| {
        let range = span.byte_range();
        squeezed(range.start.saturating_sub(start)..range.end.saturating_sub(start))
    };
    let target = of(item.self_ty.span());
    match &item.trait_ {
        Some((_, path, _)) => vec![format!("impl {} for {target}", of(path.span()))],
        None => {
            let names = item.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
                syn::ImplItem::Const(constant) => Some(constant.ident.to_string()),
                _ => None,
            });
            names.map(|name| format!("impl {target} {name}")).collect()
        }
    }
}

/// The words of `text` that could name a variable: everything that looks like an identifier, in
/// strings too, since a format string captures by name.
pub(crate) fn words(text: &str) -> BTreeSet<&str> {
    text.split(|char: char| !char.is_alphanumeric() && char != '_')
        .filter(|word| word.starts_with(|first: char| first.is_alphabetic() || first == '_'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(text: &str) -> Vec<String> {
        Source::parse(text)
            .declared
            .into_iter()
            .map(|declared| match declared.is_mutable {
                true => format!("mut {}", declared.name),
                false => declared.name,
            })
            .collect()
    }

    #[test]
    fn let_declares_every_name_of_its_pattern() {
        assert_eq!(names("let a = 1;"), ["a"]);
        assert_eq!(names("let mut a = 1; let b: u8 = 2;"), ["mut a", "b"]);
        assert_eq!(names("let (a, [b, ..], P { c, d: e }) = x;"), ["a", "b", "c", "e"]);
        assert_eq!(names("let Some(a) = x else { panic!() };"), ["a"]);
        assert_eq!(names("let None = x else { return Ok(()) };"), [""; 0]);
        assert_eq!(names("let a = 1; let mut a = 2;"), ["mut a"]);
        assert_eq!(names("{ let inner = 1; } if let Some(x) = y {}"), [""; 0]);
    }

    #[test]
    fn items_statements_and_the_shown_expression_are_told_apart() {
        let text = "use std::fmt;\nfn f() {}\nlet a = f();\na.b()?\n";
        let source = Source::parse(text);
        assert_eq!(source.imports[0].code, "use std::fmt;");
        assert_eq!(&text[source.items[0].range.clone()], "fn f() {}");
        assert_eq!(&text[source.statements[0].clone()], "let a = f();");
        assert_eq!(&text[source.shown.clone().expect("shown")], "a.b()?");
        assert_eq!(Source::parse("a.b();").shown, None);
        assert_eq!(Source::parse("vec![1]").shown, Some(0..7));
    }

    #[test]
    fn imports_are_split_by_name() {
        let source = Source::parse("use a::{self, b, c as d, e::*, T as _};");
        let found: Vec<_> =
            source.imports.iter().map(|import| (&*import.name, &*import.code)).collect();
        assert_eq!(
            found,
            [
                ("a", "use a;"),
                ("b", "use a::b;"),
                ("d", "use a::c as d;"),
                ("a::e::*", "use a::e::*;"),
                ("a::T as _", "use a::T as _;"),
            ]
        );
    }

    #[test]
    fn awaiting_counts_only_outside_of_async() {
        assert!(Source::parse("f().await").awaits);
        assert!(Source::parse("let a = f().await?;").awaits);
        assert!(Source::parse("println!(\"{}\", f().await);").awaits);
        assert!(!Source::parse("let a = async { f().await };").awaits);
        assert!(!Source::parse("async fn g() { f().await }").awaits);
    }

    #[test]
    fn an_implementation_makes_way_for_its_successor() {
        let keys = |text| Source::parse(text).items[0].keys.clone();
        assert_eq!(keys("impl  Show for P {}"), keys("impl Show for P { fn a() {} }"));
        assert_eq!(keys("impl P { fn a() {} fn b() {} }"), ["impl P a", "impl P b"]);
    }

    #[test]
    fn ranges_count_bytes_not_characters() {
        let text = "let é = \"ü\"; let b = 1;\n\"ö\"";
        let source = Source::parse(text);
        assert_eq!(&text[source.statements[1].clone()], "let b = 1;");
        assert_eq!(&text[source.shown.clone().expect("shown")], "\"ö\"");
    }

    #[test]
    fn what_does_not_parse_is_left_to_the_compiler() {
        assert_eq!(Source::parse("let = ;").statements.first(), Some(&(0..7)));
    }
}
