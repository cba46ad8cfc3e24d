//! Questions that a version or a dataset is asked when a page is: what it gets wrong and why, and which rows are
//! to be doubted. The answers are the library's; those that take long wait for a press of a button.

use std::sync::{Mutex, MutexGuard, PoisonError};

use maud::{Markup, html};
use trialbook::{
    book::{Book, CompareRequest, ErrorsRequest, ExplainBase, IssuesRequest, SlicesRequest},
    data::Datasets,
    error::Error,
    evaluate::Slice,
    figure,
    output::Output,
    progress::Monitor,
    registry::{ModelVersion, Registry},
};

use super::{
    answer::{Answer, PageFrame, PageRequest},
    failure::PageFailure,
    part::{kept, model_url, version_url},
    query::coded,
    shell::Tab,
    told, version,
};

/// The most rows that a page asks a model about, or doubts; more is work for a terminal.
const MAX_ROWS: usize = 100_000;
const N_ERRORS: usize = 50;
/// The most of them whose words a net is asked for.
const N_EXPLAINED: usize = 5;
const N_TERMS: usize = 20;
const N_ISSUES: usize = 20;
/// The longest text that is explained. URLs hold it, so that an explanation can be shared.
const MAX_TEXT_CHARS: usize = 8_000;

/// One analysis at a time: each takes every core.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn book(registry: &Registry) -> Book {
    Book::with_store(registry.store().clone())
}

/// A question about the test split that a version was trained with.
struct SplitQuestion<'a> {
    /// The last part of the page's path.
    page: &'static str,
    title: String,
    /// Fields above the answer; the classes are those of the dataset.
    fields: &'a dyn Fn(&[String]) -> Markup,
    ask: &'a dyn Fn(&Book) -> Result<Output, Error>,
}

/// The page of a question. A model that takes long is asked once a button is pressed.
fn split_page(
    registry: &Registry,
    asked: &PageRequest,
    version: &ModelVersion,
    question: &SplitQuestion<'_>,
) -> Result<Answer, PageFailure> {
    let is_quick = is_baseline(registry, version);
    let dataset = Datasets::new(registry.store()).get(&version.lineage.dataset)?;
    let asks = asked.json || is_quick || asked.query.get("ask").is_some();
    let output = match asks {
        false => None,
        true => {
            check_rows(dataset.split("test")?.fingerprint.n_rows)?;
            let _turn = turn();
            Some((question.ask)(&book(registry))?)
        }
    };
    if let Some(output) = output.as_ref().filter(|_| asked.json) {
        return Ok(Answer::Json(output.json().clone()));
    }
    let url = format!("{}/{}", version_url(&version.model, version.version), question.page);
    let fields = (question.fields)(&dataset.classes);
    let body = html! {
        (crumbs(version))
        h1 { (question.title) }
        @if output.is_none() {
            p { "The test split of " (dataset.name) " is asked about again, which takes a while for a net." }
        }
        @if output.is_none() || !fields.0.is_empty() {
            form.bar method="get" action=(url) {
                @if !is_quick { input type="hidden" name="ask" value="1"; }
                (fields)
                button type="submit" { @if output.is_some() { "Show" } @else { "Ask it" } }
            }
        }
        @if let Some(output) = &output { (told::output(output)) }
        (links(version))
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, question.title.clone(), body)))
}

/// The other questions that the version can be asked.
fn links(version: &ModelVersion) -> Markup {
    let url = version_url(&version.model, version.version);
    html! {
        p.actions {
            @for (page, title) in [("errors", "Errors"), ("slices", "Slices"), ("explain", "Explain")] {
                a.button href=(format!("{url}/{page}")) { (title) }
            }
        }
    }
}

/// `GET /ui/models/{name}/{version}/errors`.
pub(super) fn errors(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = version::find(registry, asked)?;
    let (class, slice) = (asked.query.get("class"), asked.query.get("slice"));
    let request = ErrorsRequest {
        class: class.map(str::to_owned),
        slice: slice.map(str::parse::<Slice>).transpose()?,
        n_errors: N_ERRORS,
        n_explained: (!is_baseline(registry, &version)).then_some(N_EXPLAINED),
        ..ErrorsRequest::new(version.reference().to_string())
    };
    let fields = |classes: &[String]| {
        html! {
            label { "Labelled"
                select name="class" {
                    option value="" { "all classes" }
                    @for name in classes {
                        option value=(name) selected[class == Some(name)] { (name) }
                    }
                }
            }
            label { "Slice"
                input type="text" name="slice" value=(slice.unwrap_or_default()) placeholder="length:q4 and negation" autocomplete="off";
            }
        }
    };
    let question = SplitQuestion {
        page: "errors",
        title: format!("Errors of {}", version.reference()),
        fields: &fields,
        ask: &|book| Ok(book.errors(&request)?.to_output()),
    };
    split_page(registry, asked, &version, &question)
}

/// `GET /ui/models/{name}/{version}/slices`.
pub(super) fn slices(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = version::find(registry, asked)?;
    let request = SlicesRequest::new(version.reference().to_string());
    let question = SplitQuestion {
        page: "slices",
        title: format!("Where {} is worst", version.reference()),
        fields: &|_| html! {},
        ask: &|book| Ok(book.slices(&request)?.to_output()),
    };
    split_page(registry, asked, &version, &question)
}

