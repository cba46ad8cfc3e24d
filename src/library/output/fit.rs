//! Fits a table into a terminal that is narrower than it: free text is wrapped at blanks, and what
//! still does not fit loses whole columns, those that the table can do without first, then from the
//! last but one on: first and last say which row it is and what it comes to. A table that can do
//! without none is cut into parts. A head, a number, an id, a stage or a date is never broken, for
//! half of one misleads, unless two columns alone are too wide. It refuses nothing.
//!
//! comfy-table, which draws the table, would break numbers and ids wherever a column ends.

use unicode_width::UnicodeWidthStr as _;

use super::align::Align;

/// Blanks between two columns.
const GAP: usize = 2;
/// Free text is not squeezed into fewer columns than this.
const MIN_TEXT: usize = 12;
/// Words longer than this may be broken, and so may cells without a blank that are longer than an
/// SHA-256: no width could be promised to them.
const MAX_WORD: usize = 24;
const MAX_CELL: usize = 64;

/// The columns that are shown, by their indices, and how wide each may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) shown: Vec<usize>,
    pub(super) widths: Vec<usize>,
}

/// The widest layout of the columns `wanted` of `columns` with their `rows` in `room` columns. Where
/// there is not room for all of them, those of `first_to_go` are the first to go.
pub(super) fn fit(
    columns: &[(String, Align)],
    rows: &[Vec<String>],
    wanted: &[usize],
    first_to_go: &[usize],
    room: usize,
) -> Fit {
    let mut shown = wanted.to_vec();
    let mut sizes: Vec<Size> = shown.iter().map(|&idx| size(columns, rows, idx)).collect();
    let mut first_to_go = first_to_go.iter();
    while sizes.len() > 2 && total(&sizes) > room {
        let dispensable = first_to_go.next().map(|next| shown.iter().position(|idx| idx == next));
        let place = match dispensable {
            Some(None) => continue,
            Some(Some(place)) => place,
            None => sizes.len() - 2,
        };
        sizes.remove(place);
        shown.remove(place);
    }
    let mut spare = room.saturating_sub(total(&sizes));
    let mut widths: Vec<usize> = sizes.iter().map(|size| size.least).collect();
    // Each takes the same share of what is left until it has what it wants.
    loop {
        let wanting: Vec<usize> =
            (0..widths.len()).filter(|&idx| widths[idx] < sizes[idx].whole).collect();
        if wanting.is_empty() || spare == 0 {
            break;
        }
        let share = (spare / wanting.len()).max(1);
        for idx in wanting {
            let more = share.min(spare).min(sizes[idx].whole - widths[idx]);
            widths[idx] += more;
            spare -= more;
        }
    }
    let excess = total(&sizes).saturating_sub(room);
    if let Some(widest) = widths.iter_mut().max() {
        *widest = widest.saturating_sub(excess).max(1);
    }
    Fit { shown, widths }
}

/// All columns in parts that fit into `room` columns each, every part beginning with the first one.
pub(super) fn parts(
    columns: &[(String, Align)],
    rows: &[Vec<String>],
    room: usize,
) -> Vec<Vec<usize>> {
    let least: Vec<usize> = (0..columns.len()).map(|idx| size(columns, rows, idx).least).collect();
    let mut parts = vec![vec![0]];
    let mut used = least[0];
    for (idx, width) in least.iter().enumerate().skip(1) {
        let part = parts.last_mut().expect("there is a part from the start");
        if part.len() > 1 && used + GAP + width > room {
            parts.push(vec![0, idx]);
            used = least[0] + GAP + width;
        } else {
            part.push(idx);
            used += GAP + width;
        }
    }
    parts
}

fn size(columns: &[(String, Align)], rows: &[Vec<String>], idx: usize) -> Size {
    Size::of(&columns[idx], rows.iter().map(|row| row[idx].as_str()))
}

/// The room that these columns need at least.
fn total(sizes: &[Size]) -> usize {
    sizes.iter().map(|size| size.least).sum::<usize>() + GAP * sizes.len().saturating_sub(1)
}

