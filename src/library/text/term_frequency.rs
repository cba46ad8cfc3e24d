//! The weight of a term's count in a text: itself, or `1 + ln(count)`.

/// Counts whose logarithms are kept ready: nearly all there are.
const N_READY: usize = 32;

/// A function of the count.
#[derive(Debug, Clone)]
pub(crate) struct TermFrequency {
    is_sublinear: bool,
    ready: [f64; N_READY],
}

impl TermFrequency {
    /// `1 + ln(count)` if sublinear, else the count itself.
    pub(crate) fn new(is_sublinear: bool) -> Self {
        let ready = std::array::from_fn(|count| weigh(is_sublinear, count as u32));
        Self { is_sublinear, ready }
    }

    /// The weight of `count`, which is at least 1.
    #[inline]
    pub(crate) fn of(&self, count: u32) -> f64 {
        match self.ready.get(count as usize) {
            Some(weight) => *weight,
            None => weigh(self.is_sublinear, count),
        }
    }
}

fn weigh(is_sublinear: bool, count: u32) -> f64 {
    match is_sublinear {
        true => 1.0 + f64::from(count).ln(),
        false => f64::from(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_and_computed_weights_follow_the_same_formula() {
        for count in [1, 2, 31, 32, 33, 1000] {
            assert_eq!(TermFrequency::new(false).of(count), f64::from(count));
            assert_eq!(TermFrequency::new(true).of(count), 1.0 + f64::from(count).ln());
        }
    }
}
