//! The objects of a file of JSON lines, or of one JSON array, one after the other, a window of the
//! text at a time.

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
};

use super::{
    datum::Datum,
    excerpt::excerpt,
    input::{Input, MAX_RECORD_BYTES, TextReader},
    rows::{TWICE, TextRow},
};
use crate::error::{Error, Result};
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// The number of bytes read at once.
const WINDOW_BYTES: usize = 1 << 20;

const LINES: &str = "every line is one object, such as {\"text\": \"…\", \"label\": \"…\"}, or all of \
                     the file is one array of them";

/// The keys under which programs put the rows of a table that they write as one object.
const TABLES: [&str; 5] = ["data", "rows", "records", "examples", "items"];

/// The state of reading one file.
#[derive(Debug)]
pub(super) struct Objects {
    path: PathBuf,
    reader: TextReader,
    /// The text read from the file; the part that is not yet given out begins at `at`.
    window: String,
    at: usize,
    is_whole: bool,
    form: JsonLayout,
    /// The line of the next byte, from 1.
    line: u32,
    has_cr_lines: bool,
}

/// The layout of the objects of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonLayout {
    /// Nothing was read yet.
    Unknown,
    Lines,
    /// In brackets, with commas between them; whether one was given out yet.
    Array {
        is_begun: bool,
    },
    /// Behind the closing bracket.
    Over,
}

/// One object as it stands in the file, not parsed yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawObject<'a> {
    /// The line it begins in.
    pub(in crate::data) line: u32,
    pub(super) json: &'a str,
}

