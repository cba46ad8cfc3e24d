//! Shows whatever value a cell ends in, without a failed compile to find out how: by its
//! `evcxr_display`, else by `Debug` or `Display`, else by its type's name. Which one applies is
//! decided by method lookup, which tries fewer references first ("autoref specialisation").

use std::{
    any::type_name_of_val,
    fmt::{Debug, Display},
};

/// The form of a value that has no form of its own, as chosen with `:fmt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `{:?}`
    #[default]
    Debug,
    /// `{:#?}`
    Pretty,
    /// `{}`
    Display,
}

impl Format {
    /// The format that `spec` spells: `{:?}`, `{:#?}` or `{}`.
    pub fn parse(spec: &str) -> Option<Self> {
        match spec.trim() {
            "{:?}" => Some(Self::Debug),
            "{:#?}" => Some(Self::Pretty),
            "{}" => Some(Self::Display),
            _ => None,
        }
    }
}

/// Shows the value of an expression: `show!(format, with_type, expression)`. The expression is
/// borrowed, never moved; `()` shows nothing.
///
/// ```
/// #![deny(warnings)]
/// # use trialbook_library as trialbook;
/// use trialbook::{display::Format, show};
/// struct Bare;
/// let kept = vec![1, 2];
/// show!(Format::Debug, true, kept);
/// show!(Format::Debug, false, kept[0]);
/// show!(Format::Display, false, Bare);
/// show!(Format::Debug, false, trialbook::prelude::Content::text("itself"));
/// show!(Format::Debug, false, assert_eq!(kept, [1, 2]));
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! show {
    ($format:expr, $with_type:expr, $value:expr $(,)?) => {
        if let Some(text) = $crate::text_of_value!($format, $with_type, $value) {
            $crate::display::send_text(text);
        }
    };
}

/// The text of a value that has no `evcxr_display`; of one that has, that is called.
#[doc(hidden)]
#[macro_export]
macro_rules! text_of_value {
    ($format:expr, $with_type:expr, $value:expr) => {
        match &($value) {
            value => {
                #[allow(unused_imports)]
                use $crate::display::value::{HasDebug as _, HasDisplay as _, IsShown as _};
                #[allow(unused_imports)]
                use $crate::display::value::{NoDebug as _, NoDisplay as _};
                #[allow(unused_imports)]
                use $crate::display::{Show as _, value::Probe as _};
                // Found by value where the type has the method, else by reference in `Probe`.
                let answer = $crate::display::value::Displayed(value.evcxr_display());
                if answer.is_shown() {
                    None
                } else {
                    let value = $crate::display::value::ShownValue(value);
                    $crate::display::value::text_of(
                        ($format, $with_type),
                        value.type_name(),
                        (&value).as_debug(),
                        (&value).as_display(),
                    )
                }
            }
        }
    };
}

/// The answer of the fallback for types without an `evcxr_display`.
#[derive(Debug, Clone, Copy)]
pub struct Unshown;

/// The fallback: a reference to any type has the method, one reference further out.
pub trait Probe {
    /// Shows nothing and says so.
    fn evcxr_display(&self) -> Unshown {
        Unshown
    }
}

impl<T: ?Sized> Probe for &T {}

/// The answer of an `evcxr_display`, whoever's it was.
#[derive(Debug)]
pub struct Displayed<T>(pub T);

impl Displayed<Unshown> {
    /// Nothing was.
    pub fn is_shown(&self) -> bool {
        false
    }
}

/// Every other answer, which the inherent method above does not cover.
pub trait IsShown {
    /// Something was.
    fn is_shown(&self) -> bool {
        true
    }
}

impl<T> IsShown for Displayed<T> {}

/// A borrowed value whose abilities are asked for.
#[derive(Debug)]
pub struct ShownValue<'a, T: ?Sized>(pub &'a T);

impl<T: ?Sized> ShownValue<'_, T> {
    /// The full name of its type.
    pub fn type_name(&self) -> &'static str {
        type_name_of_val(self.0)
    }
}

/// Values that have `Debug`.
pub trait HasDebug {
    /// The value as one that can be written with `{:?}`.
    fn as_debug(&self) -> Option<&dyn Debug>;
}

impl<T: Debug + ?Sized> HasDebug for ShownValue<'_, T> {
    fn as_debug(&self) -> Option<&dyn Debug> {
        Some(&self.0)
    }
}

/// Values that do not, one reference further out.
pub trait NoDebug {
    /// None.
    fn as_debug(&self) -> Option<&dyn Debug> {
        None
    }
}

impl<T: ?Sized> NoDebug for &ShownValue<'_, T> {}

/// Values that have `Display`.
pub trait HasDisplay {
    /// The value as one that can be written with `{}`.
    fn as_display(&self) -> Option<&dyn Display>;
}

impl<T: Display + ?Sized> HasDisplay for ShownValue<'_, T> {
    fn as_display(&self) -> Option<&dyn Display> {
        Some(&self.0)
    }
}

/// Values that do not, one reference further out.
pub trait NoDisplay {
    /// None.
    fn as_display(&self) -> Option<&dyn Display> {
        None
    }
}

impl<T: ?Sized> NoDisplay for &ShownValue<'_, T> {}

