//! One run of one cell: takes the variables it names out of the store, guards its code, and puts
//! back what is left. Called by generated code alone.

use std::{
    any::{Any, TypeId, type_name},
    collections::BTreeMap,
    fmt::{Debug, Display},
    future::{Future, poll_fn},
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Poll, Waker},
};

use crate::{
    error::{Error, ErrorKind},
    hint::Spelling,
    progress::Interrupt,
    runtime::{mark, panic, protocol::Ended},
};

type Variables = BTreeMap<String, Box<dyn Any>>;

/// The variables between cells, and how the present one ended.
#[derive(Default)]
pub struct Cell {
    variables: Variables,
    fresh: Fresh,
    ended: Option<Ended>,
    /// The types of the statics that cells share, by symbol.
    shared: BTreeMap<String, TypeId>,
}

/// The variables that the running cell declares. They replace older ones only when it ends well.
#[derive(Default)]
pub struct Fresh {
    variables: Variables,
}

impl Fresh {
    /// Keeps a variable that the cell declared.
    pub fn put<T: 'static>(&mut self, name: &str, value: T) {
        self.keep(name, Box::new(value));
    }

    // What is not generic is compiled here, once, and not by every cell.
    pub(super) fn keep(&mut self, name: &str, value: Box<dyn Any>) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Says that what is shown next is the cell's value.
    pub fn result(&self) {
        mark::mark_result();
    }
}

impl Cell {
    /// Takes the variable `name` out of the store.
    ///
    /// # Panics
    /// When it is not there or has another type; [`Cell::has`] is asked first.
    pub fn take<T: 'static>(&mut self, name: &str) -> T {
        let value = self.taken(name).and_then(|value| value.downcast().ok());
        *value.expect("the cell checked with `has` before it took anything")
    }

    pub(super) fn taken(&mut self, name: &str) -> Option<Box<dyn Any>> {
        self.variables.remove(name)
    }

    /// True if the variable `name` is there with the type `T`. If not, the cell is refused.
    pub fn has<T: 'static>(&mut self, name: &str) -> bool {
        self.has_type(name, TypeId::of::<T>(), type_name::<T>())
    }

    pub(super) fn has_type(&mut self, name: &str, id: TypeId, type_name: &str) -> bool {
        let found = self.variables.get(name).is_some_and(|value| (**value).type_id() == id);
        if !found {
            self.variables.remove(name);
            self.ended = Some(Ended::Refused {
                message: format!(
                    "variable `{name}` is no longer a `{type_name}`: its type was redefined, so it is lost"
                ),
            });
        }
        found
    }

    /// True if the static called `name`, which lies under `symbol`, has the type `T` in this cell
    /// as in those before it. If not, the cell is refused.
    pub fn shares<T: 'static>(&mut self, name: &str, symbol: &str) -> bool {
        self.shares_type(name, symbol, TypeId::of::<T>())
    }

    pub(super) fn shares_type(&mut self, name: &str, symbol: &str, id: TypeId) -> bool {
        let is_same = *self.shared.entry(symbol.to_owned()).or_insert(id) == id;
        if !is_same {
            self.ended = Some(Ended::Refused {
                message: format!(
                    "the type of the static `{name}` means another one by now: run its definition again"
                ),
            });
        }
        is_same
    }

    /// Runs a cell's code; a panic in it is caught.
    pub fn guard<E: UserError>(&mut self, code: impl FnOnce(&mut Fresh) -> Result<(), E>) {
        let mut code = Some(code);
        self.run(&mut |fresh| code.take()?(fresh).err().map(UserError::ended));
    }

    /// Runs a cell's code, which says how it ended where it did not end well.
    pub(super) fn run(&mut self, code: &mut dyn FnMut(&mut Fresh) -> Option<Ended>) {
        let fresh = &mut self.fresh;
        self.ended = Some(match catch_unwind(AssertUnwindSafe(|| code(fresh))) {
            Ok(None) => Ended::Well,
            Ok(Some(ended)) => ended,
            Err(_) => panic::taken_panic(),
        });
    }

    /// Puts a variable back that the cell had taken, unless the cell declared a new one of its name.
    pub fn restore<T: 'static>(&mut self, name: &str, value: T) {
        self.put_back(name, Box::new(value));
    }

    pub(super) fn put_back(&mut self, name: &str, value: Box<dyn Any>) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Ends the cell. Its declarations are kept when it ended well.
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

/// An error that `?` in a cell turns every error into.
pub trait UserError {
    /// The end of a cell that met it.
    #[doc(hidden)]
    fn ended(self) -> Ended;
}