/// `GET /ui/models/{name}/{version}/compare?with=NAME/2`.
pub(super) fn compare(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = version::find(registry, asked)?;
    let other = asked.query.get("with").ok_or_else(|| {
        PageFailure::invalid("no version to compare with")
            .hint("name it in the address: ?with=NAME/2")
    })?;
    let request = CompareRequest::new(version.reference().to_string(), other);
    let question = SplitQuestion {
        page: "compare",
        title: format!("{} and {other}: who is right", version.reference()),
        fields: &|_| kept(&asked.query, &["ask"]),
        ask: &|book| Ok(book.compare(&request)?.to_output()),
    };
    split_page(registry, asked, &version, &question)
}

/// `GET /ui/models/{name}/{version}/explain?text=…`.
pub(super) fn explain(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let version = version::find(registry, asked)?;
    let reference = version.reference().to_string();
    let text = asked.query.get("text");
    if text.is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
        let most = figure::count(MAX_TEXT_CHARS);
        return Err(PageFailure::invalid(format!("the text has more than {most} characters"))
            .hint("trialbook explain takes longer ones"));
    }
    let answered = {
        let _turn = turn();
        match text {
            Some(text) => book(registry)
                .explain(&reference, text, ExplainBase::Intercept, N_TERMS)
                .map(|explained| explained.to_output()),
            None => book(registry).strong_terms(&reference, N_TERMS).map(|terms| terms.to_output()),
        }
    };
    let (output, problem) = match answered {
        Ok(output) => (output, None),
        // A model that has no strongest terms can still say why it answers a text.
        Err(error) if text.is_none() && !asked.json => (Output::default(), Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    if asked.json {
        return Ok(Answer::Json(output.json().clone()));
    }
    let url = format!("{}/explain", version_url(&version.model, version.version));
    let body = html! {
        (crumbs(&version))
        h1 { "Why " (reference) " answers so" }
        form.card.asked method="get" action=(url) {
            label for="text" { "Text" }
            textarea #text name="text" rows="4" required maxlength=(MAX_TEXT_CHARS) { (text.unwrap_or_default()) }
            p.actions { button.main type="submit" { "Explain" } }
        }
        @if let Some(problem) = problem { p.quiet { (problem) } }
        (told::output(&output))
        (links(&version))
    };
    Ok(Answer::Page(PageFrame::new(Tab::Models, format!("Why {reference} answers so"), body)))
}

/// `GET /ui/data/{name}/issues`.
pub(super) fn issues(registry: &Registry, asked: &PageRequest) -> Result<Answer, PageFailure> {
    let dataset = Datasets::new(registry.store()).get(asked.param("name"))?;
    let n_rows: usize = dataset.splits.iter().map(|split| split.fingerprint.n_rows).sum();
    let asks = asked.json || asked.query.get("ask").is_some();
    let found = match asks {
        false => None,
        true => {
            check_rows(n_rows)?;
            let _turn = turn();
            let monitor = Monitor::silent();
            Some(book(registry).data_issues(&dataset.name, &IssuesRequest::default(), &monitor)?)
        }
    };
    let output = found.map(|found| found.to_output(N_ISSUES));
    if let Some(output) = output.as_ref().filter(|_| asked.json) {
        return Ok(Answer::Json(output.json().clone()));
    }
    let url = format!("/ui/data/{}", coded(&dataset.name));
    let body = html! {
        p.crumbs { a href="/ui/data" { "Data" } " / " a href=(url) { (dataset.name) } }
        h1 { "Rows of " (dataset.name) " to doubt" }
        @match &output {
            None => {
                p { "Labels that the cross-validated baseline does not believe, near-duplicates, empty, very short, foreign and \
                     non-text rows, and words or columns that give the label away, in " (figure::counted(n_rows, "row")) "." }
                form method="get" action=(format!("{url}/issues")) {
                    input type="hidden" name="ask" value="1";
                    button type="submit" { "Look for issues" }
                }
            }
            Some(output) => {
                (told::output(output))
                p.quiet { "All of them as a list, for " code { "trialbook data drop" } ": "
                    code { "trialbook --json data issues " (dataset.name) } }
            }
        }
    };
    Ok(Answer::Page(PageFrame::new(Tab::Data, format!("Issues of {}", dataset.name), body)))
}

fn crumbs(version: &ModelVersion) -> Markup {
    html! {
        p.crumbs {
            a href="/ui/models" { "Models" } " / " a href=(model_url(&version.model)) { (version.model) }
            " / " a href=(version_url(&version.model, version.version)) { "version " (version.version) }
        }
    }
}

/// True for a model that answers thousands of texts in a second.
fn is_baseline(registry: &Registry, version: &ModelVersion) -> bool {
    let run = registry.run(&version.run_id);
    run.is_ok_and(|run| run.params.get("model").is_some_and(|model| model == "tfidf"))
}

fn check_rows(n_rows: usize) -> Result<(), PageFailure> {
    if n_rows <= MAX_ROWS {
        return Ok(());
    }
    let (found, most) = (figure::counted(n_rows, "row"), figure::count(MAX_ROWS));
    Err(PageFailure::invalid(format!("there are {found}, and a page looks at {most} at most"))
        .hint("the same command in a terminal has no such bound"))
}
