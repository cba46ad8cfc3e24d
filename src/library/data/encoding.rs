//! Encodings of text: the one that is asked for, and naming the one that a file is in when it is not
//! UTF-8. Text is never read in an encoding that was guessed, and nothing becomes U+FFFD.

use std::{fmt, io::Read, path::Path, str::FromStr};

use encoding_rs::Encoding;

use crate::error::{Error, Result};

/// Bytes that mean nothing in windows-1252, which the web's decoder makes control characters of.
const UNDEFINED_IN_1252: [u8; 5] = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

/// The number of bytes of a file that are looked at to name its encoding.
const LOOKED_AT_BYTES: u64 = 64 << 20;

/// An encoding by one of the names that the [Encoding Standard](https://encoding.spec.whatwg.org)
/// gives it, in any case: `utf-8`, `utf-16`, `windows-1252`, `iso-8859-15`, `shift_jis`, `gb18030`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding {
    encoding: &'static Encoding,
    /// True if Latin-1 was asked for, by one of its names.
    is_latin1: bool,
}

impl FromStr for TextEncoding {
    type Err = Error;

    fn from_str(label: &str) -> Result<Self> {
        // What other programs call them.
        let known = match label.to_ascii_lowercase().as_str() {
            "cp65001" | "utf-8-sig" | "utf_8" | "utf8-sig" | "utf_8_sig" => "utf-8",
            "cp1250" => "windows-1250",
            "cp1251" => "windows-1251",
            "cp1252" => "windows-1252",
            "cp932" | "ms932" => "shift_jis",
            "cp936" => "gbk",
            "cp949" => "euc-kr",
            "cp950" => "big5",
            "utf16" | "utf_16" | "utf16le" | "utf_16_le" => "utf-16le",
            "utf16be" | "utf_16_be" => "utf-16be",
            "latin_1" | "latin-1" | "iso8859_1" | "l1" => "latin1",
            "mac_roman" | "macroman" | "mac-roman" => "macintosh",
            _ => label,
        };
        let known = known.trim();
        let encoding = Encoding::for_label(known.as_bytes())
            .filter(|encoding| *encoding != encoding_rs::REPLACEMENT)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "{label:?} is no encoding that is read, such as utf-8, utf-16le, \
                     windows-1252, iso-8859-15, shift_jis or gb18030"
                ))
            })?;
        let is_latin1 = encoding == encoding_rs::WINDOWS_1252
            && !["windows-1252", "cp1252", "x-cp1252"]
                .iter()
                .any(|name| known.eq_ignore_ascii_case(name));
        Ok(Self { encoding, is_latin1 })
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encoding.name())
    }
}

impl TextEncoding {
    pub(super) fn is_utf8(self) -> bool {
        self.encoding == encoding_rs::UTF_8
    }

    /// A decoder from the beginning of a text. A byte order mark there wins over the name.
    pub(super) fn decoder(self) -> encoding_rs::Decoder {
        self.encoding.new_decoder()
    }

    /// The first of `bytes` that means nothing here though the decoder would take it.
    pub(super) fn undefined(self, bytes: &[u8]) -> Option<usize> {
        (self.encoding == encoding_rs::WINDOWS_1252)
            .then(|| bytes.iter().position(|byte| UNDEFINED_IN_1252.contains(byte)))
            .flatten()
    }

    /// That another encoding is read than the one that was named.
    pub(super) fn note(&self) -> Option<String> {
        self.is_latin1.then(|| {
            "Latin-1 is read as windows-1252, as browsers do: 0x80 to 0x9f are characters there, \
             such as € and ’, and the rest is the same"
                .to_owned()
        })
    }
}

/// The encoding that a file seems to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likely {
    /// By its name, and what tells it.
    Named { name: &'static str, sign: &'static str },
    /// No encoding that is read; another program converts it.
    Unread { name: &'static str, sign: &'static str },
    /// UTF-8 with so many bytes in it that are none.
    Damaged { n_bytes: usize },
    /// It cannot be told.
    Unknown,
}

impl Likely {
    /// The advice.
    fn advice(self) -> String {
        match self {
            Self::Named { name, sign } => format!(
                "it looks like {name} ({sign}): pass --encoding {}, or save it as UTF-8, for \
                 example with `iconv -f {name} -t UTF-8`",
                name.to_ascii_lowercase()
            ),
            Self::Unread { name, sign } => format!(
                "it looks like {name} ({sign}): save it as UTF-8, for example with \
                 `iconv -f {name} -t UTF-8`"
            ),
            Self::Damaged { n_bytes: 1 } => {
                "all else in the file is UTF-8: correct this character, \
                                             which was cut or comes from elsewhere"
                    .to_owned()
            }
            Self::Damaged { n_bytes } => format!(
                "all but {n_bytes} bytes of the file are UTF-8: correct the characters that they \
                 are of, which were cut or come from elsewhere"
            ),
            Self::Unknown => "its bytes do not say which encoding it is in: name it with \
                              --encoding, such as windows-1251, macintosh, shift_jis or gb18030"
                .to_owned(),
        }
    }

