//! Writes the program of one cell: what earlier cells left, and one function with the cell's
//! statements between taking its variables out of the store and putting them back.

use std::{collections::BTreeSet, sync::Arc};

use crate::cell::engine::{
    program::{CellRange, CellText, CodeRole, Program},
    scope::CellScope,
    source::{DeclaredVariable, ParsedCell, words},
    types::TYPE_LINT,
};

/// A cell about to be compiled.
pub(crate) struct Draft<'a> {
    /// The submitted text.
    pub(crate) cell: &'a Arc<CellText>,
    /// The beginning of the Rust in it, in bytes.
    pub(crate) offset: usize,
    /// The Rust itself.
    pub(crate) text: &'a str,
    /// The Rust taken apart.
    pub(crate) source: &'a ParsedCell,
    /// The names in scope, with those that this cell adds.
    pub(crate) scope: &'a CellScope,
    /// The style in which values and errors are shown.
    pub(crate) style: &'a Style,
    /// True if the person has added the crate `tokio`.
    pub(crate) own_tokio: bool,
    /// The beginning of every program, for crates that are not linked in.
    pub(crate) header: Option<&'a str>,
    /// Variables that are not put back, or not kept: the cell moves them, or they cannot live on.
    pub(crate) left_out: BTreeSet<CodeRole>,
}

/// The style in which values and errors are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    /// The format of values without a look of their own: `{:?}`.
    pub(crate) value: String,
    /// The format of errors that a `?` meets: `{}`, `{:?}` or `{:#?}`.
    pub(crate) error: String,
    /// True if a value's type is shown too.
    pub(crate) types: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { value: "{:?}".to_owned(), error: "{}".to_owned(), types: false }
    }
}

impl Style {
    /// The code before and after an expression that shows its value.
    fn around_value(&self) -> (String, &'static str) {
        let named = match self.value.as_str() {
            "{:?}" => "Debug",
            "{:#?}" => "Pretty",
            "{}" => "Display",
            other => {
                return (format!("trialbook::display::send_text(format!({other:?}, ("), ")));");
            }
        };
        let types = self.types;
        (format!("trialbook::show!(trialbook::display::Format::{named}, {types}, "), ");")
    }
}

