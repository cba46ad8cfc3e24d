//! The grammar that a file of fields is written in. What nobody named is looked for in the file
//! itself: the delimiter in its first rows, the meaning of quotes in all of it. A file that its
//! usual reading would make fewer rows of than it has lines, for no good reason, is read otherwise
//! when that makes sense of every row, and is refused when it does not.

use super::{
    records::{Grammar, Oddities, Records, is_blank},
    stream::{Record, RecordStream, SEPARATOR, WINDOW_BYTES, ragged},
    suspicion::Suspicion,
};
use crate::{
    data::{dialect::Mark, input::Input},
    error::{Error, Result},
};

/// The other characters that separate fields, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Records that are looked at for the delimiter.
const N_SAMPLED: usize = 200;

/// The way a file is to be read.
#[derive(Debug)]
pub(in crate::data) struct Settled {
    pub(in crate::data) grammar: Grammar,
    /// The guesses.
    pub(in crate::data) notes: Vec<String>,
}

/// Finds out how `input` is written, where its dialect does not say it. Usually `delimiter` separates
/// the fields.
///
/// # Errors
/// A file that cannot be read, and one whose quotes or columns do not go together however it is read.
pub(in crate::data) fn settle(input: &Input, delimiter: u8) -> Result<Settled> {
    let dialect = input.dialect();
    let mut head = String::new();
    let is_cut = input.text()?.append(&mut head, WINDOW_BYTES)?;
    let byte = |mark: Mark| match mark {
        Mark::Char(char) => u8::try_from(char).ok(),
        Mark::None => None,
    };
    let quote = dialect.quote.map_or(Some(b'"'), byte);
    let mut grammar = Grammar {
        delimiter: dialect.delimiter.and_then(|char| u8::try_from(char).ok()).unwrap_or(delimiter),
        quote,
        // A quote that escapes quotes doubles them, which is always read.
        escape: dialect.escape.and_then(byte).filter(|escape| Some(*escape) != quote),
        has_cr_lines: !head.contains('\n') && head.contains('\r'),
    };
    let mut notes = Vec::new();
    if dialect.delimiter.is_none()
        && let Some(stated) = stated(&head)
    {
        grammar.delimiter = stated;
        notes.push(format!("fields are separated by {}, as its first line says", name(stated)));
    } else if dialect.delimiter.is_none() {
        grammar = guessed(&head, is_cut, grammar);
        if grammar.delimiter != delimiter {
            notes.push(format!(
                "fields are separated by {} (guessed; say it with --delimiter)",
                name(grammar.delimiter)
            ));
        }
    }
    check_marks(grammar)?;
    // Who names the quote knows what it means.
    if dialect.quote.is_some() {
        return Ok(Settled { grammar, notes });
    }
    let usual = Survey::of(input, grammar)?;
    let escaped = Grammar { escape: Some(b'\\'), ..grammar };
    let is_odd = usual.oddities.n_lone > 0 && usual.oddities.has_backslash;
    if dialect.escape.is_none() && (usual.trouble.is_some() || is_odd) {
        let survey = Survey::of(input, escaped)?;
        if survey.trouble.is_none() && survey.oddities.n_lone == 0 && survey.oddities.has_escape {
            notes.push(
                "quotes in texts are escaped with a backslash (guessed; --escape none reads the \
                 backslashes as they are)"
                    .to_owned(),
            );
            return Ok(Settled { grammar: escaped, notes });
        }
    }
    // Where nothing is in the usual quotes, texts may stand in the other ones.
    if let Some(trouble) = &usual.trouble
        && usual.n_quoted == 0
    {
        let single = Grammar { quote: Some(b'\''), ..grammar };
        let survey = Survey::of(input, single)?;
        if survey.trouble.is_none() && survey.is_single() {
            notes.push(format!(
                "fields stand in single quotes (guessed, since otherwise: {}; say it with --quote \
                 \"'\")",
                reason(input, trouble)
            ));
            return Ok(Settled { grammar: single, notes });
        }
    }
    // In a file of tabs, that a text begins with a quote and holds more of them says it as well.
    let is_sloppy = usual.oddities.n_lone > 0 && grammar.delimiter == b'\t';
    if usual.trouble.is_none() && !is_sloppy {
        return Ok(Settled { grammar, notes });
    }
    let bare = Grammar { quote: None, ..grammar };
    let survey = Survey::of(input, bare)?;
    if survey.trouble.is_none() && survey.is_without_quotes(bare) {
        let reason = match &usual.trouble {
            Some(trouble) => reason(input, trouble),
            None => "quotes in texts are not doubled".to_owned(),
        };
        notes.push(format!(
            "quotes mean nothing in this file (guessed, since as quotes: {reason}; say it with \
             --quote none)"
        ));
        return Ok(Settled { grammar: bare, notes });
    }
    match usual.trouble {
        None => Ok(Settled { grammar, notes }),
        Some(trouble) => Err(trouble),
    }
}

