//! The form of a record in bytes: a schema version, a checksum over key and content, and a compact
//! content of variable-length integers and length-prefixed texts that can be read in place. Knows
//! nothing of any particular record; refuses bytes that are damaged or newer than this build.
//!
//! A format of serde's, such as postcard, reads a whole record where a search wants one field of ten
//! thousand, and has neither version nor checksum.

use std::collections::BTreeMap;

use super::fault::restoring;
use crate::{
    error::{Error, ErrorKind, Result},
    figure::hex,
};

/// A kind of row in the database, with every schema version that was ever written.
///
/// To change a record: raise `VERSION`, write the new layout in `write`, keep reading the older
/// ones in `read` (that is the migration; the row is rewritten when it next changes), and add
/// a fixture of the old bytes.
pub(super) trait Record: Sized {
    /// The name of the kind for readers.
    const KIND: &'static str;
    /// The layout that `write` writes.
    const VERSION: u8;

    fn write(&self, out: &mut Writer);

    /// `version` is between 1 and `VERSION`.
    fn read(version: u8, input: &mut Reader) -> Decoded<Self>;
}

/// The content does not fit its layout.
#[derive(Debug)]
pub(super) struct Malformed;

/// What was read of a row's bytes.
pub(super) type Decoded<T> = Result<T, Malformed>;

const HEAD_BYTES: usize = 5;

/// The row's bytes: version, CRC-32 of version, key and content, content.
pub(super) fn seal<R: Record>(key: &[u8], record: &R) -> Vec<u8> {
    let mut out = Writer { bytes: vec![0; HEAD_BYTES] };
    record.write(&mut out);
    let mut bytes = out.bytes;
    bytes[0] = R::VERSION;
    let checksum = checksum(R::VERSION, key, &bytes[HEAD_BYTES..]);
    bytes[1..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The record in a row's bytes.
pub(super) fn unseal<R: Record>(key: &[u8], bytes: &[u8]) -> Result<R> {
    let (version, mut input) = content::<R>(key, bytes)?;
    let record = R::read(version, &mut input).map_err(|Malformed| damaged(R::KIND, key))?;
    if input.is_empty() { Ok(record) } else { Err(damaged(R::KIND, key)) }
}

/// Version and content of a row, once version and checksum are right.
pub(super) fn content<'a, R: Record>(key: &[u8], bytes: &'a [u8]) -> Result<(u8, Reader<'a>)> {
    let Some((head, content)) = bytes.split_at_checked(HEAD_BYTES) else {
        return Err(damaged(R::KIND, key));
    };
    let stored = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let version = head[0];
    if stored != checksum(version, key, content) || version == 0 {
        return Err(damaged(R::KIND, key));
    }
    if version > R::VERSION {
        return Err(Error::invalid(format!(
            "{} {}: schema {version}, this build reads 1 to {}",
            R::KIND,
            shown(key),
            R::VERSION
        ))
        .with_hint("a newer trialbook wrote it: update this one"));
    }
    Ok((version, Reader { rest: content }))
}

/// The error for a row that cannot be read.
pub(super) fn damaged(kind: &str, key: &[u8]) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{kind} {} is damaged in the registry", shown(key)))
        .with_hint(restoring())
}

fn checksum(version: u8, key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

/// A key as people can read it: text where it is text, otherwise hex.
fn shown(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.is_empty() && !text.contains(char::is_control) => format!("{text:?}"),
        _ => hex(key),
    }
}

/// Collects a record's content.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// LEB128: seven bits a byte, lowest first.
    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Zigzag, so that small negative numbers are short too.
    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }

    /// The bits, so that NaN and the infinities survive.
    pub(super) fn float(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.unsigned(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.unsigned(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    /// A map of texts as one length-prefixed section, which a reader can skip or search in place.
    pub(super) fn section<V>(&mut self, map: &BTreeMap<String, V>, write: impl Fn(&mut Self, &V)) {
        let mut section = Self::default();
        section.list(map.iter(), |out, (key, value)| {
            out.text(key);
            write(out, value);
        });
        self.bytes(&section.bytes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a record's content; texts are borrowed from the row.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    pub(super) fn signed(&mut self) -> Result<i64, Malformed> {
        let bits = self.unsigned()?;
        Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
    }

    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.unsigned()?).map_err(|_| Malformed)
    }

    pub(super) fn float(&mut self) -> Result<f64, Malformed> {
        let (bits, rest) = self.rest.split_first_chunk::<8>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(f64::from_bits(u64::from_le_bytes(*bits)))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.unsigned()?).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(super) fn owned(&mut self) -> Result<String, Malformed> {
        self.text().map(str::to_owned)
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        // No capacity is reserved from the count: a damaged one must not ask for all memory.
        let n_items = self.unsigned()?;
        (0..n_items).map(|_| read(self)).collect()
    }

    /// A section, whose values `read` reads.
    pub(super) fn section<V>(
        &mut self,
        read: fn(&mut Self) -> Result<V, Malformed>,
    ) -> Result<Section<'a, V>, Malformed> {
        Ok(Section { bytes: self.bytes()?, read })
    }
}