impl Draft<'_> {
    /// The variables of earlier cells that this one names.
    pub(crate) fn taken(&self) -> Vec<&str> {
        let words = words(self.text);
        let names = self.scope.variables.keys().map(String::as_str);
        names.filter(|name| words.contains(name.trim_start_matches("r#"))).collect()
    }

    /// True if the compiler tells the types of the variables while it compiles the cell. It says so
    /// under a lint, which the cell must not have an opinion of.
    pub(crate) fn tells_types(&self) -> bool {
        let has_lints = |text: &str| {
            let words = words(text);
            ["deny", "forbid", TYPE_LINT].iter().any(|word| words.contains(word))
        };
        !(self.scope.has_lints() || has_lints(self.text) || has_lints(&self.scope.items_text()))
    }

    /// The variables that this cell declares and that are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &str> {
        let is_kept = |name: &&str| !self.left_out.contains(&CodeRole::Put((*name).to_owned()));
        let is_variable = |declared: &&DeclaredVariable| {
            !(declared.may_be_constant && self.scope.has_name(&declared.name))
        };
        let declared = self.source.declared.iter().filter(is_variable);
        declared.map(|declared| declared.name.as_str()).filter(is_kept)
    }

    /// True if its code may start threads or tasks that print when other cells run. A program that
    /// says which cell it is of can serve no other.
    pub(crate) fn spawns(&self) -> bool {
        self.text.contains("spawn") || self.scope.items_text().contains("spawn")
    }

    /// The program that runs the cell.
    pub(crate) fn program(&self) -> Program {
        let mut program = self.head();
        program.push("#[unsafe(no_mangle)]");
        program.push(
            "pub extern \"C\" fn trialbook_cell(__cell: &mut trialbook::runtime::Cell) {\n\
             __trialbook_run(__cell)\n}",
        );
        self.scope.write_lints(&mut program);
        program.push("fn __trialbook_run(__cell: &mut trialbook::runtime::Cell) {");
        for (name, symbol, type_name) in self.scope.shared() {
            program.push("if !__cell.shares::<");
            program.copy(type_name);
            program.push(&format!(">({name:?}, {symbol:?}) {{ return; }}"));
        }
        let taken = self.taken();
        for name in &taken {
            let variable = &self.scope.variables[*name];
            let code = format!("if !__cell.has::<{}>({name:?}) {{ return; }}", variable.type_name);
            program.push_role(&code, CodeRole::Take((*name).to_owned()));
        }
        for name in &taken {
            let variable = &self.scope.variables[*name];
            let mutable = if variable.is_mutable { "mut " } else { "" };
            let code =
                format!("let {mutable}{name}: {} = __cell.take({name:?});", variable.type_name);
            program.push_role(&code, CodeRole::Take((*name).to_owned()));
        }
        let error = match self.style.error.as_str() {
            "{:?}" => "DebugError",
            "{:#?}" => "PrettyError",
            _ => "DisplayError",
        };
        let result = format!("::std::result::Result<(), trialbook::runtime::{error}>");
        program.push(&format!("__cell.guard(|__fresh| -> {result} {{"));
        if self.source.awaits {
            program.push(match self.own_tokio {
                true => {
                    "trialbook::runtime::shared(|| tokio::runtime::Runtime::new()\
                     .expect(\"a tokio runtime\")).block_on(trialbook::runtime::interruptible(async {"
                }
                false => "trialbook::runtime::block_on(trialbook::runtime::interruptible(async {",
            });
        }
        self.statements(&mut program);
        if let Some(shown) = &self.source.shown {
            program.push("__fresh.result();");
            let (before, after) = self.style.around_value();
            program.push(&before);
            program.copy(&self.place(shown));
            program.push(after);
        }
        let asks_types = self.tells_types();
        for name in self.kept() {
            let asked =
                if asks_types { format!("::core::mem::drop(&{name});") } else { String::new() };
            program.push_role(
                &format!("{asked} __fresh.put({name:?}, {name});"),
                CodeRole::Put(name.to_owned()),
            );
        }
        program.push("::std::result::Result::Ok(())");
        if self.source.awaits {
            program.push("}))");
        }
        program.push("});");
        for name in &taken {
            let role = CodeRole::Restore((*name).to_owned());
            if !self.left_out.contains(&role) {
                program.push_role(&format!("__cell.restore({name:?}, {name});"), role);
            }
        }
        program.push("}");
        program
    }

    /// A program that never runs: the errors of its compilation name the types of the variables
    /// that the cell declares, or of the expression `asked` alone.
    pub(crate) fn probe(&self, asked: Option<&str>) -> Program {
        let mut program = self.head();
        program.push("trait __TypeOf {} fn __type_of<T: __TypeOf + ?Sized>(_: &T) {}");
        let mutable = |name: &str| match self.scope.variables[name].is_mutable {
            true => format!("mut {name}"),
            false => name.to_owned(),
        };
        let parameters: Vec<String> = self
            .taken()
            .iter()
            .map(|name| format!("{}: {}", mutable(name), self.scope.variables[*name].type_name))
            .collect();
        program.push(&format!("async fn __probe({})", parameters.join(", ")));
        let result = "::std::result::Result<(), trialbook::runtime::DebugError>";
        let result = if self.style.error == "{}" {
            result.replace("Debug", "Display")
        } else {
            result.to_owned()
        };
        program.push(&format!("-> {result} {{"));
        self.statements(&mut program);
        match asked {
            Some(expression) => {
                program.push_role(
                    &format!("__type_of(&({expression}));"),
                    CodeRole::Probe(String::new()),
                );
            }
            None => {
                for name in self.kept() {
                    program.push_role(
                        &format!("__type_of(&{name});"),
                        CodeRole::Probe(name.to_owned()),
                    );
                }
            }
        }
        program.push("::std::result::Result::Ok(()) }");
        program
    }

    fn head(&self) -> Program {
        let mut program = Program::default();
        let cell = if self.spawns() { self.cell.number } else { 0 };
        self.scope.write(self.header, cell, &mut program);
        if !self.own_tokio && words(self.text).contains("tokio") {
            program.push("use trialbook::runtime::tokio;");
        }
        program
    }

    fn statements(&self, program: &mut Program) {
        for statement in &self.source.statements {
            program.copy(&self.place(statement));
            // What follows must not become part of a statement that ends without a semicolon.
            if !self.text[statement.clone()].ends_with(';') {
                program.push(";");
            }
        }
    }

    fn place(&self, range: &std::ops::Range<usize>) -> CellRange {
        CellRange {
            cell: Arc::clone(self.cell),
            range: range.start + self.offset..range.end + self.offset,
        }
    }
}