/// The text of a value; none for `()`.
pub fn text_of(
    (format, with_type): (Format, bool),
    type_name: &str,
    debug: Option<&dyn Debug>,
    display: Option<&dyn Display>,
) -> Option<String> {
    if type_name == "()" {
        return None;
    }
    let short = short_type(type_name);
    let text = match (format, debug, display) {
        (Format::Display, _, Some(value)) | (_, None, Some(value)) => value.to_string(),
        (Format::Pretty, Some(value), _) => format!("{value:#?}"),
        (_, Some(value), _) => format!("{value:?}"),
        (_, None, None) => {
            return Some(format!("a {short}, which cannot be shown: it does not implement Debug"));
        }
    };
    Some(if with_type { format!(": {short} = {text}") } else { text })
}

/// A type's name without the modules: `Option<String>`.
fn short_type(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut path = String::new();
    for letter in name.chars() {
        if letter.is_alphanumeric() || letter == '_' || letter == ':' {
            path.push(letter);
            if path.ends_with("::") {
                path.clear();
            }
        } else {
            short.push_str(&path);
            path.clear();
            short.push(letter);
        }
    }
    short + &path
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! shown {
        ($value:expr) => {
            text_of_value!(Format::Debug, false, $value)
        };
        ($format:ident, $value:expr) => {
            text_of_value!(Format::$format, false, $value)
        };
    }

    struct Inherent(std::cell::Cell<u32>);

    impl Inherent {
        fn evcxr_display(&self) {
            self.0.set(self.0.get() + 1);
        }
    }

    trait Theirs {
        fn evcxr_display(&self) -> u8;
    }

    #[derive(Debug)]
    struct ByTrait(std::cell::Cell<u32>);

    impl Theirs for ByTrait {
        fn evcxr_display(&self) -> u8 {
            self.0.set(self.0.get() + 1);
            7
        }
    }

    struct Bare;

    struct Spoken;

    impl Display for Spoken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("spoken")
        }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn an_evcxr_display_wins_wherever_it_comes_from() {
        let inherent = Inherent(std::cell::Cell::new(0));
        assert_eq!(shown!(inherent), None);
        assert_eq!(inherent.0.get(), 1);
        let by_trait = ByTrait(std::cell::Cell::new(0));
        assert_eq!(shown!(by_trait), None);
        assert_eq!(by_trait.0.get(), 1);
    }

    #[test]
    fn a_unit_shows_nothing() {
        assert_eq!(shown!(drop(String::new())), None);
    }

    #[test]
    fn other_values_show_by_debug_display_or_name() {
        assert_eq!(shown!(1 + 1), text("2"));
        assert_eq!(shown!(0.5), text("0.5"));
        assert_eq!(shown!("a\n"), text("\"a\\n\""));
        assert_eq!(shown!(vec![Some(1u8)]), text("[Some(1)]"));
        assert_eq!(shown!(Ok::<u8, String>(1)), text("Ok(1)"));
        assert_eq!(shown!(Spoken), text("spoken"));
        assert_eq!(
            shown!(Bare),
            text("a Bare, which cannot be shown: it does not implement Debug")
        );
        assert_eq!(shown!(|| 1).unwrap().split(',').count(), 2);
        assert_eq!(shown!(Display, "a\n"), text("a\n"));
        assert_eq!(shown!(Pretty, Some(1)), text("Some(\n    1,\n)"));
        assert_eq!(shown!(Display, Some(1)), text("Some(1)"));
    }

    #[test]
    fn places_are_borrowed_and_need_no_size() {
        let boxed: Box<[String]> = Box::new(["a".to_owned()]);
        assert_eq!(shown!(*boxed), text("[\"a\"]"));
        assert_eq!(shown!(boxed[0]), text("\"a\""));
        let dynamic: Box<dyn Debug> = Box::new(3);
        assert_eq!(shown!(*dynamic), text("3"));
        let pair = ("kept".to_owned(), 1);
        assert_eq!(shown!(pair.0), text("\"kept\""));
        assert_eq!(pair.0, "kept");
    }

    #[test]
    fn a_generic_value_is_shown_by_what_its_bounds_allow() {
        fn bounded<T: Debug>(value: T) -> Option<String> {
            shown!(value)
        }
        assert_eq!(bounded(5), text("5"));
    }

    #[test]
    fn types_are_named_without_their_modules() {
        assert_eq!(
            text_of_value!(Format::Debug, true, Some("a".to_owned())),
            text(": Option<String> = Some(\"a\")")
        );
        for (name, expected) in [
            ("alloc::vec::Vec<(i32, core::option::Option<a::b_1::C>)>", "Vec<(i32, Option<C>)>"),
            ("&dyn core::fmt::Debug", "&dyn Debug"),
            ("[u8; 3]", "[u8; 3]"),
        ] {
            assert_eq!(short_type(name), expected);
        }
    }

    #[test]
    fn the_formats_are_those_of_evcxr() {
        assert_eq!(Format::parse("{:?}"), Some(Format::Debug));
        assert_eq!(Format::parse(" {:#?} "), Some(Format::Pretty));
        assert_eq!(Format::parse("{}"), Some(Format::Display));
        assert_eq!(Format::parse("{:x}"), None);
    }
}
