//! A generated program and where each of its bytes comes from, so that the compiler's messages and
//! panics can be told in the person's own lines.

use std::{ops::Range, sync::Arc};

/// A text that a person submitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CellText {
    /// Its number, as the front end counts.
    pub(crate) number: u64,
    /// All of it, commands included.
    pub(crate) text: String,
}

/// A place in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The cell.
    pub(crate) cell: Arc<CellText>,
    /// The place in its text, in bytes.
    pub(crate) range: Range<usize>,
}

/// The purpose of generated code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Takes a variable out of the store.
    Take(String),
    /// Puts a variable back that the cell had taken.
    Restore(String),
    /// Keeps a variable that the cell declared.
    Put(String),
    /// Asks the compiler for a type.
    Probe(String),
}

/// The program's text with its origins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    text: String,
    copied: Vec<(Range<usize>, Place)>,
    stood_for: Vec<(Range<usize>, Place)>,
    roles: Vec<(Range<usize>, Role)>,
}

impl Program {
    /// Appends generated code.
    pub(crate) fn push(&mut self, code: &str) {
        self.text.push_str(code);
        self.text.push('\n');
    }

    /// Appends generated code whose errors mean something.
    pub(crate) fn push_role(&mut self, code: &str, role: Role) {
        let start = self.text.len();
        self.push(code);
        self.roles.push((start..self.text.len(), role));
    }

    /// Appends a piece of a cell.
    pub(crate) fn copy(&mut self, place: &Place) {
        let start = self.text.len();
        let piece = place.cell.text.get(place.range.clone()).unwrap_or_default();
        self.text.push_str(piece);
        self.copied.push((start..self.text.len(), place.clone()));
        self.text.push('\n');
    }

    /// Appends `code`, whose errors are those of `place`.
    pub(crate) fn copy_as(&mut self, code: &str, place: &Place) {
        let start = self.text.len();
        self.push(code);
        self.stood_for.push((start..self.text.len(), place.clone()));
    }

    /// The program.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The place in a cell that the bytes `range` were copied from.
    pub(crate) fn place(&self, range: &Range<usize>) -> Option<Place> {
        let holds = |held: &Range<usize>| held.contains(&range.start);
        if let Some((_, place)) = self.stood_for.iter().find(|(held, _)| holds(held)) {
            return Some(place.clone());
        }
        // What points behind the last character of a piece is about its end.
        let touches = |held: &Range<usize>| holds(held) || held.end == range.start;
        let (copied, place) = self.copied.iter().find(|(held, _)| touches(held))?;
        let start = place.range.start + (range.start - copied.start);
        let length = range.len().min(copied.end - range.start);
        Some(Place { cell: Arc::clone(&place.cell), range: start..start + length })
    }

    /// The end of the piece of a cell that was copied last before byte `at`.
    pub(crate) fn place_before(&self, at: usize) -> Option<Place> {
        let (_, place) = self.copied.iter().rev().find(|(held, _)| held.end <= at)?;
        let text = place.cell.text.get(place.range.clone())?;
        let end = place.range.start + text.trim_end().len();
        Some(Place { cell: Arc::clone(&place.cell), range: end..end })
    }

    /// The purpose of the generated code at `range`.
    pub(crate) fn role(&self, range: &Range<usize>) -> Option<&Role> {
        let holds = |role: &Range<usize>| role.start <= range.start && range.start < role.end;
        self.roles.iter().find(|(role, _)| holds(role)).map(|(_, role)| role)
    }

    /// The place in a cell of a line and a column of characters, both from 1, as a panic tells them.
    pub(crate) fn place_of(&self, line: u32, column: u32) -> Option<Place> {
        let line_idx = usize::try_from(line.checked_sub(1)?).ok()?;
        let start: usize = self.text.split_inclusive('\n').take(line_idx).map(str::len).sum();
        let chars = usize::try_from(column.checked_sub(1)?).ok()?;
        let within: usize = self.text.get(start..)?.chars().take(chars).map(char::len_utf8).sum();
        self.place(&(start + within..start + within))
    }
}

impl Place {
    /// Line and column of characters, both from 1.
    pub(crate) fn line_and_column(&self) -> (usize, usize) {
        let before = self.cell.text.get(..self.range.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The lines that the place touches, with the number of the first.
    pub(crate) fn lines(&self) -> (usize, Vec<&str>) {
        let (first, _) = self.line_and_column();
        let inside = self.cell.text.get(self.range.clone()).unwrap_or_default();
        let n_lines = inside.trim_end().matches('\n').count() + 1;
        (first, self.cell.text.lines().skip(first - 1).take(n_lines).collect())
    }

    /// `cell 3, line 2`.
    pub(crate) fn name(&self) -> String {
        format!("cell {}, line {}", self.cell.number, self.line_and_column().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, range: Range<usize>) -> Place {
        Place { cell: Arc::new(CellText { number: 3, text: text.to_owned() }), range }
    }

    #[test]
    fn a_copied_byte_leads_back_to_its_cell() {
        let mut program = Program::default();
        program.push("fn generated() {");
        program.copy(&place("let a = 1;\nlet é = boom();", 11..27));
        let at = program.text().find("boom").expect("copied");
        let found = program.place(&(at..at + 4)).expect("a place");
        assert_eq!(&found.cell.text[found.range.clone()], "boom");
        assert_eq!(found.line_and_column(), (2, 9));
        assert_eq!(program.place_of(2, 9), Some(Place { range: 20..20, ..found }));
        assert_eq!(program.place(&(0..2)), None);
    }

    #[test]
    fn generated_code_tells_what_it_is_for() {
        let mut program = Program::default();
        program.push("a");
        program.push_role("put(b)", Role::Put("b".into()));
        assert_eq!(program.role(&(4..5)), Some(&Role::Put("b".into())));
        assert_eq!(program.role(&(0..1)), None);
    }
}