impl Objects {
    /// Begins at the beginning of `input`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(input: &Input) -> Result<Self> {
        Ok(Self {
            path: input.name().to_owned(),
            reader: input.text()?,
            window: String::new(),
            at: 0,
            is_whole: false,
            form: JsonLayout::Unknown,
            line: 1,
            has_cr_lines: false,
        })
    }

    /// The next object; blank lines are passed over.
    ///
    /// # Errors
    /// Bytes that are not the text's encoding, something between the items of an array that does not
    /// belong there, an object that is far too long: each with its line.
    pub(super) fn next(&mut self) -> Result<Option<RawObject<'_>>> {
        let found = loop {
            match self.find()? {
                NextToken::End => return Ok(None),
                NextToken::Object { begin, end } => break (begin, end),
                NextToken::Cut if self.window.len() - self.at >= MAX_RECORD_BYTES => {
                    return Err(
                        self.wrong(format!("more than {MAX_RECORD_BYTES} bytes in one object"))
                    );
                }
                NextToken::Cut => self.fill()?,
            }
        };
        let (begin, end) = found;
        self.pass(begin);
        let line = self.line;
        self.pass(end);
        Ok(Some(RawObject { line, json: &self.window[begin..end] }))
    }

    /// Looks for the next object behind `at`. What may go on behind the window is cut.
    fn find(&mut self) -> Result<NextToken> {
        if self.form == JsonLayout::Unknown {
            let start = self.window.trim_start();
            if start.is_empty() && !self.is_whole {
                return Ok(NextToken::Cut);
            }
            self.form = match start.starts_with('[') {
                true => JsonLayout::Array { is_begun: false },
                false => JsonLayout::Lines,
            };
            self.has_cr_lines = !self.window.contains('\n') && self.window.contains('\r');
            if start.starts_with('[') {
                let begin = self.window.len() - start.len();
                self.pass(begin + 1);
            }
        }
        match self.form {
            JsonLayout::Lines | JsonLayout::Unknown => Ok(self.find_line()),
            JsonLayout::Array { is_begun } => self.find_item(is_begun),
            JsonLayout::Over => self.find_end(),
        }
    }

    fn find_line(&mut self) -> NextToken {
        let line_end = if self.has_cr_lines { '\r' } else { '\n' };
        loop {
            let rest = &self.window[self.at..];
            let (length, is_cut) = match rest.find(line_end) {
                Some(length) => (length, false),
                None => (rest.len(), !self.is_whole),
            };
            if is_cut {
                return NextToken::Cut;
            }
            let line = &rest[..length];
            if !line.trim().is_empty() {
                let begin = self.at + (line.len() - line.trim_start().len());
                return NextToken::Object { begin, end: self.at + line.trim_end().len() };
            }
            if length == rest.len() {
                return NextToken::End;
            }
            self.pass(self.at + length + 1);
        }
    }

    fn find_item(&mut self, is_begun: bool) -> Result<NextToken> {
        let mut begin = self.solid(self.at);
        let Some(next) = self.window[begin..].chars().next() else { return self.cut_item() };
        if next == ']' {
            self.pass(begin + 1);
            self.form = JsonLayout::Over;
            return self.find_end();
        }
        if is_begun {
            if next != ',' {
                return Err(self.misplaced(begin, "a comma or the end of the array"));
            }
            begin = self.solid(begin + 1);
            if begin >= self.window.len() {
                return self.cut_item();
            }
        }
        if !self.window[begin..].starts_with('{') {
            return Err(self.misplaced(begin, "an object"));
        }
        match object_length(&self.window.as_bytes()[begin..]) {
            Some(length) => {
                self.form = JsonLayout::Array { is_begun: true };
                Ok(NextToken::Object { begin, end: begin + length })
            }
            None => self.cut_item(),
        }
    }

    /// An array goes on behind the window, or it has no end.
    fn cut_item(&self) -> Result<NextToken> {
        match self.is_whole {
            false => Ok(NextToken::Cut),
            true => Err(self
                .wrong("the array is not closed".to_owned())
                .with_hint("copy or download the file again")),
        }
    }

    fn find_end(&mut self) -> Result<NextToken> {
        let begin = self.solid(self.at);
        match self.window[begin..].is_empty() {
            true if self.is_whole => Ok(NextToken::End),
            true => Ok(NextToken::Cut),
            false => Err(self.misplaced(begin, "the end of the file")),
        }
    }

    /// The place of the first character behind `from` that is not white space.
    fn solid(&self, from: usize) -> usize {
        let rest = &self.window[from..];
        from + (rest.len() - rest.trim_start().len())
    }

    /// Moves on to `to`, counting lines.
    fn pass(&mut self, to: usize) {
        let counted = if self.has_cr_lines { b'\r' } else { b'\n' };
        let passed = &self.window.as_bytes()[self.at..to];
        let n_breaks = passed.iter().filter(|byte| **byte == counted).count();
        self.line = self.line.saturating_add(u32::try_from(n_breaks).unwrap_or(u32::MAX));
        self.at = to;
    }

    fn fill(&mut self) -> Result<()> {
        self.window.drain(..self.at);
        self.at = 0;
        let wanted = WINDOW_BYTES.max(self.window.len());
        self.is_whole = !self.reader.append(&mut self.window, wanted)?;
        Ok(())
    }

    fn wrong(&self, what: String) -> Error {
        Error::invalid(format!("{:?} line {}: {what}", self.path, self.line)).with_hint(LINES)
    }

    fn misplaced(&mut self, at: usize, expected: &str) -> Error {
        self.pass(at);
        let found: String = self.window[at..].chars().take(20).collect();
        self.wrong(format!("{} stands where {expected} was expected", excerpt(&found)))
    }
}

/// The next thing in the window.
enum NextToken {
    Object {
        begin: usize,
        end: usize,
    },
    /// More of the file is needed to say it.
    Cut,
    End,
}

/// The length of the object that `bytes` begin with, if its end is among them.
fn object_length(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (idx, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => depth += 1,
            b'}' | b']' if !is_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(idx + 1);
                }
            }
            _ => {}
        }
    }
    None
}

impl<'a> RawObject<'a> {
    /// Its keys, in their order.
    fn keys(&self, path: &Path) -> Result<Vec<String>> {
        self.parse::<SkippedKeys>(path).map(|keys| keys.0)
    }

