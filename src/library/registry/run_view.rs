//! A run's row read in place, for searching: nothing is built for a run that is not returned.

use super::{
    codec::{Decoded, Reader},
    flow::RunFlow,
    names::NAME_TAG,
    record::USER_TAG,
    stored::{Latest, RunHead},
};

/// A run's row read in place: searching 10,000 runs must not build 10,000 runs.
pub(super) struct RunView<'a> {
    pub(super) head: RunHead<'a>,
    sections: Reader<'a>,
}

impl<'a> RunView<'a> {
    /// `input` is the content of a row of the newest layout.
    pub(super) fn read(mut input: Reader<'a>) -> Decoded<Self> {
        Ok(Self { head: RunHead::read(&mut input)?, sections: input })
    }

    pub(super) fn param(&self, key: &str) -> Decoded<Option<&'a str>> {
        let mut input = self.sections;
        input.section(Reader::text)?.get(key)
    }

    pub(super) fn tag(&self, key: &str) -> Decoded<Option<&'a str>> {
        if key == NAME_TAG {
            return Ok(Some(self.head.name));
        }
        let mut input = self.sections;
        input.bytes()?;
        input.section(Reader::text)?.get(key)
    }

    pub(super) fn metric(&self, key: &str) -> Decoded<Option<f64>> {
        let mut input = self.sections;
        input.bytes()?;
        input.bytes()?;
        Ok(input.section(Latest::read)?.get(key)?.map(|latest| latest.value))
    }

    /// The user who runs it; empty where nobody said so.
    pub(super) fn user(&self) -> Decoded<&'a str> {
        let mut input = self.after_sections()?;
        let user = if input.is_empty() { "" } else { input.text()? };
        match user {
            "" => Ok(self.tag(USER_TAG)?.unwrap_or_default()),
            user => Ok(user),
        }
    }

    /// Its inputs and outputs.
    pub(super) fn flow(&self) -> Decoded<RunFlow> {
        let mut input = self.after_sections()?;
        if input.is_empty() {
            return Ok(RunFlow::default());
        }
        input.text()?;
        RunFlow::read(&mut input)
    }

    /// The part that a row of the first layout lacks.
    fn after_sections(&self) -> Decoded<Reader<'a>> {
        let mut input = self.sections;
        for _ in 0..3 {
            input.bytes()?;
        }
        Ok(input)
    }
}