    /// The error for a file that is in this encoding from its first byte on.
    pub(super) fn refused(self, name: &Path, what: &str) -> Error {
        let encoding = match self {
            Self::Named { name, .. } | Self::Unread { name, .. } => name,
            Self::Damaged { .. } | Self::Unknown => "another encoding",
        };
        Error::invalid(format!("{name:?}: {what} is in {encoding}, not UTF-8"))
            .with_hint(self.advice())
    }

    /// The error for the byte `byte` in line `line` of a file that was begun as UTF-8.
    pub(super) fn not_utf8(self, name: &Path, line: usize, byte: u8) -> Error {
        Error::invalid(format!("{name:?} line {line}: byte 0x{byte:02x} is not UTF-8"))
            .with_hint(self.advice())
    }
}

/// The encoding that the first bytes of a file say, when it is not UTF-8: by a byte order mark, or
/// by the zeros that every other byte of Latin script is in UTF-16.
pub(super) fn by_marks(head: &[u8]) -> Option<Likely> {
    const MARK: &str = "it begins with that byte order mark";
    const ZEROS: &str = "every other byte is zero";
    match head {
        [0xff, 0xfe, 0, 0, ..] => return Some(Likely::Unread { name: "UTF-32LE", sign: MARK }),
        [0, 0, 0xfe, 0xff, ..] => return Some(Likely::Unread { name: "UTF-32BE", sign: MARK }),
        [0xff, 0xfe, ..] => return Some(Likely::Named { name: "UTF-16LE", sign: MARK }),
        [0xfe, 0xff, ..] => return Some(Likely::Named { name: "UTF-16BE", sign: MARK }),
        _ => {}
    }
    let n_pairs = head.len() / 2;
    let n_zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (n_zeros(0), n_zeros(1));
    // The line breaks and delimiters alone are some of them, in any script.
    let is_some = |count: usize| n_pairs >= 4 && count * 20 >= n_pairs;
    match (is_some(even), is_some(odd)) {
        (false, true) => Some(Likely::Named { name: "UTF-16LE", sign: ZEROS }),
        (true, false) => Some(Likely::Named { name: "UTF-16BE", sign: ZEROS }),
        (true, true) if even + odd > n_pairs => {
            Some(Likely::Unread { name: "UTF-32", sign: "most bytes are zero" })
        }
        _ => None,
    }
}

/// The encoding of a text that is not UTF-8, from how its bytes above 0x7f lie.
pub(super) fn by_bytes(mut reader: impl Read) -> Likely {
    let mut bytes = Vec::new();
    // What cannot be read does not say anything more about it.
    let _ = reader.by_ref().take(LOOKED_AT_BYTES).read_to_end(&mut bytes);
    if let Some(found) = by_marks(&bytes[..bytes.len().min(4_096)]) {
        return found;
    }
    // What begins as UTF-8 and goes on so has a wrong byte; no other encoding looks like that by chance.
    let (n_good, n_bad) = utf8_counts(&bytes);
    if n_good > n_bad {
        return Likely::Damaged { n_bytes: n_bad };
    }
    if is_shift_jis(&bytes) {
        return Likely::Named { name: "SHIFT_JIS", sign: "its bytes are kana there" };
    }
    let mut n_of = [0_usize; 256];
    bytes.iter().for_each(|byte| n_of[usize::from(*byte)] += 1);
    let n_high: usize = n_of[0x80..].iter().sum();
    // In the scripts of Western Europe a letter that is not ASCII stands among letters that are.
    let n_neighbours = bytes.windows(2).filter(|pair| pair[0] > 0x9f && pair[1] > 0x9f).count();
    if n_neighbours * 3 > n_high {
        return Likely::Unknown;
    }
    let n_controls: usize = n_of[0x80..0xa0].iter().sum();
    if UNDEFINED_IN_1252.iter().any(|byte| n_of[usize::from(*byte)] > 0) {
        return Likely::Unknown;
    }
    match n_controls {
        0 => Likely::Named {
            name: "ISO-8859-1",
            sign: "or windows-1252, which is the same without bytes from 0x80 to 0x9f",
        },
        _ => Likely::Named {
            name: "WINDOWS-1252",
            sign: "bytes from 0x80 to 0x9f are in use, which ISO-8859-1 has no characters for",
        },
    }
}

