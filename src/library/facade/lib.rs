//! The facade: what a cell is compiled against that names nothing of the library and nothing of polars. It is a
//! crate of its own, made with the prelude, and stands on the standard library alone, so that the compiler reads
//! one small file in place of four hundred. The cell's program is the same with either, and so are the types
//! of its variables. What is declared here is done by the prelude, in `runtime/facade.rs`.

// Calling what another crate defines cannot be checked by the compiler of this one.
#![allow(unsafe_code)]

#[macro_use]
#[path = "../runtime/print_macros.rs"]
mod print_macros;
#[doc(hidden)]
#[path = "../display/value.rs"]
pub mod value;

/// Nothing: a cell that needs a name of the prelude is compiled against the prelude.
pub mod prelude {}

/// The look of values.
pub mod display {
    pub use crate::value::{self, Format};

    /// The trait of values with a look of their own; none of this crate has one.
    pub trait Show {}

    /// Hands text to the front end.
    pub fn send_text(text: String) {
        crate::prelude_functions::trialbook_cell_show(&text);
    }
}

/// The code that runs beside a cell's own.
pub mod runtime {
    use std::{
        any::{TypeId, type_name},
        fmt::{Arguments, Debug, Display},
    };

    use crate::prelude_functions as prelude;

    /// The variables between cells. It is the prelude's `Cell`, and only handed on here.
    pub struct Cell(());

    /// The variables that the running cell declares. It is the prelude's `Fresh`, and only handed on here.
    pub struct Fresh(());

    impl Fresh {
        /// Keeps a variable that the cell declared.
        pub fn put<T: 'static>(&mut self, name: &str, value: T) {
            prelude::trialbook_cell_keep(self, name, Box::new(value));
        }

        /// Says that what is shown next is the cell's value.
        pub fn result(&self) {
            prelude::trialbook_cell_result();
        }
    }

    impl Cell {
        /// Takes the variable `name` out of the store.
        ///
        /// # Panics
        /// When it is not there or has another type; [`Cell::has`] is asked first.
        pub fn take<T: 'static>(&mut self, name: &str) -> T {
            let value = prelude::trialbook_cell_taken(self, name);
            let value = value.and_then(|value| value.downcast().ok());
            *value.expect("the cell checked with `has` before it took anything")
        }

        /// True if the variable `name` is there with the type `T`. If not, the cell is refused.
        pub fn has<T: 'static>(&mut self, name: &str) -> bool {
            prelude::trialbook_cell_has_type(self, name, TypeId::of::<T>(), type_name::<T>())
        }

        /// True if the static called `name`, which lies under `symbol`, has the type `T` in this cell as in
        /// those before it. If not, the cell is refused.
        pub fn shares<T: 'static>(&mut self, name: &str, symbol: &str) -> bool {
            prelude::trialbook_cell_shares_type(self, name, symbol, TypeId::of::<T>())
        }

        /// Runs a cell's code; a panic in it is caught.
        pub fn guard<E: UserError>(&mut self, code: impl FnOnce(&mut Fresh) -> Result<(), E>) {
            let mut code = Some(code);
            let mut run = |fresh: &mut Fresh| code.take()?(fresh).err().map(UserError::message);
            prelude::trialbook_cell_run(self, &mut run);
        }

        /// Puts a variable back that the cell had taken, unless the cell declared a new one of its name.
        pub fn restore<T: 'static>(&mut self, name: &str, value: T) {
            prelude::trialbook_cell_put_back(self, name, Box::new(value));
        }
    }

    /// An error that `?` in a cell turns every error into.
    pub trait UserError {
        /// The error, as it is shown.
        #[doc(hidden)]
        fn message(self) -> String;
    }

    macro_rules! user_error {
        ($(#[$doc:meta])* $name:ident, $bound:ident, $format:literal) => {
            $(#[$doc])*
            pub struct $name(String);

            impl<T: $bound> From<T> for $name {
                fn from(error: T) -> Self {
                    Self(format!($format, error))
                }
            }

            impl UserError for $name {
                fn message(self) -> String {
                    self.0
                }
            }
        };
    }

    user_error! {
        /// An error shown with `{}`.
        DisplayError, Display, "{}"
    }
    user_error! {
        /// An error shown with `{:?}`.
        DebugError, Debug, "{:?}"
    }
    user_error! {
        /// An error shown with `{:#?}`.
        PrettyError, Debug, "{:#?}"
    }

    /// One of the two streams.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum PrintsTo {
        /// `print!`.
        Stdout,
        /// `eprint!`.
        Stderr,
    }

    /// Prints as the standard library's macros do. `cell` is the number of the cell whose code this is.
    ///
    /// # Panics
    /// When the stream cannot be written, as they do.
    pub fn print(stream: PrintsTo, cell: u64, text: Arguments<'_>) {
        prelude::trialbook_cell_print(stream == PrintsTo::Stdout, cell, text);
    }
}

/// The functions of the prelude. `runtime/facade.rs` says what each of them does.
mod prelude_functions {
    use std::{
        any::{Any, TypeId},
        fmt::Arguments,
    };

    use crate::runtime::{Cell, Fresh};

    // SAFETY: the prelude defines these functions with the same arguments and results, and one compiler made both
    // crates. `Cell` and `Fresh` here are names for what lies behind a reference: nothing here reads or
    // writes it. A cell is only loaded by a process that has loaded the prelude.
    unsafe extern "Rust" {
        pub(crate) safe fn trialbook_cell_run(
            cell: &mut Cell,
            code: &mut dyn FnMut(&mut Fresh) -> Option<String>,
        );
        pub(crate) safe fn trialbook_cell_taken(
            cell: &mut Cell,
            name: &str,
        ) -> Option<Box<dyn Any>>;
        pub(crate) safe fn trialbook_cell_has_type(
            cell: &mut Cell,
            name: &str,
            id: TypeId,
            type_name: &str,
        ) -> bool;
        pub(crate) safe fn trialbook_cell_shares_type(
            cell: &mut Cell,
            name: &str,
            symbol: &str,
            id: TypeId,
        ) -> bool;
        pub(crate) safe fn trialbook_cell_put_back(
            cell: &mut Cell,
            name: &str,
            value: Box<dyn Any>,
        );
        pub(crate) safe fn trialbook_cell_keep(fresh: &mut Fresh, name: &str, value: Box<dyn Any>);
        pub(crate) safe fn trialbook_cell_result();
        pub(crate) safe fn trialbook_cell_show(text: &str);
        pub(crate) safe fn trialbook_cell_print(is_stdout: bool, cell: u64, text: Arguments<'_>);
    }
}
