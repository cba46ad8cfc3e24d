//! Questions a cell asks the person, in the way of the crate `evcxr_input`: a line on stdout that
//! the front end understands, the answer on stdin.

use std::io::{self, Write};

use crate::error::{Error, ErrorKind, Result};

/// Asks the person for a line.
///
/// # Errors
/// When nobody can answer.
pub fn input(prompt: &str) -> Result<String> {
    ask("EVCXR_INPUT_REQUEST", prompt)
}

/// Asks the person for a line that is not shown while it is typed.
///
/// # Errors
/// When nobody can answer.
pub fn password(prompt: &str) -> Result<String> {
    ask("EVCXR_INPUT_REQUEST_PASSWORD", prompt)
}

fn ask(request: &str, prompt: &str) -> Result<String> {
    let failed = |source: io::Error| {
        Error::new(ErrorKind::Io, format!("cannot ask {prompt:?}")).with_source(source)
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{request}:{}", prompt.replace('\n', " "))
        .and_then(|()| stdout.flush())
        .map_err(failed)?;
    drop(stdout);
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