    /// The object itself.
    ///
    /// # Errors
    /// When it is none, with its place.
    pub(super) fn parse<T: Deserialize<'a>>(&self, path: &Path) -> Result<T> {
        serde_json::from_str(self.json).map_err(|source| self.refused(path, &source))
    }

    fn refused(&self, path: &Path, source: &serde_json::Error) -> Error {
        let place = self.line as usize + source.line().saturating_sub(1);
        // What serde_json says of the place is one of its own input, which is a part of the file.
        let said = source.to_string();
        let reason = said.split(" at line ").next().unwrap_or(&said);
        let column = match source.column() {
            0 => String::new(),
            column => format!(", column {column}"),
        };
        let text = self.json.lines().nth(source.line().saturating_sub(1)).unwrap_or_default();
        let constant =
            text.split_at_checked(source.column().saturating_sub(1)).and_then(|(before, at)| {
                match at {
                    _ if at.starts_with("NaN") => Some("NaN"),
                    _ if at.starts_with("Infinity") && before.ends_with('-') => Some("-Infinity"),
                    _ if at.starts_with("Infinity") => Some("Infinity"),
                    _ => None,
                }
            });
        if let Some(constant) = constant {
            return Error::invalid(format!("{path:?} line {place}{column}: {constant} is no JSON"))
                .with_hint(
                    "JSON has no such number: write null, as pandas' to_json does, or leave the \
                     key out",
                );
        }
        if let Some(key) = reason.strip_prefix(TWICE) {
            return Error::invalid(format!("{path:?} line {place}: {TWICE}{key} in one object"))
                .with_hint("keep one of them: every key stands once");
        }
        let cut = source.is_eof() && self.json.trim_start().starts_with('{');
        let hint = match cut {
            true => "each object stands in one line of its own, or all are in one array",
            false => LINES,
        };
        let reason: String = reason.chars().take(200).collect();
        Error::invalid(format!("{path:?} line {place}{column}: not a JSON object"))
            .with_source(reason)
            .with_hint(hint)
    }
}

/// The keys of an object whose values are passed over.
struct SkippedKeys(Vec<String>);

impl<'de> Deserialize<'de> for SkippedKeys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject;
        impl<'de> Visitor<'de> for OfObject {
            type Value = SkippedKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SkippedKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(SkippedKeys(keys))
            }
        }
        deserializer.deserialize_map(OfObject)
    }
}

/// That the only object of `input` may be a row: one of columns or tables is not.
///
/// # Errors
/// When its values are the columns (pandas' `to_json` as it is), or the rows stand inside of it.
fn check_rows(input: &Input) -> Result<()> {
    const ADVICE: &str = "write one object a row, as pandas does with to_json(orient=\"records\", \
                          lines=True)";
    let mut objects = Objects::open(input)?;
    let Some(object) = objects.next()? else { return Ok(()) };
    let row: TextRow = object.parse(input.name())?;
    let is_table = |value: &Datum| matches!(value.kind(), "an array" | "an object");
    let fields = row.fields();
    if let Some((key, _)) =
        fields.iter().find(|(key, value)| TABLES.contains(&key.as_str()) && is_table(value))
        && !fields.iter().any(|(key, _)| key == "text")
    {
        return Err(Error::invalid(format!(
            "{:?}: one object, whose rows stand in {key:?}",
            input.name()
        ))
        .with_hint(format!("give that array alone, or {ADVICE}")));
    }
    if !fields.is_empty() && fields.iter().all(|(_, value)| is_table(value)) {
        return Err(Error::invalid(format!(
            "{:?}: one object of columns, not an object for each row",
            input.name()
        ))
        .with_hint(ADVICE));
    }
    Ok(())
}

/// Every key that an object of `input` has, in the order in which they are first seen: a column may
/// appear late.
///
/// # Errors
/// An empty file, and what cannot be read up to its end.
pub(super) fn columns(input: &Input) -> Result<Vec<String>> {
    let mut objects = Objects::open(input)?;
    let mut columns: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    let mut n_objects = 0_usize;
    while let Some(object) = objects.next()? {
        n_objects += 1;
        for key in object.keys(input.name())? {
            if !known.contains(&key) {
                known.insert(key.clone());
                columns.push(key);
            }
        }
    }
    if n_objects == 1 {
        check_rows(input)?;
    }
    if n_objects == 0 {
        return Err(
            Error::invalid(format!("{:?}: the file is empty", input.name())).with_hint(LINES)
        );
    }
    Ok(columns)
}
