//! Reading CSV and TSV. A reader of our own instead of polars', because every complaint must name
//! the line the user sees, also after quoted line breaks, and nothing may be guessed into a null.
//!
//! RFC 4180 with three mercies: LF or CRLF ends a line, blank lines are skipped, and inside a quoted
//! field a quote that neither is doubled nor ends the field stands for itself.

use std::{borrow::Cow, path::Path};

use super::{
    column::ColumnChoice,
    kept::TextCells,
    raw::{Places, RawRows, not_utf8},
};
use crate::error::{Error, Result};

/// Reads both columns of the file at `path` whose content is `bytes`.
///
/// # Errors
/// Invalid UTF-8, an open quote, a row with more or fewer columns than the header (each with its
/// line), and columns that are not there.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    delimiter: u8,
    choice: ColumnChoice<'_>,
) -> Result<(RawRows, Vec<String>)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(path, bytes, &error))?;
    let mut records = Records::at(path, text, 1, delimiter);
    let mut fields = Vec::new();
    let Some(_) = records.next(&mut fields)? else {
        return Err(Error::invalid(format!("{path:?}: the file is empty"))
            .with_hint("the first line names the columns, such as `text,label`"));
    };
    let header: Vec<String> =
        fields.iter().map(|field| records.value(field).into_owned()).collect();
    let chosen = choice.choose(&header, path)?;
    let mut kept = TextCells::new(choice.kept(&header, &[chosen.text_idx, chosen.label_idx])?);
    let (mut texts, mut labels) = (Vec::new(), Vec::new());
    let mut lines = Vec::new();
    while let Some(line) = records.next(&mut fields)? {
        if fields.len() != header.len() {
            return Err(Error::invalid(format!(
                "{path:?} row {} (line {line}): {} columns, the header has {}",
                lines.len() + 1,
                fields.len(),
                header.len()
            ))
            .with_hint("a text that contains the delimiter or a line break must stand in quotes"));
        }
        texts.push(Some(records.value(&fields[chosen.text_idx]).into_owned()));
        labels.push(Some(records.value(&fields[chosen.label_idx]).into_owned()));
        kept.push(|idx| records.value(&fields[idx]));
        lines.push(line);
    }
    let places = Places::Lines { path: path.to_owned(), lines };
    let kept = kept.finish();
    Ok((RawRows { kept, ..RawRows::new(texts, labels, places) }, chosen.notes))
}

/// A cursor over the records of one file.
pub(super) struct Records<'a> {
    path: &'a Path,
    text: &'a str,
    /// Byte offset of the next record.
    at: usize,
    /// Line of the next record, from 1.
    line: u32,
    delimiter: u8,
}

/// One field: where its content lies, and whether doubled quotes inside stand for single ones.
pub(super) struct Field {
    start: usize,
    end: usize,
    is_doubled: bool,
}

impl<'a> Records<'a> {
    /// Begins at the beginning of `text`, which is line `line` of the file `path`.
    pub(super) fn at(path: &'a Path, text: &'a str, line: u32, delimiter: u8) -> Self {
        Self { path, text, at: 0, line, delimiter }
    }

    /// How many bytes of the text are behind the cursor, and the line of the next record.
    pub(super) fn position(&self) -> (usize, u32) {
        (self.at, self.line)
    }

    /// Whether all of the text is behind the cursor.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Puts the next record into `fields` and returns the line it begins in.
    pub(super) fn next(&mut self, fields: &mut Vec<Field>) -> Result<Option<u32>> {
        loop {
            fields.clear();
            if self.at >= self.text.len() {
                return Ok(None);
            }
            let first_line = self.line;
            let first_at = self.at;
            while self.field(fields)? {}
            let is_blank = matches!(fields[..], [Field { start, end, .. }]
                if start == end && start == first_at);
            if !is_blank {
                return Ok(Some(first_line));
            }
        }
    }

