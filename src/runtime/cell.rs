//! One run of one cell: takes the variables it names out of the store, guards its code, and puts
//! back what is left. Called by generated code alone.

use std::{
    any::{Any, TypeId, type_name},
    collections::BTreeMap,
    fmt::{Debug, Display},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::{
    error::{Error, ErrorKind},
    runtime::{protocol::Ended, session},
};

type Variables = BTreeMap<String, Box<dyn Any>>;

/// The variables between cells, and how the present one ended.
#[derive(Default)]
pub struct Cell {
    variables: Variables,
    fresh: Fresh,
    ended: Option<Ended>,
}

/// The variables that the running cell declares. They replace older ones only when it ends well.
#[derive(Default)]
pub struct Fresh {
    variables: Variables,
}

impl Fresh {
    /// Keeps a variable that the cell declared.
    pub fn put<T: 'static>(&mut self, name: &str, value: T) {
        self.variables.insert(name.to_owned(), Box::new(value));
    }

    /// Says that what is shown next is the cell's value.
    pub fn result(&self) {
        session::mark_result();
    }
}

impl Cell {
    /// Takes the variable `name` out of the store.
    ///
    /// # Panics
    /// When it is not there or has another type; [`Cell::has`] is asked first.
    pub fn take<T: 'static>(&mut self, name: &str) -> T {
        let value = self.variables.remove(name).and_then(|value| value.downcast().ok());
        *value.expect("the cell checked with `has` before it took anything")
    }

    /// Whether the variable `name` is there with the type `T`. If not, the cell is refused.
    pub fn has<T: 'static>(&mut self, name: &str) -> bool {
        let found = self.variables.get(name).is_some_and(|value| (**value).is::<T>());
        if !found {
            self.variables.remove(name);
            self.ended = Some(Ended::Refused {
                message: format!(
                    "variable `{name}` is no longer a `{}`: its type was redefined, so it is lost",
                    type_name::<T>()
                ),
            });
        }
        found
    }

    /// Runs a cell's code; a panic in it is caught.
    pub fn guard<E: UserError>(&mut self, code: impl FnOnce(&mut Fresh) -> Result<(), E>) {
        let fresh = &mut self.fresh;
        self.ended = Some(match catch_unwind(AssertUnwindSafe(|| code(fresh))) {
            Ok(Ok(())) => Ended::Well,
            Ok(Err(error)) => error.ended(),
            Err(_) => session::taken_panic(),
        });
    }

    /// Puts a variable back that the cell had taken, unless the cell declared a new one of its name.
    pub fn restore<T: 'static>(&mut self, name: &str, value: T) {
        self.variables.insert(name.to_owned(), Box::new(value));
    }

    /// How the cell ended. What it declared is kept when it ended well.
    pub(crate) fn finish(&mut self) -> Ended {
        let fresh = std::mem::take(&mut self.fresh).variables;
        let ended = self.ended.take().unwrap_or(Ended::Well);
        if ended == Ended::Well {
            self.variables.extend(fresh);
        }
        ended
    }

    /// The names in the store.
    pub(crate) fn names(&self) -> Vec<String> {
        self.variables.keys().cloned().collect()
    }

    /// Forgets variables.
    pub(crate) fn forget(&mut self, names: &[String]) {
        for name in names {
            self.variables.remove(name);
        }
    }
}

/// What `?` in a cell turns every error into.
pub trait UserError {
    /// How a cell that met it ended.
    #[doc(hidden)]
    fn ended(self) -> Ended;
}

macro_rules! user_error {
    ($(#[$doc:meta])* $name:ident, $bound:ident, $format:literal) => {
        $(#[$doc])*
        pub struct $name(Ended);

        // `$name` itself is neither `Debug` nor `Display`, which keeps this clear of `From<T> for T`.
        impl<T: $bound + 'static> From<T> for $name {
            fn from(error: T) -> Self {
                Self(ended(&error, format!($format, error)))
            }
        }

        impl UserError for $name {
            fn ended(self) -> Ended {
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

fn ended(error: &dyn Any, message: String) -> Ended {
    match error.downcast_ref::<Error>() {
        Some(error) if error.kind() == ErrorKind::Interrupted => Ended::Interrupted,
        // Our own errors say more than their `Display`: the causes and what to do next.
        Some(error) => {
            let hint = error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            Ended::Error { message: format!("{}{hint}", error.chain()) }
        }
        None => Ended::Error { message },
    }
}

/// Runs a future to its end on this process's own runtime, which lives on between cells, so that
/// what a cell spawned goes on.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .expect("a runtime needs threads and a pipe: without them nothing here could run")
        })
        .block_on(future)
}

/// The one value of its type that `make` makes: a runtime of a crate that the person added.
pub fn shared<T: Send + Sync + 'static>(make: impl FnOnce() -> T) -> &'static T {
    static SHARED: Mutex<BTreeMap<TypeId, &'static (dyn Any + Send + Sync)>> =
        Mutex::new(BTreeMap::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let value = *shared.entry(TypeId::of::<T>()).or_insert_with(|| Box::leak(Box::new(make())));
    value.downcast_ref().expect("the key is the type of its value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_variables_are_kept_when_the_cell_ends_well() {
        let mut cell = Cell::default();
        cell.guard(|fresh| {
            fresh.put("a", 1_i32);
            Ok::<(), DisplayError>(())
        });
        assert_eq!(cell.finish(), Ended::Well);
        assert!(cell.has::<i32>("a"));
        assert_eq!(cell.take::<i32>("a"), 1);
    }

    #[test]
    fn an_error_drops_what_was_declared_and_keeps_what_was_there() {
        let mut cell = Cell::default();
        cell.restore("a", String::from("old"));
        let a: String = cell.take("a");
        cell.guard(|fresh| {
            fresh.put("b", a.len());
            Err(DisplayError::from("no such file"))
        });
        cell.restore("a", a);
        assert_eq!(cell.finish(), Ended::Error { message: "no such file".into() });
        assert_eq!(cell.names(), ["a"]);
    }

    #[test]
    fn a_variable_of_another_type_refuses_the_cell() {
        let mut cell = Cell::default();
        cell.restore("a", 1_u8);
        assert!(!cell.has::<i8>("a"));
        assert!(matches!(cell.finish(), Ended::Refused { message } if message.contains("`a`")));
    }
}
