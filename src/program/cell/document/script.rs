//! Scripts: where one cell ends and the next one begins.

use trialbook::error::{Error, Result};

use super::Source;
use crate::{
    cell::{
        assistant::{Completeness, completeness},
        part::{PartKind, parts},
    },
    syntax::Depth,
};

/// The line between the cells of a `.rs` file, as Jupytext and editors know it.
const MARKER: &str = "// %%";

/// The inputs of `text`, cut as a person would submit them: each is complete, and nothing that the
/// next line goes on with is cut off.
pub fn inputs(text: &str) -> Vec<String> {
    let mut inputs = Vec::new();
    let mut input = String::new();
    let mut depth = Depth::default();
    let mut lines = without_interpreter(text).lines().peekable();
    while let Some(line) = lines.next() {
        if input.is_empty() && line.trim().is_empty() {
            continue;
        }
        if !input.is_empty() {
            input.push('\n');
        }
        input.push_str(line);
        depth.read(line);
        let is_open = !depth.at_rest() && !input.starts_with([':', '!']);
        let goes_on = is_open
            || is_remark(&input)
            || lines.peek().is_some_and(|next| goes_on_with(&input, next))
            || matches!(completeness::of(&input), Completeness::Incomplete { .. });
        if !goes_on {
            inputs.push(std::mem::take(&mut input).trim_end().to_owned());
            depth = Depth::default();
        }
    }
    if !input.trim().is_empty() {
        inputs.push(input.trim_end().to_owned());
    }
    inputs
}

/// The cells of `text`: what stands between the markers, or all of it where there are none. Between
/// markers `// :word` is the command `:word`, as Jupytext writes it; what it writes of a notebook's
/// text is passed over. A file without markers whose cells ran into each other, as
/// `nbconvert --to script` writes it, is cut where a person would submit.
///
/// # Errors
/// For Jupytext's light format, which does not say where a cell ends.
pub(super) fn marked_cells(text: &str) -> Result<Vec<Source>> {
    let text = without_interpreter(text);
    if !text.lines().any(|line| line.starts_with(MARKER)) {
        if text.lines().any(|line| line.trim_end() == "//       format_name: light") {
            return Err(Error::invalid(
                "a script in Jupytext's light format, which marks no cells",
            )
            .with_hint("write it with `jupytext --to rs:percent`"));
        }
        return Ok(unmarked_cells(text).into_iter().map(Source::of).collect());
    }
    let mut cells = vec![Source::default()];
    let mut is_code = true;
    for line in text.lines() {
        if let Some(head) = line.strip_prefix(MARKER) {
            is_code = !["[markdown]", "[md]", "[raw]"].iter().any(|kind| head.contains(kind));
            cells.push(Source::default().tagged(&tags(head)));
        } else if let Some(cell) = cells.last_mut().filter(|_| is_code) {
            cell.text.push_str(command_of(line));
            cell.text.push('\n');
        }
    }
    for cell in &mut cells {
        cell.text = cell.text.trim().to_owned();
    }
    // Jupytext's header is a remark before the first cell.
    if is_remark(&cells[0].text) {
        cells[0].text.clear();
    }
    cells.retain(|cell| !cell.text.is_empty());
    for (idx, cell) in cells.iter_mut().enumerate() {
        cell.idx = idx;
    }
    Ok(cells)
}

/// All of it, where that can run as one cell, else what a person would submit.
fn unmarked_cells(text: &str) -> Vec<String> {
    let runs_on = |text: &str| matches!(completeness::of(text), Completeness::Complete);
    let is_one = parts(text).iter().all(|part| match part.kind {
        PartKind::Rust => runs_on(part.text),
        // It would swallow what follows.
        PartKind::Command => !part.text.contains('\n'),
        PartKind::Shell => true,
    });
    match text.trim() {
        "" => Vec::new(),
        whole if is_one => vec![whole.to_owned()],
        _ => inputs(text),
    }
}

/// The tags in the head of a cell: `tags=["parameters"]`.
fn tags(head: &str) -> Vec<String> {
    let list = head.split_once("tags=").map_or("", |(_, list)| list);
    let end = list.find(']').map_or(0, |end| end + 1);
    serde_json::from_str(&list[..end]).unwrap_or_default()
}

/// A line without the slashes that Jupytext puts before a command, and before what only looks like
/// one that has them.
fn command_of(line: &str) -> &str {
    if is_commented_command(line) { &line[COMMENT.len()..] } else { line }
}

fn is_commented_command(line: &str) -> bool {
    let command = line.trim_start_matches(COMMENT);
    command.len() < line.len()
        && command
            .strip_prefix(':')
            .is_some_and(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
}

const COMMENT: &str = "// ";

/// `cells` as a script: with markers for `.rs`, with empty lines between for `.tb`.
pub(crate) fn write<'a>(cells: impl IntoIterator<Item = &'a str>, with_markers: bool) -> String {
    let mut text = String::new();
    for cell in cells {
        if with_markers {
            text.push_str(MARKER);
            text.push('\n');
        }
        for line in cell.trim_end().lines() {
            // It would be read as a command.
            if with_markers && is_commented_command(line) {
                text.push_str(COMMENT);
            }
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
    }
    text.pop();
    text
}

/// Without a first line `#!/usr/bin/env -S trialbook run`, which is for the system.
fn without_interpreter(text: &str) -> &str {
    match text.starts_with("#!") && !text.starts_with("#![") {
        true => text.split_once('\n').map_or("", |(_, rest)| rest),
        false => text,
    }
}

/// True if `input` holds nothing but remarks: they belong to what follows.
fn is_remark(input: &str) -> bool {
    input.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("//"))
}

