//! The standard library's macros that print, for the code of cells. The facade has them too: what they call is `print`
//! in the `runtime` of the crate that they are part of.

/// [`std::print!`] in the code of a cell, whose number comes first.
#[doc(hidden)]
#[macro_export]
macro_rules! __print {
    ($cell:literal, $($arg:tt)*) => {
        $crate::runtime::print(
            $crate::runtime::PrintsTo::Stdout, $cell, ::std::format_args!($($arg)*))
    };
}

/// [`std::println!`] in the code of a cell, whose number comes first.
#[doc(hidden)]
#[macro_export]
macro_rules! __println {
    ($cell:literal,) => {
        $crate::runtime::print($crate::runtime::PrintsTo::Stdout, $cell, ::std::format_args!("\n"))
    };
    ($cell:literal, $($arg:tt)*) => {
        $crate::runtime::print($crate::runtime::PrintsTo::Stdout, $cell,
            ::std::format_args!("{}\n", ::std::format_args!($($arg)*)))
    };
}

/// [`std::eprint!`] in the code of a cell, whose number comes first.
#[doc(hidden)]
#[macro_export]
macro_rules! __eprint {
    ($cell:literal, $($arg:tt)*) => {
        $crate::runtime::print(
            $crate::runtime::PrintsTo::Stderr, $cell, ::std::format_args!($($arg)*))
    };
}

/// [`std::eprintln!`] in the code of a cell, whose number comes first.
#[doc(hidden)]
#[macro_export]
macro_rules! __eprintln {
    ($cell:literal,) => {
        $crate::runtime::print($crate::runtime::PrintsTo::Stderr, $cell, ::std::format_args!("\n"))
    };
    ($cell:literal, $($arg:tt)*) => {
        $crate::runtime::print($crate::runtime::PrintsTo::Stderr, $cell,
            ::std::format_args!("{}\n", ::std::format_args!($($arg)*)))
    };
}

/// [`std::dbg!`] in the code of a cell, whose number comes first.
#[doc(hidden)]
#[macro_export]
macro_rules! __dbg {
    ($cell:literal,) => {
        $crate::__eprintln!($cell, "[{}:{}:{}]", ::std::file!(), ::std::line!(), ::std::column!())
    };
    ($cell:literal, $value:expr $(,)?) => {
        // A `match` keeps what the value borrows from alive, as in the standard library.
        match $value {
            value => {
                $crate::__eprintln!($cell, "[{}:{}:{}] {} = {:#?}", ::std::file!(), ::std::line!(),
                    ::std::column!(), ::std::stringify!($value), &value);
                value
            }
        }
    };
    ($cell:literal, $($value:expr),+ $(,)?) => {
        ($($crate::__dbg!($cell, $value)),+,)
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macros_take_what_those_of_the_standard_library_take() {
        let name = "x";
        __eprintln!(0,);
        __eprintln!(0, "{name} {:?} {n}", 1, n = 2);
        __dbg!(0,);
        let (value, text) = __dbg!(0, 1 + 1, String::from("a"),);
        assert_eq!((value, __dbg!(0, text)), (2, "a".to_owned()));
    }
}
