//! What a reader can do next, as data: text, and commands as words. Each front end spells the commands
//! as one types them there, and nobody has to look for them in finished text, where a user's rows stand
//! too. This file knows no verb.

use std::{
    fmt::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::{Serialize, Serializer};

use crate::figure::shell_word;

/// How commands are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// In a terminal, and by whoever asks a server: `` `trialbook promote M 2` ``.
    Program,
    /// In a cell of the shell or of a notebook: `` `:promote M 2` ``.
    Cell,
}

/// Whether this process runs cells and nothing else.
static RUNS_CELLS: AtomicBool = AtomicBool::new(false);

impl Spelling {
    /// That of this process, for what is shown without a front end: `Display` and `Debug`.
    pub fn of_process() -> Self {
        if RUNS_CELLS.load(Ordering::Relaxed) { Self::Cell } else { Self::Program }
    }

    /// Says that this process runs cells and nothing else.
    pub(crate) fn set_cells() {
        RUNS_CELLS.store(true, Ordering::Relaxed);
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Program => "trialbook ",
            Self::Cell => ":",
        }
    }
}

/// A sentence, or several lines, that may name commands.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::hint::{CommandLine, Hint, Spelling};
/// let hint = Hint::new()
///     .say("gate it with ")
///     .run(CommandLine::new("gate").arg("my model").arg(2))
///     .say(" first");
/// assert_eq!(hint.spelled(Spelling::Program), "gate it with `trialbook gate 'my model' 2` first");
/// assert_eq!(hint.spelled(Spelling::Cell), "gate it with `:gate 'my model' 2` first");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Hint {
    pieces: Vec<Piece>,
}

/// One piece of a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text that stays as it is.
    Say(String),
    /// A command, shown in backticks.
    Run(CommandLine),
}

/// A command as its words, without the program's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<Word>,
}

/// One word of a command, or several that stand as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// Verbs, flags and placeholders: `promote`, `--force`, `VERSION`.
    Written(&'static str),
    /// What may be anything, such as a model's name: in quotes where it has to be.
    Value(String),
}

impl Hint {
    /// A hint that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with text.
    #[must_use]
    pub fn say(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece::Say(text.into()));
        self
    }

    /// Goes on with a command.
    #[must_use]
    pub fn run(mut self, command: impl Into<CommandLine>) -> Self {
        self.pieces.push(Piece::Run(command.into()));
        self
    }

    /// Goes on with another hint.
    #[must_use]
    pub fn and(mut self, other: impl Into<Self>) -> Self {
        self.pieces.extend(other.into().pieces);
        self
    }

    /// The text with commands as they are typed there.
    pub fn spelled(&self, spelling: Spelling) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Say(said) => text.push_str(said),
                Piece::Run(command) => {
                    let _ = write!(text, "`{}`", command.spelled(spelling));
                }
            }
        }
        text
    }
}

/// As it is typed in this process.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(Spelling::of_process()))
    }
}

impl fmt::Debug for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// For programs: as it is typed in a terminal.
impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelled(Spelling::Program))
    }
}

/// Compares with how it is typed in a terminal.
impl PartialEq<&str> for Hint {
    fn eq(&self, other: &&str) -> bool {
        self.spelled(Spelling::Program) == *other
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Self::new().say(text)
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::new().say(text)
    }
}

impl CommandLine {
    /// A command that begins with `words`, which are written as they are: `models show`.
    pub fn new(words: &'static str) -> Self {
        Self { words: vec![Word::Written(words)] }
    }

    /// Goes on with a value, which stays one word whatever it holds.
    #[must_use]
    pub fn arg(mut self, value: impl fmt::Display) -> Self {
        self.words.push(Word::Value(value.to_string()));
        self
    }

    /// Goes on with words that are written as they are: `--force --reason "…"`.
    #[must_use]
    pub fn written(mut self, words: &'static str) -> Self {
        self.words.push(Word::Written(words));
        self
    }

    /// The line as it is typed there.
    pub fn spelled(&self, spelling: Spelling) -> String {
        let mut line = spelling.prefix().to_owned();
        for (idx, word) in self.words.iter().enumerate() {
            if idx > 0 {
                line.push(' ');
            }
            match word {
                Word::Written(words) => line.push_str(words),
                Word::Value(value) => line.push_str(&shell_word(value)),
            }
        }
        line
    }
}

impl From<&'static str> for CommandLine {
    fn from(words: &'static str) -> Self {
        Self::new(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_commands_mix_and_only_commands_are_spelled() {
        let hint = Hint::new()
            .run("store verify")
            .say(" or `trialbook data` or ")
            .and(Hint::new().run(CommandLine::new("promote").arg("a b").arg(2).written("--force")))
            .and("!");
        assert_eq!(
            hint.spelled(Spelling::Program),
            "`trialbook store verify` or `trialbook data` or `trialbook promote 'a b' 2 --force`!"
        );
        assert_eq!(
            hint.spelled(Spelling::Cell),
            "`:store verify` or `trialbook data` or `:promote 'a b' 2 --force`!"
        );
        assert_eq!(hint.to_string(), hint.spelled(Spelling::Program));
    }

    #[test]
    fn a_value_stays_one_word() {
        for (value, word) in [
            ("Reviews", "Reviews"),
            ("by stance", "'by stance'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("a`b", "'a`b'"),
            ("\\", "'\\'"),
            ("", "''"),
        ] {
            let line = CommandLine::new("gate").arg(value);
            assert_eq!(line.spelled(Spelling::Program), format!("trialbook gate {word}"));
            assert_eq!(line.spelled(Spelling::Cell), format!(":gate {word}"));
        }
    }

    #[test]
    fn a_terminal_s_shell_reads_the_words_that_were_meant() {
        let values = ["by stance", "it's", "$HOME", "a`b", "\\", "", "*", "a;b", "\"", "é"];
        let line = values.iter().fold(CommandLine::new("gate"), |line, value| line.arg(value));
        let script = format!(
            "trialbook() {{ printf '%s\\n' \"$@\"; }}; {}",
            line.spelled(Spelling::Program)
        );
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read.split('\n').collect::<Vec<_>>(), [&["gate"][..], &values, &[""]].concat());
    }
}
