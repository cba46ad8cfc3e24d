//! The commands of a demo, shown as they run, in a store that it makes anew.

use std::{path::Path, time::Instant};

use serde_json::Value;
use trialbook::{
    book::Book,
    error::{Error, Result},
    figure,
    output::{Align, Output, Table},
    store::Store,
};

use crate::command::{Interim, Session, Typed};

/// The folder inside the store that the demo makes anew each time.
const FOLDER: &str = "demo";
/// Proves that a folder was made by an earlier demo and may be replaced.
const MARKER: &str = "made-by-demo";

/// An empty store in `root/demo`; only a folder that an earlier demo made is replaced.
pub(super) fn fresh_store(root: &Path) -> Result<Store> {
    let dir = root.join(FOLDER);
    if dir.exists() {
        if !dir.join(MARKER).exists() {
            return Err(Error::invalid(format!("{dir:?} exists and was not made by a demo"))
                .with_hint("run the demo with another folder: --store DIR"));
        }
        std::fs::remove_dir_all(&dir)
            .map_err(|source| Error::io("remove the earlier demo in", &dir, source))?;
    }
    let store = Store::new(&dir);
    store.make_dir(&dir)?;
    std::fs::write(dir.join(MARKER), "`trialbook demo` replaces this folder each time\n")
        .map_err(|source| Error::io("write into", &dir, source))?;
    Ok(store)
}

/// The commands so far, shown as they run.
pub(super) struct DemoWalk<'a> {
    front: &'a Session,
    pub(super) session: Session,
    typed: Typed,
    pub(super) steps: Table,
}

impl<'a> DemoWalk<'a> {
    pub(super) fn new(front: &'a Session, store: &Store, typed: Typed) -> Self {
        let steps =
            Table::new([("step", Align::Left), ("command", Align::Left), ("took", Align::Right)]);
        let session = Session::new(
            Book::with_store(store.clone()),
            front.monitor.clone(),
            // Interim answers are for people who wait; each step here shows its final one.
            |_, _| Ok(()),
        );
        Self { front, session, typed, steps }
    }

    pub(super) fn show(&self, text: String) -> Result<()> {
        self.front.show(&Output::new(Value::Null).text(text), Interim::Remark)
    }

    pub(super) fn say(&self, title: &str) -> Result<()> {
        self.show(format!("\n== {title}"))
    }

    /// Runs one command as if it had been typed, shows its answer, and returns it as JSON.
    pub(super) fn run(&mut self, words: &[&str], step: &str) -> Result<Value> {
        self.front.monitor.interrupt.check()?;
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let line = line.join(" ");
        self.show(format!("\n$ trialbook {line}"))?;
        let clock = Instant::now();
        let output = (self.typed)(words, &self.session)?;
        let took = clock.elapsed();
        self.front.show(&output, Interim::Remark)?;
        self.steps.push([step, &line, &figure::seconds(took.as_secs_f64())]);
        Ok(output.json().clone())
    }
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("{word:?}") } else { word.to_owned() }
}

/// The commands that a reader can try on the store that the demo leaves behind.
pub(super) fn next_commands(store: &Path) -> Table {
    // Started by `cargo run`, the program is on nobody's path: show what works as it is.
    let program = if std::env::var_os("CARGO").is_some() { "cargo run --" } else { "trialbook" };
    let store = store.display();
    let mut table = Table::new([("to", Align::Left), ("type", Align::Left)]);
    for (to, arguments) in [
        ("try it in a browser", format!("--store {store} serve")),
        ("compare the runs", format!("--store {store} runs list --order \"metrics.f1 desc\"")),
        (
            "ask in SQL",
            format!(
                "--store {store} sql \"select label, count(*) as n from sample group by label\""
            ),
        ),
        ("use your own reviews", "data add reviews reviews.csv".to_owned()),
        ("see every command", "help".to_owned()),
    ] {
        table.push([to.to_owned(), format!("{program} {arguments}")]);
    }
    table
}
