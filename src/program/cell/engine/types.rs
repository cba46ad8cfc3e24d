//! Reads types out of the compiler's own words: an unsatisfied bound names the type it is about, and so does a lint of
//! a program that compiles.

use std::collections::BTreeMap;

use crate::cell::engine::{
    diagnostic::Errors,
    program::{CodeRole, Program},
};

/// The lint that names the type of what `drop(&…)` is called with, in a program that compiles.
pub(crate) const TYPE_LINT: &str = "dropping_references";

/// The compiler's name of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeName {
    /// It can be written like this.
    Named(String),
    /// It has no name that code could use: a closure, an `impl Trait`.
    Nameless(String),
}

/// The types that the failed probe `program` asked for, by variable.
pub(crate) fn read(errors: &Errors, program: &Program, file: &str) -> BTreeMap<String, TypeName> {
    let mut types = BTreeMap::new();
    for error in &errors.list {
        let Some(name) = error.message.strip_prefix("the trait bound `").and_then(subject) else {
            continue;
        };
        for role in error.roles(program, file) {
            if let CodeRole::Probe(variable) = role {
                types.insert(variable.clone(), classify(name));
            }
        }
    }
    types
}

/// The types that the compiler told when it compiled `program`, by variable.
pub(crate) fn told(said: &str, program: &Program, file: &str) -> BTreeMap<String, TypeName> {
    let mut types = BTreeMap::new();
    for message in Errors::of_lint(said, TYPE_LINT) {
        let name = message.labels().find_map(|label| {
            label.strip_prefix("argument has type `&").and_then(|rest| rest.strip_suffix('`'))
        });
        for role in message.roles(program, file) {
            if let (CodeRole::Put(variable), Some(name)) = (role, name) {
                types.insert(variable.clone(), classify(name));
            }
        }
    }
    types
}

/// The type in `TYPE: __TypeOf` is not satisfied`.
fn subject(rest: &str) -> Option<&str> {
    rest.rfind(": __TypeOf`").map(|end| &rest[..end])
}

fn classify(name: &str) -> TypeName {
    const NAMELESS: [&str; 7] =
        ["{closure", "{async", "{fn item", "{coroutine", "{gen", "impl ", "_}"];
    let is_function_item = name.contains(") {") || name.contains("> {");
    if is_function_item || NAMELESS.iter().any(|mark| name.contains(mark)) {
        return TypeName::Nameless(name.to_owned());
    }
    // A literal that nothing decides on is an `i32` or an `f64`.
    let mut name = name.replace("{integer}", "i32").replace("{float}", "f64");
    for (private, public) in PUBLIC {
        name = name.replace(private, public);
    }
    TypeName::Named(name)
}

/// Types that the compiler names by a path that only their own crate can use.
const PUBLIC: [(&str, &str); 1] = [(
    "polars_schema::schema::Schema<trialbook::prelude::DataType, ()>",
    "trialbook::prelude::Schema",
)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_get_their_default_type() {
        assert_eq!(
            classify("std::vec::Vec<({integer}, {float})>"),
            TypeName::Named("std::vec::Vec<(i32, f64)>".into())
        );
    }

    #[test]
    fn what_code_cannot_name_is_nameless() {
        for name in ["{closure@cell.rs:1:2: 1:3}", "impl Iterator<Item = u8>", "fn(u8) {f}"] {
            assert!(matches!(classify(name), TypeName::Nameless(_)), "{name}");
        }
        assert!(matches!(classify("fn(u8) -> u8"), TypeName::Named(_)));
    }
}
