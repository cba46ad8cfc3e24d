//! Spans to an OpenTelemetry collector: OTLP over HTTP in its JSON encoding
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), one span a request.
//!
//! Spans go through a bounded queue to a thread of their own, as the log of predictions does: a
//! collector that is slow or away costs spans, never a request, and never the end of a server.
//!
//! opentelemetry-otlp with its kit is some ten crates, for one message that is written here in fifty
//! lines.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use trialbook::error::{Error, ErrorKind, Result};

use super::{client, trace::TraceContext};

/// Spans that wait to be sent.
const QUEUE: usize = 8_192;
/// Spans of one message.
const MESSAGE: usize = 512;
/// The time that a span waits for others.
const FLUSH: Duration = Duration::from_secs(2);
/// The time that the end waits for queued spans to be sent.
const LAST: Duration = Duration::from_secs(1);

/// One answered request.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) context: TraceContext,
    pub(crate) method: String,
    /// The path as it is registered, without what a client put in it.
    pub(crate) route: String,
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) ended: SystemTime,
    pub(crate) took: Duration,
}

/// Sends spans. Closing or dropping it sends what is queued, as far as the collector takes it at
/// once.
#[derive(Debug)]
pub(crate) struct SpanExporter {
    /// None says that nothing follows.
    queue: SyncSender<Option<Span>>,
    is_over: Arc<AtomicBool>,
    /// Nothing ever arrives: the thread is over when the other end is gone.
    sender: Mutex<Receiver<Infallible>>,
}

impl SpanExporter {
    /// Starts the thread that sends to the collector at `endpoint`, such as
    /// `http://127.0.0.1:4318`; `/v1/traces` is added, as OpenTelemetry's own exporters do.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an endpoint that is no `http://` address; when the system refuses
    /// a thread. Whether anything listens there shows with the first message.
    pub(crate) fn start(endpoint: &str) -> Result<Self> {
        if !endpoint.starts_with("http://") {
            return Err(Error::invalid(format!(
                "{endpoint:?} is not the address of a collector, expected http://HOST:PORT"
            ))
            .with_hint("use a collector that listens without TLS; OTLP over HTTP has port 4318"));
        }
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let (queue, spans) = sync_channel(QUEUE);
        let (at_work, sender) = channel::<Infallible>();
        let is_over = Arc::new(AtomicBool::new(false));
        let thread_is_over = Arc::clone(&is_over);
        let send = move || {
            send_all(&url, &spans, &thread_is_over);
            drop(at_work);
        };
        std::thread::Builder::new().name("trialbook-otlp".to_owned()).spawn(send).map_err(
            |source| {
                Error::new(ErrorKind::Io, "cannot start the thread that exports spans")
                    .with_source(source)
            },
        )?;
        Ok(Self { queue, is_over, sender: Mutex::new(sender) })
    }

    /// Queues a span; full queues leave it out. Never waits.
    pub(crate) fn push(&self, span: Span) {
        // Full or closed: the span is lost, the request is not.
        let _ = self.queue.try_send(Some(span));
    }

    /// Sends what is queued, and gives up on it after a second or when the collector takes no more.
    pub(crate) fn close(&self) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        // A thread that waits for spans hears of it; one with a full queue sees the flag.
        let _ = self.queue.try_send(None);
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = sender.recv_timeout(LAST);
    }
}

impl Drop for SpanExporter {
    fn drop(&mut self) {
        self.close();
    }
}

fn send_all(url: &str, spans: &Receiver<Option<Span>>, is_over: &AtomicBool) {
    let is_over = || is_over.load(Ordering::Acquire);
    // What was queued before the end is there already.
    let next = || if is_over() { spans.try_recv().ok() } else { spans.recv().ok() };
    let mut is_away = false;
    while let Some(Some(first)) = next() {
        let mut message = vec![first];
        let deadline = Instant::now() + if is_over() { Duration::ZERO } else { FLUSH };
        let is_last = loop {
            if message.len() == MESSAGE {
                break false;
            }
            match spans.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(span)) => message.push(span),
                Err(RecvTimeoutError::Timeout) => break false,
                Ok(None) | Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        let sent = client::post(url, &request(&message));
        // Once for each time it goes away: not a line a message.
        match (&sent, is_away) {
            (Err(error), false) => {
                let error = error.chain();
                tracing::warn!(url, error, "spans are lost: the collector takes none");
            }
            (Ok(_), true) => tracing::info!(url, "the collector takes spans again"),
            _ => {}
        }
        is_away = sent.is_err();
        if is_last || (is_away && is_over()) {
            return;
        }
    }
}

