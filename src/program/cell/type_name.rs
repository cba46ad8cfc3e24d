//! Names of types as people read them.

/// A type without the modules that are in scope anyway: `Vec<DataFrame>`.
pub(super) fn short(type_name: &str) -> String {
    const IN_SCOPE: [&str; 6] = [
        "trialbook::prelude::",
        "std::vec::",
        "std::string::",
        "std::option::",
        "std::result::",
        "std::boxed::",
    ];
    IN_SCOPE.iter().fold(type_name.to_owned(), |name, module| name.replace(module, ""))
}
