//! Records and fields of CSV and TSV in a piece of text.
//!
//! RFC 4180 with five mercies: LF, CRLF or, in a text that has no other, CR ends a line; blank lines
//! are skipped; blanks around the quotes of a field are left out; inside a quoted field
//! a quote that neither is doubled nor ends the field stands for itself; and a text may escape with
//! a character of its own.

use std::{borrow::Cow, path::Path};

use crate::error::{Error, Result};

/// The characters that have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) struct Grammar {
    pub(in crate::data) delimiter: u8,
    pub(in crate::data) quote: Option<u8>,
    pub(in crate::data) escape: Option<u8>,
    /// True if lines end with a lone CR.
    pub(in crate::data) has_cr_lines: bool,
}

/// A cursor over the records of one piece of text.
pub(super) struct Records<'a> {
    path: &'a Path,
    text: &'a str,
    grammar: Grammar,
    /// Byte offset of the next record.
    at: usize,
    /// Line of the next record, from 1.
    line: u32,
    oddities: Oddities,
}

/// The things in a record that another grammar would read otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    /// Quotes in quoted fields that neither are doubled nor end the field.
    pub(super) n_lone: usize,
    /// True if such a quote is in a field with a line break.
    pub(super) is_doubtful: bool,
    /// True if a backslash stands before a quote that is part of a quoted field.
    pub(super) has_backslash: bool,
    /// True if an escape took the meaning from a quote.
    pub(super) has_escape: bool,
}

/// One field: where its content lies, and how to read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_quoted: bool,
    /// True if doubled quotes or escapes in it stand for one character.
    is_coded: bool,
}

/// True if a record of `text` is one bare field of white space, which in a table of several columns
/// is a blank line.
pub(super) fn is_blank(text: &str, fields: &[Field]) -> bool {
    matches!(fields, [field] if !field.is_quoted && text[field.start..field.end].trim().is_empty())
}

impl Oddities {
    /// Adds what was odd about another record.
    pub(super) fn join(&mut self, other: Self) {
        self.n_lone += other.n_lone;
        self.is_doubtful |= other.is_doubtful;
        self.has_backslash |= other.has_backslash;
        self.has_escape |= other.has_escape;
    }
}

impl<'a> Records<'a> {
    /// Begins at the beginning of `text`, which is line `line` of the file `path`.
    pub(super) fn at(path: &'a Path, text: &'a str, line: u32, grammar: Grammar) -> Self {
        Self { path, text, grammar, at: 0, line, oddities: Oddities::default() }
    }

    /// The number of bytes of the text behind the cursor, and the line of the next record.
    pub(super) fn position(&self) -> (usize, u32) {
        (self.at, self.line)
    }

    /// True if all of the text is behind the cursor.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The oddities of the last record.
    pub(super) fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Puts the next record into `fields` and returns the line it begins in.
    ///
    /// # Errors
    /// For a quote that is never closed.
    pub(super) fn next(&mut self, fields: &mut Vec<Field>) -> Result<Option<u32>> {
        loop {
            fields.clear();
            if self.at >= self.text.len() {
                return Ok(None);
            }
            self.oddities = Oddities::default();
            let first_line = self.line;
            while self.field(fields)? {}
            let is_blank =
                matches!(fields[..], [Field { start, end, is_quoted: false, .. }] if start == end);
            if !is_blank {
                return Ok(Some(first_line));
            }
        }
    }

    /// Reads one field and what ends it; false after the last one of a record.
    fn field(&mut self, fields: &mut Vec<Field>) -> Result<bool> {
        let bytes = self.text.as_bytes();
        let field = match bytes.get(self.at) {
            Some(&byte) if Some(byte) == self.grammar.quote => self.quoted_field()?,
            Some(b' ') => match self.quote_behind_blanks() {
                Some(quote) => {
                    self.at = quote;
                    self.quoted_field()?
                }
                None => self.bare_field(),
            },
            _ => self.bare_field(),
        };
        fields.push(field);
        if bytes.get(self.at) == Some(&self.grammar.delimiter) {
            self.at += 1;
            return Ok(true);
        }
        let n_bytes = self.grammar.line_end(&bytes[self.at..]).unwrap_or(0);
        self.at += n_bytes;
        self.line = self.line.saturating_add(u32::from(n_bytes > 0));
        Ok(false)
    }

