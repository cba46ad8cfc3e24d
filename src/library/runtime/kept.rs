//! A `static` of a cell: every cell is compiled with all items of the session, and yet all of them
//! mean the one value.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    ops::Deref,
    sync::{Mutex, OnceLock, PoisonError},
};

/// The one value that all cells know by a name; it is what it dereferences to. Written by generated
/// code alone, in place of the type of a `static` whose value can change.
pub struct Kept<T: Sync + 'static> {
    name: &'static str,
    own: fn() -> &'static T,
    found: OnceLock<&'static T>,
}

type Values = BTreeMap<&'static str, &'static (dyn Any + Sync)>;

/// The values by name. They lie in the code of cells, which is never unloaded.
static VALUES: Mutex<Values> = Mutex::new(BTreeMap::new());

impl<T: Sync + 'static> Kept<T> {
    /// The value called `name`; `own` is the one to be used where none is known yet, or one of
    /// another type.
    pub const fn new(name: &'static str, own: fn() -> &'static T) -> Self {
        Self { name, own, found: OnceLock::new() }
    }
}

impl<T: Sync + 'static> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.found.get_or_init(|| {
            let mut values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
            let known = values.get(self.name).and_then(|value| (*value as &dyn Any).downcast_ref());
            known.unwrap_or_else(|| {
                let own = (self.own)();
                values.insert(self.name, own);
                own
            })
        })
    }
}

impl<T: Sync + fmt::Debug + 'static> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

    use super::*;

    #[test]
    fn a_value_is_one_for_all_who_know_its_name() {
        static FIRST: Kept<AtomicU8> = Kept::new("test", || {
            static VALUE: AtomicU8 = AtomicU8::new(1);
            &VALUE
        });
        static SECOND: Kept<AtomicU8> = Kept::new("test", || {
            static VALUE: AtomicU8 = AtomicU8::new(1);
            &VALUE
        });
        static OTHER: Kept<AtomicU16> = Kept::new("test", || {
            static VALUE: AtomicU16 = AtomicU16::new(9);
            &VALUE
        });
        FIRST.fetch_add(4, Ordering::Relaxed);
        assert_eq!(SECOND.load(Ordering::Relaxed), 5);
        assert_eq!(OTHER.load(Ordering::Relaxed), 9, "another type is another value");
        assert_eq!(format!("{SECOND:?}"), "5");
    }
}