/// That no character has two meanings: one may be named and the other one the usual or guessed one.
///
/// # Errors
/// When one has.
fn check_marks(grammar: Grammar) -> Result<()> {
    let Grammar { delimiter, quote, escape, .. } = grammar;
    if Some(delimiter) != quote && Some(delimiter) != escape {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{:?} cannot be the delimiter and a quote or escape",
        char::from(delimiter)
    ))
    .with_hint("give each its own character with --delimiter and --quote, or pass --quote none"))
}

/// `trouble` without the name of the file.
fn reason(input: &Input, trouble: &Error) -> String {
    let said = trouble.to_string();
    said.strip_prefix(&format!("{:?} ", input.name())).unwrap_or(&said).to_owned()
}

/// `usual` with the delimiter that separates the fields of `head`: the usual one, or the first other
/// one that gives every row as many columns as the header where the usual one does not.
fn guessed(head: &str, is_cut: bool, usual: Grammar) -> Grammar {
    let (n_usual, share) = agreement(head, is_cut, usual);
    if n_usual > 1 && share >= 1.0 {
        return usual;
    }
    let by = |least: f64| {
        DELIMITERS
            .into_iter()
            .filter(|delimiter| *delimiter != usual.delimiter)
            .map(|delimiter| Grammar { delimiter, ..usual })
            .find(|grammar| {
                let (n_columns, share) = agreement(head, is_cut, *grammar);
                n_columns > 1 && share >= least
            })
    };
    // A file of one column has rows of one column, whatever its texts hold.
    let least = if n_usual > 1 { 1.0 } else { 0.5 };
    by(1.0).or_else(|| by(least)).unwrap_or(usual)
}

/// The delimiter that the first line of `head` names, as Excel writes it: `sep=;`.
fn stated(head: &str) -> Option<u8> {
    let line = head.split(['\r', '\n']).next()?;
    match line.strip_prefix(SEPARATOR)?.as_bytes() {
        [delimiter] if delimiter.is_ascii() && head.len() > line.len() => Some(*delimiter),
        _ => None,
    }
}

/// The number of columns in the header of `head`, and the share of its first rows that have as many.
fn agreement(head: &str, is_cut: bool, grammar: Grammar) -> (usize, f64) {
    let mut records = Records::at("".as_ref(), head, 1, grammar);
    let mut fields = Vec::new();
    let mut counts = Vec::new();
    while counts.len() < N_SAMPLED && matches!(records.next(&mut fields), Ok(Some(_))) {
        // The last one may go on behind the head.
        let is_whole = !(is_cut && records.is_at_end());
        if is_whole && !is_blank(head, &fields) {
            counts.push(fields.len());
        }
    }
    match counts.split_first() {
        None => (0, 0.0),
        Some((n_columns, [])) => (*n_columns, 1.0),
        Some((n_columns, rows)) => {
            let n_equal = rows.iter().filter(|count| *count == n_columns).count();
            (*n_columns, n_equal as f64 / rows.len() as f64)
        }
    }
}

fn name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tabs".to_owned(),
        b';' => "semicolons".to_owned(),
        b',' => "commas".to_owned(),
        other => format!("{:?}", char::from(other)),
    }
}

/// The result of reading a file by one grammar.
struct Survey {
    /// The reason why it cannot be read so, or should not be.
    trouble: Option<Error>,
    /// Of all records together.
    oddities: Oddities,
    n_rows: usize,
    /// Fields in quotes.
    n_quoted: usize,
    /// Fields that begin and end with a `"`, for a grammar in which that is no quote.
    n_wrapped: usize,
    /// Those of them with doubled quotes inside.
    n_doubled: usize,
}

