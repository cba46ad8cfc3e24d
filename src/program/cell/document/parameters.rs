//! Parameters of a notebook: values from outside for the variables of the cell tagged `parameters`,
//! as papermill has them. The value takes the place of the literal in the variable's `let`, so the
//! variable keeps its type.

use std::ops::Range;

use syn::{
    Block, Expr, ExprLit, Lit, Pat, Stmt,
    parse::Parser,
    spanned::Spanned,
    visit::{self, Visit},
};
use trialbook::error::{Error, Result};

use super::Source;

/// Names and values, as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `NAME=VALUE`, one a text.
    ///
    /// # Errors
    /// A parameter without `=` or without a name.
    pub fn parse(given: &[String]) -> Result<Self> {
        let parse = |text: &String| match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), value.to_owned()))
            }
            _ => Err(Error::invalid(format!("parameter {text:?}: expected NAME=VALUE"))
                .with_hint("as in `-p ngram=2`")),
        };
        given.iter().map(parse).collect::<Result<_>>().map(Self)
    }

    /// Puts the values into the cells tagged `parameters`.
    ///
    /// # Errors
    /// When a name is declared in none of them, or its value is of another kind than the literal
    /// whose place it takes.
    pub fn fill(&self, cells: &mut [Source]) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        if !cells.iter().any(|cell| cell.is_parameters) {
            return Err(Error::invalid("there is no cell for parameters")
                .with_hint("tag the cell that declares them with `parameters`"));
        }
        let declared = |cells: &[Source]| -> Vec<(usize, Literal)> {
            let tagged = cells.iter().enumerate().filter(|(_, cell)| cell.is_parameters);
            tagged
                .flat_map(|(at, cell)| literals(&cell.text).into_iter().map(move |it| (at, it)))
                .collect()
        };
        for (name, value) in &self.0 {
            let known = declared(cells);
            let Some((at, literal)) = known.iter().rev().find(|(_, literal)| literal.name == *name)
            else {
                let mut names: Vec<&str> = known.iter().map(|(_, it)| it.name.as_str()).collect();
                names.dedup();
                return Err(Error::invalid(format!("there is no parameter {name:?}")).with_hint(
                    match names.as_slice() {
                        [] => "declare it in the cell tagged `parameters`, as in `let ngram = 2;`"
                            .to_owned(),
                        names => format!("the parameters are {}", names.join(", ")),
                    },
                ));
            };
            let code = literal.replaced_by(value)?;
            cells[*at].text.replace_range(literal.range.clone(), &code);
        }
        Ok(())
    }
}

/// The one literal in the value of a `let`.
struct Literal {
    name: String,
    lit: Lit,
    /// Its place in the cell, with the sign of a number, in bytes.
    range: Range<usize>,
}

impl Literal {
    /// The Rust for `value`, a literal of the same kind.
    fn replaced_by(&self, value: &str) -> Result<String> {
        let wrong = |expected: &str| {
            Error::invalid(format!(
                "parameter {:?}: found {value:?}, expected {expected}",
                self.name
            ))
        };
        let number = value.trim();
        match &self.lit {
            Lit::Str(_) => Ok(format!("{value:?}")),
            Lit::Bool(_) => match number {
                "true" | "false" => Ok(number.to_owned()),
                _ => Err(wrong("true or false")),
            },
            Lit::Int(literal) => {
                let _: i128 = number.parse().map_err(|_| wrong("a whole number"))?;
                Ok(format!("{number}{}", literal.suffix()))
            }
            Lit::Float(literal) => {
                let parsed: f64 = number.parse().map_err(|_| wrong("a number"))?;
                if !parsed.is_finite() {
                    return Err(wrong("a finite number"));
                }
                // Rust's own form always reads as a float.
                Ok(format!("{parsed:?}{}", literal.suffix()))
            }
            _ => Err(wrong("nothing: only texts, numbers, true and false can be set")),
        }
    }
}

