//! The macros that make items, told from their rules and from what they are called with. Items live
//! on between cells; what a statement makes is gone with its cell. It expands nothing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Macros of the standard library and of much used crates that make items.
const MAKE_ITEMS: [&str; 4] = ["bitflags", "lazy_static", "quick_error", "thread_local"];

/// True if the macro `name` is known to make items.
pub(super) fn is_known(name: &str) -> bool {
    MAKE_ITEMS.contains(&name)
}

/// Macros of the standard library and of the prelude that make values or nothing.
const MAKE_VALUES: [&str; 31] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "cfg",
    "column",
    "concat",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "df",
    "eprint",
    "eprintln",
    "file",
    "format",
    "format_args",
    "include_bytes",
    "include_str",
    "line",
    "matches",
    "module_path",
    "panic",
    "print",
    "println",
    "stringify",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

/// True if the macro called by `path` is one of the standard library or of the prelude.
pub(super) fn is_of_std(path: &str) -> bool {
    let root = path.split("::").find(|part| !part.is_empty()).unwrap_or_default();
    let is_plain = !path.contains("::");
    matches!(root, "std" | "core" | "alloc" | "trialbook" | "tokio")
        || is_plain && (MAKE_VALUES.contains(&path) || is_known(path))
}

/// The path by which a macro is called.
pub(super) fn path(call: &syn::Macro) -> String {
    let root = if call.path.leading_colon.is_some() { "::" } else { "" };
    let names: Vec<String> =
        call.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    format!("{root}{}", names.join("::"))
}

/// The name by which a macro is called.
pub(super) fn name(call: &syn::Macro) -> Option<String> {
    call.path.segments.last().map(|last| last.ident.to_string())
}

/// True if the rules of a `macro_rules!` make items: one of them has an item's keyword where a
/// statement could begin, and declares no variable there.
pub(super) fn makes_items(rules: &TokenStream) -> bool {
    let tokens: Vec<TokenTree> = rules.clone().into_iter().collect();
    tokens.windows(3).any(|window| match window {
        [TokenTree::Punct(equals), TokenTree::Punct(arrow), TokenTree::Group(rule)] => {
            let is_rule = equals.as_char() == '=' && arrow.as_char() == '>';
            is_rule && is_of_items(rule.stream())
        }
        _ => false,
    })
}

fn is_of_items(rule: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = rule.into_iter().collect();
    let is_word = |token: &TokenTree, words: &[&str]| matches!(token, TokenTree::Ident(word) if words.iter().any(|it| word == it));
    if tokens.iter().any(|token| is_word(token, &["let"])) {
        return false;
    }
    tokens.iter().enumerate().any(|(at, token)| match (token, tokens.get(at + 1)) {
        // `$( … )*` repeats what stands inside.
        (TokenTree::Punct(dollar), Some(TokenTree::Group(inner)))
            if dollar.as_char() == '$' && inner.delimiter() == Delimiter::Parenthesis =>
        {
            is_of_items(inner.stream())
        }
        // A name follows, or what stands for one: `as fn(u8)` makes nothing.
        (word, Some(TokenTree::Ident(_) | TokenTree::Punct(_))) => {
            let is_first = at == 0
                || !matches!(&tokens[at - 1], TokenTree::Punct(before) if before.as_char() != ';');
            is_first && is_word(word, &ITEM_WORDS)
        }
        _ => false,
    })
}

const ITEM_WORDS: [&str; 10] =
    ["fn", "struct", "enum", "union", "trait", "impl", "static", "const", "mod", "type"];

/// The keys of the items that a macro makes of `tokens`: a later item that shares one takes their
/// place.
pub(super) fn keys(tokens: &TokenStream) -> Vec<String> {
    let mut keys = Vec::new();
    let mut kind = None;
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => keys.extend(self::keys(&group.stream())),
            TokenTree::Ident(word) => {
                let word = word.to_string();
                kind = match word.as_str() {
                    "fn" | "static" | "const" => Some("value"),
                    "struct" | "enum" | "union" | "trait" | "type" | "mod" => Some("type"),
                    "ref" | "mut" | "unsafe" => kind,
                    _ => {
                        keys.extend(kind.map(|kind| format!("{kind} {word}")));
                        None
                    }
                };
            }
            _ => kind = None,
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> TokenStream {
        text.parse().expect("tokens")
    }

    #[test]
    fn rules_tell_what_they_make() {
        for (rules, expected) in [
            ("($n:ident) => { fn $n() -> u8 { 1 } }", true),
            ("($n:ident) => { #[derive(Debug)] pub struct $n; };", true),
            ("($($n:ident),*) => { $( impl T for $n {} )* }", true),
            ("($v:vis $n:ident) => { $v const $n: u8 = 1; }", true),
            ("($x:expr) => { $x + 1 }", false),
            ("($x:expr) => {{ fn f() {} f() + $x }}", false),
            ("($x:expr) => { let y = $x; const A: u8 = 1; }", false),
            ("($x:expr) => { $x as fn(u8) }", false),
        ] {
            assert_eq!(makes_items(&tokens(rules)), expected, "{rules}");
        }
    }

    #[test]
    fn the_names_that_a_call_spells_are_its_keys() {
        for (call, expected) in [
            ("static DEPTH: Cell<u8> = Cell::new(1);", &["value DEPTH"][..]),
            ("static ref A: u8 = 1; pub struct B { c: u8 }", &["value A", "type B"]),
            ("name", &[]),
        ] {
            assert_eq!(keys(&tokens(call)), expected, "{call}");
        }
    }
}