/// A map of texts that is read in place.
pub(super) struct Section<'a, V> {
    bytes: &'a [u8],
    read: fn(&mut Reader<'a>) -> Result<V, Malformed>,
}

impl<V> Section<'_, V> {
    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Result<Option<V>, Malformed> {
        let mut input = Reader { rest: self.bytes };
        for _ in 0..input.unsigned()? {
            let name = input.text()?;
            let value = (self.read)(&mut input)?;
            if name == key {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Every pair, with the values as `own` makes them.
    pub(super) fn to_map<W>(&self, own: impl Fn(V) -> W) -> Result<BTreeMap<String, W>, Malformed> {
        let mut input = Reader { rest: self.bytes };
        let n_pairs = input.unsigned()?;
        // Bounded, because a damaged count must not ask for all memory.
        let mut pairs = Vec::with_capacity(n_pairs.min(64) as usize);
        for _ in 0..n_pairs {
            pairs.push((input.owned()?, own((self.read)(&mut input)?)));
        }
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record that once was one number and now is a number with a unit.
    #[derive(Debug, PartialEq)]
    struct Length {
        value: u64,
        unit: String,
    }

    struct LengthV1(u64);

    impl Record for LengthV1 {
        const KIND: &'static str = "length";
        const VERSION: u8 = 1;
        fn write(&self, out: &mut Writer) {
            out.unsigned(self.0);
        }
        fn read(_: u8, input: &mut Reader) -> Result<Self, Malformed> {
            input.unsigned().map(Self)
        }
    }

    impl Record for Length {
        const KIND: &'static str = "length";
        const VERSION: u8 = 2;
        fn write(&self, out: &mut Writer) {
            out.unsigned(self.value);
            out.text(&self.unit);
        }
        fn read(version: u8, input: &mut Reader) -> Result<Self, Malformed> {
            let value = input.unsigned()?;
            let unit = if version == 1 { "m".to_owned() } else { input.owned()? };
            Ok(Self { value, unit })
        }
    }

    #[test]
    fn an_older_record_is_migrated_and_a_newer_one_refused() {
        let old = seal(b"key", &LengthV1(7));
        assert_eq!(unseal::<Length>(b"key", &old).unwrap(), Length { value: 7, unit: "m".into() });

        let new = seal(b"key", &Length { value: 7, unit: "cm".into() });
        let error = unseal::<LengthV1>(b"key", &new).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "length \"key\": schema 2, this build reads 1 to 1");
    }

    #[test]
    fn every_single_byte_change_of_a_row_or_its_key_is_noticed() {
        let row = seal(b"key", &Length { value: 300, unit: "cm".into() });
        for idx in 0..row.len() {
            for flip in 1..=255_u8 {
                let mut changed = row.clone();
                changed[idx] ^= flip;
                let error = unseal::<Length>(b"key", &changed).err().unwrap();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {idx} ^ {flip}");
            }
        }
        assert!(unseal::<Length>(b"kez", &row).is_err());
        for len in 0..row.len() {
            assert!(unseal::<Length>(b"key", &row[..len]).is_err(), "cut to {len} bytes");
        }
    }

    proptest! {
        #[test]
        fn values_come_back(a: u64, b: i64, c: u64, text: String, map: BTreeMap<String, String>) {
            let mut out = Writer::default();
            out.unsigned(a);
            out.signed(b);
            out.float(f64::from_bits(c));
            out.text(&text);
            out.option(Some(a), Writer::unsigned);
            out.section(&map, |out, value| out.text(value));
            let bytes = out.into_bytes();
            let mut input = Reader::new(&bytes);
            prop_assert_eq!(input.unsigned().unwrap(), a);
            prop_assert_eq!(input.signed().unwrap(), b);
            prop_assert_eq!(input.float().unwrap().to_bits(), c);
            prop_assert_eq!(input.text().unwrap(), text);
            prop_assert_eq!(input.option(Reader::unsigned).unwrap(), Some(a));
            let section = input.section(Reader::text).unwrap();
            for (key, value) in &map {
                prop_assert_eq!(section.get(key).unwrap(), Some(value.as_str()));
            }
            prop_assert_eq!(section.to_map(str::to_owned).unwrap(), map);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut input = Reader::new(&bytes);
            let _ = input.list(Reader::owned);
            let mut input = Reader::new(&bytes);
            if let Ok(section) = input.section(Reader::float) {
                let _ = section.get("f1");
                let _ = section.to_map(|value| value);
            }
        }
    }
}
