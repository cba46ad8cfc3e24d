//! The statics of an item, taken apart, those inside of its functions and modules too. Each cell is
//! compiled with all items of the session and would have statics of its own otherwise.

use std::ops::Range;

use syn::{
    Attribute, Expr, Ident, Item, Token, Type, Visibility,
    parse::{ParseStream, Parser},
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::cell::engine::macros;

/// The statics that one declaration makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemStatics {
    /// The declaration.
    pub(crate) range: Range<usize>,
    /// Each of them.
    pub(crate) list: Vec<ItemStatic>,
}

/// A `static` in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemStatic {
    /// The keyword of its declaration.
    pub(crate) kind: StaticKind,
    /// Its name.
    pub(crate) name: String,
    /// `pub static NAME`; of a `static ref` only the `pub`.
    pub(crate) head: Range<usize>,
    /// Its type.
    pub(crate) type_name: Range<usize>,
    /// Its first value.
    pub(crate) value: Range<usize>,
}

/// The keyword of a `static`'s declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StaticKind {
    /// `static`.
    Plain,
    /// `static mut`.
    Mutable,
    /// In `thread_local!`.
    Local,
    /// `static ref` in `lazy_static!`.
    Lazy,
}

/// The statics of `item`, which lies at `range`.
pub(super) fn of_item(item: &Item, range: &Range<usize>) -> Vec<ItemStatics> {
    let mut found = Statics { list: Vec::new(), is_inside: false };
    match item {
        Item::Static(item) => found.list.extend(of_static(item, range.clone(), false)),
        _ => {
            found.is_inside = true;
            found.visit_item(item);
        }
    }
    found.list
}

/// Every `static mut` inside of `item`, which cannot be one for all cells.
pub(super) fn forgotten(item: &Item) -> Vec<String> {
    struct Mutable(Vec<String>);
    impl<'ast> Visit<'ast> for Mutable {
        fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
            if matches!(item.mutability, syn::StaticMutability::Mut(_)) {
                self.0.push(item.ident.to_string());
            }
        }
    }
    let mut found = Mutable(Vec::new());
    if !matches!(item, Item::Static(_)) {
        found.visit_item(item);
    }
    found.0
}

/// The statics of a call of `thread_local!` or `lazy_static!`, which lies at `range`.
pub(super) fn of_call(call: &syn::Macro, range: Range<usize>) -> Option<ItemStatics> {
    let kind = match macros::name(call)?.as_str() {
        "thread_local" => StaticKind::Local,
        "lazy_static" => StaticKind::Lazy,
        _ => return None,
    };
    let parser = |input: ParseStream<'_>| {
        let mut list = Vec::new();
        while !input.is_empty() {
            list.push(declaration(input, kind)?);
        }
        Ok(list)
    };
    // What is declared in another way is left to the macro.
    let list = parser.parse2(call.tokens.clone()).ok().filter(|list| !list.is_empty())?;
    Some(ItemStatics { range, list })
}

struct Statics {
    list: Vec<ItemStatics>,
    is_inside: bool,
}

impl<'ast> Visit<'ast> for Statics {
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.list.extend(of_static(item, item.span().byte_range(), self.is_inside));
    }

    fn visit_stmt_macro(&mut self, call: &'ast syn::StmtMacro) {
        self.list.extend(of_call(&call.mac, call.span().byte_range()));
    }

    fn visit_item_macro(&mut self, call: &'ast syn::ItemMacro) {
        if call.ident.is_none() {
            self.list.extend(of_call(&call.mac, call.span().byte_range()));
        }
    }

    // What may run while a cell is compiled cannot look anything up.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if function.sig.constness.is_none() {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.sig.constness.is_none() {
            visit::visit_impl_item_fn(self, function);
        }
    }
}

fn of_static(item: &syn::ItemStatic, range: Range<usize>, is_inside: bool) -> Option<ItemStatics> {
    let kind = match item.mutability {
        syn::StaticMutability::None => StaticKind::Plain,
        // Its symbol is declared with a type that only the cell's root is sure to know.
        _ if is_inside => return None,
        _ => StaticKind::Mutable,
    };
    let list = Vec::from([ItemStatic {
        kind,
        name: is_plain(&item.attrs).then(|| item.ident.to_string())?,
        head: from_visibility(&item.vis, item.static_token.span())..end(item.ident.span()),
        type_name: item.ty.span().byte_range(),
        value: item.expr.span().byte_range(),
    }]);
    Some(ItemStatics { range, list })
}

