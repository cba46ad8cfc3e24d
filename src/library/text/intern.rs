//! A map from words to small numbers, given out in order of first sight. Words of up to sixteen
//! bytes are compared as one number, so that a look-up touches one cache line.

use super::token::WordToken;

/// No word has this number.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

/// Marks the key of a long word: the top byte of a short word's key is text, never 0xff.
const LONG: u128 = 0xff << 120;

/// Words, their numbers and one `V` beside each number.
#[derive(Debug, Clone)]
pub(crate) struct Interner<V> {
    slots: Vec<HashSlot<V>>,
    n_tokens: usize,
    /// The words one after another, in order of their numbers.
    text: Vec<u8>,
    /// The end of each word in `text`.
    ends: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct HashSlot<V> {
    key: u128,
    id: u32,
    value: V,
}

impl<V: Copy + Default> Interner<V> {
    /// An empty map with room for `n_tokens` words.
    pub(crate) fn with_capacity(n_tokens: usize) -> Self {
        let n_slots = (n_tokens.max(8) * 2).next_power_of_two();
        Self {
            slots: vec![HashSlot::vacant(); n_slots],
            n_tokens: 0,
            text: Vec::new(),
            ends: vec![],
        }
    }

    /// Bytes of its tables.
    pub(crate) fn n_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<HashSlot<V>>()
            + self.text.capacity()
            + self.ends.capacity() * size_of::<usize>()
    }

    /// The number of words.
    pub(crate) fn len(&self) -> usize {
        self.n_tokens
    }

    /// The bytes of word number `id`.
    pub(crate) fn bytes(&self, id: usize) -> &[u8] {
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.text[start..self.ends[id]]
    }

    /// Has the memory fetched where these words are. Of a text's words many are not in the cache;
    /// asked for all at once, the processor waits for many at a time.
    #[inline]
    pub(crate) fn fetch(&self, batch: &TokenBatch) {
        let mask = self.slots.len() - 1;
        let ids = batch.keys.iter().map(|key| self.slots[hash(*key) as usize & mask].id);
        std::hint::black_box(ids.fold(0, |all, id| all ^ id));
    }

    /// The number of `token`, or [`NO_TOKEN`].
    #[inline]
    pub(crate) fn get(&self, token: WordToken<'_>) -> u32 {
        self.slots[self.find(token)].id
    }

    /// The number of `token`, a new one if it has none yet, and its value.
    ///
    /// # Panics
    /// After 2^32 - 1 words, which would fill memory first.
    #[inline]
    pub(crate) fn intern(&mut self, token: WordToken<'_>) -> (u32, &mut V) {
        let mut slot_idx = self.find(token);
        if self.slots[slot_idx].id == NO_TOKEN {
            slot_idx = self.insert(token, slot_idx);
        }
        let slot = &mut self.slots[slot_idx];
        (slot.id, &mut slot.value)
    }

    /// Every word's number and value, in no useful order.
    pub(crate) fn values(&self) -> impl Iterator<Item = (u32, V)> {
        self.slots.iter().filter(|slot| slot.id != NO_TOKEN).map(|slot| (slot.id, slot.value))
    }

    #[cold]
    fn insert(&mut self, token: WordToken<'_>, mut slot_idx: usize) -> usize {
        if (self.n_tokens + 1) * 2 > self.slots.len() {
            self.grow();
            slot_idx = self.find(token);
        }
        let id = u32::try_from(self.n_tokens).expect("fewer than 2^32 words fit into memory");
        match token {
            WordToken::Short(key) => {
                let length = 16 - key.leading_zeros() as usize / 8;
                self.text.extend_from_slice(&key.to_le_bytes()[..length]);
            }
            WordToken::Long(bytes) => self.text.extend_from_slice(bytes),
        }
        self.ends.push(self.text.len());
        self.n_tokens += 1;
        self.slots[slot_idx] = HashSlot { key: key_of(token), id, value: V::default() };
        slot_idx
    }