    /// The place of the quote that blanks at the cursor come before, if it encloses the rest of the
    /// field: it is closed in the same line, and no quote between stands for itself. No writer of
    /// RFC 4180 leaves such a text bare.
    fn quote_behind_blanks(&self) -> Option<usize> {
        let Grammar { delimiter, quote, escape, .. } = self.grammar;
        if delimiter == b' ' {
            return None;
        }
        let bytes = self.text.as_bytes();
        let n_blanks = bytes[self.at..].iter().take_while(|byte| **byte == b' ').count();
        let start = self.at + n_blanks;
        let mut at = start + 1;
        bytes.get(start).filter(|byte| Some(**byte) == quote)?;
        loop {
            let byte = *bytes.get(at)?;
            let after = &bytes[at + 1..];
            if self.grammar.line_end(&bytes[at..]).is_some() {
                return None;
            }
            at += match byte {
                _ if Some(byte) == escape => 2,
                _ if Some(byte) != quote => 1,
                _ if after.first() == quote.as_ref() => 2,
                _ => return self.ends_field(after).map(|_| start),
            };
        }
    }

    /// Reads a field up to the delimiter or line end behind it.
    fn bare_field(&mut self) -> Field {
        let bytes = self.text.as_bytes();
        let Grammar { delimiter, escape, .. } = self.grammar;
        let start = self.at;
        let mut is_coded = false;
        loop {
            let rest = &bytes[self.at..];
            let length = rest
                .iter()
                .position(|&byte| {
                    byte == delimiter || byte == b'\n' || byte == b'\r' || Some(byte) == escape
                })
                .unwrap_or(rest.len());
            self.at += length;
            let rest = &rest[length..];
            match rest.first() {
                Some(&byte) if Some(byte) == escape => {
                    self.at += 1 + self.escaped(&rest[1..]);
                    is_coded = true;
                }
                Some(b'\r') if self.grammar.line_end(rest).is_none() => self.at += 1,
                _ => break,
            }
        }
        if is_coded {
            let n_breaks = self.grammar.n_line_breaks(&bytes[start..self.at]);
            self.line = self.line.saturating_add(n_breaks);
        }
        Field { start, end: self.at, is_quoted: false, is_coded }
    }

    /// Reads a field that begins with a quote, up to what follows its closing quote.
    fn quoted_field(&mut self) -> Result<Field> {
        let bytes = self.text.as_bytes();
        let Grammar { quote, escape, .. } = self.grammar;
        let start = self.at + 1;
        let mut at = start;
        let mut is_coded = false;
        let mut n_lone = 0;
        loop {
            let is_mark = |&byte: &u8| Some(byte) == quote || Some(byte) == escape;
            let Some(length) = bytes[at..].iter().position(is_mark) else {
                return Err(Error::invalid(format!(
                    "{:?} line {}: a quote is opened and never closed",
                    self.path, self.line
                ))
                .with_hint(format!(
                    "close the quote, or double the quotes that belong to the text; {}",
                    self.grammar.advice()
                )));
            };
            let found = at + length;
            let after = &bytes[found + 1..];
            if Some(bytes[found]) != quote {
                is_coded = true;
                let n_bytes = self.escaped(after);
                at = found + 1 + n_bytes;
                continue;
            }
            if let Some(n_blanks) = self.ends_field(after) {
                let n_breaks = self.grammar.n_line_breaks(&bytes[start..found]);
                self.line = self.line.saturating_add(n_breaks);
                self.at = found + 1 + n_blanks;
                self.oddities.n_lone += n_lone;
                self.oddities.is_doubtful |= n_lone > 0 && n_breaks > 0;
                return Ok(Field { start, end: found, is_quoted: true, is_coded });
            }
            self.oddities.has_backslash |= found > start && bytes[found - 1] == b'\\';
            if after.first() == quote.as_ref() {
                is_coded = true;
                at = found + 2;
            } else {
                n_lone += 1;
                at = found + 1;
            }
        }
    }

    /// The number of the bytes `after` an escape whose meaning it takes; before anything else it
    /// stands for itself.
    fn escaped(&mut self, after: &[u8]) -> usize {
        let Grammar { delimiter, quote, escape, .. } = self.grammar;
        match after {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            [byte, ..] if Some(*byte) == quote => {
                self.oddities.has_escape = true;
                1
            }
            [byte, ..] if *byte == delimiter || Some(*byte) == escape => 1,
            _ => 0,
        }
    }

    /// The blanks between a closing quote and what ends its field, if that is what follows.
    fn ends_field(&self, after: &[u8]) -> Option<usize> {
        let delimiter = self.grammar.delimiter;
        let is_blank = |byte: &u8| (*byte == b' ' || *byte == b'\t') && *byte != delimiter;
        let n_blanks = after.iter().take_while(|byte| is_blank(byte)).count();
        let rest = &after[n_blanks..];
        let is_end = rest.first().is_none_or(|byte| *byte == delimiter)
            || self.grammar.line_end(rest).is_some();
        is_end.then_some(n_blanks)
    }
}

