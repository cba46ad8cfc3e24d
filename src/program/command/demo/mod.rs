//! `demo`: the whole lifecycle on the built-in sample, by the same commands a person would type.

use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};
use trialbook::{error::Result, figure, output::Output, registry::DEFAULT_MODEL, store::Store};

mod after;
mod walk;

use self::walk::{DemoWalk, fresh_store, next_commands};
use super::{Session, Typed};
use crate::serve::{ServeConfig, Server, client};

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Go on from where a model is in Production: drift, labels, training by a rule, shadow, canary, and a version
    /// that is taken back
    #[arg(long)]
    watch: bool,
}

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

impl DemoWalk<'_> {
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