/// True if it has no attributes: those are meant for others than cells, a linker or a C library.
fn is_plain(attributes: &[Attribute]) -> bool {
    attributes.iter().all(|attribute| attribute.path().is_ident("doc"))
}

fn from_visibility(visibility: &Visibility, word: proc_macro2::Span) -> usize {
    match visibility {
        Visibility::Inherited => word.byte_range().start,
        _ => visibility.span().byte_range().start,
    }
}

fn end(span: proc_macro2::Span) -> usize {
    span.byte_range().end
}

/// One declaration inside of `thread_local!` or `lazy_static!`.
fn declaration(input: ParseStream<'_>, kind: StaticKind) -> syn::Result<ItemStatic> {
    let attributes = input.call(Attribute::parse_outer)?;
    if !is_plain(&attributes) {
        return Err(input.error("attributes are the macro's"));
    }
    let visibility: Visibility = input.parse()?;
    let word = input.parse::<Token![static]>()?.span();
    if kind == StaticKind::Lazy {
        input.parse::<Token![ref]>()?;
    }
    let name: Ident = input.parse()?;
    input.parse::<Token![:]>()?;
    let type_name: Type = input.parse()?;
    input.parse::<Token![=]>()?;
    let value: Expr = input.parse()?;
    if !input.is_empty() {
        input.parse::<Token![;]>()?;
    }
    let start = from_visibility(&visibility, word);
    let head = match (kind, &visibility) {
        (StaticKind::Lazy, Visibility::Inherited) => start..start,
        (StaticKind::Lazy, _) => start..end(visibility.span()),
        _ => start..end(name.span()),
    };
    Ok(ItemStatic {
        kind,
        name: name.to_string(),
        head,
        type_name: type_name.span().byte_range(),
        value: value.span().byte_range(),
    })
}

#[cfg(test)]
mod tests {
    use super::StaticKind;
    use crate::cell::engine::source::Source;

    #[track_caller]
    fn check(text: &str, expected: &[(StaticKind, &str, &str, &str)]) {
        let source = Source::parse(text, &|name| matches!(name, "thread_local" | "lazy_static"));
        let found: Vec<_> = source
            .items
            .iter()
            .flat_map(|item| item.statics.iter().flat_map(|statics| &statics.list))
            .map(|it| {
                (
                    it.kind,
                    &text[it.head.clone()],
                    &text[it.type_name.clone()],
                    &text[it.value.clone()],
                )
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn statics_are_taken_apart_however_they_are_declared() {
        use StaticKind::{Lazy, Local, Mutable, Plain};
        check("/// n\npub static N: A = A(1);", &[(Plain, "pub static N", "A", "A(1)")]);
        check("static mut N: [u8; 2] = [0; 2];", &[(Mutable, "static mut N", "[u8; 2]", "[0; 2]")]);
        check("#[unsafe(no_mangle)] static N: A = A(1);", &[]);
        check(
            "thread_local! { pub static A: C<u8> = const { C(1) }; static B: u8 = 2 }",
            &[(Local, "pub static A", "C<u8>", "const { C(1) }"), (Local, "static B", "u8", "2")],
        );
        check(
            "lazy_static! { pub static ref A: u8 = f(); static ref B: u8 = 2; }",
            &[(Lazy, "pub", "u8", "f()"), (Lazy, "", "u8", "2")],
        );
        check("lazy_static! { #[x] static ref A: u8 = f(); }", &[]);
    }

    #[test]
    fn what_is_forgotten_is_known() {
        let forgotten = |text: &str| Source::parse(text, &|_| false).items[0].forgotten.clone();
        assert_eq!(forgotten("fn f() { static mut N: u8 = 1; static M: A = A; }"), ["N"]);
        assert_eq!(forgotten("static mut N: u8 = 1;"), [""; 0]);
    }

    #[test]
    fn statics_inside_of_functions_and_modules_are_found() {
        check(
            "fn f() -> u8 { static N: A = A(1); N.next() } mod m { pub static M: B = B; }",
            &[
                (StaticKind::Plain, "static N", "A", "A(1)"),
                (StaticKind::Plain, "pub static M", "B", "B"),
            ],
        );
        check(
            "fn f() { thread_local! { static N: A = A; } }",
            &[(StaticKind::Local, "static N", "A", "A")],
        );
        check("const fn f() { static N: A = A; } fn g() { static mut M: u8 = 1; }", &[]);
    }
}