impl Survey {
    /// Reads all of `input` by `grammar`.
    ///
    /// # Errors
    /// When the file cannot be read by any grammar.
    fn of(input: &Input, grammar: Grammar) -> Result<Self> {
        let mut survey = Self {
            trouble: None,
            oddities: Oddities::default(),
            n_rows: 0,
            n_quoted: 0,
            n_wrapped: 0,
            n_doubled: 0,
        };
        let mut records = RecordStream::open(input, grammar)?;
        let n_columns = match records.header() {
            Ok((columns, _)) => columns.len(),
            Err(error) if records.is_misread() => {
                survey.trouble = Some(error);
                return Ok(survey);
            }
            Err(error) => return Err(error),
        };
        let mut suspicion = Suspicion::new(n_columns, grammar);
        loop {
            let record = match records.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => {
                    if !records.is_misread() {
                        return Err(error);
                    }
                    survey.oddities.join(records.oddities());
                    survey.trouble = Some(error);
                    return Ok(survey);
                }
            };
            survey.n_rows += 1;
            survey.oddities.join(record.oddities);
            survey.n_quoted += record.fields.iter().filter(|field| field.is_quoted).count();
            if record.len() != n_columns {
                let (line, n_found) = (record.line, record.len());
                survey.trouble =
                    Some(ragged(input.name(), survey.n_rows, line, n_found, n_columns));
                return Ok(survey);
            }
            if record.oddities.is_doubtful {
                survey.trouble = Some(doubtful(input, &record, grammar));
                return Ok(survey);
            }
            if grammar.quote != Some(b'"') {
                survey.count_wrapped(&record);
            }
            if grammar.quote.is_some() {
                suspicion.look_at(&record);
            }
        }
        survey.trouble = suspicion.verdict(input.name());
        Ok(survey)
    }

    /// True if fields stand in single quotes, and none in the usual ones.
    fn is_single(&self) -> bool {
        self.n_quoted > 0 && self.oddities.n_lone == 0 && self.n_wrapped == 0
    }

    fn count_wrapped(&mut self, record: &Record<'_>) {
        for idx in 0..record.len() {
            let value = record.value(idx);
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            self.n_wrapped += usize::from(inner.is_some());
            self.n_doubled += usize::from(inner.is_some_and(|inner| inner.contains("\"\"")));
        }
    }

    /// True if the fields that are wrapped in quotes are few and no different from the others: who
    /// writes fields in quotes does it to all of a column, or to those that need it.
    fn is_without_quotes(&self, grammar: Grammar) -> bool {
        match grammar.delimiter {
            b'\t' => self.n_doubled == 0 && self.n_wrapped * 2 < self.n_rows,
            // Where texts are full of the delimiter, some must be in quotes.
            _ => self.n_wrapped == 0,
        }
    }
}

