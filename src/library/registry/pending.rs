//! Rows that were changed and do not lie in the database's tables yet: those of a transaction under
//! way, and those that only the commit log holds. Whoever reads sees them above the tables. Knows rows,
//! not what they mean and not where they are kept.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use redb::TableHandle as _;

use super::{
    codec::{Malformed, Reader, Writer},
    fault::Fault,
    tables::{self, RowTable},
};

/// A row's new bytes; none for a row that is gone.
pub(super) type NewBytes = Option<Arc<[u8]>>;

/// The number that contents of artifacts have in the place of a table's: they are never in the tables.
const CONTENTS: u8 = u8::MAX;

/// One changed row: its key and its new bytes.
pub(super) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Changed rows, by table and key.
#[derive(Clone, Default)]
pub(super) struct PendingRows {
    /// By the table's number, one byte, and the row's key.
    /// Cheap to copy: whoever reads keeps what a commit adds to.
    rows: BTreeMap<Arc<[u8]>, NewBytes>,
}

/// What stood in the place of a change before it.
pub(super) struct Replaced {
    key: Arc<[u8]>,
    before: Option<NewBytes>,
}

impl PendingRows {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The new bytes of a row that was changed; nothing of one that was not.
    pub(super) fn get(&self, table: RowTable, key: &[u8]) -> Option<&NewBytes> {
        self.rows.get(pending_key(table, key).as_slice())
    }

    /// Changes a row.
    pub(super) fn set(&mut self, table: RowTable, key: &[u8], bytes: NewBytes) -> Replaced {
        self.set_at(pending_key(table, key).into(), bytes)
    }

    /// The content of an artifact by its name, none if its file went; nothing if it is not among these.
    pub(super) fn content(&self, sha256: &str) -> Option<&NewBytes> {
        self.rows.get(content_key(sha256).as_slice())
    }

    /// The contents of artifacts, by name.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let bounds = (Bound::Included([CONTENTS].as_slice()), Bound::Unbounded);
        self.rows.range::<[u8], _>(bounds).filter_map(|(key, bytes)| {
            Some((std::str::from_utf8(&key[1..]).ok()?, bytes.as_deref()?))
        })
    }

    /// Adds the content of an artifact, or says that its file goes.
    pub(super) fn set_content(&mut self, sha256: &str, bytes: NewBytes) -> Replaced {
        self.set_at(content_key(sha256).into(), bytes)
    }

    fn set_at(&mut self, key: Arc<[u8]>, bytes: NewBytes) -> Replaced {
        let before = self.rows.insert(Arc::clone(&key), bytes);
        Replaced { key, before }
    }

    /// Takes a change back.
    pub(super) fn put_back(&mut self, Replaced { key, before }: Replaced) {
        match before {
            Some(bytes) => self.rows.insert(key, bytes),
            None => self.rows.remove(&key),
        };
    }

    /// The changed rows of a table from key `first` on, up to `end` if there is one, in key order.
    pub(super) fn range(
        &self,
        table: RowTable,
        first: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = Change<'_>> {
        let from = pending_key(table, first);
        let to = end.map_or_else(|| vec![number(table) + 1], |end| pending_key(table, end));
        let bounds = (Bound::Included(from.as_slice()), Bound::Excluded(to.as_slice()));
        self.rows.range::<[u8], _>(bounds).map(|(key, bytes)| (&key[1..], bytes.as_deref()))
    }

    /// All of them in bytes, as [`PendingRows::add`] reads them.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.list(self.rows.iter(), |out, (key, bytes)| {
            out.bytes(key);
            out.option(bytes.as_deref(), Writer::bytes);
        });
        out.into_bytes()
    }

    /// Adds what lies in `bytes`; later changes of a row win.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut input = Reader::new(bytes);
        let rows = input.list(|input| Ok((input.bytes()?, input.option(Reader::bytes)?)))?;
        for (key, bytes) in rows {
            let is_known = key
                .first()
                .is_some_and(|&table| usize::from(table) < tables::ALL.len() || table == CONTENTS);
            if !is_known {
                return Err(Malformed);
            }
            self.rows.insert(key.into(), bytes.map(Arc::from));
        }
        if input.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// Writes them into the tables.
    pub(super) fn write_into(&self, txn: &redb::WriteTransaction) -> Result<(), Fault> {
        for (_, table) in tables::ALL {
            let mut changes = self.range(table, &[], None).peekable();
            if changes.peek().is_none() {
                continue;
            }
            let mut rows = txn.open_table(table)?;
            for (key, bytes) in changes {
                match bytes {
                    Some(bytes) => drop(rows.insert(key, bytes)?),
                    None => drop(rows.remove(key)?),
                }
            }
        }
        Ok(())
    }
}

