//! A run's row read in place, for searching: nothing is built for a run that is not returned.

use super::{
    codec::{Malformed, Reader},
    record::RunStatus,
    stored::{Latest, flag, status_of},
};

type Read<T> = Result<T, Malformed>;

/// The beginning of a run's row, read in place.
pub(super) struct RunHead<'a> {
    pub(super) experiment: u64,
    pub(super) status: RunStatus,
    pub(super) deleted: bool,
    pub(super) start_ms: i64,
    pub(super) end_ms: Option<i64>,
    pub(super) n_batches: u64,
    pub(super) name: &'a str,
}

impl<'a> RunHead<'a> {
    pub(super) fn read(input: &mut Reader<'a>) -> Read<Self> {
        Ok(Self {
            experiment: input.unsigned()?,
            status: status_of(input.byte()?)?,
            deleted: flag(input.byte()?)?,
            start_ms: input.signed()?,
            end_ms: input.option(Reader::signed)?,
            n_batches: input.unsigned()?,
            name: input.text()?,
        })
    }
}

/// A run's row read in place: searching 10,000 runs must not build 10,000 runs.
pub(super) struct RunView<'a> {
    pub(super) head: RunHead<'a>,
    sections: Reader<'a>,
}

impl<'a> RunView<'a> {
    /// `input` is the content of a row of the newest layout.
    pub(super) fn read(mut input: Reader<'a>) -> Read<Self> {
        Ok(Self { head: RunHead::read(&mut input)?, sections: input })
    }

    pub(super) fn param(&self, key: &str) -> Read<Option<&'a str>> {
        let mut input = self.sections;
        input.section(Reader::text)?.get(key)
    }

    pub(super) fn tag(&self, key: &str) -> Read<Option<&'a str>> {
        let mut input = self.sections;
        input.bytes()?;
        input.section(Reader::text)?.get(key)
    }

    pub(super) fn metric(&self, key: &str) -> Read<Option<f64>> {
        let mut input = self.sections;
        input.bytes()?;
        input.bytes()?;
        Ok(input.section(Latest::read)?.get(key)?.map(|latest| latest.value))
    }
}
