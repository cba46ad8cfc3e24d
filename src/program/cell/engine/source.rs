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

use crate::cell::engine::{
    macros,
    statics::{self, ItemStatics},
};

/// A cell's Rust, in ranges of its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// `#![…]`.
    pub(crate) attributes: Vec<Range<usize>>,
    /// `#![deny(…)]` and `#![forbid(…)]`: what the person's own code must not do.
    pub(crate) lints: Vec<Range<usize>>,
    /// The names that `use` brings into scope.
    pub(crate) imports: Vec<Import>,
    /// Functions, types, implementations.
    pub(crate) items: Vec<SourceItem>,
    /// The statements that run, in order.
    pub(crate) statements: Vec<Range<usize>>,
    /// The last statement, where it is an expression whose value is shown.
    pub(crate) shown: Option<Range<usize>>,
    /// The variables that `let` declares, the last of each name.
    pub(crate) declared: Vec<Declared>,
    /// True if something is awaited outside of any `async`.
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

/// A macro that a statement calls, if the statement does nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The path by which it is called: `krate::make`.
    pub(crate) path: String,
    /// The last name of that.
    pub(crate) name: String,
    /// The statement.
    pub(crate) range: Range<usize>,
    /// True if an item would need a semicolon behind it.
    pub(crate) is_open: bool,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceItem {
    /// The keys of the item: a later item that shares one takes its place.
    pub(crate) keys: Vec<String>,
    /// The names of the types it defines.
    pub(crate) types: Vec<String>,
    /// Its text.
    pub(crate) range: Range<usize>,
    /// True if its semicolon is missing: the last item of a cell may go without.
    pub(crate) is_open: bool,
    /// Every `static` in it, taken apart: one whose value can change is one for all cells.
    pub(crate) statics: Vec<ItemStatics>,
    /// The names of statics in it that begin anew in every cell.
    pub(crate) forgotten: Vec<String>,
}

/// One variable that the cell declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Its name.
    pub(crate) name: String,
    /// True if it is `mut`.
    pub(crate) is_mutable: bool,
    /// True if the name may be that of a constant, a unit struct or a variant instead.
    pub(crate) may_be_constant: bool,
}

/// True if a macro that is called by this path makes items, as far as is known before compiling.
pub(crate) type MakesItems<'a> = &'a dyn Fn(&str) -> bool;

impl Source {
    /// Takes `text` apart. What no Rust parser understands becomes one statement: the compiler
    /// explains best what is wrong with it. A macro of which `makes_items` holds is an item, not a
    /// statement.
    pub(crate) fn parse(text: &str, makes_items: MakesItems<'_>) -> Self {
        let parsed = parser
            .parse_str(text)
            // The last statement may go without its semicolon.
            .or_else(|_| parser.parse_str(&format!("{text}\n;")));
        let source = match parsed {
            Ok((attributes, statements)) => Self::of(&attributes, statements, text, makes_items),
            Err(_) => {
                let whole = 0..text.len();
                Self { statements: Vec::from([whole]), ..Self::default() }
            }
        };
        // Spans are kept per thread for as long as it lives, unless told otherwise.
        proc_macro2::extra::invalidate_current_thread_spans();
        source
    }

    /// The macros that statements of `text` call.
    pub(crate) fn calls(text: &str) -> Vec<Call> {
        let parsed = match text.contains('!') {
            true => parser.parse_str(text).map(|(_, statements)| statements).unwrap_or_default(),
            false => Vec::new(),
        };
        let call = |statement: &Stmt| {
            let (call, is_closed) = macro_call(statement)?;
            let is_braced = matches!(call.delimiter, syn::MacroDelimiter::Brace(_));
            Some(Call {
                path: macros::path(call),
                name: macros::name(call)?,
                range: range(statement.span()),
                is_open: !is_closed && !is_braced,
            })
        };
        let calls = parsed.iter().filter_map(call).collect();
        proc_macro2::extra::invalidate_current_thread_spans();
        calls
    }

