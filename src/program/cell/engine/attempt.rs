//! Compiles a cell until it stands: each time without what the compiler says cannot be put back into
//! the store, because the cell moves it or because it borrows.

use std::path::PathBuf;

use crate::cell::engine::{
    compiler::{Compiler, Refusal, Settings},
    diagnostic::Diagnostic,
    generate::Draft,
    program::{Program, Role},
    running::Running,
};

/// The number of times that a cell is compiled again without a variable that it turned out to move.
const MAX_ATTEMPTS: usize = 6;

/// The shared object with its program and what to tell the person; or why there is none, with the
/// program that was refused and its name.
pub(super) type Attempted =
    std::result::Result<(PathBuf, Program, Vec<String>), Box<(Refusal, Program, String)>>;

/// Compiles a draft, each time without the variables that the compiler says cannot be put back.
pub(super) fn attempts(
    compiler: &Compiler,
    settings: &Settings,
    running: &Running,
    draft: &mut Draft<'_>,
    first: Program,
    number: usize,
) -> Attempted {
    let mut program = first;
    let mut notes = Vec::new();
    let mut attempt = 1;
    loop {
        let name = format!("cell_{number}_{attempt}");
        let errors = match compiler.compile(&program, &name, settings, running) {
            Ok(library) => return Ok((library, program, notes)),
            Err(Refusal::Errors(errors)) => errors,
            Err(refusal) => return Err(Box::new((refusal, program, name))),
        };
        let file = Compiler::file(&name);
        let before = draft.left_out.len();
        for error in &errors.list {
            leave_out(error, &program, &file, draft, &mut notes);
        }
        if draft.left_out.len() == before || attempt == MAX_ATTEMPTS {
            return Err(Box::new((Refusal::Errors(errors), program, name)));
        }
        program = draft.program();
        attempt += 1;
    }
}

fn leave_out(
    error: &Diagnostic,
    program: &Program,
    file: &str,
    draft: &mut Draft<'_>,
    notes: &mut Vec<String>,
) {
    const MOVED: [&str; 3] = ["E0381", "E0382", "E0505"];
    const BORROWED: [&str; 9] =
        ["E0310", "E0373", "E0499", "E0502", "E0506", "E0515", "E0521", "E0597", "E0716"];
    let code = error.code().unwrap_or_default();
    let roles = error.roles(program, file);
    let borrower = roles
        .iter()
        .find(|role| matches!(role, Role::Put(_)) && !error.is_about(role, program, file));
    let (role, borrows) = match (roles.as_slice(), borrower) {
        // A variable cannot be kept because another one, kept after it, still borrows from it.
        (_, Some(borrower)) if code == "E0505" => (*borrower, true),
        ([role, ..], _) if MOVED.contains(&code) => (*role, false),
        (roles, _) if BORROWED.contains(&code) || code.is_empty() => {
            match roles.iter().find(|role| matches!(role, Role::Put(_))) {
                Some(role) => (*role, true),
                None => return,
            }
        }
        _ => return,
    };
    if matches!(role, Role::Take(_) | Role::Probe(_)) || !draft.left_out.insert(role.clone()) {
        return;
    }
    if let (Role::Put(name), true) = (role, borrows) {
        notes.push(format!(
            "`{name}` lives only in this cell: it borrows from something that does not outlive it; \
             clone what it points to if a later cell needs it"
        ));
    }
}