    /// Reads one field and what ends it; false after the last one of a record.
    fn field(&mut self, fields: &mut Vec<Field>) -> Result<bool> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'"') {
            fields.push(self.quoted_field()?);
        } else {
            let rest = &bytes[self.at..];
            let length = rest
                .iter()
                .position(|&byte| byte == self.delimiter || byte == b'\n')
                .unwrap_or(rest.len());
            let is_crlf = rest.get(length) == Some(&b'\n') && rest[..length].ends_with(b"\r");
            let end = self.at + length - usize::from(is_crlf);
            fields.push(Field { start: self.at, end, is_doubled: false });
            self.at += length;
        }
        match bytes.get(self.at) {
            Some(&byte) if byte == self.delimiter => {
                self.at += 1;
                Ok(true)
            }
            Some(b'\r') => {
                self.at += 2;
                self.line += 1;
                Ok(false)
            }
            Some(_) => {
                self.at += 1;
                self.line += 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Reads a field that begins with a quote, up to what follows its closing quote.
    fn quoted_field(&mut self) -> Result<Field> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        let mut is_doubled = false;
        loop {
            let Some(length) = bytes[at..].iter().position(|&byte| byte == b'"') else {
                return Err(Error::invalid(format!(
                    "{:?} line {}: a quote is opened and never closed",
                    self.path, self.line
                ))
                .with_hint("close the quote, or double the quotes that belong to the text"));
            };
            let quote = at + length;
            match &bytes[quote + 1..] {
                [b'"', ..] => {
                    is_doubled = true;
                    at = quote + 2;
                }
                after if self.ends_field(after) => {
                    let breaks = bytes[start..quote].iter().filter(|&&byte| byte == b'\n').count();
                    self.line += u32::try_from(breaks).unwrap_or(u32::MAX);
                    self.at = quote + 1;
                    return Ok(Field { start, end: quote, is_doubled });
                }
                _ => at = quote + 1,
            }
        }
    }

    fn ends_field(&self, after: &[u8]) -> bool {
        match after {
            [] | [b'\n', ..] | [b'\r', b'\n', ..] => true,
            [byte, ..] => *byte == self.delimiter,
        }
    }

    /// Whether nothing at all stands in the place of `field`, not even quotes.
    pub(super) fn is_missing(&self, field: &Field) -> bool {
        field.start == field.end && !self.text[..field.start].ends_with('"')
    }

    /// What `field` holds.
    pub(super) fn value(&self, field: &Field) -> Cow<'a, str> {
        let content = &self.text[field.start..field.end];
        match field.is_doubled {
            true => Cow::Owned(content.replace("\"\"", "\"")),
            false => Cow::Borrowed(content),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_csv(content: &[u8]) -> Result<RawRows> {
        let choice =
            ColumnChoice { text: Some("text"), label: Some("label"), ..ColumnChoice::default() };
        read(Path::new("a.csv"), content, b',', choice).map(|(rows, _)| rows)
    }

    #[track_caller]
    fn check(content: &str, expected: &[(&str, &str, u32)]) {
        let rows = read_csv(content.as_bytes()).unwrap();
        let Places::Lines { lines, .. } = &rows.places else { panic!("a text file has lines") };
        let found: Vec<(&str, &str, u32)> = rows
            .texts
            .iter()
            .zip(&rows.labels)
            .zip(lines)
            .map(|((text, label), line)| {
                (text.as_deref().unwrap(), label.as_deref().unwrap(), *line)
            })
            .collect();
        assert_eq!(found, expected, "{content:?}");
    }

    #[test]
    fn fields_are_read_as_rfc_4180_says() {
        check("text,label\na,1\nb,0\n", &[("a", "1", 2), ("b", "0", 3)]);
        check("text,label\na,1\nb,0", &[("a", "1", 2), ("b", "0", 3)]);
        check("label,x,text\r\n1,,a\r\n0,y,b\r\n", &[("a", "1", 2), ("b", "0", 3)]);
        check("\u{feff}text,label\na,1\n", &[("a", "1", 2)]);
        check("text,label\n\"a, b\",1\n", &[("a, b", "1", 2)]);
        check("text,label\n\"say \"\"hi\"\"\",\"1\"\n", &[("say \"hi\"", "1", 2)]);
        check("text,label\n\"\",1\n\"\"\"\",0\n", &[("", "1", 2), ("\"", "0", 3)]);
        check("text,label\n,\n", &[("", "", 2)]);
    }

    #[test]
    fn quoted_line_breaks_move_the_lines_after_them() {
        check(
            "text,label\n\"one\ntwo\r\n\nfour\",1\nnext,0\n\n\nlast,1\n",
            &[("one\ntwo\r\n\nfour", "1", 2), ("next", "0", 6), ("last", "1", 9)],
        );
    }

    #[test]
    fn a_lone_quote_stands_for_itself() {
        check("text,label\na \"b\" c,1\n", &[("a \"b\" c", "1", 2)]);
        check("text,label\n\"a \"b\" c\",1\n", &[("a \"b\" c", "1", 2)]);
        check("text,label\n\"the \\\"Wiz\\\" man\",1\n", &[("the \\\"Wiz\\\" man", "1", 2)]);
    }

    #[test]
    fn complaints_name_the_line() {
        for (content, expected) in [
            (&b""[..], "\"a.csv\": the file is empty"),
            (b"text,label\na,1\nb,c,0\n", "row 2 (line 3): 3 columns, the header has 2"),
            (b"text,label\n\"a\n\",1\nb\n", "row 2 (line 4): 1 columns, the header has 2"),
            (b"text,label\na,1\n\"b,0\nc,1\n", "line 3: a quote is opened and never closed"),
            (b"text,label\na\nb,\xff\n", "line 3: byte 0xff is not UTF-8"),
            (b"body,label\na,1\n", "no text column \"text\": found \"body\", \"label\""),
        ] {
            let error = read_csv(content).unwrap_err();
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }
}
