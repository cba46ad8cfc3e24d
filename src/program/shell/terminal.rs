//! The terminal, file or pipe at the other end of stdin, stdout and stderr, and its abilities.

use std::io::{self, IsTerminal};

/// The abilities of the person's terminal, as the environment tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// True if keys come in and text goes out to a person.
    pub(crate) is_interactive: bool,
    /// True if stdout takes colours.
    pub(crate) colours: bool,
    /// True if stderr takes colours.
    pub(crate) error_colours: bool,
    /// True if lines that are out can be drawn again.
    pub(crate) redraws: bool,
    /// The way it shows pictures.
    pub(crate) pictures: Option<Pictures>,
}

/// The two protocols for pictures in a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pictures {
    /// <https://sw.kovidgoyal.net/kitty/graphics-protocol/>
    Kitty,
    /// <https://iterm2.com/documentation-images.html>
    Iterm,
}

impl Terminal {
    /// The terminal of this process.
    pub(crate) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let stdout = io::stdout().is_terminal();
        Self::of(io::stdin().is_terminal(), stdout, io::stderr().is_terminal(), &variable)
    }

    fn of(stdin: bool, stdout: bool, stderr: bool, variable: &dyn Fn(&str) -> String) -> Self {
        let term = variable("TERM");
        let is_dumb = matches!(term.as_str(), "" | "dumb");
        // <https://no-color.org>: present and not empty, whatever its value.
        let may_colour = !is_dumb && variable("NO_COLOR").is_empty();
        Self {
            is_interactive: stdin && stdout,
            colours: stdout && may_colour,
            error_colours: stderr && may_colour,
            redraws: stdout && !is_dumb,
            pictures: (stdout && !is_dumb).then(|| pictures(&term, variable)).flatten(),
        }
    }

    /// Its width in columns; `None` when text goes into a file or a pipe and stays unwrapped.
    pub(crate) fn width() -> Option<u16> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        // A terminal that does not say how wide it is has no columns at all.
        terminal_size::terminal_size_of(&stdout)
            .map(|(width, _)| width.0)
            .filter(|width| *width > 0)
    }
}

fn pictures(term: &str, variable: &dyn Fn(&str) -> String) -> Option<Pictures> {
    // A multiplexer inherits the variables of the terminal around it, yet not its abilities.
    if term.starts_with("tmux") || term.starts_with("screen") || !variable("TMUX").is_empty() {
        return None;
    }
    match variable("TERM_PROGRAM").as_str() {
        "iTerm.app" | "WezTerm" => Some(Pictures::Iterm),
        "ghostty" => Some(Pictures::Kitty),
        _ if term == "xterm-kitty" || !variable("KITTY_WINDOW_ID").is_empty() => {
            Some(Pictures::Kitty)
        }
        _ => None,
    }
}

/// `text` without its ANSI sequences, for where they would be seen as junk.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\u{1b}' {
            plain.push(char);
        } else if chars.next() == Some('[') {
            // A control sequence ends with a character from `@` to `~`.
            chars.find(|end| ('@'..='~').contains(end));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(variables: &[(&str, &str)]) -> Terminal {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map_or_else(String::new, |(_, value)| (*value).to_owned())
        };
        Terminal::of(true, true, true, &variable)
    }

    #[test]
    fn colours_and_pictures_go_where_they_are_understood() {
        let xterm = terminal(&[("TERM", "xterm-256color")]);
        assert!(xterm.colours && xterm.redraws && xterm.pictures.is_none());
        let plain = terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
        assert!(!plain.colours && !plain.error_colours && plain.redraws);
        let dumb = terminal(&[("TERM", "dumb"), ("KITTY_WINDOW_ID", "1")]);
        assert!(!dumb.colours && !dumb.redraws && dumb.pictures.is_none());
        let kitty = [("TERM", "xterm-kitty"), ("KITTY_WINDOW_ID", "1")];
        assert_eq!(terminal(&kitty).pictures, Some(Pictures::Kitty));
        let inside = [("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")];
        assert_eq!(terminal(&inside).pictures, None);
        let wez = [("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")];
        assert_eq!(terminal(&wez).pictures, Some(Pictures::Iterm));
    }

    #[test]
    fn sequences_leave_the_text_alone() {
        for (text, expected) in [
            ("\u{1b}[1;31merror\u{1b}[0m: x", "error: x"),
            ("no colours ü", "no colours ü"),
            ("\u{1b}[", ""),
            ("\u{1b}", ""),
        ] {
            assert_eq!(without_colours(text), expected, "{text:?}");
        }
    }
}
