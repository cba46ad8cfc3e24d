//! The counts of a profile and of a window side by side: the same bins in the same order.

use std::collections::BTreeMap;

use crate::monitor::{profile::ReferenceProfile, window::WindowCounts};

/// The counts of every class that either side has, in the profile's order.
pub(super) fn label_counts(profile: &ReferenceProfile, window: &WindowCounts) -> [Vec<u64>; 2] {
    let known = |label: &String| profile.classes.contains(label);
    let mut current: Vec<u64> = profile
        .classes
        .iter()
        .map(|class| window.labels.get(class).copied().unwrap_or_default())
        .collect();
    current.extend(window.labels.iter().filter(|(label, _)| !known(label)).map(|(_, n)| *n));
    let mut reference = profile.labels.clone();
    reference.resize(current.len(), 0);
    [reference, current]
}

/// Every length that either side has, in order, with the counts of both.
pub(super) fn length_counts(
    profile: &ReferenceProfile,
    window: &WindowCounts,
) -> Option<(Vec<u32>, [Vec<u64>; 2])> {
    if window.lengths.is_empty() {
        return None;
    }
    let mut counts: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    profile.lengths.iter().for_each(|(bin, n)| counts.entry(*bin).or_default()[0] += n);
    window.lengths.iter().for_each(|(bin, n)| counts.entry(*bin).or_default()[1] += n);
    let bins = counts.keys().copied().collect();
    let side = |side: usize| counts.values().map(|both| both[side]).collect();
    Some((bins, [side(0), side(1)]))
}
