//! What a program is compiled against. Most cells of a session name nothing of the library: rustc reads the
//! facade for them, one small file, and for the others the prelude with its four hundred crates.
//!
//! Nobody can list what the prelude has to offer, methods included. So what does not compile against
//! the facade is compiled against the prelude, and the names that it lacked are known from then on.

use std::collections::BTreeSet;

use crate::cell::engine::{diagnostic::Errors, generate::Draft, program::Program, source::words};

/// A crate that a cell knows as `trialbook`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// The part of it that every cell needs.
    Facade,
    /// All of it.
    Prelude,
}

/// The names that cells use and that only the prelude has.
#[derive(Debug, Default)]
pub(super) struct PreludeNames(BTreeSet<String>);

impl PreludeNames {
    /// True if the `program` of `draft` is known to need the prelude.
    pub(super) fn are_in(&self, draft: &Draft<'_>, program: &Program) -> bool {
        if draft.header.is_some() || draft.own_tokio || draft.source.awaits {
            return true;
        }
        // Values that cells share are found by the prelude alone.
        if program.text().contains("trialbook::runtime::Kept<") {
            return true;
        }
        let is_in = |text: &str| {
            let mut words = words(text).into_iter();
            words.any(|word| matches!(word, "trialbook" | "tokio") || self.0.contains(word))
        };
        let taken = draft.taken();
        let mut types = taken.iter().map(|name| &draft.scope.variables[*name].type_name);
        is_in(draft.text) || is_in(&draft.scope.items_text()) || types.any(|name| is_in(name))
    }

    /// Learns from the `errors` of a program that the facade did not suffice for, and the prelude did.
    pub(super) fn learn(&mut self, errors: &Errors) {
        let missing = errors.list.iter().filter_map(|error| error.message.split('`').nth(1));
        self.0.extend(missing.flat_map(words).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_the_facade_lacks_are_learnt_from_what_the_compiler_says() {
        let said = |message: &str| {
            serde_json::json!({"message": message, "level": "error", "spans": [{"file_name": "a",
                "byte_start": 0, "byte_end": 1, "is_primary": true}]})
            .to_string()
        };
        let said = [
            said("cannot find function `col` in this scope"),
            said("no method named `lazy` found for struct `Vec<T>` in the current scope"),
            said("failed to resolve: could not find `Book` in `prelude`"),
            said("mismatched types"),
        ];
        let mut names = PreludeNames::default();
        names.learn(&Errors::read(&said.join("\n")));
        assert_eq!(names.0.into_iter().collect::<Vec<_>>(), ["Book", "col", "lazy"]);
    }
}
