//! Sorting occurrences: packed numbers whose lower halves already ascend.

/// Sorts by the upper 32 bits, of which only the lowest `key_bits` differ; equal ones keep their
/// order. Expects equal upper halves to come with ascending lower halves. `spare` is scratch.
pub(super) fn sort_by_upper_half(entries: &mut Vec<u64>, spare: &mut Vec<u64>, key_bits: u32) {
    if key_bits == 0 {
        return;
    }
    if entries.len() < 256 {
        // Comparing whole numbers gives the same order, as the lower halves ascend.
        return entries.sort_unstable();
    }
    let n_passes = key_bits.div_ceil(11);
    let digit_bits = key_bits.div_ceil(n_passes);
    let mask = (1u64 << digit_bits) - 1;
    spare.clear();
    spare.resize(entries.len(), 0);
    let mut starts = vec![0u32; 1 << digit_bits];
    for pass in 0..n_passes {
        let shift = 32 + pass * digit_bits;
        starts.fill(0);
        for entry in entries.iter() {
            starts[(entry >> shift & mask) as usize] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            total += std::mem::replace(start, total);
        }
        for entry in entries.iter() {
            let start = &mut starts[(entry >> shift & mask) as usize];
            spare[*start as usize] = *entry;
            *start += 1;
        }
        std::mem::swap(entries, spare);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_standard_sort(
            keys in proptest::collection::vec(0u32..1 << 23, 0..2000),
            key_bits in 0u32..=23,
        ) {
            let mut entries: Vec<u64> = keys
                .iter()
                .enumerate()
                .map(|(at, key)| (u64::from(key & ((1 << key_bits) - 1)) << 32) | at as u64)
                .collect();
            let mut expected = entries.clone();
            expected.sort_unstable();
            sort_by_upper_half(&mut entries, &mut Vec::new(), key_bits);
            prop_assert_eq!(entries, expected);
        }
    }
}