/// The number of characters of several bytes that `bytes` have in UTF-8, and the number of bytes
/// that are none.
fn utf8_counts(bytes: &[u8]) -> (usize, usize) {
    bytes.utf8_chunks().fold((0, 0), |(n_good, n_bad), chunk| {
        let n_wide = chunk.valid().chars().filter(|char| !char.is_ascii()).count();
        (n_good + n_wide, n_bad + chunk.invalid().len())
    })
}

/// True if all of `bytes` is Shift_JIS, and a good part of it kana: no other encoding has them
/// there.
fn is_shift_jis(bytes: &[u8]) -> bool {
    let Some(text) =
        encoding_rs::SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes)
    else {
        return false;
    };
    let n_wide = text.chars().filter(|char| !char.is_ascii()).count();
    let n_kana = text.chars().filter(|char| ('\u{3041}'..='\u{30ff}').contains(char)).count();
    n_kana >= 3 && n_kana * 4 >= n_wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(text: &str, encoding: &str) -> Likely {
        let encoding: TextEncoding = encoding.parse().unwrap();
        let bytes = match encoding.encoding.name() {
            "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            _ => encoding.encoding.encode(text).0.into_owned(),
        };
        by_bytes(bytes.as_slice())
    }

    #[test]
    fn a_file_is_named_after_the_bytes_it_holds() {
        for (text, encoding, expected) in [
            ("text,label\nun café très cher,neg\n", "latin1", Some("ISO-8859-1")),
            ("text,label\nl’œuvre – 5 €,neg\n", "windows-1252", Some("WINDOWS-1252")),
            ("text,label\nschöne Grüße,pos\n", "windows-1252", Some("ISO-8859-1")),
            ("text,label\nこれはいい映画です,pos\n", "shift_jis", Some("SHIFT_JIS")),
            ("text,label\nпрекрасный фильм,pos\n", "windows-1251", None),
            ("text,label\nпрекрасный фильм,pos\n", "koi8-r", None),
            ("text,label\n这部电影很好看,pos\n", "gb18030", None),
            ("text,label\n아주 좋은 영화,pos\n", "euc-kr", None),
            ("text,label\nun film très réussi à Paris,pos\n", "macintosh", None),
            ("text,label\nfine,1\n", "utf-16le", Some("UTF-16LE")),
            ("text,label\n\u{feff}fine,1\n", "utf-16be", Some("UTF-16BE")),
            ("\u{feff}text,label\nfine,1\n", "utf-16le", Some("UTF-16LE")),
            ("text,label\nこれはいい映画です\n", "utf-16be", Some("UTF-16BE")),
        ] {
            let found = match likely(text, encoding) {
                Likely::Named { name, .. } => Some(name),
                _ => None,
            };
            assert_eq!(found, expected, "{encoding}: {text}");
        }
        for (content, n_bytes) in [
            (&b"caf\xc3\xa9 cr\xc3\xa8me\ncaf\xe9\n"[..], 1),
            (b"na\xc3\xafve \xe2\x82\xac \xe2\x80\x99 \xe2\x82", 2),
        ] {
            assert_eq!(by_bytes(content), Likely::Damaged { n_bytes });
        }
        let utf32: Vec<u8> = "text,label".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert!(matches!(by_marks(&utf32), Some(Likely::Unread { name: "UTF-32", .. })));
        assert_eq!(by_marks(b"text,label\nfine,1\n"), None);
        assert_eq!(by_marks("текст,метка".as_bytes()), None);
    }

    #[test]
    fn encodings_go_by_all_their_names() {
        for (label, expected, is_said) in [
            ("UTF8", "UTF-8", false),
            ("utf-16", "UTF-16LE", false),
            ("cp1252", "windows-1252", false),
            ("Windows-1252", "windows-1252", false),
            ("latin1", "windows-1252", true),
            ("ISO-8859-1", "windows-1252", true),
            ("latin-1", "windows-1252", true),
            ("iso-8859-15", "ISO-8859-15", false),
            ("gb2312", "GBK", false),
        ] {
            let encoding: TextEncoding = label.parse().unwrap();
            assert_eq!(encoding.to_string(), expected, "{label}");
            assert_eq!(encoding.note().is_some(), is_said, "{label}");
        }
        assert!("iso-2022-kr".parse::<TextEncoding>().is_err());
        assert!("klingon".parse::<TextEncoding>().is_err());
    }
}
