//! One page of a long answer, and where the next one begins.

use std::ops::Range;

/// The part of an answer that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// The name of the last item of the page before; none for the first page.
    pub after: Option<String>,
    /// The number of items before it, for when that one is gone.
    pub skip: usize,
}

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// Its items, in order.
    pub items: Vec<T>,
    /// The page after it, if there is one.
    pub next: Option<Page>,
    /// The number of items on all pages together.
    pub n_items: usize,
}

impl Page {
    /// The places of this page's items among `n_items`, and the page after it. `name` says what the item at a
    /// place is known by.
    pub(super) fn range(
        &self,
        n_items: usize,
        name: impl Fn(usize) -> String,
    ) -> (Range<usize>, Option<Self>) {
        let found = self.after.as_ref().and_then(|last| {
            // It lies where it lay, unless something came or went before it.
            let guess = self.skip.checked_sub(1).filter(|idx| *idx < n_items);
            let guessed = guess.filter(|idx| name(*idx) == *last);
            guessed.or_else(|| (0..n_items).find(|idx| name(*idx) == *last))
        });
        let start = found.map_or(self.skip, |idx| idx + 1).min(n_items);
        let end = start.saturating_add(self.limit).min(n_items);
        let next = (end < n_items && end > start).then(|| Self {
            limit: self.limit,
            after: Some(name(end - 1)),
            skip: end,
        });
        (start..end, next)
    }

    /// This page of all `items`.
    pub(super) fn of<T>(&self, mut items: Vec<T>, name: impl Fn(&T) -> String) -> Listing<T> {
        let n_items = items.len();
        let (range, next) = self.range(n_items, |idx| name(&items[idx]));
        items.truncate(range.end);
        Listing { items: items.split_off(range.start), next, n_items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[&str], page: &Page) -> (Vec<String>, Option<Page>) {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        let n_given = items.len();
        let Listing { items, next, n_items } = page.of(items, Clone::clone);
        assert_eq!(n_items, n_given);
        (items, next)
    }

    #[test]
    fn pages_follow_the_last_item_also_when_others_come_and_go() {
        let first = Page { limit: 2, ..Page::default() };
        let (items, next) = page(&["a", "b", "c", "d"], &first);
        assert_eq!(items, ["a", "b"]);
        let next = next.unwrap();
        assert_eq!(page(&["new", "a", "b", "c", "d"], &next).0, ["c", "d"]);
        assert_eq!(page(&["b", "c", "d"], &next).0, ["c", "d"]);
        assert_eq!(
            page(&["a", "c", "d"], &next).0,
            ["d"],
            "the last one is gone: its place counts"
        );
    }

    #[test]
    fn a_page_that_ends_with_the_last_item_has_no_next_one() {
        let all = Page { limit: 2, ..Page::default() };
        assert_eq!(page(&["a", "b"], &all).1, None);
        assert_eq!(page(&[], &all), (vec![], None));
        assert_eq!(page(&["a"], &Page { limit: 0, ..Page::default() }), (vec![], None));
    }
}
