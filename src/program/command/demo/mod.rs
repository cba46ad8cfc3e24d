//! `demo`: the whole lifecycle on the built-in sample, by the same commands a person would type.

use std::{path::Path, time::Instant};

use clap::Args;
use serde_json::{Value, json};
use trialbook::{
    book::Book,
    error::{Error, Result},
    figure,
    output::{Align, Output, Table},
    registry::DEFAULT_MODEL,
    store::Store,
};

mod after;

use super::{Interim, Session};
use crate::serve::{ServeConfig, Server, client};

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Go on from where a model is in Production: drift, labels, training by a rule, shadow, canary, and a version
    /// that is taken back
    #[arg(long)]
    watch: bool,
}

/// Runs a command as if its words had been typed.
type Typed = fn(&[&str], &Session) -> Result<Output>;

/// The folder inside the store that the demo makes anew each time.
const FOLDER: &str = "demo";
/// Proves that a folder was made by an earlier demo and may be replaced.
const MARKER: &str = "made-by-demo";

const REVIEWS: [&str; 2] = [
    "A wonderful film with a superb cast, and I enjoyed every minute of it.",
    "Not a good movie. The plot is dull and the acting is terrible.",
];

impl Demo {
    pub(super) fn run(&self, session: &Session, typed: Typed) -> Result<Output> {
        if self.watch {
            return after::run(session, typed);
        }
        let clock = Instant::now();
        let store = fresh_store(session.book.store().root())?;
        let mut walk = DemoWalk::new(session, &store, typed);

        let dir = store.root().display();
        walk.show(format!("the demo's store is {dir}: repeat any command with --store {dir}"))?;
        walk.say("1. Data: a seeded sample of film reviews, and what is in it")?;
        walk.run(&["data", "sample"], "made the sample")?;
        let described = walk.run(&["data", "describe", "sample"], "described it")?;

        walk.say(
            "2. A first model: nothing is in production yet, so the gate asks for F1 >= 0.85",
        )?;
        let train = ["train", "tfidf", "--data", "sample"];
        let first = walk.run(
            &[&train[..], &["--ngram", "1", "--run-name", "unigrams", "--deploy"]].concat(),
            "trained, gated and promoted version 1",
        )?;

        walk.say("3. A better one: bigrams see that \"not good\" is not \"good\"")?;
        let second = walk.run(
            &[&train[..], &["--ngram", "2", "--run-name", "bigrams"]].concat(),
            "trained version 2",
        )?;
        let passed = walk.run(&["gate", DEFAULT_MODEL, "2"], "gate passed version 2")?;
        walk.run(&["promote", DEFAULT_MODEL, "2"], "promoted it; version 1 is archived")?;

        walk.say("4. A worse one: twenty words are not enough, and the gate says so")?;
        let third = walk.run(
            &[&train[..], &["--ngram", "1", "--max-features", "20", "--run-name", "twenty-words"]]
                .concat(),
            "trained version 3",
        )?;
        let blocked = walk.run(&["gate", DEFAULT_MODEL, "3"], "gate blocked version 3")?;

        walk.say("5. Serve version 2 and ask it over HTTP")?;
        let answers = walk.serve(&store)?;

        walk.say("6. Something is wrong with version 2? One step back")?;
        let back = walk.run(&["rollback", DEFAULT_MODEL], "version 1 is Production again")?;
        let after = walk.run(&["predict", REVIEWS[0]], "version 1 answers")?;
        walk.run(&["models", "show", DEFAULT_MODEL], "looked at all versions")?;

        let took_s = clock.elapsed().as_secs_f64();
        Ok(Output::new(json!({
            "store": store.root(),
            "described": described,
            "trained": [first, second, third],
            "passed": passed,
            "blocked": blocked,
            "served": answers,
            "rollback": back,
            "predicted": after,
            "took_s": took_s,
        }))
        .text("\n== What happened\n")
        .table(walk.steps)
        .text(format!("\n{} in all. What to type next:\n", figure::seconds(took_s)))
        .table(next_commands(store.root())))
    }
}

/// An empty store in `root/demo`; only a folder that an earlier demo made is replaced.
fn fresh_store(root: &Path) -> Result<Store> {
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
struct DemoWalk<'a> {
    front: &'a Session,
    session: Session,
    typed: Typed,
    steps: Table,
}

impl<'a> DemoWalk<'a> {
    fn new(front: &'a Session, store: &Store, typed: Typed) -> Self {
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

    fn show(&self, text: String) -> Result<()> {
        self.front.show(&Output::new(Value::Null).text(text), Interim::Remark)
    }

    fn say(&self, title: &str) -> Result<()> {
        self.show(format!("\n== {title}"))
    }

    /// Runs one command as if it had been typed, shows its answer, and returns it as JSON.
    fn run(&mut self, words: &[&str], step: &str) -> Result<Value> {
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

    /// Starts the server on a free port and sends the reviews through a real socket.
    fn serve(&mut self, store: &Store) -> Result<Value> {
        let clock = Instant::now();
        let config = ServeConfig { port: 0, ..ServeConfig::new(store.clone()) };
        let server = Server::start(&config)?;
        self.show(format!("\n$ trialbook serve --port {}", server.addr().port()))?;
        self.show(format!("listening on {}", server.url()))?;
        let mut answers = Vec::new();
        for text in REVIEWS {
            self.show(format!(
                "\n$ curl {}/predict -H 'content-type: application/json' -d '{}'",
                server.url(),
                json!({"text": text})
            ))?;
            let answer =
                client::post(&format!("{}/predict", server.url()), &json!({"text": text}))?;
            self.show(answer.to_string())?;
            answers.push(answer);
        }
        server.stop()?;
        self.show("stopped the server; requests in flight are always finished first".to_owned())?;
        let took = figure::seconds(clock.elapsed().as_secs_f64());
        self.steps.push(["served version 2, asked it twice, stopped", "serve", &took]);
        Ok(answers.into())
    }
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("{word:?}") } else { word.to_owned() }
}

/// The commands that a reader can try on the store that the demo leaves behind.
fn next_commands(store: &Path) -> Table {
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