/// The variables of a cell whose value holds one literal.
fn literals(cell: &str) -> Vec<Literal> {
    struct Found(Vec<(Lit, Range<usize>)>);
    impl<'ast> Visit<'ast> for Found {
        fn visit_expr(&mut self, expression: &'ast Expr) {
            match expression {
                Expr::Lit(ExprLit { lit, .. }) => {
                    self.0.push((lit.clone(), expression.span().byte_range()));
                }
                Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => {
                    if let Expr::Lit(ExprLit { lit, .. }) = &**expr {
                        self.0.push((lit.clone(), expression.span().byte_range()));
                    }
                }
                _ => visit::visit_expr(self, expression),
            }
        }
    }
    let parse = |text: &str| Block::parse_within.parse_str(text);
    let statements = parse(cell).or_else(|_| parse(&format!("{cell}\n;"))).unwrap_or_default();
    let of = |statement: &Stmt| {
        let Stmt::Local(local) = statement else { return None };
        let pattern = match &local.pat {
            Pat::Type(typed) => &*typed.pat,
            pattern => pattern,
        };
        let Pat::Ident(name) = pattern else { return None };
        let mut found = Found(Vec::new());
        found.visit_expr(&local.init.as_ref()?.expr);
        let mut found = found.0.into_iter();
        let (lit, range) = found.next().filter(|_| found.next().is_none())?;
        Some(Literal { name: name.ident.to_string(), lit, range })
    };
    let literals = statements.iter().filter_map(of).collect();
    proc_macro2::extra::invalidate_current_thread_spans();
    literals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(cell: &str, given: &[&str]) -> Result<String> {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        let mut cells = [
            Source::of("let ngram = 9;".to_owned()),
            Source { is_parameters: true, ..Source::of(cell.to_owned()) },
        ];
        Parameters::parse(&given)?.fill(&mut cells)?;
        assert_eq!(cells[0].text, "let ngram = 9;", "only the tagged cell has parameters");
        Ok(cells[1].text.clone())
    }

    #[test]
    fn a_value_takes_the_place_of_the_literal() {
        for (cell, given, expected) in [
            ("let ngram = 1;", "ngram=2", "let ngram = 2;"),
            ("let ngram: usize = 1", "ngram=3", "let ngram: usize = 3"),
            ("let n = 1_u8; // é", "n=7", "let n = 7u8; // é"),
            ("let c = -1.5;", "c=2", "let c = 2.0;"),
            ("let c = 1e-3;", "c=-1e-6", "let c = -1e-6;"),
            (
                "let data = \"imdb\".to_owned();",
                "data=a \"b\"=c",
                "let data = \"a \\\"b\\\"=c\".to_owned();",
            ),
            ("let data = String::from(\"x\");", "data=", "let data = String::from(\"\");"),
            ("let mut on = false;", "on=true", "let mut on = true;"),
            ("let a = 1;\nlet b = Some(2);", "b=5", "let a = 1;\nlet b = Some(5);"),
        ] {
            assert_eq!(filled(cell, &[given]).unwrap(), expected, "{cell} {given}");
        }
        let both = filled("let é = \"ü\"; let b = 1;", &["b=22", "é=long enough"]).unwrap();
        assert_eq!(both, "let é = \"long enough\"; let b = 22;");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        for (cell, given, expected) in [
            ("let ngram = 1;", "ngram", "expected NAME=VALUE"),
            ("let ngram = 1;", "ngrm=2", "no parameter \"ngrm\""),
            ("let ngram = 1;", "ngram=two", "expected a whole number"),
            ("let c = 1.0;", "c=inf", "expected a finite number"),
            ("let on = true;", "on=1", "expected true or false"),
            ("let a = f(1, 2);", "a=1", "no parameter \"a\""),
        ] {
            let error = filled(cell, &[given]).unwrap_err().to_string();
            assert!(error.contains(expected), "{cell} {given}: {error}");
        }
        let error = filled("let ngram = 1; let c = 2;", &["x=1"]).unwrap_err();
        assert_eq!(
            error.hint().map(ToString::to_string).as_deref(),
            Some("the parameters are ngram, c")
        );
        let mut none = [Source::of("let a = 1;".to_owned())];
        let given = Parameters::parse(&["a=2".to_owned()]).unwrap();
        assert!(
            given.fill(&mut none).unwrap_err().hint().unwrap().to_string().contains("tag the cell")
        );
    }
}