/// The error for a record whose quotes and line breaks do not go together.
fn doubtful(input: &Input, record: &Record<'_>, grammar: Grammar) -> Error {
    let blank = record.text.len() - record.text.trim_start_matches(['\r', '\n']).len();
    let lines = record.text[blank..].trim_end_matches(['\r', '\n']).lines().count();
    let last = record.line as usize + lines.max(1) - 1;
    Error::invalid(format!(
        "{:?} line {}: a quoted field that runs to line {last} holds quotes that are not doubled",
        input.name(),
        record.line
    ))
    .with_hint(format!(
        "double the quotes that belong to the text; {}; if it is right so, pass --quote '\"'",
        grammar.advice()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dialect;

    /// The rows that a file is read as, and the notes on it.
    #[derive(Debug)]
    struct Told {
        rows: Vec<(u32, Vec<String>)>,
        notes: String,
    }

    fn read(name: &str, content: &str, dialect: &Dialect) -> Result<Told> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let input = Input::open(&path, dialect)?;
        let usual = if name.ends_with("tsv") { b'\t' } else { b',' };
        let settled = settle(&input, usual)?;
        let mut records = RecordStream::open(&input, settled.grammar)?;
        let n_columns = records.header()?.0.len();
        let mut rows = Vec::new();
        while let Some(record) = records.next()? {
            if record.len() != n_columns {
                let (line, n_found) = (record.line, record.len());
                return Err(ragged(&path, rows.len() + 1, line, n_found, n_columns));
            }
            rows.push((record.line, record.values()));
        }
        Ok(Told { rows, notes: settled.notes.join("\n") })
    }

    /// Checks the first fields of the rows, and the notes.
    #[track_caller]
    fn check(name: &str, content: &str, expected: &[&str], note: &str) {
        let told = read(name, content, &Dialect::default())
            .unwrap_or_else(|error| panic!("{content:?}: {error:?}"));
        let first: Vec<&str> = told.rows.iter().map(|(_, fields)| fields[0].as_str()).collect();
        assert_eq!(first, expected, "{content:?}");
        assert!(told.notes.contains(note), "{content:?}: {}", told.notes);
        assert_eq!(told.notes.is_empty(), note.is_empty(), "{content:?}: {}", told.notes);
    }

    #[track_caller]
    fn refused(name: &str, content: &str, expected: &str) {
        match read(name, content, &Dialect::default()) {
            Ok(told) => panic!("{content:?}: {:?}, {}", told.rows, told.notes),
            Err(error) => {
                assert!(error.to_string().contains(expected), "{content:?}: {error:?}");
                let hint = error.hint().unwrap().to_string();
                assert!(hint.contains("--"), "{content:?}: {hint}");
            }
        }
    }

    #[test]
    fn texts_of_several_lines_are_read_without_a_word() {
        for (content, expected) in [
            (
                "text,label\n\"good\nand, well, long\",1\nbad,0\n",
                &["good\nand, well, long", "bad"][..],
            ),
            // Lines of as many fields as the header, whose last ones are no labels.
            (
                "text,label\n\"I liked it, but\nnot the end, too\",1\nbad,0\nfine,1\n",
                &["I liked it, but\nnot the end, too", "bad", "fine"],
            ),
            (
                "text,label\n\"1,000\n2,000\",pos\nbad,neg\nb,pos\nc,neg\n",
                &["1,000\n2,000", "bad", "b", "c"],
            ),
            // Every row of several lines, with numbers in them.
            (
                "text,label\n\"Plot 5\nCast 4\",1\n\"Plot 1\nCast 2\",0\n\"a\n\nb\",1\n",
                &["Plot 5\nCast 4", "Plot 1\nCast 2", "a\n\nb"],
            ),
            // Quotes at the beginnings of lines, doubled as they must be.
            (
                "text,label\n\"he said:\n\"\"great\"\"\nand \"\"good\"\"\",1\n\"\"\"Wow\"\"\",0\n",
                &["he said:\n\"great\"\nand \"good\"", "\"Wow\""],
            ),
            // A backslash at the end of a text, and one before doubled quotes.
            (
                "text,label\n\"C:\\\",1\n\"a \\\"\"quoted\\\"\" b\nnext\",0\n",
                &["C:\\", "a \\\"quoted\\\" b\nnext"],
            ),
            ("text,label\n\"ends in \\\"\"\",1\n\"x\ny\",0\n", &["ends in \\\"", "x\ny"]),
            // A list of labels within a text.
            (
                "text,label\n\"pick one:\ngood, pos\nbad, neg\",pos\nb,neg\nc,pos\nd,neg\n",
                &["pick one:\ngood, pos\nbad, neg", "b", "c", "d"],
            ),
            ("text\n\"one\ntwo\"\nthree\n", &["one\ntwo", "three"]),
            ("text,label\n\"fine \"film\" this\",1\n\"b\" ,0\n", &["fine \"film\" this", "b"]),
            ("text,label\n5\" screen,1\n6\" screen,0\n", &["5\" screen", "6\" screen"]),
        ] {
            check("a.csv", content, expected, "");
        }
        check(
            "a.tsv",
            "text\tlabel\n\"one\tand\ntwo\tthree\"\t1\nb\t0\n",
            &["one\tand\ntwo\tthree", "b"],
            "",
        );
    }

    #[test]
    fn backslashes_before_quotes_are_taken_for_escapes_when_every_row_agrees() {
        let note = "escaped with a backslash";
        for (content, expected) in [
            // The row would take in the next one, label and all.
            (
                "text,label\n\"a\",0\n\"called it \\\"awful\\\"\",0\n\"next\",1\n\"last\",0\n",
                &["a", "called it \"awful\"", "next", "last"][..],
            ),
            (
                "text,label\n\"called it \\\"awful\\\"\",0\nnext,1\nlast,0\n",
                &["called it \"awful\"", "next", "last"],
            ),
            // Nothing would be lost but the backslashes.
            ("text,label\n\"the \\\"Wiz\\\" man\",1\n\"b\",0\n", &["the \"Wiz\" man", "b"]),
            (
                "text,label\n\"two\nlines \\\"here\\\"\",1\n\"\\\"b\\\"\",0\n",
                &["two\nlines \"here\"", "\"b\""],
            ),
            ("text,label\n\"C:\\new \\\"x\\\"\",1\nb,0\n", &["C:\\new \"x\"", "b"]),
            // Read as usual, the second row would take in the third without anything odd about it.
            ("text,label\na,0\n\"so, \\\"\",0\nthe 5\",1\nb,1\n", &["a", "so, \"", "the 5\"", "b"]),
            ("text,label\n\"last \\\"one\\\"\",1\n", &["last \"one\""]),
        ] {
            check("a.csv", content, expected, note);
        }
        // Where another row speaks against it, nothing is guessed.
        refused(
            "a.csv",
            "text,label\n\"it \\\"awful\\\"\",0\n\"next\",1\n\"b\",0,\n",
            "line 2: a quoted field that runs to line",
        );
        refused(
            "a.csv",
            "text,label\n\"it \\\"awful\\\"\",0\n\"C:\\\",1\n\"b\",0\n",
            "line 2: a quoted field that runs to line",
        );
        refused(
            "a.csv",
            "text,label\n\"it \\\"awful\\\"\",0\nnext,1\n5 \"x\" 6,0,1\n",
            "line 2: a quote is opened and never closed",
        );
    }

    #[test]
    fn an_opening_quote_without_a_meaning_never_takes_rows_in() {
        let note = "quotes mean nothing in this file";
        for (content, expected) in [
            (
                "text\tlabel\n\"Great movie\t1\nbad one\t0\nfine\t1\n",
                &["\"Great movie", "bad one", "fine"][..],
            ),
            // Closed by a quote of another row: one row of three lines.
            (
                "text\tlabel\n\"Great movie\t1\nbad one\t0\nthe end\"\t0\nfine\t1\nx\t0\n",
                &["\"Great movie", "bad one", "the end\"", "fine", "x"],
            ),
            (
                "text\tlabel\na\t1\n\"Great movie\t1\nbad one\t0\n\"Awful\t0\nfine\t1\n",
                &["a", "\"Great movie", "bad one", "\"Awful", "fine"],
            ),
            (
                "text\tlabel\n\"Great\" movie\t1\nbad\t0\nhe said \"wow\"\t1\nfine\t0\n",
                &["\"Great\" movie", "bad", "he said \"wow\"", "fine"],
            ),
            // Nothing would be lost but the quotes around it.
            (
                "text\tlabel\n\"Say \"hi\" or \"no\"\t1\nbad\t0\nfine\t1\n",
                &["\"Say \"hi\" or \"no\"", "bad", "fine"],
            ),
            // One of few texts that happens to be in quotes.
            (
                "text\tlabel\n\"Great\t1\n\"wow\"\t0\nbad\t0\nso\t1\n\"x\t0\n",
                &["\"Great", "\"wow\"", "bad", "so", "\"x"],
            ),
        ] {
            check("a.tsv", content, expected, note);
        }
        check(
            "a.tsv",
            "label\ttext\n1\t\"Great movie\n0\tbad one\n0\tthe end\"\n1\tfine\n0\tx\n1\ty\n0\tz\n",
            &["1", "0", "0", "1", "0", "1", "0"],
            note,
        );
        check(
            "a.csv",
            "text,label\n\"Great movie,1\nbad one,0\nthe end\",0\nfine,1\nx,0\n",
            &["\"Great movie", "bad one", "the end\"", "fine", "x"],
            note,
        );
        // Other fields are in quotes that mean something: only who wrote it knows.
        for (content, expected) in [
            (
                "text,label\n\"Bad one,0\n\"Fine, ok\",1\nx,0\n",
                "line 2: a quoted field that runs to line 3 holds quotes",
            ),
            (
                "text,label\na,1\n\"Bad one,0\nthe end\",1\n\"x, y\",0\nb,1\n",
                "line 3: a quoted field makes one row of 2 lines",
            ),
            (
                "text,label\na,1\n\"Bad one,0\nb,1\n\"x, y\",0\n",
                "line 3: a quoted field that runs to line 5",
            ),
            (
                "text,label\n\"x, y\",0\n\"Bad one,0\nb,1\n",
                "line 3: a quote is opened and never closed",
            ),
            (
                "id,text,label\n7,\"Bad, one,0\n8,good,1\n9,\"x, y\",0\n",
                "line 2: a quoted field that runs to line 4",
            ),
        ] {
            refused("a.csv", content, expected);
        }
    }

    #[test]
    fn single_quotes_are_quotes_where_that_makes_sense_of_every_row() {
        let note =
            "fields stand in single quotes (guessed, since otherwise: row 1 (line 2): 3 columns";
        check("a.csv", "text,label\n'a, it''s',1\nb,0\n", &["a, it's", "b"], note);
        check("a.csv", "'text','label'\n'a, b','1'\n'b','0'\n", &["a, b", "b"], note);
        // Where every row is read without them they are letters.
        check("a.csv", "text,label\n'a',1\n'b',0\n", &["'a'", "'b'"], "");
        for content in [
            "text,label\n'a, b' c,1\nb,0\n",
            "text,label\n'a, b,1\nb,0\n",
            "text,label\n'a, b',1\n\"b\",0\n",
        ] {
            refused("a.csv", content, "row 1 (line 2): 3 columns, the header has 2");
        }
    }

    #[test]
    fn what_is_named_is_taken_at_its_word() {
        let merged = "text,label\na,1\n\"Bad one,0\nthe end\",1\n\"x, y\",0\nb,1\n";
        let says = |quote: Option<Mark>, escape: Option<Mark>| Dialect {
            quote,
            escape,
            ..Dialect::default()
        };
        let told = read("a.csv", merged, &says(Some(Mark::Char('"')), None)).unwrap();
        assert_eq!(told.rows[1], (3, vec!["Bad one,0\nthe end".to_owned(), "1".to_owned()]));
        let told = read("a.csv", "text,label\n'it''s',1\n", &says(Some(Mark::Char('\'')), None));
        assert_eq!(told.unwrap().rows[0].1[0], "it's");
        let told = read("a.tsv", "text\tlabel\n\"a\"\t1\n", &says(Some(Mark::None), None)).unwrap();
        assert_eq!((told.rows[0].1[0].as_str(), told.notes.as_str()), ("\"a\"", ""));
        let backslash = "text,label\n\"the \\\"Wiz\\\" man\",1\n\"b\",0\n";
        let told = read("a.csv", backslash, &says(None, Some(Mark::None))).unwrap();
        assert_eq!(told.rows[0].1[0], "the \\\"Wiz\\\" man");
        let told = read("a.csv", backslash, &says(None, Some(Mark::Char('\\')))).unwrap();
        assert_eq!((told.rows[0].1[0].as_str(), told.notes.as_str()), ("the \"Wiz\" man", ""));
    }

    #[test]
    fn no_character_has_two_meanings() {
        let usual = Dialect::default;
        for dialect in [
            Dialect { delimiter: Some('"'), ..usual() },
            Dialect { quote: Some(Mark::Char(',')), ..usual() },
            Dialect { escape: Some(Mark::Char(',')), ..usual() },
        ] {
            let error = read("a.csv", "text,label\na,1\n", &dialect).unwrap_err();
            let said = error.to_string();
            assert!(said.ends_with("cannot be the delimiter and a quote or escape"), "{said}");
            assert!(error.hint().unwrap().to_string().contains("--quote none"), "{error:?}");
        }
        let bare = Dialect { delimiter: Some('"'), quote: Some(Mark::None), ..usual() };
        assert_eq!(read("a.csv", "text\"label\na\"1\n", &bare).unwrap().rows[0].1, ["a", "1"]);
    }

    #[test]
    fn another_delimiter_is_guessed_and_said() {
        for (name, content, n_columns, note) in [
            ("a.csv", "text;label\na, b;1\nc;0\n", 2, "semicolons"),
            ("a.csv", "text\tlabel\na, b\t1\nc\t0\n", 2, "tabs"),
            ("a.csv", "id|text|label\n1|a, b|1\n", 3, "'|'"),
            ("a.tsv", "text,label\na,1\n", 2, "commas"),
            ("a.csv", "\"text\";\"label\"\n\"a; b, c\";1\n", 2, "semicolons"),
            ("a.csv", "sep=;\ntext;label\na, b;1\nc;0\n", 2, "semicolons, as its first line says"),
            ("a.csv", "sep=^\r\ntext^label\r\na, b^1\r\n", 2, "'^', as its first line says"),
            ("a.csv", "sep=,\ntext,label\na,1\n", 2, "commas, as its first line says"),
            ("a.csv", "text;label\na, b;1\n  \nc;0\n \t\n", 2, "semicolons"),
            // Decimal commas, in the header's too.
            ("a.csv", "text;share (0,5)\na;0,5\nb;1,5\nc, d;2,5\n", 2, "semicolons"),
            ("a.csv", "text,label\na;b,1\nc;d,0\n", 2, ""),
            ("a.csv", "text\na; b\nc\n", 1, ""),
            ("a.csv", "my text; or so\na\nb\nc\n", 1, ""),
            ("a.tsv", "text\tlabel\na, b\t1\n", 2, ""),
            ("a.csv", "text;label\r\"a\rb\";1\rc;0\r", 2, "semicolons"),
        ] {
            let told = read(name, content, &Dialect::default()).unwrap();
            assert_eq!(told.rows[0].1.len(), n_columns, "{content:?}");
            assert!(told.notes.contains(note), "{content:?}: {}", told.notes);
            assert_eq!(told.notes.is_empty(), note.is_empty(), "{content:?}: {}", told.notes);
        }
        let dialect = Dialect { delimiter: Some(':'), ..Dialect::default() };
        let told = read("a.csv", "text:label\na,b:1\n", &dialect).unwrap();
        assert_eq!((told.rows[0].1[0].as_str(), told.notes.as_str()), ("a,b", ""));
    }

    #[test]
    fn lines_of_blanks_are_no_rows_of_several_columns() {
        check("a.csv", "text,label\na,1\n  \nb,0\n\t\n", &["a", "b"], "");
        check("a.csv", "text\na\n  \nb\n", &["a", "  ", "b"], "");
        refused("a.csv", "text,label\na,1\n\"  \"\nb,0\n", "row 2 (line 3): 1 column");
    }

    #[test]
    fn ragged_rows_are_named() {
        for (content, expected) in [
            ("text,label\na,1\nb,c,0\n", "row 2 (line 3): 3 columns, the header has 2"),
            ("text,label\n\"a\n\",1\nb\n", "row 2 (line 4): 1 column, the header has 2"),
            ("text,label\na,1,\n", "row 1 (line 2): 3 columns, the header has 2"),
        ] {
            refused("a.csv", content, expected);
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

        /// Whatever is written as RFC 4180 says is read back, and nothing is guessed of it.
        #[test]
        fn well_formed_files_are_read_as_they_were_written(
            texts in proptest::collection::vec("[a-c\"\\\\,;\t\n\r ]{0,12}z", 3..30),
            delimiter in proptest::sample::select(vec![',', '\t']),
            quotes_all in proptest::bool::ANY,
        ) {
            let quoted = |text: &str| {
                let needs = quotes_all || text.contains(['"', '\n', '\r', delimiter]);
                if needs { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
            };
            let mut content = format!("text{delimiter}label\n");
            for (idx, text) in texts.iter().enumerate() {
                content.push_str(&format!("{}{delimiter}{}\n", quoted(text), ["pos", "neg"][idx % 2]));
            }
            let name = if delimiter == ',' { "a.csv" } else { "a.tsv" };
            let told = read(name, &content, &Dialect::default()).unwrap();
            let found: Vec<&String> = told.rows.iter().map(|(_, fields)| &fields[0]).collect();
            proptest::prop_assert_eq!(found, texts.iter().collect::<Vec<_>>());
            proptest::prop_assert_eq!(told.notes, "");
        }
    }
}
