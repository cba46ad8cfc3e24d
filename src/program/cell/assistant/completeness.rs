//! The test whether a cell can be submitted: open brackets, strings and comments, then what the
//! parser says.

use crate::{
    cell::part::{PartKind, parts},
    syntax::Depth,
};

/// The state of a cell that is being written: ready to be submitted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// It can.
    Complete,
    /// More must come; the next line begins with `indent`.
    Incomplete {
        /// Blanks for the next line.
        indent: String,
    },
    /// No continuation can make it right.
    Invalid {
        /// The fault.
        message: String,
    },
}

/// The completeness of `cell`.
pub(crate) fn of(cell: &str) -> Completeness {
    // Only the last part can go on; a command before it is complete as it stands.
    let parts = parts(cell);
    match parts.last() {
        Some(last) if last.kind == PartKind::Rust => of_rust(last.text),
        Some(last) if last.text.ends_with('\\') => {
            Completeness::Incomplete { indent: INDENT.to_owned() }
        }
        // A query below its verb ends with a semicolon or an empty line.
        Some(last) if last.text.trim_end() == ":sql" && !cell.ends_with("\n\n") => {
            Completeness::Incomplete { indent: String::new() }
        }
        Some(last) if last.text.starts_with(":sql\n") => {
            let ends = last.text.trim_end().ends_with(';') || cell.ends_with('\n');
            match ends {
                true => Completeness::Complete,
                false => Completeness::Incomplete { indent: String::new() },
            }
        }
        Some(last) if last.text.trim_end() == ":timeit" => {
            Completeness::Incomplete { indent: String::new() }
        }
        Some(last) => match last.text.strip_prefix(":timeit") {
            Some(code) => of_rust(code),
            None => Completeness::Complete,
        },
        None => Completeness::Complete,
    }
}

const INDENT: &str = "    ";

fn of_rust(code: &str) -> Completeness {
    let depth = Depth::of(code);
    if let Some(bracket) = depth.surplus() {
        return Completeness::Invalid { message: format!("nothing opens this `{bracket}`") };
    }
    if !depth.at_rest() {
        let n_open = if depth.is_in_text() { 0 } else { depth.brackets().len() };
        return Completeness::Incomplete { indent: INDENT.repeat(n_open) };
    }
    match parse(code) {
        // `fn f()` parses as the declaration `fn f();` would, yet its body is still to come.
        Ok(statements) if !code.trim_end().ends_with(';') && ends_in_declaration(&statements) => {
            Completeness::Incomplete { indent: String::new() }
        }
        Ok(_) => Completeness::Complete,
        Err(error) => match parse(&format!("{code}\n;")) {
            // A last `let` without its semicolon is as good as one with it.
            Ok(statements) if !ends_in_declaration(&statements) => Completeness::Complete,
            _ if error.to_string().starts_with("unexpected end of input") => {
                Completeness::Incomplete { indent: INDENT.to_owned() }
            }
            // What this parser does not know the compiler may: it has the last word.
            _ => Completeness::Invalid { message: error.to_string() },
        },
    }
}

fn parse(code: &str) -> syn::Result<Vec<syn::Stmt>> {
    syn::parse::Parser::parse_str(syn::Block::parse_within, code)
}

/// True if the last statement is a function without a body.
fn ends_in_declaration(statements: &[syn::Stmt]) -> bool {
    matches!(statements.last(), Some(syn::Stmt::Item(syn::Item::Verbatim(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incomplete(indent: &str) -> Completeness {
        Completeness::Incomplete { indent: indent.to_owned() }
    }

    #[test]
    fn what_can_run_is_complete() {
        for cell in [
            "",
            "1 + 1",
            "let x = 1",
            "let x = 1;",
            "let s = \"}\"; // {",
            "fn f() -> i32 { 1 }",
            "struct Unit;",
            "use std::fmt",
            "df.group_by([\"label\"])?.count()?",
            ":runs list",
            ":sql select 1",
            ":sql\nselect 1;",
            ":sql\nselect 1\n\n",
            ":dep regex = \"1\"\nlet x = 1;",
            "!ls",
            "println!(\"{}\", 'a')",
            "// only a remark",
            "let c = async { 1 }.await;",
        ] {
            assert_eq!(of(cell), Completeness::Complete, "{cell:?}");
        }
    }

    #[test]
    fn what_must_go_on_is_incomplete() {
        for (cell, indent) in [
            ("fn f() {", "    "),
            ("fn f() {\n    for x in [", "        "),
            ("let x =", "    "),
            ("1 +", "    "),
            ("df.", "    "),
            ("let s = \"a", ""),
            ("let s = r#\"a\"", ""),
            ("/* a", ""),
            ("#[derive(Debug)]", "    "),
            ("fn f()", "    "),
            ("if true { 1 } else", "    "),
            (":train tfidf \\", "    "),
            (":sql", ""),
            (":sql\nselect 1", ""),
            (":timeit", ""),
            (":timeit {", "    "),
        ] {
            assert_eq!(of(cell), incomplete(indent), "{cell:?}");
        }
    }

    #[test]
    fn what_nothing_can_mend_is_invalid() {
        for cell in ["}", "fn f() {}}", "let let = 1;", "(]", "1 2 3", "fn 5() {}"] {
            assert!(matches!(of(cell), Completeness::Invalid { .. }), "{cell:?}: {:?}", of(cell));
        }
    }
}