    fn of(
        attributes: &[Attribute],
        statements: Vec<Stmt>,
        text: &str,
        makes_items: MakesItems<'_>,
    ) -> Self {
        let (lints, attributes): (Vec<&Attribute>, Vec<_>) = attributes.iter().partition(is_lint);
        let ranges = |attributes: Vec<&Attribute>| {
            attributes.into_iter().map(|attribute| range(attribute.span())).collect()
        };
        let mut source =
            Self { attributes: ranges(attributes), lints: ranges(lints), ..Self::default() };
        let mut own_macros = BTreeSet::new();
        let last = statements.len().saturating_sub(1);
        for (idx, statement) in statements.into_iter().enumerate() {
            let place = range(statement.span());
            let is_open = place.end > text.len();
            let place = place.start..place.end.min(text.len());
            if let Some((call, is_closed)) = macro_call(&statement)
                && (own_macros.contains(&macros::path(call)) || makes_items(&macros::path(call)))
            {
                let is_open =
                    !is_closed && !matches!(call.delimiter, syn::MacroDelimiter::Brace(_));
                let mut keys = macros::keys(&call.tokens);
                keys.push(text[place.clone()].to_owned());
                let statics = statics::of_call(call, place.clone()).into_iter().collect();
                let range = place;
                source.items.push(SourceItem {
                    keys,
                    types: Vec::new(),
                    range,
                    is_open,
                    statics,
                    forgotten: Vec::new(),
                });
                continue;
            }
            match statement {
                Stmt::Item(Item::Use(import)) => {
                    let root = if import.leading_colon.is_some() { "::" } else { "" };
                    flatten(&import.tree, root, &place, &mut source.imports);
                }
                Stmt::Item(item) => {
                    if let Item::Macro(syn::ItemMacro { ident: Some(name), mac, .. }) = &item
                        && macros::makes_items(&mac.tokens)
                    {
                        own_macros.insert(name.to_string());
                    }
                    source.item(&item, place, text, is_open);
                }
                Stmt::Expr(_, None) if idx == last => source.shown = Some(place),
                Stmt::Macro(ref call) if idx == last && call.semi_token.is_none() => {
                    source.awaits |= text[place.clone()].contains(".await");
                    source.shown = Some(place);
                    continue;
                }
                Stmt::Local(ref local) => {
                    let has_else = local.init.as_ref().is_some_and(|init| init.diverge.is_some());
                    source.declare(&local.pat, has_else);
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

    fn item(&mut self, item: &Item, range: Range<usize>, text: &str, is_open: bool) {
        let (keys, types) = keys(item, &text[range.clone()]);
        if let Item::ExternCrate(krate) = item {
            self.crates.push(krate.ident.to_string());
        }
        let statics = statics::of_item(item, &range);
        let forgotten = statics::forgotten(item);
        self.items.push(SourceItem { keys, types, range, is_open, statics, forgotten });
    }

    fn declare(&mut self, pattern: &Pat, has_else: bool) {
        struct Names {
            declared: Vec<Declared>,
            has_else: bool,
        }
        impl<'ast> Visit<'ast> for Names {
            fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
                let name = pattern.ident.to_string();
                let may_be_constant = pattern.by_ref.is_none()
                    && pattern.subpat.is_none()
                    && name.trim_start_matches("r#").starts_with(char::is_uppercase);
                // Only an `else` takes what a pattern refuses, such as `None` or another variant.
                if !(self.has_else && may_be_constant && is_like_a_variant(&name)) {
                    let is_mutable = pattern.mutability.is_some();
                    self.declared.push(Declared { name, is_mutable, may_be_constant });
                }
                visit::visit_pat_ident(self, pattern);
            }
            // Patterns inside expressions, such as the arms of a `match` in a const, declare nothing.
            fn visit_expr(&mut self, _: &'ast Expr) {}
        }
        let mut names = Names { declared: Vec::new(), has_else };
        names.visit_pat(pattern);
        for declared in names.declared {
            self.declared.retain(|earlier| earlier.name != declared.name);
            self.declared.push(declared);
        }
    }
}

/// The macro that a statement calls, if it does nothing else, and whether a semicolon ends it.
pub(super) fn macro_call(statement: &Stmt) -> Option<(&syn::Macro, bool)> {
    match statement {
        Stmt::Macro(call) => Some((&call.mac, call.semi_token.is_some())),
        Stmt::Expr(Expr::Macro(call), semicolon) => Some((&call.mac, semicolon.is_some())),
        _ => None,
    }
}

/// True if an attribute says what code must not do.
fn is_lint(attribute: &&Attribute) -> bool {
    attribute.path().is_ident("deny") || attribute.path().is_ident("forbid")
}

/// True if a name is written as the variants of enums are: `None`, not `N` and not `X_train`.
fn is_like_a_variant(name: &str) -> bool {
    !name.contains('_') && name.chars().nth(1).is_some_and(char::is_lowercase)
}

pub(super) fn parser(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, Vec<Stmt>)> {
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

/// The keys by which a later item replaces this one, and the types it defines.
fn keys(item: &Item, text: &str) -> (Vec<String>, Vec<String>) {
    let kind =
        |kind: &str, name: &dyn std::fmt::Display| (vec![format!("{kind} {name}")], Vec::new());
    let named = |name: &syn::Ident| (vec![format!("type {name}")], Vec::from([name.to_string()]));
    match item {
        Item::Fn(item) => kind("value", &item.sig.ident),
        Item::Const(item) if item.ident == "_" => (vec![text.to_owned()], Vec::new()),
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
            None => (vec![text.to_owned()], Vec::new()),
        },
        Item::Impl(item) => (implementation(item, text), Vec::new()),
        _ => (vec![text.to_owned()], Vec::new()),
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

    fn parse(text: &str) -> Source {
        Source::parse(text, &|name| name == "thread_local")
    }

    #[track_caller]
    fn names(text: &str) -> Vec<String> {
        parse(text)
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
        assert_eq!(names("let X_train = 1; let (N, y) = (5, 3);"), ["X_train", "N", "y"]);
        assert_eq!(names("let Some(N) = x else { panic!() };"), ["N"]);
        assert_eq!(names("let [A, Bc, ..] = x;"), ["A", "Bc"]);
        assert_eq!(names("{ let inner = 1; } if let Some(x) = y {}"), [""; 0]);
    }

    #[test]
    fn items_statements_and_the_shown_expression_are_told_apart() {
        let text = "use std::fmt;\nfn f() {}\nlet a = f();\na.b()?\n";
        let source = parse(text);
        assert_eq!(source.imports[0].code, "use std::fmt;");
        assert_eq!(&text[source.items[0].range.clone()], "fn f() {}");
        assert_eq!(&text[source.statements[0].clone()], "let a = f();");
        assert_eq!(&text[source.shown.clone().expect("shown")], "a.b()?");
        assert_eq!(parse("a.b();").shown, None);
        assert_eq!(parse("vec![1]").shown, Some(0..7));
    }

    #[test]
    fn the_last_statement_may_go_without_its_semicolon() {
        for text in ["let a = 5", "1;\nlet a = 5 // five", "let a: u8 = {\n5\n}"] {
            let source = parse(text);
            assert_eq!(names(text), ["a"], "{text}");
            assert_eq!(source.shown, None, "{text}");
            let last = source.statements.last().expect("a statement");
            assert!(text[last.clone()].starts_with("let a"), "{text}");
        }
        assert_eq!(parse("use std::fmt").imports[0].code, "use std::fmt;");
        let item = &parse("const A: u8 = 1").items[0];
        assert_eq!((item.range.clone(), item.is_open), (0..15, true));
    }

    #[test]
    fn what_must_not_be_done_is_told_from_other_attributes() {
        let text = "#![allow(unused)]\n#![forbid(unsafe_code)]\n1";
        let source = parse(text);
        assert_eq!(&text[source.attributes[0].clone()], "#![allow(unused)]");
        assert_eq!(&text[source.lints[0].clone()], "#![forbid(unsafe_code)]");
    }

    #[test]
    fn macros_that_make_items_are_items() {
        let text = "thread_local! { static DEPTH: Cell<u8> = Cell::new(1); }";
        let source = parse(text);
        assert_eq!(source.items[0].keys, ["value DEPTH", text]);
        assert_eq!((source.statements.len(), source.shown.clone()), (0, None));
        let own = "macro_rules! make { ($n:ident) => { pub fn $n() {} } }\nmake!(f);\nmake!(g)";
        let source = parse(own);
        assert_eq!(source.items.len(), 3);
        assert!(!source.items[1].is_open && source.items[2].is_open);
        let value = "macro_rules! one { () => { { fn f() {} 1 } } }\none!()";
        assert_eq!(parse(value).items.len(), 1);
        assert!(parse(value).shown.is_some());
    }

    #[test]
    fn imports_are_split_by_name() {
        let source = parse("use a::{self, b, c as d, e::*, T as _};");
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
        assert!(parse("f().await").awaits);
        assert!(parse("let a = f().await?;").awaits);
        assert!(parse("println!(\"{}\", f().await);").awaits);
        assert!(!parse("let a = async { f().await };").awaits);
        assert!(!parse("async fn g() { f().await }").awaits);
    }

    #[test]
    fn an_implementation_makes_way_for_its_successor() {
        let keys = |text| parse(text).items[0].keys.clone();
        assert_eq!(keys("impl  Show for P {}"), keys("impl Show for P { fn a() {} }"));
        assert_eq!(keys("impl P { fn a() {} fn b() {} }"), ["impl P a", "impl P b"]);
    }

    #[test]
    fn ranges_count_bytes_not_characters() {
        let text = "let é = \"ü\"; let b = 1;\n\"ö\"";
        let source = parse(text);
        assert_eq!(&text[source.statements[1].clone()], "let b = 1;");
        assert_eq!(&text[source.shown.clone().expect("shown")], "\"ö\"");
    }

    #[test]
    fn what_does_not_parse_is_left_to_the_compiler() {
        assert_eq!(parse("let = ;").statements.first(), Some(&(0..7)));
    }
}