/// `ExportTraceServiceRequest`.
fn request(spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [
                attribute("service.name", crate::NAME),
                attribute("service.version", env!("CARGO_PKG_VERSION")),
            ] },
            "scopeSpans": [{ "scope": { "name": "trialbook.serve" }, "spans": spans }],
        }],
    })
}

/// Names are those of OpenTelemetry's semantic conventions for HTTP servers.
fn span(span: &Span) -> Value {
    let nanos = |time: SystemTime| {
        // 64-bit numbers are strings in this encoding.
        time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
    };
    // Of a server's spans, only its own failures are errors.
    let status = if span.status >= 500 { json!({ "code": 2 }) } else { json!({}) };
    let mut json = json!({
        "traceId": span.context.trace_id,
        "spanId": span.context.span_id,
        "name": format!("{} {}", span.method, span.route),
        "kind": 2,
        "startTimeUnixNano": nanos(span.ended - span.took),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": [
            attribute("http.request.method", &span.method),
            attribute("http.route", &span.route),
            { "key": "http.response.status_code", "value": { "intValue": span.status.to_string() } },
            attribute("trialbook.request_id", &span.request_id),
        ],
        "status": status,
    });
    if let Some(parent_id) = &span.context.parent_id {
        json["parentSpanId"] = json!(parent_id);
    }
    json
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

#[cfg(test)]
mod tests {
    use std::{future::IntoFuture as _, net::TcpListener as StdListener, sync::mpsc};

    use axum::{Json, Router, routing::post};
    use tokio::net::TcpListener;

    use super::*;

    fn example() -> Span {
        Span {
            context: TraceContext {
                trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
                parent_id: Some("00f067aa0ba902b7".to_owned()),
                span_id: "53995c3f42cd8ad8".to_owned(),
                is_sampled: true,
            },
            method: "POST".to_owned(),
            route: "/predict".to_owned(),
            status: 200,
            request_id: "one".to_owned(),
            ended: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            took: Duration::from_millis(250),
        }
    }

    #[test]
    fn spans_reach_the_collector() {
        let (got, requests) = mpsc::channel();
        let collector = Router::new().route(
            "/v1/traces",
            post(async move |Json(request): Json<Value>| {
                got.send(request).unwrap();
                Json(json!({}))
            }),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(axum::serve(listener, collector).into_future());

        let exporter = SpanExporter::start(&endpoint).unwrap();
        exporter.push(example());
        drop(exporter);
        let request = requests.try_recv().expect("what was queued is sent before the end");
        let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(span["name"], "POST /predict");
        assert_eq!(span["startTimeUnixNano"], "1699999999750000000");
        assert_eq!(span["endTimeUnixNano"], "1700000000000000000");
        assert_eq!(span["attributes"][2]["value"]["intValue"], "200");
    }

    /// Each of the queued messages was tried for 3 seconds.
    #[test]
    fn a_collector_that_hangs_keeps_no_server_from_its_end() {
        // The system accepts connections, and nobody answers.
        let silent = StdListener::bind("127.0.0.1:0").unwrap();
        let exporter =
            SpanExporter::start(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
        for _ in 0..2 * QUEUE {
            exporter.push(example());
        }
        let started = Instant::now();
        exporter.close();
        assert!(started.elapsed() < 2 * LAST, "{:?}", started.elapsed());
    }

    #[test]
    fn a_collector_that_is_away_costs_spans_alone() {
        // Nothing listens on a port that was free a moment ago.
        let free = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let exporter = SpanExporter::start(&format!("http://{free}")).unwrap();
        let started = Instant::now();
        for _ in 0..3 * QUEUE {
            exporter.push(example());
        }
        assert!(started.elapsed() < Duration::from_secs(2));
        let error = SpanExporter::start("collector:4318").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