    /// The slot that holds `token`, or the vacant one where it belongs.
    #[inline]
    fn find(&self, token: WordToken<'_>) -> usize {
        let key = key_of(token);
        let mask = self.slots.len() - 1;
        let mut slot_idx = hash(key) as usize & mask;
        loop {
            let slot = &self.slots[slot_idx];
            if slot.id == NO_TOKEN {
                return slot_idx;
            }
            if slot.key == key {
                match token {
                    WordToken::Short(_) => return slot_idx,
                    // A long word's key is only a hash.
                    WordToken::Long(bytes) if self.bytes(slot.id as usize) == bytes => {
                        return slot_idx;
                    }
                    WordToken::Long(_) => {}
                }
            }
            slot_idx = (slot_idx + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let doubled = vec![HashSlot::vacant(); self.slots.len() * 2];
        let mask = doubled.len() - 1;
        let former = std::mem::replace(&mut self.slots, doubled);
        for slot in former.into_iter().filter(|slot| slot.id != NO_TOKEN) {
            let mut slot_idx = hash(slot.key) as usize & mask;
            while self.slots[slot_idx].id != NO_TOKEN {
                slot_idx = (slot_idx + 1) & mask;
            }
            self.slots[slot_idx] = slot;
        }
    }
}

impl<V: Default> HashSlot<V> {
    fn vacant() -> Self {
        Self { key: 0, id: NO_TOKEN, value: V::default() }
    }
}

/// The words of one text.
#[derive(Debug, Default)]
pub(crate) struct TokenBatch {
    keys: Vec<u128>,
    /// The long ones, one after the other, and where each ends.
    long_text: Vec<u8>,
    long_ends: Vec<usize>,
}

impl TokenBatch {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.long_text.clear();
        self.long_ends.clear();
    }

    /// Appends a word.
    #[inline]
    pub(crate) fn push(&mut self, token: WordToken<'_>) {
        self.keys.push(key_of(token));
        if let WordToken::Long(bytes) = token {
            self.long_text.extend_from_slice(bytes);
            self.long_ends.push(self.long_text.len());
        }
    }

    /// The words in order.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = WordToken<'_>> {
        let mut start = 0;
        let mut ends = self.long_ends.iter();
        self.keys.iter().map(move |key| match (key & LONG == LONG, ends.as_slice()) {
            (true, [end, ..]) => {
                let span = start..*end;
                start = *end;
                ends.next();
                WordToken::Long(&self.long_text[span])
            }
            _ => WordToken::Short(*key),
        })
    }
}

#[inline]
fn key_of(token: WordToken<'_>) -> u128 {
    match token {
        WordToken::Short(key) => key,
        WordToken::Long(bytes) => {
            let mut state = bytes.len() as u64;
            for chunk in bytes.chunks(8) {
                let mut padded = [0; 8];
                padded[..chunk.len()].copy_from_slice(chunk);
                state = mix(state ^ u64::from_le_bytes(padded), 0x9e37_79b9_7f4a_7c15);
            }
            LONG | u128::from(state)
        }
    }
}

#[inline]
fn hash(key: u128) -> u64 {
    mix((key as u64) ^ 0x2d35_8dcc_aa6c_78a5, ((key >> 64) as u64) ^ 0x8bb8_4b93_962e_acc9)
}

/// Both halves of the 128-bit product, folded: every input bit reaches every output bit.
#[inline]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_its_words_back_in_order() {
        let words = ["not", "antidisestablishmentarianism", "a", "supercalifragilistic", "end"];
        let mut batch = TokenBatch::default();
        for _ in 0..2 {
            batch.clear();
            words.iter().for_each(|word| batch.push(WordToken::new(word.as_bytes())));
            assert!(batch.iter().eq(words.iter().map(|word| WordToken::new(word.as_bytes()))));
        }
    }

    #[test]
    fn every_word_keeps_its_number_while_the_map_grows() {
        let words: Vec<String> =
            (0..5000).map(|n| format!("{}{n}", "long".repeat(n % 9))).collect();
        let mut interner = Interner::<u32>::with_capacity(0);
        for (n, word) in words.iter().enumerate() {
            let (id, value) = interner.intern(WordToken::new(word.as_bytes()));
            assert_eq!((id as usize, *value), (n, 0));
            *value = n as u32 + 7;
        }
        for (n, word) in words.iter().enumerate() {
            assert_eq!(interner.get(WordToken::new(word.as_bytes())) as usize, n);
            assert_eq!(interner.bytes(n), word.as_bytes());
            assert_eq!(*interner.intern(WordToken::new(word.as_bytes())).1, n as u32 + 7);
        }
        assert_eq!(interner.len(), words.len());
        assert_eq!(interner.get(WordToken::new(b"absent")), NO_TOKEN);
        assert_eq!(interner.get(WordToken::new(b"absent-and-rather-long")), NO_TOKEN);
        assert_eq!(interner.values().count(), words.len());
    }
}
