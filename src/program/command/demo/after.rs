//! `demo --watch`: what comes after a release. The traffic changes its words, drift shows it, fifty labels and a rule
//! make the next version, which proves itself in the shadow and as a canary; a worse one is taken back.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trialbook::{
    data::Split,
    error::{Error, ErrorKind, Result},
    figure,
    monitor::{LogConfig, LogText, read_release_counts},
    output::Output,
    registry::DEFAULT_MODEL,
    store::Store,
};

use super::walk::{DemoWalk, fresh_store, next_commands};
use crate::{
    command::{Session, Typed},
    serve::{
        ServeConfig, Server,
        client::{self, Credentials},
    },
};

/// When to train again, and how: what `[retrain]` says.
const POLICY: &str = "\
[strict]

[retrain]
train = [\"tfidf\", \"--ngram\", \"2\"]
release = [\"--shadow\", \"--min-n\", \"20\"]
drift = { window = \"10m\", windows = 1 }
cooldown = \"1h\"
";

/// The words that people praise with, and those that they change to.
const PRAISE: [&str; 28] = [
    "good",
    "great",
    "wonderful",
    "excellent",
    "strong",
    "beautiful",
    "convincing",
    "funny",
    "clever",
    "brilliant",
    "charming",
    "touching",
    "superb",
    "gripping",
    "moving",
    "memorable",
    "fresh",
    "perfect",
    "solid",
    "delightful",
    "fantastic",
    "honest",
    "sharp",
    "warm",
    "believable",
    "witty",
    "thoughtful",
    "powerful",
];
const NEW_PRAISE: [&str; 3] = ["fire", "peak", "goated"];

/// The words that people blame with, and those that they change to.
const BLAME: [&str; 28] = [
    "bad",
    "boring",
    "terrible",
    "poor",
    "awful",
    "weak",
    "dull",
    "predictable",
    "stupid",
    "flat",
    "horrible",
    "silly",
    "lame",
    "wooden",
    "tedious",
    "messy",
    "forgettable",
    "clumsy",
    "lazy",
    "shallow",
    "cheap",
    "annoying",
    "ridiculous",
    "pointless",
    "bland",
    "painful",
    "confused",
    "lifeless",
];
const NEW_BLAME: [&str; 3] = ["mid", "cringe", "meh"];

/// Requests that are sent at most while a release is waited for.
const MAX_REQUESTS: usize = 20_000;
/// Bytes of an answer about a release, at most.
const MAX_STATE: u64 = 1 << 20;
/// The time that a release is waited for at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time that counts in the store are waited for at most, while a release runs and once it has ended.
const COUNTS_PATIENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_millis(1_100)];

/// Walks through it in a store of its own, as [`super::Demo`] does.
pub(super) fn run(session: &Session, typed: Typed) -> Result<Output> {
    let clock = Instant::now();
    let store = fresh_store(session.book.store().root())?;
    let mut walk = DemoWalk::new(session, &store, typed);
    let dir = store.root().display();
    walk.show(format!("the demo's store is {dir}: repeat any command with --store {dir}"))?;

    walk.say("1. A model in Production, and a server that answers with it")?;
    walk.run(&["data", "sample"], "made the sample")?;
    walk.run(
        &[
            "train",
            "tfidf",
            "--data",
            "sample",
            "--ngram",
            "1",
            "--run-name",
            "unigrams",
            "--deploy",
        ],
        "trained, gated and promoted version 1",
    )?;
    let policy = store.root().join("policy.toml");
    fs::write(&policy, POLICY).map_err(|source| Error::io("write", &policy, source))?;
    walk.show(format!("\n{}:\n\n{POLICY}", policy.display()))?;
    walk.run(
        &["gate", "policy", "set", &policy.display().to_string()],
        "set the rule by which it is trained again",
    )?;
    let mut audience = Audience::open(&walk, &store)?;

    walk.say("2. Traffic like that of the test split: nothing to see")?;
    audience.ask(&walk, 300, Words::Known)?;
    let quiet = walk.run(&["monitor", "drift"], "compared traffic with the test split: ok")?;

    walk.say("3. The audience finds new words: good films are fire, peak and goated, bad ones mid, cringe and meh")?;
    audience.ask(&walk, 600, Words::New)?;
    let alert = walk.run(&["monitor", "drift"], "new words: an alert")?;

    walk.say("4. Fifty texts are labelled, those of which the model is least sure")?;
    let labels = store.root().join("labels.csv");
    let file = labels.display().to_string();
    let picked =
        walk.run(&["monitor", "sample", "-n", "50", "--out", &file], "picked fifty texts")?;
    audience.label(&walk, &picked, &labels)?;
    walk.run(&["monitor", "label", &file], "took their labels")?;
    let performance = walk.run(&["monitor", "performance"], "measured by them")?;

    walk.say("5. The rule says that it is time: train, gate, and into the shadow")?;
    let retrained =
        walk.run(&["watch", "--once"], "trained version 2, which passed; a shadow began")?;
    audience.ask_until(&walk, |release| {
        release.is_some_and(|of| of["step"]["n_compared"].as_u64() >= Some(300))
    })?;
    let shadow = walk.run(&["release", "status"], "looked at the shadow")?;

    walk.say("6. It goes on as a canary, in steps, and into Production")?;
    walk.run(
        &["release", "promote", DEFAULT_MODEL, "--canary", "20%:1s,50%:1s"],
        "a fifth of the requests, then half of them",
    )?;
    audience.ask_until(&walk, |release| {
        release.is_some_and(|of| {
            of["release"]["step_idx"] == 1 && of["judgement"]["decision"] == "ready"
        })
    })?;
    let canary = walk.run(&["release", "status"], "looked at the canary")?;
    walk.run(&["release", "promote", DEFAULT_MODEL], "version 2 is Production")?;

    walk.say("7. Weeks later the truth about every text has arrived")?;
    audience.ask(&walk, 400, Words::New)?;
    audience.label_all(&walk, &labels)?;
    walk.run(&["monitor", "label", &file], "took all labels")?;
    let measured = walk.run(&["monitor", "performance"], "version 2 knows the new words")?;

    walk.say("8. A worse one knows twenty words. It is taken back by itself")?;
    walk.run(
        &[
            "train",
            "tfidf",
            "--data",
            "sample",
            "--max-features",
            "20",
            "--run-name",
            "twenty-words",
        ],
        "trained version 3",
    )?;
    walk.run(
        &["release", "start", DEFAULT_MODEL, "3", "--canary", "20%", "--min-agreement", "0.95"],
        "started it as a canary",
    )?;
    let began = Instant::now();
    audience.ask_until(&walk, |release| {
        release.is_some_and(|of| of["release"]["state"] == "taken_back")
    })?;
    let taken_back_s = began.elapsed().as_secs_f64();
    let taken_back = walk.run(&["release", "status"], "it was taken back")?;
    walk.run(&["audit"], "read who did what, and why")?;
    let n_failed = audience.close(&walk)?;

    let took_s = clock.elapsed().as_secs_f64();
    Ok(Output::new(json!({
        "store": store.root(),
        "quiet": quiet["verdict"],
        "alert": alert["verdict"],
        "performance": performance,
        "measured": measured,
        "retrained": retrained,
        "shadow": shadow,
        "canary": canary,
        "taken_back": taken_back,
        "taken_back_s": taken_back_s,
        "n_failed": n_failed,
        "took_s": took_s,
    }))
    .text("\n== What happened\n")
    .table(walk.steps)
    .text(format!("\n{} in all. What to type next:\n", figure::seconds(took_s)))
    .table(next_commands(store.root())))
}

/// The words of a request.
#[derive(Clone, Copy)]
enum Words {
    Known,
    New,
}

/// Those who ask the server, with reviews of the sample's test split, one after the other.
struct Audience {
    server: Server,
    url: String,
    reviews: Split,
    /// The class of what each request asked, by its id.
    truth: HashMap<String, String>,
    n_asked: usize,
    n_failed: usize,
}

impl Audience {
    fn open(walk: &DemoWalk<'_>, store: &Store) -> Result<Self> {
        let log = LogConfig { text: LogText::Full, ..LogConfig::default() };
        let config = ServeConfig { port: 0, log: Some(log), ..ServeConfig::new(store.clone()) };
        let server = Server::start(&config)?;
        let url = server.url();
        walk.show(format!("\n$ trialbook serve --port {} --log-text full", server.addr().port()))?;
        walk.show(format!("listening on {url}"))?;
        let reviews = walk.session.book.datasets().split("sample", "test")?;
        let truth = HashMap::new();
        Ok(Self { server, url, reviews, truth, n_asked: 0, n_failed: 0 })
    }

    /// The next review, in these words.
    fn next(&mut self, words: Words) -> String {
        let row = self.n_asked % self.reviews.texts.len();
        let text = &self.reviews.texts[row];
        let question = match words {
            Words::Known => text.clone(),
            Words::New => in_new_words(text, self.n_asked),
        };
        self.n_asked += 1;
        question
    }

    /// Asks once; a failure is counted.
    fn ask_once(&mut self, words: Words) -> Option<(Value, Value)> {
        let class = self.reviews.labels[self.n_asked % self.reviews.labels.len()];
        let question = json!({"text": self.next(words)});
        let Ok(answer) = client::post(&format!("{}/predict", self.url), &question) else {
            self.n_failed += 1;
            return None;
        };
        if let Some(id) = answer["request_id"].as_str() {
            self.truth.insert(id.to_owned(), self.reviews.classes[class as usize].clone());
        }
        Some((question, answer))
    }

    fn ask(&mut self, walk: &DemoWalk<'_>, n: usize, words: Words) -> Result<()> {
        if let Some((question, answer)) = self.ask_once(words) {
            walk.show(format!(
                "\n$ curl {}/predict -H 'content-type: application/json' -d '{question}'\n{answer}\nand {} more",
                self.url,
                n - 1
            ))?;
        }
        for _ in 1..n {
            walk.session.monitor.interrupt.check()?;
            self.ask_once(words);
        }
        // The log is written five times a second.
        thread::sleep(Duration::from_millis(400));
        Ok(())
    }

    /// Asks on, in new words, until the release is as wanted: `is_so` gets what `GET /release` says of it.
    fn ask_until(
        &mut self,
        walk: &DemoWalk<'_>,
        is_so: impl Fn(Option<&Value>) -> bool,
    ) -> Result<()> {
        let (began, n_before) = (Instant::now(), self.n_asked);
        while began.elapsed() < PATIENCE && self.n_asked - n_before < MAX_REQUESTS {
            walk.session.monitor.interrupt.check()?;
            for _ in 0..20 {
                self.ask_once(Words::New);
            }
            let url = format!("{}/release", self.url);
            let state = client::get(&url, &Credentials::default(), MAX_STATE)?.json;
            if is_so(state.as_ref().and_then(|state| state["releases"].get(0))) {
                let took_s = began.elapsed().as_secs_f64();
                wait_for_counts(
                    walk,
                    state.as_ref().map_or(&Value::Null, |all| &all["releases"][0]),
                )?;
                return walk.show(format!(
                    "\nafter {} requests in {}",
                    figure::count(self.n_asked - n_before),
                    figure::seconds(took_s)
                ));
            }
        }
        Err(Error::new(
            ErrorKind::Internal,
            format!(
                "the release did not come so far in {}",
                figure::seconds(began.elapsed().as_secs_f64())
            ),
        ))
    }

    /// Fills the column of labels as somebody would who reads the texts.
    fn label(&self, walk: &DemoWalk<'_>, picked: &Value, file: &Path) -> Result<()> {
        let ids = picked["texts"].as_array().into_iter().flatten();
        let ids = ids.filter_map(|text| text["request_id"].as_str());
        let known: Vec<_> = ids.filter_map(|id| self.truth.get_key_value(id)).collect();
        let n = figure::counted(known.len(), "text");
        write_labels(file, known.into_iter(), "uncertainty")?;
        walk.show(format!("\nsomebody read {n} and wrote the labels into the file"))
    }

    /// Writes the labels of everything that was asked.
    fn label_all(&self, walk: &DemoWalk<'_>, file: &Path) -> Result<()> {
        write_labels(file, self.truth.iter(), "random")?;
        let n = figure::counted(self.truth.len(), "text");
        walk.show(format!(
            "\nthe labels of {n} are in the file: of all of them, so they are a fair sample"
        ))
    }

    /// Stops the server, and says how many requests failed.
    fn close(self, walk: &DemoWalk<'_>) -> Result<usize> {
        self.server.stop()?;
        walk.show(format!(
            "\nstopped the server: {} were asked, {} failed",
            figure::counted(self.n_asked, "review"),
            figure::count(self.n_failed)
        ))?;
        Ok(self.n_failed)
    }
}

/// Writes a file for `monitor label`: each request's id and class, and how the texts were picked.
fn write_labels<'a>(
    file: &Path,
    labels: impl Iterator<Item = (&'a String, &'a String)>,
    picked_by: &str,
) -> Result<()> {
    let header = "request_id,label,sampled_by\n".to_owned();
    let lines =
        labels.fold(header, |lines, (id, class)| lines + &format!("{id},{class},{picked_by}\n"));
    fs::write(file, lines).map_err(|source| Error::io("write", file, source))
}

/// `text` with new words of praise and blame.
fn in_new_words(text: &str, seed: usize) -> String {
    let mut n = seed;
    let mut changed = |word: &str| -> Option<&'static str> {
        let new = match (PRAISE.contains(&word), BLAME.contains(&word)) {
            (true, _) => NEW_PRAISE,
            (_, true) => NEW_BLAME,
            _ => return None,
        };
        n += 1;
        Some(new[n % new.len()])
    };
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|char: char| !char.is_alphabetic()) {
        let word = piece.trim_end_matches(|char: char| !char.is_alphabetic());
        match changed(word) {
            Some(new) => {
                out.push_str(new);
                out.push_str(&piece[word.len()..]);
            }
            None => out.push_str(piece),
        }
    }
    out
}

/// Waits until the store has what a server counts of a release, as `GET /release` says it: servers share it once a
/// second, or later where the machine has much to do, and no more once the release has ended.
fn wait_for_counts(walk: &DemoWalk<'_>, state: &Value) -> Result<()> {
    let logs = walk.session.book.store().logs_dir();
    let id = state["release"]["id"].as_str().unwrap_or_default();
    let n_counted = state["total"]["production"]["n_requests"].as_u64().unwrap_or(0);
    let began = Instant::now();
    let patience = COUNTS_PATIENCE[usize::from(state["release"]["state"] != "running")];
    while began.elapsed() < patience
        && read_release_counts(&logs, id)?.0.total().production.n_requests < n_counted
    {
        walk.session.monitor.interrupt.check()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_and_the_rest_of_a_text_stays() {
        let text = "A good, goodish film; not bad! Dull? dull.";
        let changed = in_new_words(text, 0);
        assert_eq!(changed, "A peak, goodish film; not meh! Dull? mid.");
    }
}