/// True if `next` goes on with `input`: a method, the other branch, or an operand set further in.
fn goes_on_with(input: &str, next: &str) -> bool {
    if input.starts_with([':', '!']) {
        return false;
    }
    let line = next.trim_start();
    let is_method = line.starts_with(['.', '?']) && !line.starts_with("..");
    let is_branch = ["else ", "else{", "where "].iter().any(|word| line.starts_with(word));
    let is_over = input.trim_end().ends_with([';', '}']);
    is_method || is_branch || !is_over && next.starts_with(char::is_whitespace) && !line.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_cut_where_a_person_would_submit() {
        for (text, expected) in [
            ("", &[][..]),
            ("1 + 1\n2 + 2\n", &["1 + 1", "2 + 2"]),
            (":data sample\nlet a = 1;", &[":data sample", "let a = 1;"]),
            ("let a = 1\n    .max(2);\na", &["let a = 1\n    .max(2);", "a"]),
            ("let a = b\n    + c;", &["let a = b\n    + c;"]),
            ("fn f() {\n    1\n}\n\nf()", &["fn f() {\n    1\n}", "f()"]),
            ("if a {\n1\n}\nelse {\n2\n}", &["if a {\n1\n}\nelse {\n2\n}"]),
            ("// why\nlet a = 1;", &["// why\nlet a = 1;"]),
            ("#[derive(Debug)]\nstruct S;", &["#[derive(Debug)]\nstruct S;"]),
            (":train tfidf \\\n --data x\n1", &[":train tfidf \\\n --data x", "1"]),
            (":sql\nselect 1\nfrom x;\n1", &[":sql\nselect 1\nfrom x;", "1"]),
            (":sql\nselect 1\n\n1", &[":sql\nselect 1", "1"]),
            (":predict don't\n1", &[":predict don't", "1"]),
            ("#!/usr/bin/env trialbook\n1", &["1"]),
            ("let s = \"\n:quit\n\";\n1", &["let s = \"\n:quit\n\";", "1"]),
            ("fn f( {", &["fn f( {"]),
            ("}\n1", &["}", "1"]),
        ] {
            assert_eq!(inputs(text), expected, "{text:?}");
        }
    }

    fn marked(text: &str) -> Vec<String> {
        marked_cells(text).expect("cells").into_iter().map(|cell| cell.text).collect()
    }

    #[test]
    fn markers_part_the_cells_of_rust() {
        for (text, expected) in [
            ("let a = 1;\n\nlet b = 2;\n", &["let a = 1;\n\nlet b = 2;"][..]),
            ("// %%\na\n\n// %% [title]\nb\n", &["a", "b"]),
            (
                "// %%\n// :data sample\n// %%\n// :sql\nselect 1",
                &[":data sample", ":sql\nselect 1"],
            ),
            ("// %%\n// // :note\n1", &["// :note\n1"]),
            ("// %%\n// remark: b\n1", &["// remark: b\n1"]),
            (
                "// ---\n// jupyter:\n// ---\n\n// %% [markdown]\n// # Title\n// :not this\n\n// %%\n1",
                &["1"],
            ),
            // What nbconvert writes: no markers, commands as they are.
            ("1 + 1\n\nlet a = 2;\n\na\n", &["1 + 1", "let a = 2;", "a"]),
            (":sql\nselect 1\n\nlet a = 2;\na", &[":sql\nselect 1", "let a = 2;", "a"]),
            (":data list\nlet a = 2;\na", &[":data list\nlet a = 2;\na"]),
        ] {
            assert_eq!(marked(text), expected, "{text:?}");
        }
        let light = "// ---\n//       format_name: light\n// ---\n1";
        assert!(marked_cells(light).unwrap_err().to_string().contains("light"));
    }

    #[test]
    fn a_marker_may_carry_tags() {
        let text = "// %% tags=[\"parameters\"]\n1\n// %% a tags=[\"raises-exception\", \"x\"]\n2\n// %%\n3";
        let cells = marked_cells(text).unwrap();
        let flags: Vec<_> =
            cells.iter().map(|it| (it.idx, it.is_parameters, it.may_fail)).collect();
        assert_eq!(flags, [(0, true, false), (1, false, true), (2, false, false)]);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let cells = [":sql\nselect 1", "let a = 1;", "fn f() {\n    2\n}", "// :note\n1"];
        assert_eq!(inputs(&write(cells, false)), cells);
        assert_eq!(marked(&write(cells, true)), cells);
    }
}
