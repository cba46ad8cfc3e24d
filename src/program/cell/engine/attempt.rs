//! Compiles a cell until it stands: each time without what the compiler says cannot be put back into
//! the store, because the cell moves it or because it borrows.

use crate::cell::engine::{
    against::Against,
    compiler::{CompileJob, CompileSettings, CompiledLibrary, Compiler, Refusal},
    diagnostic::Diagnostic,
    generate::Draft,
    program::{CodeRole, Program},
    running::Running,
};

/// The number of times that a cell is compiled again without a variable that it turned out to move.
const MAX_ATTEMPTS: usize = 6;

/// The shared object with its program and what to tell the person; or why there is none, with the
/// program that was refused and its name.
pub(super) type Attempted =
    std::result::Result<(CompiledLibrary, Program, Vec<String>), Box<(Refusal, Program, String)>>;

/// The compiler of one cell.
pub(super) struct Attempts<'a> {
    pub(super) compiler: &'a Compiler,
    pub(super) settings: &'a CompileSettings,
    pub(super) running: &'a Running,
    /// The number of the program among all that were compiled.
    pub(super) number: usize,
}

/// Compiles a draft, whose program is `first`, each time without the variables that the compiler says cannot be put
/// back.
pub(super) fn attempts(
    Attempts { compiler, settings, running, number }: &Attempts<'_>,
    draft: &mut Draft<'_>,
    first: Program,
    against: Against,
) -> Attempted {
    let mut program = first;
    let mut notes = Vec::new();
    let mut attempt = 1;
    loop {
        let name = format!("cell_{number}_{attempt}");
        let job = CompileJob { program: &program, name: &name, settings, against, running };
        let errors = match compiler.compile(job, draft.tells_types()) {
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
        .find(|role| matches!(role, CodeRole::Put(_)) && !error.is_about(role, program, file));
    let (role, borrows) = match (roles.as_slice(), borrower) {
        // A variable cannot be kept because another one, kept after it, still borrows from it.
        (_, Some(borrower)) if code == "E0505" => (*borrower, true),
        ([role, ..], _) if MOVED.contains(&code) => (*role, false),
        (roles, _) if BORROWED.contains(&code) || code.is_empty() => {
            match roles.iter().find(|role| matches!(role, CodeRole::Put(_))) {
                Some(role) => (*role, true),
                None => return,
            }
        }
        _ => return,
    };
    if matches!(role, CodeRole::Take(_) | CodeRole::Probe(_))
        || !draft.left_out.insert(role.clone())
    {
        return;
    }
    if let (CodeRole::Put(name), true) = (role, borrows) {
        notes.push(format!(
            "`{name}` lives only in this cell: it borrows from something that does not outlive it; \
             clone what it points to if a later cell needs it"
        ));
    }
}