impl Grammar {
    /// The value of `field` of `text`.
    pub(super) fn value<'a>(&self, text: &'a str, field: &Field) -> Cow<'a, str> {
        let content = &text[field.start..field.end];
        if !field.is_coded {
            return Cow::Borrowed(content);
        }
        let is = |char: char, mark: Option<u8>| mark.is_some_and(|mark| char == char::from(mark));
        let mut value = String::with_capacity(content.len());
        let mut chars = content.chars().peekable();
        while let Some(char) = chars.next() {
            let next = chars.peek().copied();
            let is_dropped = if is(char, self.escape) {
                next.is_some_and(|next| {
                    matches!(next, '\r' | '\n')
                        || [self.quote, self.escape, Some(self.delimiter)]
                            .iter()
                            .any(|mark| is(next, *mark))
                })
            } else {
                field.is_quoted && is(char, self.quote) && next == Some(char)
            };
            if is_dropped {
                value.extend(chars.next());
            } else {
                value.push(char);
            }
        }
        Cow::Owned(value)
    }

    /// The length of the line end that `rest` begins with.
    fn line_end(&self, rest: &[u8]) -> Option<usize> {
        match rest {
            [b'\r', b'\n', ..] => Some(2),
            [b'\n', ..] => Some(1),
            [b'\r', ..] if self.has_cr_lines => Some(1),
            _ => None,
        }
    }

    fn n_line_breaks(&self, bytes: &[u8]) -> u32 {
        let counted = if self.has_cr_lines { b'\r' } else { b'\n' };
        let n_breaks = bytes.iter().filter(|byte| **byte == counted).count();
        u32::try_from(n_breaks).unwrap_or(u32::MAX)
    }

    /// The advice for a file whose quotes do not go together.
    pub(super) fn advice(&self) -> &'static str {
        match (self.quote, self.escape) {
            (Some(b'"'), None) => {
                "if quotes in texts are written \\\", pass --escape '\\'; if quotes mean nothing \
                 in this file, pass --quote none"
            }
            _ => "if quotes mean nothing in this file, pass --quote none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: Grammar =
        Grammar { delimiter: b',', quote: Some(b'"'), escape: None, has_cr_lines: false };
    const BACKSLASH: Grammar = Grammar { escape: Some(b'\\'), ..CSV };
    const BARE: Grammar = Grammar { delimiter: b'\t', quote: None, ..CSV };
    const CR: Grammar = Grammar { has_cr_lines: true, ..CSV };

    /// The records of `content`, their lines, and their oddities all together.
    fn read(content: &str, grammar: Grammar) -> (Vec<(u32, Vec<String>)>, Oddities) {
        let mut records = Records::at(Path::new("a.csv"), content, 1, grammar);
        let (mut fields, mut found, mut all) = (Vec::new(), Vec::new(), Oddities::default());
        while let Some(line) = records.next(&mut fields).unwrap() {
            let values = fields.iter().map(|field| grammar.value(content, field).into_owned());
            found.push((line, values.collect()));
            all.join(records.oddities());
        }
        (found, all)
    }

    #[track_caller]
    fn check(grammar: Grammar, content: &str, expected: &[(u32, &[&str])]) -> Oddities {
        let (found, oddities) = read(content, grammar);
        let found: Vec<(u32, Vec<&str>)> = found
            .iter()
            .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
            .collect();
        let expected: Vec<(u32, Vec<&str>)> =
            expected.iter().map(|(line, fields)| (*line, fields.to_vec())).collect();
        assert_eq!(found, expected, "{content:?}");
        oddities
    }

    #[test]
    fn fields_are_read_as_rfc_4180_says() {
        for (content, expected) in [
            ("a,1\nb,0\n", &[(1, &["a", "1"][..]), (2, &["b", "0"])][..]),
            ("a,1\nb,0", &[(1, &["a", "1"]), (2, &["b", "0"])]),
            ("1,,a\r\n0,y,b\r\n", &[(1, &["1", "", "a"]), (2, &["0", "y", "b"])]),
            ("\"a, b\",1\n", &[(1, &["a, b", "1"])]),
            ("\"say \"\"hi\"\"\",\"1\"\n", &[(1, &["say \"hi\"", "1"])]),
            ("\"\",1\n\"\"\"\",0\n", &[(1, &["", "1"]), (2, &["\"", "0"])]),
            (",\n", &[(1, &["", ""])]),
            ("a\rb,1\n", &[(1, &["a\rb", "1"])]),
            ("\"\"\n\n\"\"", &[(1, &[""]), (3, &[""])]),
            (
                "\"one\ntwo\r\n\nfour\",1\nnext,0\n\n\nlast,1\n",
                &[(1, &["one\ntwo\r\n\nfour", "1"]), (5, &["next", "0"]), (8, &["last", "1"])],
            ),
        ] {
            assert_eq!(check(CSV, content, expected), Oddities::default(), "{content:?}");
        }
    }

    #[test]
    fn a_lone_quote_stands_for_itself_and_blanks_after_a_closing_one_for_nothing() {
        let odd = check(CSV, "a \"b\" c,1\n", &[(1, &["a \"b\" c", "1"])]);
        assert_eq!(odd.n_lone, 0);
        let odd = check(CSV, "\"a \"b\" c\",1\n", &[(1, &["a \"b\" c", "1"])]);
        assert_eq!((odd.n_lone, odd.is_doubtful), (2, false));
        let odd = check(CSV, "\"the \\\"Wiz\\\" man\",1\n", &[(1, &["the \\\"Wiz\\\" man", "1"])]);
        assert_eq!((odd.n_lone, odd.has_backslash), (2, true));
        let odd =
            check(CSV, "\"text\" ,0\n\"b\"\t,1 \n", &[(1, &["text", "0"]), (2, &["b", "1 "])]);
        assert_eq!(odd.n_lone, 0);
        check(CSV, "0, \"a, \"\"b\"\"\" ,2\n", &[(1, &["0", "a, \"b\"", "2"])]);
        // What is not all of the field encloses nothing.
        for (content, expected) in [
            ("0, \"a\" b\n", &[(1, &["0", " \"a\" b"][..])][..]),
            ("0, \"a\n1,b\"\n", &[(1, &["0", " \"a"]), (2, &["1", "b\""])]),
            ("0, a \"b\"\n", &[(1, &["0", " a \"b\""])]),
            (" \"", &[(1, &[" \""])]),
        ] {
            check(CSV, content, expected);
        }
        check(CSV, "0,\"text\"  \n1,\"b\" ", &[(1, &["0", "text"]), (2, &["1", "b"])]);
        let odd = check(CSV, "\"a\nsaid \"b\" c\",1\n", &[(1, &["a\nsaid \"b\" c", "1"])]);
        assert!(odd.is_doubtful);
        // Two fields of a record are each for themselves.
        let odd = check(CSV, "\"a\nb\",\"say \"c\" d\"\n", &[(1, &["a\nb", "say \"c\" d"])]);
        assert!(!odd.is_doubtful);
    }

    #[test]
    fn an_escape_takes_the_meaning_of_what_has_one() {
        let odd = check(
            BACKSLASH,
            "\"called \\\"awful\\\"\",0\n\"C:\\new \\\\\",1\nx\\,y\\\n,\\\"2\n\"a \"\"b\"\" c\",3\n",
            &[
                (1, &["called \"awful\"", "0"]),
                (2, &["C:\\new \\", "1"]),
                (3, &["x,y\n", "\"2"]),
                (5, &["a \"b\" c", "3"]),
            ],
        );
        assert!(odd.has_escape && odd.n_lone == 0);
        let single = Grammar { quote: Some(b'\''), escape: Some(b'^'), ..CSV };
        check(single, "'it^'s',\"1\n'a''b',0\n", &[(1, &["it's", "\"1"]), (2, &["a'b", "0"])]);
    }

    #[test]
    fn without_quotes_a_quote_is_a_character() {
        check(
            BARE,
            "\"Great movie\t1\nbad, \"one\"\t0\r\n",
            &[(1, &["\"Great movie", "1"]), (2, &["bad, \"one\"", "0"])],
        );
    }

    #[test]
    fn a_lone_cr_ends_a_line_where_there_is_no_other_end() {
        check(
            CR,
            "a,1\r\"b\rc\",0\r\r\nd,1",
            &[(1, &["a", "1"]), (2, &["b\rc", "0"]), (5, &["d", "1"])],
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_named_with_its_line() {
        let mut records = Records::at(Path::new("a.csv"), "a,1\n\"b,0\nc,1\n", 1, CSV);
        let mut fields = Vec::new();
        records.next(&mut fields).unwrap();
        let error = records.next(&mut fields).unwrap_err();
        assert_eq!(error.to_string(), "\"a.csv\" line 2: a quote is opened and never closed");
        assert!(error.hint().unwrap().to_string().contains("--quote none"));
    }
}
