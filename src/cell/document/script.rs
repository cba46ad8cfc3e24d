//! Scripts: where one cell ends and the next one begins.

use crate::cell::{
    assistant::{Completeness, completeness},
    part::Depth,
};

/// What stands between the cells of a `.rs` file, as Jupytext and editors know it.
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

/// The cells of `text` between the markers; all of it is one cell where there are none.
pub(super) fn marked_cells(text: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    for line in without_interpreter(text).lines() {
        if line.starts_with(MARKER) {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push_str(line);
            cell.push('\n');
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

/// `cells` as a script: with markers for `.rs`, with empty lines between for `.tb`.
pub(crate) fn write<'a>(cells: impl IntoIterator<Item = &'a str>, with_markers: bool) -> String {
    let mut text = String::new();
    for cell in cells {
        if with_markers {
            text.push_str(MARKER);
            text.push('\n');
        }
        text.push_str(cell.trim_end());
        text.push_str("\n\n");
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

/// Whether `input` holds nothing but remarks: they belong to what follows.
fn is_remark(input: &str) -> bool {
    input.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("//"))
}

/// Whether `next` goes on with `input`: a method, the other branch, or an operand set further in.
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

    #[test]
    fn markers_part_the_cells_of_rust() {
        for (text, expected) in [
            ("let a = 1;\n\nlet b = 2;\n", &["let a = 1;\n\nlet b = 2;"][..]),
            ("// %%\na\n\n// %% [title]\nb\n", &["a", "b"]),
        ] {
            assert_eq!(marked_cells(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let cells = [":sql\nselect 1", "let a = 1;", "fn f() {\n    2\n}"];
        assert_eq!(inputs(&write(cells, false)), cells);
        assert_eq!(marked_cells(&write(cells, true)), cells);
    }
}