macro_rules! user_error {
    ($(#[$doc:meta])* $name:ident, $bound:ident, $format:literal) => {
        $(#[$doc])*
        pub struct $name(Ended);

        // `$name` itself is neither `Debug` nor `Display`, which keeps this clear of `From<T> for T`.
        // No `'static`: the error of a lock borrows from the lock.
        impl<T: $bound> From<T> for $name {
            fn from(error: T) -> Self {
                Self(ended(own_error(&error), || format!($format, error)))
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

fn ended(own: Option<&Error>, message: impl FnOnce() -> String) -> Ended {
    match own {
        Some(error) if error.kind() == ErrorKind::Interrupted => Ended::Interrupted,
        // Our own errors say more than their `Display`: the causes and what to do next.
        Some(error) => {
            let hint = error.hint().map(|hint| hint.spelled(Spelling::Cell));
            let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            Ended::Error { message: format!("{}{hint}", error.chain()) }
        }
        None => Ended::Error { message: message() },
    }
}

/// `error` as one of ours, where it is one. `Any` could tell only of what borrows nothing.
// The language has no safe way to ask a type with lifetimes for its id.
#[allow(unsafe_code)]
fn own_error<T>(error: &T) -> Option<&Error> {
    trait Id {
        fn id(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T> Id for PhantomData<T> {
        fn id(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }
    let of: &dyn Id = &PhantomData::<T>;
    // SAFETY: the object is only asked for its id, which is the same for every lifetime, and
    // dropped; nothing of type `T` is reached through it.
    let of: &(dyn Id + 'static) = unsafe { std::mem::transmute::<&dyn Id, _>(of) };
    // SAFETY: `Error` has no lifetimes, so that a type with its id is `Error`.
    (of.id() == TypeId::of::<Error>()).then(|| unsafe { &*std::ptr::from_ref(error).cast() })
}

/// The value that a cell awaits, until the person asks for the stop: then the cell's future is
/// dropped, and what it had borrowed is as it was.
///
/// # Errors
/// The future's own, and the interrupt.
pub async fn interruptible<E: From<Error>>(
    future: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(outcome) = future.as_mut().poll(context) {
            return Poll::Ready(outcome);
        }
        *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match Interrupt::of_process().check() {
            Ok(()) => Poll::Pending,
            Err(interrupted) => Poll::Ready(Err(interrupted.into())),
        }
    })
    .await
}

/// The thread that waits in [`interruptible`].
static WAITING: Mutex<Option<Waker>> = Mutex::new(None);

/// Lets an awaiting cell see that the person asked for the stop.
pub(super) fn wake() {
    if let Some(waker) = WAITING.lock().unwrap_or_else(PoisonError::into_inner).take() {
        waker.wake();
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

/// The one value of its type that `make` makes, lent to one cell at a time: a runtime of a crate that
/// the person added, some of which want to be lent for writing.
pub fn shared<T: Send + 'static>(make: impl FnOnce() -> T) -> MutexGuard<'static, T> {
    static SHARED: Mutex<BTreeMap<TypeId, &'static (dyn Any + Send + Sync)>> =
        Mutex::new(BTreeMap::new());
    let value = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        *shared.entry(TypeId::of::<T>()).or_insert_with(|| Box::leak(Box::new(Mutex::new(make()))))
    };
    let value: &'static Mutex<T> = value.downcast_ref().expect("the key is the type of its value");
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;

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
    fn an_error_may_borrow_and_ours_says_all_it_knows() {
        let lock = Mutex::new(5);
        let read = || -> Result<i32, DisplayError> { Ok(*lock.lock()?) };
        assert_eq!(read().map_err(UserError::ended).ok(), Some(5));
        let ours = Error::invalid("too long").with_hint("shorten it");
        let ended = DisplayError::from(ours).ended();
        assert_eq!(ended, Ended::Error { message: "too long\n  hint: shorten it".into() });
        let ours = Error::invalid("blocked").with_hint(Hint::from("see ").run("gate M 2"));
        let message = "blocked\n  hint: see `:gate M 2`".into();
        assert_eq!(DisplayError::from(ours).ended(), Ended::Error { message });
        let stopped = Error::new(ErrorKind::Interrupted, "stopped");
        assert_eq!(DebugError::from(stopped).ended(), Ended::Interrupted);
        assert_eq!(
            DisplayError::from(std::fmt::Error).ended(),
            Ended::Error { message: std::fmt::Error.to_string() }
        );
    }

    #[test]
    fn an_awaiting_cell_stops_and_what_it_borrowed_is_there() {
        let mut count = 1;
        let outcome: Result<(), DisplayError> = block_on(interruptible(async {
            count += 1;
            std::future::ready(()).await;
            Ok(())
        }));
        assert!(outcome.is_ok());
        assert_eq!(count, 2);
    }

    #[test]
    fn a_runtime_is_made_once_and_lent_for_writing() {
        for expected in [1, 2] {
            let mut count = shared(|| 0_i128);
            *count += 1;
            assert_eq!(*count, expected);
        }
    }

    #[test]
    fn a_static_of_another_type_refuses_the_cell() {
        let mut cell = Cell::default();
        assert!(cell.shares::<u8>("N", "s") && cell.shares::<u8>("N", "s"));
        assert!(cell.shares::<i8>("N", "t") && !cell.shares::<i8>("N", "s"));
        assert!(
            matches!(cell.finish(), Ended::Refused { message } if message.contains("static `N`"))
        );
    }

    #[test]
    fn a_variable_of_another_type_refuses_the_cell() {
        let mut cell = Cell::default();
        cell.restore("a", 1_u8);
        assert!(!cell.has::<i8>("a"));
        assert!(matches!(cell.finish(), Ended::Refused { message } if message.contains("`a`")));
    }
}
