//! Counting the features of one text: a small hash map that is cheap to empty.

use super::intern::mix;

/// Features and how often each was added, in order of first sight.
#[derive(Debug, Default)]
pub(crate) struct FeatureCounter {
    /// One more than an index into `counts`; 0 is vacant. The length is a power of two.
    slots: Vec<u32>,
    counts: Vec<(u32, u32)>,
}

impl FeatureCounter {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(0);
        self.counts.clear();
    }

    /// Each feature with its count.
    pub(crate) fn counts(&self) -> &[(u32, u32)] {
        &self.counts
    }

    /// Counts `feature` once more.
    #[inline]
    pub(crate) fn add(&mut self, feature: u32) {
        if self.counts.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let slot_idx = self.find(feature);
        match self.slots[slot_idx] {
            0 => {
                self.counts.push((feature, 1));
                self.slots[slot_idx] = self.counts.len() as u32;
            }
            entry => self.counts[entry as usize - 1].1 += 1,
        }
    }

    #[inline]
    fn find(&self, feature: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot_idx = mix(u64::from(feature) + 1, 0x9e37_79b9_7f4a_7c15) as usize & mask;
        loop {
            match self.slots[slot_idx] {
                0 => return slot_idx,
                entry if self.counts[entry as usize - 1].0 == feature => return slot_idx,
                _ => slot_idx = (slot_idx + 1) & mask,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let n_slots = (self.slots.len() * 2).max(1024);
        self.slots.clear();
        self.slots.resize(n_slots, 0);
        for entry_idx in 0..self.counts.len() {
            let slot_idx = self.find(self.counts[entry_idx].0);
            self.slots[slot_idx] = entry_idx as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_order_of_first_sight() {
        let mut counter = FeatureCounter::default();
        for round in 0..2 {
            counter.clear();
            for feature in (0..3000).chain(1000..2000) {
                counter.add(feature * 7 + round);
            }
            let expected: Vec<(u32, u32)> = (0..3000)
                .map(|n| (n * 7 + round, if (1000..2000).contains(&n) { 2 } else { 1 }))
                .collect();
            assert_eq!(counter.counts(), expected);
        }
    }
}
