//! Something that is asked again and again and does not answer: told of once when that begins, and once when it
//! is over. It knows neither what is away nor who is told.

/// Whether something is away.
#[derive(Debug, Default)]
pub(crate) struct Outage(bool);

impl Outage {
    /// It does not answer: true if it did until now.
    pub(crate) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.0, true)
    }

    /// It answers: true if it did not until now.
    pub(crate) fn ends(&mut self) -> bool {
        std::mem::replace(&mut self.0, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_once() {
        let mut outage = Outage::default();
        assert!(!outage.ends());
        assert_eq!([outage.begins(), outage.begins(), outage.begins()], [true, false, false]);
        assert_eq!([outage.ends(), outage.ends(), outage.begins()], [true, false, true]);
    }
}