/// The changes of both in key order; where both changed a row, that of `upper`.
pub(super) fn layered<'a>(
    upper: impl Iterator<Item = Change<'a>>,
    lower: impl Iterator<Item = Change<'a>>,
) -> impl Iterator<Item = Change<'a>> {
    let (mut upper, mut lower) = (upper.peekable(), lower.peekable());
    std::iter::from_fn(move || {
        let Some((below, _)) = lower.peek() else { return upper.next() };
        match upper.peek() {
            Some((above, _)) if above <= below => {
                if above == below {
                    lower.next();
                }
                upper.next()
            }
            _ => lower.next(),
        }
    })
}

/// The number of a table in the commit log: its place among all.
fn number(table: RowTable) -> u8 {
    let place = tables::ALL.iter().position(|(_, known)| known.name() == table.name());
    u8::try_from(place.expect("every table is one of all")).expect("tables are few")
}

fn pending_key(table: RowTable, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(number(table));
    bytes.extend_from_slice(key);
    bytes
}

fn content_key(sha256: &str) -> Vec<u8> {
    [&[CONTENTS], sha256.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Number of the table, key and new bytes.
    type AnyChange = (u8, Vec<u8>, Option<Vec<u8>>);

    fn rows(changes: &[AnyChange]) -> PendingRows {
        let mut rows = PendingRows::default();
        for (table, key, bytes) in changes {
            let (_, table) = tables::ALL[usize::from(*table)];
            rows.set(table, key, bytes.as_deref().map(Arc::from));
        }
        rows
    }

    fn any_changes() -> impl Strategy<Value = Vec<AnyChange>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..5);
        let table = 0..tables::ALL.len() as u8;
        prop::collection::vec((table, bytes(), prop::option::of(bytes())), 0..20)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(changes in any_changes(), cut in any::<prop::sample::Index>()) {
            let written = rows(&changes);
            let bytes = written.to_bytes();
            let mut read = PendingRows::default();
            prop_assert!(read.add(&bytes).is_ok());
            prop_assert_eq!(&read.rows, &written.rows);
            if !written.is_empty() {
                prop_assert!(PendingRows::default().add(&bytes[..cut.index(bytes.len())]).is_err());
            }
        }

        #[test]
        fn layers_are_read_as_their_sum(lower in any_changes(), upper in any_changes()) {
            let sum = rows(&[lower.clone(), upper.clone()].concat());
            let (lower, upper) = (rows(&lower), rows(&upper));
            for (_, table) in tables::ALL {
                let both: Vec<Change> =
                    layered(upper.range(table, &[2], None), lower.range(table, &[2], None)).collect();
                prop_assert_eq!(both, sum.range(table, &[2], None).collect::<Vec<Change>>());
            }
        }

        #[test]
        fn what_was_put_back_never_was(before in any_changes(), after in any_changes()) {
            let (mut changed, kept) = (rows(&before), rows(&before));
            let mut replaced: Vec<Replaced> = after
                .iter()
                .map(|(table, key, bytes)| {
                    let (_, table) = tables::ALL[usize::from(*table)];
                    changed.set(table, key, bytes.as_deref().map(Arc::from))
                })
                .collect();
            while let Some(last) = replaced.pop() {
                changed.put_back(last);
            }
            prop_assert_eq!(changed.rows, kept.rows);
        }
    }
}