/// The width of a column as it stands, and the narrowest it may become.
struct Size {
    whole: usize,
    least: usize,
}

impl Size {
    fn of<'a>((head, align): &(String, Align), cells: impl Iterator<Item = &'a str>) -> Self {
        let (mut whole, mut word, mut is_free) = (head.width(), 0, false);
        for cell in cells {
            let lines = cell.lines().map(|line| line.width());
            whole = whole.max(lines.max().unwrap_or(0));
            word = word.max(cell.split_whitespace().map(|word| word.width()).max().unwrap_or(0));
            // A date with its time is two words and no text.
            is_free |= *align == Align::Left
                && (cell.split_whitespace().nth(2).is_some() || cell.width() > MAX_CELL);
        }
        let least = match is_free {
            true => head.width().max(word.min(MAX_WORD)).max(MIN_TEXT).min(whole),
            false => whole,
        };
        Self { whole, least }
    }
}

/// `cell` in lines of at most `width` columns: broken at blanks, and within a word only where that
/// is longer than a line.
pub(super) fn wrap(cell: &str, width: usize) -> String {
    cell.lines().map(|line| wrap_line(line, width.max(1))).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, width: usize) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let last = lines.last_mut().expect("there is a line from the start");
        if last.is_empty() {
            last.push_str(word);
        } else if last.width() + 1 + word.width() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
        while let Some(end) = lines.last().and_then(|last| overflow(last, width)) {
            let last = lines.last_mut().expect("it overflows");
            let rest = last.split_off(end);
            lines.push(rest);
        }
    }
    lines.join("\n")
}

/// The place where a line that is wider than `width` has to be broken.
fn overflow(line: &str, width: usize) -> Option<usize> {
    for (idx, letter) in line.char_indices() {
        let end = idx + letter.len_utf8();
        if line[..end].width() > width {
            // At least one letter, however wide.
            return Some(if idx == 0 { end } else { idx }).filter(|at| *at < line.len());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    fn columns(heads: &[&str]) -> Vec<(String, Align)> {
        heads.iter().map(|head| ((*head).to_owned(), Align::Left)).collect()
    }

    #[test]
    fn free_text_gives_way_and_nothing_else() {
        let heads = columns(&["run", "started", "details"]);
        let rows = rows(&[&["09153043", "2026-11-27 10:14:09", "None → Production; it is better"]]);
        let check = |room, shown: &[usize], widths: &[usize]| {
            let found = fit(&heads, &rows, &[0, 1, 2], &[], room);
            assert_eq!(
                (found.shown.as_slice(), found.widths.as_slice()),
                (shown, widths),
                "{room}"
            );
        };
        check(100, &[0, 1, 2], &[8, 19, 31]);
        check(60, &[0, 1, 2], &[8, 19, 29]);
        check(43, &[0, 1, 2], &[8, 19, 12]);
        // No room for the longest words: the last but one goes.
        check(42, &[0, 2], &[8, 31]);
        check(22, &[0, 2], &[8, 12]);
        check(20, &[0, 2], &[8, 10]);
    }

    #[test]
    fn what_no_width_can_be_promised_to_is_broken() {
        let (heads, rows) = (columns(&["text", "label"]), rows(&[&[&"x".repeat(300), "spam"]]));
        assert_eq!(fit(&heads, &rows, &[0, 1], &[], 80).widths, [73, 5]);
    }

    #[test]
    fn lines_break_at_blanks() {
        for (cell, width, expected) in [
            ("rolled back from version 2", 12, "rolled back\nfrom version\n2"),
            ("one\ntwo three", 5, "one\ntwo\nthree"),
            ("abcdefgh ij", 3, "abc\ndef\ngh\nij"),
            ("日本語", 4, "日本\n語"),
            ("日本", 1, "日\n本"),
            ("short", 9, "short"),
            ("", 4, ""),
        ] {
            assert_eq!(wrap(cell, width), expected, "{cell:?} in {width}");
        }
    }
}
